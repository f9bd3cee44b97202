"""Numbers of interchanges that came, per sender and receiver, and which of them are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection, select, text

from db import staging
from db.arrivals import Item
from db.tables import exception_case
from db.timers import GAP
from tower.sequences import Gap, Island, gaps

SETTLE = timedelta(minutes=15)
"""Files of one hour arrive in any order: only then is a number called missing."""

# Whoever told a number first keeps it, whatever the order in which two batches commit.
_KEEP = (
    "INSERT INTO control_number (stream, number, source, key, received_at) "
    "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::timestamptz[]) "
    "ON CONFLICT (stream, number) DO UPDATE SET source = EXCLUDED.source, key = EXCLUDED.key, "
    "received_at = EXCLUDED.received_at WHERE (EXCLUDED.received_at, EXCLUDED.source, EXCLUDED.key)"
    " < (control_number.received_at, control_number.source, control_number.key)"
)
_RING = (
    "INSERT INTO timer (kind, key, due, generation) "
    "SELECT %s, given.key, given.due, 1 FROM unnest(%s::text[], %s::timestamptz[]) "
    "AS given (key, due) ON CONFLICT (kind, key) DO UPDATE SET "
    "due = LEAST(timer.due, EXCLUDED.due), generation = timer.generation + 1"
)
_ISLANDS = text(
    "SELECT min(number), max(number), min(received_at), "
    "(array_agg(source ORDER BY received_at, source))[1] FROM ("
    "SELECT number, received_at, source, number - row_number() OVER (ORDER BY number) AS island "
    "FROM control_number WHERE stream = :of) AS told GROUP BY island ORDER BY 1"
)


def keep(cursor: Cursor[Any], items: Iterable[Item]) -> None:
    """Keep the numbers of these messages, and have each stream looked at when things settled.

    A new number closes a gap at once: then the look is due now, not after the time to settle.
    """
    told: dict[tuple[str, int], tuple[datetime, str, str]] = {}
    for item in items:
        source, key = item.identity
        for control in item.reading.controls:
            place = (staging.storable(control.stream), control.number)
            word = (item.raw.received_at, source, key)
            told[place] = min(word, told.get(place, word))
    if not told:
        return
    rows = sorted(told.items())
    cursor.execute(
        _KEEP,
        (
            [stream for (stream, _), _ in rows],
            [number for (_, number), _ in rows],
            [source for _, (_, source, _) in rows],
            [key for _, (_, _, key) in rows],
            [at for _, (at, _, _) in rows],
        ),
    )
    due: dict[str, datetime] = {}
    for (stream, _), (at, _, _) in rows:
        due[stream] = min(at, due.get(stream, at))
    streams = sorted(due)
    cursor.execute(_RING, (GAP, streams, [due[stream] for stream in streams]))


def missing(conn: Connection, stream: str) -> Sequence[Gap]:
    """The gaps of a stream, lowest first, also those that are younger than ``SETTLE``."""
    return gaps([Island(*row) for row in conn.execute(_ISLANDS, {"of": stream})])


def with_open_case(conn: Connection, streams: Iterable[str]) -> set[str]:
    """Those of the streams of which a case says that numbers are missing."""
    c = exception_case.c
    asked = select(c.number).where(
        c.kind == "stream", c.state != "resolved", c.number.in_(sorted(streams))
    )
    return set(conn.execute(asked).scalars())
