"""How what was ordered came: differences at receipt, invoices that disagree, weeks of orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Integer,
    Select,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSON

from db.reads import counted_ahead, names, paging
from db.reads.figures import question
from db.reads.filters import Filter, of_supplier, within_scope
from db.reads.kpi_ahead import RECEIVED
from db.reads.kpi_orders import INVOICED, perfect_order
from db.reads.overview import document_conditions
from db.reads.paging import Total
from db.reads.receipts import KINDS, Kind, differences, worth
from db.tables import document, figure_line, partner, partner_count
from tower.access import Scope
from tower.kpis import HIT, MISS

LONGEST_ORDER = timedelta(days=180)  # from release to receipt: how far back the index is read
AGES_SHOWN = 9  # weeks after its release that a week of orders is followed


@dataclass(frozen=True, slots=True)
class DiscrepancyCount:
    """Purchase order lines first received in the period, by what was wrong with them.

    lines of ``of`` received; a line may be short and damaged: then it counts under both
    """

    kind: Kind
    lines: int
    of: int


@dataclass(frozen=True, slots=True)
class DiscrepancyRow:
    """One line of which something else came than was announced; quantities in the unit ordered.

    difference   received - announced; None without a notice
    value        of the difference and of what was refused, at the order's price
    """

    ref: str
    number: str
    line: str
    supplier: str | None
    supplier_name: str | None
    item: str | None
    kinds: tuple[Kind, ...]
    announced: Decimal | None
    received: Decimal | None
    refused: Decimal | None
    difference: Decimal | None
    value: Decimal | None
    currency: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class DiscrepancyPage:
    """One page of them, the costliest ahead."""

    rows: tuple[DiscrepancyRow, ...]
    total: Total
    following: str | None


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """One invoice that did not agree at first; ``since`` it was blocked last, None = released."""

    ref: str
    number: str
    supplier: str | None
    supplier_name: str | None
    status: str
    value: Decimal | None
    currency: str | None
    received_at: datetime
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Invoices:
    """Invoices that came in the period: how many are in each state, and those that do not agree."""

    states: tuple[tuple[str, int], ...]
    blocked: tuple[InvoiceRow, ...]
    returns: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Purchase orders released in one week (from Monday, UTC).

    answered   of them, have an answer by now
    complete   orders complete by the end of each week after, the first entry = within the week
               after the release; None = that time has not passed for all of them yet
    """

    week: date
    orders: int
    answered: int
    shipped: int
    complete_now: int
    complete: tuple[int | None, ...]


# --- differences at receipt -----------------------------------------------------------------------


def discrepancies(conn: Connection, scope: Scope, narrowed: Filter) -> tuple[DiscrepancyCount, ...]:
    """How many lines received in the period differ, by kind."""
    ahead = counted_ahead.words(counted_ahead.asked(conn, scope, RECEIVED, narrowed))
    if ahead is not None:
        lines = {kind: sum(n for w, n in ahead.items() if kind in w.split()) for kind in KINDS}
        return tuple(DiscrepancyCount(kind, lines[kind], sum(ahead.values())) for kind in KINDS)
    is_kind = differences(conn)
    found = [func.count(case((which, 1))).label(kind) for kind, which in is_kind.items()]
    row = conn.execute(_received(scope, narrowed, func.count().label("received"), *found)).one()
    return tuple(DiscrepancyCount(kind, row._mapping[kind], row.received) for kind in KINDS)


