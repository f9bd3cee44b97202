"""How fresh the data are: their version, the age of the newest read, and which feeds are silent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from db.reads import names
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
    """Feeds with an open spell of silence, or with an open case that says so.

    One that was never read counts once it has been silent beyond its rhythm: by some, such as the
    form of the portal, nobody has to speak.
    """
    s, c = source_spell.c, exception_case.c
    since = dict(
        conn.execute(select(s.source, s.from_at).where(s.to_at.is_(None), s.known_at <= now)).all()
    )
    cases = select(c.number).where(c.category == "SOURCE_SILENT", c.state != "resolved")
    accused = set(conn.execute(cases).scalars())
    found = sorted({*since, *accused})
    if not found:
        return ()
    k = checkpoint.c
    read_to = dict(conn.execute(select(k.source, k.complete_to).where(k.source.in_(found))).all())
    net = names.network(conn)
    rhythm = {} if net is None else {name: spec.silent_after for name, spec in net.sources.items()}
    return tuple(
        SilentFeed(name, read_to.get(name))
        for name in found
        if name in accused
        or read_to.get(name) is not None
        or since[name] + rhythm.get(name, timedelta(0)) <= now
    )
