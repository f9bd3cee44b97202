"""Dead letters that heal, are read again, or are set aside."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from collectors.contract import PARTNER
from db import letters, recoveries
from tests.worker.replaying import REPLAY, Dock, refs
from tower.access import EVERYTHING
from tower.raw import Raw
from tower.replays import REINTERPRET
from worker import pipeline, replay_effects

pytestmark = pytest.mark.rabbitmq


def test_letters_whose_effect_is_seen_without_us_are_recovered(dock: Dock) -> None:
    dock.dead(2)
    dock.applied(1)
    assert replay_effects.recovered(dock.engine, dock.net, dock.clock()) == 1
    assert sorted(letter.state for letter in dock.letters()) == ["open", "resolved"]


def test_only_what_came_since_the_last_look_is_looked_at(dock: Dock) -> None:
    dead = dock.dead(4)
    replay_effects.recovered(dock.engine, dock.net, dock.clock())  # the first look is at all
    dock.now += recoveries.OVERLAP * 2
    replay_effects.recovered(dock.engine, dock.net, dock.clock())
    mark = dock.now
    dock.now += recoveries.OVERLAP * 2
    dock.applied(2)
    types = replay_effects.effect_types(dock.net)
    with dock.engine.connect() as conn:
        assert recoveries.candidates(conn, mark, types) == [dead[2].ref]
    assert replay_effects.recovered(dock.engine, dock.net, dock.clock()) == 1
    assert [one.ref for one in dock.letters("resolved")] == [dead[2].ref]
    # One that was set aside and is open again is looked at anew, the others are not.
    with dock.engine.begin() as conn:
        letters.archive(conn, EVERYTHING, [dead[0].ref], "kim", "old", dock.clock())
    dock.now += recoveries.OVERLAP * 2
    with dock.engine.begin() as conn:
        letters.restore(conn, EVERYTHING, [dead[0].ref], "kim", "needed", dock.clock())
        since = dock.now - recoveries.OVERLAP
        assert recoveries.candidates(conn, since, types) == [dead[0].ref]


def test_two_workers_do_not_look_at_once_and_a_sweep_finds_what_looks_missed(dock: Dock) -> None:
    dock.dead(2)
    with dock.engine.begin() as conn:
        assert recoveries.begin(conn, dock.clock()) == recoveries.Look(None)
    with dock.engine.begin() as one, dock.engine.begin() as other:
        assert recoveries.begin(one, dock.clock()) is not None
        assert recoveries.begin(other, dock.clock()) is None
    dock.applied(1)
    dock.now += recoveries.OVERLAP * 2
    with dock.engine.begin() as conn:  # a look that saw nothing of it
        recoveries.begin(conn, dock.clock())
    dock.now += recoveries.OVERLAP * 2
    assert replay_effects.recovered(dock.engine, dock.net, dock.clock()) == 0
    dock.now += recoveries.SWEEP_EVERY
    assert replay_effects.recovered(dock.engine, dock.net, dock.clock()) == 1


def test_what_could_not_be_read_is_read_again_after_the_network_was_mended(
    dock: Dock, database: Engine
) -> None:
    unknown = Raw(
        "files", "f-1", b'{"po": "4500000001", "at": "2026-03-27T10:00:00Z"}', dock.clock(),
        headers={PARTNER: "ZED"},
    )  # fmt: skip
    pipeline.ingest_raws(database, dock.net, [unknown], now=dock.clock())
    (letter,) = dock.letters("open")
    assert (letter.kind, letter.code) == ("interpret", "unknown_partner")
    early = dock.start([letter.ref], action=REINTERPRET)
    dock.advance()
    assert dock.states(early) == ["returned"]  # nothing was mended yet
    assert [one.state for one in dock.letters()] == ["open"]
    dock.net = dock.network(REPLAY, partner="ZED")
    one = dock.start([letter.ref], action=REINTERPRET)
    dock.advance()
    assert dock.states(one) == ["resolved"]
    assert [one.state for one in dock.letters()] == ["resolved"]
    with database.connect() as conn:
        assert conn.execute(text("SELECT type FROM event")).scalars().all() == ["po.acknowledged"]
    (dead,) = dock.dead(1)
    assert [i.cause.split(":")[0] for i in dock.items(dock.draft([dead.ref], action=REINTERPRET))
            ] == ["was_read"]  # fmt: skip


def test_a_letter_in_replay_is_not_archived(dock: Dock) -> None:
    dead = dock.dead(2)
    dock.start([dead[0].ref])
    dock.advance()
    with pytest.raises(letters.LetterRefused, match="in_replay"), dock.engine.begin() as conn:
        letters.archive(conn, EVERYTHING, refs(dead), "kim", "old", dock.clock())
    with dock.engine.begin() as conn:
        letters.archive(conn, EVERYTHING, [dead[1].ref], "kim", "old", dock.clock())
        letters.restore(conn, EVERYTHING, [dead[1].ref], "kim", "not so old", dock.clock())
