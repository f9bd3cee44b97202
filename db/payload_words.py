"""The words of raw messages, written after ingest so that ingest does not wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection

from db import staging
from db.driver import raw_cursor
from db.ingest import body_of
from tower import search_words

AT_ONCE = 1000  # messages of one step
SETTLE = timedelta(seconds=1)  # messages of the last second may still be on their way
OVERLAP = timedelta(seconds=60)  # a slow commit: received before the mark, seen after it
SWEEP = timedelta(hours=26)  # how far back latecomers are looked for
SWEEP_EVERY = timedelta(hours=1)
SLICE = timedelta(hours=1)  # of time that one query looks at, while catching up
LONGEST_SLICE = timedelta(days=7)
FORGET_EVERY = timedelta(days=1)

_NAME = "payload"
_FORGOTTEN = "payload forgotten"
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('tower.payload_text', 0))"
_COLUMNS = "item_key, source, key, received_at, partner_id, words, cut"
_NEW = (
    "SELECT r.item_key, r.source, r.key, r.received_at, r.partner_id, r.name, r.headers, "
    "r.encoding, r.size, r.body FROM raw_message r WHERE r.received_at >= %s "
    "AND r.received_at < %s AND NOT EXISTS (SELECT 1 FROM payload_text p "
    "WHERE p.item_key = r.item_key AND p.source = r.source AND p.key = r.key) LIMIT %s"
)


@dataclass(frozen=True, slots=True)
class Written:
    """What a step did: messages written, how far all are written, and whether there is more."""

    messages: int
    upto: datetime | None
    more: bool
    slice: timedelta


def write_next(conn: Connection, now: datetime, part: timedelta = SLICE) -> Written:
    """Write the words of the next messages in the caller's transaction.

    ``part`` is the stretch of time to look at; the answer says which to use next. One worker
    writes at a time; the others have nothing to do.
    """
    with raw_cursor(conn) as cursor:
        cursor.execute(_LOCK)
        if not _value(cursor):
            return Written(0, None, False, part)
        cursor.execute("SELECT upto, swept_at FROM text_mark WHERE name = %s", (_NAME,))
        mark = cursor.fetchone()
        if mark is None:
            cursor.execute("SELECT min(received_at) FROM raw_message")
            first = _value(cursor)
            if first is None:
                return Written(0, None, False, part)
            mark = (first, now)
        upto, swept = mark
        end = min(upto + part, now - SETTLE)
        if end <= upto:
            return Written(0, upto, False, part)
        sweeping = now - swept >= SWEEP_EVERY
        begin = upto - (SWEEP if sweeping else OVERLAP)
        cursor.execute(_NEW, (begin, end, AT_ONCE))
        rows = cursor.fetchall()
        lines = [_line(row) for row in rows]
        if lines:
            staging.copy(cursor, "payload_text", _COLUMNS, lines)
        full = len(rows) == AT_ONCE
        if not full:
            upto = end
            swept = now if sweeping else swept
        cursor.execute(
            "INSERT INTO text_mark (name, upto, swept_at) VALUES (%s, %s, %s) "
            "ON CONFLICT (name) DO UPDATE SET upto = excluded.upto, swept_at = excluded.swept_at",
            (_NAME, upto, swept),
        )
        part = max(part / 2, timedelta(seconds=1)) if full else min(part * 2, LONGEST_SLICE)
        return Written(len(rows), upto, full or end < now - SETTLE, part)


def forget_due(conn: Connection, now: datetime) -> int:
    """Once a day, by one worker, remove the words of messages whose bytes are gone; how many."""
    with raw_cursor(conn) as cursor:
        cursor.execute(_LOCK)
        if not _value(cursor):
            return 0
        cursor.execute("SELECT swept_at FROM text_mark WHERE name = %s", (_FORGOTTEN,))
        last = _value(cursor)
        if last is not None and now - last < FORGET_EVERY:
            return 0
        cursor.execute(
            "INSERT INTO text_mark (name, upto, swept_at) VALUES (%s, %s, %s) "
            "ON CONFLICT (name) DO UPDATE SET upto = excluded.upto, swept_at = excluded.swept_at",
            (_FORGOTTEN, now, now),
        )
    return forget_expired(conn)


def forget_expired(conn: Connection) -> int:
    """Remove the words of messages whose bytes are gone; how many were."""
    with raw_cursor(conn) as cursor:
        cursor.execute(
            "DELETE FROM payload_text p WHERE NOT EXISTS (SELECT 1 FROM raw_message r "
            "WHERE r.item_key = p.item_key AND r.source = p.source AND r.key = p.key)"
        )
        return cursor.rowcount


def _value(cursor: Cursor[Any]) -> Any:
    row = cursor.fetchone()
    return None if row is None else row[0]


class _Body:
    """A row of `raw_message` as ``body_of`` wants it."""

    def __init__(self, encoding: str, body: bytes) -> None:
        self.encoding = encoding
        self.body = body


def _line(row: Any) -> str:
    item_key, source, key, received, partner, name, headers, encoding, size, body = row
    kept = body_of(_Body(encoding, body))[: search_words.MOST_BYTES]
    texts = [name, *(f"{one} {value}" for one, value in (headers or {}).items())]
    words, cut = search_words.words_of([*texts, search_words.decoded(kept)])
    cut = cut or size > search_words.MOST_BYTES
    return (
        f"{item_key}\t{staging.text(source)}\t{staging.text(key)}\t{received}\t"
        f"{staging.NULL if partner is None else partner}\t{' '.join(words)}\t"
        f"{'t' if cut else 'f'}"
    )
