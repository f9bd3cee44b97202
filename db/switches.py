"""The read-only switch: while it is on, nothing that a person could do changes anything."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from db import audit
from db.tables import active_config
from tower.errors import TowerError

READ_ONLY = "read_only"
_c = active_config.c


class ReadOnly(TowerError):
    """Somebody switched changes off; the sentence says who and why."""


def why_read_only(conn: Connection) -> str:
    """Who switched changes off and why; "" while they are on."""
    found = conn.execute(select(_c.body).where(_c.name == READ_ONLY)).scalar_one_or_none()
    return found or ""


def check_writable(conn: Connection) -> None:
    """Raise ReadOnly while changes are switched off.

    The row stays locked against the switch until the caller's transaction ends.
    """
    found = conn.execute(
        select(_c.body).where(_c.name == READ_ONLY).with_for_update(read=True)
    ).scalar_one_or_none()
    if found:
        raise ReadOnly(
            f"The tower is read-only: {found} Switch it back with: tower read-only off --why ..."
        )


def set_read_only(conn: Connection, who: str, why: str, now: datetime) -> None:
    """Switch changes off. What is being sent at this moment ends; nothing new is claimed."""
    said = f"{who} at {now:%Y-%m-%d %H:%M}Z: {why.strip() or 'no reason given'}."
    values = {"hash": "", "body": said, "activated_at": now}
    conn.execute(
        insert(active_config)
        .values(name=READ_ONLY, **values)
        .on_conflict_do_update(index_elements=[_c.name], set_=values)
    )
    audit.record(conn, who, "read_only.on", "tower", {"reason": why}, now)


def set_writable(conn: Connection, who: str, why: str, now: datetime) -> None:
    """Allow changes again."""
    conn.execute(delete(active_config).where(_c.name == READ_ONLY))
    audit.record(conn, who, "read_only.off", "tower", {"reason": why}, now)
