"""Rows that one of many senders makes its own for a while: mails, deliveries to subscribers.

A table of such rows has the columns ``state`` (what still waits is "waiting"), ``next_at`` (when it
is due), ``token`` and ``lease_until`` (whose it is, and until when). A lease that ran out is taken
by the next one; its first holder then finds the token changed, and writes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, or_, select, update


def take(
    conn: Connection,
    table: Table,
    which: ColumnElement[bool],
    now: datetime,
    length: timedelta,
    limit: int,
    told: Collection[Column[Any]],
) -> list[Row[*tuple[Any, ...]]]:
    """Make up to ``limit`` due rows ours, the longest due first; ``told`` of them by their id.

    Commit before anything is done with them. Rows that somebody else is taking are passed over.
    """
    t = table.c
    ready = (
        select(t.id)
        .where(
            which,
            t.state == "waiting",
            t.next_at <= now,
            or_(t.lease_until.is_(None), t.lease_until < now),
        )
        .order_by(t.next_at, t.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(conn.execute(ready).scalars())
    if not ids:
        return []
    ours = (
        update(table)
        .where(t.id.in_(ids))
        .values(token=uuid.uuid4(), lease_until=now + length)
        .returning(*told)
    )
    return sorted(conn.execute(ours), key=lambda row: row.id)


def settle(
    conn: Connection, table: Table, number: int, token: uuid.UUID, values: Mapping[str, Any]
) -> bool:
    """Write what became of a row and give it back; False, and nothing, if it is not ours now."""
    t = table.c
    return bool(
        conn.execute(
            update(table)
            .where(t.id == number, t.token == token, t.state == "waiting")
            .values({**values, "token": None, "lease_until": None})
        ).rowcount
    )


def release(conn: Connection, table: Table, token: uuid.UUID, numbers: Collection[int]) -> None:
    """Give back rows that were not tried."""
    t = table.c
    conn.execute(
        update(table)
        .where(t.id.in_(numbers), t.token == token)
        .values(token=None, lease_until=None)
    )
