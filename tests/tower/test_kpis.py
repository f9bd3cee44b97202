"""What key figures mean, apart from any database."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.kpis import CLOCK_COUNTS, DEFINITIONS, Figure, Tally, clock_tally, rate, share, wilson

ACK = DEFINITIONS["ack_on_time"]


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # z² / (n + z²)
        (10, 10, 0.7225, 1.0),
        (50, 100, 0.4038, 0.5962),
        (1, 5, 0.0362, 0.6245),
    ],
)
def test_the_interval_is_that_of_wilson(hits: int, n: int, low: float, high: float) -> None:
    interval = wilson(hits, n)
    assert interval is not None
    assert interval == pytest.approx((low, high), abs=1e-4)


def test_no_sample_has_no_interval() -> None:
    assert wilson(0, 0) is None


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_share_and_stays_within_bounds(hits: int, n: int) -> None:
    hits = min(hits, n)
    interval = wilson(hits, n)
    assert interval is not None
    low, high = interval
    assert 0.0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1.0


def test_too_small_a_sample_is_no_data_and_says_so() -> None:
    figure = rate(ACK, Tally(2, 2), Tally(5, 5))
    assert figure.value is None
    assert figure.reason == "no data (2 of 5)"
    assert figure.missed is None
    assert figure.interval is None
    assert figure.change is None


def test_an_idle_period_is_never_a_hundred_percent() -> None:
    assert share(Tally(), 0) is None
    assert rate(DEFINITIONS["coverage"], Tally(), Tally()).value is None


def test_a_share_knows_its_change_and_whether_its_target_is_missed() -> None:
    figure = rate(ACK, Tally(90, 100), Tally(80, 100), [Tally(9, 10), Tally(1, 2)])
    assert figure.value == 0.9
    assert figure.missed is True
    assert figure.change == pytest.approx(0.1)
    assert figure.series == (0.9, None)
    assert rate(ACK, Tally(95, 100), Tally()).missed is False


def test_fewer_is_better_where_the_definition_says_so() -> None:
    limited = replace(DEFINITIONS["value_at_risk"], target=100.0)
    assert Figure(limited, Decimal(101), 1).missed is True
    assert Figure(limited, Decimal(100), 1).missed is False
    assert Figure(DEFINITIONS["value_at_risk"], Decimal(1), 1).missed is None  # it has no target


def test_every_verdict_is_counted_once_or_told_beside() -> None:
    verdicts = {
        "met": 7,
        "met_late": 2,
        "breached": 1,
        "pending": 3,
        "at_risk": 1,
        "not_measured": 4,
        "unknown": 5,
    }
    tally = clock_tally(verdicts)
    assert (tally.hits, tally.n) == (7, 10)
    assert sum(tally.outside.values()) == 13
    assert not set(tally.outside) & set(CLOCK_COUNTS)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6))
def test_counts_pool_and_rates_are_not_averaged(parts: list[tuple[int, int]]) -> None:
    tallies = [Tally(min(a, b), b, {"unknown": a}) for a, b in parts]
    total = sum(tallies, Tally())
    assert total.n == sum(b for _, b in parts)
    assert total.hits == sum(min(a, b) for a, b in parts)
    assert sum(total.outside.values()) == sum(a for a, _ in parts)


def test_every_definition_says_what_it_counts_and_what_it_leaves_out() -> None:
    for name, definition in DEFINITIONS.items():
        assert name == definition.id
        assert "/" in definition.formula or definition.unit != "%"
        assert definition.outside
        assert len(definition.short) <= 16
