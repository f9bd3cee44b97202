"""A month of a small pretend distributor: every figure is what ten plain lines make of its story.

The references know the story as it was made up, not what became of it: events go in shuffled and
twice, through the machine door into documents and clocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from db import engine as engines
from db.reads import figures, names, subjects
from db.reads.filters import Filter, Period
from tests.acceptance import shapes
from tests.acceptance.installation import Installation
from tests.acceptance.running import Running
from tests.conftest import Databases
from tower.access import EVERYTHING
from tower.calendars import Calendar
from tower.kpis import HIT, MISS

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TODAY = NOW.date()
PERIOD = Period.last(30, NOW)
FIRST = PERIOD.start.date()
SITES = {"EAST": ZoneInfo("America/New_York"), "WEST": ZoneInfo("America/Los_Angeles")}
SUPPLIERS = ("ACME", "BIRCH", "CEDAR")
HOUSE = ZoneInfo("America/New_York")

NETWORK = """\
version: 1
company: {name: Pretend, erp: main, zone: America/New_York, calendar: hq, currency: USD}
systems: {sap: {name: ERP, kind: erp}}
sources:
  facts: {kind: push, format: cloudevents, system: sap, silent_after: 9000h}
partners:
  ACME: {name: Acme, zone: America/Chicago, calendar: hq, feeds: [facts]}
  BIRCH: {name: Birch, zone: Asia/Shanghai, calendar: cn, feeds: [facts]}
  CEDAR: {name: Cedar, zone: Europe/Berlin, sends_asn: false, feeds: [facts]}
warehouses:
  EAST: {name: East, zone: America/New_York}
  WEST: {name: West, zone: America/Los_Angeles}
calendars:
  hq: {zone: America/New_York, open: {mon-fri: ["08:00-17:00"]}}
  cn: {zone: Asia/Shanghai, open: {mon-sat: ["09:00-12:00", "13:00-18:00"]}}
people: {desk: {name: Desk, mail: desk@pretend.example}}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""

RULES = """\
version: 1
rules:
- id: po.unacknowledged
  kind: deadline
  category: ACK_OVERDUE
  about: po
  title: "PO {po.number} is not answered"
  clock: {start: po.released, stop: [po.acknowledged, po.rejected]}
  due: {otherwise: 48h}
  calendar: hq
  evidence: supplier.feeds
  levels: {breach: {severity: medium}}
"""


@dataclass
class Line:
    """One line as it was made up; ``came`` are (instant, quantity, day there) of its receipts."""

    number: str
    qty: int
    price: float
    requested: date
    answer: str | None = None
    confirmed: int = 0
    first: date | None = None
    last: date | None = None
    changed: set[str] = field(default_factory=set)
    shipped: list[int] = field(default_factory=list)
    came: list[tuple[datetime, int, date]] = field(default_factory=list)
    damaged: bool = False
    other_site: bool = False


@dataclass
class Order:
    number: str
    supplier: str
    buyer: str
    site: str
    released: datetime
    sent: datetime
    lines: list[Line]
    answered: datetime | None = None
    told: list[datetime] = field(default_factory=list)  # of its shipment notices
    invoice: str | None = None  # matched, blocked, mended, unchecked
    billed: datetime | None = None
    promised: date | None = None
    wanted: int = 0
    delivered: list[tuple[date, int]] = field(default_factory=list)


