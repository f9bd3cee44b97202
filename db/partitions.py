"""Month partitions of raw_message and queue_sample, made when a month first needs one.

The program's account owns no table; a function of the owner makes the partition for it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from psycopg import Cursor

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
