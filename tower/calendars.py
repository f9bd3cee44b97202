"""Working time: open hours, holidays and business days, exact to the second across clock changes.

A calendar is written in local time and compiled once into UTC intervals with running sums, so that
adding, subtracting and measuring open time are look-ups.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tower.strict_yaml import closest, mistake
from tower.zones import ZoneName, resolve, zone

HORIZON = range(2000, 2036)
"""Years for which calendars answer; beyond them they raise an error instead of guessing."""
_USUAL = range(2020, 2036)  # compiled first: few calendars are ever asked about earlier years

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_MINUTE = 60_000_000
_DAY_MINUTES = 24 * 60
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)\Z")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


class BeyondHorizon(ValueError):
    """An answer would lie outside the compiled years."""


Windows = tuple[tuple[int, int], ...]
"""Opening and closing of one day in minutes from local midnight; past 1440 is the next morning."""


def _windows(texts: list[str], where: str) -> Windows:
    found = []
    for text in texts:
        match = _WINDOW.match(text)
        if match is None:
            raise mistake(f'{where}: "{text}" is not a window of hours', 'write "08:00-12:00"')
        begin = int(match[1]) * 60 + int(match[2])
        end = _DAY_MINUTES if match[3] is None else int(match[3]) * 60 + int(match[4])
        if end == begin:
            raise mistake(f'{where}: "{text}" is empty', 'write "00:00-24:00" for the whole day')
        found.append((begin, end if end > begin else end + _DAY_MINUTES))
    found.sort()
    for (_, earlier_end), (later, _) in itertools.pairwise(found):
        if later < earlier_end:
            raise mistake(
                f"{where}: two windows overlap", "let each begin where the last one ended"
            )
    return tuple(found)


def _weekdays(text: str) -> list[int]:
    days: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        last = last or first
        if first == "daily" and last == "daily":
            days.extend(range(7))
        elif first in WEEKDAYS and last in WEEKDAYS:
            begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last)
            days.extend(
                range(begin, end + 1) if end >= begin else [*range(begin, 7), *range(end + 1)]
            )
        else:
            raise mistake(f'open: "{text}" names no days', "write mon-fri, sat or daily")
    return days


class HolidaySpec(BaseModel):
    """Public holidays of a country and, where they differ, of a region (ISO 3166 codes)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    country: str
    region: str | None = None

    @model_validator(mode="after")
    def _known(self) -> HolidaySpec:
        import holidays  # slow to import, and only calendars with holidays need it

        supported = holidays.list_supported_countries(include_aliases=True)
        if self.country not in supported:
            raise mistake(
                f'holidays of "{self.country}" are not known', "write a code like DE, US or GB"
            )
        if self.region is not None and self.region not in supported[self.country]:
            known = ", ".join(sorted(supported[self.country])) or "none"
            raise mistake(
                f'{self.country} has no holiday region "{self.region}"', f"known ones: {known}"
            )
        return self

    def dates(self, years: range) -> dict[date, str]:
        import holidays

        found = holidays.country_holidays(self.country, subdiv=self.region, years=years)
        return dict(found.items())


