"""What a read says about its source: the bookmark, how far it is complete, when it was blind.

Judging needs to know what a source could not have told. A source that comes back after longer than
it may stay quiet leaves a spell: complete only up to its start, and nobody could know between.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Text,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from db import gateway, measured, records
from db.tables import checkpoint, clock, queue_sample, source_spell, timer
from tower.errors import TowerError
from tower.gateway import GatewayMinute
from tower.identity import queue_key, source_key
from tower.network import Network
from tower.raw import Heartbeat, Mark, QueueSample, Sample


class LeaseLost(TowerError):
    """Another worker holds this source now: drop the batch, its transaction rolls back."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """The mark to write, and the lease under which we may: holder and epoch of `checkpoint`.

    ``next_at`` gives the source back with this batch, to be read again from that instant on.
    """

    source: str
    holder: str
    epoch: int
    mark: Mark | None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What one read says about its source, besides what it brought."""

    heartbeat: Heartbeat | None = None
    bookmark: Bookmark | None = None

    @property
    def source(self) -> str | None:
        one = self.heartbeat or self.bookmark
        return None if one is None else one.source


NOTHING = Told()


@dataclass(frozen=True, slots=True)
class Brought:
    """What messages of one source say about it: newest event, latest receipt."""

    newest: datetime | None
    received: datetime

    def with_later(self, other: Brought) -> Brought:
        """What both of them say."""
        told = [at for at in (self.newest, other.newest) if at is not None]
        return Brought(max(told, default=None), max(self.received, other.received))


def tolerance(net: Network, source: str) -> timedelta | None:
    """How long a source may stay quiet before it counts as blind; None for an unknown source."""
    described = net.sources.get(source)
    if described is None:
        return None
    return 2 * described.every if described.is_pull else described.silent_after


def keep(
    conn: Connection,
    *,
    net: Network,
    now: datetime,
    brought: Mapping[str, Brought],
    told: Sequence[Told],
) -> None:
    """Write bookmarks, progress and spells of the sources that a batch came from; several
    heartbeats of one source in their order.

    Raises LeaseLost if the lease of a bookmark is no longer ours.
    """
    by_source: dict[str, list[Told]] = {}
    for one in told:
        if one.source is not None:
            by_source.setdefault(one.source, []).append(one)
    for name in sorted(by_source.keys() | brought.keys()):
        *earlier, last = by_source.get(name, [NOTHING])
        for one in earlier:
            _keep_one(conn, name, net, now, None, one.heartbeat, one.bookmark)
        _keep_one(conn, name, net, now, brought.get(name), last.heartbeat, last.bookmark)


_KEEP = text(
    """
    UPDATE checkpoint c SET
        newest_at = greatest(c.newest_at, :newest),
        last_good_at = CASE WHEN :good IS NULL THEN c.last_good_at
                            ELSE greatest(c.last_good_at, :good) END,
        complete_to = greatest(c.complete_to, :complete),
        state = coalesce(:state, c.state),
        failures = CASE WHEN :good IS NULL THEN c.failures ELSE 0 END,
        message = CASE WHEN :good IS NULL THEN c.message ELSE '' END,
        mark = coalesce(:mark, c.mark),
        holder = CASE WHEN :next_at IS NULL THEN c.holder END,
        lease_until = CASE WHEN :next_at IS NULL THEN c.lease_until END,
        next_at = coalesce(:next_at, c.next_at)
    FROM (SELECT complete_to FROM checkpoint
          WHERE source_key = :key AND source = :name) AS before
    WHERE c.source_key = :key AND c.source = :name
      AND (:holder IS NULL OR (c.holder = :holder AND c.epoch = :epoch))
    RETURNING before.complete_to
    """
).bindparams(
    bindparam("newest", type_=DateTime(timezone=True)),
    bindparam("good", type_=DateTime(timezone=True)),
    bindparam("complete", type_=DateTime(timezone=True)),
    bindparam("next_at", type_=DateTime(timezone=True)),
    bindparam("mark", type_=JSONB(none_as_null=True)),
    bindparam("state", type_=Text()),
    bindparam("holder", type_=Text()),
    bindparam("epoch", type_=BigInteger()),
)
"""One statement, as every read of every source ends in it. Typed nulls: nothing is told."""


