"""What needs a decision, how the exceptions move, and what changed since yesterday."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, or_, select, union_all
from sqlalchemy.dialects.postgresql import aggregate_order_by

from db.reads import customers_hurt, goods, names
from db.reads.filters import Filter, of_supplier, within_scope
from db.tables import document, exception_case, order_impact, source_spell
from tower.access import Scope
from tower.briefing import CategoryCount, Changes
from tower.root_causes import KIND

SEVERITY_RANK = {"low": 1, "medium": 2, "high": 3, "critical": 4}
SEVERITIES = {rank: word for word, rank in SEVERITY_RANK.items()}

severity_rank = case(SEVERITY_RANK, value=exception_case.c.severity, else_=0)
"""Severity of a case as a number to sort by, 4 = critical."""

PO_KINDS = ("po", "po_line")
IS_OPEN = exception_case.c.state != "resolved"

AGE_BANDS: tuple[tuple[str, timedelta | None], ...] = (
    ("< 4 h", timedelta(hours=4)),
    ("4-24 h", timedelta(hours=24)),
    ("1-3 d", timedelta(days=3)),
    ("3-7 d", timedelta(days=7)),
    ("> 7 d", None),
)


@dataclass(frozen=True, slots=True)
class RootCause:
    """Open cases with one category, one supplier (or feed) and one owner: one decision.

    consequence   sum of the priorities: value at risk x urgency x confidence
    top_case      the case with the highest priority, where work begins
    feed          name of the silent feed where the cause is one of ours
    """

    category: str
    supplier: str | None
    supplier_name: str | None
    feed: str | None
    owner: str
    owner_name: str
    severity: str
    since: datetime
    cases: int
    purchase_orders: int
    customer_orders: int
    value_at_risk: Decimal | None
    currency: str | None
    consequence: float | None
    next_step: str
    title: str
    top_case: int
    taken: int


@dataclass(frozen=True, slots=True)
class DayCount:
    """Exception cases opened and closed on one day (UTC)."""

    day: date
    opened: int
    closed: int


@dataclass(frozen=True, slots=True)
class AgeBand:
    """Open cases of one age and severity."""

    band: str
    severity: str
    cases: int


def needs_decision(
    conn: Connection, scope: Scope, narrowed: Filter, limit: int = 10
) -> tuple[RootCause, ...]:
    """The root causes with the highest consequence, worst first."""
    c = exception_case.c
    feed = case((c.kind == "source", c.number))
    grouped = (
        select(
            c.category,
            c.partner_id,
            func.max(c.supplier).label("supplier"),
            feed.label("feed"),
            c.owner,
            func.max(severity_rank).label("severity"),
            func.min(c.opened_at).label("since"),
            func.count().label("cases"),
            func.count(func.distinct(case((c.kind.in_(PO_KINDS), c.home_key)))).label("pos"),
            func.sum(c.orders_affected).label("orders"),
            func.sum(c.value_at_risk).label("value"),
            func.max(c.currency).label("currency"),
            func.sum(c.priority).label("consequence"),
            func.sum(case((c.state == "taken", 1), else_=0)).label("taken"),
            func.array_agg(aggregate_order_by(c.id, c.priority.desc().nulls_last(), c.id)).label(
                "ids"
            ),
        )
        .where(IS_OPEN, *case_conditions(scope, narrowed))
        .group_by(c.category, c.partner_id, feed, c.owner)
        .order_by(
            func.sum(c.priority).desc().nulls_last(),
            func.max(severity_rank).desc(),
            func.min(c.opened_at),
            c.category,
        )
        .limit(limit)
    )
    rows = conn.execute(grouped).all()
    ids = {case_id for row in rows for case_id in row.ids}
    told_of_customers = scope.sees_value_at_risk
    hurt = _hurt(conn, ids) if told_of_customers else {}
    tops = _texts(conn, [row.ids[0] for row in rows])
    people = names.people(conn)
    suppliers = names.suppliers(conn, scope)
    found = []
    for row in rows:
        title, advice = tops[row.ids[0]]
        cause = RootCause(
            category=row.category,
            supplier=row.supplier,
            supplier_name=suppliers.get(row.supplier, row.supplier),
            feed=row.feed,
            owner=row.owner,
            owner_name=people.get(row.owner, row.owner),
            severity=SEVERITIES.get(row.severity, "low"),
            since=row.since,
            cases=row.cases,
            purchase_orders=row.pos,
            customer_orders=(row.orders or 0) if told_of_customers else 0,
            value_at_risk=row.value if told_of_customers else None,
            currency=row.currency,
            consequence=row.consequence,
            next_step=advice,
            title=title,
            top_case=row.ids[0],
            taken=row.taken,
        )
        found.append(_counted_once(cause, hurt, row.ids))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Line:
    order: tuple[str, str]
    line: str
    value: Decimal | None
    currency: str | None


def _hurt(conn: Connection, ids: Iterable[int]) -> Mapping[int, list[_Line]]:
    """Affected customer order lines by the case that is to blame."""
    i = order_impact.c
    wanted = list(ids)
    found: dict[int, list[_Line]] = {}
    if not wanted:
        return found
    for row in conn.execute(
        select(i.case_id, i.scope, i.order, i.order_line, i.open_value, i.currency).where(
            i.case_id.in_(wanted)
        )
    ):
        line = _Line((row.scope, row.order), row.order_line, row.open_value, row.currency)
        found.setdefault(row.case_id, []).append(line)
    return found


def _counted_once(
    cause: RootCause, hurt: Mapping[int, list[_Line]], ids: Iterable[int]
) -> RootCause:
    """Orders and value of several cases without counting a customer order twice."""
    lines = {(x.order, x.line): x for case_id in ids for x in hurt.get(case_id, ())}
    if not lines:
        return cause
    priced = [x for x in lines.values() if x.value is not None and x.currency]
    currencies = [x.currency for x in priced]
    told = max(sorted(set(currencies), key=str), key=currencies.count, default=cause.currency)
    value = sum((x.value or Decimal(0) for x in priced if x.currency == told), Decimal(0))
    return replace(
        cause,
        customer_orders=len({order for order, _ in lines}),
        value_at_risk=value if priced else None,
        currency=told,
    )


def _texts(conn: Connection, ids: list[int]) -> dict[int, tuple[str, str]]:
    c = exception_case.c
    rows = conn.execute(select(c.id, c.title, c.advice).where(c.id.in_(ids)))
    return {row.id: (row.title, row.advice) for row in rows}


def case_flow(conn: Connection, scope: Scope, narrowed: Filter) -> tuple[DayCount, ...]:
    """Cases opened and closed per day of the period, days without any included."""
    c, period = exception_case.c, narrowed.period
    parts = []
    for column, word in ((c.opened_at, "opened"), (c.resolved_at, "closed")):
        day = func.date(func.timezone("UTC", column)).label("day")
        parts.append(
            select(day, func.count().label("n"), literal(word).label("what"))
            .where(column >= period.start, column < period.end, *case_conditions(scope, narrowed))
            .group_by(day)
        )
    counted: dict[tuple[date, str], int] = {
        (row.day, row.what): row.n for row in conn.execute(union_all(*parts))
    }
    first, last = period.start.date(), period.end.date()
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return tuple(
        DayCount(day, counted.get((day, "opened"), 0), counted.get((day, "closed"), 0))
        for day in days
    )


def open_ages(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime
) -> tuple[AgeBand, ...]:
    """Open cases by age since the fact was true, in clock hours, and severity."""
    c = exception_case.c
    branches = [(c.opened_at > now - limit, band) for band, limit in AGE_BANDS if limit is not None]
    band = case(*branches, else_=AGE_BANDS[-1][0]).label("band")
    rows = conn.execute(
        select(band, c.severity, func.count().label("n"))
        .where(IS_OPEN, *case_conditions(scope, narrowed))
        .group_by(band, c.severity)
    )
    counted = {(row.band, row.severity): row.n for row in rows}
    return tuple(
        AgeBand(name, severity, counted.get((name, severity), 0))
        for name, _ in AGE_BANDS
        for severity in ("critical", "high", "medium", "low")
    )


def changes(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime, hours: int = 24
) -> Changes:
    """What moved in the last ``hours``."""
    since = now - timedelta(hours=hours)
    c, i = exception_case.c, order_impact.c
    mine = case_conditions(scope, narrowed)
    opened = conn.execute(
        select(c.category, func.count().label("n"), func.count(func.distinct(c.partner_id)))
        .where(c.detected_at >= since, c.opened_at >= since - timedelta(days=30), *mine)
        .group_by(c.category)
        .order_by(func.count().desc(), c.category)
    ).all()
    closed = conn.execute(
        select(c.resolution, func.count())
        .where(c.resolved_at >= since, c.resolved_at <= now, *mine)
        .group_by(c.resolution)
    ).all()
    worst = conn.execute(
        select(c.supplier, func.count().label("n"))
        .where(c.opened_at >= since, c.supplier.is_not(None), *mine)
        .group_by(c.supplier)
        .order_by(func.count().desc(), c.supplier)
        .limit(1)
    ).one_or_none()
    hit = conn.execute(
        select(
            func.count(func.distinct(func.concat(i.scope, "/", i.order))),
            func.sum(i.open_value),
            func.max(i.currency),
        ).where(i.since >= since, *impact_conditions(scope, narrowed))
    ).one()
    released, answered = (
        _moved(conn, scope, narrowed, column, since, now)
        for column in (document.c.released_at, document.c.acknowledged_at)
    )
    silent, back = _feeds(conn, since, now) if scope.sees_all else ((), ())
    suppliers = names.suppliers(conn, scope)
    return Changes(
        hours=hours,
        opened=tuple(CategoryCount(*row) for row in opened),
        closed={row[0]: row[1] for row in closed},
        worst_supplier=None if worst is None else suppliers.get(worst.supplier, worst.supplier),
        worst_opened=0 if worst is None else worst.n,
        orders_hit=hit[0],
        value_hit=hit[1],
        currency=hit[2],
        released=released,
        answered=answered,
        feeds_silent=silent,
        feeds_back=back,
    )


def _moved(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    column: ColumnElement[datetime | None],
    since: datetime,
    now: datetime,
) -> int:
    """Purchase orders with this milestone in the span, which an index serves. An order is answered
    within a month of its release or not at all."""
    d = document.c
    return conn.execute(
        select(func.count()).where(
            d.kind == "po",
            d.released_at >= since - timedelta(days=30),
            column >= since,
            column < now,
            *within_scope(d, scope),
            *document_conditions(narrowed),
        )
    ).scalar_one()


def _feeds(
    conn: Connection, since: datetime, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Feeds gone silent and feeds that came back."""
    s = source_spell.c
    rows = conn.execute(
        select(s.source, s.to_at).where(
            or_(
                and_(s.known_at >= since, s.known_at <= now, s.to_at.is_(None)),
                and_(s.to_at >= since, s.to_at <= now),
            )
        )
    ).all()
    silent = {row.source for row in rows if row.to_at is None}
    back = {row.source for row in rows if row.to_at is not None} - silent
    return tuple(sorted(silent)), tuple(sorted(back))