class CalendarSpec(BaseModel):
    """A calendar as network.yaml writes it.

    zone      time zone of all hours and dates in it
    open      weekdays -> windows, e.g. {mon-fri: ["08:00-12:00", "13:00-17:00"]}; a window past
              midnight belongs to the day it opens
    holidays  closed on these public holidays
    days      single dates with their own windows, stronger than all else; [] is closed
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    zone: ZoneName
    open: dict[str, list[str]]
    holidays: HolidaySpec | None = None
    days: dict[str, list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> CalendarSpec:
        self._refuse_overlaps(self.week(), self.single_days())
        return self

    def week(self) -> tuple[Windows, ...]:
        """Windows of Monday to Sunday."""
        week: list[Windows | None] = [None] * 7
        for text, windows in self.open.items():
            for day in _weekdays(text):
                if week[day] is not None:
                    raise mistake(f"open: {WEEKDAYS[day]} is given twice", "keep one of them")
                week[day] = _windows(windows, f"open.{text}")
        if not any(week):
            raise mistake("open: no day is ever open", 'write mon-fri: ["08:00-17:00"]')
        return tuple(windows or () for windows in week)

    def single_days(self) -> dict[date, Windows]:
        found = {}
        for text, windows in self.days.items():
            try:
                day = date.fromisoformat(text) if _DATE.match(text) else None
            except ValueError:
                day = None
            if day is None:
                raise mistake(f'days: "{text}" is not a date', 'write "2026-12-24"')
            if day.year not in HORIZON:
                span = f"{HORIZON[0]} to {HORIZON[-1]}"
                raise mistake(f"days: {text} is beyond the years of calendars", f"use {span}")
            found[day] = _windows(windows, f"days.{text}")
        return found

    @staticmethod
    def _refuse_overlaps(week: tuple[Windows, ...], days: dict[date, Windows]) -> None:
        def clash(first: Windows, second: Windows) -> bool:
            return bool(first and second) and first[-1][1] > second[0][0] + _DAY_MINUTES

        for day, name in enumerate(WEEKDAYS):
            if clash(week[day], week[(day + 1) % 7]):
                following = WEEKDAYS[(day + 1) % 7]
                raise mistake(
                    f"open: the last window of {name} runs into {following}", "end it earlier"
                )
        for single, windows in days.items():
            before, after = single - timedelta(days=1), single + timedelta(days=1)
            if clash(days.get(before, week[before.weekday()]), windows) or clash(
                windows, days.get(after, week[after.weekday()])
            ):
                raise mistake(f"days: {single} overlaps a neighbouring day", "shorten its windows")


def _micros(at: datetime) -> int:
    return (at - EPOCH) // _MICRO


def _instant(micros: int) -> datetime:
    return EPOCH + _MICRO * micros


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Windows in UTC microseconds, ascending; ``before[i]`` is the open time ahead of window i."""

    opens: list[int]
    closes: list[int]
    before: list[int]
    day: list[int]  # number of the business day each window belongs to
    last_close: list[int]  # closing instant per business day
    dates: list[date]  # date per business day
    begin: int
    end: int


