"""Open hours of a company in its own zone, by looking at one day after the other.

Deliberately plain: the tower's calendars are judged against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from simulator.closures import closed_days

ONE_DAY = timedelta(days=1)
CUT_OFF = time(15, 0)  # an order that comes later counts from the next business day
FARTHEST_DAYS = 400  # no office stays closed that long: a longer search is a mistake of ours

Window = tuple[str, str]


class Hours:
    """Open windows per weekday (0 = Monday), in local time, but not on closed days.

    All instants that go in and come out are aware; those that come out are UTC.
    """

    def __init__(
        self,
        name: str,
        zone: str,
        windows: Mapping[int, tuple[Window, ...]],
        *,
        country: str = "",
        region: str = "",
    ) -> None:
        self.name = name
        self.zone_name = zone
        self.zone = ZoneInfo(zone)
        self.windows = dict(windows)
        self.country = country
        self.region = region
        self._day = cache(self._intervals)

    def _intervals(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        if day in closed_days(self.country, self.region, day.year):
            return ()
        return tuple(
            (
                datetime.combine(day, time.fromisoformat(a), self.zone).astimezone(UTC),
                datetime.combine(day, time.fromisoformat(b), self.zone).astimezone(UTC),
            )
            for a, b in self.windows.get(day.weekday(), ())
        )

    def local_day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def is_open_day(self, day: date) -> bool:
        return bool(self._day(day))

    def open_day_on_or_after(self, day: date) -> date:
        for _ in range(FARTHEST_DAYS):
            if self.is_open_day(day):
                return day
            day += ONE_DAY
        raise AssertionError(f"{self.name} never opens after {day}")

    def open_day_on_or_before(self, day: date) -> date:
        for _ in range(FARTHEST_DAYS):
            if self.is_open_day(day):
                return day
            day -= ONE_DAY
        raise AssertionError(f"{self.name} never was open before {day}")

    def shift_days(self, day: date, n: int) -> date:
        """The nth open day after ``day`` (before it for negative n)."""
        step = ONE_DAY if n > 0 else -ONE_DAY
        for _ in range(FARTHEST_DAYS):
            if n == 0:
                return day
            day += step
            if self.is_open_day(day):
                n -= 1 if step > timedelta() else -1
        raise AssertionError(f"{self.name} is not open often enough around {day}")

    def opening(self, day: date) -> datetime:
        return self._day(day)[0][0]

    def closing(self, day: date) -> datetime:
        return self._day(day)[-1][1]

    def next_open(self, at: datetime) -> datetime:
        """``at`` itself when open, else the next opening."""
        day = self.local_day(at)
        for _ in range(FARTHEST_DAYS):
            for a, b in self._day(day):
                if at < b:
                    return max(a, at).astimezone(UTC)
            day += ONE_DAY
        raise AssertionError(f"{self.name} never opens after {at}")

    def add(self, at: datetime, minutes: float) -> datetime:
        """The instant when that many open minutes have passed since ``at``."""
        left = timedelta(minutes=minutes)
        day = self.local_day(at)
        for _ in range(FARTHEST_DAYS):
            for a, b in self._day(day):
                start = max(a, at)
                if start < b:
                    if start + left <= b:
                        return (start + left).astimezone(UTC)
                    left -= b - start
            day += ONE_DAY
        raise AssertionError(f"{self.name} is not open often enough after {at}")

    def sub(self, at: datetime, minutes: float) -> datetime:
        """The instant from which that many open minutes remain until ``at``."""
        left = timedelta(minutes=minutes)
        day = self.local_day(at)
        for _ in range(FARTHEST_DAYS):
            for a, b in reversed(self._day(day)):
                end = min(b, at)
                if a < end:
                    if end - left >= a:
                        return (end - left).astimezone(UTC)
                    left -= end - a
            day -= ONE_DAY
        raise AssertionError(f"{self.name} was not open often enough before {at}")

    def minutes_between(self, a: datetime, b: datetime) -> float:
        """Open minutes from ``a`` to ``b``; 0 when b is not later."""
        total = timedelta()
        day = self.local_day(a)
        while day <= self.local_day(b):
            for opens, closes in self._day(day):
                start, end = max(opens, a), min(closes, b)
                if start < end:
                    total += end - start
            day += ONE_DAY
        return total.total_seconds() / 60

    def counted_from(self, at: datetime) -> datetime:
        """When a clock that starts at ``at`` begins to count: open, and not after the cut-off."""
        start = self.next_open(at)
        local = at.astimezone(self.zone)
        if self.is_open_day(local.date()) and local.time() > CUT_OFF:
            start = self.opening(self.shift_days(local.date(), 1))
        return start

    def end_of_business_day(self, start: datetime, n: int) -> datetime:
        """Close of the nth business day after the day of ``start``."""
        return self.closing(self.shift_days(self.local_day(start), n))
