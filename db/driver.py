"""The driver's own cursor, which COPY needs, inside a transaction that SQLAlchemy holds."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import Cursor
from psycopg.pq import Format
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from tower.errors import TowerError

WAITING = "tower.trips"  # where a connection keeps writes that wait (db/trips.py)
PREPARES = "tower.prepares"  # of a connection that lets the server keep statements parsed
BINARY = "tower_binary"  # option of a statement: its rows come in binary form


class Conflict(TowerError):
    """Another transaction changed the same rows: roll back and store the batch again."""


_RACES = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


@contextlib.contextmanager
def raw_cursor(conn: Connection) -> Iterator[Cursor[Any]]:
    """A cursor of the driver inside the caller's transaction.

    Races become Conflict, other errors those that SQLAlchemy raises, so that callers can tell a
    database that is away from a mistake of ours.
    """
    if not conn.in_transaction():
        raise ValueError("ingest writes inside a transaction of its caller; begin one")
    driver = of_driver(conn)
    if conn.info.get(WAITING):
        raise ValueError("writes wait for the next question (db/trips.py); send them before")
    try:
        with driver.cursor() as cursor:
            yield cursor
    except _RACES as error:
        raise Conflict(f"Another writer was faster: {error}") from error
    except DBAPIError as error:  # of a statement that went by way of SQLAlchemy
        if isinstance(error.orig, _RACES):
            raise Conflict(f"Another writer was faster: {error.orig}") from error
        raise
    except psycopg.Error as error:
        raise as_sqlalchemy(conn, error) from error


def of_driver(conn: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection, inside the caller's transaction."""
    driver = conn.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("the driver must be psycopg 3 (postgresql+psycopg://...)")
    return driver


def binary_where_asked(engine: Engine) -> None:
    """Rows of statements with the option BINARY come in binary form: arrays of numbers cost the
    server half, and reading them a third."""

    @event.listens_for(engine, "before_cursor_execute")
    def choose(_: Connection, cursor: Any, *rest: Any) -> None:
        context = rest[2]
        if context is not None and context.execution_options.get(BINARY):
            cursor.format = Format.BINARY


def as_sqlalchemy(conn: Connection, error: psycopg.Error, said: str = "ingest") -> BaseException:
    """The error that SQLAlchemy raises for one of the driver. Put away are a lost connection and
    one that keeps plans for tables as they were before an update."""
    driver = conn.connection.driver_connection
    away = isinstance(driver, psycopg.Connection) and (driver.closed or driver.broken)
    away = away or error.diag.source_function == "RevalidateCachedQuery"
    if away:
        conn.invalidate()
    return DBAPIError.instance(
        said,
        None,
        error,
        psycopg.Error,
        connection_invalidated=bool(away),
        dialect=conn.dialect,
    )


@contextlib.contextmanager
def no_garbage() -> Iterator[None]:
    """No collection during a batch: it makes many objects and no cycles."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
