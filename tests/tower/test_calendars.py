"""Working time: every worked example to the second, and laws that hold for any times."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tower.calendars import BeyondHorizon, Calendar, CalendarSpec
from tower.zones import zone

HOURS = timedelta(hours=1)
SPECS = {
    "HQ": CalendarSpec(
        zone="Europe/Berlin",
        open={"mon-fri": ["08:00-12:00", "13:00-17:00"]},
        days={
            "2026-04-03": [],
            "2026-04-06": [],
            "2026-05-01": [],
            "2026-12-24": ["08:00-12:00"],
            "2026-12-25": [],
        },
    ),
    "NIGHT": CalendarSpec(
        zone="Europe/Berlin", open={"mon-sat": ["22:00-06:00"]}, days={"2026-05-01": []}
    ),
    "NY": CalendarSpec(zone="America/New_York", open={"mon-fri": ["09:00-17:00"]}),
    "LH": CalendarSpec(zone="Australia/Lord_Howe", open={"daily": ["22:00-06:00"]}),
    "EDGE": CalendarSpec(zone="Europe/Berlin", open={"daily": ["02:30-06:00"]}),
}
CALENDARS = {name: Calendar(name, spec) for name, spec in SPECS.items()}


def local(name: str, text: str, fold: int = 0) -> datetime:
    """A local time of the calendar's zone in UTC."""
    moment = datetime.fromisoformat(f"2026-{text}").replace(
        tzinfo=zone(SPECS[name].zone), fold=fold
    )
    return moment.astimezone(UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "start", "hours", "due"),
    [
        pytest.param("HQ", "03-27 14:00", 8, "03-30 14:00", id="lunch, weekend, clock change"),
        pytest.param("HQ", "03-27 14:00", 6, "03-30 11:00", id="three quarters of it"),
        pytest.param("HQ", "03-31 12:30", 1, "03-31 14:00", id="start in the lunch break"),
        pytest.param("HQ", "03-28 11:00", 2, "03-30 10:00", id="start on a Saturday"),
        pytest.param("HQ", "03-31 08:00", 4, "03-31 12:00", id="ends at lunch"),
        pytest.param("HQ", "03-31 08:00", 8, "03-31 17:00", id="ends at close"),
        pytest.param("HQ", "04-02 16:00", 8, "04-07 16:00", id="Easter"),
        pytest.param("HQ", "12-23 15:00", 8, "12-28 10:00", id="half day"),
        pytest.param("NIGHT", "03-28 22:00", 8, "03-30 23:00", id="spring night of 7 h"),
        pytest.param("NIGHT", "10-24 22:00", 8, "10-25 05:00", id="autumn night of 9 h"),
        pytest.param("NIGHT", "10-24 22:00", 9, "10-25 06:00", id="autumn night to its end"),
        pytest.param("NIGHT", "03-31 02:00", 5, "03-31 23:00", id="after midnight"),
        pytest.param("NIGHT", "04-30 23:00", 8, "05-02 23:00", id="shift into a holiday"),
        pytest.param("NY", "03-06 16:00", 2, "03-09 10:00", id="clock change at a weekend"),
    ],
)
def test_a_budget_of_open_hours_ends_at_the_worked_instant(
    name: str, start: str, hours: int, due: str
) -> None:
    assert CALENDARS[name].add(local(name, start), hours * HOURS) == local(name, due)


@pytest.mark.parametrize(
    ("name", "start", "hours", "due"),
    [
        ("HQ", "03-27 14:00", 8, "03-30 12:00"),
        ("NIGHT", "03-28 22:00", 8, "03-30 21:00"),
        ("NIGHT", "10-24 22:00", 8, "10-25 04:00"),
        ("NIGHT", "10-24 22:00", 9, "10-25 05:00"),
        ("NIGHT", "10-24 22:00", 4.5, "10-25 00:30"),
        ("NIGHT", "10-24 22:00", 5.5, "10-25 01:30"),
        ("NY", "03-06 16:00", 2, "03-09 14:00"),
    ],
)
def test_a_budget_across_a_clock_change_ends_at_the_worked_utc_instant(
    name: str, start: str, hours: float, due: str
) -> None:
    assert CALENDARS[name].add(local(name, start), hours * HOURS) == utc(due)


