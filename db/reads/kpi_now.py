"""Figures of now that know more than their subjects: pegs, currencies, what stood before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, Numeric, cast, func, select

from db.reads.counting import Question
from db.reads.filters import Filter, Period
from db.reads.overview import IS_OPEN, case_conditions, impact_conditions
from db.reads.sums import bucket
from db.tables import exception_case, order_impact, peg, queue_sample
from tower.access import Scope
from tower.kpis import DEFINITIONS, Figure

# --- snapshots ------------------------------------------------------------------------------------


def orders_affected(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime | None = None
) -> Figure:
    """Customer orders with an affected line, now."""
    i = order_impact.c
    orders, lines = conn.execute(
        select(
            func.count(func.distinct(func.concat(i.scope, "/", i.order))),
            func.count(func.distinct(func.concat(i.scope, "/", i.order, "/", i.order_line))),
        ).where(*affected(scope, narrowed))
    ).one()
    definition = DEFINITIONS["orders_affected"]
    if not orders and not _any_peg(conn):
        return Figure(definition, None, 0, reason=_NO_PEGS)
    return Figure(definition, float(orders), orders, parts={"order lines": f"{lines:,}"})


def value_at_risk(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime | None = None
) -> Figure:
    """Open value of the affected customer order lines, in the currency with most of them."""
    i = order_impact.c
    # A line hit by two purchase orders is one line; the surest of both tells how sure it is.
    line = (
        select(
            i.currency,
            func.max(i.open_value).label("value"),
            func.max(i.confidence).label("confidence"),
        )
        .where(*affected(scope, narrowed))
        .group_by(i.scope, i.order, i.order_line, i.currency)
        .subquery()
        .c
    )
    rows = conn.execute(
        select(
            line.currency,
            func.count(),
            func.count(line.value),
            func.sum(line.value),
            func.sum(line.value * cast(line.confidence, Numeric)),
        ).group_by(line.currency)
    ).all()
    definition = DEFINITIONS["value_at_risk"]
    if not rows and not _any_peg(conn):
        return Figure(definition, None, 0, reason=_NO_PEGS)
    unpriced = sum(row[1] - row[2] for row in rows)
    priced = sorted((row for row in rows if row[2]), key=lambda r: (-r[2], r[0] or ""))
    n = sum(row[1] for row in rows)
    outside = {"unpriced": unpriced} if unpriced else {}
    if not priced:
        reason = "no affected line has a price" if unpriced else ""
        value = None if unpriced else Decimal(0)
        return Figure(definition, value, n, outside=outside, reason=reason)
    told, *others = priced
    parts = {"weighed": f"{told[4]:,.0f}"}
    parts.update({row[0] or "without currency": f"{row[3]:,.0f}" for row in others})
    return Figure(definition, told[3], n, outside=outside, parts=parts, currency=told[0])


_NO_PEGS = "no data: no pegs from customer orders to purchase orders"


def _any_peg(conn: Connection) -> bool:
    return conn.execute(select(peg.c.home_key).limit(1)).first() is not None


def open_exceptions(conn: Connection, scope: Scope, narrowed: Filter, now: datetime) -> Figure:
    """Cases not resolved now, by severity; their number at each part of the period."""
    c, period = exception_case.c, narrowed.period
    mine = cases(scope, narrowed)
    by_severity: dict[str, int] = dict(
        conn.execute(
            select(c.severity, func.count()).where(IS_OPEN, *mine).group_by(c.severity)
        ).all()
    )
    total = sum(by_severity.values())
    opened, closed = (
        _per_bucket(conn, column, period, mine) for column in (c.opened_at, c.resolved_at)
    )
    # Walked back from now: what was open then = open now - opened since + closed since.
    series: list[float | None] = []
    standing = total
    for place in reversed(range(period.parts)):
        series.append(float(standing))
        standing += closed.get(place, 0) - opened.get(place, 0)
    words = ("critical", "high", "medium", "low")
    return Figure(
        DEFINITIONS["open_exceptions"],
        float(total),
        total,
        previous=float(standing),
        series=tuple(reversed(series)),
        parts={word: f"{by_severity[word]:,}" for word in words if by_severity.get(word)},
    )


def _per_bucket(
    conn: Connection,
    column: ColumnElement[datetime | None],
    period: Period,
    conditions: Iterable[ColumnElement[bool]],
) -> dict[int, int]:
    place = bucket(column, period)
    return dict(
        conn.execute(
            select(place, func.count())
            .where(column >= period.start, column < period.end, *conditions)
            .group_by(place)
        ).all()
    )


def affected(scope: Scope, narrowed: Filter) -> list[ColumnElement[bool]]:
    """Affected customer order lines of the viewer's choice; their topic is that of the cause."""
    found = impact_conditions(scope, narrowed)
    if narrowed.topic is not None:
        found.append(order_impact.c.cause == narrowed.topic)
    return found


def cases(scope: Scope, narrowed: Filter) -> list[ColumnElement[bool]]:
    """Cases of the viewer's choice."""
    found = case_conditions(scope, narrowed)
    if narrowed.topic is not None:
        found.append(exception_case.c.category == narrowed.topic)
    return found


def beside(question: Question, kpi_id: str) -> dict[str, float | None]:
    """What is told beside a figure of now and does not follow from its subjects."""
    if kpi_id != "queue_depth" or not question.scope.sees_all:
        return {}
    q = queue_sample.c
    highest, p95, oldest = question.conn.execute(
        select(
            func.max(q.total),
            func.percentile_cont(0.95).within_group(q.total),
            func.max(q.oldest_age_s),
        ).where(q.at >= question.period.start, q.at < question.period.end)
    ).one()
    return {"highest": highest, "p95": p95, "oldest_age_s": oldest}


SPECIAL: Mapping[str, Callable[[Connection, Scope, Filter, datetime], Figure]] = {
    "orders_affected": orders_affected,
    "value_at_risk": value_at_risk,
    "open_exceptions": open_exceptions,
}