def made_up(seed: int) -> tuple[list[Order], list[dict[str, Any]]]:
    """The story, and the events that tell it."""
    dice = Random(seed)
    orders: list[Order] = []
    events: list[dict[str, Any]] = []

    def tell(type_: str, at: datetime, **data: Any) -> None:
        if at <= NOW:
            events.append(_event(len(events), type_, at, {"erp": "main", **data}))

    for n in range(110):
        order = _order(dice, n)
        orders.append(order)
        po = {"po": order.number, "supplier": order.supplier}
        tell("po.released", order.released, **po, buyer=order.buyer, warehouse=order.site,
             currency="USD", lines=[
                 {"line": x.number, "item": f"I-{x.number}", "qty": str(x.qty), "uom": "EA",
                  "price": f"{x.price:.2f}", "requested_date": x.requested.isoformat()}
                 for x in order.lines])  # fmt: skip
        tell("po.transmitted", order.sent, **po)
        _answer(dice, order, tell)
        _ship(dice, order, tell)
        _bill(dice, order, tell)
        _promise(dice, order, tell)
    return orders, events


def _event(n: int, type_: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "id": str(n), "source": "/facts", "type": type_,
            "time": at.isoformat(), "data": data}  # fmt: skip


def _order(dice: Random, n: int) -> Order:
    released = NOW - timedelta(days=dice.uniform(3, 55))
    lines = []
    for k in range(dice.randint(1, 3)):
        requested = (released + timedelta(days=dice.randint(8, 25))).date()
        lines.append(Line(str(k + 1), dice.randint(1, 9) * 10, dice.randint(1, 40) / 4, requested))
    sent = released + timedelta(minutes=dice.randint(1, 90))
    where = dice.choice(list(SITES))
    return Order(f"45{n:05}", dice.choice(SUPPLIERS), dice.choice(("ann", "bob")), where,
                 released.replace(microsecond=0), sent.replace(microsecond=0), lines)  # fmt: skip


def _answer(dice: Random, order: Order, tell: Callable[..., None]) -> None:
    at = order.sent + timedelta(hours=dice.choice((1, 5, 20, 40, 47, 60, 90, 4000)))
    if at > NOW:
        return
    order.answered = at
    po = {"po": order.number, "supplier": order.supplier}
    told = []
    for line in order.lines:
        line.answer = dice.choice(("accepted", "accepted", "accepted_with_changes", "rejected"))
        words = {"line": line.number, "answer": line.answer}
        if line.answer == "rejected":
            told.append(words)
            continue
        line.confirmed, line.first = line.qty, line.requested
        if line.answer != "accepted":
            if dice.random() < 0.4:
                line.confirmed -= 5
                line.changed.add("quantity")
            if dice.random() < 0.6:
                line.first += timedelta(days=dice.choice((-2, 1, 4)))
                if line.first > line.requested:
                    line.changed.add("date")
            words |= {"qty": str(line.confirmed), "date": line.first.isoformat()}
        line.last = line.first
        told.append(words)
    tell("po.acknowledged", at, **po, lines=told)
    later = at + timedelta(days=2)
    if dice.random() < 0.3 and later <= NOW:
        moved = []
        for line in order.lines:
            if line.first is None:
                continue
            line.last = line.first + timedelta(days=3)
            moved.append(
                {
                    "line": line.number,
                    "answer": "accepted_with_changes",
                    "qty": str(line.confirmed),
                    "date": line.last.isoformat(),
                }
            )
        if moved:
            tell("po.change_proposed", later, **po, lines=moved)


