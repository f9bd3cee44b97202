"""Ingest: what a collector read becomes facts, in one transaction with its bookmark.

``store`` works inside the caller's transaction; ``store_retrying`` opens its own, and repeats it
when another writer was faster. Arriving twice, in another order or in other batches never changes
the result.

Tables are written in one order by everybody (ledger, events, flows, links, documents, pegs, timers,
checkpoint), rows sorted by key: writers queue behind each other and do not deadlock.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection, Engine

from db import arrivals, beats, control_numbers, messages, partitions, staging, subscriptions
from db.arrivals import Item
from db.beats import Bookmark, Brought, LeaseLost, Told
from db.driver import Conflict, no_garbage, raw_cursor
from db.spreading import Spreading
from db.tallies import Tally
from tower.documents import Owners
from tower.network import Network
from tower.raw import Heartbeat, Interpretation, Interpreted, QueueSample, Sample
from tower.registers import microseconds

Probe = Callable[[str], None]
"""Called with the name of each fail-point; tests kill or raise there."""

TRIES = 8
ALONE_AFTER = 4  # tries after which repeated batches queue behind each other


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one raw message.

    outcome       accepted, repeated (known key), refused (nothing of it was readable)
    events        events it yielded; dead_letters parts of it that could not be used
    cause, advice of the first dead letter
    """

    outcome: str
    events: int = 0
    dead_letters: int = 0
    cause: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch did.

    items      one result per raw message, in the order given
    events     new events; ``known_events`` had been told by an earlier message
    documents  document rows written
    homes      homes whose documents may have changed
    """

    items: tuple[ItemResult, ...] = ()
    events: int = 0
    known_events: int = 0
    dead_letters: int = 0
    documents: int = 0
    samples: int = 0
    homes: frozenset[int] = frozenset()


def _nothing(_: str) -> None:
    pass


def store(
    conn: Connection,
    items: Sequence[Interpreted],
    *,
    net: Network,
    now: datetime,
    samples: Sequence[Sample] = (),
    heartbeat: Heartbeat | None = None,
    bookmark: Bookmark | None = None,
    also: Sequence[Told] = (),
    brought: Mapping[str, Brought] | None = None,
    probe: Probe | None = None,
    careful: bool = False,
) -> Stored:
    """Store a batch in the caller's transaction; Conflict or LeaseLost mean: roll it back.

    ``also``: heartbeats and bookmarks of further sources whose messages are in the same batch.
    ``brought`` is what messages say about their sources; of itself that of ``items``. Who stores a
    batch in parts keeps it back with the bookmark, until all of them are stored.
    ``careful`` also looks for events whose id was told before with other content; it is asked for
    after a conflict.
    """
    probe = probe or _nothing
    with raw_cursor(conn) as cursor, no_garbage():
        if items:
            staging.prepare(cursor)
        _make_partitions(cursor, items, samples)
        stored = Stored()
        if items:
            spreading = Spreading(cursor, Owners.of(net), now)
            stored = _store_items(conn, cursor, items, spreading, probe, careful)
        written = beats.sample(conn, samples, now) if samples else 0
        if brought is None:
            brought = brought_by(items)
        told = [Told(heartbeat, bookmark), *also]
        if brought or any(one.source for one in told):
            beats.keep(conn, net=net, now=now, brought=brought, told=told)
        probe("bookmarked")
    return replace(stored, samples=written)


def _store_items(
    conn: Connection,
    cursor: Cursor[Any],
    items: Sequence[Interpreted],
    spreading: Spreading,
    probe: Probe,
    careful: bool,
) -> Stored:
    firsts, repeats = arrivals.unique(items)
    known = messages.known_keys(cursor, firsts)
    new = [item for item in firsts if item.identity not in known]
    found = arrivals.events_of(new)
    gathered = messages.gather_unknown(cursor, found, careful=careful)
    messages.write(cursor, new, spreading.now)
    probe("messages")
    messages.write_events(cursor, gathered)
    probe("events")
    written, homes = spreading.spread(gathered)
    control_numbers.keep(cursor, new)
    tally = Tally()
    for event, item in found.values():
        tally.take(event, microseconds(event.occurred_at), item.heard)
    tally.write(cursor)
    subscriptions.tell_events(cursor, arrivals.homed(found), spreading.now)
    probe("documents")
    if known or repeats:
        again = [(item.raw, item) for item in firsts if item.identity in known]
        messages.note_again(conn, cursor, again + repeats, known)
    return Stored(
        items=_results(items, new),
        events=len(found),
        known_events=sum(item.n_known for item in new),
        dead_letters=sum(len(item.reading.dead_letters) for item in new),
        documents=written,
        homes=homes,
    )


def _results(items: Sequence[Interpreted], new: Sequence[Item]) -> tuple[ItemResult, ...]:
    accepted = {item.index for item in new}
    return tuple(
        result_of(one.reading) if index in accepted else ItemResult("repeated")
        for index, one in enumerate(items)
    )


def result_of(reading: Interpretation) -> ItemResult:
    """What is told of a message that was taken."""
    if not reading.dead_letters:
        return _accepted(len(reading.events))
    letter = reading.dead_letters[0]
    return ItemResult(
        "refused" if reading.outcome == "quarantined" else "accepted",
        len(reading.events),
        len(reading.dead_letters),
        letter.cause,
        letter.advice,
    )


@lru_cache(maxsize=256)
def _accepted(events: int) -> ItemResult:
    """Most results are alike."""
    return ItemResult("accepted", events)


def store_retrying(
    engine: Engine,
    items: Sequence[Interpreted],
    *,
    net: Network,
    now: datetime,
    samples: Sequence[Sample] = (),
    heartbeat: Heartbeat | None = None,
    bookmark: Bookmark | None = None,
    also: Sequence[Told] = (),
    brought: Mapping[str, Brought] | None = None,
    probe: Probe | None = None,
) -> Stored:
    """Store a batch in a transaction of its own; on Conflict roll back and repeat."""
    attempt = 0
    while True:
        attempt += 1
        try:
            with engine.begin() as conn:
                if attempt > ALONE_AFTER:
                    conn.exec_driver_sql(
                        "SELECT pg_advisory_xact_lock(hashtextextended('tower.ingest', 0))"
                    )
                stored = store(
                    conn,
                    items,
                    net=net,
                    now=now,
                    samples=samples,
                    heartbeat=heartbeat,
                    bookmark=bookmark,
                    also=also,
                    brought=brought,
                    probe=probe,
                    careful=attempt > 1,
                )
                if probe is not None:
                    probe("before commit")
        except Conflict:
            if attempt == TRIES:
                raise
        else:
            if probe is not None:
                probe("after commit")
            return stored


def body_of(row: Any) -> bytes:
    """The bytes as received of a `raw_message` row (needs its ``encoding`` and ``body``)."""
    body = bytes(row.body)
    return zlib.decompress(body) if row.encoding == "zlib" else body


def _make_partitions(
    cursor: Cursor[Any], items: Sequence[Interpreted], samples: Sequence[Sample]
) -> None:
    # Asked for by every batch (0.1 ms): a month remembered here may have been rolled back since.
    received = {one.raw.received_at for one in items}
    months = {("raw_message", month) for month in set(map(partitions.month_of, received))}
    sampled = [one.at for one in samples if isinstance(one, QueueSample)]
    months |= {("queue_sample", month) for month in map(partitions.month_of, sampled)}
    for table, month in sorted(months):
        partitions.ensure(cursor, table, month)


def brought_by(items: Sequence[Interpreted]) -> dict[str, Brought]:
    """What these messages say about the sources they came from."""
    newest: dict[str, datetime] = {}
    received: dict[str, datetime] = {}
    for one in items:
        source, at = one.raw.source, one.raw.received_at
        known = received.get(source)
        if known is None or at > known:
            received[source] = at
        for event in one.reading.events:
            latest = newest.get(source)
            if latest is None or event.occurred_at > latest:
                newest[source] = event.occurred_at
    return {source: Brought(newest.get(source), at) for source, at in received.items()}


__all__ = [
    "Bookmark",
    "Brought",
    "Conflict",
    "ItemResult",
    "LeaseLost",
    "Probe",
    "Stored",
    "Told",
    "body_of",
    "brought_by",
    "raw_cursor",
    "store",
    "store_retrying",
]
