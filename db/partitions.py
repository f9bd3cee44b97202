"""Month partitions of raw_message and queue_sample, made when a month first needs one.

The program's account owns no table; a function of the owner makes the partition for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection

from db.driver import raw_cursor

PARTITIONED = ("raw_message", "queue_sample")


def month_of(moment: datetime) -> date:
    """First day of the calendar month, in UTC, of an aware instant."""
    day = moment.astimezone(UTC)
    return date(day.year, day.month, 1)


def ensure(cursor: Cursor[Any], table: str, month: date) -> None:
    """Make the partition if it is missing, in the caller's transaction."""
    if table not in PARTITIONED:
        raise ValueError(f"{table} has no month partitions")
    cursor.execute("SELECT add_month_partition(%s, %s)", (table, month))


def ensure_all(conn: Connection, table: str, moments: Iterable[datetime]) -> None:
    """Make the partitions in which these instants lie, in the caller's transaction."""
    with raw_cursor(conn) as cursor:
        for month in sorted(set(map(month_of, moments))):
            ensure(cursor, table, month)
