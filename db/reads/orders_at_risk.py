"""Customer orders that their supply does not cover in time, and what is to blame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Numeric,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from db.reads import names, paging
from db.reads.filters import Filter
from db.reads.overview import impact_conditions
from db.reads.paging import Total
from db.tables import exception_case, order_impact
from tower.access import Scope

Group = Literal["customer", "cause", "buyer"]


@dataclass(frozen=True, slots=True)
class AtRiskRow:
    """One customer order line hit by one purchase order line.

    projected   day on which it can be served; None = nothing says that it will come
    basis       what that day rests on: receipt, asn, confirmed, assumed
    confidence  0 to 1
    cause       category of what is to blame
    """

    scope: str
    order: str
    order_line: str
    customer: str | None
    customer_name: str | None
    item: str | None
    promise_date: date
    projected: date | None
    days_late: int
    uncovered_qty: Decimal
    open_value: Decimal | None
    currency: str | None
    basis: str
    confidence: float
    cause: str
    po: str
    po_line: str
    supplier: str | None
    supplier_name: str | None
    buyer: str | None
    buyer_name: str | None
    warehouse: str | None
    case_id: int | None
    case_state: str | None
    case_severity: str | None
    case_owner: str | None

    @property
    def po_ref(self) -> str:
        return f"po:{self.scope}:{self.po}"

    @property
    def order_ref(self) -> str:
        return f"order:{self.scope}:{self.order}"


@dataclass(frozen=True, slots=True)
class AtRiskPage:
    rows: tuple[AtRiskRow, ...]
    total: Total
    following: str | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Affected lines of one customer, cause or buyer; money in ``currency`` alone."""

    key: str | None
    name: str
    orders: int
    lines: int
    purchase_orders: int
    open_value: Decimal | None
    currency: str | None
    worst_days_late: int
    earliest_promise: date


@dataclass(frozen=True, slots=True)
class Stream:
    """One path of the picture: so many order lines go from cause over supplier to customer."""

    cause: str
    supplier: str
    customer: str
    lines: int
    open_value: Decimal | None


def orders_at_risk(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    *,
    cause: str | None = None,
    after: str | None = None,
    limit: int = 200,
) -> AtRiskPage:
    """A page of affected lines, the greatest open value first, then the latest."""
    i, c = order_impact.c, exception_case.c
    conditions = _conditions(scope, narrowed, cause)
    limit = paging.bounded(limit)
    value = func.coalesce(i.open_value, literal(-1, Numeric))
    key = (i.scope, i.order, i.order_line, i.po, i.po_line)
    statement = (
        select(
            *(column for column in i if column.name not in ("order_home", "po_home", "partner_id")),
            value.label("sorted_by"),
            c.state.label("case_state"),
            c.severity.label("case_severity"),
            c.owner.label("case_owner"),
        )
        .select_from(order_impact)
        .outerjoin(exception_case, c.id == i.case_id)
        .where(*conditions, *_beyond(after, value, key))
        .order_by(value.desc(), *key)
        .limit(limit + 1)
    )
    found = list(conn.execute(statement))
    following = None
    if len(found) > limit:
        found = found[:limit]
        last = found[-1]
        following = paging.place(
            (last.sorted_by, last.scope, last.order, last.order_line, last.po, last.po_line)
        )
    counted = conn.execute(
        select(func.count()).select_from(
            select(i.order_home).where(*conditions).limit(paging.COUNT_UP_TO + 1).subquery()
        )
    ).scalar_one()
    suppliers, people = names.suppliers(conn, scope), names.people(conn)
    rows = tuple(_row(row, suppliers, people) for row in found)
    return AtRiskPage(rows, Total.of(counted), following)


def _conditions(scope: Scope, narrowed: Filter, cause: str | None) -> list[ColumnElement[bool]]:
    found = impact_conditions(scope, narrowed)
    if cause is not None:
        found.append(order_impact.c.cause == cause)
    return found


def _beyond(
    after: str | None, value: ColumnElement[Any], key: Sequence[ColumnElement[Any]]
) -> list[ColumnElement[bool]]:
    parts = paging.read_place(after, 6)
    if parts is None:
        return []
    try:
        amount = Decimal(parts[0] or "")
    except InvalidOperation:
        return []
    rest = [part or "" for part in parts[1:]]
    return [or_(value < amount, and_(value == amount, tuple_(*key) > tuple_(*rest)))]


def _row(row: Any, suppliers: dict[str, str], people: dict[str, str]) -> AtRiskRow:
    return AtRiskRow(
        scope=row.scope,
        order=row.order,
        order_line=row.order_line,
        customer=row.customer,
        customer_name=row.customer_name or row.customer,
        item=row.item,
        promise_date=row.promise_date,
        projected=row.projected_date,
        days_late=row.days_late,
        uncovered_qty=row.uncovered_qty,
        open_value=row.open_value,
        currency=row.currency,
        basis=row.basis,
        confidence=row.confidence,
        cause=row.cause,
        po=row.po,
        po_line=row.po_line,
        supplier=row.supplier,
        supplier_name=suppliers.get(row.supplier, row.supplier),
        buyer=row.buyer,
        buyer_name=people.get(row.buyer, row.buyer),
        warehouse=row.warehouse,
        case_id=row.case_id,
        case_state=row.case_state,
        case_severity=row.case_severity,
        case_owner=people.get(row.case_owner, row.case_owner),
    )


