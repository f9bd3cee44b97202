"""Queues of the brokers: the newest sample of each, and how one moved over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import distinct_on

from db.reads.rows import record
from db.tables import queue_sample
from tower.access import Scope
from tower.identity import queue_key

MOST_POINTS = 600


@dataclass(frozen=True, slots=True)
class QueueNow:
    """The newest sample of a queue and its depth a day before. None = the broker did not say."""

    broker: str
    queue: str
    at: datetime
    ready: int | None
    in_flight: int | None
    total: int | None
    consumers: int | None
    in_rate: float | None
    out_rate: float | None
    oldest_age_s: float | None
    dlq_of: str | None
    total_before: int | None
    highest: int | None


def newest(conn: Connection, scope: Scope, now: datetime) -> list[QueueNow]:
    """Every queue seen in the last day, dead-letter queues first, then by depth.

    Queues are our own systems: only viewers of all partners see them.
    """
    if not scope.sees_all:
        return []
    table = queue_sample.c
    day = now - timedelta(days=1)
    recent = (
        select(queue_sample)
        .where(table.at > day, table.at <= now)
        .ext(distinct_on(table.broker, table.queue))
        .order_by(table.broker, table.queue, table.at.desc())
        .subquery()
    )
    over_day = (
        select(
            table.broker,
            table.queue,
            func.max(table.total).label("highest"),
            func.min(table.at).label("first_at"),
        )
        .where(table.at > day, table.at <= now)
        .group_by(table.broker, table.queue)
        .subquery()
    )
    rows = conn.execute(
        select(
            recent.c.broker,
            recent.c.queue,
            recent.c.at,
            recent.c.ready,
            recent.c.in_flight,
            recent.c.total,
            recent.c.consumers,
            recent.c.in_rate,
            recent.c.out_rate,
            recent.c.oldest_age_s,
            recent.c.dlq_of,
            queue_sample.c.total.label("total_before"),
            over_day.c.highest,
        )
        .join(
            over_day,
            (over_day.c.broker == recent.c.broker) & (over_day.c.queue == recent.c.queue),
        )
        .outerjoin(
            queue_sample,
            (queue_sample.c.broker == over_day.c.broker)
            & (queue_sample.c.queue == over_day.c.queue)
            & (queue_sample.c.at == over_day.c.first_at),
        )
        .order_by(
            recent.c.dlq_of.is_(None),
            func.coalesce(recent.c.total, 0).desc(),
            recent.c.queue,
        )
    )
    return [QueueNow(**row._asdict()) for row in rows]


def over_time(
    conn: Connection, scope: Scope, broker: str, queue: str, since: datetime, until: datetime
) -> list[Mapping[str, Any]]:
    """Samples of one queue in time order, thinned to at most 600: the deepest of each slice."""
    if not scope.sees_all:
        return []
    table = queue_sample.c
    width = max(60.0, (until - since).total_seconds() / MOST_POINTS)
    slice_ = func.floor(func.extract("epoch", table.at) / width)
    rows = conn.execute(
        select(
            func.max(table.at).label("at"),
            func.max(table.ready).label("ready"),
            func.max(table.in_flight).label("in_flight"),
            func.max(table.total).label("total"),
            func.min(table.consumers).label("consumers"),
            func.avg(table.in_rate).label("in_rate"),
            func.avg(table.out_rate).label("out_rate"),
            func.max(table.oldest_age_s).label("oldest_age_s"),
        )
        .where(
            table.queue_key == queue_key(broker, queue),
            table.broker == broker,
            table.queue == queue,
            table.at > since,
            table.at <= until,
        )
        .group_by(slice_)
        .order_by(slice_)
    )
    return [record(row) for row in rows]
