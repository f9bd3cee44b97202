"""The key figures: sums by SQL, meaning by tower.kpis.

Each function asks one question over two periods at once, the one wanted and the one before, cut
into parts, so that value, difference and course come from one pass over an index.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Integer,
    Numeric,
    Select,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.sql import ColumnCollection

from db.reads.filters import Filter, Period, of_supplier, within_scope
from db.reads.overview import (
    IS_OPEN,
    case_conditions,
    document_conditions,
    impact_conditions,
)
from db.reads.rules import rules_of
from db.tables import clock, document, exception_case, flow_link, order_impact, partner, peg
from tower import kpis
from tower.access import Scope
from tower.kpis import DEFINITIONS, Figure, Tally

Columns = ColumnCollection[str, ColumnElement[Any]]

ACK, ASN_BAD = "ACK_OVERDUE", "ASN_INVALID"
DUE_CATEGORIES = ("ACK_OVERDUE", "ASN_MISSING", "FA_OVERDUE", "ACK_NOT_IN_ERP")


@dataclass(frozen=True, slots=True)
class WeekShare:
    """On-time acknowledgement of one supplier over the ``weeks`` up to and with ``week``.

    ``share`` None = too few orders to judge.
    """

    supplier: str
    supplier_name: str
    week: date
    hits: int
    n: int
    share: float | None
    weeks: int


def leader_figures(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime
) -> tuple[Figure, ...]:
    """The cards of the overview, in their order."""
    on_time, valid = shipment_notices(conn, scope, narrowed)
    return (
        orders_affected(conn, scope, narrowed),
        value_at_risk(conn, scope, narrowed),
        ack_on_time(conn, scope, narrowed),
        on_time,
        valid,
        otif(conn, scope, narrowed, now),
        open_exceptions(conn, scope, narrowed, now),
        coverage(conn, scope, narrowed),
    )


# --- clocks ---------------------------------------------------------------------------------------


def ack_on_time(conn: Connection, scope: Scope, narrowed: Filter) -> Figure:
    """Purchase orders answered in time, of those whose answer fell due in the period."""
    c = clock.c
    bucket = _bucket(c.due_at, narrowed.period)
    rows = conn.execute(
        select(bucket, c.verdict, func.count())
        .where(
            c.rule.in_(rules_of(conn, ACK)),
            *_due_within(narrowed.period),
            *_clocks(scope, narrowed),
        )
        .group_by(bucket, c.verdict)
    )
    verdicts: dict[int, dict[str, int]] = defaultdict(dict)
    for place, verdict, n in rows:
        verdicts[place][verdict] = n
    tallies = {place: kpis.clock_tally(counts) for place, counts in verdicts.items()}
    return _rate("ack_on_time", tallies, narrowed.period)


def ack_by_week(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime, suppliers: int = 15
) -> tuple[WeekShare, ...]:
    """On-time acknowledgement per week of the suppliers with most misses, those ahead.

    Weeks begin on Monday, UTC; at least six are shown, however short the period. Where most single
    weeks hold too few orders to be judged, each cell tells of the four weeks up to its own.
    """
    c = clock.c
    first = _monday(min(narrowed.period.start, now - timedelta(weeks=6)).date())
    week = cast(func.date_trunc("week", func.timezone("UTC", c.due_at)), Date).label("week")
    rows = conn.execute(
        select(partner.c.key, partner.c.name, week, c.verdict, func.count())
        .join(partner, partner.c.partner_id == c.partner_id)
        .where(
            c.rule.in_(rules_of(conn, ACK)),
            c.due_at >= _midnight(first - timedelta(weeks=POOLED_WEEKS - 1)),
            c.due_at < narrowed.period.end,
            *_clocks(scope, narrowed),
        )
        .group_by(partner.c.key, partner.c.name, week, c.verdict)
    )
    verdicts: dict[tuple[str, str], dict[date, dict[str, int]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for key, name, monday, verdict, n in rows:
        verdicts[key, name][monday][verdict] = n
    tallies = {
        who: {monday: kpis.clock_tally(counts) for monday, counts in weeks.items()}
        for who, weeks in verdicts.items()
    }
    shown = _most_missed(tallies, first)[:suppliers]
    least = DEFINITIONS["ack_on_time"].least
    single = [t for who in shown for monday, t in tallies[who].items() if monday >= first and t.n]
    judged = sum(t.n >= least for t in single)
    weeks = 1 if 2 * judged >= len(single) else POOLED_WEEKS
    last = _monday(narrowed.period.end.date())
    found = []
    for who in shown:
        for place in range((last - first).days // 7 + 1):
            monday = first + timedelta(weeks=place)
            pooled = kpis.pooled(
                tallies[who].get(monday - timedelta(weeks=back)) for back in range(weeks)
            )
            if pooled.n:
                share = kpis.share(pooled, least)
                found.append(WeekShare(*who, monday, pooled.hits, pooled.n, share, weeks))
    return tuple(found)


POOLED_WEEKS = 4


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _most_missed(
    tallies: Mapping[tuple[str, str], Mapping[date, Tally]], first: date
) -> list[tuple[str, str]]:
    """Suppliers by their number of misses since ``first``, then by their number of orders."""
    since = {
        who: kpis.pooled(t for monday, t in weeks.items() if monday >= first)
        for who, weeks in tallies.items()
    }
    return sorted(
        (who for who, t in since.items() if t.n),
        key=lambda who: (since[who].hits - since[who].n, -since[who].n, who),
    )


def coverage(conn: Connection, scope: Scope, narrowed: Filter) -> Figure:
    """Purchase orders of which every clock due could be judged."""
    c = clock.c
    bucket = _bucket(func.min(c.due_at), narrowed.period).label("bucket")
    dark = func.bool_or(c.verdict == "unknown").label("dark")
    orders = (
        select(bucket, dark)
        .where(
            c.rule.in_(rules_of(conn, *DUE_CATEGORIES)),
            *_due_within(narrowed.period),
            *_clocks(scope, narrowed),
        )
        # One order may fall due in both periods: it counts once in each.
        .group_by(c.home_key, c.due_at >= narrowed.period.start)
        .subquery()
    )
    rows = conn.execute(
        select(orders.c.bucket, orders.c.dark, func.count()).group_by(
            orders.c.bucket, orders.c.dark
        )
    )
    tallies: dict[int, Tally] = defaultdict(Tally)
    for place, is_dark, n in rows:
        tallies[place] += Tally(0 if is_dark else n, n)
    return _rate("coverage", tallies, narrowed.period)


def _clocks(scope: Scope, narrowed: Filter) -> list[ColumnElement[bool]]:
    c = clock.c
    found = [*within_scope(c, scope), *of_supplier(c, narrowed.supplier)]
    return found + _of_header(c.home_key, narrowed)


def _due_within(period: Period) -> tuple[ColumnElement[bool], ...]:
    return (clock.c.due_at >= period.previous().start, clock.c.due_at < period.end)


def _of_header(home: ColumnElement[int], narrowed: Filter) -> list[ColumnElement[bool]]:
    """Buyer and warehouse stand on the header of the purchase order."""
    if narrowed.buyer is None and narrowed.warehouse is None:
        return []
    h = document.alias("header").c
    conditions = [h.home_key == home, h.kind == "po", h.line == ""]
    if narrowed.buyer is not None:
        conditions.append(h.buyer == narrowed.buyer)
    if narrowed.warehouse is not None:
        conditions.append(h.warehouse == narrowed.warehouse)
    return [select(1).where(*conditions).exists()]


# --- documents ------------------------------------------------------------------------------------


def shipment_notices(conn: Connection, scope: Scope, narrowed: Filter) -> tuple[Figure, Figure]:
    """ASN on time, ASN valid: over the shipments whose notice was given within the period.

    A notice counts from when its sender gave it; what it lost on its way to us is not the
    supplier's doing and shows on /trace.
    """
    d, period = document.c, narrowed.period
    bucket = _bucket(d.released_at, period)
    counted = (
        func.count(),
        func.count(case((notice_in_time(), 1))),
        func.count(case((~notice_failed(conn), 1))),
    )
    span = Period(period.previous().start, period.end)
    rows = conn.execute(
        notices(conn, scope, narrowed, span, bucket, *counted).group_by(bucket)
    ).all()
    on_time: dict[int, Tally] = defaultdict(Tally)
    valid: dict[int, Tally] = defaultdict(Tally)
    for place, n, timely, sound in rows:
        on_time[place] += Tally(timely, n)
        valid[place] += Tally(sound, n)
    bucket = _bucket(d.goods_received_at, period)
    for place, n in conn.execute(
        unannounced(conn, scope, narrowed, span, bucket, func.count()).group_by(bucket)
    ):
        on_time[place] += Tally(0, n)
    return _rate("asn_on_time", on_time, period), _rate("asn_valid", valid, period)


def notices(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    span: Period,
    *columns: ColumnElement[Any],
) -> Select[Any]:
    """The shipment notices given within ``span``."""
    d = document.c
    return (
        select(*columns)
        .select_from(document)
        .outerjoin(partner, partner.c.partner_id == d.partner_id)
        .where(
            d.kind == "asn",
            d.known,
            d.released_at >= span.start,
            d.released_at < span.end,
            _sends_notices(conn),
            *within_scope(d, scope),
            *of_supplier(d, narrowed.supplier),
            *_asn_of_header(narrowed),
        )
    )


def notice_in_time() -> ColumnElement[bool]:
    """Given by ship time + grace, or on the ship day, and before the goods."""
    d = document.c
    # Without a time of leaving, shipped_at is that of the notice: then the ship day must hold.
    left_on = func.least(
        cast(func.timezone("UTC", d.shipped_at), Date),
        cast(func.timezone(func.coalesce(partner.c.zone, "UTC"), d.shipped_at), Date),
    )
    return and_(
        d.released_at <= d.shipped_at + kpis.ASN_GRACE,
        or_(d.actual_ship_date.is_(None), left_on <= d.actual_ship_date),
        or_(d.goods_received_at.is_(None), d.released_at < d.goods_received_at),
    )


def notice_failed(conn: Connection) -> ColumnElement[bool]:
    """Refused when it first came, mended since or not."""
    d = document.c
    # Few notices ever fail: the index of clocks by rule finds them all at once.
    refused = select(clock.c.home_key).where(clock.c.rule.in_(rules_of(conn, ASN_BAD)))
    return or_(func.coalesce(d.asn_status, "") == "invalid", d.home_key.in_(refused))


LONGEST_ORDER = timedelta(days=180)  # from release to receipt: how far back the index is read


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def unannounced(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    span: Period,
    *columns: ColumnElement[Any],
) -> Select[Any]:
    """Purchase orders received within ``span`` without any notice: each is one missed shipment."""
    d = document.c
    return select(*columns).where(
        d.kind == "po",
        d.released_at >= span.start - LONGEST_ORDER,
        d.released_at < span.end,
        d.goods_received_at >= span.start,
        d.goods_received_at < span.end,
        d.shipped_at.is_(None),
        _sends_notices(conn),
        *within_scope(d, scope),
        *document_conditions(narrowed),
    )


def _sends_notices(conn: Connection) -> ColumnElement[bool]:
    """Documents of suppliers that are asked for notices. Asked of the few suppliers once: within
    the sum each document would have the profile of its supplier read anew."""
    p = partner.c
    silent = conn.execute(
        select(p.partner_id).where(p.profile["sends_asn"].as_string() == "false")
    ).scalars()
    d = document.c
    return or_(d.partner_id.is_(None), d.partner_id.not_in(list(silent)))


def _asn_of_header(narrowed: Filter) -> list[ColumnElement[bool]]:
    """Notices for orders of a buyer or warehouse, by the purchase orders that they are tied to."""
    if narrowed.buyer is None and narrowed.warehouse is None:
        return []
    tie, h = flow_link.c, document.alias("header").c
    conditions = [
        tie.home_key == document.c.home_key,
        tie.to_root,
        h.home_key == tie.other_key,
        h.kind == "po",
        h.line == "",
    ]
    if narrowed.buyer is not None:
        conditions.append(h.buyer == narrowed.buyer)
    if narrowed.warehouse is not None:
        conditions.append(h.warehouse == narrowed.warehouse)
    return [select(1).where(*conditions).exists()]


def otif(conn: Connection, scope: Scope, narrowed: Filter, now: datetime) -> Figure:
    """Purchase order lines received in full by their due day, of those due in the period."""
    d = document.c
    period = narrowed.period
    due = due_day()
    today = now.date()
    first, last = period.previous().start.date(), min(period.end.date(), today)
    since = cast(due - period.start.date(), Integer)
    bucket = cast(func.floor(since * period.parts / cast(period.days, Numeric)), Integer)
    rows = conn.execute(
        select(bucket, func.count(), func.count(case((complete_in_time(), 1))))
        .where(
            owed(),
            # What falls due was ordered within half a year: this is what the index serves.
            d.released_at >= _midnight(first) - LONGEST_ORDER,
            due >= first,
            due < last,
            *within_scope(d, scope),
            *of_supplier(d, narrowed.supplier),
            *_of_header(d.home_key, narrowed),
        )
        .group_by(bucket)
    )
    tallies = {place: Tally(hits, n) for place, n, hits in rows}
    return _rate("otif", tallies, period)


def due_day(line: Columns = document.c) -> ColumnElement[date]:
    """The day by which a supplier owes a line."""
    return func.coalesce(line.first_confirmed_date, line.requested_date)


def complete_in_time(line: Columns = document.c) -> ColumnElement[bool]:
    """In full by its due day; null where nothing was received."""
    return and_(
        line.received_qty >= line.ordered_qty, line.actual_receipt_date <= due_day(line)
    )


def owed(line: Columns = document.c) -> ColumnElement[bool]:
    """Lines that count: something was ordered, and not cancelled before it was due."""
    cancelled = cast(func.timezone("UTC", line.cancelled_at), Date)
    return and_(
        line.kind == "po_line",
        line.ordered_qty > 0,
        or_(cancelled.is_(None), cancelled >= due_day(line)),
    )


# --- snapshots ------------------------------------------------------------------------------------


def orders_affected(conn: Connection, scope: Scope, narrowed: Filter) -> Figure:
    """Customer orders with an affected line, now."""
    i = order_impact.c
    orders, lines = conn.execute(
        select(
            func.count(func.distinct(func.concat(i.scope, "/", i.order))),
            func.count(func.distinct(func.concat(i.scope, "/", i.order, "/", i.order_line))),
        ).where(*impact_conditions(scope, narrowed))
    ).one()
    definition = DEFINITIONS["orders_affected"]
    if not orders and not _any_peg(conn):
        return Figure(definition, None, 0, reason=_NO_PEGS)
    return Figure(definition, float(orders), orders, parts={"order lines": f"{lines:,}"})


def value_at_risk(conn: Connection, scope: Scope, narrowed: Filter) -> Figure:
    """Open value of the affected customer order lines, in the currency with most of them."""
    i = order_impact.c
    # A line hit by two purchase orders is one line; the surest of both tells how sure it is.
    line = (
        select(
            i.currency,
            func.max(i.open_value).label("value"),
            func.max(i.confidence).label("confidence"),
        )
        .where(*impact_conditions(scope, narrowed))
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
    return Figure(
        definition, told[3], n, outside=outside, parts=parts, currency=told[0]
    )


_NO_PEGS = "no data: no customer order is pegged to a purchase order"


def _any_peg(conn: Connection) -> bool:
    return conn.execute(select(peg.c.home_key).limit(1)).first() is not None


def open_exceptions(conn: Connection, scope: Scope, narrowed: Filter, now: datetime) -> Figure:
    """Cases not resolved now, by severity; their number at each part of the period."""
    c, period = exception_case.c, narrowed.period
    mine = case_conditions(scope, narrowed)
    by_severity: dict[str, int] = dict(
        conn.execute(
            select(c.severity, func.count()).where(IS_OPEN, *mine).group_by(c.severity)
        )
        .all()
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
    bucket = _bucket(column, period)
    return dict(
        conn.execute(
            select(bucket, func.count())
            .where(column >= period.start, column < period.end, *conditions)
            .group_by(bucket)
        )
        .all()
    )


# --- shared ---------------------------------------------------------------------------------------


def _bucket(moment: ColumnElement[Any], period: Period) -> ColumnElement[int]:
    """Part of the period an instant falls in: 0 is its first, -1 the last of the one before."""
    seconds = period.length.total_seconds() / period.parts
    return cast(func.floor(func.extract("epoch", moment - period.start) / seconds), Integer)


def _rate(name: str, tallies: Mapping[int, Tally], period: Period) -> Figure:
    now = sum((t for place, t in tallies.items() if place >= 0), Tally())
    before = sum((t for place, t in tallies.items() if place < 0), Tally())
    course = [tallies.get(place, Tally()) for place in range(period.parts)]
    return kpis.rate(DEFINITIONS[name], now, before, course)
