"""Scorecards and the chance of an answer, over rows whose answer a few plain lines can tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median

import pytest
from sqlalchemy import Connection, Engine

from db.reads.answering import answering
from db.reads.figures import figures_by
from db.reads.filters import Filter, Period
from db.reads.scorecards import compared, scorecard, scorecards
from db.tables import clock
from tests.desk import NOW, Desk, network
from tower.access import EVERYTHING, Scope
from tower.calendars import Calendar
from tower.kpis import DEFINITIONS

PERIOD = Period.last(30, NOW)
EVERYONE = Filter(PERIOD)
NET = network(
    acme={"tier": "A"},
    birch={"tier": "A"},
    cedar={"tier": "C", "sends_asn": False, "lead_time_days": 5},
    idle={"tier": "C"},
)
HQ = Calendar("hq", NET.calendars["hq"])


def _wait(desk: Desk, n: int, supplier: str, verdict: str, days: float, took: float) -> None:
    """An order of so many days ago, and what became of its answer after ``took`` clock hours."""
    number = f"{supplier}-{n}"
    began = desk.at(days=days)
    ends = verdict in ("met", "met_late", "not_measured")
    desk.po(number, supplier, released=began)
    desk.clock(number, verdict, HQ.add(began, timedelta(hours=16)), supplier)
    desk.rows[clock][-1] |= {
        "started_at": began,
        "ended_at": began + timedelta(hours=took) if ends else None,
    }


def _receipt(desk: Desk, n: int, supplier: str, took: int, asked: int) -> None:
    """An order complete so many days after it was sent, of which fewer or more were asked."""
    number, sent = f"{supplier}-r{n}", desk.at(days=25 - n % 5 + took)
    desk.po(number, supplier, released=sent)
    for line in ("10", "20"):
        desk.line(
            number,
            line,
            supplier,
            released=sent,
            requested_date=sent.date() + timedelta(days=asked),
            first_confirmed_date=sent.date() + timedelta(days=asked),
            acknowledged_at=sent + timedelta(hours=5),
            first_answer="date" if n % 4 == 0 else "kept",
            received_qty=Decimal(10),
            qty_by_first=Decimal(10 if took <= asked else 0),
            qty_by_last=Decimal(10 if took <= asked else 0),
            qty_by_requested=Decimal(10 if took <= asked else 0),
            actual_receipt_date=sent.date() + timedelta(days=took if line == "20" else took - 1),
        )


@pytest.fixture(scope="module")
def world(engine_of_run: Engine) -> Iterator[Connection]:
    desk = Desk(net=NET)
    for n in range(60):  # one in five late, answers after one clock day else
        late = n % 5 == 0
        _wait(desk, n, "acme", "met_late" if late else "met", 62 - n, 120.0 if late else 24.0)
    for n in range(3):
        _wait(desk, 100 + n, "acme", "pending", 0.1 + 0.5 * n, 0)
    _wait(desk, 110, "acme", "unknown", 20, 0)
    for n in range(4):
        _wait(desk, n, "birch", "met", 20 - n, 24.0)
    for n in range(12):
        _receipt(desk, n, "acme", took=12 + n % 3, asked=10)
        _receipt(desk, n, "cedar", took=6, asked=10)
    desk.case("acme-1", "acme")
    desk.impact("7001", "acme-r1", "acme")
    desk.impact("7001", "acme-r2", "acme", line="2")
    with engine_of_run.connect() as conn:
        desk.write(conn)
        yield conn
        conn.rollback()


def test_a_card_weighs_the_figures_of_its_supplier(world: Connection) -> None:
    cards = {c.supplier: c for c in scorecards(world, EVERYTHING, EVERYONE, NOW)}
    assert set(cards) == {"acme", "birch", "cedar", "idle"}
    acme = cards["acme"]
    told = {c.id: c for c in acme.score.components}
    # The open ones, and the one of a silent feed, count nothing.
    due = [n for n in range(60) if PERIOD.start <= _due(62 - n) < PERIOD.end]
    assert told["ack_on_time"].n == len(due)
    assert told["ack_on_time"].value == pytest.approx(sum(n % 5 != 0 for n in due) / len(due))
    known = [c for c in told.values() if c.value is not None]
    weights = sum(c.weight for c in known)
    assert acme.score.weight == pytest.approx(weights)
    plain = sum(c.weight * min(1, (c.value or 0) / c.target) for c in known) / weights
    assert {c.id for c in known} == {"ack_on_time", "commit_reliability", "otif"}
    assert acme.score.value == pytest.approx(100 * plain)
    assert (acme.open_exceptions, acme.orders_affected, str(acme.value_at_risk)) == (1, 1, "2000")
    # The figure of the catalogue, with the weights and targets that ship, is the same score.
    told_by = figures_by(world, EVERYTHING, "supplier_score", "supplier", EVERYONE, NOW)
    catalogue = {one.key: one.figure.value for one in told_by}
    for key, card in cards.items():
        assert card.score.value == pytest.approx(catalogue.get(key))
    idle = cards["idle"]
    assert (idle.score.value, idle.score.standing, idle.drift.drifted) == (None, None, None)
    assert list(cards)[-1] in ("idle", "birch")  # those without a score stand last


def _due(days: float) -> datetime:
    return HQ.add(NOW - timedelta(days=days), timedelta(hours=16))


def test_lead_times_are_medians_of_whole_orders_against_their_plan(world: Connection) -> None:
    acme = scorecard(world, EVERYTHING, "acme", EVERYONE, NOW)
    cedar = scorecard(world, EVERYTHING, "cedar", EVERYONE, NOW)
    assert acme is not None
    assert cedar is not None
    wanted = median(12 + n % 3 for n in range(12))
    assert (acme.drift.actual, acme.drift.plan, acme.drift.basis) == (wanted, 10, "asked")
    assert (acme.drift.n, acme.drift.drifted) == (12, True)
    assert (cedar.drift.actual, cedar.drift.plan, cedar.drift.basis) == (6, 5, "agreed")
    assert cedar.drift.drifted is False


def test_the_trend_is_the_score_of_each_month(world: Connection) -> None:
    card = scorecard(world, EVERYTHING, "acme", EVERYONE, NOW)
    assert card is not None
    assert [p.start.month for p in card.trend] == [10, 11, 12, 1, 2, 3]
    assert card.trend[-1].end == PERIOD.end
    march = Filter(Period(datetime(2026, 3, 1, tzinfo=UTC), PERIOD.end))
    alone = scorecard(world, EVERYTHING, "acme", march, NOW)
    assert alone is not None
    assert card.trend[-1].score == alone.score.value


def test_cards_are_compared_and_a_stranger_has_none(world: Connection) -> None:
    acme = scorecard(world, EVERYTHING, "acme", EVERYONE, NOW)
    birch = scorecard(world, EVERYTHING, "birch", EVERYONE, NOW)
    assert acme is not None
    assert birch is not None
    lines = {d.id: d for d in compared(acme, birch)}
    assert lines["ack_on_time"].other is None  # four of five
    assert lines["ack_on_time"].n_other == 4
    assert all(name == "score" or name in DEFINITIONS for name in lines)
    only_birch = Scope(frozenset({"birch"}))
    assert [c.supplier for c in scorecards(world, only_birch, EVERYONE, NOW)] == ["birch"]
    assert scorecard(world, only_birch, "acme", EVERYONE, NOW) is None
    assert answering(world, only_birch, "acme", NOW) is None


def test_the_outlook_of_a_supplier_with_a_history(world: Connection) -> None:
    told = answering(world, EVERYTHING, "acme", NOW)
    assert told is not None
    assert (told.basis, told.n, told.answered, told.unknown) == ("own", 63, 60, 1)
    assert told.budget == pytest.approx(16)
    assert told.in_time == pytest.approx(_within(told.budget or 0), abs=0.016)
    assert told.forecasts.brier is not None
    assert told.forecasts.brier < 0.25
    assert [w.number for w in told.open] == sorted(
        (w.number for w in told.open),
        key=lambda number: next(w.chance or 0 for w in told.open if w.number == number),
    )
    assert len(told.open) == 3


def _within(budget: float) -> float:
    """Nothing was censored before the budget but the three that wait now: nearly the plain share
    of those that were answered."""
    took = [
        HQ.between(NOW - timedelta(days=62 - n), NOW - timedelta(days=62 - n) + timedelta(
            hours=120 if n % 5 == 0 else 24)) / timedelta(hours=1)
        for n in range(60)
    ]  # fmt: skip
    return sum(hours <= budget for hours in took) / len(took)


def test_a_small_history_speaks_through_its_tier_and_says_so(world: Connection) -> None:
    birch = answering(world, EVERYTHING, "birch", NOW)
    assert birch is not None
    assert birch.basis == "tier"
    assert birch.said.startswith("too few answers of its own (4 of 20)")
    assert birch.about == "pool"
    alone = answering(world, Scope(frozenset({"birch"})), "birch", NOW)
    assert alone is not None
    assert (alone.basis, alone.in_time, alone.points) == ("", None, ())
    idle = answering(world, EVERYTHING, "idle", NOW)
    assert idle is not None
    assert idle.basis == "all"


def test_what_comes_later_changes_no_forecast(world: Connection) -> None:
    """The same rows asked about an earlier instant know less, not other things."""
    now = answering(world, EVERYTHING, "acme", NOW)
    later = answering(world, EVERYTHING, "acme", NOW + timedelta(days=1))
    assert now is not None
    assert later is not None
    assert replace(now.forecasts, reason="") == replace(later.forecasts, reason="")
