"""Silences for screens and the command: in force, to come, over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, or_, select

from db.silences import of_row
from db.tables import exception_case, silence
from tower.access import Scope
from tower.silences import Silence

SHOWN_FOR = timedelta(days=30)  # so long after their end
MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """A silence with what it keeps quiet.

    state       active, coming or over
    open_cases  open cases that it fits
    """

    silence: Silence
    state: str
    open_cases: int


def listing(conn: Connection, scope: Scope, now: datetime) -> list[Listed]:
    """Silences in force, to come, and of the last thirty days: those in force first, then by end.

    They name partners and reasons of ours: staff only.
    """
    if not scope.sees_all:
        return []
    s, c = silence.c, exception_case.c
    over = or_(s.to_at <= now, s.ended_at <= now)
    fits = and_(
        *(or_(s[name].is_(None), s[name] == c[column])
          for name, column in (("rule", "rule"), ("category", "category"),
                               ("partner", "supplier"))),
        or_(s.source.is_(None), and_(c.kind == "source", c.number == s.source)),
        or_(s.po.is_(None), and_(c.kind.in_(("po", "po_line")), c.number == s.po)),
    )  # fmt: skip
    counted = (
        select(func.count()).select_from(exception_case).where(c.state != "resolved", fits)
    ).scalar_subquery()
    rows = conn.execute(
        select(silence, counted.label("open_cases"))
        .where(or_(~over, func.coalesce(s.ended_at, s.to_at) > now - SHOWN_FOR))
        .order_by(s.id.desc())
        .limit(MOST_ROWS)
    )
    found = [_listed(of_row(row), row.open_cases, now) for row in rows]
    order = {"active": 0, "coming": 1, "over": 2}
    return sorted(found, key=lambda one: (order[one.state], one.silence.until, one.silence.id))


def _listed(known: Silence, open_cases: int, now: datetime) -> Listed:
    state = "over" if known.until <= now else "active" if known.from_at <= now else "coming"
    return Listed(known, state, open_cases)
