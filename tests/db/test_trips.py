"""Statements asked together, and writes that wait for the next question."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import psycopg
import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from db import audit, engine, planner, trips
from db.driver import raw_cursor
from db.tables import audit_entry
from db.trips import Statement
from tests.statements import listening
from tower.access import EVERYTHING

told = Table("told", MetaData(), Column("n", Integer, primary_key=True))
TELL = Statement("INSERT INTO told (n) VALUES (%(n)s)")
ALL = Statement("SELECT n FROM told ORDER BY n")
ONE = Statement("SELECT %(n)s::int")
MARK = Statement("INSERT INTO figure_mark (week) VALUES (%(week)s)")
MARKS = Statement("SELECT week FROM figure_mark")
NUMBERS = Statement("SELECT number FROM document")


@pytest.fixture
def conn(database: Engine) -> Iterator[Connection]:
    with database.connect() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE told (n int PRIMARY KEY)")
        connection.commit()
        yield connection


def kept(conn: Connection) -> list[int]:
    return [row[0] for row in trips.ask_one(conn, ALL, {})]


def test_answers_come_in_the_order_of_the_questions(conn: Connection) -> None:
    both = Statement("SELECT %(n)s::int AS n, '{\"a\": [1]}'::json AS body", named=True)
    [[first], [second], nothing] = trips.ask(conn, (both, {"n": 1}), (both, {"n": 2}), (ALL, {}))
    assert (first.n, second.n, second.body, nothing) == (1, 2, {"a": [1]}, [])


def test_what_is_told_goes_with_the_next_question_in_its_order(conn: Connection) -> None:
    with listening() as said, trips.gathered(conn):
        trips.tell(conn, TELL, {"n": 1})
        trips.tell(conn, Statement("UPDATE told SET n = n + 1"), {})
        assert said.trips == 0
        assert kept(conn) == [2]
    assert said.trips == 1
    trips.tell(conn, TELL, {"n": 7})
    assert kept(conn) == [2, 7]


def test_what_waits_is_seen_by_every_other_statement_and_by_the_commit(conn: Connection) -> None:
    with trips.gathered(conn):
        trips.tell(conn, TELL, {"n": 1})
        assert conn.execute(select(told.c.n)).scalars().all() == [1]
        trips.tell(conn, TELL, {"n": 2})
        conn.commit()
        conn.rollback()
        assert kept(conn) == [1, 2]


def test_a_rollback_forgets_what_waits_of_its_own_part(conn: Connection) -> None:
    with trips.gathered(conn):
        trips.tell(conn, TELL, {"n": 1})
        with conn.begin_nested() as point:
            trips.tell(conn, TELL, {"n": 2})
            point.rollback()
        assert kept(conn) == [1]
        trips.tell(conn, TELL, {"n": 3})
        conn.rollback()
        assert kept(conn) == []


def test_the_block_sends_what_waits_and_forgets_it_when_it_fails(conn: Connection) -> None:
    with trips.gathered(conn):
        trips.tell(conn, TELL, {"n": 1})
    assert conn.execute(select(told.c.n)).scalars().all() == [1]
    with pytest.raises(IntegrityError):
        twice(conn, 1, ())
    conn.rollback()
    assert kept(conn) == []


@pytest.mark.parametrize("asked", [(), ((ALL, {}),)], ids=["by itself", "before a question"])
def test_a_mistake_is_told_as_that_of_any_statement(
    conn: Connection, asked: tuple[trips.Asked, ...]
) -> None:
    trips.tell(conn, TELL, {"n": 1})
    conn.commit()
    with pytest.raises(IntegrityError, match="INSERT INTO told") as caught:
        twice(conn, 1, asked)
    assert getattr(caught.value.orig, "sqlstate", None) == "23505"
    conn.rollback()
    assert kept(conn) == [1]


def twice(conn: Connection, n: int, asked: tuple[trips.Asked, ...]) -> None:
    with trips.gathered(conn):
        trips.tell(conn, TELL, {"n": n})
        trips.tell(conn, TELL, {"n": n})
        if asked:
            trips.ask(conn, *asked)


def test_only_where_it_is_sent_in_time_does_a_write_wait(database_url: str) -> None:
    other = create_engine(database_url)
    refused = pytest.raises(ValueError, match=r"engines of db\.engine")
    with other.connect() as plain, refused, trips.gathered(plain):
        pass
    other.dispose()


def test_what_waits_stays_before_what_ingest_writes(conn: Connection) -> None:
    assert kept(conn) == []
    refused = pytest.raises(ValueError, match="send them before")
    with trips.gathered(conn):
        trips.tell(conn, TELL, {"n": 1})
        with refused, raw_cursor(conn):
            pass


def test_a_list_that_grows_with_its_values_is_refused(conn: Connection) -> None:
    with pytest.raises(ValueError, match="ANY of an array"):
        trips.ask(conn, (Statement(select(told).where(told.c.n.in_([1, 2]))), {}))


def test_what_flows_is_written_in_order_without_waiting(conn: Connection) -> None:
    with trips.gathered(conn):
        trips.tell(conn, TELL, {"n": 1})
        with trips.flowing(conn):
            trips.tell(conn, Statement("UPDATE told SET n = n + 1"), {})
            trips.tell(conn, TELL, {"n": 1})
        trips.tell(conn, TELL, {"n": 5})
        assert kept(conn) == [1, 2, 5]
    conn.commit()
    with pytest.raises(IntegrityError) as caught:
        flow(conn, 1, 9)
    assert getattr(caught.value.orig, "sqlstate", None) == "23505"
    conn.rollback()
    assert kept(conn) == [1, 2, 5]


def flow(conn: Connection, *numbers: int) -> None:
    with trips.flowing(conn):
        for n in numbers:
            trips.tell(conn, TELL, {"n": n})


def test_a_transaction_begins_with_its_first_question(database: Engine) -> None:
    asked = Statement("SELECT current_setting('timezone'), current_setting('role')")
    with database.connect() as conn:
        with listening() as said, trips.begin(conn):
            [(zone, role)] = trips.ask_one(conn, asked, {})
        with conn.begin():
            known = conn.exec_driver_sql("SELECT current_setting('role')").scalar_one()
    assert (zone, role, said.trips) == ("UTC", known, 1)


def test_a_lost_connection_is_told_and_replaced(database: Engine, database_url: str) -> None:
    own = Statement("SELECT pg_backend_pid()")

    def lose(conn: Connection) -> None:
        with trips.begin(conn):
            pid = trips.ask_one(conn, own, {})[0][0]
            with psycopg.connect(database_url.replace("+psycopg", "")) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            trips.ask(conn, (own, {}), (own, {}))

    with database.connect() as conn:
        with pytest.raises(DBAPIError) as caught:
            lose(conn)
        assert caught.value.connection_invalidated
        with trips.begin(conn):
            assert trips.ask_one(conn, own, {})


def test_the_last_question_brings_the_commit(database: Engine) -> None:
    with database.connect() as conn, listening() as said, trips.begin(conn):
        trips.tell(conn, MARK, {"week": "2026-03-02"})
        assert trips.ask_last(conn, (MARKS, {})) == [[(date(2026, 3, 2),)]]
        assert said.trips == 1
        with database.connect() as other:
            assert trips.ask_one(other, MARKS, {}) == [(date(2026, 3, 2),)]
    with database.connect() as conn:
        with pytest.raises(IntegrityError):
            fail_last(conn)
        assert trips.ask_one(conn, MARKS, {}) == [(date(2026, 3, 2),)]


def fail_last(conn: Connection) -> None:
    with trips.begin(conn):
        trips.tell(conn, MARK, {"week": "2026-03-09"})
        trips.ask_last(conn, (Statement("INSERT INTO figure_mark VALUES (NULL)"), {}))


def test_what_is_to_be_audited_is_written_before_the_commit(database: Engine) -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    with database.connect() as conn, trips.begin(conn):
        audit.record(conn, "kim", "case.note", "case:1", {}, now)
        trips.ask_last(conn, (MARKS, {}))
        assert conn.execute(select(audit_entry.c.action)).scalars().all() == []
    with database.connect() as conn:
        assert conn.execute(select(audit_entry.c.action)).scalars().all() == ["case.note"]


PREPARED = Statement("SELECT statement FROM pg_prepared_statements")


@pytest.mark.parametrize("prepared", [True, False])
def test_a_server_keeps_parsed_what_it_is_let_keep(database_url: str, prepared: bool) -> None:
    made = engine.create(database_url, prepared=prepared, pool_size=1)
    with made.connect() as conn:
        for _ in range(20):
            trips.ask(conn, (MARKS, {}), (ONE, {"n": 1}))
            conn.execute(select(audit_entry.c.n))
        said = {row[0] for row in trips.ask_one(conn, PREPARED, {})}
    assert said >= {"SELECT week FROM figure_mark", "SELECT $1::int"} if prepared else not said
    assert not any("audit_entry" in text for text in said)
    made.dispose()


def test_nothing_of_a_viewer_is_kept_parsed(database_url: str) -> None:
    """The planner leaves policies away for who sees all (db/policies.py): such a plan is not for
    the next viewer of the session."""
    made = engine.create(database_url, prepared=True, pool_size=1)
    with engine.looking(made.connect(), EVERYTHING) as conn:
        trips.ask(conn, (NUMBERS, {}), (ONE, {"n": 1}))
        assert trips.ask_one(conn, PREPARED, {}) == []
    made.dispose()


def test_a_plan_of_another_form_is_left_behind_with_its_session(
    database_url: str, owner_url: str
) -> None:
    """As after an update of the program, whose migrations changed a table meanwhile."""
    made = engine.create(database_url, prepared=True, pool_size=1)
    whole = Statement("SELECT * FROM figure_mark")
    with made.connect() as conn:
        assert trips.ask_last(conn, (whole, {})) == [[]]
    owner = engine.create(owner_url)
    with owner.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE figure_mark ADD COLUMN further int")
    owner.dispose()
    with made.connect() as conn:
        with pytest.raises(DBAPIError, match="must not change result type") as caught:
            trips.ask_one(conn, whole, {})
        assert caught.value.connection_invalidated
    with made.connect() as conn:
        assert trips.ask_one(conn, whole, {}) == []
    made.dispose()


HOW = Statement("SELECT current_setting('enable_seqscan'), current_setting('plan_cache_mode')")


def test_rows_are_found_by_key_until_another_way_of_asking(database: Engine) -> None:
    with database.connect() as conn, trips.begin(conn):
        planner.by_some_key(conn)
        assert trips.ask_one(conn, HOW, {}) == [("off", "force_generic_plan")]
        conn.execute(select(audit_entry.c.n))
        assert trips.ask_one(conn, HOW, {}) == [("on", "force_custom_plan")]
        planner.by_key(conn)
        planner.any_way(conn)
        with listening() as said:
            conn.execute(select(audit_entry.c.n))
        assert len(said.texts) == 2  # how to plan is not said again
        planner.by_key(conn)
    with database.connect() as conn, listening() as said:
        conn.execute(select(audit_entry.c.n))
        assert not any("plan_cache_mode" in query for query in said.texts)


def test_settings_that_follow_each_other_are_said_as_one(database: Engine) -> None:
    with database.connect() as conn, listening() as said, trips.begin(conn):
        planner.any_way(conn)
        planner.by_some_key(conn)
        assert trips.ask_one(conn, HOW, {}) == [("off", "force_generic_plan")]
        assert len([query for query in said.texts if "set_config" in query]) == 1
