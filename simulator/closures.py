"""Days on which offices are closed, by country: rules of public holidays, written out here.

Two countries follow the moon and yearly decrees; for them only the days that surely are closed are
listed, and network.yaml names them one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import cache

_NEW_YEAR_CHINA = {
    2024: (2, 10),
    2025: (1, 29),
    2026: (2, 17),
    2027: (2, 6),
    2028: (1, 26),
    2029: (2, 13),
    2030: (2, 3),
    2031: (1, 23),
    2032: (2, 11),
    2033: (1, 31),
    2034: (2, 19),
    2035: (2, 8),
}

LISTED = ("CN", "IN")
"""Countries whose closed days network.yaml lists one by one instead of naming the country."""


def easter(year: int) -> date:
    """Easter Sunday (Gregorian), by the anonymous algorithm of 1876."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    """The nth such weekday of a month; n = -1 for the last."""
    if n > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def _united_states(year: int) -> set[date]:
    days = {
        _nth(year, 1, 0, 3),
        _nth(year, 2, 0, 3),
        _nth(year, 5, 0, -1),
        _nth(year, 9, 0, 1),
        _nth(year, 10, 0, 2),
        _nth(year, 11, 3, 4),
    }
    fixed = [
        date(year, 1, 1),
        date(year, 6, 19),
        date(year, 7, 4),
        date(year, 11, 11),
        date(year, 12, 25),
        date(year + 1, 1, 1),
    ]
    for day in fixed:
        days.add(day)
        # On a Saturday the Friday before is free, on a Sunday the Monday after.
        days.add(day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0)))
    return {day for day in days if day.year == year}


def _england(year: int) -> set[date]:
    sunday = easter(year)
    days = {
        sunday - timedelta(days=2),
        sunday + timedelta(days=1),
        _nth(year, 5, 0, 1),
        _nth(year, 5, 0, -1),
        _nth(year, 8, 0, -1),
    }
    new_year = date(year, 1, 1)
    days.add(new_year)
    days.add(new_year + timedelta(days={5: 2, 6: 1}.get(new_year.weekday(), 0)))
    # Christmas and Boxing Day on a weekend are made up for on the 27th or 28th.
    for day in (date(year, 12, 25), date(year, 12, 26)):
        days.add(day)
        if day.weekday() > 4:
            days.add(day + timedelta(days=2))
    return days


def _germany_north_rhine(year: int) -> set[date]:
    sunday = easter(year)
    return {
        date(year, 1, 1),
        sunday - timedelta(days=2),
        sunday + timedelta(days=1),
        date(year, 5, 1),
        sunday + timedelta(days=39),
        sunday + timedelta(days=50),
        sunday + timedelta(days=60),
        date(year, 10, 3),
        date(year, 11, 1),
        date(year, 12, 25),
        date(year, 12, 26),
    }


def _poland(year: int) -> set[date]:
    sunday = easter(year)
    days = {
        date(year, 1, 1),
        date(year, 1, 6),
        sunday,
        sunday + timedelta(days=1),
        date(year, 5, 1),
        date(year, 5, 3),
        sunday + timedelta(days=49),
        sunday + timedelta(days=60),
        date(year, 8, 15),
        date(year, 11, 1),
        date(year, 11, 11),
        date(year, 12, 25),
        date(year, 12, 26),
    }
    if year >= 2025:
        days.add(date(year, 12, 24))
    return days


def _china(year: int) -> set[date]:
    days = {date(year, 1, 1), date(year, 5, 1)}
    days |= {date(year, 10, n) for n in range(1, 8)}
    if year in _NEW_YEAR_CHINA:
        first = date(year, *_NEW_YEAR_CHINA[year])
        days |= {first + timedelta(days=n) for n in range(-1, 6)}
    return days


def _india(year: int) -> set[date]:
    return {date(year, 1, 26), date(year, 8, 15), date(year, 10, 2)}


_RULES: dict[tuple[str, str], Callable[[int], set[date]]] = {
    ("US", ""): _united_states,
    ("GB", "ENG"): _england,
    ("DE", "NW"): _germany_north_rhine,
    ("PL", ""): _poland,
    ("CN", ""): _china,
    ("IN", ""): _india,
}


@cache
def closed_days(country: str, region: str, year: int) -> frozenset[date]:
    """Public holidays of a year; a country without rules here is never closed."""
    rule = _RULES.get((country, region))
    return frozenset(rule(year)) if rule else frozenset()
