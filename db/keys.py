"""API keys in the database: made, found, revoked. Every change is audited, no secret is kept."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from db import audit
from db.tables import api_key, partner
from tower import keys
from tower.keys import Key, NotAKey

USED_EVERY = timedelta(minutes=1)
_LOCK = 0x746F7765724B
_k = api_key.c
_COLUMNS = [c for c in _k if c.name != "sha256"]
_NOBODY = bytes(32)


def add(
    conn: Connection,
    *,
    name: str,
    scopes: Sequence[str],
    partner_key: str | None,
    networks: Sequence[str],
    days: int,
    per_minute: int,
    by: str,
    now: datetime,
) -> tuple[Key, str]:
    """A new key and its text, which nobody can see again.

    NotAKey if it asks for what there is not, or if two keys of this name are in force.
    """
    if not name.strip() or len(name) > 100:
        raise NotAKey("A key needs a name of at most 100 characters: what uses it.")
    unknown = set(scopes) - set(keys.SCOPES)
    if not scopes or unknown:
        raise NotAKey(f"A key may {' or '.join(keys.SCOPES)}; name at least one of these.")
    if not 0 < days <= keys.LONGEST_DAYS:
        raise NotAKey(f"A key ends: after 1 to {keys.LONGEST_DAYS} days.")
    if per_minute < 1:
        raise NotAKey("A key may do at least one thing in a minute.")
    if partner_key is not None and not _is_partner(conn, partner_key):
        raise NotAKey(f'"{partner_key}" is no partner of the network in force.')
    # Two that add at once must not make three.
    conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    standing = conn.execute(
        select(_k.id).where(_k.name == name, _k.revoked_at.is_(None), _k.ends_at > now)
    ).all()
    if len(standing) >= keys.MOST_ACTIVE:
        named = " and ".join(row.id for row in standing)
        raise NotAKey(
            f'"{name}" has {len(standing)} keys in force ({named}). Revoke the one that is no '
            "longer used: tower keys revoke ID."
        )
    key_id = base64.b32encode(secrets.token_bytes(8)).decode().lower()[: keys.ID_LENGTH]
    text = keys.written(key_id, secrets.token_urlsafe(32))
    made = Key(
        id=key_id,
        name=name,
        scopes=tuple(s for s in keys.SCOPES if s in scopes),
        partner=partner_key,
        networks=keys.networks_of(networks),
        per_minute=per_minute,
        made_by=by,
        made_at=now,
        ends_at=now + timedelta(days=days),
    )
    conn.execute(
        insert(api_key).values(
            id=made.id,
            name=made.name,
            sha256=keys.digest(text),
            scopes=list(made.scopes),
            partner=made.partner,
            networks=list(made.networks),
            per_minute=made.per_minute,
            made_by=by,
            made_at=now,
            ends_at=made.ends_at,
        )
    )
    audit.record(
        conn,
        by,
        "key.added",
        f"key:{made.id}",
        {
            "name": made.name,
            "scopes": made.scopes,
            "partner": made.partner,
            "networks": made.networks,
            "per_minute": made.per_minute,
            "ends_at": made.ends_at,
        },
        now,
    )
    return made, text


def listed(conn: Connection, now: datetime, *, also_past: bool = False) -> list[Key]:
    """Keys by name, the newest of a name first; those revoked or ended only if asked for."""
    asked = select(*_COLUMNS).order_by(_k.name, _k.made_at.desc(), _k.id)
    if not also_past:
        asked = asked.where(_k.revoked_at.is_(None), _k.ends_at > now)
    return [_key(row) for row in conn.execute(asked)]


def revoke(conn: Connection, key_id: str, *, by: str, why: str, now: datetime) -> Key | None:
    """Take a key out of force, from the next request on; None if there is none of this id.

    Revoking again changes nothing.
    """
    row = conn.execute(select(*_COLUMNS).where(_k.id == key_id).with_for_update()).one_or_none()
    if row is None:
        return None
    found = _key(row)
    if found.revoked_at is not None:
        return found
    conn.execute(update(api_key).where(_k.id == key_id).values(revoked_at=now, revoked_by=by))
    audit.record(conn, by, "key.revoked", f"key:{key_id}", {"name": found.name, "reason": why}, now)
    return replace(found, revoked_at=now, revoked_by=by)


def recognise(conn: Connection, presented: str, now: datetime) -> Key | None:
    """The key in force that was presented; None for all others alike.

    Its use is noted, once a minute.
    """
    key_id = keys.id_of(presented)
    row = conn.execute(select(api_key).where(_k.id == (key_id or ""))).one_or_none()
    # One that nobody knows is compared too, so that time does not tell which ids exist.
    fits = keys.same(_NOBODY if row is None else bytes(row.sha256), presented)
    if row is None or not fits:
        return None
    found = _key(row)
    if not found.active(now):
        return None
    if found.used_at is None or now - found.used_at >= USED_EVERY:
        conn.execute(
            update(api_key)
            .where(_k.id == found.id, or_(_k.used_at.is_(None), _k.used_at <= now - USED_EVERY))
            .values(used_at=now)
        )
    return found


def _is_partner(conn: Connection, key: str) -> bool:
    return bool(
        conn.execute(
            select(func.count()).select_from(partner).where(partner.c.key == key)
        ).scalar_one()
    )


def _key(row: Any) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        partner=row.partner,
        networks=tuple(row.networks),
        per_minute=row.per_minute,
        made_by=row.made_by,
        made_at=row.made_at,
        ends_at=row.ends_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        used_at=row.used_at,
    )