def _keep_one(
    conn: Connection,
    name: str,
    net: Network,
    now: datetime,
    brought: Brought | None,
    heartbeat: Heartbeat | None,
    bookmark: Bookmark | None,
) -> None:
    key = source_key(name)
    complete, good = _progress(net, name, brought, heartbeat)
    newest = [t for t in (brought and brought.newest, heartbeat and heartbeat.newest) if t]
    state = "up" if good is not None else None
    if heartbeat is not None and heartbeat.state != "up":
        state = heartbeat.state
    mark = bookmark and bookmark.mark
    values = {
        "key": key,
        "name": name,
        "newest": max(newest, default=None),
        "good": good,
        "complete": complete,
        "state": state,
        "mark": {"version": mark.version, "value": dict(mark.value)} if mark else None,
        "next_at": bookmark and bookmark.next_at,
        "holder": bookmark and bookmark.holder,
        "epoch": bookmark and bookmark.epoch,
    }
    row = conn.execute(_KEEP, values).one_or_none()
    if row is None and bookmark is None:
        conn.execute(
            insert(checkpoint).values(source_key=key, source=name).on_conflict_do_nothing()
        )
        row = conn.execute(_KEEP, values).one_or_none()
    if row is None:
        raise LeaseLost(
            f"Source {name} is read by somebody else now; what this worker read is dropped."
        )
    if complete is not None:
        _end_spells(conn, name, net, now, row[0], complete)


def _progress(
    net: Network, name: str, brought: Brought | None, heartbeat: Heartbeat | None
) -> tuple[datetime | None, datetime | None]:
    """(complete up to, last good read) as this batch tells it."""
    if heartbeat is not None:
        if heartbeat.state != "up":
            return None, None
        return heartbeat.complete_to, heartbeat.seen_at
    described = net.sources.get(name)
    if brought is not None and described is not None and not described.is_pull:
        return brought.received, brought.received  # a push source beats with each message
    return None, None


def _end_spells(
    conn: Connection,
    name: str,
    net: Network,
    now: datetime,
    before: datetime | None,
    complete: datetime,
) -> None:
    allowed = tolerance(net, name)
    if before is not None and allowed is not None and complete - before <= allowed:
        return  # it was never blind in between, so no spell is open
    ended = conn.execute(
        update(source_spell)
        .where(source_spell.c.source == name, source_spell.c.to_at.is_(None))
        .values(to_at=now)
    ).rowcount
    if not ended and before is not None and allowed is not None:
        ended = conn.execute(
            insert(source_spell)
            .values(source=name, from_at=before, known_at=before + allowed, to_at=now)
            .on_conflict_do_nothing()
        ).rowcount
    if ended:
        held = conn.execute(
            select(clock.c.home_key).where(clock.c.held_by == name).distinct()
        ).scalars()
        wake(conn, dict.fromkeys(held, now), net.partner_keys)


def wake(conn: Connection, due: Mapping[int, datetime], partners: Container[int] = ()) -> None:
    """Let these units be judged again at the given instants, or earlier where that is due.

    ``partners`` are homes that are partners, not documents.
    """
    rows = [("partner" if home in partners else "unit", str(home), at) for home, at in due.items()]
    if rows:
        statement = insert(timer).values(
            [
                {"kind": kind, "key": key, "due": at, "generation": 1}
                for kind, key, at in sorted(rows)
            ]
        )
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=[timer.c.kind, timer.c.key],
                set_={
                    "due": func.least(timer.c.due, statement.excluded.due),
                    "generation": timer.c.generation + 1,
                },
            )
        )


def sample(conn: Connection, samples: Sequence[Sample], now: datetime) -> int:
    """Keep queue samples, one per queue and instant, and minutes of gateways. The month partitions
    of queue samples must be there.
    """
    queues = [one for one in samples if isinstance(one, QueueSample)]
    minutes = [one for one in samples if isinstance(one, GatewayMinute)]
    return _sample_queues(conn, queues, now) + gateway.keep(conn, minutes)


def _sample_queues(conn: Connection, samples: Sequence[QueueSample], now: datetime) -> int:
    measured.arrived(conn, samples, now)
    rows = {
        (queue_key(s.broker, s.queue), s.broker, s.queue, s.at): {
            "queue_key": queue_key(s.broker, s.queue),
            "broker": s.broker,
            "queue": s.queue,
            "at": s.at,
            "ready": s.ready,
            "in_flight": s.in_flight,
            "total": s.total,
            "consumers": s.consumers,
            "in_rate": s.in_rate,
            "out_rate": s.out_rate,
            "oldest_age_s": s.oldest_age_s,
            "dlq_of": s.dlq_of,
            "approximate": s.approximate,
            "arrived_at": now,
        }
        for s in samples
    }
    records.put(
        conn,
        queue_sample,
        [rows[key] for key in sorted(rows)],
        conflict=("queue_key", "broker", "queue", "at"),
    )
    return len(rows)