def discrepancy_page(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    *,
    after: str | None = None,
    limit: int = 200,
) -> DiscrepancyPage:
    """The lines themselves, the costliest difference first, those without a price last."""
    d = document.c
    is_kind = differences(conn)
    differs = or_(*is_kind.values())
    asked = counted_ahead.asked(conn, scope, RECEIVED, narrowed)
    ahead = counted_ahead.holds(asked)
    if ahead:
        lines = select(figure_line).where(*_found_ahead(narrowed)).subquery("lines")
        place = _Place(lines.c.worth, lines.c.home_key, lines.c.line)
    else:
        place = _Place(func.coalesce(worth(), -1), d.home_key, d.line)
    columns = (
        d.home_key,
        d.scope,
        d.number,
        d.line,
        d.supplier,
        d.item,
        d.shipped_qty,
        d.received_qty,
        d.rejected_qty,
        d.currency,
        d.goods_received_at,
        worth().label("worth"),
        place.rank.label("rank"),
        *(which.label(kind) for kind, which in is_kind.items()),
    )
    limit = paging.bounded(limit)
    if ahead:
        # What has changed since it was found is told as it is now.
        few = _from_place(select(lines), place, after).limit(limit + 1).subquery("lines")
        place = _Place(few.c.worth, few.c.home_key, few.c.line)
        same = [d[name] == few.c[name] for name in ("home_key", "scope", "number", "line")]
        statement = select(
            *(place.rank.label("rank") if c.name == "rank" else c for c in columns)
        ).join_from(few, document, and_(*same, d.kind == "po_line"))
        statement = _from_place(statement, place, None)
        whole = select(lines.c.home_key)
    else:
        statement = _received(scope, narrowed, *columns).where(differs)
        statement = _from_place(statement, place, after).limit(limit + 1)
        whole = _received(scope, narrowed, d.home_key).where(differs)
    found = list(conn.execute(statement))
    following = None
    if len(found) > limit:
        found = found[:limit]
        last = found[-1]
        following = paging.place((last.rank, last.home_key, last.line))
    counted = conn.execute(
        select(func.count()).select_from(whole.limit(paging.COUNT_UP_TO + 1).subquery())
    ).scalar_one()
    suppliers = names.suppliers(conn, scope)
    rows = tuple(
        DiscrepancyRow(
            ref=f"po:{row.scope}:{row.number}",
            number=row.number,
            line=row.line,
            supplier=row.supplier,
            supplier_name=suppliers.get(row.supplier, row.supplier),
            item=row.item,
            kinds=tuple(kind for kind in KINDS if row._mapping[kind]),
            announced=row.shipped_qty,
            received=row.received_qty,
            refused=row.rejected_qty,
            difference=None
            if row.shipped_qty is None or row.received_qty is None
            else row.received_qty - row.shipped_qty,
            value=row.worth,
            currency=row.currency,
            received_at=row.goods_received_at,
        )
        for row in found
    )
    return DiscrepancyPage(rows, Total.of(counted), following)


@dataclass(frozen=True, slots=True)
class _Place:
    """By what the list is ordered, the highest rank first."""

    rank: ColumnElement[Any]
    home: ColumnElement[int]
    line: ColumnElement[str]


def _found_ahead(narrowed: Filter) -> list[ColumnElement[bool]]:
    """The lines that differ, of what was found ahead (db/rollups.py)."""
    f, period = figure_line.c, narrowed.period
    found = [f.received_at >= period.start, f.received_at < period.end]
    found += of_supplier(f, narrowed.supplier)
    for name in ("buyer", "warehouse"):
        if getattr(narrowed, name) is not None:
            found.append(f[name] == getattr(narrowed, name))
    return found


def _from_place(statement: Select[Any], by: _Place, after: str | None) -> Select[Any]:
    """From a place in the list on; a word that is no place means its beginning."""
    ordered = statement.order_by(by.rank.desc(), by.home, by.line)
    parts = paging.read_place(after, 3)
    if parts is None:
        return ordered
    try:
        value, home, line = Decimal(parts[0] or "0"), int(parts[1] or "0"), parts[2] or ""
    except (ArithmeticError, ValueError):
        return ordered
    if not value.is_finite() or abs(home) >= 2**63:
        return ordered
    return ordered.where(
        or_(
            by.rank < value,
            and_(by.rank == value, by.home > home),
            and_(by.rank == value, by.home == home, by.line > line),
        )
    )


