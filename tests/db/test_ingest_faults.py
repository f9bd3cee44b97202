"""Ingest under faults: killed at every step, raced by other writers, fenced by its lease."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text

from db import flows, sources
from db.engine import create
from db.ingest import Bookmark, LeaseLost, body_of, store, store_retrying
from db.rebuild import verify
from db.tables import checkpoint, clock, raw_message, source_spell, timer
from tests.db.stories import NET, Teller, again, at, line, message, month, po, released, snapshot
from tower.identity import source_key
from tower.network import Source
from tower.raw import DeadLetter, Heartbeat, Interpretation, Interpreted, Mark, QueueSample, Raw

NOW = at(2000)
POINTS = ("messages", "events", "documents", "bookmarked", "before commit", "after commit")


class PowerCut(Exception):
    pass


def expected(items: Sequence[Interpreted], engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """What is kept of these items in an empty database, which stays empty."""
    with engine.connect() as conn:
        transaction = conn.begin()
        store(conn, items, net=NET, now=NOW)
        found = snapshot(conn)
        transaction.rollback()
    return found


def kept(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    with engine.begin() as conn:
        assert verify(conn) == []
        return snapshot(conn)


@pytest.mark.parametrize("point", POINTS)
def test_a_failure_at_any_step_loses_and_doubles_nothing(database: Engine, point: str) -> None:
    items = month(3, 3)
    before, after = items[: len(items) // 2], items[len(items) // 2 :]
    whole = expected(items, database)
    store_retrying(database, before, net=NET, now=NOW)

    def cut(reached: str) -> None:
        if reached == point:
            raise PowerCut

    untouched = kept(database)
    with pytest.raises(PowerCut):
        store_retrying(database, after, net=NET, now=NOW, probe=cut)
    assert kept(database) == (whole if point == "after commit" else untouched)
    store_retrying(database, after, net=NET, now=NOW)
    assert kept(database) == whole


_KILLED = """
import os, signal, sys
from db.engine import create
from db.ingest import store_retrying
from tests.db.stories import NET, at, month
def cut(reached):
    if reached == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
store_retrying(create(sys.argv[1]), month(3, 3), net=NET, now=at(2000), probe=cut)
"""


@pytest.mark.parametrize("point", ["documents", "before commit", "after commit"])
def test_a_killed_process_loses_and_doubles_nothing(
    database: Engine, database_url: str, point: str
) -> None:
    items = month(3, 3)
    whole = expected(items, database)
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, database_url, point],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    found = kept(database)
    assert found == whole if point == "after commit" else not found["event"]
    store_retrying(database, items, net=NET, now=NOW)
    assert kept(database) == whole


def test_writers_side_by_side_end_as_one_would(database: Engine, database_url: str) -> None:
    items = month(11, 8)
    whole = expected(items, database)
    # Every message comes by two ways, and neighbours in a story by different writers.
    shares = [items[n::4] + items[(n + 1) % 4 :: 4] for n in range(4)]
    wrong: list[Exception] = []
    start = threading.Barrier(len(shares))

    def write(share: list[Interpreted]) -> None:
        engine = create(database_url)
        try:
            start.wait()
            for n in range(0, len(share), 6):
                store_retrying(engine, share[n : n + 6], net=NET, now=NOW)
        except Exception as error:
            wrong.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=write, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not wrong
    assert kept(database) == whole


def test_a_link_and_its_event_stored_at_the_same_time_find_each_other(
    database: Engine, database_url: str
) -> None:
    """One writer is held between its writing and its commit while the other one comes."""
    t = Teller()
    order = t.tell("po.released", released("1"), hours=0, carries=("set:1",))
    verdict = t.tell(
        "fa.received", {"answered": "set", "verdict": "accepted"}, hours=1, answers=("set:1",)
    )
    first_wrote, second_came = threading.Event(), threading.Event()

    def hold(reached: str) -> None:
        if reached == "before commit":
            first_wrote.set()
            second_came.wait(timeout=1)

    other = create(database_url)
    held = threading.Thread(
        target=lambda: store_retrying(other, [order], net=NET, now=NOW, probe=hold)
    )
    held.start()
    assert first_wrote.wait(timeout=30)
    store_retrying(
        database,
        [verdict],
        net=NET,
        now=NOW,
        probe=lambda reached: second_came.set() if reached == "bookmarked" else None,
    )
    held.join(timeout=30)
    other.dispose()
    with database.begin() as conn:
        assert conn.execute(
            text("SELECT fa_status FROM document WHERE kind = 'po' AND line = ''")
        ).scalars().all() == ["accepted"]
        assert verify(conn) == []


def test_a_flow_made_while_a_writer_looks_around_gets_its_link(
    database: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is stored after the order's writer saw no flow of the set, before it locks."""
    t = Teller()
    hop = t.tell("message.sent", {"text": "hop"}, hours=0, system="middleware", correlation="c-1")
    order = t.tell("po.released", released("1"), hours=1, correlation="c-1", carries=("set:1",))
    verdict = t.tell(
        "fa.received", {"answered": "set", "verdict": "accepted"}, hours=2, answers=("set:1",)
    )
    whole = expected(t.told, database)
    store_retrying(database, [hop], net=NET, now=NOW)
    other = create(database_url, timeout_s=30)
    look_around, pending = flows.component, [verdict]

    def meanwhile(cursor: Any, seeds: Any) -> flows.Component:
        found = look_around(cursor, seeds)
        if pending:
            store_retrying(other, [pending.pop()], net=NET, now=NOW)
        return found

    monkeypatch.setattr(flows, "component", meanwhile)
    store_retrying(database, [order], net=NET, now=NOW)
    monkeypatch.undo()
    other.dispose()
    assert not pending
    assert kept(database) == whole


