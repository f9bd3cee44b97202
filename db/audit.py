"""Who did what: rows that are only added, each hash covering the one before it.

Whoever alters or removes a row breaks every hash after it. Writers queue behind one lock until
their transaction ends; so entries are gathered and written just before the commit, as the last
statements of a transaction: taken earlier, the lock would meet row locks in any order (deadlock).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, event, func, insert, select

from db.tables import audit_entry

_LOCK = 0x746F7765720A
_FIRST = bytes(32)
_PENDING = "tower.audit"
_a = audit_entry.c


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody did.

    actor    who, "tower" for the machine itself
    action   "replay.confirmed", "letter.archived", ...
    subject  what it was done to ("replay:17", "letter:broker/orders.dlq m-1")
    detail   what else must be known, in JSON's types
    """

    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """An act as it is kept; ``n`` counts without gaps from 1."""

    n: int
    at: datetime
    act: Act
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of the chain found: ``broken_at`` is the first entry that does not fit."""

    entries: int
    broken_at: int | None
    last_hash: bytes


def record(
    conn: Connection,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    now: datetime,
) -> None:
    """Add one entry when the caller's transaction commits."""
    record_all(conn, [Act(actor, action, subject, detail)], now)


def record_all(conn: Connection, acts: Sequence[Act], now: datetime) -> None:
    """Add entries in the order given when the caller's transaction commits."""
    conn.info.setdefault(_PENDING, []).extend((act, now) for act in acts)


def waits(conn: Connection) -> bool:
    """Whether there are entries to be written before the commit."""
    return bool(conn.info.get(_PENDING))


def keep_at_commit(engine: Engine) -> None:
    """Have the entries of each transaction of this engine written before its commit."""
    event.listen(engine, "commit", _write_pending)
    event.listen(engine, "rollback", _forget_pending)


def _forget_pending(conn: Connection) -> None:
    if not conn.invalidated:  # what goes with a lost connection is forgotten with it
        conn.info.pop(_PENDING, None)


def _write_pending(conn: Connection) -> None:
    acts: list[tuple[Act, datetime]] = conn.info.pop(_PENDING, [])
    if not acts:
        return
    conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    last = conn.execute(select(_a.n, _a.hash).order_by(_a.n.desc()).limit(1)).one_or_none()
    n, before = (0, _FIRST) if last is None else (last.n, bytes(last.hash))
    rows = []
    for act, now in acts:
        n += 1
        detail = orjson.dumps(act.detail, default=str, option=orjson.OPT_SORT_KEYS).decode()
        before = _hash(before, n, now, act.actor, act.action, act.subject, detail)
        rows.append(
            {
                "n": n,
                "at": now,
                "actor": act.actor,
                "action": act.action,
                "subject": act.subject,
                "detail": detail,
                "hash": before,
            }
        )
    conn.execute(insert(audit_entry), rows)


def last(conn: Connection) -> tuple[int, bytes]:
    """Number and hash of the newest entry; 0 and no hash before the first."""
    row = conn.execute(select(_a.n, _a.hash).order_by(_a.n.desc()).limit(1)).one_or_none()
    return (0, b"") if row is None else (row.n, bytes(row.hash))


def hashes(conn: Connection, numbers: Sequence[int]) -> dict[int, bytes]:
    """Hashes of entries by their number; those that are gone are missing."""
    rows = conn.execute(select(_a.n, _a.hash).where(_a.n.in_(numbers)))
    return {row.n: bytes(row.hash) for row in rows}


def newest(conn: Connection) -> int:
    """Number of the newest entry, 0 before the first."""
    return conn.execute(select(func.max(_a.n))).scalar_one() or 0


def verify(conn: Connection) -> Verified:
    """Compute the chain anew; a missing number breaks it as an altered row does."""
    n, before = 0, _FIRST
    asked = select(audit_entry).order_by(_a.n).execution_options(yield_per=2000)
    with conn.execute(asked) as rows:
        for row in rows:
            n += 1
            before = _hash(before, n, row.at, row.actor, row.action, row.subject, row.detail)
            if row.n != n or before != bytes(row.hash):
                return Verified(n, n, before)
    return Verified(n, None, before)


def entries(
    conn: Connection,
    *,
    subject: str | None = None,
    under: str | None = None,
    actor: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Entries, the newest first; ``before`` pages on by number. ``under``: all subjects that begin
    so, as "replay:17" with its items.
    """
    asked = select(audit_entry).order_by(_a.n.desc()).limit(limit)
    if subject is not None:
        asked = asked.where(_a.subject == subject)
    if under is not None:
        asked = asked.where(_a.subject.startswith(under, autoescape=True))
    if actor is not None:
        asked = asked.where(_a.actor == actor)
    if before is not None:
        asked = asked.where(_a.n < before)
    return [
        Entry(
            row.n,
            row.at,
            Act(row.actor, row.action, row.subject, orjson.loads(row.detail)),
            bytes(row.hash),
        )
        for row in conn.execute(asked)
    ]


def _hash(before: bytes, n: int, at: datetime, *texts: str) -> bytes:
    digest = hashlib.sha256(before)
    for part in (str(n), at.astimezone(UTC).isoformat(), *texts):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()
