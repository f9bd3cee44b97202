"""The queue of all that waits for an instant: one narrow table, polled by index, claimed by lock.

A claimed row is locked until the transaction ends; whoever wants to set it meanwhile waits, so
nothing that happens during a round is forgotten. Always set timers before touching the rows they
speak of, in the order of their keys: everybody locks in the same order then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert

from db import netting_marks
from db.records import as_json, put
from db.tables import timer

UNIT = "unit"  # a purchase order with its lines, or a shipment: its clocks and whom it hurts
SOURCE = "source"  # the silence of a source
QUEUE = "queue"  # the samples of a queue
PARTNER = "partner"  # what was counted of a partner
GAP = "gap"  # numbers of interchanges that did not come
CASE = "case"  # end of a snooze or of a promise to look after it; "still true"
ESCALATION = "escalation"  # a reminder, or a step up
MAIL_GROUP = "mail_group"  # a collected mail
DIGEST = "digest"  # a daily summary
REPORT = "report"  # a mail by the calendar; made by a loop of its own, not by judging
NETTING = netting_marks.KIND  # supply and demand of an item in a warehouse


@dataclass(frozen=True, slots=True, order=True)
class Timer:
    kind: str
    key: str
    due: datetime


# After a burst the planner, whose statistics are stale, would sort every due row for each claim.
# The other statements of a round are small: compiling them would cost more than running them.
_INDEX_ORDER = text(
    "SET LOCAL jit TO off; SET LOCAL enable_bitmapscan TO off; SET LOCAL enable_sort TO off"
)
_ANY_ORDER = text("SET LOCAL enable_bitmapscan TO on; SET LOCAL enable_sort TO on")


def due_kinds(conn: Connection, now: datetime, limit: int) -> set[str]:
    """Kinds among the first due timers; an index look-up when nothing is due."""
    first = select(timer.c.kind).where(timer.c.due <= now).order_by(timer.c.due).limit(limit)
    return set(conn.execute(select(first.subquery().c.kind).distinct()).scalars())


def claim(
    conn: Connection, kinds: Iterable[str], now: datetime, limit: int
) -> list[Timer]:
    """Lock up to ``limit`` timers of these kinds that are due, earliest first.

    Rows that another worker holds are passed over. Call it once at the start of a transaction.
    """
    conn.execute(_INDEX_ORDER)
    rows = conn.execute(
        select(timer.c.kind, timer.c.key, timer.c.due)
        .where(timer.c.due <= now, timer.c.kind.in_(sorted(kinds)))
        .order_by(timer.c.due)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [Timer(*row) for row in rows.all()]
    conn.execute(_ANY_ORDER)
    return found


def claim_one(conn: Connection, wanted: Timer, now: datetime) -> bool:
    """Lock this timer if it is still due and nobody holds it."""
    row = conn.execute(
        select(timer.c.due)
        .where(timer.c.kind == wanted.kind, timer.c.key == wanted.key, timer.c.due <= now)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    return row is not None


def sooner(conn: Connection, timers: Iterable[Timer]) -> None:
    """Make sure that these ring at their instant or before; earlier ones stay as they are."""
    rows = [
        {"kind": t.kind, "key": t.key, "due": t.due, "generation": 0} for t in _earliest(timers)
    ]
    if not rows:
        return
    given = func.json_to_recordset(text("CAST(:rows AS json)"))
    source = given.table_valued(timer.c.kind, timer.c.key, timer.c.due, timer.c.generation)
    typed = source.render_derived(name="given", with_types=True)
    statement = insert(timer).from_select(
        ["kind", "key", "due", "generation"],
        select(typed.c.kind, typed.c.key, typed.c.due, typed.c.generation),
    )
    conn.execute(
        statement.on_conflict_do_update(
            index_elements=[timer.c.kind, timer.c.key],
            set_={
                "due": func.least(timer.c.due, statement.excluded.due),
                "generation": timer.c.generation + 1,
            },
        ),
        {"rows": as_json(rows)},
    )


def set_(conn: Connection, timers: Iterable[Timer]) -> None:
    """Set these to exactly their instants."""
    rows = [{"kind": t.kind, "key": t.key, "due": t.due} for t in _earliest(timers)]
    put(conn, timer, rows, conflict=("kind", "key"), changed=("due",))


def drop(conn: Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Take these out of the queue: nothing waits for them any more."""
    if keys:
        conn.execute(
            delete(timer).where(tuple_(timer.c.kind, timer.c.key).in_(sorted(keys)))
        )


def next_due(conn: Connection) -> datetime | None:
    """The earliest instant at which something waits."""
    return conn.execute(select(timer.c.due).order_by(timer.c.due).limit(1)).scalar_one_or_none()


def _earliest(timers: Iterable[Timer]) -> list[Timer]:
    """One timer per key, the earliest, in key order."""
    found: dict[tuple[str, str], Timer] = {}
    for t in sorted(timers):
        found.setdefault((t.kind, t.key), t)
    return list(found.values())
