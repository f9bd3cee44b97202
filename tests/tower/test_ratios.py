"""Shares of what goes wrong: the figures of docs/rules.md, counted out, and the fold."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import comb
from uuid import UUID

import pytest

from tower.calendars import Calendar, CalendarSpec
from tower.clocks import facts
from tower.cycles import Folded
from tower.ratios import is_over, lower_bound
from tower.rulebook import RuleBook, load_rulebook
from tower.signs import Sign, rules_in_force

BOOK = """
version: 1
notify:
  desk: {fallback: lead, group_by: [rule], wait: 1m, every: 15m, closed: at_once}
rules:
- id: partner.errors
  kind: ratio
  category: PARTNER_ERRORS
  bad: message.failed
  of: message.received
  windows:
    - {over: 1h, confirm: 10m, more_than: 20%, level: breach}
    - {over: 24h, confirm: 2h, more_than: 5%, level: warn}
  levels: {warn: {severity: low}, breach: {severity: high, notify: desk}}
"""
DAY = datetime(2026, 3, 30, tzinfo=UTC)
HQ = Calendar("hq", CalendarSpec(zone="Europe/Berlin", open={"mon-fri": ["08:00-17:00"]}))


def chance(n: int, p: float, alarms: Iterable[int]) -> float:
    """How likely one of these numbers of failures is among ``n``, each failing with ``p``."""
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in alarms)


def test_five_messages_a_plain_share_alarms_in_every_tenth_window() -> None:
    assert chance(5, 0.02, [k for k in range(6) if k / 5 > 0.05]) == pytest.approx(0.096, abs=5e-4)


def test_five_messages_the_bound_with_a_guard_alarms_once_in_ten_thousand() -> None:
    alarms = [k for k in range(6) if k >= 3 and is_over(k, 5, 0.02, 0.95)]
    assert alarms == [3, 4, 5]
    assert chance(5, 0.02, alarms) == pytest.approx(0.0001, abs=5e-5)


def test_two_hundred_messages_the_bound_alone_alarms_in_every_twentieth_window() -> None:
    alarms = [k for k in range(201) if is_over(k, 200, 0.02, 0.95)]
    assert alarms[0] == 8
    assert chance(200, 0.02, alarms) == pytest.approx(0.049, abs=5e-4)


@pytest.mark.parametrize(
    ("bad", "total", "bound"),
    [(0, 10, 0.0), (10, 10, 0.72246), (1, 10, 0.017876), (50, 100, 0.403832), (1, 1, 0.206543)],
)
def test_the_bound_is_wilsons(bad: int, total: int, bound: float) -> None:
    # By the formula of Wilson (1927), as statsmodels' proportion_confint gives it.
    assert lower_bound(bad, total, 0.95) == pytest.approx(bound, abs=1e-5)


def test_the_bound_grows_with_failures_and_evidence() -> None:
    for total in (1, 5, 40, 1000):
        bounds = [lower_bound(bad, total, 0.95) for bad in range(total + 1)]
        assert bounds == sorted(bounds)
        assert all(0 <= b <= bad / total + 1e-12 for bad, b in enumerate(bounds))
    assert lower_bound(2, 10, 0.95) < lower_bound(20, 100, 0.95) < lower_bound(200, 1000, 0.95)
    assert lower_bound(0, 0, 0.95) == 0


# --- the fold -----------------------------------------------------------------------------------


def signs(*told: tuple[str, int, int]) -> list[Sign]:
    """(time of 30 March in UTC, messages that came, messages that failed)."""
    found = []
    for n, (at, came, failed) in enumerate(told):
        instant = datetime.fromisoformat(f"2026-03-30 {at}").replace(tzinfo=UTC)
        for m, (kind, times) in enumerate((("received", came), ("failed", failed))):
            if times:
                name = UUID(int=2 * n + m)
                found.append(Sign(f"message.{kind}", instant, instant, name, {"n": times}))
    return found


@pytest.fixture(scope="module")
def book() -> RuleBook:
    return load_rulebook(BOOK)


def folded(book: RuleBook, told: Iterable[Sign], now: str) -> Folded:
    [rule] = rules_in_force(book)
    instant = datetime.fromisoformat(f"2026-03-30 {now}").replace(tzinfo=UTC)
    return facts(rule, told, (), HQ, {"partner.key": "ACME"}, instant)


def standing(found: Folded) -> list[tuple[str, str]]:
    return [(f.name, f"{f.effective:%H:%M}") for c in found.cycles for f in c.facts]


def test_both_windows_must_be_passed(book: RuleBook) -> None:
    bad = signs(("09:02", 10, 10))
    assert standing(folded(book, bad, "09:03")) == [
        ("started", "09:00"), ("breach", "09:00"), ("warn", "09:00"),
    ]  # fmt: skip
    # Half of the hour failed, but nothing of its last ten minutes.
    past = signs(("09:02", 5, 5), ("09:13", 5, 0))
    assert "breach" not in dict(standing(folded(book, past, "09:13")))


def test_a_step_that_is_not_over_may_open_but_not_close(book: RuleBook) -> None:
    told = signs(("09:02", 20, 20), ("11:31", 50, 0))
    assert folded(book, told, "11:34").cycles[0].open
    closed = folded(book, told, "11:35").cycles[0]
    assert (closed.open, f"{closed.ended:%H:%M}") == (False, "11:30")


def test_nothing_at_all_neither_opens_nor_closes_before_the_hour_is_over(book: RuleBook) -> None:
    told = signs(("09:02", 20, 20))
    found = folded(book, told, "09:40")
    assert found.cycles[0].open
    assert found.next is not None
    instants, now = [], found.next
    while now is not None and now < DAY + timedelta(days=3):
        instants.append(now)
        found = facts(rules_in_force(book)[0], told, (), HQ, {"partner.key": "A"}, now)
        now = found.next
    [cycle] = found.cycles
    assert not cycle.open
    assert len(instants) < 8  # only where something leaves a window, not every five minutes


def test_by_time_alone_it_may_become_sure(book: RuleBook) -> None:
    # The good hour leaves the window, what failed since stays in it.
    told = signs(("08:00", 200, 0), ("08:56", 20, 20))
    found = folded(book, told, "08:57")
    assert "breach" not in dict(standing(found))
    assert found.next is not None
    later = facts(rules_in_force(book)[0], told, (), HQ, {"partner.key": "A"}, found.next)
    assert ("breach", "09:00") in standing(later)


def test_the_order_of_counts_and_how_they_are_cut_up_change_nothing(book: RuleBook) -> None:
    rng = random.Random(7)
    for _ in range(40):
        told = signs(
            *((f"{rng.randrange(6, 12):02d}:{rng.randrange(60):02d}", rng.randrange(9),
               rng.randrange(4)) for _ in range(30)),
        )  # fmt: skip
        whole = folded(book, told, "12:00")
        pieces = [
            Sign(s.type, s.occurred_at, s.arrived_at, UUID(int=1000 * n + k), {"n": 1})
            for n, s in enumerate(told)
            for k in range(s.facts["n"])
        ]
        rng.shuffle(pieces)
        assert folded(book, pieces, "12:00").cycles == whole.cycles
