"""Mails as they went out: for the mailbox of the demo and for "what did we tell them"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from db.reads.rows import record
from db.tables import delivery, outbox
from tower.access import Scope

MOST_ROWS = 100


@dataclass(frozen=True, slots=True)
class Letterhead:
    """One mail in a list."""

    id: int
    recipient: str
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
