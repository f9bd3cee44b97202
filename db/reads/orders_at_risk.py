"""Customer orders that their supply does not cover in time, and what is to blame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Numeric,
    ScalarSelect,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from db.reads import customers_hurt, names, paging
from db.reads.filters import Filter, within_scope
from db.reads.overview import impact_conditions
from db.reads.paging import Total
from db.tables import exception_case, order_impact
from tower.access import Scope
from tower.identity import document_home

Group = Literal["customer", "cause", "buyer"]


@dataclass(frozen=True, slots=True)
class Only:
    """What the list is narrowed to beside the parties; None is no narrowing.

    cause     a word of tower.impact.CAUSES
    told      whether the house said that the customer was told
    customer  number of the customer; "" = lines whose customer nobody named
    """

    cause: str | None = None
    told: bool | None = None
    customer: str | None = None


EVERY = Only()


@dataclass(frozen=True, slots=True)
class AtRiskRow:
    """One customer order line hit by one purchase order line.

    projected   day on which it can be served; None = nothing says that it will come
    proposed    first working day on which the whole line can be promised anew; None = nobody knows
    matched_by  peg (the ERP says so) or netting of supply and demand by item and warehouse
    basis       what that day rests on: stock, receipt, asn, confirmed, assumed
    confidence  0 to 1
    cause       what is to blame, a word of tower.impact.CAUSES
    po          number of the purchase order to blame, "" where nothing is on order
    told_at     when the customer was told of a delay, told_date the day told; None = nobody says
    """

    scope: str
    order: str
    order_line: str
    customer: str | None
    customer_name: str | None
    item: str | None
    promise_date: date
    projected: date | None
    proposed: date | None
    days_late: int
    uncovered_qty: Decimal
    open_value: Decimal | None
    currency: str | None
    matched_by: str
    basis: str
    confidence: float
    cause: str
    told_at: datetime | None
    told_date: date | None
    po_scope: str
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
        """Reference of the purchase order to blame, else of the customer order itself."""
        return f"po:{self.po_scope}:{self.po}" if self.po else self.order_ref

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
    """Affected lines of one customer, cause or buyer; money in ``currency`` alone. ``told``: lines
    of which the house said that the customer was told."""

    key: str | None
    name: str
    orders: int
    lines: int
    purchase_orders: int
    open_value: Decimal | None
    currency: str | None
    worst_days_late: int
    earliest_promise: date
    told: int


@dataclass(frozen=True, slots=True)
class Stream:
    """One path of the picture: so many order lines go from cause over supplier to customer. Keys
    are None where several are taken together, or nobody named them."""

    cause: str
    supplier: str
    customer: str
    lines: int
    open_value: Decimal | None
    supplier_key: str | None = None
    customer_key: str | None = None


def orders_at_risk(
    conn: Connection,
    scope: Scope,
    narrowed: Filter,
    *,
    only: Only = EVERY,
    after: str | None = None,
    limit: int = 200,
) -> AtRiskPage:
    """A page of affected lines, the greatest open value first."""
    i = order_impact.c
    conditions = _conditions(scope, narrowed, only)
    limit = paging.bounded(limit)
    value = func.coalesce(i.open_value, literal(-1, Numeric))
    key = (i.scope, i.order, i.order_line, i.po, i.po_line, i.matched_by)
    statement = (
        _listed(value)
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
            (
                *(last.sorted_by, last.scope, last.order, last.order_line),
                *(last.po, last.po_line, last.matched_by),
            )
        )
    counted = conn.execute(
        select(func.count()).select_from(
            select(i.order_home).where(*conditions).limit(paging.COUNT_UP_TO + 1).subquery()
        )
    ).scalar_one()
    suppliers, people = names.suppliers(conn, scope), names.people(conn)
    rows = tuple(_row(row, suppliers, people) for row in found)
    return AtRiskPage(rows, Total.of(counted), following)


def of_document(
    conn: Connection, scope: Scope, kind: str, erp: str, number: str
) -> tuple[AtRiskRow, ...]:
    """Affected lines of a customer order (``kind`` "order"), or those that a purchase order
    ("po") is to blame for, by promise."""
    i = order_impact.c
    home = i.order_home if kind == "order" else i.po_home
    statement = (
        _listed(i.promise_date)
        .where(
            home == document_home(kind, erp, number),
            *customers_hurt.told_to(scope),
            *within_scope(i, scope),
        )
        .order_by(i.promise_date, i.scope, i.order, i.order_line, i.po, i.po_line, i.matched_by)
        .limit(paging.MOST_ROWS)
    )
    suppliers, people = names.suppliers(conn, scope), names.people(conn)
    return tuple(_row(row, suppliers, people) for row in conn.execute(statement))


def _listed(sorted_by: ColumnElement[Any]) -> Select[Any]:
    """Affected lines with their cases."""
    i, c = order_impact.c, exception_case.c
    return (
        select(
            *(column for column in i if column.name not in ("order_home", "po_home", "partner_id")),
            sorted_by.label("sorted_by"),
            _whole_line().label("proposed"),
            c.state.label("case_state"),
            c.severity.label("case_severity"),
            c.owner.label("case_owner"),
        )
        .select_from(order_impact)
        .outerjoin(exception_case, c.id == i.case_id)
    )


def _whole_line() -> ScalarSelect[Any]:
    """The day on which an order line can be promised anew: of its rows the latest, unknown while
    one of them is."""
    i, j = order_impact.c, order_impact.alias().c
    unknown = func.bool_or(j.proposed_date.is_(None))
    return (
        select(case((unknown, None), else_=func.max(j.proposed_date)))
        .where(
            j.order_home == i.order_home,
            j.scope == i.scope,
            j.order == i.order,
            j.order_line == i.order_line,
        )
        .scalar_subquery()
    )


def _conditions(scope: Scope, narrowed: Filter, only: Only) -> list[ColumnElement[bool]]:
    i = order_impact.c
    found = impact_conditions(scope, narrowed)
    if only.cause is not None:
        found.append(i.cause == only.cause)
    if only.told is not None:
        found.append(i.told_at.is_not(None) if only.told else i.told_at.is_(None))
    if only.customer is not None:
        found.append(i.customer == only.customer if only.customer else i.customer.is_(None))
    return found


def _beyond(
    after: str | None, value: ColumnElement[Any], key: Sequence[ColumnElement[Any]]
) -> list[ColumnElement[bool]]:
    parts = paging.read_place(after, 7)
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
        proposed=row.proposed,
        days_late=row.days_late,
        uncovered_qty=row.uncovered_qty,
        open_value=row.open_value,
        currency=row.currency,
        matched_by=row.matched_by,
        basis=row.basis,
        confidence=row.confidence,
        cause=row.cause,
        told_at=row.told_at,
        told_date=row.told_date,
        po_scope=row.po_scope or row.scope,
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
    only: Only = EVERY,
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
            func.bool_or(i.told_at.is_not(None)).label("told"),
        )
        .where(*_conditions(scope, narrowed, only))
        .group_by(column, i.scope, i.order, i.order_line)
        .subquery()
        .c
    )
    usual = func.mode().within_group(line.currency)
    per_group = select(line.key, usual.label("currency")).group_by(line.key).subquery().c
    same = func.coalesce(line.key, "") == func.coalesce(per_group.key, "")
    value = func.sum(line.value).filter(line.currency == per_group.currency)
    pos = (
        select(
            column.label("key"),
            func.count(func.distinct(func.concat(i.po_scope, "/", i.po)))
            .filter(i.po != "")
            .label("n"),
        )
        .where(*_conditions(scope, narrowed, only))
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
            func.count().filter(line.told),
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
    only: Only = EVERY,
    most: int = 8,
) -> tuple[Stream, ...]:
    """The paths from cause over supplier to customer; beyond the ``most`` largest suppliers and
    customers each, the rest is taken together as "others"."""
    i = order_impact.c
    customer = func.coalesce(func.max(i.customer_name), i.customer, "unknown customer")
    nobody = func.bool_and(i.po == "")
    rows = conn.execute(
        select(
            i.cause,
            func.coalesce(i.supplier, case((nobody, NOBODY), else_="unknown supplier")).label(
                "supplier"
            ),
            customer.label("customer"),
            func.count().label("lines"),
            func.sum(i.open_value).label("value"),
            i.supplier.label("supplier_key"),
            i.customer.label("customer_key"),
        )
        .where(*_conditions(scope, narrowed, only))
        .group_by(i.cause, i.supplier, i.customer)
    ).all()
    suppliers = names.suppliers(conn, scope)
    big_suppliers = _largest(rows, "supplier", most)
    big_customers = _largest(rows, "customer", most)
    paths: dict[tuple[str, str, str], Stream] = {}
    for row in rows:
        named = row.supplier in big_suppliers
        known = row.customer in big_customers
        one = Stream(
            row.cause,
            suppliers.get(row.supplier, row.supplier) if named else "Other suppliers",
            row.customer if known else "Other customers",
            row.lines,
            row.value,
            row.supplier_key if named else None,
            row.customer_key if known else None,
        )
        key = (one.cause, one.supplier, one.customer)
        paths[key] = _together(paths[key], one) if key in paths else one
    return tuple(paths[key] for key in sorted(paths))


def _together(one: Stream, other: Stream) -> Stream:
    values = [v for v in (one.open_value, other.open_value) if v is not None]
    return replace(
        one, lines=one.lines + other.lines, open_value=sum(values, Decimal(0)) if values else None
    )


NOBODY = "no supplier"
"""Where nothing is on order."""


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


@dataclass(frozen=True, slots=True)
class ItemAtRisk:
    """An item in a warehouse with uncovered customer order lines."""

    item: str
    warehouse: str
    lines: int
    earliest_promise: date


def items(
    conn: Connection, scope: Scope, narrowed: Filter, *, only: Only = EVERY, limit: int = 60
) -> tuple[ItemAtRisk, ...]:
    """Items by warehouse of which most order lines are uncovered: what a curve can be drawn of."""
    i = order_impact.c
    lines = func.count(func.distinct(func.concat(i.scope, "/", i.order, "/", i.order_line)))
    rows = conn.execute(
        select(i.item, i.warehouse, lines, func.min(i.promise_date))
        .where(*_conditions(scope, narrowed, only), i.item != "", i.warehouse != "")
        .group_by(i.item, i.warehouse)
        .order_by(lines.desc(), func.min(i.promise_date), i.item, i.warehouse)
        .limit(paging.bounded(limit))
    )
    return tuple(ItemAtRisk(*row) for row in rows)