def test_half_past_two_comes_twice_on_the_autumn_night() -> None:
    night, start = CALENDARS["NIGHT"], local("NIGHT", "10-24 22:00")
    berlin = zone("Europe/Berlin")
    first = night.add(start, 4.5 * HOURS).astimezone(berlin)
    second = night.add(start, 5.5 * HOURS).astimezone(berlin)
    assert first.strftime("%d %H:%M") == second.strftime("%d %H:%M") == "25 02:30"
    assert (first.fold, second.fold) == (0, 1)


@pytest.mark.parametrize(
    ("name", "start", "days", "due"),
    [
        ("HQ", "03-27 16:59", 1, "03-30 17:00"),
        ("HQ", "03-27 18:00", 1, "03-31 17:00"),
        ("HQ", "04-02 10:00", 2, "04-08 17:00"),
        ("HQ", "12-23 10:00", 1, "12-24 12:00"),
        ("NIGHT", "03-31 02:00", 1, "04-01 06:00"),
    ],
)
def test_a_business_day_ends_at_the_close_of_the_nth_day_after_the_start(
    name: str, start: str, days: int, due: str
) -> None:
    assert CALENDARS[name].end_of_business_day(local(name, start), days) == local(name, due)


@pytest.mark.parametrize(
    ("start", "counted", "four_hours", "one_day"),
    [
        ("04-01 15:00:00", "04-01 15:00", "04-02 10:00", "04-02 17:00"),
        ("04-01 15:00:01", "04-02 08:00", "04-02 12:00", "04-07 17:00"),
        ("03-27 18:00:00", "03-30 08:00", "03-30 12:00", "03-31 17:00"),
    ],
)
def test_the_cut_off_is_inclusive_to_the_second(
    start: str, counted: str, four_hours: str, one_day: str
) -> None:
    hq = CALENDARS["HQ"]
    begin = hq.counted_from(local("HQ", start), time(15))
    assert begin == local("HQ", counted)
    assert hq.add(begin, 4 * HOURS) == local("HQ", four_hours)
    assert hq.end_of_business_day(begin, 1) == local("HQ", one_day)


def test_a_cut_off_before_the_opening_of_a_night_shift_is_the_next_morning() -> None:
    night = CALENDARS["NIGHT"]
    assert night.counted_from(local("NIGHT", "03-31 01:59"), time(2)) == local(
        "NIGHT", "03-31 01:59"
    )
    assert night.counted_from(local("NIGHT", "03-31 02:01"), time(2)) == local(
        "NIGHT", "03-31 22:00"
    )


@pytest.mark.parametrize(
    ("name", "end", "hours", "start"),
    [
        ("HQ", "03-30 10:00", 24, "03-25 10:00"),
        ("HQ", "03-30 12:00", 4, "03-30 08:00"),
        ("HQ", "04-07 10:00", 4, "04-02 15:00"),
        ("NIGHT", "03-29 06:00", 8, "03-28 05:00"),
    ],
)
def test_counting_back_from_an_anchor_ends_at_the_worked_instant(
    name: str, end: str, hours: int, start: str
) -> None:
    assert CALENDARS[name].sub(local(name, end), hours * HOURS) == local(name, start)


@pytest.mark.parametrize(
    ("day", "hours"), [("04-04", 8.5), ("10-03", 7.5)], ids=["autumn", "spring"]
)
def test_lord_howe_shifts_its_clock_by_half_an_hour(day: str, hours: float) -> None:
    calendar = CALENDARS["LH"]
    start = local("LH", f"{day} 22:00")
    assert calendar.between(start, start + 12 * HOURS) == hours * HOURS


