"""The queue of all that waits for an instant: one narrow table, polled by index, claimed by lock.

A claimed row is locked until the transaction ends; whoever wants to set it meanwhile waits, so
nothing that happens during a round is forgotten. Always set timers before touching the rows they
speak of, in the order of their keys: everybody locks in the same order then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from db import netting_marks, trips
from db.records import as_json, put
from db.staging import literal
from db.tables import timer
from db.trips import Statement

UNIT = "unit"  # a purchase order with its lines, or a shipment: its clocks and whom it hurts
SOURCE = "source"  # the silence of a source
QUEUE = "queue"  # the samples of a queue
PARTNER = "partner"  # what was counted of a partner
GAP = "gap"  # numbers of interchanges that did not come
CASE = "case"  # end of a snooze or of a promise to look after it; "still true"
ESCALATION = "escalation"  # a reminder, or a step up
MAIL_GROUP = "mail_group"  # a collected mail
DIGEST = "digest"  # a daily summary
LEAD_TIME = "lead_time"  # all suppliers beside their plan, once a day
REPORT = "report"  # a mail by the calendar; made by a loop of its own, not by judging
NETTING = netting_marks.KIND  # supply and demand of an item in a warehouse


@dataclass(frozen=True, slots=True, order=True)
class Timer:
    kind: str
    key: str
    due: datetime


_LOOK = Statement(
    """
    WITH first AS MATERIALIZED (
        SELECT kind, key FROM timer WHERE due <= %(now)s ORDER BY due LIMIT %(limit)s)
    SELECT (SELECT due FROM timer ORDER BY due LIMIT 1),
           ARRAY(SELECT DISTINCT kind FROM first),
           ARRAY(SELECT key FROM first WHERE kind = %(kind)s LIMIT %(some)s)
    """
)
_CLAIM_THESE = Statement(
    """
    SELECT key FROM timer WHERE kind = %(kind)s AND key = ANY(%(keys)s::text[]) AND due <= %(now)s
    ORDER BY key FOR UPDATE SKIP LOCKED
    """
)
_CLAIM = Statement(
    """
    SELECT kind, key, due FROM timer WHERE due <= %(now)s AND kind = ANY(%(kinds)s)
    ORDER BY due LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    """
)
_NEXT = Statement("SELECT due FROM timer ORDER BY due LIMIT 1")
_DROP = Statement(
    """
    DELETE FROM timer t USING unnest(%(kinds)s::text[], %(keys)s::text[]) AS gone (kind, key)
    WHERE t.kind = gone.kind AND t.key = gone.key
    """
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in the queue.

    following  the earliest instant at which something does
    kinds      those among the first that are due
    units      keys of the first units that are due
    """

    following: datetime | None
    kinds: set[str]
    units: Sequence[str]


def look(conn: Connection, now: datetime, limit: int, units: int) -> Waiting:
    """What waits, with at most so many units; an index look-up when nothing is due."""
    given = {"now": now, "limit": limit, "kind": UNIT, "some": units}
    [(following, kinds, keys)] = trips.ask_one(conn, _LOOK, given)
    return Waiting(following, set(kinds), keys)


def claiming(kind: str, keys: Sequence[str], now: datetime) -> trips.Asked:
    """Asks to lock these if they are still due; the keys of those that nobody else holds."""
    return _CLAIM_THESE, {"kind": kind, "keys": literal(keys), "now": now}


def claim(conn: Connection, kinds: Iterable[str], now: datetime, limit: int) -> list[Timer]:
    """Lock up to ``limit`` timers of these kinds that are due, earliest first.

    Rows that another worker holds are passed over. Call it once at the start of a transaction in
    which rows are found by key (db/planner.py).
    """
    rows = trips.ask_one(conn, _CLAIM, {"now": now, "kinds": sorted(kinds), "limit": limit})
    return [Timer(*row) for row in rows]


def claim_one(conn: Connection, wanted: Timer, now: datetime) -> bool:
    """Lock this timer if it is still due and nobody holds it."""
    row = conn.execute(
        select(timer.c.due)
        .where(timer.c.kind == wanted.kind, timer.c.key == wanted.key, timer.c.due <= now)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    return row is not None


_SOONER = Statement(
    """
    INSERT INTO timer AS t (kind, key, due, generation)
    SELECT kind, key, due, 0
      FROM json_to_recordset(%(rows)s::json) AS given (kind text, key text, due timestamptz)
    ON CONFLICT (kind, key) DO UPDATE
       SET due = least(t.due, excluded.due), generation = t.generation + 1
    """
)


def sooner(conn: Connection, timers: Iterable[Timer]) -> None:
    """Make sure that these ring at their instant or before; earlier ones stay as they are."""
    rows = [{"kind": t.kind, "key": t.key, "due": t.due} for t in _earliest(timers)]
    if rows:
        trips.tell(conn, _SOONER, {"rows": as_json(rows)})


def set_(conn: Connection, timers: Iterable[Timer]) -> None:
    """Set these to exactly their instants."""
    rows = [{"kind": t.kind, "key": t.key, "due": t.due} for t in _earliest(timers)]
    put(conn, timer, rows, conflict=("kind", "key"), changed=("due",))


def move(conn: Connection, kind: str, due: Iterable[tuple[str, datetime]]) -> None:
    """Set timers of this kind that the caller has claimed: in any order, each once."""
    # Not as an update: the planner would join with a guess of how many timers there are.
    rows = [{"kind": kind, "key": key, "due": at} for key, at in due]
    put(conn, timer, rows, conflict=("kind", "key"), changed=("due",))


def drop(conn: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Take these out of the queue: nothing waits for them any more."""
    if keys:
        named = sorted(keys)
        given = {"kinds": [kind for kind, _ in named], "keys": [key for _, key in named]}
        trips.tell(conn, _DROP, given)


def next_due(conn: Connection) -> datetime | None:
    """The earliest instant at which something waits."""
    found = trips.ask_one(conn, _NEXT, {})
    return found[0][0] if found else None


def commit(conn: Connection) -> datetime | None:
    """End the transaction; the earliest instant at which something waits then, but for what others
    are about to set."""
    [found] = trips.ask_last(conn, (_NEXT, {}))
    return found[0][0] if found else None


def _earliest(timers: Iterable[Timer]) -> list[Timer]:
    """One timer per key, the earliest, in key order."""
    found: dict[tuple[str, str], Timer] = {}
    for t in sorted(timers):
        found.setdefault((t.kind, t.key), t)
    return list(found.values())
