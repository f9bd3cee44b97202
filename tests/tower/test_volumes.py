"""Suppliers gone quiet: numbers within a time, shares of the usual, and what nobody expects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tower.calendars import Calendar, CalendarSpec
from tower.clocks import facts
from tower.cycles import Cycle
from tower.rulebook import load_rulebook
from tower.signs import Sign, rules_in_force

BERLIN = ZoneInfo("Europe/Berlin")
HQ = Calendar(
    "hq",
    CalendarSpec.model_validate(
        {
            "zone": "Europe/Berlin",
            "open": {"mon-fri": ["08:00-12:00", "13:00-17:00"]},
            "days": {"2026-05-01": []},
        }
    ),
)
BOOK = """
version: 1
notify:
  desk: {fallback: lead, group_by: [rule], wait: 1m, every: 15m, closed: at_once}
rules:
- id: supplier.quiet
  kind: volume
  category: VOLUME_ANOMALY
  about: supplier
  count: asn.received
  at_least: %s
  within: %s
  levels: {breach: {severity: high, notify: desk}, longer: {at: +4h, severity: critical}}
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=BERLIN)


def heard(told: Sequence[tuple[str, int]]) -> list[Sign]:
    return [
        Sign("asn.received", at(when), at(when), UUID(int=n + 1), {"n": times})
        for n, (when, times) in enumerate(told)
    ]


def judged(at_least: str, within: str, signs: Sequence[Sign], now: str) -> list[Cycle]:
    [rule] = rules_in_force(load_rulebook(BOOK % (at_least, within)))
    return list(facts(rule, signs, (), HQ, {"partner.key": "ACME"}, at(now)).cycles)


def spoken(cycles: Sequence[Cycle]) -> list[tuple[str, str]]:
    return [
        (fact.name, f"{fact.effective.astimezone(BERLIN):%m-%d %H:%M}")
        for cycle in cycles
        for fact in cycle.facts
    ]


@pytest.mark.parametrize(
    ("within", "due"),
    [("24h", "03-31 10:05"), ("8bh", "03-31 10:05"), ("1bd", "03-31 17:00")],
)
def test_time_runs_from_the_end_of_the_step_in_which_it_spoke_last(within: str, due: str) -> None:
    told = heard([("03-30 10:00", 1)])
    before = f"{at(due) - timedelta(minutes=1):%m-%d %H:%M}"
    assert judged("1", within, told, before) == []
    [cycle] = judged("1", within, told, due)
    assert (cycle.started, cycle.due) == (at("03-30 10:05"), at(due))


def test_of_three_the_last_but_two_counts() -> None:
    told = heard([("03-30 08:00", 1), ("03-30 12:00", 1), ("03-30 16:00", 2), ("03-31 15:00", 5)])
    # Three within a day: until the one of noon is a day ago.
    assert judged("3", "24h", told[:3], "03-31 12:04") == []
    [cycle] = judged("3", "24h", told[:3], "03-31 12:05")
    assert cycle.receipt["quiet"] == {"came": 2, "at_least": "3", "within": "24h"}
    [cycle] = judged("3", "24h", told, "03-31 15:30")
    assert spoken([cycle])[-1] == ("end:late", "03-31 15:00")


def test_later_levels_count_from_the_breach() -> None:
    told = heard([("03-30 10:00", 1)])
    [cycle] = judged("1", "24h", told, "03-31 14:05")
    assert spoken([cycle])[-1] == ("longer", "03-31 14:05")


def weeks(n: int, per_day: int, until: str) -> list[tuple[str, int]]:
    """So many messages a day, on each business day of the weeks before a day."""
    last = at(until).date()
    days = [last - timedelta(days=k) for k in range(1, 7 * n + 1)]
    return [(f"{d:%m-%d} 10:00", per_day) for d in sorted(days) if d.weekday() < 5 and _open(d)]


def _open(day: date) -> bool:
    return day != date(2026, 5, 1)


def test_a_share_of_the_usual_is_looked_at_when_the_day_closes() -> None:
    usual = weeks(9, 10, "06-02")
    for came, quiet in ((2, True), (3, False)):
        told = heard([*usual, ("06-02 10:00", came)])
        assert judged("30% of usual", "1bd", told, "06-02 16:59") == []
        cycles = judged("30% of usual", "1bd", told, "06-02 17:00")
        assert bool(cycles) is quiet
        if quiet:
            assert cycles[0].receipt["quiet"] == {
                "came": 2, "at_least": "30% of usual", "within": "1bd", "usual": 10.0,
            }  # fmt: skip
            assert cycles[0].due == at("06-02 17:00")


def test_it_is_over_at_the_close_of_a_day_that_is_as_usual() -> None:
    told = heard([*weeks(9, 10, "06-02"), ("06-03 10:00", 8)])
    [cycle] = judged("30% of usual", "1bd", told, "06-03 17:00")
    assert spoken([cycle]) == [
        ("started", "06-01 17:00"), ("breach", "06-02 17:00"), ("longer", "06-02 21:00"),
        ("end:late", "06-03 17:00"),
    ]  # fmt: skip


def test_the_usual_is_that_of_the_same_weekday_and_closed_days_do_not_count() -> None:
    fridays = [(f"{date(2026, 6, 5) - timedelta(weeks=k):%m-%d} 10:00", 20) for k in range(1, 9)]
    others = [(when, n) for when, n in weeks(8, 1, "06-05") if (when, 20) not in fridays]
    told = heard(sorted([*others, *(f for f in fridays if f[0] != "05-01 10:00")]))
    [cycle] = [c for c in judged("30% of usual", "1bd", told, "06-05 17:00") if c.open]
    assert cycle.receipt["quiet"]["usual"] == 20.0
    assert [c for c in judged("30% of usual", "1bd", told, "06-04 17:00") if c.open] == []


def test_nothing_is_usual_in_the_first_weeks_or_of_who_hardly_speaks() -> None:
    assert judged("30% of usual", "1bd", heard(weeks(3, 10, "06-02")), "06-02 17:00") == []
    assert judged("30% of usual", "1bd", heard(weeks(9, 3, "06-02")), "06-02 17:00") == []
