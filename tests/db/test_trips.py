"""Statements asked together, and writes that wait for the next question."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from db import trips
from db.driver import raw_cursor
from db.trips import Statement
from tests.statements import listening

told = Table("told", MetaData(), Column("n", Integer, primary_key=True))
TELL = Statement("INSERT INTO told (n) VALUES (%(n)s)")
ALL = Statement("SELECT n FROM told ORDER BY n")


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
