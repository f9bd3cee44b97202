"""A newer interpretation replaces the former one as if the former had never been."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from db.ingest import store
from db.rebuild import verify
from db.reinterpret import reinterpret, reread
from tests.db.stories import NET, Teller, at, line, message, month, released, snapshot
from tower.identity import derived_event_id
from tower.raw import DeadLetter, Interpretation, Interpreted

NOW = at(2000)
LATER = at(2100)
TABLES = ("document", "flow", "flow_link", "event", "event_object", "peg")


def newer(item: Interpreted, *others: Interpreted) -> Interpreted:
    """The same message as a newer version reads it: telling what these others tell."""
    events = tuple(
        event
        if other is item
        else replace(
            event,
            id=derived_event_id(item.raw.source, item.raw.key, str(event.id), event.type),
            source=item.raw.source,
            raw_key=item.raw.key,
        )
        for other in others
        for event in other.reading.events
    )
    return Interpreted(item.raw, Interpretation("test", 2, events=events))


@example(seed=1242, orders=4, mix=163)  # an id that only a shipment of several orders names
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 10_000), orders=st.integers(1, 4), mix=st.integers(0, 1_000_000))
def test_what_a_newer_version_reads_is_all_that_is_left(
    engine_of_run: Engine, seed: int, orders: int, mix: int
) -> None:
    chance = random.Random(mix)
    items = month(seed, orders)
    # Each chosen message is read as what another one says, or as nothing.
    chosen = [item for item in items if chance.random() < 0.3]
    spare = chosen.copy()
    chance.shuffle(spare)
    read = [
        newer(item, *([other] if chance.random() < 0.7 else []))
        for item, other in zip(chosen, spare, strict=True)
    ]
    by_key = {one.raw.key: one for one in read}
    with engine_of_run.connect() as conn:
        transaction = conn.begin()
        store(conn, [by_key.get(item.raw.key, item) for item in items], net=NET, now=NOW)
        wanted = snapshot(conn, TABLES)
        transaction.rollback()
        transaction = conn.begin()
        store(conn, items, net=NET, now=NOW)
        reinterpret(conn, read, net=NET, now=LATER)
        assert verify(conn) == []
        assert snapshot(conn, TABLES) == wanted
        transaction.rollback()


def test_a_fact_that_stays_keeps_its_id_and_is_not_touched(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1"), hours=0)
    store(connection, [item], net=NET, now=NOW)
    connection.execute(text("UPDATE event_object SET applied_at = now()"))
    done = reinterpret(connection, [newer(item, item)], net=NET, now=LATER)
    assert done.events == 0
    assert (
        connection.execute(
            text("SELECT count(*) FROM event_object WHERE applied_at IS NULL")
        ).scalar_one()
        == 0
    )
    versions = connection.execute(text("SELECT version FROM interpretation ORDER BY 1"))
    assert versions.scalars().all() == [1, 2]


def test_a_correction_shows_in_the_document(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1", line("10", "5", price="2")), hours=0)
    better = t.tell("po.released", released("1", line("10", "50", price="2")), hours=0)
    store(connection, [item], net=NET, now=NOW)
    corrected = replace(better.reading.events[0], id=item.reading.events[0].id, raw_key="m1")
    reading = Interpretation("test", 2, events=(corrected,))
    reinterpret(connection, [Interpreted(item.raw, reading)], net=NET, now=LATER)
    row: Any = connection.execute(text("SELECT * FROM document WHERE line = '10'")).one()
    assert (row.ordered_qty, row.value) == (50, 100)
    due = connection.execute(text("SELECT due FROM timer WHERE kind = 'unit'")).scalar_one()
    assert due <= LATER
    assert verify(connection) == []


def test_letters_of_the_former_reading_are_superseded(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1"), hours=0)
    letter = DeadLetter("unknown_partner", "Nobody has this id.", "Add it.")
    refused = Interpreted(item.raw, Interpretation("test", 1, dead_letters=(letter,)))
    store(connection, [refused], net=NET, now=NOW)
    worse = Interpreted(item.raw, Interpretation("test", 2, dead_letters=(letter,)))
    reinterpret(connection, [worse], net=NET, now=LATER)
    reinterpret(
        connection,
        [Interpreted(item.raw, Interpretation("test", 3, events=item.reading.events))],
        net=NET,
        now=LATER,
    )
    letters = connection.execute(text("SELECT attempt, state FROM dead_letter ORDER BY 1")).all()
    assert [tuple(one) for one in letters] == [(1, "superseded"), (2, "superseded")]
    assert connection.execute(text("SELECT outcome FROM ingest_ledger")).scalar_one() == (
        "interpreted"
    )


def test_a_version_that_was_there_changes_nothing(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1"), hours=0)
    store(connection, [item], net=NET, now=NOW)
    assert reinterpret(connection, [item], net=NET, now=LATER).items[0].outcome == "repeated"


def test_a_message_that_is_not_kept_is_a_mistake_of_the_caller(connection: Connection) -> None:
    with pytest.raises(ValueError, match="store it first"):
        reinterpret(connection, [message("m", "erp", [], at(0))], net=NET, now=LATER)


def test_the_same_version_under_another_network_is_a_revision_of_its_own(
    connection: Connection,
) -> None:
    t = Teller()
    item = t.tell("po.released", released("1", line("10", "5")), hours=0)
    better = t.tell("po.released", released("1", line("10", "50")), hours=0)
    store(connection, [item], net=NET, now=NOW)
    corrected = replace(better.reading.events[0], id=item.reading.events[0].id, raw_key="m1")
    reading = Interpretation("test", 1, events=(corrected,))
    (done,) = reread(connection, [Interpreted(item.raw, reading)], net=NET, now=LATER, by="kim")
    assert done.changed
    assert [e["id"] for e in done.withdrawn] == [e["id"] for e in done.added]
    rows = connection.execute(
        text("SELECT revision, read_by, taken_back FROM interpretation ORDER BY revision")
    ).all()
    assert [(row.revision, row.read_by) for row in rows] == [(1, ""), (2, "kim")]
    (former,) = rows[0].taken_back
    assert former["data"]["lines"][0]["qty"] == "5"
    assert rows[1].taken_back == []
    assert verify(connection) == []
    (again,) = reread(connection, [Interpreted(item.raw, reading)], net=NET, now=LATER, by="kim")
    assert not again.changed


def test_letters_alone_make_a_revision(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1"), hours=0)
    letter = DeadLetter("unknown_partner", "Nobody has this id.", "Add it.")
    store(connection, [item], net=NET, now=NOW)
    reading = replace(item.reading, dead_letters=(letter,))
    (done,) = reread(connection, [Interpreted(item.raw, reading)], net=NET, now=LATER)
    assert done.changed
    assert not done.withdrawn
    assert not done.added
    assert done.result.dead_letters == 1


def test_an_older_version_never_takes_the_place_of_a_newer(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1"), hours=0)
    newest = Interpreted(item.raw, replace(item.reading, version=5))
    store(connection, [newest], net=NET, now=NOW)
    nothing = Interpreted(item.raw, Interpretation("test", 4))
    assert not reread(connection, [nothing], net=NET, now=LATER)[0].changed
