"""Lists of purchase orders: saved views of what is stuck, sorted by consequence, paged by key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    any_,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from db.reads import names, paging
from db.reads.counting import LONGEST_ORDER, Columns
from db.reads.filters import Filter, of_supplier, within_scope
from db.reads.kpi_answers import ACK
from db.reads.kpi_receipts import complete_in_time, due_day, owed
from db.reads.kpi_shipments import notice_failed, notice_in_time, notices, unannounced
from db.reads.overview import IS_OPEN, PO_KINDS, SEVERITIES, document_conditions, severity_rank
from db.reads.paging import Total
from db.reads.rules import rules_of
from db.tables import clock, document, exception_case, flow_link, partner
from tower.access import Scope
from tower.ladder import Rung, rungs

View = Literal[
    "all",
    "awaiting_ack",
    "answered_not_in_erp",
    "asn_failed",
    "no_asn_due_soon",
    "rejected_lines",
    "short_confirmed",
    "date_moved",
    "ack_missed",
    "asn_late",
    "asn_refused",
    "otif_missed",
]

DUE_SOON = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class PoRow:
    """One purchase order of a list. Money in ``currency``; dates None = nobody said.

    expected    day the goods are expected: last confirmed, else requested
    severity    worst of its open cases, None without
    trouble     title of the costliest of them, ``category`` its category
    """

    home_key: int
    scope: str
    number: str
    supplier: str | None
    supplier_name: str | None
    buyer: str | None
    buyer_name: str | None
    warehouse: str | None
    type: str | None
    status: str
    answer: str | None
    known: bool
    closed: bool
    released_at: datetime | None
    requested_date: date | None
    expected: date | None
    value: Decimal | None
    open_value: Decimal | None
    currency: str | None
    n_lines: int | None
    open_cases: int
    severity: str | None
    trouble: str
    category: str | None
    customer_orders: int
    value_at_risk: Decimal | None
    priority: float | None
    ladder: tuple[Rung, ...]

    @property
    def ref(self) -> str:
        return f"po:{self.scope}:{self.number}"


@dataclass(frozen=True, slots=True)
class PoPage:
    """One page of the list; ``following`` is where the next begins, None on the last."""

    rows: tuple[PoRow, ...]
    total: Total
    following: str | None


def purchase_orders(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    view: View,
    now: datetime,
    *,
    after: str | None = None,
    limit: int = 200,
) -> PoPage:
    """A page of the view.

    First those with open exceptions, the costliest first; then the others, latest release first.
    The period narrows "all" to orders released in it and the "missed" views to what fell due in it;
    the other views are what stands open now, however old.
    """
    conditions = [
        document.c.kind == "po",  # a header: its lines are of a kind of their own
        *within_scope(document.c, scope),
        *document_conditions(narrowed),
        *_view(conn, scope, view, narrowed, now),
    ]
    limit = paging.bounded(limit)
    found: list[Any] = []
    start = _start(after)
    if start.hot:
        found = list(conn.execute(_troubled(conditions, start).limit(limit + 1)))
    if len(found) <= limit:
        released = view == "all"  # each has a release, or it would not be in the period
        rest = _untroubled(conditions, start, released).limit(limit + 1 - len(found))
        found += conn.execute(rest)
    following = None
    if len(found) > limit:
        found = found[:limit]
        following = _place(found[-1])
    counted = conn.execute(
        select(func.count()).select_from(
            # Nothing of them: where an index tells of all that is asked, it tells their number.
            select(literal(1)).where(*conditions).limit(paging.COUNT_UP_TO + 1).subquery()
        )
    ).scalar_one()
    return PoPage(_rows(conn, scope, found), Total.of(counted), following)


# --- the views ------------------------------------------------------------------------------------


def _view(
    conn: Connection, scope: Scope, view: View, narrowed: Filter, now: datetime
) -> list[ColumnElement[bool]]:
    d, period = document.c, narrowed.period
    is_open = ~d.closed
    if view == "awaiting_ack":
        return [is_open, d.known, d.acknowledged_at.is_(None), d.released_at.is_not(None)]
    if view == "answered_not_in_erp":
        return [is_open, d.known, d.acknowledged_at.is_not(None), d.applied_at.is_(None)]
    if view == "asn_failed":
        return [is_open, d.asn_status == "invalid"]
    if view == "no_asn_due_soon":
        soon = (now + DUE_SOON).date()
        return [
            is_open,
            d.known,
            d.shipped_at.is_(None),
            d.goods_received_at.is_(None),
            _expected() <= soon,
        ]
    if view == "rejected_lines":
        return [is_open, _has_line(_refused)]
    if view == "short_confirmed":
        return [is_open, _has_line(_short)]
    if view == "date_moved":
        return [is_open, _has_line(_moved_out)]
    if view == "ack_missed":
        return [_among(conn, _missed(rules_of(conn, ACK), narrowed))]
    if view == "asn_late":
        late = _named_by(conn, scope, narrowed, ~func.coalesce(notice_in_time(), False))
        none = select(d.home_key).where(*unannounced(conn, scope, narrowed, period))
        return [_among(conn, late, none)]
    if view == "asn_refused":
        return [_among(conn, _named_by(conn, scope, narrowed, notice_failed(conn)))]
    if view == "otif_missed":
        return [_among(conn, _with_late_line(narrowed, now))]
    return [d.released_at >= period.start, d.released_at < period.end]


def _has_line(which: Callable[[Columns], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Orders with a standing line like this; looked up for open orders only, by their home."""
    line = document.alias("line").c
    return (
        select(1)
        .where(
            line.home_key == document.c.home_key,
            line.kind == "po_line",
            line.cancelled_at.is_(None),
            which(line),
        )
        .exists()
    )


