"""What a monitoring system asks of the tower: figures about itself, each from one cheap query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from db import health, sources, subscriptions
from db.health import Backlog
from db.sources import SourceState
from db.subscriptions import Standing
from db.tables import exception_case


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the tower is at an instant.

    cases      open cases by severity
    processes  processes heard of in the last half minute by role
    size       bytes of the database on disk
    """

    now: datetime
    backlog: Backlog
    sources: Sequence[SourceState]
    cases: Mapping[str, int]
    processes: Mapping[str, int]
    subscriptions: Sequence[Standing]
    size: int


def vitals(conn: Connection, now: datetime) -> Vitals:
    """Everything at once; each part by an index or over a small table."""
    c = exception_case.c
    cases = conn.execute(
        select(c.severity, func.count()).where(c.state != "resolved").group_by(c.severity)
    )
    alive: dict[str, int] = {}
    for process in health.processes(conn):
        if process.alive(now):
            alive[process.role] = alive.get(process.role, 0) + 1
    return Vitals(
        now=now,
        backlog=health.backlog(conn, now),
        sources=sources.states(conn),
        cases=dict(cases.all()),
        processes=alive,
        subscriptions=subscriptions.standings(conn, now),
        size=health.database_size(conn),
    )
