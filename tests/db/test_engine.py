"""Engines: what holds inside their transactions, and which database settings mean."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.pq import Format
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from db import embedded, engine
from db.driver import BINARY, Conflict, raw_cursor
from tests.statements import listening
from tower.errors import DatabaseAway
from tower.settings import load


def test_transactions_run_in_utc_and_within_their_times(database_url: str) -> None:
    made = engine.create(database_url, timeout_s=1.0)
    with engine.begin(made) as connection:
        assert connection.scalar(text("SHOW timezone")) == "UTC"
        assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "25s"
        with pytest.raises(DBAPIError, match="statement timeout"):
            connection.execute(text("SELECT pg_sleep(60)"))
        connection.rollback()
    made.dispose()


def test_a_role_and_the_times_end_with_their_transaction(owner_url: str) -> None:
    user = make_url(owner_url).username or ""
    made = engine.create(owner_url, role=user, timeout_s=5, pool_size=1)
    with engine.begin(made) as connection:
        assert connection.scalar(text("SHOW role")) == user
        assert connection.scalar(text("SHOW statement_timeout")) == "5s"
    with made.connect() as connection:
        inner = connection.connection.driver_connection
        assert isinstance(inner, psycopg.Connection)
        # The same session, as a pooler would hand it to the next one: nothing of ours is left.
        assert inner.execute("SHOW role").fetchone() == ("none",)
        assert inner.execute("SHOW statement_timeout").fetchone() == ("0",)
        inner.rollback()
    made.dispose()


def test_a_dead_pooled_connection_is_replaced_unnoticed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "REST_S", 0.0)
    made = engine.create(database_url, pool_size=1)
    with engine.begin(made) as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(database_url.replace("+psycopg", "")) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with engine.begin(made) as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != pid
    made.dispose()


def test_a_connection_at_work_is_not_tried_before_each_transaction(database_url: str) -> None:
    made = engine.create(database_url, pool_size=1)
    with engine.begin(made) as connection:
        connection.execute(text("SELECT 7"))  # and what is said of a new connection
    with listening(pool=True) as said, engine.begin(made) as connection:
        connection.execute(text("SELECT 7"))
    assert [query for query in said.texts if not query.startswith("SET LOCAL")] == ["SELECT 7"]
    made.dispose()


def test_json_comes_back_as_it_went_in(database_url: str) -> None:
    made = engine.create(database_url)
    value = {"name": 'Müller \u2028 "x"', "n": 1.5, "list": [1, None, True]}
    with engine.begin(made) as connection:
        row = connection.execute(
            text("SELECT CAST(:value AS jsonb)").bindparams(value=engine.dump_json(value))
        ).scalar_one()
    assert row == value
    made.dispose()


def test_rows_come_in_binary_form_only_where_asked(database_url: str) -> None:
    made = engine.create(database_url)
    told = """SELECT ARRAY[1, -9223372036854775808]::bigint[], ARRAY[1.5, NULL]::numeric[],
        ARRAY[0.25, 'Infinity']::float8[], date '2026-03-01', true, 'ä', NULL::int[]"""
    with engine.begin(made) as connection:
        asked = text(told).execution_options(**{BINARY: True})
        found = connection.execute(asked)
        assert found.context.cursor.format == Format.BINARY
        usual = connection.execute(text(told))
        assert usual.context.cursor.format == Format.TEXT
        assert found.all() == usual.all()
    made.dispose()


def test_settings_without_an_address_mean_the_embedded_server(tmp_path: Path) -> None:
    settings = load(home=tmp_path / "home")
    with pytest.raises(DatabaseAway, match="tower up"):
        engine.address(settings)
    with embedded.running(settings.home, throwaway=True) as server:
        assert engine.address(settings) == server.app_url
        assert engine.owner_address(settings) == server.owner_url
        made = engine.connect(settings)
        with engine.begin(made) as connection:
            assert connection.scalar(text("SELECT current_user")) == "tower_app"
        made.dispose()


def test_the_owner_of_an_external_database_is_the_same_account_unless_named() -> None:
    both = load(database_url="postgresql://app@db/tower", owner_url="postgresql://owner@db/tower")
    assert engine.owner_address(both) == "postgresql+psycopg://owner@db/tower"
    one = load(database_url="postgresql://app@db/tower")
    assert engine.owner_address(one) == engine.address(one) == "postgresql+psycopg://app@db/tower"


_DEADLOCK = "DO $$ BEGIN RAISE deadlock_detected; END $$"


def test_a_deadlock_of_a_statement_of_the_driver_is_a_conflict(connection: Connection) -> None:
    with pytest.raises(Conflict), raw_cursor(connection) as cursor:
        cursor.execute(_DEADLOCK)


def test_a_deadlock_of_a_statement_beside_it_is_one_too(connection: Connection) -> None:
    with pytest.raises(Conflict), raw_cursor(connection):
        connection.execute(text(_DEADLOCK))
