"""Scorecards of suppliers: the figures of each, what they make together, and where they go.

All suppliers are asked about at once, one figure after the other: as many questions for a hundred
suppliers as for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, Date, Float, and_, cast, func, select

from db.reads import counted_ahead, goods
from db.reads.figures import course, values_by_periods
from db.reads.filters import Filter, Period, of_supplier, within_scope
from db.reads.kpi_ahead import ACTUAL, ASKED
from db.reads.overview import IS_OPEN, case_conditions, impact_conditions
from db.reads.rules import rulebook
from db.tables import document, exception_case, order_impact, partner
from tower.access import Scope
from tower.scorecards import (
    Difference,
    Drift,
    Measured,
    Score,
    ScorecardSpec,
    compare,
    drift_of_medians,
    score,
    score_value,
)

MONTHS = 6  # of a trend, the one told included


@dataclass(frozen=True, slots=True)
class ScoreAt:
    """A point of a trend: the score of a period; None = no data, the line has a gap."""

    start: datetime
    end: datetime
    score: float | None


@dataclass(frozen=True, slots=True)
class SupplierCard:
    """The card of one supplier in one period.

    drift            of its lead time, over orders completed in the period
    trend            its scores in the periods before, oldest first, this one last
    open_exceptions  cases open now; ``value_at_risk`` of the customer order lines affected now, in
                     ``currency``; None = no affected line has a price
    """

    supplier: str
    name: str
    tier: str | None
    period: Period
    score: Score
    drift: Drift
    trend: tuple[ScoreAt, ...]
    open_exceptions: int
    orders_affected: int
    value_at_risk: Decimal | None
    currency: str | None


def spec_in_force(conn: Connection) -> ScorecardSpec:
    """How suppliers are scored by the rule book in force; before the first one the defaults."""
    book = rulebook(conn)
    return ScorecardSpec() if book is None else book.scorecard


def scorecards(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime, *, trend: int = 1
) -> tuple[SupplierCard, ...]:
    """The cards of all suppliers that are not ended, the worst score first, those without a score
    last; a filter's buyer, warehouse and category of goods narrow what is counted. Of a category
    only those that bring any of it have a card, unless one is asked for by name.

    ``trend``: so many periods of the same length, this one included, are scored too; each more
    costs as much as the first.
    """
    spec = spec_in_force(conn)
    period = narrowed.period
    known = _suppliers(conn, scope, narrowed)
    periods = [period, period.previous()]
    while len(periods) < trend:
        periods.append(periods[-1].previous())
    measured = measured_by_supplier(conn, scope, narrowed, periods, spec, now)
    drifts = lead_time_drifts(conn, scope, narrowed, spec)
    cases, risks = _cases(conn, scope, narrowed), _risks(conn, scope, narrowed)
    found = []
    for key, (name, tier) in known.items():
        if narrowed.category is not None and narrowed.supplier is None:
            counted = any(one.n for one in measured[0].get(key, {}).values())
            if not counted and key not in drifts and key not in cases and key not in risks:
                continue
        scored = score(spec, tier, measured[0].get(key, {}), measured[1].get(key, {}))
        history = [scored.value, scored.previous] + [
            score_value(spec, tier, earlier.get(key, {})) for earlier in measured[2:]
        ]
        orders, value, currency = risks.get(key, (0, None, None))
        points = zip(periods[:trend], history[:trend], strict=True)
        found.append(
            SupplierCard(
                supplier=key,
                name=name,
                tier=tier,
                period=period,
                score=scored,
                drift=drifts.get(key) or drift_of_medians(spec.lead_time, None, None, "asked", 0),
                trend=tuple(ScoreAt(p.start, p.end, s) for p, s in points)[::-1],
                open_exceptions=cases.get(key, 0),
                orders_affected=orders,
                value_at_risk=value,
                currency=currency,
            )
        )
    found.sort(key=lambda c: (c.score.value is None, c.score.value or 0.0, c.name, c.supplier))
    return tuple(found)


def scorecard(
    conn: Connection,
    scope: Scope,
    supplier: str,
    narrowed: Filter,
    now: datetime,
) -> SupplierCard | None:
    """The card of one supplier, with its score month by month; None if the viewer knows no such
    supplier."""
    found = scorecards(conn, scope, replace(narrowed, supplier=supplier), now)
    if not found:
        return None
    return replace(found[0], trend=monthly(conn, scope, supplier, narrowed, now))


def measured_by_supplier(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    periods: Sequence[Period],
    spec: ScorecardSpec,
    now: datetime,
) -> list[dict[str, dict[str, Measured]]]:
    """The scored figures of every supplier that has subjects, by period."""
    found: list[dict[str, dict[str, Measured]]] = []
    asked = (tuple(spec.figures), "supplier", narrowed, periods, now)
    for of_period in values_by_periods(conn, scope, *asked):
        measured: dict[str, dict[str, Measured]] = {}
        for name in spec.figures:
            for key, (value, n) in of_period[name].items():
                measured.setdefault(key, {})[name] = Measured(
                    None if value is None else float(value), n
                )
        found.append(measured)
    return found


def monthly(
    conn: Connection,
    scope: Scope,
    supplier: str,
    narrowed: Filter,
    now: datetime,
    months: int = MONTHS,
) -> tuple[ScoreAt, ...]:
    """The scores of one supplier in calendar months (UTC), oldest first, up to the one in which
    the period ends; that one as far as the period goes."""
    spec = spec_in_force(conn)
    tier = conn.execute(
        select(partner.c.tier).where(partner.c.key == supplier)
    ).scalar_one_or_none()
    last = (narrowed.period.end - timedelta(microseconds=1)).astimezone(UTC)
    first = last.year * 12 + last.month - months
    begin = datetime(first // 12, first % 12 + 1, 1, tzinfo=UTC)
    wide = replace(narrowed, supplier=supplier, period=Period(begin, narrowed.period.end))
    measured: dict[str, dict[str, Measured]] = {}
    for name in spec.figures:
        for told in course(conn, scope, name, "month", wide, now):
            value = told.figure.value
            measured.setdefault(told.key, {})[name] = Measured(
                None if value is None else float(value), told.figure.n
            )
    found = []
    for key in sorted(measured):
        start = datetime.fromisoformat(key).replace(tzinfo=UTC)
        end = min((start + timedelta(days=32)).replace(day=1), narrowed.period.end)
        found.append(ScoreAt(start, end, score_value(spec, tier, measured[key])))
    return tuple(found)


def compared(one: SupplierCard, other: SupplierCard) -> tuple[Difference, ...]:
    """Two suppliers in one period, or one supplier in two periods, figure by figure."""
    return compare(one.score, other.score)


def lead_time_drifts(
    conn: Connection, scope: Scope, narrowed: Filter, spec: ScorecardSpec
) -> dict[str, Drift]:
    """Median days from sending an order to the receipt that completed it, against what these same
    orders asked for; by supplier, over orders completed in the period."""
    ahead = _drifts_ahead(conn, scope, narrowed)
    if ahead is not None:
        return {
            key: drift_of_medians(spec.lead_time, actual, asked, "asked", n)
            if days is None
            else drift_of_medians(spec.lead_time, actual, float(days), "agreed", n)
            for key, n, actual, asked, days in ahead
        }
    d, h, p = document.c, document.alias("header"), partner.c
    sent = cast(func.timezone("UTC", func.coalesce(h.c.transmitted_at, h.c.released_at)), Date)
    complete = and_(d.received_qty >= d.ordered_qty, d.actual_receipt_date.is_not(None))
    conditions = [*within_scope(d, scope), *of_supplier(d, narrowed.supplier)]
    if narrowed.buyer is not None:
        conditions.append(h.c.buyer == narrowed.buyer)
    if narrowed.warehouse is not None:
        conditions.append(h.c.warehouse == narrowed.warehouse)
    if narrowed.category is not None:
        conditions.append(goods.has(d.home_key, narrowed.category))
    orders = (
        select(
            d.partner_id,
            cast(func.max(d.actual_receipt_date) - sent, Float).label("actual"),
            cast(func.max(d.requested_date) - sent, Float).label("asked"),
        )
        .select_from(document)
        .join(
            h,
            and_(
                h.c.home_key == d.home_key,
                h.c.kind == "po",
                h.c.scope == d.scope,
                h.c.number == d.number,
                h.c.line == "",
            ),
        )
        .where(
            d.kind == "po_line",
            # What is completed now was ordered within half a year: this is what the index serves.
            d.released_at >= narrowed.period.start - _LONGEST_ORDER,
            d.released_at < narrowed.period.end,
            d.ordered_qty > 0,
            d.cancelled_at.is_(None),
            *conditions,
        )
        .group_by(d.partner_id, d.home_key, d.scope, d.number, sent)
        .having(
            func.bool_and(complete),
            func.max(d.actual_receipt_date) >= _day(narrowed.period.start),
            func.max(d.actual_receipt_date) < _day(narrowed.period.end),
        )
        .subquery()
    )
    o = orders.c
    middle = [func.percentile_cont(0.5).within_group(column) for column in (o.actual, o.asked)]
    agreed = func.max(p.profile["lead_time_days"].as_integer())
    rows = conn.execute(
        select(p.key, func.count(), *middle, agreed)
        .join(partner, p.partner_id == o.partner_id)
        .group_by(p.key)
    )
    return {
        key: drift_of_medians(spec.lead_time, actual, asked, "asked", n)
        if days is None
        else drift_of_medians(spec.lead_time, actual, float(days), "agreed", n)
        for key, n, actual, asked, days in rows
    }


def _drifts_ahead(
    conn: Connection, scope: Scope, narrowed: Filter
) -> list[tuple[str, int, float | None, float | None, int | None]] | None:
    """Key of the supplier, orders, median days told and asked for, days agreed; None where only
    documents tell."""
    by = frozenset({"supplier"})
    questions = [counted_ahead.asked(conn, scope, of, narrowed, by) for of in (ACTUAL, ASKED)]
    counted = counted_ahead.medians(questions)
    if counted is None:
        return None
    actual, asked = counted
    p = partner.c
    days = p.profile["lead_time_days"].as_integer()
    return [
        (row.key, *told, asked.get(row.partner_id, (0, None))[1], row.days)
        for row in conn.execute(select(p.key, p.partner_id, days.label("days")))
        if (told := actual.get(row.partner_id)) is not None and told[0]
    ]  # fmt: skip


_LONGEST_ORDER = timedelta(days=180)  # from release to receipt


def _day(moment: datetime) -> date:
    return moment.date()


def _suppliers(
    conn: Connection, scope: Scope, narrowed: Filter
) -> dict[str, tuple[str, str | None]]:
    """Name and tier by key, of those that are measured: ended ones and those being tried out are
    left out."""
    p = partner.c
    wanted = [*within_scope(p, scope), *of_supplier(p, narrowed.supplier)]
    if narrowed.supplier is None:
        wanted.append(p.stage.in_(("live", "paused")))
    rows = conn.execute(select(p.key, p.name, p.tier).where(*wanted).order_by(p.key))
    return {row.key: (row.name, row.tier) for row in rows}


def _cases(conn: Connection, scope: Scope, narrowed: Filter) -> dict[str, int]:
    """Open cases by supplier."""
    c, p = exception_case.c, partner.c
    rows = conn.execute(
        select(p.key, func.count())
        .join(partner, p.partner_id == c.partner_id)
        .where(IS_OPEN, *case_conditions(scope, narrowed))
        .group_by(p.key)
    )
    return dict(rows.all())


def _risks(
    conn: Connection, scope: Scope, narrowed: Filter
) -> dict[str, tuple[int, Decimal | None, str | None]]:
    """Customer orders hit by supplier, and the value at risk in the currency with most lines."""
    i, p = order_impact.c, partner.c
    line = (
        select(
            i.partner_id, i.scope, i.order, i.order_line, i.currency,
            func.max(i.open_value).label("value"),
        )
        .where(*impact_conditions(scope, narrowed))
        .group_by(i.partner_id, i.scope, i.order, i.order_line, i.currency)
        .subquery()
        .c
    )  # fmt: skip
    rows = conn.execute(
        select(
            p.key,
            line.currency,
            func.count(func.distinct(func.concat(line.scope, "/", line.order))),
            func.count(line.value),
            func.sum(line.value),
        )
        .join(partner, p.partner_id == line.partner_id)
        .group_by(p.key, line.currency)
        .order_by(p.key, func.count(line.value).desc(), line.currency)
    )
    found: dict[str, tuple[int, Decimal | None, str | None]] = {}
    for key, currency, orders, priced, value in rows:
        before = found.get(key)
        if before is None:
            found[key] = (orders, value if priced else None, currency)
        else:
            found[key] = (before[0] + orders, *before[1:])
    return found
