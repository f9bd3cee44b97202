"""Bookmarks of sources: who reads which source, up to where, and since when it is silent.

A row of ``checkpoint`` is bookmark and fence at once: taking the lease raises its epoch, and every
transaction that stores facts names holder and epoch (db.ingest.Bookmark), so a reader that froze
and came back cannot write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, DateTime, Text, and_, bindparam, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from db.tables import checkpoint
from tower.identity import source_key

LEASE = timedelta(seconds=30)
BACK_OFF_FIRST = timedelta(seconds=5)
BACK_OFF_MOST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to read one source until ``until``; ``mark`` is where the last reader stood."""

    source: str
    holder: str
    epoch: int
    mark: Mapping[str, Any] | None
    until: datetime


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is known of one source. Instants are aware UTC; None = never."""

    source: str
    state: str
    complete_to: datetime | None
    last_good_at: datetime | None
    last_tried_at: datetime | None
    newest_at: datetime | None
    next_at: datetime | None
    failures: int
    message: str
    mark: Mapping[str, Any] | None


def register(conn: Connection, sources: Iterable[str]) -> None:
    """A bookmark row for each source that has none yet."""
    rows = [{"source_key": source_key(name), "source": name} for name in sorted(sources)]
    if rows:
        conn.execute(insert(checkpoint).on_conflict_do_nothing(), rows)


def due(conn: Connection, sources: Sequence[str], now: datetime) -> list[str]:
    """Those of ``sources`` that nobody holds and whose next read is due, longest waiting first."""
    rows = conn.execute(
        select(checkpoint.c.source)
        .where(
            checkpoint.c.source.in_(sources),
            checkpoint.c.state != "stopped",
            or_(checkpoint.c.next_at.is_(None), checkpoint.c.next_at <= now),
            or_(checkpoint.c.lease_until.is_(None), checkpoint.c.lease_until < now),
        )
        .order_by(checkpoint.c.next_at.nulls_first(), checkpoint.c.source)
    )
    return [row.source for row in rows]


_CLAIM = text(
    """
    UPDATE checkpoint
    SET holder = :holder, epoch = epoch + 1, lease_until = :until, last_tried_at = :now
    WHERE source_key = :key AND source = :source
      AND (next_at IS NULL OR next_at <= :now)
      AND (lease_until IS NULL OR lease_until < :now OR holder = :holder)
    RETURNING epoch, mark
    """
).bindparams(
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("until", type_=DateTime(timezone=True)),
    bindparam("holder", type_=Text()),
)


def claim(conn: Connection, source: str, holder: str, now: datetime) -> Lease | None:
    """The lease on one source, or None if somebody else holds it or it is not due."""
    row = conn.execute(
        _CLAIM,
        {
            "key": source_key(source),
            "source": source,
            "holder": holder,
            "now": now,
            "until": now + LEASE,
        },
    ).one_or_none()
    if row is None:
        return None
    return Lease(source, holder, row.epoch, row.mark, now + LEASE)


def renew(conn: Connection, lease: Lease, now: datetime) -> bool:
    """Lengthen a lease while a long read goes on; False if it was lost."""
    result = conn.execute(update(checkpoint).where(_held(lease)).values(lease_until=now + LEASE))
    return bool(result.rowcount)


def release(conn: Connection, lease: Lease, next_at: datetime) -> None:
    """Give the source back after a good read; a lost lease is left to its new holder."""
    conn.execute(
        update(checkpoint)
        .where(_held(lease))
        .values(
            holder=None,
            lease_until=None,
            next_at=next_at,
            failures=0,
            state="up",
            message="",
        )
    )


def record_failure(
    conn: Connection,
    lease: Lease,
    now: datetime,
    *,
    state: str,
    message: str,
    wait: timedelta | None = None,
    jitter: float = 0.0,
) -> None:
    """Keep the mark, say why, and try again later.

    ``wait`` is what the source asked for; without it the wait doubles from 5 s to 5 min, stretched
    by ``jitter`` (0 to 1) of itself so that many readers do not return at once.
    """
    failures = conn.execute(select(checkpoint.c.failures).where(_held(lease))).scalar_one_or_none()
    if failures is None:
        return
    counted = failures if state == "throttled" else failures + 1
    pause = wait or min(BACK_OFF_MOST, BACK_OFF_FIRST * 2 ** min(failures, 10)) * (1 + jitter / 2)
    conn.execute(
        update(checkpoint)
        .where(_held(lease))
        .values(
            holder=None,
            lease_until=None,
            next_at=now + pause,
            failures=counted,
            state=state,
            message=message[:1000],
        )
    )


def _held(lease: Lease) -> Any:
    return and_(
        checkpoint.c.source_key == source_key(lease.source),
        checkpoint.c.source == lease.source,
        checkpoint.c.holder == lease.holder,
        checkpoint.c.epoch == lease.epoch,
    )


def resume(conn: Connection, source: str) -> bool:
    """Let a stopped source be read again, after its access or setting was mended."""
    result = conn.execute(
        update(checkpoint)
        .where(checkpoint.c.source_key == source_key(source), checkpoint.c.source == source)
        .values(state="new", next_at=None, failures=0, message="")
    )
    return bool(result.rowcount)


def states(conn: Connection) -> list[SourceState]:
    """Every source we have a bookmark for, by name."""
    columns = (
        checkpoint.c.source,
        checkpoint.c.state,
        checkpoint.c.complete_to,
        checkpoint.c.last_good_at,
        checkpoint.c.last_tried_at,
        checkpoint.c.newest_at,
        checkpoint.c.next_at,
        checkpoint.c.failures,
        checkpoint.c.message,
        checkpoint.c.mark,
    )
    rows = conn.execute(select(*columns).order_by(checkpoint.c.source))
    return [SourceState(**row._asdict()) for row in rows]
