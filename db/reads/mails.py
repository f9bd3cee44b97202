"""Mails as they went out: for the mailbox of the demo and for "what did we tell them".

Also what is wrong with telling now: for the banner that every page carries then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from db.outbox import last_outcomes
from db.reads.rows import record
from db.tables import delivery, heartbeat, outbox, undeliverable
from tower.access import Scope

MOST_ROWS = 100
_AWAY_AFTER = 5  # failures to connect in a row, as the mailer counts them
_LOST_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Letterhead:
    """One mail in a list, or one message to a room of a chat; ``channel`` tells which."""

    id: int
    recipient: str
    channel: str
    address: str
    subject: str
    reason: str
    state: str
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    error: str


def recipients(conn: Connection, scope: Scope) -> dict[str, int]:
    """Who was written to and how often, most first. Mails name customers: staff only."""
    if not scope.sees_all:
        return {}
    rows = conn.execute(
        select(outbox.c.recipient, func.count())
        .group_by(outbox.c.recipient)
        .order_by(func.count().desc(), outbox.c.recipient)
    )
    return dict(rows.all())


def newest(
    conn: Connection,
    scope: Scope,
    *,
    recipient: str | None = None,
    before: int | None = None,
    limit: int = MOST_ROWS,
) -> list[Letterhead]:
    """Mails, newest first; ``before`` the id of the last one of the page before."""
    if not scope.sees_all:
        return []
    statement = select(
        outbox.c.id,
        outbox.c.recipient,
        outbox.c.channel,
        outbox.c.address,
        outbox.c.subject,
        outbox.c.reason,
        outbox.c.state,
        outbox.c.created_at,
        outbox.c.sent_at,
        outbox.c.attempts,
        outbox.c.error,
    )
    if recipient is not None:
        statement = statement.where(outbox.c.recipient == recipient)
    if before is not None:
        statement = statement.where(outbox.c.id < before)
    rows = conn.execute(statement.order_by(outbox.c.id.desc()).limit(min(limit, 1000)))
    return [Letterhead(**row._asdict()) for row in rows]


def mail(conn: Connection, scope: Scope, mail_id: int) -> tuple[Letterhead, bytes] | None:
    """One mail with its bytes as frozen for sending; None if there is none."""
    if not scope.sees_all:
        return None
    row = conn.execute(select(outbox).where(outbox.c.id == mail_id)).one_or_none()
    if row is None:
        return None
    head = Letterhead(*(row._mapping[name] for name in Letterhead.__dataclass_fields__))
    return head, bytes(row.message)


def deliveries(conn: Connection, scope: Scope, mail_id: int) -> list[Mapping[str, Any]]:
    """Every attempt to hand one mail over, in order."""
    if not scope.sees_all:
        return []
    return [
        record(row)
        for row in conn.execute(
            select(delivery)
            .where(delivery.c.outbox_id == mail_id)
            .order_by(delivery.c.at, delivery.c.id)
        )
    ]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why people may not hear of cases now; all empty while all is well.

    away_since   when the mail server was tried first in vain; None while it answers
    waiting      mails that wait
    dead         addresses that mails come back from, with whose they are
    failing      checks of the tower's own audit that fail, with words
    worker_lost  when the last worker was heard of, where that is too long ago
    """

    away_since: datetime | None = None
    waiting: int = 0
    dead: tuple[tuple[str, str], ...] = ()
    failing: Mapping[str, str] = field(default_factory=dict)
    worker_lost: datetime | None = None


def trouble(conn: Connection, scope: Scope, now: datetime) -> Trouble:
    """What is wrong with telling now. Addresses are ours: staff only."""
    if not scope.sees_all:
        return Trouble()
    last = last_outcomes(conn, _AWAY_AFTER)
    away = len(last) == _AWAY_AFTER and all(outcome == "unreachable" for outcome, _ in last)
    waiting = conn.execute(
        select(func.count())
        .select_from(outbox)
        .where(outbox.c.state == "waiting", outbox.c.channel == "mail")
    ).scalar_one()
    u = undeliverable.c
    dead = conn.execute(select(u.address, u.recipient).order_by(u.at.desc()).limit(20))
    worker = conn.execute(
        select(heartbeat.c.at, heartbeat.c.detail)
        .where(heartbeat.c.role == "worker")
        .order_by(heartbeat.c.at.desc())
        .limit(1)
    ).one_or_none()
    audited = (worker.detail.get("audit") or {}) if worker is not None else {}
    lost = worker is not None and now - worker.at > _LOST_AFTER
    return Trouble(
        away_since=last[-1][1] if away else None,
        waiting=waiting,
        dead=tuple((row[0], row[1]) for row in dead),
        failing={} if lost else audited.get("failing", {}),
        worker_lost=worker.at if worker is not None and lost else None,
    )
