"""A connection to read with, for screens and the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from db import engine, migrate
from tower.access import EVERYTHING, Scope
from tower.errors import AccessDenied, DatabaseAway, SchemaOutOfDate

_NO_RIGHT = "42501"

Database = Engine
Asking = Connection


def database(address: str, *, timeout_s: float) -> Database:
    """A database to read from; no statement may take longer than ``timeout_s`` seconds."""
    return engine.create(address, timeout_s=timeout_s)


@contextmanager
def reading(source: Database, scope: Scope = EVERYTHING) -> Iterator[Connection]:
    """One read-only transaction that sees one state of the data in all its statements.

    It runs as the database role of the viewer, so that a read function which forgets the scope
    still finds no row of others (db/policies.py).
    """
    try:
        with engine.looking(source.connect(), scope).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ) as connection:
            yield connection
    except OperationalError as error:
        raise DatabaseAway(_why(error)) from error
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) == _NO_RIGHT and scope.database_role != "service":
            raise AccessDenied("What was asked is not shown to your role.") from error
        # A missing table or column nearly always means that nobody migrated.
        with source.connect() as connection:
            _check_schema(connection)
        raise


def _check_schema(connection: Connection) -> None:
    try:
        migrate.check(connection)
    except SchemaOutOfDate:
        raise
    except OperationalError as error:
        raise DatabaseAway(_why(error)) from error


def _why(error: OperationalError) -> str:
    """A sentence without the address or the statement, which may hold what is nobody's business."""
    state = getattr(error.orig, "sqlstate", None)
    if state == "57014":
        return (
            "The question took too long and was stopped. Choose a shorter period or fewer "
            "suppliers, or try again when the machine is less busy."
        )
    return (
        "The database does not answer. It may be starting or stopping: try again in a moment; if "
        "it stays so, tower doctor says more."
    )
