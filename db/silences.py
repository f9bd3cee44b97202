"""Silences as they are kept: put down, ended, never deleted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, false, insert, or_, select, update

from db import audit, switches, timers
from db.mail import GroupKey
from db.tables import exception_case, group_member, silence
from db.timers import MAIL_GROUP, Timer
from tower.silences import MATCHERS, NotASilence, Silence, checked

log = logging.getLogger(__name__)

_COLUMNS = tuple(field.name for field in fields(Silence))
_s = silence.c


def of_row(row: Row[Any]) -> Silence:
    return Silence(**{name: row._mapping[name] for name in _COLUMNS})


def add(
    conn: Connection,
    *,
    matchers: Mapping[str, str | None],
    from_at: datetime,
    to_at: datetime,
    reason: str,
    author: str,
    now: datetime,
) -> Silence:
    """Put a silence down. Raises NotASilence where it matches all, has no end or no reason."""
    switches.check_writable(conn)
    given = {name: value.strip() for name, value in matchers.items() if value and value.strip()}
    checked({name: given.get(name) for name in matchers}, from_at, to_at, reason, author)
    if to_at <= now:
        raise NotASilence("That time is over. Give an end to come.")
    row = conn.execute(
        insert(silence)
        .values(
            **given,
            from_at=from_at,
            to_at=to_at,
            reason=reason.strip()[:1000],
            author=author.strip()[:200],
            created_at=now,
        )
        .returning(silence)
    ).one()
    found = of_row(row)
    _note(conn, found, found.author, "added", now)
    return found


def end(conn: Connection, silence_id: int, *, author: str, now: datetime) -> Silence:
    """End a silence before its time: what waited for its end is told. Raises NotASilence."""
    switches.check_writable(conn)
    row = conn.execute(select(silence).where(_s.id == silence_id).with_for_update()).one_or_none()
    if row is None:
        raise NotASilence(f"There is no silence {silence_id}. tower silence list shows them.")
    known = of_row(row)
    if known.until <= now:
        raise NotASilence(f"Silence {silence_id} is over since {known.until:%Y-%m-%d %H:%M} UTC.")
    _wake(conn, known, now)
    changed = conn.execute(
        update(silence)
        .where(_s.id == silence_id)
        .values(ended_at=now, ended_by=author.strip()[:200])
        .returning(silence)
    ).one()
    ended = of_row(changed)
    _note(conn, ended, author.strip() or "?", "ended", now)
    return ended


def _note(conn: Connection, known: Silence, who: str, what: str, now: datetime) -> None:
    """Write down who did it, in the log and among the acts of people."""
    detail = {name: getattr(known, name) for name in (*MATCHERS, "from_at", "to_at", "reason")}
    audit.record(conn, who, f"silence.{what}", f"silence:{known.id}", detail, now)
    log.info(
        "Silence put down or ended",
        extra={"action": f"silence.{what}", "silence": known.id, "author": who},
    )


def active(conn: Connection, now: datetime) -> list[Silence]:
    """Silences in force at an instant, oldest first."""
    rows = conn.execute(
        select(silence)
        .where(_s.from_at <= now, _s.to_at > now, or_(_s.ended_at.is_(None), _s.ended_at > now))
        .order_by(_s.id)
    )
    return [of_row(row) for row in rows]


def between(conn: Connection, begin: datetime, end: datetime) -> list[Silence]:
    """Silences in force at any time between two instants, oldest first."""
    rows = conn.execute(
        select(silence)
        .where(_s.from_at < end, _s.to_at > begin, or_(_s.ended_at.is_(None), _s.ended_at > begin))
        .order_by(_s.id)
    )
    return [of_row(row) for row in rows]


def _wake(conn: Connection, known: Silence, now: datetime) -> None:
    """Have the groups flushed in which cases of this silence wait."""
    m = group_member.c
    rows = conn.execute(
        select(m.policy, m.recipient, m.group_key)
        .join(exception_case, exception_case.c.id == m.case_id)
        .where(matching(known))
        .distinct()
    )
    timers.sooner(conn, [Timer(MAIL_GROUP, GroupKey(*row).timer_key, now) for row in rows])


def matching(known: Silence) -> ColumnElement[bool]:
    """The same as ``Silence.covers`` without its time, for rows of exception_case."""
    c = exception_case.c
    asked: list[ColumnElement[bool]] = []
    for column, value in (
        (c.rule, known.rule),
        (c.category, known.category),
        (c.supplier, known.partner),
    ):
        if value is not None:
            asked.append(column == value)
    if known.source is not None:
        asked.append(and_(c.kind == "source", c.number == known.source))
    if known.po is not None:
        asked.append(and_(c.kind.in_(("po", "po_line")), c.number == known.po))
    return and_(*asked) if asked else false()
