"""Many rows in one statement: the rows travel as one JSON text and become a table on the server.

One parameter and one round trip however many rows; no temporary table, so nothing is left behind
for the next user of a pooled connection. Larger floods (ingest) use COPY.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Connection, Table

from db import staging, trips
from db.trips import Statement

Record = Mapping[str, Any]


def _plain(value: Any) -> str:
    """Decimals and other exact values as text, which the server reads exactly."""
    return str(value)


def as_json(rows: Sequence[Any] | Mapping[str, Any]) -> str:
    """JSON text of rows, or of one. Postgres texts hold no NUL, so partner text loses it here."""
    found = orjson.dumps(rows, default=_plain)
    if _NUL in found:
        found = orjson.dumps(_without_nul(orjson.loads(found)))
    return found.decode()


_NUL = b"\\u0000"


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def numbers(values: Iterable[int]) -> str:
    """Whole numbers as an array: ``%(name)s::bigint[]``. Made one by one they cost the driver more
    than finding their rows costs the server."""
    return f"{{{','.join(map(str, values))}}}"


@lru_cache(maxsize=256)
def words(values: frozenset[str] | tuple[str, ...]) -> str:
    """The same of texts that come again and again: ``%(name)s::text[]``."""
    return staging.literal(sorted(values))


def _given(table: Table, columns: Sequence[str], beside: tuple[str, ...]) -> str:
    """Rows as a table "given" on the server: JSON, and beside it arrays of the large values.

    As part of the JSON, reading a large value takes the server longer than writing it; as arrays,
    small values take the driver longer.
    """
    small = [name for name in columns if name not in beside]
    named = ", ".join(f"{_quote(name)} {_type(table, name)}" for name in small)
    source = f"json_to_recordset(%(rows)s::json) AS ({named})"
    if beside:
        arrays = ", ".join(f"%({name})b::text[]" for name in beside)
        named = ", ".join(_quote(name) for name in (*small, *beside))
        return f"ROWS FROM ({source}, unnest({arrays})) AS given ({named})"
    return f"json_to_recordset(%(rows)s::json) AS given ({named})"


def _value(table: Table, name: str, beside: tuple[str, ...]) -> str:
    cast = f"::{_type(table, name)}" if name in beside else ""
    return f"given.{_quote(name)}{cast}"


def _quote(name: str) -> str:
    return trips.DIALECT.identifier_preparer.quote(name)


def _type(table: Table, name: str) -> str:
    return table.c[name].type.compile(trips.DIALECT)


@lru_cache(maxsize=64)
def _insert(
    table: Table,
    columns: tuple[str, ...],
    conflict: tuple[str, ...],
    changed: tuple[str, ...],
    returning: tuple[str, ...],
    beside: tuple[str, ...],
) -> Statement:
    chosen = ", ".join(_value(table, name, beside) for name in columns)
    names = ", ".join(map(_quote, columns))
    given = _given(table, columns, beside)
    text = f"INSERT INTO {_quote(table.name)} ({names}) SELECT {chosen} FROM {given}"  # noqa: S608
    if conflict:
        text += f" ON CONFLICT ({', '.join(map(_quote, conflict))}) DO "
        sets = ", ".join(f"{_quote(name)} = excluded.{_quote(name)}" for name in changed)
        text += f"UPDATE SET {sets}" if changed else "NOTHING"
    if returning:
        text += f" RETURNING {', '.join(map(_quote, returning))}"
    return Statement(text, named=bool(returning))


@lru_cache(maxsize=64)
def _update(
    table: Table, keys: tuple[str, ...], changed: tuple[str, ...], beside: tuple[str, ...]
) -> Statement:
    sets = ", ".join(f"{_quote(name)} = {_value(table, name, beside)}" for name in changed)
    found = " AND ".join(f"old.{_quote(name)} = given.{_quote(name)}" for name in keys)
    given = _given(table, keys + changed, beside)
    name = _quote(table.name)
    return Statement(f"UPDATE {name} AS old SET {sets} FROM {given} WHERE {found}")  # noqa: S608


def _values(rows: Sequence[Record], beside: tuple[str, ...]) -> dict[str, Any]:
    if not beside:
        return {"rows": as_json(rows)}
    small = [{name: v for name, v in row.items() if name not in beside} for row in rows]
    large: dict[str, Any] = {name: [as_json(row[name]) for row in rows] for name in beside}
    return {"rows": as_json(small), **large}


def put(
    conn: Connection,
    table: Table,
    rows: Sequence[Record],
    *,
    conflict: tuple[str, ...] = (),
    changed: tuple[str, ...] = (),
    returning: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
) -> list[Any]:
    """Insert rows that all have the same keys; on ``conflict`` update ``changed``, or leave them.

    Rows are written in the order given: sort them by key, so that two writers cannot deadlock.
    Without ``returning`` it waits for the next question where writes do (db/trips.py).
    ``beside``: columns of JSON, never null, that are large.
    """
    if not rows:
        return []
    asked = putting(table, rows, conflict, changed, returning, beside)
    if returning:
        return trips.ask_one(conn, *asked)
    trips.tell(conn, *asked)
    return []


def putting(
    table: Table,
    rows: Sequence[Record],
    conflict: tuple[str, ...] = (),
    changed: tuple[str, ...] = (),
    returning: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
) -> trips.Asked:
    """What ``put`` says of at least one row, to be said together with something else."""
    statement = _insert(table, tuple(rows[0]), conflict, changed, returning, beside)
    return statement, _values(rows, beside)


def change(
    conn: Connection,
    table: Table,
    rows: Sequence[Record],
    *,
    keys: tuple[str, ...],
    beside: tuple[str, ...] = (),
) -> None:
    """Update rows found by ``keys`` with their other values, like ``put``."""
    if rows:
        names = tuple(name for name in rows[0] if name not in keys)
        trips.tell(conn, _update(table, keys, names, beside), _values(rows, beside))
