"""Marks of weeks whose documents or clocks changed since figures were counted (db/rollups.py).

Who marks never waits: each mark is a row of its own. It is part of the transaction that changes
something, so that whoever counts sees the mark and the change, or neither and counts again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection

from db import trips
from db.records import numbers, words
from db.trips import Statement

HEADERS = ("po", "asn", "invoice")
"""Kinds whose families are counted by the week of their release."""

NO_RELEASE = date.min
"""Stands for the week of documents of which no release is known."""

_WEEK_US = 7 * 86_400_000_000
_MONDAY_US = -3 * 86_400_000_000  # 1969-12-29, in microseconds since 1970

_MARK = (
    "INSERT INTO figure_mark (week) SELECT coalesce(date '1969-12-29' + 7 * week, "
    "date '0001-01-01') FROM unnest(%s::int[]) AS week"
)


def week_of(released: int | None) -> int | None:
    """Number of the week of an instant in microseconds since 1970; None for no release."""
    return None if released is None else (released - _MONDAY_US) // _WEEK_US


def mark(cursor: Cursor[Any], weeks: Iterable[int | None]) -> None:
    """Documents of these weeks (``week_of``) changed."""
    told = ",".join("NULL" if week is None else str(week) for week in weeks)
    if told:
        cursor.execute(_MARK, (f"{{{told}}}",))


_OF_HOMES = Statement(
    """
    INSERT INTO figure_mark (week)
    SELECT DISTINCT coalesce(
        date_trunc('week', timezone('UTC', released_at))::date, date '0001-01-01')
      FROM document
     WHERE home_key = ANY(%(homes)s::bigint[]) AND kind = ANY(%(kinds)s::text[]) AND line = ''
    """
)


def mark_homes(conn: Connection, homes: Iterable[int]) -> None:
    """Clocks of these homes changed."""
    wanted = sorted(set(homes))
    if wanted:
        trips.tell(conn, _OF_HOMES, {"homes": numbers(wanted), "kinds": words(HEADERS)})
