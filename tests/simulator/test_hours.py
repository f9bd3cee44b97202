"""Our plain hours agree with public holidays and with the tower's calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import holidays
import pytest

from simulator import limits
from simulator.cast import HOURS, make_cast
from simulator.closures import LISTED, closed_days
from simulator.hours import CUT_OFF
from simulator.network_text import network_yaml
from tower.calendars import Calendar
from tower.network import load_network

YEARS = range(2024, 2036)


@pytest.mark.parametrize(
    ("country", "region"), [("US", ""), ("GB", "ENG"), ("DE", "NW"), ("PL", "")]
)
def test_closed_days_are_the_public_holidays(country: str, region: str) -> None:
    for year in YEARS:
        known = holidays.country_holidays(country, subdiv=region or None, years=year)
        assert closed_days(country, region, year) == {day for day in known if day.year == year}


def test_listed_countries_are_closed_at_new_year_of_the_moon_and_on_national_days() -> None:
    assert LISTED == ("CN", "IN")
    assert date(2026, 2, 17) in closed_days("CN", "", 2026)
    assert date(2026, 8, 15) in closed_days("IN", "", 2026)


@pytest.mark.parametrize("name", sorted(HOURS))
def test_hours_and_the_towers_calendar_give_the_same_instants(name: str) -> None:
    text = network_yaml(make_cast(1, 8).suppliers, Path("x"), "http://x", "1m", YEARS)
    calendar = Calendar(name, load_network(text, "network.yaml").calendars[name])
    hours, rng = HOURS[name], Random(name)
    for _ in range(300):
        at = datetime(2025, 6, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(0, 900 * 86400))
        length = timedelta(minutes=rng.randrange(1, 3000))
        minutes = length.total_seconds() / 60
        assert hours.next_open(at) == calendar.next_open(at)
        assert hours.add(at, minutes) == calendar.add(at, length)
        assert hours.sub(at, minutes) == calendar.sub(at, length)
        end = hours.add(at, minutes)
        assert hours.minutes_between(at, end) == pytest.approx(minutes)
        start = hours.counted_from(at)
        assert start == calendar.counted_from(at, CUT_OFF)
        assert hours.end_of_business_day(start, 2) == calendar.end_of_business_day(start, 2)


def test_a_notice_for_friday_is_due_on_wednesday_morning() -> None:
    due = limits.asn_due(date(2026, 3, 27))
    assert due == datetime(2026, 3, 25, 12, 0, tzinfo=UTC)  # 08:00 in Cleveland