def _ship(dice: Random, order: Order, tell: Callable[..., None]) -> None:
    """One or two shipments; each part is received on its own day, some near midnight."""
    for part in range(dice.randint(1, 2)):
        told, left = [], NOW
        for line in (x for x in order.lines if x.answer not in (None, "rejected")):
            share = line.confirmed // 2 if part == 0 and dice.random() < 0.5 else None
            qty = share or line.confirmed - sum(line.shipped)
            due = line.first or line.requested
            day = due + timedelta(days=dice.choice((-4, -1, 0, 0, 0, 1, 5)))
            hour = dice.choice((0, 9, 15, 23))
            at = datetime(day.year, day.month, day.day, hour, 30, tzinfo=SITES[order.site])
            at = at.astimezone(UTC)
            if qty <= 0 or at > NOW or at < order.sent or dice.random() < 0.1:
                continue
            line.shipped.append(qty)
            got = qty - 5 if dice.random() < 0.1 and qty > 5 else qty
            line.came.append((at, got, day))
            left = min(left, at - timedelta(days=2))
            told.append((line, qty, got, at))
        if not told:
            continue
        if order.supplier != "CEDAR":
            asn = f"A{order.number}-{part}"
            order.told.append(left)
            tell("asn.received", left, asn=asn, supplier=order.supplier,
                 shipped_at=left.isoformat(), lines=[
                     {"erp": "main", "po": order.number, "line": x.number, "qty": str(q),
                      "uom": "EA"} for x, q, _, _ in told])  # fmt: skip
        for n, (line, _, got, at) in enumerate(told):
            site = order.site
            if dice.random() < 0.05:
                line.other_site = True
                site = next(s for s in SITES if s != order.site)
                line.came[-1] = (at, got, at.astimezone(SITES[site]).date())
            one = {"erp": "main", "po": order.number, "line": line.number, "receipt_line": "1",
                   "qty": str(got), "uom": "EA"}  # fmt: skip
            number = f"R{order.number}-{part}-{n}"
            tell("receipt.posted", at, warehouse=site, receipt=number, lines=[one])
            if dice.random() < 0.08:
                line.damaged = True
                tell(
                    "receipt.discrepancy",
                    at + timedelta(minutes=1),
                    warehouse=site,
                    receipt=number,
                    lines=[{**one, "kind": "damaged", "qty": "1"}],
                )


def _bill(dice: Random, order: Order, tell: Callable[..., None]) -> None:
    came = [at for x in order.lines for at, _, _ in x.came]
    if not came or dice.random() < 0.2:
        return
    order.billed = max(came) + timedelta(hours=3)
    if order.billed > NOW - timedelta(hours=9):
        order.billed = None
        return
    order.invoice = dice.choice(("matched", "matched", "matched", "blocked", "mended", "unchecked"))
    bill = {"supplier": order.supplier, "invoice": f"N{order.number}"}
    tell("invoice.received", order.billed, **bill, currency="USD", net="10.00", lines=[
        {"invoice_line": "1", "erp": "main", "po": order.number, "line": order.lines[0].number,
         "qty": "1", "uom": "EA", "price": "1.00"}])  # fmt: skip
    if order.invoice in ("blocked", "mended"):
        tell("invoice.blocked", order.billed + timedelta(hours=1), **bill, check="price")
    if order.invoice in ("matched", "mended"):
        tell("invoice.matched", order.billed + timedelta(hours=2), **bill)


def _promise(dice: Random, order: Order, tell: Callable[..., None]) -> None:
    """A customer order beside it, delivered in one or two parts; customers hear days in UTC."""
    placed = order.released + timedelta(hours=2)
    order.promised = (placed + timedelta(days=dice.randint(5, 30))).date()
    order.wanted = 20
    so = {"order": f"SO{order.number}"}
    tell(
        "order.placed",
        placed,
        **so,
        customer="C1",
        warehouse=order.site,
        currency="USD",
        lines=[{"line": "1", "item": "I-1", "qty": "20", "uom": "EA", "price": "3.00"}],
    )
    tell("order.promised", placed, **so, lines=[
        {"line": "1", "promise_date": order.promised.isoformat(), "qty": "20"}])  # fmt: skip
    for part, qty in enumerate((20,) if dice.random() < 0.5 else (8, 12)):
        day = order.promised + timedelta(days=dice.choice((-3, -1, 0, 2)))
        at = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
        if placed < at <= NOW and dice.random() < 0.9:
            order.delivered.append((day, qty))
            tell("order.delivered", at, **so, shipment=f"S{order.number}-{part}", lines=[
                {"line": "1", "qty": str(qty), "uom": "EA"}])  # fmt: skip


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
            if equal or min(x.came)[0] <= NOW - timedelta(days=3):
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
