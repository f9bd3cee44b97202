"""Support ties an answer with a mistyped number to its order, and takes it back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from db import engine as engines
from db import ties
from tests.acceptance import shapes
from tests.acceptance.installation import Installation
from tests.acceptance.papers import answer, order
from tests.acceptance.running import Running
from tower.access import EVERYTHING
from tower.event import ObjectRef
from worker.ties import fulfil_waiting

PROMISED = shapes.promised()
NOW = datetime.now(UTC).replace(microsecond=0)
WRONG, RIGHT = "po:main:4500008010", "po:main:4500008001"


@pytest.fixture
def engine_of(installed: Installation) -> Iterator[Engine]:
    made = engines.create(installed.settings["TOWER_DATABASE_URL"])
    yield made
    made.dispose()


@pytest.fixture
def tower(installed: Installation, engine_of: Engine) -> Running:
    """An order to ACME, and its answer under a number with two signs exchanged."""
    begin = NOW - timedelta(days=1)
    running = Running.start(engine_of, installed, begin)
    when = begin.strftime("%Y%m%d*%H%M")
    far = (NOW + timedelta(days=9)).strftime("%Y%m%d")
    running.drop("inbox/edi", "850.edi", order("4500008001", when, requested=far))
    running.drop("inbox/edi", "855.edi", answer("4500008010", when, date=far, number=2))
    running.step(begin + timedelta(hours=1))
    return running


def status(installed: Installation) -> str | None:
    return str(installed.tower("show", RIGHT, "--json").json["story"]["document"]["answer"])


def test_the_list_says_what_was_tried_and_a_tie_brings_the_answer(
    installed: Installation, tower: Running
) -> None:
    listed = installed.tower("unmatched", "--json").json
    [one] = listed["unmatched"]
    assert one["anchor"] == WRONG
    assert {"basis": "document", "value": WRONG, "outcome": "nobody released it"} in one["attempts"]
    assert one["candidates"][0]["ref"] == RIGHT
    assert "exchanged" in one["candidates"][0]["why"]
    shown = installed.tower("unmatched").out
    assert "exchanged" in shown
    assert "tower tie WHAT ORDER" in shown

    done = installed.tower("tie", WRONG, "4500008001", "--why", "typo", "--by", "kim", "--json")
    assert done.code == 0
    assert shapes.faults(done.json, PROMISED["tie"]) == []
    assert done.json["tie"]["state"] == "standing"
    assert status(installed) == "accepted"
    assert installed.tower("unmatched", "--json").json["unmatched_total"] == 0

    listed = installed.tower("ties", "--json").json
    assert shapes.faults(listed, PROMISED["ties"]) == []
    assert [(t["what"], t["order"], t["made_by"], t["why"]) for t in listed["ties"]] == [
        (WRONG, RIGHT, "kim", "typo")
    ]
    back = installed.tower("untie", WRONG, "--why", "another order", "--json")
    assert back.code == 0
    assert shapes.faults(back.json, PROMISED["untie"]) == []
    assert back.json["tie"]["state"] == "undone"
    assert status(installed) == "none"
    assert installed.tower("unmatched", "--json").json["unmatched_total"] == 1
    assert "another order" in installed.tower("ties").out


def test_a_wish_from_a_screen_is_fulfilled_by_the_worker(
    installed: Installation, engine_of: Engine, tower: Running
) -> None:
    wanted = ObjectRef("po", "main", "4500008001")
    with engine_of.begin() as conn:
        ties.ask(conn, EVERYTHING, WRONG, wanted, why="typo", who="kim", now=NOW)
    assert status(installed) == "none"
    assert fulfil_waiting(engine_of, tower.config.network, NOW) == 1
    assert fulfil_waiting(engine_of, tower.config.network, NOW) == 0
    assert status(installed) == "accepted"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("tie", WRONG, RIGHT), 2, "--why"),
        (("tie", WRONG, RIGHT, "--why", " "), 3, "Say why"),
        (("tie", "nothing", RIGHT, "--why", "x"), 3, "tower unmatched lists"),
        (("tie", WRONG, "4711", "--why", "x"), 3, "no known purchase or customer order"),
        (("untie", WRONG, "--why", "x"), 3, "tower ties lists"),
    ],
)
def test_what_makes_no_sense_is_told(
    installed: Installation, tower: Running, words: tuple[str, ...], code: int, said: str
) -> None:
    told = installed.tower(*words)
    assert told.code == code
    assert said in told.err
    assert installed.tower("ties", "--json").json["ties"] == []
