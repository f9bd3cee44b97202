"""Accounts of people: made, changed, disabled; never deleted, for histories name them.

Whoever changes what somebody may do, or their password, ends their sessions: what is open is
signed in anew, with the new rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from db import attempts, audit, passwords, sessions
from db.tables import account
from tower.accounts import Account, NotAnAccount, checked_name, checked_rights

_a = account.c


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at the identity provider, and what their groups there allow."""

    issuer: str
    subject: str
    name: str
    full_name: str
    role: str
    partners: Sequence[str] | None
    grants: Sequence[str]


def of_row(row: Row[Any]) -> Account:
    role, partners, grants = checked_rights(row.role, row.partners, row.grants)
    return Account(
        id=row.id,
        name=row.name,
        full_name=row.full_name,
        role=role,
        partners=partners,
        grants=grants,
        method="password" if row.issuer is None else "oidc",
        made_by=row.made_by,
        made_at=row.made_at,
        changed_at=row.changed_at,
        disabled_at=row.disabled_at,
        signed_in_at=row.signed_in_at,
    )


def anybody(conn: Connection) -> bool:
    """Whether there is an account that may sign in."""
    found = conn.execute(select(_a.id).where(_a.disabled_at.is_(None)).limit(1)).first()
    return found is not None


def listing(conn: Connection) -> list[Account]:
    """All accounts by name, disabled ones too."""
    return [of_row(row) for row in conn.execute(select(account).order_by(_a.name))]


def by_name(conn: Connection, name: str) -> Account:
    """The account of this name. Raises NotAnAccount."""
    return of_row(_locked(conn, name, lock=False))


def add(
    conn: Connection,
    *,
    name: str,
    password: str,
    role: str,
    partners: Sequence[str] | None = None,
    grants: Sequence[str] = (),
    full_name: str = "",
    by: str,
    now: datetime,
) -> Account:
    """A local account. Raises NotAnAccount, or WeakPassword."""
    called = checked_name(name)
    checked, mine, granted = checked_rights(role, partners, grants)
    passwords.check(password, called, full_name)
    values = {
        "name": called,
        "full_name": full_name.strip()[:200],
        "role": checked,
        "partners": None if mine is None else list(mine),
        "grants": list(granted),
        "password": passwords.hashed(password),
        "password_at": now,
        "made_by": by,
        "made_at": now,
        "changed_at": now,
    }
    try:
        with conn.begin_nested():
            row = conn.execute(insert(account).values(**values).returning(account)).one()
    except IntegrityError as error:
        raise NotAnAccount(
            f'There is an account "{called}" already: tower users list shows it.'
        ) from error
    _told(conn, by, "account.added", called, _rights(row), now)
    return of_row(row)


def change(
    conn: Connection,
    name: str,
    *,
    role: str,
    partners: Sequence[str] | None,
    grants: Sequence[str],
    by: str,
    now: datetime,
) -> Account:
    """Give somebody other rights. Raises NotAnAccount, also for the last admin."""
    before = _locked(conn, name)
    checked, mine, granted = checked_rights(role, partners, grants)
    if before.role == "admin" and checked != "admin":
        _keep_an_admin(conn, before.name)
    row = conn.execute(
        update(account)
        .where(_a.id == before.id)
        .values(
            role=checked,
            partners=None if mine is None else list(mine),
            grants=list(granted),
            changed_at=now,
        )
        .returning(account)
    ).one()
    sessions.end_all(conn, before.id)
    detail = {"before": _rights(before), "after": _rights(row)}
    _told(conn, by, "account.changed", before.name, detail, now)
    return of_row(row)


def disable(conn: Connection, name: str, *, by: str, now: datetime) -> Account:
    """Let somebody in no more; what they have open ends. Raises NotAnAccount."""
    before = _locked(conn, name)
    if before.role == "admin" and before.disabled_at is None:
        _keep_an_admin(conn, before.name)
    row = _set(conn, before.id, disabled_at=before.disabled_at or now, changed_at=now)
    sessions.end_all(conn, before.id)
    _told(conn, by, "account.disabled", before.name, {}, now)
    return of_row(row)


def enable(conn: Connection, name: str, *, by: str, now: datetime) -> Account:
    """Let somebody in again. Raises NotAnAccount."""
    before = _locked(conn, name)
    row = _set(conn, before.id, disabled_at=None, changed_at=now)
    _told(conn, by, "account.enabled", before.name, {}, now)
    return of_row(row)


