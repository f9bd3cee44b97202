"""Mails that come by the calendar: the digest for leaders, the monthly scorecard of suppliers.

When one is due is decided here: in the reader's own zone, on days on which a calendar is open. Each
due instant has the name of its period, so that one period is told once, however often workers
restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from pydantic import Field

from tower.calendars import WEEKDAYS, Calendar
from tower.rule_parts import Strict
from tower.rule_terms import HourOfDay, Words
from tower.telling import open_that_day
from tower.zones import zone

Rhythm = Literal["day", "week", "month"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

FARTHEST = timedelta(days=70)  # a calendar that is closed for longer has no report days


class Digest(Strict):
    """A mail to leaders: five figures with their change, what needs a decision."""

    to: Words
    """People of network.yaml; each gets it at their own local time."""
    every: Literal["day", "week"] = "day"
    """How often."""
    on: Weekday = "mon"
    """With every: week, the day; if it is closed, the next open one."""
    at: HourOfDay = Field(default_factory=lambda: time(7))
    """Time of day, in the reader's zone."""
    hours: str = "always"
    """Calendar of network.yaml on whose closed days no digest is sent, or always."""
    days: int = Field(default=7, ge=1, le=92)
    """Length of the period of its figures; each is compared with the same length before."""


class ScorecardMail(Strict):
    """Sends scorecards of the month before, on the first open day of each month."""

    to: Words
    """partner.contact: each supplier its own card; people of network.yaml: one mail with all."""
    suppliers: Words = ()
    """Keys of the suppliers meant; without it all that are live."""
    at: HourOfDay = Field(default_factory=lambda: time(8))
    """Time of day, in the reader's zone."""
    hours: str = "hq"
    """Calendar of network.yaml whose open days count, or always."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One due report: when, and the name of its period ("2026-03-27", "2026-W13", "2026-02")."""

    at: datetime
    period: str


@dataclass(frozen=True, slots=True)
class Timetable:
    """When a report is due for one reader. ``hours`` None = every day."""

    every: Rhythm
    on: Weekday
    at: time
    zone: str
    hours: Calendar | None

    def latest(self, now: datetime) -> Slot | None:
        """The last one due at or before an instant; None if none was in the last ten weeks."""
        return next((s for s in self._slots(now, -1) if s.at <= now), None)

    def following(self, now: datetime) -> Slot | None:
        """The next one due after an instant; None if the calendar stays closed for ten weeks."""
        return next((s for s in self._slots(now, 1) if s.at > now), None)

    def _slots(self, now: datetime, step: int) -> Iterator[Slot]:
        local = zone(self.zone)
        today = now.astimezone(local).date()
        for n in range(FARTHEST.days):
            day = today + timedelta(days=step * n)
            period = self._period(day)
            if period is not None:
                yield Slot(self._at(day), period)

    def _period(self, day: date) -> str | None:
        """The period that is told on a day, None if no report is due on it."""
        if self.every == "day":
            return day.isoformat() if self._open(day) else None
        if self.every == "week":
            planned = day - timedelta(days=(day.weekday() - WEEKDAYS.index(self.on)) % 7)
            year, week, _ = planned.isocalendar()
            named = f"{year}-W{week:02d}"
        else:
            planned = day.replace(day=1)
            named = f"{planned - timedelta(days=1):%Y-%m}"
        first = next((d for d in _days(planned, day) if self._open(d)), None)
        return named if first == day else None

    def _open(self, day: date) -> bool:
        return self.hours is None or open_that_day(self.hours, self._at(day))

    def _at(self, day: date) -> datetime:
        return datetime.combine(day, self.at, zone(self.zone)).astimezone(UTC)


def _days(first: date, last: date) -> Iterator[date]:
    for n in range((last - first).days + 1):
        yield first + timedelta(days=n)


def due_now(timetable: Timetable, planned: datetime, now: datetime) -> Slot | None:
    """The report to make when a timer rings that was set for ``planned``.

    After a downtime only the latest one is made. None if the timetable was moved since: what is
    past by the new one was not promised to anybody.
    """
    slot = timetable.latest(now)
    if slot is None:
        return None
    if slot.at >= planned:
        return slot
    local = zone(timetable.zone)
    same_day = slot.at.astimezone(local).date() == planned.astimezone(local).date()
    return slot if same_day else None


def month_of(period: str, zone_name: str) -> tuple[datetime, datetime]:
    """Beginning and end of a month "2026-02" in a zone, aware UTC."""
    local = zone(zone_name)
    first = date.fromisoformat(f"{period}-01")
    after = (first + timedelta(days=32)).replace(day=1)
    begin, end = (datetime.combine(d, time(0), local).astimezone(UTC) for d in (first, after))
    return begin, end
