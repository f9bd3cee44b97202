"""The chance of an answer in time: curve, forecasts from the past alone, and how good they were."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.survival import Wait, backtest, curve

# Weeks in remission of 21 patients (Freireich and others, 1963), + = still in remission: the
# example of most textbooks, with the shares that they print.
REMISSION = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PRINTED = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}

BEGIN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def clock_hours(_: str, begin: datetime, end: datetime) -> float:
    return (end - begin) / timedelta(hours=1)


def wait(day: float, hours: float, *, budget: float = 8.0, answered: bool = True) -> Wait:
    began = BEGIN + timedelta(days=day)
    return Wait("acme", began, began + timedelta(hours=hours), hours, answered, budget,
                answered and hours <= budget)  # fmt: skip


def test_the_curve_of_the_textbooks() -> None:
    found = curve((float(word.rstrip("+")), not word.endswith("+")) for word in REMISSION.split())
    assert (found.n, found.answered) == (21, 9)
    told = dict(zip(found.hours, found.waiting, strict=True))
    assert told == {h: pytest.approx(share, abs=0.0006) for h, share in PRINTED.items()}
    assert found.quantile(0.5) == 23
    assert found.quantile(0.9) is None
    # Of those that waited 10 weeks, so many are over within 22.
    assert found.answered_within(22, waited=10) == pytest.approx(1 - 0.538 / 0.753, abs=0.001)


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=40))
def test_a_curve_never_rises_and_open_orders_never_make_it_quicker(
    waits: list[tuple[float, bool]],
) -> None:
    found = curve(waits)
    assert all(a >= b for a, b in pairwise((1.0, *found.waiting)))
    longest = max((hours for hours, _ in waits), default=0.0)
    more = curve([*waits, (longest + 1, False)])
    assert all(more.unanswered(h) >= found.unanswered(h) - 1e-9 for h, _ in waits)


def test_without_open_orders_it_is_the_plain_share() -> None:
    found = curve((float(h), True) for h in (1, 2, 2, 9))
    assert found.answered_within(2) == pytest.approx(0.75)
    assert found.answered_within(2, waited=2) == 0.0
    assert found.answered_within(1, waited=2) == 0.0
    assert found.answered_within(12, waited=9) is None
    weekend = curve([(0.0, True), (4.0, True)])
    assert (weekend.answered_within(2), weekend.answered_within(2, waited=0)) == (0.5, 0.0)


def test_a_steady_supplier_is_forecast_without_error() -> None:
    waits = [wait(day, 4.0) for day in range(60)]
    told = backtest(waits, waits, clock_hours)
    assert told.brier == pytest.approx(0.0)
    assert told.n >= 30


def test_the_score_is_the_mean_squared_difference() -> None:
    # Half in time, half not: whoever knows only that forecasts one half, and is a quarter off.
    waits = [wait(day, 4.0 if day % 2 else 20.0) for day in range(80)]
    told = backtest(waits, waits, clock_hours)
    assert told.brier == pytest.approx(0.25, abs=0.01)
    assert told.baseline == pytest.approx(0.25, abs=0.01)
    # The curve knows of budgets what the plain share does not: a day is always enough.
    generous = [replace(w, budget=24.0, in_time=True) for w in waits[1::2]]
    mixed = [*waits[::2], *generous]
    better = backtest(mixed, mixed, clock_hours)
    assert better.skill is not None
    assert better.skill > 0.5


def test_no_forecast_knows_what_came_after_it() -> None:
    waits = [wait(day, 4.0 if day % 3 else 30.0) for day in range(70)]
    then = BEGIN + timedelta(days=63)
    known = [w for w in waits if w.started_at < then]
    changed = [replace(w, waited=1.0, answered=True, in_time=True) for w in waits if w not in known]
    judged = [w for w in known if w.ended_at < then]
    assert backtest(waits, judged, clock_hours) == backtest([*known, *changed], judged, clock_hours)


def test_few_forecasts_are_no_data() -> None:
    waits = [wait(day, 4.0) for day in range(25)]
    told = backtest(waits, waits, clock_hours)
    assert (told.brier, told.skill) == (None, None)
    assert told.reason.startswith("no data (")
