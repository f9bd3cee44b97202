"""A large message stored part by part, so that its size costs no memory.

Each part is a transaction of its own, not one for all. One transaction over minutes would hold the
rows of every order it touched for all that time: whoever reports on one of them waits, two such
writers meet in opposite order sooner or later, and a deadlock or a kill at the end costs
everything. A part locks its homes for a moment, in the order of all writers.

- ``begin`` keeps the bytes and a ledger row with the outcome ``pending``.
- ``add`` keeps the events of a part, with their origins and all that follows from them; the ledger
  counts them, so that each commit leaves a state that is right by itself: documents that so far
  heard of these events, nothing half.
- ``finish`` keeps what is known at the end: findings, dead letters, partner, control numbers, the
  outcome. The source's bookmark belongs into its transaction.

Killed in between, the source still has the message and brings it again: ``begin`` finds it
pending, and the parts are told once more from the start. Ids of events follow from the message, so
those that are kept already are seen to be ours and left alone; whatever the network has become
meanwhile, nothing is lost or doubled. So it is for two writers at once: they queue at the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from psycopg import Cursor
from sqlalchemy import Connection, Engine

from db import arrivals, beats, control_numbers, messages, partitions, staging
from db.arrivals import Item
from db.beats import Told
from db.driver import Conflict, no_garbage, raw_cursor
from db.families import partner_id
from db.ingest import ALONE_AFTER, TRIES, ItemResult, body_of
from db.spreading import Spreading
from db.tallies import Tally
from tower.documents import Owners
from tower.network import Network
from tower.raw import DeadLetter, Interpretation, Interpreted, Raw
from tower.registers import microseconds

PENDING = "pending"
Done = TypeVar("Done")

_READING = (
    "INSERT INTO interpretation (item_key, source, key, interpreter, version, at, outcome, "
    "n_events, findings) SELECT item_key, source, key, interpreter, version, read_at, outcome, "
    "n_events, convert_from(%s, 'UTF8')::json FROM ingest_ledger "
    "WHERE item_key = %s AND source = %s AND key = %s"
)


@dataclass(slots=True)
class Pending:
    """A message on its way in. The counts are of this run.

    kept      events that an earlier run kept and this one has not told yet
    version   of the interpreter that began it: what it kept is read again when a newer one is asked
    events    how many were told; ``known`` of them by another message, or twice by this one
    """

    item: Item
    version: int
    kept: set[UUID] = field(default_factory=set)
    events: int = 0
    known: int = 0
    documents: int = 0
    newest: datetime | None = None

    @property
    def raw(self) -> Raw:
        return self.item.raw


def retrying(engine: Engine, work: Callable[[Connection, bool], Done]) -> Done:
    """Do this in a transaction of its own; on Conflict roll back and repeat.

    It is told whether it is a repetition, which looks at events with more care.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            with engine.begin() as conn:
                if attempt > ALONE_AFTER:
                    conn.exec_driver_sql(
                        "SELECT pg_advisory_xact_lock(hashtextextended('tower.ingest', 0))"
                    )
                return work(conn, attempt > 1)
        except Conflict:
            if attempt == TRIES:
                raise


def begin(
    conn: Connection, raw: Raw, interpreter: str, version: int, now: datetime
) -> Pending | None:
    """Keep the bytes of a new message, or take up one that never came to its end.

    None if it is known and whole. The message given back has the receipt, and the bytes, of the
    first time.
    """
    reading = Interpretation(interpreter, version)
    (item,), _ = arrivals.unique([Interpreted(raw, reading)])
    here = (item.item_key, *item.identity)
    with raw_cursor(conn) as cursor:
        staging.prepare(cursor)
        cursor.execute(
            "SELECT outcome, sha256, received_at, version FROM ingest_ledger "
            "WHERE item_key = %s AND source = %s AND key = %s FOR UPDATE",
            here,
        )
        row = cursor.fetchone()
        if row is None:
            partitions.ensure(cursor, "raw_message", partitions.month_of(raw.received_at))
            messages.write(cursor, [item], now)
            cursor.execute(
                "UPDATE ingest_ledger SET outcome = %s "
                "WHERE item_key = %s AND source = %s AND key = %s",
                (PENDING, *here),
            )
            return Pending(item, version)
        outcome, sha256, received_at, begun_by = row
        if outcome != PENDING:
            return None
        raw = replace(raw, received_at=received_at)
        if bytes(sha256) != item.sha256:
            raw = replace(raw, body=_body(cursor, here))  # the first bytes count
        (item,), _ = arrivals.unique([Interpreted(raw, reading)])
        return Pending(item, min(version, begun_by), _kept(cursor, here))