def test_an_opening_in_the_gap_is_the_end_of_the_gap() -> None:
    edge = CALENDARS["EDGE"]
    assert edge.next_open(utc("03-29 00:00")) == utc("03-29 01:00")  # 03:00 summer time
    assert edge.between(utc("03-29 00:00"), utc("03-29 12:00")) == 3 * HOURS


def test_a_doubled_opening_is_its_first_occurrence() -> None:
    edge = CALENDARS["EDGE"]
    assert edge.next_open(utc("10-25 00:00")) == utc("10-25 00:30")  # still summer time
    assert edge.between(utc("10-25 00:00"), utc("10-25 12:00")) == 4.5 * HOURS


def test_a_window_swallowed_by_the_gap_is_no_business_day() -> None:
    spec = CalendarSpec(zone="Europe/Berlin", open={"sat": ["09:00-10:00"], "sun": ["02:10-02:50"]})
    calendar = Calendar("gap", spec)
    assert calendar.end_of_business_day(utc("03-28 08:00"), 1) == utc("04-04 08:00")


def test_public_holidays_of_the_region_are_closed() -> None:
    def hq(region: str) -> Calendar:
        return Calendar(
            "hq",
            CalendarSpec.model_validate(
                {
                    "zone": "Europe/Berlin",
                    "open": {"mon-fri": ["08:00-17:00"]},
                    "holidays": {"country": "DE", "region": region},
                }
            ),
        )

    corpus_christi, womens_day = utc("06-04 10:00"), datetime(2027, 3, 8, 10, tzinfo=UTC)
    assert hq("BE").is_open(corpus_christi)
    assert not hq("BY").is_open(corpus_christi)
    assert hq("BY").is_open(womens_day)
    assert not hq("BE").is_open(womens_day)


def test_a_date_of_its_own_is_stronger_than_a_holiday() -> None:
    spec = CalendarSpec.model_validate(
        {
            "zone": "Europe/Berlin",
            "open": {"mon-fri": ["08:00-17:00"]},
            "holidays": {"country": "DE"},
            "days": {"2026-05-01": ["09:00-10:00"]},
        }
    )
    assert Calendar("c", spec).is_open(utc("05-01 07:30"))


def test_beyond_the_compiled_years_a_calendar_answers_with_an_error() -> None:
    with pytest.raises(BeyondHorizon, match="2000 to 2035"):
        CALENDARS["HQ"].add(datetime(2035, 12, 31, 15, tzinfo=UTC), 80 * HOURS)
    with pytest.raises(BeyondHorizon):
        CALENDARS["HQ"].is_open(datetime(1999, 6, 1, tzinfo=UTC))


def test_early_years_are_answered_and_change_no_answer_about_later_ones() -> None:
    night = SPECS["NIGHT"].model_copy(update={"open": {"daily": ["22:00-06:00"]}})
    new_year = datetime(2020, 1, 1, tzinfo=UTC)
    fresh, asked = Calendar("night", night), Calendar("night", night)
    assert asked.between(datetime(2008, 3, 29, 21, tzinfo=UTC), new_year) > 4000 * HOURS
    # The first night compiled began the evening before: it must not depend on what was asked.
    for hours in range(0, 60):
        at = new_year + hours * HOURS
        assert fresh.is_open(at) == asked.is_open(at)
        assert fresh.add(at, 11 * HOURS) == asked.add(at, 11 * HOURS)
        assert fresh.end_of_business_day(at, 2) == asked.end_of_business_day(at, 2)
    assert fresh.is_open(new_year)
    assert fresh.sub(new_year, 40 * HOURS) == asked.sub(new_year, 40 * HOURS)
    # 2006: the last Sunday of March is the 26th; the night before it has seven hours.
    begin = datetime(2006, 3, 25, 21, tzinfo=UTC)
    assert fresh.add(begin, 7 * HOURS) == datetime(2006, 3, 26, 4, tzinfo=UTC)


def test_the_version_changes_with_the_definition_only() -> None:
    again = Calendar("other name", SPECS["HQ"])
    changed = Calendar("HQ", SPECS["HQ"].model_copy(update={"days": {}}))
    assert CALENDARS["HQ"].version == again.version != changed.version