def _refused(line: Columns) -> ColumnElement[bool]:
    return line.answer == "rejected"


def _short(line: Columns) -> ColumnElement[bool]:
    """The supplier promised less than was ordered, and has not sent the rest anyway."""
    return and_(
        line.confirmed_qty < line.ordered_qty,
        func.coalesce(line.answer, "") != "rejected",
        func.coalesce(line.shipped_qty, 0) < line.ordered_qty,
        func.coalesce(line.received_qty, 0) < line.ordered_qty,
    )


def _moved_out(line: Columns) -> ColumnElement[bool]:
    """Confirmed for later than asked for, and not here yet."""
    return and_(
        line.last_confirmed_date > line.requested_date,
        func.coalesce(line.received_qty, 0) < func.coalesce(line.ordered_qty, 1),
    )


def _expected() -> ColumnElement[date]:
    d = document.c
    return func.coalesce(d.last_confirmed_date, d.first_confirmed_date, d.requested_date)


def _among(conn: Connection, *homes: Select[tuple[int]]) -> ColumnElement[bool]:
    """Orders of these homes, asked for once: the list, its rest and its count all need them."""
    found = {home for statement in homes for home in conn.execute(statement.distinct()).scalars()}
    return document.c.home_key == any_(cast(sorted(found), ARRAY(BigInteger)))


def _named_by(
    conn: Connection, scope: Scope, narrowed: Filter, which: ColumnElement[bool]
) -> Select[tuple[int]]:
    """Orders tied to the shipment notices of the period for which this holds."""
    found = (
        select(document.c.home_key)
        .select_from(document)
        .outerjoin(partner, partner.c.partner_id == document.c.partner_id)
        .where(*notices(conn, scope, narrowed, narrowed.period), which)
    )
    return select(flow_link.c.other_key).where(
        flow_link.c.to_root, flow_link.c.home_key.in_(found.scalar_subquery())
    )


def _missed(rules: Sequence[str], narrowed: Filter) -> Select[tuple[int]]:
    c, period = clock.c, narrowed.period
    return select(c.home_key).where(
        c.rule.in_(rules),
        c.due_at >= period.start,
        c.due_at < period.end,
        c.verdict.in_(("breached", "met_late")),
        *of_supplier(c, narrowed.supplier),
    )


def _with_late_line(narrowed: Filter, now: datetime) -> Select[tuple[int]]:
    line = document.alias("line").c
    due, period = due_day(line), narrowed.period
    return select(line.home_key).where(
        owed(line),
        line.released_at >= period.start - LONGEST_ORDER,
        due >= period.start.date(),
        due < min(period.end.date(), now.date()),
        ~func.coalesce(complete_in_time(line), False),
        *of_supplier(line, narrowed.supplier),
    )


# --- sorting and paging ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a page begins: in the part with exceptions (``hot``) or in the part without."""

    hot: bool = True
    priority: float | None = None
    released: datetime | None = None
    home: int | None = None


def _start(after: str | None) -> _Start:
    """A word that is no place of this list means its beginning."""
    parts = paging.read_place(after, 3)
    if parts is None:
        return _Start()
    part, value, home = parts[0], parts[1], parts[2] or ""
    try:
        if part == "hot":
            return _Start(True, priority=float(value or 0), home=int(home))
        moment = datetime.fromisoformat(value) if value else None
        if moment is not None and moment.tzinfo is None:
            return _Start()
        return _Start(False, released=moment, home=int(home))
    except ValueError:
        return _Start()


def _place(row: Any) -> str:
    if row.cases:
        return paging.place(("hot", row.sorted_by, row.home_key))
    moment = None if row.released_at is None else row.released_at.isoformat()
    return paging.place(("rest", moment, row.home_key))


