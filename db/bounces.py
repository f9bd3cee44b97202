"""Mails that came back, and addresses that nothing is sent to any more."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from db.mail import GroupKey
from db.outbox import MAIL, Leased
from db.tables import delivery, outbox, undeliverable

_NO_LEASE = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that we sent and that a notification may speak of."""

    mail: Leased
    state: str


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """An address that mails came back from for good."""

    address: str
    recipient: str
    at: datetime
    status: str
    words: str
    outbox_id: int | None


def sent(conn: Connection, message_id: str) -> Sent | None:
    """The mail with this Message-ID, locked until the transaction ends."""
    o = outbox.c
    row = conn.execute(
        select(outbox).where(o.message_id == message_id, o.channel == MAIL).with_for_update()
    ).one_or_none()
    if row is None:
        return None
    mail = Leased(
        id=row.id,
        key=GroupKey(row.policy, row.recipient, row.group_key),
        address=row.address,
        message=row.message,
        cases=tuple(row.cases),
        attempts=row.attempts,
        token=row.token or _NO_LEASE,
        created_at=row.created_at,
        reason=row.reason,
    )
    return Sent(mail, row.state)


def log(conn: Connection, outbox_id: int, now: datetime, outcome: str, words: str) -> None:
    """Write down what came back of a mail: bounced or delayed."""
    conn.execute(
        insert(delivery).values(outbox_id=outbox_id, at=now, outcome=outcome, text=words[:500])
    )


def lost(conn: Connection, outbox_id: int, words: str) -> None:
    """The mail did not arrive, although its server had taken it."""
    conn.execute(
        update(outbox).where(outbox.c.id == outbox_id).values(state="failed", error=words[:500])
    )


def mark(conn: Connection, found: Undeliverable) -> None:
    """Send nothing to this address any more."""
    values = {
        "recipient": found.recipient,
        "at": found.at,
        "status": found.status,
        "words": found.words,
        "outbox_id": found.outbox_id,
    }
    conn.execute(
        upsert(undeliverable)
        .values(address=found.address, **values)
        .on_conflict_do_update(index_elements=[undeliverable.c.address], set_=values)
    )


def is_dead(conn: Connection, address: str) -> bool:
    """Whether mails came back from this address for good."""
    u = undeliverable.c
    return conn.execute(select(u.address).where(u.address == address)).first() is not None


def dead(conn: Connection) -> Mapping[str, Undeliverable]:
    """All such addresses, the newest first."""
    rows = conn.execute(select(undeliverable).order_by(undeliverable.c.at.desc()))
    return {row.address: Undeliverable(**row._asdict()) for row in rows}


def forget(conn: Connection, address: str) -> bool:
    """Send to this address again; False if nothing spoke against it."""
    gone = conn.execute(delete(undeliverable).where(undeliverable.c.address == address))
    return bool(gone.rowcount)