def _received(scope: Scope, narrowed: Filter, *columns: ColumnElement[Any]) -> Select[Any]:
    """Purchase order lines whose goods first came in the period."""
    d, period = document.c, narrowed.period
    return select(*columns).where(
        d.kind == "po_line",
        d.released_at >= period.start - LONGEST_ORDER,
        d.released_at < period.end,
        d.goods_received_at >= period.start,
        d.goods_received_at < period.end,
        *within_scope(d, scope),
        *of_supplier(d, narrowed.supplier),
        *_of_header(narrowed),
        *([] if narrowed.category is None else [d.category == narrowed.category]),
    )


def _of_header(narrowed: Filter) -> list[ColumnElement[bool]]:
    """Buyer and warehouse stand on the header of the purchase order."""
    if narrowed.buyer is None and narrowed.warehouse is None:
        return []
    h = document.alias("header").c
    found = [h.home_key == document.c.home_key, h.kind == "po", h.line == ""]
    if narrowed.buyer is not None:
        found.append(h.buyer == narrowed.buyer)
    if narrowed.warehouse is not None:
        found.append(h.warehouse == narrowed.warehouse)
    return [select(1).where(*found).exists()]


# --- invoices and returns -------------------------------------------------------------------------

RETURNS = ("return.requested", "return.authorised", "return.shipped", "return.received")


def invoices(conn: Connection, scope: Scope, narrowed: Filter, limit: int = 200) -> Invoices:
    """Invoices by state, those that stand blocked by value, and what was sent back.

    Invoices and returns name their supplier only: nothing else narrows them.
    """
    d, period = document.c, narrowed.period
    mine = [
        d.kind == "invoice",
        d.known,
        d.released_at >= period.start,
        d.released_at < period.end,
        *within_scope(d, scope),
        *of_supplier(d, narrowed.supplier),
    ]
    kind = case((func.coalesce(d.type, "") == "credit", "credit note"), else_=d.status)
    states = conn.execute(
        select(kind.label("state"), func.count().label("n"))
        .where(*mine)
        .group_by(kind)
        .order_by(func.count().desc(), kind)
    )
    counted = tuple((row.state, row.n) for row in states)
    rows = conn.execute(
        select(
            d.scope, d.number, d.supplier, d.status, d.value, d.currency, d.released_at, d.failed_at
        )
        .where(*mine, d.status == "mismatched", func.coalesce(d.type, "") != "credit")
        .order_by(d.value.desc().nulls_last(), d.scope, d.number)
        .limit(paging.bounded(limit))
    )
    suppliers = names.suppliers(conn, scope)
    blocked = tuple(
        InvoiceRow(
            ref=f"invoice:{row.scope}:{row.number}",
            number=row.number,
            supplier=row.supplier,
            supplier_name=suppliers.get(row.supplier, row.supplier),
            status=row.status,
            value=row.value,
            currency=row.currency,
            received_at=row.released_at,
            since=row.failed_at,
        )
        for row in rows
    )
    return Invoices(counted, blocked, _returns(conn, scope, narrowed))


def _returns(conn: Connection, scope: Scope, narrowed: Filter) -> tuple[tuple[str, int], ...]:
    """Messages about goods sent back, by word; counted per partner as they came."""
    n, p, period = partner_count.c, partner.c, narrowed.period
    conditions = list(within_scope(p, scope))
    if narrowed.supplier is not None:
        conditions.append(p.key == narrowed.supplier)
    rows = conn.execute(
        select(n.type, func.sum(n.n))
        .join(partner, p.partner_id == n.home_key)
        .where(n.type.in_(RETURNS), n.at >= period.start, n.at < period.end, *conditions)
        .group_by(n.type)
    )
    found: dict[str, int] = {row[0]: int(row[1]) for row in rows}
    return tuple((word, found[word]) for word in RETURNS if word in found)


# --- weeks of orders ------------------------------------------------------------------------------


