"""Growing waits after wrong passwords, per account and per address.

A turn is taken before the password is looked at, in one statement: fifty attempts at once are
counted as fifty, and those above what is free are refused without any hashing.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from ipaddress import ip_address

from sqlalchemy import Connection, case, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from db.tables import sign_in_attempt
from tower.accounts import (
    FORGOTTEN_AFTER,
    FREE_BY_ACCOUNT,
    FREE_BY_ADDRESS,
    LONGEST_BY_ACCOUNT,
    LONGEST_BY_ADDRESS,
)

_t = sign_in_attempt.c
_SECOND = literal(timedelta(seconds=1))


def take_turn(conn: Connection, name: str, address: str, now: datetime) -> timedelta:
    """Count an attempt as failed until it succeeds; how long to wait instead, nothing if it may.

    What is refused is not counted: asking on does not make the wait longer.
    """
    conn.execute(delete(sign_in_attempt).where(_t.last_at < now - FORGOTTEN_AFTER))
    keys = [(_account(name), FREE_BY_ACCOUNT, LONGEST_BY_ACCOUNT)]
    if (place := _address(address)) is not None:
        keys.append((place, FREE_BY_ADDRESS, LONGEST_BY_ADDRESS))
    waits = []
    for key, free, longest in sorted(keys):
        left = _count(conn, key, free, longest, now)
        waits.append(left)
    return max(waits)


def succeeded(conn: Connection, name: str, address: str) -> None:
    """The password was right: the account starts anew, the address gets its turn back."""
    if (place := _address(address)) is not None:
        conn.execute(
            update(sign_in_attempt)
            .where(_t.key == place)
            .values(failures=func.greatest(_t.failures - 1, 0))
        )
    forget(conn, name)


def forget(conn: Connection, name: str) -> None:
    """Let somebody try at once again, as after a new password."""
    conn.execute(delete(sign_in_attempt).where(_t.key == _account(name)))


def _count(conn: Connection, key: str, free: int, longest: timedelta, now: datetime) -> timedelta:
    grown = _t.failures + 1
    doubled = func.power(2.0, func.least(grown - free - 1, 20)) * _SECOND
    row = conn.execute(
        insert(sign_in_attempt)
        .values(key=key, failures=1, last_at=now, closed_until=now)
        .on_conflict_do_update(
            index_elements=[_t.key],
            set_={
                "failures": grown,
                "last_at": now,
                # The same as tower.accounts.pause, where the row is.
                "closed_until": case(
                    (grown <= free, literal(now)),
                    else_=literal(now) + func.least(doubled, literal(longest)),
                ),
            },
            where=_t.closed_until <= now,
        )
        .returning(_t.failures)
    ).one_or_none()
    if row is not None:
        return timedelta()
    until: datetime = conn.execute(select(_t.closed_until).where(_t.key == key)).scalar_one()
    return max(until - now, timedelta(seconds=1))


def _account(name: str) -> str:
    """Names are typed by anybody: what is kept is short, and holds no password typed in a hurry."""
    return "account/" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _address(given: str) -> str | None:
    """A key for the network a caller is in; None for this machine, where a proxy may stand that
    does not say who asks.
    """
    try:
        found = ip_address(given)
    except ValueError:
        return None
    if found.is_loopback:
        return None
    if found.version == 6:
        return f"address/{int(found) >> 64:x}"  # whoever has one has all of the network
    return f"address/{found}"
