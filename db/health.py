"""What the tower knows of itself: beats of its processes, work that waits, size of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, select, text
from sqlalchemy.dialects.postgresql import insert

from db.reads.unmatched import waits
from db.tables import active_config, dead_letter, flow, heartbeat, outbox, timer

LOST_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ProcessBeat:
    """One process and when it was last heard of."""

    process: str
    node: str
    role: str
    version: str
    started_at: datetime
    at: datetime
    detail: Mapping[str, Any]

    def alive(self, now: datetime) -> bool:
        return now - self.at < LOST_AFTER


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work that waits. Instants None = nothing waits."""

    timers_due: int
    oldest_timer: datetime | None
    mails_waiting: int
    oldest_mail: datetime | None
    mails_failed: int
    dead_letters_open: int
    flows_unmatched: int


def beat(
    conn: Connection,
    *,
    process: str,
    node: str,
    role: str,
    version: str,
    started_at: datetime,
    now: datetime,
    detail: Mapping[str, Any],
) -> None:
    """Say that a process lives; rows of processes silent for a day are dropped."""
    values = {
        "role": role,
        "version": version,
        "started_at": started_at,
        "at": now,
        "detail": dict(detail),
    }
    conn.execute(
        insert(heartbeat)
        .values(process=process, node=node, **values)
        .on_conflict_do_update(index_elements=[heartbeat.c.process, heartbeat.c.node], set_=values)
    )
    conn.execute(heartbeat.delete().where(heartbeat.c.at < now - timedelta(days=1)))


def processes(conn: Connection) -> list[ProcessBeat]:
    """Every process heard of in the last day, newest beat first."""
    rows = conn.execute(
        select(
            heartbeat.c.process,
            heartbeat.c.node,
            heartbeat.c.role,
            heartbeat.c.version,
            heartbeat.c.started_at,
            heartbeat.c.at,
            heartbeat.c.detail,
        ).order_by(heartbeat.c.at.desc())
    )
    return [ProcessBeat(*row) for row in rows]


def backlog(conn: Connection, now: datetime) -> Backlog:
    """What waits at ``now``; each figure by an index, none by scanning open objects."""
    timers = conn.execute(
        select(func.count(), func.min(timer.c.due)).where(timer.c.due <= now)
    ).one()
    mails = conn.execute(
        select(
            func.count(case((outbox.c.state == "waiting", 1))),
            func.min(case((outbox.c.state == "waiting", outbox.c.created_at))),
            func.count(case((outbox.c.state == "failed", 1))),
        ).where(outbox.c.state.in_(("waiting", "failed")))
    ).one()
    letters = conn.execute(
        select(func.count()).select_from(dead_letter).where(dead_letter.c.state == "open")
    ).scalar_one()
    unmatched = conn.execute(select(func.count()).select_from(flow).where(*waits())).scalar_one()
    return Backlog(
        timers_due=timers[0],
        oldest_timer=timers[1],
        mails_waiting=mails[0],
        oldest_mail=mails[1],
        mails_failed=mails[2],
        dead_letters_open=letters,
        flows_unmatched=unmatched,
    )


def database_size(conn: Connection) -> int:
    """Bytes of the whole database on disk."""
    return int(conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def server_version(conn: Connection) -> str:
    return str(conn.execute(text("SHOW server_version")).scalar_one())


@dataclass(frozen=True, slots=True)
class FileInForce:
    """A configuration file in force; ``problem`` says why a newer one was refused."""

    name: str
    hash: str
    activated_at: datetime
    problem: str


def files(conn: Connection) -> list[FileInForce]:
    """The configuration in force, by name."""
    rows = conn.execute(
        select(
            active_config.c.name,
            active_config.c.hash,
            active_config.c.activated_at,
            active_config.c.problem,
        )
        .where(active_config.c.hash != "")  # the others are switches
        .order_by(active_config.c.name)
    )
    return [FileInForce(*row) for row in rows]