def grouped(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    group: Group,
    *,
    cause: str | None = None,
    limit: int = 200,
) -> tuple[GroupRow, ...]:
    """Affected lines by customer, cause or buyer, the greatest value first.

    A line hit by two purchase orders counts once in a group. Value is told in the currency with
    most of the group's lines; money of others is left out.
    """
    i = order_impact.c
    column, name = {
        "customer": (i.customer, func.coalesce(i.customer_name, i.customer, "unknown customer")),
        "cause": (i.cause, i.cause),
        "buyer": (i.buyer, func.coalesce(i.buyer, "no buyer")),
    }[group]
    line = (
        select(
            column.label("key"),
            func.max(name).label("name"),
            i.scope,
            i.order,
            i.order_line,
            func.max(i.open_value).label("value"),
            func.max(i.currency).label("currency"),
            func.max(i.days_late).label("days_late"),
            func.min(i.promise_date).label("promise"),
        )
        .where(*_conditions(scope, narrowed, cause))
        .group_by(column, i.scope, i.order, i.order_line)
        .subquery()
        .c
    )
    told = func.mode().within_group(line.currency)
    per_group = (
        select(line.key, told.label("currency")).group_by(line.key).subquery().c
    )
    same = func.coalesce(line.key, "") == func.coalesce(per_group.key, "")
    value = func.sum(line.value).filter(line.currency == per_group.currency)
    pos = (
        select(
            column.label("key"),
            func.count(func.distinct(func.concat(i.scope, "/", i.po))).label("n"),
        )
        .where(*_conditions(scope, narrowed, cause))
        .group_by(column)
        .subquery()
        .c
    )
    rows = conn.execute(
        select(
            line.key,
            func.max(line.name),
            func.count(func.distinct(func.concat(line.scope, "/", line.order))),
            func.count(),
            func.max(pos.n),
            value,
            func.max(per_group.currency),
            func.max(line.days_late),
            func.min(line.promise),
        )
        .where(same, func.coalesce(line.key, "") == func.coalesce(pos.key, ""))
        .group_by(line.key)
        .order_by(value.desc().nulls_last(), func.max(line.name))
        .limit(paging.bounded(limit))
    )
    people = names.people(conn) if group == "buyer" else {}
    return tuple(GroupRow(key, people.get(key, name), *rest) for key, name, *rest in rows)


def streams(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    *,
    cause: str | None = None,
    most: int = 8,
) -> tuple[Stream, ...]:
    """The paths from cause over supplier to customer; beyond the ``most`` largest suppliers and
    customers each, the rest is taken together as "others"."""
    i = order_impact.c
    customer = func.coalesce(i.customer_name, i.customer, "unknown customer")
    rows = conn.execute(
        select(
            i.cause,
            func.coalesce(i.supplier, "unknown supplier").label("supplier"),
            customer.label("customer"),
            func.count().label("lines"),
            func.sum(i.open_value).label("value"),
        )
        .where(*_conditions(scope, narrowed, cause))
        .group_by(i.cause, i.supplier, customer)
    ).all()
    suppliers = names.suppliers(conn, scope)
    big_suppliers = _largest(rows, "supplier", most)
    big_customers = _largest(rows, "customer", most)
    paths: dict[tuple[str, str, str], tuple[int, Decimal | None]] = {}
    for row in rows:
        supplier = suppliers.get(row.supplier, row.supplier)
        key = (
            row.cause,
            supplier if row.supplier in big_suppliers else "Other suppliers",
            row.customer if row.customer in big_customers else "Other customers",
        )
        lines, value = paths.get(key, (0, None))
        total = value if row.value is None else (value or Decimal(0)) + row.value
        paths[key] = (lines + row.lines, total)
    return tuple(
        Stream(*key, lines, value) for key, (lines, value) in sorted(paths.items())
    )


def _largest(rows: Sequence[Any], part: str, most: int) -> set[str]:
    totals: dict[str, int] = {}
    for row in rows:
        name = getattr(row, part)
        totals[name] = totals.get(name, 0) + row.lines
    return set(sorted(totals, key=lambda name: (-totals[name], name))[:most])


def causes(conn: Connection, scope: Scope, narrowed: Filter) -> tuple[str, ...]:
    """The categories that are to blame now, for the filter row."""
    i = order_impact.c
    rows = conn.execute(
        select(i.cause).where(*impact_conditions(scope, narrowed)).distinct().order_by(i.cause)
    )
    return tuple(rows.scalars())