# --- conditions shared by the questions -----------------------------------------------------------


def document_conditions(narrowed: Filter) -> list[ColumnElement[bool]]:
    """Parties of a purchase order's own row, and what one of its lines is of."""
    d = document.c
    found = of_supplier(d, narrowed.supplier)
    if narrowed.buyer is not None:
        found.append(d.buyer == narrowed.buyer)
    if narrowed.warehouse is not None:
        found.append(d.warehouse == narrowed.warehouse)
    if narrowed.category is not None:
        found.append(goods.has(d.home_key, narrowed.category))
    return found


def impact_conditions(scope: Scope, narrowed: Filter) -> list[ColumnElement[bool]]:
    """Parties of an affected customer order line: those of the purchase order to blame."""
    i = order_impact.c
    found = [
        *customers_hurt.told_to(scope),
        *within_scope(i, scope),
        *of_supplier(i, narrowed.supplier),
    ]
    if narrowed.buyer is not None:
        found.append(i.buyer == narrowed.buyer)
    if narrowed.warehouse is not None:
        found.append(i.warehouse == narrowed.warehouse)
    if narrowed.category is not None:
        found.append(goods.at_risk(narrowed.category))
    return found


def case_conditions(scope: Scope, narrowed: Filter) -> list[ColumnElement[bool]]:
    """Cases in the viewer's area and choice, each counted once: not the causes over them."""
    c, d = exception_case.c, document.c
    found = [*within_scope(c, scope), *of_supplier(c, narrowed.supplier), c.kind != KIND]
    if narrowed.buyer is not None or narrowed.warehouse is not None:
        only = Filter(narrowed.period, None, narrowed.buyer, narrowed.warehouse)
        found.append(
            select(1)
            .where(
                d.home_key == c.home_key, d.kind == "po", d.line == "", *document_conditions(only)
            )
            .exists()
        )
    if narrowed.category is not None:
        # Of what is about one line, that line; cases of notices and messages have no goods.
        found.append(goods.has(c.home_key, narrowed.category, goods.of_line(c.line)))
    return found
