"""A month of a small pretend distributor: every figure is what ten plain lines make of its story.

The references know the story as it was made up, not what became of it: events go in shuffled and
twice, through the machine door into documents and clocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from db import engine as engines
from db.reads import figures, names, scorecards, subjects
from db.reads.filters import Filter, Period
from tests.acceptance import shapes
from tests.acceptance.installation import Installation
from tests.acceptance.made_up_month import (
    FIRST,
    GOODS,
    NETWORK,
    NOW,
    PERIOD,
    RULES,
    SCORED,
    SUPPLIERS,
    TODAY,
    Line,
    Order,
    made_up,
)
from tests.acceptance.running import Running
from tests.conftest import Databases
from tower.access import EVERYTHING
from tower.calendars import Calendar
from tower.kpis import HIT, MISS

HOUSE = ZoneInfo("America/New_York")


# --- the tower ------------------------------------------------------------------------------------


@dataclass
class World:
    conn: Connection
    orders: list[Order]
    installation: Installation


@pytest.fixture(scope="module")
def world(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    orders, events = made_up(11)
    name = databases.make(databases.template)
    installation = Installation.make(
        tmp_path_factory.mktemp("truth"), NETWORK, database_url=databases.app_url(name)
    )
    installation.rules.write_text(RULES)
    engine = engines.create(databases.app_url(name))
    tower = Running.start(engine, installation, NOW - timedelta(days=60))
    Random(3).shuffle(events)
    third = len(events) // 3
    for part in (events[:third], events[third : 2 * third], events[2 * third :], events[:200]):
        body = json.dumps(part).encode()
        tower.push("facts", body, NOW, "application/cloudevents-batch+json")
    tower.judge(NOW)
    with engine.connect() as conn:
        yield World(conn, orders, installation)
    engine.dispose()
    databases.drop(name)


# --- the references -------------------------------------------------------------------------------

Counted = Sequence[tuple[str, float, float]]
"""(supplier, numerator, denominator) of each subject that counts."""


def _came(line: Line, day: date) -> int:
    return sum(qty for _, qty, there in line.came if there <= day)


def _due(line: Line, word: str = "first") -> date:
    return {"first": line.first, "last": line.last, "requested": None}[word] or line.requested


def _lines(world: World, word: str = "first") -> Iterator[tuple[Order, Line, date]]:
    for order in world.orders:
        for line in order.lines:
            if FIRST <= (due := _due(line, word)) < TODAY:
                yield order, line, due


def otif(word: str) -> Callable[[World], Counted]:
    return lambda w: [(o.supplier, _came(x, d) >= x.qty, 1) for o, x, d in _lines(w, word)]


def otif_value(w: World) -> Counted:
    return [(o.supplier, (_came(x, d) >= x.qty) * x.qty * x.price, x.qty * x.price)
            for o, x, d in _lines(w)]  # fmt: skip


def otif_order(w: World) -> Counted:
    return [
        (o.supplier, all(_came(x, _due(x)) >= x.qty for x in o.lines), 1)
        for o in w.orders
        if FIRST <= max(map(_due, o.lines)) < TODAY
    ]


def fill(price: bool, now: bool = False) -> Callable[[World], Counted]:
    def counted(w: World) -> Counted:
        return [
            (o.supplier, min(_came(x, TODAY if now else d), x.qty) * (x.price if price else 1),
             x.qty * (x.price if price else 1))
            for o, x, d in _lines(w)
        ]  # fmt: skip

    return counted


def commitments(word: str) -> Callable[[World], Counted]:
    return lambda w: [
        (o.supplier, _came(x, d) >= x.confirmed, 1)
        for o, x, d in _lines(w, word)
        if x.first is not None
    ]


def acknowledged(w: World) -> Counted:
    found = []
    for o in w.orders:
        due = o.released + timedelta(hours=48)
        if PERIOD.start <= due < NOW:
            found.append((o.supplier, o.answered is not None and o.answered <= due, 1))
    return found


def translated(w: World) -> Counted:
    due = [(o, o.sent + timedelta(hours=24)) for o in w.orders]
    return [
        (o.supplier, o.fa is not None and o.fa <= by, 1)
        for o, by in due
        if PERIOD.start <= by < NOW
    ]


def left_in_time(w: World) -> Counted:
    found = []
    for o in w.orders:
        for x in o.lines if FIRST <= o.ship_by < TODAY else ():
            whole = sum(q for _, q in x.left) >= x.qty
            found.append((o.supplier, whole and max(x.left)[0].date() <= o.ship_by, 1))
    return found


def left_at_first(w: World) -> Counted:
    return [
        (o.supplier, min(min(x.left)[1], x.qty), x.qty)
        for o in w.orders
        for x in o.lines
        if x.left and PERIOD.start <= min(x.left)[0] < NOW
    ]


def first_answers(about: str) -> Callable[[World], Counted]:
    def kept(line: Line) -> bool:
        return line.answer != "rejected" and not (
            "date" in line.changed if about == "date" else line.changed
        )

    return lambda w: [
        (o.supplier, kept(x), 1)
        for o in w.orders
        for x in o.lines
        if o.answered is not None and PERIOD.start <= o.answered < NOW
    ]


def accurate(w: World) -> Counted:
    found = []
    for o in w.orders:
        for x in o.lines:
            if o.supplier == "CEDAR" or not x.came or not PERIOD.start <= min(x.came)[0] < NOW:
                continue
            equal = sum(x.shipped) == sum(q for _, q, _ in x.came)
            if equal or min(x.came)[0].date() < TODAY - timedelta(days=3):
                found.append((o.supplier, equal, 1))
    return found


def invoices(w: World) -> Counted:
    return [
        (o.supplier, o.invoice == "matched", 1)
        for o in w.orders
        if o.billed and PERIOD.start <= o.billed < NOW and o.invoice != "unchecked"
    ]


def perfect(w: World) -> Counted:
    found = []
    for o in w.orders:
        if not FIRST <= max(map(_due, o.lines)) < TODAY:
            continue
        sound = all(
            _came(x, _due(x)) >= x.qty and x.answer not in (None, "rejected")
            and not x.damaged and not x.other_site for x in o.lines
        )  # fmt: skip
        if not sound or o.invoice == "blocked":
            found.append((o.supplier, 0, 1))
        elif o.invoice in ("matched", "mended"):
            found.append((o.supplier, 1, 1))
    return found


def promises(w: World) -> Counted:
    return [
        ("", sum(q for d, q in o.delivered if d <= o.promised) >= o.wanted, 1)
        for o in w.orders
        if o.promised and o.released + timedelta(hours=2) <= NOW and FIRST <= o.promised < TODAY
    ]


def late_units(w: World) -> Counted:
    found = []
    for o, x, due in _lines(w):
        got, late = 0, 0
        for _, qty, day in sorted(x.came):
            counted = max(0, min(qty, x.qty - got))
            got += qty
            late += counted * max(0, (day - due).days)
        found.append((o.supplier, late + max(0, x.qty - got) * (TODAY - due).days, 1))
    return found


SHARES: dict[str, tuple[str, dict[str, str], Callable[[World], Counted]]] = {
    "ack": ("ack_on_time", {}, acknowledged),
    "first answers": ("first_confirm", {}, first_answers("all")),
    "first answers, days": ("first_confirm", {"about": "date"}, first_answers("date")),
    "commitments": ("commit_reliability", {}, commitments("first")),
    "commitments, last": ("commit_reliability", {"date": "last_confirmed"}, commitments("last")),
    "otif": ("otif", {}, otif("first")),
    "otif, requested": ("otif", {"date": "requested"}, otif("requested")),
    "otif, last confirmed": ("otif", {"date": "last_confirmed"}, otif("last")),
    "otif by order": ("otif", {"per": "order"}, otif_order),
    "otif by value": ("otif", {"per": "value"}, otif_value),
    "otif of customers": ("otif", {"side": "customer"}, promises),
    "promises": ("promise_reliability", {}, promises),
    "lines filled": ("fill_line", {}, otif("first")),
    "units filled": ("fill_unit", {}, fill(price=False)),
    "units filled by now": ("fill_unit", {"until": "now"}, fill(price=False, now=True)),
    "value filled": ("fill_value", {}, fill(price=True)),
    "notices accurate": ("asn_accurate", {}, accurate),
    "invoices": ("invoice_match", {}, invoices),
    "perfect orders": ("perfect_order", {}, perfect),
    "translators": ("fa_rate", {}, translated),
    "shipped in time": ("shipped_on_time", {}, left_in_time),
    "units on the first shipment": ("fill_first", {}, left_at_first),
}


@pytest.mark.parametrize("name", SHARES)
def test_a_share_is_what_plain_lines_make_of_the_story(world: World, name: str) -> None:
    kpi, switches, reference = SHARES[name]
    counted = reference(world)
    asked = (world.conn, EVERYTHING, kpi)
    figure = figures.figure(*asked, Filter(PERIOD), NOW, switches)
    assert figure.n == len(counted) > 20
    assert figure.value == pytest.approx(sum(c[1] for c in counted) / sum(c[2] for c in counted))
    assert 0 < float(figure.value or 0) < 1
    page = subjects.subjects(*asked, Filter(PERIOD), NOW, switches, only="in", limit=1000)
    assert len(page.rows) == figure.n == page.total.get(HIT, 0) + page.total.get(MISS, 0)
    assert all(one.counted and one.why.startswith("in") for one in page.rows)
    if counted[0][0]:
        told = figures.figures_by(*asked, "supplier", Filter(PERIOD), NOW, switches)
        assert {t.key: t.figure.n for t in told if t.figure.n} == {
            s: n for s in SUPPLIERS if (n := sum(c[0] == s for c in counted))
        }
        weeks = figures.course(*asked, "week", Filter(PERIOD), NOW, switches)
        assert sum(t.figure.n for t in weeks) == figure.n


WHOLE = {"ack", "otif by order", "perfect orders", "translators"}
"""Figures of whole orders: one counts under each category that a line of it has."""
OF_CUSTOMERS = {"otif of customers", "promises"}


def _of(world: World, name: str, category: str | None) -> World:
    """The story as it would be, were there no other goods than these."""

    def kept(order: Order) -> Order | None:
        if name in WHOLE:
            return order if any(x.category == category for x in order.lines) else None
        if name in OF_CUSTOMERS:
            return order if order.lines[0].category == category else None
        lines = [x for x in order.lines if x.category == category]
        return replace(order, lines=lines) if lines else None

    return replace(world, orders=[o for order in world.orders if (o := kept(order)) is not None])


@pytest.mark.parametrize("name", sorted(SHARES.keys() - {"invoices"}))
def test_a_share_by_category_of_goods_is_what_plain_lines_make_of_these_goods(
    world: World, name: str
) -> None:
    kpi, switches, reference = SHARES[name]
    asked = (world.conn, EVERYTHING, kpi)
    expected = {category or "": reference(_of(world, name, category)) for category in GOODS}
    told = figures.figures_by(*asked, "category", Filter(PERIOD), NOW, switches)
    assert {t.key: t.figure.n for t in told} == {key: len(c) for key, c in expected.items()}
    by_key = {t.key: t.figure for t in told}
    for key, counted in expected.items():
        share = sum(c[1] for c in counted) / sum(c[2] for c in counted)
        assert by_key[key].value == pytest.approx(share)
    for category in filter(None, GOODS):
        narrowed = Filter(PERIOD, category=category)
        alone = figures.figure(*asked, narrowed, NOW, switches)
        assert (alone.n, alone.value) == (by_key[category].n, by_key[category].value)
        page = subjects.subjects(*asked, narrowed, NOW, switches, only="in", limit=1000)
        assert len(page.rows) == alone.n
        assert all(category in str(one.category).split(", ") for one in page.rows)
        [again] = figures.figures_by(*asked, "category", narrowed, NOW, switches)
        assert (again.key, again.figure.n) == (category, alone.n)


def test_what_has_no_goods_says_so(world: World) -> None:
    tools = Filter(PERIOD, category="TOOLS")
    for kpi, what in (("invoice_match", "invoices"), ("partner_error_rate", "messages"),
                      ("feed_freshness", "feeds"), ("hop_latency", "hops")):  # fmt: skip
        figure = figures.figure(world.conn, EVERYTHING, kpi, tools, NOW)
        assert figure.value is None
        assert figure.reason == f"no data: {what} of this figure have no category of goods"


def _quantile(values: Sequence[float], share: float) -> float:
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])


def test_times_to_answer_are_those_of_the_story_by_the_clock_and_in_open_hours(
    world: World,
) -> None:
    due = [o for o in world.orders if PERIOD.start <= o.released + timedelta(hours=48) < NOW]
    net = {name: Calendar(name, spec) for name, spec in _calendars(world).items()}
    clock, business = [], []
    for o in due:
        # Unanswered orders rank longest.
        until = o.answered or NOW
        clock.append((until - o.sent) / timedelta(hours=1) if o.answered else 1e9)
        hours = net["cn" if o.supplier == "BIRCH" else "hq"].between(o.sent, until)
        business.append(hours / timedelta(hours=1) if o.answered else 1e9)
    for kpi, values in (("ack_cycle_clock", clock), ("ack_cycle_business", business)):
        figure = figures.figure(world.conn, EVERYTHING, kpi, Filter(PERIOD), NOW)
        assert (figure.n, figure.over) == (len(due), False)
        assert figure.value == pytest.approx(_quantile(values, 0.5))


def _calendars(world: World) -> dict[str, Any]:
    net = names.network(world.conn)
    assert net is not None
    return net.calendars


def test_lead_times_are_days_from_transmission_to_the_receipt_that_completes(world: World) -> None:
    days = []
    for o in world.orders:
        live = [x for x in o.lines if x.answer != "rejected"]
        if not live or any(sum(q for _, q, _ in x.came) < x.qty for x in live):
            continue
        done = max(_completed(x) for x in live)
        if FIRST <= done < TODAY:
            days.append((done - o.sent.astimezone(HOUSE).date()).days)
    figure = figures.figure(world.conn, EVERYTHING, "lead_time", Filter(PERIOD), NOW)
    assert figure.n == len(days) >= 10
    assert figure.value == pytest.approx(_quantile(days, 0.5))
    assert figure.beside["p90"] == pytest.approx(_quantile(days, 0.9))
    spread = figures.figure(world.conn, EVERYTHING, "lead_time_var", Filter(PERIOD), NOW)
    assert spread.value == pytest.approx(_quantile(days, 0.9) - _quantile(days, 0.5))


def _completed(line: Line) -> date:
    got = 0
    for _, qty, day in sorted(line.came):
        got += qty
        if got >= line.qty:
            return day
    raise AssertionError("not complete")


def test_a_score_weighs_shares_of_targets_as_the_rule_book_says(world: World) -> None:
    asked = (world.conn, EVERYTHING)
    known = {kpi: reference(world) for kpi, switches, reference in SHARES.values() if not switches}
    for supplier in (None, *SUPPLIERS):
        points = 0.0
        for kpi, (weight, target) in SCORED.items():
            counted = [c for c in known[kpi] if supplier in (None, c[0])]
            share = sum(c[1] for c in counted) / len(counted)
            points += weight * min(1, share / target)
        narrowed = Filter(PERIOD, supplier=supplier)
        figure = figures.figure(*asked, "supplier_score", narrowed, NOW)
        assert figure.value == pytest.approx(points)
        if supplier is not None:
            card = scorecards.scorecard(*asked, supplier, narrowed, NOW)
            assert card is not None
            assert card.score.value == pytest.approx(points)
            told = figures.figures_by(*asked, "supplier_score", "supplier", Filter(PERIOD), NOW)
            assert {t.key: t.figure.value for t in told}[supplier] == figure.value
    page = subjects.subjects(*asked, "supplier_score", Filter(PERIOD), NOW)
    assert {one.number: one.facts["target"] for one in page.rows} == {
        kpi: target for kpi, (_, target) in SCORED.items()
    }


def test_late_units_weigh_by_their_days(world: World) -> None:
    counted = late_units(world)
    figure = figures.figure(world.conn, EVERYTHING, "unit_days_late", Filter(PERIOD), NOW)
    assert figure.n == len(counted)
    assert float(figure.value or 0) == sum(c[1] for c in counted) > 0


def test_pages_of_subjects_join_without_a_gap_or_a_repeat(world: World) -> None:
    asked = (world.conn, EVERYTHING, "otif", Filter(PERIOD), NOW)
    whole = subjects.subjects(*asked, limit=1000).rows
    found: list[subjects.Subject] = []
    after: str | None = None
    while True:
        page = subjects.subjects(*asked, after=after, limit=7)
        found += page.rows
        after = page.following
        if after is None:
            break
    assert [(s.number, s.line) for s in found] == [(s.number, s.line) for s in whole]
    assert all(one.at >= other.at for one, other in pairwise(found))
    misses = subjects.subjects(*asked, only="miss", limit=1000)
    assert {s.verdict for s in misses.rows} == {MISS}
    # All facts came on the last day: what they tell of earlier moved the past of earlier periods.
    earlier = Filter(Period(PERIOD.start, PERIOD.end - timedelta(days=7)))
    marked = subjects.subjects(world.conn, EVERYTHING, "otif", earlier, NOW, limit=1000)
    assert marked.rows
    assert all(s.restated for s in marked.rows)
    told = figures.figure(world.conn, EVERYTHING, "otif", earlier, NOW)
    assert told.restated == sum(s.counted for s in marked.rows) == told.n
    assert figures.figure(world.conn, EVERYTHING, "otif", Filter(PERIOD), NOW).restated == 0


def test_the_command_answers_as_its_page_says(world: World) -> None:
    words = ("otif", "--by", "supplier", "--from", "2026-03-01", "--to", "2026-03-30")
    answer = world.installation.tower("kpi", *words, "--subjects", "--limit", "3", "--json")
    assert answer.code == 0, answer
    assert shapes.faults(answer.json, shapes.promised()["kpi"]) == []
    assert len(answer.json["subjects"]["rows"]) == 3
    assert sum(row["n"] for row in answer.json["rows"]) == answer.json["figure"]["n"] > 20
    catalogue = world.installation.tower("kpi", "--json").json
    assert shapes.faults(catalogue, shapes.promised()["kpi"]) == []
    assert world.installation.tower("kpi", *words).code == 0
    wrong = world.installation.tower("kpi", "otif", "--switch", "per=unit")
    assert wrong.code == 2
    assert "line, order, value" in wrong.err