def cohorts(conn: Connection, scope: Scope, narrowed: Filter, now: datetime) -> tuple[Cohort, ...]:
    """Orders by the week of their release, and how many were complete how many weeks later.

    Weeks begin on Monday, UTC; at least eight are shown, however short the period. An order is
    complete when all its lines were received; cancelled orders are left out.
    """
    d = document.c
    first = _monday(min(narrowed.period.start, now - timedelta(weeks=8)).date())
    week = cast(func.date_trunc("week", func.timezone("UTC", d.released_at)), Date)
    complete = and_(
        d.status.in_(("received", "invoiced", "closed")), d.actual_receipt_date.is_not(None)
    )
    days = d.actual_receipt_date - cast(func.timezone("UTC", d.released_at), Date)
    age = case(
        (complete, func.least(func.greatest(cast(days, Integer), 0) // 7, AGES_SHOWN)), else_=None
    )
    rows = conn.execute(
        select(
            week.label("week"),
            age.label("age"),
            func.count().label("n"),
            func.count(d.acknowledged_at).label("answered"),
            func.count(func.coalesce(d.shipped_at, d.goods_received_at)).label("shipped"),
        )
        .where(
            d.kind == "po",
            d.line == "",
            d.known,
            d.status != "cancelled",
            d.released_at >= datetime(first.year, first.month, first.day, tzinfo=UTC),
            d.released_at < narrowed.period.end,
            *within_scope(d, scope),
            *document_conditions(narrowed),
        )
        .group_by(week, age)
    )
    by_week: dict[date, list[Any]] = {}
    for row in rows:
        by_week.setdefault(row.week, []).append(row)
    return tuple(_cohort(monday, by_week[monday], now) for monday in sorted(by_week))


def _cohort(monday: date, rows: Sequence[Any], now: datetime) -> Cohort:
    by_age = {row.age: row.n for row in rows}
    running, complete = 0, []
    for place in range(AGES_SHOWN):
        running += by_age.get(place, 0)
        # The last orders of the week were released on its Sunday.
        over = monday + timedelta(weeks=place + 2) <= now.date()
        complete.append(running if over else None)
    return Cohort(
        week=monday,
        orders=sum(row.n for row in rows),
        answered=sum(row.answered for row in rows),
        shipped=sum(row.shipped for row in rows),
        complete_now=sum(n for age, n in by_age.items() if age is not None),
        complete=tuple(complete),
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


# --- perfect orders -------------------------------------------------------------------------------

PARTS: dict[str, str] = {
    "in_full": "in full",
    "by_date_and_site": "by the date, at the site",
    "answer_and_notice": "answer and notice valid",
    "invoice_matched": "invoice matched",
    "undamaged": "undamaged",
}
"""What makes an order perfect: the parts that its subjects are listed with."""


def perfect_parts(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime
) -> dict[str, tuple[int, int]]:
    """(orders that pass, orders judged) of each part, over the orders that the figure counts."""
    asked = question(conn, scope, "perfect_order", narrowed, now)
    known = counted_ahead.words(replace(asked, detailed=False))
    if known is not None:
        parts = [(frozenset(word.split()), n) for word, n in known.items()]
        orders = sum(known.values())
        unknown = sum(n for told, n in parts if told.isdisjoint(INVOICED))
        passed = {name: sum(n for told, n in parts if name in told) for name in PARTS}
        judged = {name: orders - unknown * (name in INVOICED) for name in PARTS}
        return {name: (passed[name], judged[name]) for name in PARTS}
    rows = perfect_order(asked).rows.subquery().c
    facts = cast(rows.facts, JSON)
    passing = [
        func.count(case((facts[name].as_string() == "true", 1))).label(name) for name in PARTS
    ]
    known_of = [
        func.count(case((facts[name].as_string().is_not(None), 1))).label(f"{name}_judged")
        for name in PARTS
    ]
    row = conn.execute(select(*passing, *known_of).where(rows.verdict.in_((HIT, MISS)))).one()
    return {name: (row._mapping[name], row._mapping[f"{name}_judged"]) for name in PARTS}