def reset(conn: Connection, name: str, password: str, *, by: str, now: datetime) -> Account:
    """Another password; what they have open ends. Raises NotAnAccount, or WeakPassword."""
    before = _locked(conn, name)
    if before.issuer is not None:
        raise NotAnAccount(
            f'"{before.name}" signs in at the identity provider, which knows the password.'
        )
    passwords.check(password, before.name, before.full_name)
    row = _set(
        conn, before.id, password=passwords.hashed(password), password_at=now, changed_at=now
    )
    sessions.end_all(conn, before.id)
    attempts.forget(conn, before.name)
    _told(conn, by, "account.password", before.name, {}, now)
    return of_row(row)


def password_of(conn: Connection, name: str) -> tuple[Account, str] | None:
    """The account that may sign in by password under this name, with the hash of it."""
    row = conn.execute(
        select(account).where(
            _a.name == name.strip().lower(), _a.disabled_at.is_(None), _a.password.is_not(None)
        )
    ).one_or_none()
    return None if row is None else (of_row(row), row.password)


def rehash(conn: Connection, account_id: int, password: str) -> None:
    """Keep the same password under the costs of today."""
    conn.execute(
        update(account).where(_a.id == account_id).values(password=passwords.hashed(password))
    )


def arrived(conn: Connection, who: Identity, now: datetime) -> Account:
    """The account of somebody from the identity provider, made or brought up to date.

    Raises NotAnAccount where the name belongs to somebody else, or the account is disabled: one
    name in the audit is one person.
    """
    called = checked_name(who.name)
    role, mine, granted = checked_rights(who.role, who.partners, who.grants)
    rights = {
        "role": role,
        "partners": None if mine is None else list(mine),
        "grants": list(granted),
    }
    known = conn.execute(
        select(account).where(_a.issuer == who.issuer, _a.subject == who.subject).with_for_update()
    ).one_or_none()
    actor = f"{called} (identity provider)"
    if known is None:
        values = {
            **rights,
            "name": called,
            "full_name": who.full_name.strip()[:200],
            "issuer": who.issuer,
            "subject": who.subject,
            "made_by": actor,
            "made_at": now,
            "changed_at": now,
        }
        try:
            with conn.begin_nested():
                row = conn.execute(insert(account).values(**values).returning(account)).one()
        except IntegrityError as error:
            raise NotAnAccount(
                f'The name "{called}" belongs to another account. An administrator of the tower '
                "has to give that one up first."
            ) from error
        _told(conn, actor, "account.added", called, _rights(row), now)
        return of_row(row)
    if known.disabled_at is not None:
        raise NotAnAccount("This account is disabled. An administrator of the tower can enable it.")
    if _rights(known) != rights:
        row = _set(conn, known.id, **rights, changed_at=now)
        sessions.end_all(conn, known.id)
        detail = {"before": _rights(known), "after": rights}
        _told(conn, actor, "account.changed", known.name, detail, now)
        return of_row(row)
    return of_row(known)


def left(conn: Connection, issuer: str, subject: str, now: datetime) -> None:
    """Somebody is in no group any more that may sign in: end what they have open."""
    found = conn.execute(
        select(_a.id, _a.name).where(_a.issuer == issuer, _a.subject == subject)
    ).one_or_none()
    if found is not None:
        sessions.sign_out(conn, found.id, found.name, by="tower", now=now)


def _locked(conn: Connection, name: str, *, lock: bool = True) -> Row[Any]:
    asked = select(account).where(_a.name == name.strip().lower())
    row = conn.execute(asked.with_for_update() if lock else asked).one_or_none()
    if row is None:
        raise NotAnAccount(f'There is no account "{name.strip()[:80]}": tower users list.')
    return row


def _set(conn: Connection, account_id: int, **values: Any) -> Row[Any]:
    return conn.execute(
        update(account).where(_a.id == account_id).values(**values).returning(account)
    ).one()


def _keep_an_admin(conn: Connection, name: str) -> None:
    others = conn.execute(
        select(_a.id).where(_a.role == "admin", _a.disabled_at.is_(None)).with_for_update()
    ).all()
    if len(others) < 2:
        raise NotAnAccount(f'"{name}" is the last admin. Make another one first.')


def _rights(row: Row[Any]) -> dict[str, Any]:
    return {
        "role": row.role,
        "partners": None if row.partners is None else list(row.partners),
        "grants": list(row.grants),
    }


def _told(
    conn: Connection, by: str, action: str, name: str, detail: dict[str, Any], now: datetime
) -> None:
    audit.record(conn, by, action, f"account:{name}", detail, now)


def signed_in(conn: Connection, account_id: int, now: datetime) -> None:
    """Remember when somebody came last."""
    conn.execute(
        update(account)
        .where(_a.id == account_id)
        .values(signed_in_at=func.greatest(func.coalesce(_a.signed_in_at, now), now))
    )