class Calendar:
    """A compiled calendar. Compiling waits until the first question (a few milliseconds).

    All instants are aware; answers are UTC. ``version`` changes with the definition and with the
    time zone and holiday data that give it meaning.
    """

    def __init__(self, name: str, spec: CalendarSpec) -> None:
        self.name = name
        self.spec = spec
        self.zone = zone(spec.zone)
        self._years = _USUAL

    def __repr__(self) -> str:
        return f"Calendar({self.name!r}, {self.version})"

    @cached_property
    def version(self) -> str:
        """Twelve hex digits over the definition and the data behind it."""
        body: dict[str, Any] = {
            "spec": self.spec.model_dump(mode="json"),
            "tzdata": _package_version("tzdata"),
            "horizon": [HORIZON[0], HORIZON[-1]],
        }
        if self.spec.holidays is not None:
            body["holidays"] = _package_version("holidays")
        text = json.dumps(body, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    # --- questions ------------------------------------------------------------------------------

    def is_open(self, at: datetime) -> bool:
        """True from an opening up to, not including, the closing."""
        t, c = self._within(at), self._compiled
        i = bisect_right(c.opens, t) - 1
        return i >= 0 and t < c.closes[i]

    def closing(self, at: datetime) -> datetime | None:
        """When the window that is open at an instant closes, None while closed."""
        t, c = self._within(at), self._compiled
        i = bisect_right(c.opens, t) - 1
        return _instant(c.closes[i]) if i >= 0 and t < c.closes[i] else None

    def next_open(self, at: datetime) -> datetime:
        """The instant itself while open, else the next opening."""
        t, c = self._within(at), self._compiled
        i = self._window_from(c, t)
        return _instant(max(t, c.opens[i]))

    def add(self, start: datetime, length: timedelta) -> datetime:
        """The first instant by which ``length`` of open time has passed since ``start``.

        It ends at closing, never at the next opening. No time at all leaves the start where it is.
        """
        if length < timedelta(0):
            return self.sub(start, -length)
        t, c = self._within(start), self._compiled
        if not length:
            return _instant(t)
        target = self._open_before(c, t) + length // _MICRO
        # The window in which the running sum reaches the target, closing included.
        i = bisect_left(c.before, target) - 1
        found = c.opens[i] + target - c.before[i]
        if found > c.closes[i]:
            raise self._beyond(start)
        return _instant(found)

    def sub(self, end: datetime, length: timedelta) -> datetime:
        """The last instant from which ``length`` of open time passes until ``end``."""
        if length < timedelta(0):
            return self.add(end, -length)
        t, c = self._within(end), self._compiled
        if not length:
            return _instant(t)
        target = self._open_before(c, t) - length // _MICRO
        if target < 0:
            if self._widen():
                return self.sub(end, length)
            raise self._beyond(end)
        # Latest window that begins at or before the target: an opening, not the closing before it.
        i = bisect_right(c.before, target) - 1
        return _instant(c.opens[i] + target - c.before[i])

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Open time from start to end; negative when end is earlier."""
        first, last = self._within(start), self._within(end)
        c = self._compiled
        return _MICRO * (self._open_before(c, last) - self._open_before(c, first))

    def counted_from(self, start: datetime, cut_off: time | None = None) -> datetime:
        """Where a budget begins: moved to the next opening, and past an (inclusive) cut-off to the
        opening of the next business day. A cut-off earlier than the opening is the next morning's.
        """
        moved = self.next_open(start)
        if cut_off is None:
            return moved
        c, t = self._compiled, _micros(moved)
        i = bisect_right(c.opens, t) - 1
        day = c.day[i]
        first = bisect_left(c.day, day)
        limit = self.local(c.dates[day], cut_off)
        if _micros(limit) < c.opens[first]:
            limit = self.local(c.dates[day] + timedelta(days=1), cut_off)
        if moved <= limit:
            return moved
        return _instant(c.opens[self._first_window(c, day + 1, start)])

    def end_of_business_day(self, start: datetime, days: int) -> datetime:
        """Close of the n-th business day after the one in which ``start`` (moved) lies."""
        t, c = self._within(start), self._compiled
        day = c.day[self._window_from(c, t)] + days
        if day >= len(c.last_close):
            raise self._beyond(start)
        return _instant(c.last_close[day])

    def closings(self, begin: datetime, end: datetime) -> list[datetime]:
        """When business days close, after ``begin`` up to ``end``, ascending."""
        closes = self._compiled.last_close
        first = bisect_right(closes, self._within(begin))
        return [_instant(c) for c in closes[first : bisect_right(closes, self._within(end))]]

    def segments(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The open stretches between two instants, in order."""
        begin, stop, c = self._within(start), self._within(end), self._compiled
        i = max(bisect_right(c.opens, begin) - 1, 0)
        while i < len(c.opens) and c.opens[i] < stop:
            first, last = max(begin, c.opens[i]), min(stop, c.closes[i])
            if first < last:
                yield _instant(first), _instant(last)
            i += 1

    def local(self, day: date, at: time) -> datetime:
        """A local time as an instant: in a gap the gap's end, doubled its first occurrence."""
        return resolve(self.zone, datetime.combine(day, at.replace(tzinfo=None)))

    def end_of_day(self, day: date) -> datetime:
        """The midnight that ends a local day."""
        return self.local(day + timedelta(days=1), time(0))

    # --- inside ---------------------------------------------------------------------------------

    def _within(self, at: datetime) -> int:
        """Microseconds of an instant that is answered for; makes sure that its year is compiled."""
        t = (at - EPOCH) // _MICRO
        c = self._compiled
        if not c.begin <= t < c.end:
            if t < c.begin and self._widen():
                return self._within(at)
            raise self._beyond(at)
        return t

    def _widen(self) -> bool:
        """Compile the earlier years too; False if that was done before."""
        if self._years == HORIZON:
            return False
        self._years = HORIZON
        self._compiled = self._compile(HORIZON)
        return True

    def _beyond(self, at: datetime) -> BeyondHorizon:
        return BeyondHorizon(
            f"calendar {self.name} answers for {HORIZON[0]} to {HORIZON[-1]}; "
            f"{at.astimezone(self.zone).isoformat()} leads outside"
        )

    @staticmethod
    def _open_before(c: _Compiled, t: int) -> int:
        i = bisect_right(c.opens, t) - 1
        return 0 if i < 0 else c.before[i] + min(t, c.closes[i]) - c.opens[i]

    def _window_from(self, c: _Compiled, t: int) -> int:
        """The window that holds t, else the next one."""
        i = max(bisect_right(c.opens, t) - 1, 0)
        if t >= c.closes[i]:
            i += 1
        if i >= len(c.opens):
            raise self._beyond(_instant(t))
        return i

    def _first_window(self, c: _Compiled, day: int, at: datetime) -> int:
        i = bisect_left(c.day, day)
        if i >= len(c.day):
            raise self._beyond(at)
        return i

    @cached_property
    def _compiled(self) -> _Compiled:
        return self._compile(self._years)

    def _compile(self, years: range) -> _Compiled:
        week, single = self.spec.week(), self.spec.single_days()
        around = range(years[0] - 1, years[-1] + 1)
        closed = self.spec.holidays.dates(around) if self.spec.holidays else {}
        first, last = date(years[0], 1, 1), date(years[-1], 12, 31)
        begin = _micros(resolve(self.zone, datetime.combine(first, time(0))))
        end = _micros(resolve(self.zone, datetime.combine(last + timedelta(days=1), time(0))))
        c = _Compiled([], [], [], [], [], [], begin, end)
        total = 0
        # The night before the first day may reach into it.
        for day, midnight, plain in _days(self.zone, first - timedelta(days=1), last):
            windows = single.get(day)
            if windows is None:
                windows = () if day in closed else week[day.weekday()]
            number, close = len(c.dates), 0
            for first_minute, last_minute in windows:
                if plain:
                    opens = midnight + first_minute * _MINUTE
                    closes = midnight + last_minute * _MINUTE
                else:
                    opens = _edge(self.zone, day, first_minute)
                    closes = _edge(self.zone, day, last_minute)
                if opens == closes:  # swallowed by a clock change
                    continue
                c.opens.append(opens)
                c.closes.append(closes)
                c.before.append(total)
                c.day.append(number)
                total += closes - opens
                close = closes
            if close:
                c.dates.append(day)
                c.last_close.append(close)
        return c


def _days(local: ZoneInfo, first: date, last: date) -> Iterator[tuple[date, int, bool]]:
    """Each day with its midnight in UTC and whether no clock change touches it or the day after.

    Days without a change (nearly all) need no look-up per window.
    """
    count = (last - first).days + 3
    days = [first + timedelta(days=n) for n in range(count)]
    offsets = [datetime(d.year, d.month, d.day, tzinfo=local).utcoffset() for d in days]
    for n in range(count - 2):
        offset = offsets[n] or timedelta(0)
        naive = datetime(days[n].year, days[n].month, days[n].day, tzinfo=UTC)
        yield days[n], _micros(naive - offset), offsets[n] == offsets[n + 1] == offsets[n + 2]


def _edge(local: ZoneInfo, day: date, minutes: int) -> int:
    naive = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001
    return _micros(resolve(local, naive))


@lru_cache(maxsize=8)
def _package_version(package: str) -> str:
    return importlib.metadata.version(package)


def compile_all(specs: dict[str, CalendarSpec]) -> dict[str, Calendar]:
    """The calendars of a network by name."""
    return {name: Calendar(name, spec) for name, spec in specs.items()}


def suggest(name: str, known: frozenset[str]) -> str:
    """Next step for an unknown calendar name."""
    near = closest(name, known)
    if near:
        return f"write {near}"
    return f"known calendars: {', '.join(sorted(known)) or 'none'}"