def add(
    conn: Connection,
    pending: Pending,
    part: Interpretation,
    *,
    net: Network,
    now: datetime,
    careful: bool = False,
) -> None:
    """Keep the events of the next part. A Conflict means: roll back and add it again.

    ``pending`` is changed only where this returns.
    """
    item = replace(pending.item, reading=part, n_known=0, homes=set())
    found = arrivals.events_of([item])
    twice = item.n_known
    with raw_cursor(conn) as cursor, no_garbage():
        staging.prepare(cursor)
        _lock(cursor, item)
        # Those of an earlier run were counted when they were kept.
        kept = pending.kept & found.keys()
        for event_id in kept:
            del found[event_id]
        gathered = arrivals.gather(found)
        known = messages.known_events(cursor, gathered, careful=careful)
        for event_id in known:
            del found[event_id]
        if known:
            gathered = arrivals.gather(found)
        messages.write_events(cursor, gathered)
        messages.write_origins(cursor, item, without=kept | _placed(cursor, item, known))
        written, _ = Spreading(cursor, Owners.of(net), now).spread(gathered)
        n_known = twice + len(known)
        tally = Tally()
        for event, _ in found.values():
            tally.take(event, microseconds(event.occurred_at), item.heard)
        cursor.execute(
            "UPDATE ingest_ledger SET n_events = n_events + %s, n_known = n_known + %s, "
            "homes = homes || %s::bigint[] WHERE item_key = %s AND source = %s AND key = %s",
            (
                len(found) + n_known,
                n_known,
                staging.numbers(sorted(item.homes)),
                item.item_key,
                *item.identity,
            ),
        )
        tally.write(cursor)
    pending.events += len(part.events)
    pending.known += n_known
    pending.documents += written
    pending.kept -= kept
    latest = max((event.occurred_at for event in part.events), default=None)
    if latest is not None and (pending.newest is None or pending.newest < latest):
        pending.newest = latest


def finish(
    conn: Connection,
    pending: Pending,
    reading: Interpretation,
    *,
    letters: Iterable[DeadLetter] = (),
    net: Network,
    now: datetime,
    told: Sequence[Told] = (),
) -> Interpretation:
    """Keep what is known at the end of a message, and that it came to its end.

    ``reading`` has findings, dead letters, partner and control numbers of the whole; ``letters``
    are of what could not be stored. Returns the reading that is kept, without its events.
    """
    whole = replace(
        reading,
        version=pending.version,
        events=(),
        origins={},
        dead_letters=(*reading.dead_letters, *letters),
    )
    outcome = "quarantined" if whole.dead_letters and not pending.events else "interpreted"
    item = replace(pending.item, reading=whole, n_known=0, homes=set())
    here = (item.item_key, *item.identity)
    with raw_cursor(conn) as cursor:
        staging.prepare(cursor)
        _lock(cursor, item)
        # What is kept of it counts: n_events - n_known are its rows in ``event``.
        cursor.execute(
            "UPDATE ingest_ledger SET outcome = %s, n_events = n_events - n_known + %s, "
            "n_known = %s, homes = ARRAY(SELECT DISTINCT home FROM unnest(homes) AS home "
            "ORDER BY home), version = %s, read_at = %s "
            "WHERE item_key = %s AND source = %s AND key = %s",
            (outcome, pending.known, pending.known, pending.version, now, *here),
        )
        if whole.findings:
            cursor.execute(_READING, (staging.dumped([*map(messages.told, whole.findings)]), *here))
        messages.write_letters(cursor, item, now)
        if whole.partner is not None:
            cursor.execute(
                "UPDATE raw_message SET partner_id = %s "
                "WHERE item_key = %s AND source = %s AND key = %s AND received_at = %s",
                (partner_id(whole.partner), *here, item.raw.received_at),
            )
        control_numbers.keep(cursor, [item])
    brought = {item.raw.source: beats.Brought(pending.newest, item.raw.received_at)}
    beats.keep(conn, net=net, now=now, brought=brought, told=told)
    return whole


def result_of(whole: Interpretation, events: int) -> ItemResult:
    """What is told of a message whose events were stored in parts."""
    if not whole.dead_letters:
        return ItemResult("accepted", events)
    letter = whole.dead_letters[0]
    return ItemResult(
        "accepted" if events else "refused",
        events,
        len(whole.dead_letters),
        letter.cause,
        letter.advice,
    )


def _lock(cursor: Cursor[Any], item: Item) -> None:
    cursor.execute(
        "SELECT 1 FROM ingest_ledger WHERE item_key = %s AND source = %s AND key = %s FOR UPDATE",
        (item.item_key, *item.identity),
    )


def _placed(cursor: Cursor[Any], item: Item, known: set[UUID]) -> set[UUID]:
    """Those of these events of which this message has told before where their fields stand."""
    if not known:
        return set()
    cursor.execute(
        "SELECT event_id FROM origin WHERE item_key = %s AND source = %s AND key = %s "
        "AND event_id = ANY(%s::uuid[])",
        (item.item_key, *item.identity, "{" + ",".join(one.hex for one in known) + "}"),
    )
    return {row[0] for row in cursor.fetchall()}


def _kept(cursor: Cursor[Any], here: tuple[int, str, str]) -> set[UUID]:
    """The events that this message has told so far."""
    cursor.execute(
        "SELECT event_id FROM event WHERE home_key = ANY((SELECT homes FROM ingest_ledger "
        "WHERE item_key = %s AND source = %s AND key = %s)::bigint[]) "
        "AND source = %s AND raw_key = %s",
        (*here, *here[1:]),
    )
    return {row[0] for row in cursor.fetchall()}


def _body(cursor: Cursor[Any], here: tuple[int, str, str]) -> bytes:
    cursor.execute(
        "SELECT encoding, body FROM raw_message WHERE item_key = %s AND source = %s AND key = %s",
        here,
    )
    return body_of(_Body(*cursor.fetchall()[0]))


class _Body(NamedTuple):
    """What ``body_of`` needs of a row."""

    encoding: str
    body: bytes
