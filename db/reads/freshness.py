"""How fresh the data are: their version, the age of the newest read, and which feeds are silent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from db.roles import knowing_the_house
from db.tables import case_note, checkpoint, exception_case, source_spell
from tower.access import Scope


@dataclass(frozen=True, slots=True)
class SilentFeed:
    """A feed that brings nothing although it should. ``complete_to`` None = never read."""

    source: str
    complete_to: datetime | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """``as_of``: the newest good read of any feed, None if none was ever read.

    ``version`` changes whenever a feed brought something or a case moved; figures kept under one
    version may be shown again.
    """

    version: str
    as_of: datetime | None
    newest_fact_at: datetime | None
    n_feeds: int
    silent: tuple[SilentFeed, ...]


def freshness(conn: Connection, scope: Scope, now: datetime) -> Freshness:
    """The stamp of a page. Feeds are our own sources: viewers of some partners only are told how
    many are silent, not which."""
    with knowing_the_house(conn):
        return _freshness(conn, scope, now)


def _freshness(conn: Connection, scope: Scope, now: datetime) -> Freshness:
    feeds = conn.execute(
        select(
            func.count(checkpoint.c.last_good_at),
            func.max(checkpoint.c.last_good_at),
            func.max(checkpoint.c.newest_at),
        )
    ).one()
    newest_note = conn.execute(select(func.max(case_note.c.id))).scalar_one()
    newest_case = conn.execute(select(func.max(exception_case.c.id))).scalar_one()
    parts = (feeds[1], feeds[2], newest_note, newest_case)
    version = "|".join("-" if part is None else str(part) for part in parts)
    silent = _silent(conn, now)
    if not scope.sees_all:
        silent = tuple(SilentFeed("a feed", feed.complete_to) for feed in silent)
    return Freshness(version, feeds[1], feeds[2], feeds[0], silent)


def _silent(conn: Connection, now: datetime) -> tuple[SilentFeed, ...]:
    """Feeds with an open spell of silence, or with an open case that says so."""
    spells = select(source_spell.c.source).where(
        source_spell.c.to_at.is_(None), source_spell.c.known_at <= now
    )
    cases = select(exception_case.c.number).where(
        exception_case.c.category == "SOURCE_SILENT", exception_case.c.state != "resolved"
    )
    names = sorted(set(conn.execute(spells.union(cases)).scalars()))
    if not names:
        return ()
    read_to = dict(
        conn.execute(
            select(checkpoint.c.source, checkpoint.c.complete_to).where(
                checkpoint.c.source.in_(names)
            )
        ).all()
    )
    return tuple(SilentFeed(name, read_to.get(name)) for name in names)
