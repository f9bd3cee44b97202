"""The one queue: claimed in order of time, by one worker each, and never set later by mistake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, select

from db import timers
from db.tables import timer
from db.timers import Timer

NOW = datetime(2026, 3, 30, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rows(conn: Connection) -> list[tuple[str, str, datetime]]:
    query = select(timer.c.kind, timer.c.key, timer.c.due).order_by(timer.c.key)
    return [(row[0], row[1], row[2]) for row in conn.execute(query)]


def test_sooner_never_puts_off(connection: Connection) -> None:
    timers.sooner(connection, [Timer("unit", "1", NOW)])
    timers.sooner(connection, [Timer("unit", "1", NOW + MINUTE), Timer("unit", "2", NOW)])
    timers.sooner(connection, [Timer("unit", "2", NOW - MINUTE), Timer("unit", "2", NOW + MINUTE)])
    assert rows(connection) == [("unit", "1", NOW), ("unit", "2", NOW - MINUTE)]
    timers.set_(connection, [Timer("unit", "1", NOW + MINUTE)])
    assert rows(connection)[0] == ("unit", "1", NOW + MINUTE)
    timers.drop(connection, [("unit", "2"), ("unit", "9")])
    assert timers.next_due(connection) == NOW + MINUTE
    timers.sooner(connection, [])
    timers.drop(connection, [])


def test_the_earliest_due_are_claimed_and_others_stay(connection: Connection) -> None:
    timers.sooner(
        connection,
        [Timer("unit", str(n), NOW - n * MINUTE) for n in range(5)]
        + [Timer("unit", "later", NOW + MINUTE), Timer("case", "7", NOW)],
    )
    assert [t.key for t in timers.claim(connection, ["unit"], NOW, 3)] == ["4", "3", "2"]
    waiting = timers.look(connection, NOW, 10, 3)
    assert waiting == timers.Waiting(NOW - 4 * MINUTE, {"unit", "case"}, ["4", "3", "2"])
    earlier = timers.look(connection, NOW - 3 * MINUTE, 10, 3)
    assert (earlier.kinds, earlier.units) == ({"unit"}, ["4", "3"])
    assert timers.claim(connection, ["digest"], NOW, 3) == []


def test_two_workers_never_claim_the_same(database: Engine) -> None:
    with database.begin() as conn:
        timers.sooner(conn, [Timer("unit", str(n), NOW) for n in range(4)])
    with database.begin() as first, database.begin() as second:
        mine = timers.claim(first, ["unit"], NOW, 2)
        theirs = timers.claim(second, ["unit"], NOW, 10)
        assert len(mine) == len(theirs) == 2
        assert not {t.key for t in mine} & {t.key for t in theirs}
        assert not timers.claim_one(second, mine[0], NOW)
        assert timers.claim_one(second, theirs[0], NOW)


def test_the_planner_sorts_again_after_a_claim(connection: Connection) -> None:
    timers.claim(connection, ["unit"], NOW, 1)
    shown = connection.exec_driver_sql("SHOW enable_sort").scalar_one()
    assert shown == "on"
