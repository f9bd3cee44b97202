"""Many rows in one statement: the rows travel as one JSON text and become a table on the server.

One parameter and one round trip however many rows; no temporary table, so nothing is left behind
for the next user of a pooled connection. Larger floods (ingest) use COPY.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    Connection,
    Insert,
    Select,
    Table,
    TableValuedAlias,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSON, insert

Record = Mapping[str, Any]


def _plain(value: Any) -> str:
    """Decimals and other exact values as text, which the server reads exactly."""
    return str(value)


def as_json(rows: Sequence[Any]) -> str:
    """JSON text of rows. Postgres texts hold no NUL, so partner text loses it here."""
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


def _source(table: Table, columns: tuple[str, ...]) -> TableValuedAlias:
    typed = [column(name, table.c[name].type) for name in columns]
    rows = cast(bindparam("rows", type_=Text), JSON(none_as_null=True))
    return func.json_to_recordset(rows).table_valued(*typed).render_derived(
        name="given", with_types=True
    )


@lru_cache(maxsize=64)
def _insert(
    table: Table,
    columns: tuple[str, ...],
    conflict: tuple[str, ...],
    changed: tuple[str, ...],
    returning: tuple[str, ...],
) -> Insert:
    given = _source(table, columns)
    chosen: Select[Any] = select(*(given.c[name] for name in columns))
    statement = insert(table).from_select(list(columns), chosen)
    if conflict and changed:
        statement = statement.on_conflict_do_update(
            index_elements=[table.c[name] for name in conflict],
            set_={name: statement.excluded[name] for name in changed},
        )
    elif conflict:
        statement = statement.on_conflict_do_nothing(
            index_elements=[table.c[name] for name in conflict]
        )
    if returning:
        return statement.returning(*(table.c[name] for name in returning))
    return statement


@lru_cache(maxsize=64)
def _update(table: Table, keys: tuple[str, ...], changed: tuple[str, ...]) -> Update:
    given = _source(table, keys + changed)
    return (
        update(table)
        .where(and_(*(table.c[name] == given.c[name] for name in keys)))
        .values({name: given.c[name] for name in changed})
    )


def put(
    conn: Connection,
    table: Table,
    rows: Sequence[Record],
    *,
    conflict: tuple[str, ...] = (),
    changed: tuple[str, ...] = (),
    returning: tuple[str, ...] = (),
) -> list[Any]:
    """Insert rows that all have the same keys; on ``conflict`` update ``changed``, or leave them.

    Rows are written in the order given: sort them by key, so that two writers cannot deadlock.
    """
    if not rows:
        return []
    statement = _insert(table, tuple(rows[0]), conflict, changed, returning)
    result = conn.execute(statement, {"rows": as_json(rows)})
    return list(result) if returning else []


def change(
    conn: Connection, table: Table, rows: Sequence[Record], *, keys: tuple[str, ...]
) -> int:
    """Update rows found by ``keys`` with their other values; how many were found."""
    if not rows:
        return 0
    names = tuple(name for name in rows[0] if name not in keys)
    return conn.execute(_update(table, keys, names), {"rows": as_json(rows)}).rowcount