def test_the_same_id_with_other_content_counts_once(database: Engine) -> None:
    t = Teller()
    one = t.tell("po.released", released("1"), hours=0, own_id="e1")
    other = t.tell(
        "message.received", {**po("1"), "asn": "S"}, hours=1, own_id="e2", system="middleware"
    )
    store_retrying(database, [one, other], net=NET, now=NOW)
    # The source uses its id again for an event that lives elsewhere and names the same order.
    event = t.tell(
        "asn.received",
        {
            "asn": "S",
            "supplier": "ACME",
            "lines": [
                {"erp": "main", "po": number, "line": "10", "qty": "1"} for number in ("1", "2")
            ],
        },
        hours=2,
    )
    again_used = message(
        "m9",
        "erp",
        [replace(event.reading.events[0], id=one.reading.events[0].id)],
        at(3),
    )
    assert store_retrying(database, [again_used], net=NET, now=NOW).known_events == 1
    with database.begin() as conn:
        assert verify(conn) == []


# --- bookmarks ----------------------------------------------------------------------------------


def hold_lease(engine: Engine, source: str, holder: str, now: datetime) -> sources.Lease:
    with engine.begin() as conn:
        sources.register(conn, [source])
        lease = sources.claim(conn, source, holder, now)
    assert lease is not None
    return lease


def test_facts_and_bookmark_commit_together_or_not_at_all(database: Engine) -> None:
    lease = hold_lease(database, "erp", "worker 1", at(0))
    t = Teller()
    store_retrying(
        database,
        [t.tell("po.released", released("1"), hours=0)],
        net=NET,
        now=at(1),
        bookmark=Bookmark("erp", "worker 1", lease.epoch, Mark(1, {"page": 2})),
    )
    with database.begin() as conn:
        row = conn.execute(select(checkpoint)).one()
        assert (row.mark, row.newest_at) == ({"version": 1, "value": {"page": 2}}, at(0))
    hold_lease(database, "erp", "worker 2", at(10))
    with pytest.raises(LeaseLost):
        store_retrying(
            database,
            [t.tell("po.released", released("2"), hours=0)],
            net=NET,
            now=at(11),
            bookmark=Bookmark("erp", "worker 1", lease.epoch, Mark(1, {"page": 3})),
        )
    with database.begin() as conn:
        assert conn.execute(select(checkpoint.c.mark)).scalar_one()["value"] == {"page": 2}
        assert [row["number"] for row in snapshot(conn, ["document"])["document"]] == ["1", "1"]


def pulled() -> Any:
    """A network whose ERP is read every minute."""
    every = timedelta(minutes=1)
    feed = Source(kind="rest", format="json", system="erp", every=every)
    return NET.model_copy(update={"sources": {**NET.sources, "erp": feed}})


def beat(conn: Connection, net: Any, when: datetime) -> None:
    store(conn, (), net=net, now=when, heartbeat=Heartbeat("erp", when, when))