def _open_cases() -> Any:
    """Open exceptions by the story they belong to."""
    c = exception_case.c
    return (
        select(
            c.home_key,
            func.count().label("cases"),
            func.max(severity_rank).label("rank"),
            func.coalesce(func.max(c.priority), 0.0).label("sorted_by"),
            func.max(c.orders_affected).label("orders"),
            func.max(c.value_at_risk).label("value_at_risk"),
            func.array_agg(aggregate_order_by(c.title, c.priority.desc().nulls_last(), c.id)).label(
                "titles"
            ),
            func.array_agg(
                aggregate_order_by(c.category, c.priority.desc().nulls_last(), c.id)
            ).label("categories"),
        )
        .where(IS_OPEN, c.kind.in_(PO_KINDS))
        .group_by(c.home_key)
        .cte("trouble")
        .prefix_with("MATERIALIZED")
    )


_COLUMNS = tuple(c for c in document.c if c.name != "state")


def _troubled(conditions: Sequence[ColumnElement[bool]], start: _Start) -> Select[Any]:
    trouble = _open_cases().c
    statement = select(*_COLUMNS, *(c for c in trouble if c.name != "home_key")).where(
        trouble.home_key == document.c.home_key, *conditions
    )
    if start.home is not None:
        statement = statement.where(
            or_(
                trouble.sorted_by < start.priority,
                and_(trouble.sorted_by == start.priority, document.c.home_key > start.home),
            )
        )
    return statement.order_by(trouble.sorted_by.desc(), document.c.home_key)


def _untroubled(
    conditions: Sequence[ColumnElement[bool]], start: _Start, released: bool
) -> Select[Any]:
    """``released``: all of them are, so that the index has them in their order."""
    d, c = document.c, exception_case.c
    troubled = select(1).where(c.home_key == d.home_key, IS_OPEN, c.kind.in_(PO_KINDS)).exists()
    statement = select(*_COLUMNS, literal(0).label("cases")).where(~troubled, *conditions)
    if not start.hot and start.home is not None:
        if start.released is None:
            statement = statement.where(d.released_at.is_(None), d.home_key > start.home)
        else:
            statement = statement.where(
                or_(
                    d.released_at < start.released,
                    and_(d.released_at == start.released, d.home_key > start.home),
                    d.released_at.is_(None),
                )
            )
    latest = d.released_at.desc()
    return statement.order_by(latest if released else latest.nulls_last(), d.home_key)


# --- rows -----------------------------------------------------------------------------------------


def _rows(conn: Connection, scope: Scope, found: Sequence[Any]) -> tuple[PoRow, ...]:
    suppliers, people = names.suppliers(conn, scope), names.people(conn)
    homes = [row.home_key for row in found]
    clocks = _clocks(conn, homes)
    told = scope.sees_value_at_risk
    return tuple(_row(row, suppliers, people, clocks[row.home_key], told) for row in found)


def _clocks(conn: Connection, homes: Sequence[int]) -> Mapping[int, list[Mapping[str, Any]]]:
    c = clock.c
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    columns = (c.home_key, c.rule, c.kind, c.line, c.cycle, c.verdict, c.open, c.due_at, c.held_by)
    for row in conn.execute(select(*columns).where(c.home_key.in_(homes), c.kind == "po")):
        found[row.home_key].append(dict(row._mapping))
    return found


def _row(
    row: Any,
    suppliers: Mapping[str, str],
    people: Mapping[str, str],
    clocks: Sequence[Mapping[str, Any]],
    of_customers: bool,
) -> PoRow:
    troubled = bool(row.cases)
    hurt = troubled and of_customers
    return PoRow(
        home_key=row.home_key,
        scope=row.scope,
        number=row.number,
        supplier=row.supplier,
        supplier_name=suppliers.get(row.supplier, row.supplier),
        buyer=row.buyer,
        buyer_name=people.get(row.buyer, row.buyer),
        warehouse=row.warehouse,
        type=row.type,
        status=row.status,
        answer=row.answer,
        known=row.known,
        closed=row.closed,
        released_at=row.released_at,
        requested_date=row.requested_date,
        expected=row.last_confirmed_date or row.first_confirmed_date or row.requested_date,
        value=row.value,
        open_value=row.open_value,
        currency=row.currency,
        n_lines=row.n_lines,
        open_cases=row.cases,
        severity=SEVERITIES.get(row.rank) if troubled else None,
        trouble=row.titles[0] if troubled else "",
        category=row.categories[0] if troubled else None,
        customer_orders=row.orders if hurt else 0,
        value_at_risk=row.value_at_risk if hurt else None,
        priority=row.sorted_by if troubled else None,
        ladder=tuple(rungs(row._mapping, (), clocks)),
    )
