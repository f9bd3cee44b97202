"""The pretend distributor at the turns of the year: everything planted is found, nothing else.

Short histories around a change of clocks and the turn of the year; the whole year takes a quarter
of an hour and is played with FULL_YEAR=1.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.acceptance.installation import SHIPPED_RULES
from tower.settings import Settings
from worker.demo.once import run_once
from worker.demo.stage import Options, make_world

SPRING = datetime(2026, 3, 12, 16, tzinfo=UTC)  # New York springs forward on Sunday the 8th
NEW_YEAR = datetime(2027, 1, 6, 16, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 30, 16, tzinfo=UTC)  # a year before it holds both changes of both zones


@pytest.mark.parametrize(
    "as_of",
    [
        pytest.param(SPRING, id="spring", marks=pytest.mark.long),
        pytest.param(NEW_YEAR, id="new year", marks=pytest.mark.long),
    ],
)
def test_a_week_with_a_turn_in_it_finds_what_was_planted(
    as_of: datetime, database_url: str, owner_url: str, tmp_path: Path
) -> None:
    options = Options(days=7, suppliers=10, pos_per_day=8, as_of=as_of)
    told = run_once(_settings(tmp_path, database_url, owner_url), options)
    assert (told["missed"], told["false"]) == ([], [])
    assert told["planted"] > 2
    assert (told["precision"], told["recall"]) == (1.0, 1.0)
    begin = (as_of - timedelta(days=7)).astimezone(ZoneInfo("America/New_York"))
    end = as_of.astimezone(ZoneInfo("America/New_York"))
    assert begin.utcoffset() != end.utcoffset() or begin.year != end.year


@pytest.mark.skipif("FULL_YEAR" not in os.environ, reason="a quarter of an hour; set FULL_YEAR=1")
def test_a_whole_year_finds_what_was_planted(
    database_url: str, owner_url: str, tmp_path: Path
) -> None:
    options = Options(days=365, as_of=AUTUMN)
    told = run_once(_settings(tmp_path, database_url, owner_url), options)
    assert (told["missed"], told["false"]) == ([], [])
    assert (told["precision"], told["recall"]) == (1.0, 1.0)
    assert told["planted"] > 500
    letters = list((tmp_path / "once" / "mailbox").glob("*.eml"))
    assert len(letters) == told["counts"]["mails"]
    subjects = [message_from_bytes(one.read_bytes(), policy=policy.default) for one in letters]
    assert all(letter["Subject"] for letter in subjects)
    # 400 orders that one partner's translator did not confirm are one thing to hear of.
    world = make_world(options, AUTUMN)
    world.advance(AUTUMN)
    hit = {p.subject.rpartition(":")[2] for p in world.planted if "it confirms no order" in p.why}
    assert len(hit) == 400
    texts = [letter.get_body(("plain",)).get_content() for letter in subjects]
    naming = [text for text in texts if hit & set(re.findall(r"\d{10}", text))]
    assert len([text for text in naming if "functional" in text.lower()]) <= 2  # open, and settled


def _settings(home: Path, database_url: str, owner_url: str) -> Settings:
    return Settings(home=home, rules=SHIPPED_RULES, database_url=database_url, owner_url=owner_url)