def spells(conn: Connection) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for row in conn.execute(
            select(source_spell.c.from_at, source_spell.c.known_at, source_spell.c.to_at)
        )
    ]


def test_a_source_that_was_away_leaves_a_spell_and_wakes_what_it_held(
    connection: Connection,
) -> None:
    net = pulled()
    beat(connection, net, at(0))
    beat(connection, net, at(0.02))
    assert spells(connection) == []
    connection.execute(
        clock.insert().values(
            home_key=42,
            rule="r",
            kind="po",
            scope="main",
            number="1",
            line="",
            cycle=0,
            verdict="unknown",
            open=True,
            rule_hash="h",
            state={},
            held_by="erp",
        )
    )
    beat(connection, net, at(6))
    assert spells(connection) == [(at(0.02), at(0.02) + timedelta(minutes=2), at(6))]
    due = connection.execute(select(timer.c.key, timer.c.due)).all()
    assert [tuple(row) for row in due] == [("42", at(6))]


def test_an_open_spell_ends_with_the_next_good_read(connection: Connection) -> None:
    net = pulled()
    beat(connection, net, at(0))
    connection.execute(source_spell.insert().values(source="erp", from_at=at(0), known_at=at(0.1)))
    beat(connection, net, at(1))
    assert spells(connection) == [(at(0), at(0.1), at(1))]


def test_a_push_beats_with_each_message(connection: Connection) -> None:
    t = Teller()
    store(
        connection,
        [t.tell("po.released", released("1"), hours=1, received=2)],
        net=NET,
        now=at(3),
    )
    row = connection.execute(
        select(checkpoint).where(checkpoint.c.source_key == source_key("erp"))
    ).one()
    assert (row.complete_to, row.newest_at, row.state) == (at(2), at(1), "up")


# --- messages that are not events ---------------------------------------------------------------


def test_an_unreadable_message_is_kept_with_its_cause(connection: Connection) -> None:
    letter = DeadLetter("truncated", "It ends early.", "Ask for it again.", "set:2", 17, "ACME")
    raw = Raw("edi", "k", b"x" * 4000, at(1), "application/edi-x12", {"from": "gw"}, "a.edi")
    bad = Interpreted(raw, Interpretation("x12", 1, dead_letters=(letter,)))
    stored = store(connection, [bad], net=NET, now=at(2))
    assert stored.items[0].outcome == "refused"
    assert (stored.items[0].cause, stored.items[0].advice) == (letter.cause, letter.advice)
    row = connection.execute(text("SELECT * FROM dead_letter")).one()
    assert (row.position, row.byte_offset, row.state, row.partner) == ("set:2", 17, "open", "ACME")
    assert connection.execute(text("SELECT outcome FROM ingest_ledger")).scalar_one() == (
        "quarantined"
    )
    kept_raw = connection.execute(select(raw_message)).one()
    assert (kept_raw.encoding, kept_raw.size) == ("zlib", 4000)
    assert body_of(kept_raw) == raw.body
    assert verify(connection) == []


def test_queue_samples_are_kept_once_and_missing_is_null(connection: Connection) -> None:
    sample = QueueSample("rabbit", "orders", at(1), ready=3)
    for _ in range(2):
        store(connection, (), net=NET, now=at(2), samples=[sample, sample])
    row = connection.execute(text("SELECT ready, in_flight FROM queue_sample")).one()
    assert tuple(row) == (3, None)


def test_an_empty_batch_is_no_error(connection: Connection) -> None:
    assert store(connection, (), net=NET, now=at(1)).events == 0


def test_verify_names_what_is_missing(connection: Connection) -> None:
    t = Teller()
    store(
        connection,
        [t.tell("po.released", released("1", line("10"), line("20")), hours=0)],
        net=NET,
        now=NOW,
    )
    connection.execute(text("DELETE FROM raw_message"))
    connection.execute(text("DELETE FROM event"))
    connection.execute(text("DELETE FROM document WHERE line = '20'"))
    found = {(v.invariant, v.what) for v in verify(connection)}
    assert ("I2", "messages whose events are not all there, or too many") in found
    assert ("I4", "flows that miscount their events") in found
    assert ("I4", "subjects that have no document") in found


def test_a_sighting_of_a_sighting_is_one(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1"), hours=0)
    for _ in range(3):
        store(connection, [item, again(item, at(4))], net=NET, now=NOW)
    assert connection.execute(text("SELECT count(*) FROM sighting")).scalar_one() == 2