def test_a_midnight_that_does_not_exist_ends_its_day_at_the_gap() -> None:
    # Santiago springs forward at midnight: 5 September 2026 ends as 6 September begins at 01:00.
    calendar = Calendar(
        "scl", CalendarSpec(zone="America/Santiago", open={"daily": ["00:00-24:00"]})
    )
    midnight = calendar.end_of_day(date(2026, 9, 5))
    assert midnight == utc("09-06 04:00")
    assert calendar.between(utc("09-01 00:00"), utc("10-01 00:00")) == 30 * 24 * HOURS


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"zone": "Europe/Berln"}, "not a time zone"),
        ({"zone": "../../etc/passwd"}, "not a time zone"),
        ({"open": {"mon-fri": ["8-12"]}}, "not a window"),
        ({"open": {"mon-fri": ["08:00-12:00", "11:00-13:00"]}}, "overlap"),
        ({"open": {"mon-fry": ["08:00-12:00"]}}, "names no days"),
        ({"open": {"mon-fri": ["08:00-12:00"], "fri": ["08:00-12:00"]}}, "given twice"),
        ({"open": {"mon": ["22:00-06:00"], "tue": ["05:00-08:00"]}}, "runs into tue"),
        ({"open": {}}, "no day is ever open"),
        ({"days": {"2026-13-01": []}}, "not a date"),
        ({"days": {"2050-01-01": []}}, "beyond the years"),
        ({"days": {"2026-04-01": ["22:00-09:00"]}}, "overlaps a neighbouring day"),
        ({"holidays": {"country": "XX"}}, "are not known"),
        ({"holidays": {"country": "DE", "region": "ZZ"}}, "no holiday region"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(broken: dict[str, object], message: str) -> None:
    sound: dict[str, object] = {"zone": "Europe/Berlin", "open": {"mon-fri": ["08:00-17:00"]}}
    CalendarSpec.model_validate(sound)
    with pytest.raises(ValidationError, match=message):
        CalendarSpec.model_validate(sound | broken)


_instants = st.datetimes(datetime(2021, 1, 1), datetime(2034, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)
_lengths = st.timedeltas(timedelta(0), timedelta(hours=400))
_calendars = st.sampled_from(sorted(CALENDARS)).map(CALENDARS.__getitem__)


@settings(max_examples=300, deadline=None)
@given(_calendars, _instants, _lengths, _lengths)
def test_adding_in_two_steps_is_adding_at_once(
    calendar: Calendar, start: datetime, first: timedelta, second: timedelta
) -> None:
    assert calendar.add(calendar.add(start, first), second) == calendar.add(start, first + second)
    assert calendar.sub(calendar.sub(start, first), second) == calendar.sub(start, first + second)


@settings(max_examples=300, deadline=None)
@given(_calendars, _instants, _lengths)
def test_add_and_between_invert_each_other(
    calendar: Calendar, start: datetime, length: timedelta
) -> None:
    due = calendar.add(start, length)
    assert calendar.between(start, due) == length
    assert calendar.between(due, start) == -length
    assert calendar.between(calendar.sub(start, length), start) == length
    if length:
        assert calendar.sub(due, length) == calendar.next_open(start)
        assert calendar.between(start, due - timedelta(microseconds=1)) < length


@settings(max_examples=300, deadline=None)
@given(_calendars, _instants, _instants, _instants)
def test_open_time_adds_up(
    calendar: Calendar, first: datetime, second: datetime, third: datetime
) -> None:
    assert calendar.between(first, second) + calendar.between(second, third) == calendar.between(
        first, third
    )
    begin, end = min(first, second), min(max(first, second), min(first, second) + 2000 * HOURS)
    stretches = list(calendar.segments(begin, end))
    assert sum((b - a for a, b in stretches), timedelta(0)) == calendar.between(begin, end)
    assert all(calendar.is_open(a) for a, _ in stretches)
