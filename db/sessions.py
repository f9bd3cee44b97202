"""Who is signed in: rows that end, and that anybody entitled can end at once.

The token itself is in the browser's cookie alone; here is its SHA-256. A session ends 30 minutes
after its last use, 10 hours after its begin, and with its account.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from db import audit
from db.tables import account, provider_visit, session
from tower.access import Scope, scope_of
from tower.accounts import (
    AT_PROVIDER,
    IDLE,
    LONGEST,
    SEEN_EVERY,
    Session,
    checked_rights,
)

_s = session.c
_a = account.c
_v = provider_visit.c


@dataclass(frozen=True, slots=True)
class Live:
    """Somebody who is signed in now, with the rights they have now."""

    session: int
    account: int
    name: str
    full_name: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Visit:
    """What was kept while somebody was at the identity provider."""

    nonce: str
    verifier: str
    next: str


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def open_(
    conn: Connection,
    account_id: int,
    method: str,
    *,
    address: str,
    browser: str,
    now: datetime,
) -> str:
    """A new session; the token that opens it (256 bits), which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    conn.execute(delete(session).where(~_alive(now)))
    conn.execute(
        insert(session).values(
            token_sha256=digest(token),
            account_id=account_id,
            method=method,
            created_at=now,
            seen_at=now,
            ends_at=now + LONGEST,
            address=address[:60],
            browser=browser[:200],
        )
    )
    return token


def look(conn: Connection, token: str, now: datetime) -> Live | None:
    """Who this token belongs to, as long as their session is alive; leaves no trace."""
    row = conn.execute(
        select(_s.id, _s.account_id, _a.name, _a.full_name, _a.role, _a.partners, _a.grants)
        .join_from(session, account, _a.id == _s.account_id)
        .where(_s.token_sha256 == digest(token), _alive(now), _a.disabled_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    role, partners, grants = checked_rights(row.role, row.partners, row.grants)
    scope = scope_of(role, None if partners is None else frozenset(partners), frozenset(grants))
    return Live(row.id, row.account_id, row.name, row.full_name, scope)


def touch(conn: Connection, session_id: int, now: datetime) -> None:
    """The person did something: the half hour begins anew. Written once a minute at most."""
    conn.execute(
        update(session)
        .where(_s.id == session_id, _s.seen_at < now - SEEN_EVERY)
        .values(seen_at=now)
    )


def end(conn: Connection, token: str) -> str | None:
    """Sign out; the name of who did, None if nobody was."""
    row = conn.execute(
        delete(session).where(_s.token_sha256 == digest(token)).returning(_s.account_id)
    ).one_or_none()
    if row is None:
        return None
    name: str = conn.execute(select(_a.name).where(_a.id == row.account_id)).scalar_one()
    return name


def end_all(conn: Connection, account_id: int) -> int:
    """End everything somebody has open; how many."""
    return conn.execute(delete(session).where(_s.account_id == account_id)).rowcount


def sign_out(
    conn: Connection, account_id: int, name: str, *, by: str, now: datetime, only: int | None = None
) -> int:
    """End somebody's sessions, or one of them, on behalf of ``by``; how many, audited."""
    asked = delete(session).where(_s.account_id == account_id)
    if only is not None:
        asked = asked.where(_s.id == only)
    ended = conn.execute(asked).rowcount
    if ended:
        detail = {"sessions": ended, **({} if only is None else {"session": only})}
        audit.record(conn, by, "session.ended", f"account:{name}", detail, now)
    return ended


def listing(conn: Connection, now: datetime, account_id: int | None = None) -> list[Session]:
    """Sessions that are alive, the last used first."""
    asked = (
        select(
            _s.id,
            _a.name,
            _s.method,
            _s.created_at,
            _s.seen_at,
            _s.ends_at,
            _s.address,
            _s.browser,
        )
        .join_from(session, account, _a.id == _s.account_id)
        .where(_alive(now), _a.disabled_at.is_(None))
        .order_by(_s.seen_at.desc(), _s.id)
    )
    if account_id is not None:
        asked = asked.where(_s.account_id == account_id)
    return [Session(*row) for row in conn.execute(asked)]


def _alive(now: datetime) -> ColumnElement[bool]:
    return and_(_s.ends_at > now, _s.seen_at > now - IDLE)


# --- at the identity provider -------------------------------------------------------------------


def send_off(
    conn: Connection, state: str, nonce: str, verifier: str, next_: str, now: datetime
) -> None:
    """Keep what must fit when somebody comes back from the identity provider."""
    conn.execute(delete(provider_visit).where(_v.ends_at <= now))
    conn.execute(
        insert(provider_visit).values(
            state_sha256=digest(state),
            nonce=nonce,
            verifier=verifier,
            next=next_,
            ends_at=now + AT_PROVIDER,
        )
    )


def come_back(conn: Connection, state: str, now: datetime) -> Visit | None:
    """What was kept under this state, once; None where nobody was sent off, or long ago."""
    row = conn.execute(
        delete(provider_visit)
        .where(_v.state_sha256 == digest(state))
        .returning(_v.nonce, _v.verifier, _v.next, _v.ends_at)
    ).one_or_none()
    return None if row is None or row.ends_at <= now else Visit(row.nonce, row.verifier, row.next)
