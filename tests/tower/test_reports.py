"""When mails by the calendar are due: the reader's hour, open days, one name per period."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from tower.calendars import Calendar, CalendarSpec
from tower.reports import Rhythm, Timetable, due_now, month_of

HQ = Calendar(
    "hq",
    CalendarSpec.model_validate(
        {
            "zone": "Europe/Berlin",
            "open": {"mon-fri": ["08:00-17:00"]},
            "days": {"2026-04-03": [], "2026-04-06": []},  # Good Friday, Easter Monday
        }
    ),
)


def table(every: Rhythm, *, always: bool = False) -> Timetable:
    return Timetable(every, "mon", time(7), "Europe/Berlin", None if always else HQ)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


# 07:00 in Berlin is 06:00 UTC in winter and 05:00 in summer; the clock changes on 29 March.
@pytest.mark.parametrize(
    ("every", "after", "due", "period"),
    [
        ("day", "03-26 05:59", "03-26 06:00", "2026-03-26"),
        ("day", "03-26 06:00", "03-27 06:00", "2026-03-27"),
        ("day", "03-27 06:00", "03-30 05:00", "2026-03-30"),
        ("day", "04-02 05:00", "04-07 05:00", "2026-04-07"),
        ("week", "03-23 06:00", "03-30 05:00", "2026-W14"),
        ("week", "03-30 05:00", "04-07 05:00", "2026-W15"),  # Easter Monday moves it
        ("month", "03-02 07:00", "04-01 05:00", "2026-03"),
        ("month", "04-01 05:00", "05-01 05:00", "2026-04"),
        ("month", "07-15 05:00", "08-03 05:00", "2026-07"),  # the first is a Saturday
    ],
)
def test_the_next_report_and_its_period(every: Rhythm, after: str, due: str, period: str) -> None:
    found = table(every).following(at(after))
    assert found is not None
    assert (found.at, found.period) == (at(due), period)
    assert table(every).latest(found.at) == found
    before = table(every).latest(at(after))
    assert before is not None
    assert before.at <= at(after)
    assert before.period < period


def test_without_a_calendar_every_day_counts() -> None:
    found = table("day", always=True).following(at("03-27 06:00"))
    assert found is not None
    assert found.period == "2026-03-28"


def test_after_a_downtime_only_the_latest_is_made() -> None:
    found = due_now(table("day"), at("03-23 06:00"), at("03-26 15:00"))
    assert found is not None
    assert found.period == "2026-03-26"


def test_a_timetable_that_moved_makes_nothing_that_was_not_promised() -> None:
    later = Timetable("day", "mon", time(8), "Europe/Berlin", HQ)
    assert due_now(later, at("03-26 06:00"), at("03-26 06:00")) is None
    earlier = Timetable("day", "mon", time(6), "Europe/Berlin", HQ)
    found = due_now(earlier, at("03-26 06:00"), at("03-26 06:00"))
    assert found is not None
    assert found.period == "2026-03-26"


def test_a_month_begins_and_ends_at_local_midnights() -> None:
    assert month_of("2026-03", "Europe/Berlin") == (at("02-28 23:00"), at("03-31 22:00"))
