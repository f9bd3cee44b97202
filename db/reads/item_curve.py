"""Supply and demand of one item in one warehouse, and what leads to the answer about an order.

Computed from the documents as they are now, the way the worker nets them; a bucket without a stock
report is drawn from what comes and what is wanted, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Connection

from db import netting, supply
from db.reads import names, rules
from db.supply import Terms
from tower import impact
from tower.access import Scope
from tower.identity import document_home
from tower.impact import PoLine
from tower.netting import Bucket, Point, curve, judge
from tower.rulebook import RuleBook
from tower.zones import zone


@dataclass(frozen=True, slots=True)
class Incoming:
    """A purchase line that brings, or was to bring, an item to a warehouse.

    planned, projected  day on which the last of it was to be there, and now is; None = no day, or
                        nothing will come
    cause               what moved or cut it, "" while it runs to plan
    """

    scope: str
    po: str
    line: str
    supplier: str | None
    supplier_name: str | None
    planned: date | None
    planned_qty: Decimal
    projected: date | None
    projected_qty: Decimal
    cause: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """An open customer order line for an item from a warehouse; ``uncovered`` by netting alone."""

    scope: str
    order: str
    line: str
    customer_name: str | None
    promise: date | None
    qty: Decimal
    pegged: Decimal
    uncovered: Decimal


@dataclass(frozen=True, slots=True)
class ItemCurve:
    """Supply and demand of an item in a warehouse from ``today`` on.

    on_hand   what the warehouse reported at ``as_of``, brought up to date; None = it never did
    silent    the feed that reports it is silent
    problem   why supply is not netted against demand here, "" where it is
    """

    item: str
    warehouse: str
    uom: str | None
    today: date
    on_hand: Decimal | None
    as_of: datetime | None
    silent: bool
    problem: str
    points: tuple[Point, ...]
    incoming: tuple[Incoming, ...]
    wanted: tuple[Wanted, ...]


def item_curve(
    conn: Connection, scope: Scope, item: str, warehouse: str, now: datetime
) -> ItemCurve | None:
    """The curve of an item; None where neither supply, demand nor stock of it is known.

    Viewers of some partners only see none: it tells of customers and of other suppliers.
    """
    terms = _terms(conn)
    if terms is None or not scope.sees_customers:
        return None
    [bucket] = netting.load(conn, terms, [(warehouse, item)], judged=False)
    if not (bucket.stock or bucket.po_lines or bucket.order_lines):
        return None
    today = now.astimezone(zone(terms.network.company.zone)).date()
    stock = bucket.stock
    suppliers = names.suppliers(conn, scope)
    units = {line.uom for line in bucket.po_lines.values()}
    units |= {line.uom for line in bucket.order_lines.values()}
    units |= {stock.uom} if stock is not None else set()
    return ItemCurve(
        item=item,
        warehouse=warehouse,
        uom=min((u for u in units if u), default=None),
        today=today,
        on_hand=None if stock is None else sum((s.qty for s in stock.free()), Decimal(0)),
        as_of=None if stock is None else stock.as_of,
        silent=stock is not None and stock.unknown,
        problem=bucket.problem(),
        points=curve(bucket, today),
        incoming=tuple(
            one
            for line in bucket.po_lines.values()
            if (one := incoming(line, today, suppliers.get(line.supplier or ""))) is not None
        ),
        wanted=_wanted(bucket, today),
    )


def _terms(conn: Connection) -> Terms | None:
    network, book = names.network(conn), rules.rulebook(conn)
    if network is None:
        return None
    return Terms(network, book or _NO_RULES, names.company_hours(conn))


_NO_RULES = RuleBook.model_construct(rules=())


def incoming(line: PoLine, today: date, supplier_name: str | None) -> Incoming | None:
    """What a purchase line still brings; None where it neither was to bring more nor will."""
    plan = impact.planned(line)
    coming = [one for one in impact.supply(line, today) if one.basis != "receipt"]
    planned_qty = sum((one.qty for one in plan), Decimal(0))
    qty = sum((one.qty for one in coming), Decimal(0))
    if not planned_qty and not qty:
        return None
    cause = next((one.why for one in coming if one.why), "")
    if not cause and qty < planned_qty:
        cause = impact.cut_cause(line)
    return Incoming(
        scope=line.scope,
        po=line.po,
        line=line.line,
        supplier=line.supplier,
        supplier_name=supplier_name or line.supplier,
        planned=max((one.day for one in plan), default=None),
        planned_qty=planned_qty,
        projected=max((one.day for one in coming), default=None),
        projected_qty=qty,
        cause=cause,
    )


def _wanted(bucket: Bucket, today: date) -> tuple[Wanted, ...]:
    uncovered: dict[tuple[str, str, str], Decimal] = {}
    for one in judge(bucket, today).affected:
        key = one.order.key
        uncovered[key] = uncovered.get(key, Decimal(0)) + one.uncovered
    found = []
    for key, order in bucket.order_lines.items():
        if order.ends or order.ordered is None:
            continue
        left = order.ordered - max(order.shipped or Decimal(0), Decimal(0))
        if left <= 0:
            continue
        pegs = [p.qty for p in bucket.pegs if p.order_line == key]
        found.append(
            Wanted(
                scope=order.scope,
                order=order.order,
                line=order.line,
                customer_name=order.customer_name or order.customer,
                promise=order.promise_date,
                qty=left,
                pegged=min(sum(pegs, Decimal(0)), left),
                uncovered=uncovered.get(key, Decimal(0)),
            )
        )
    found.sort(key=lambda w: (w.promise or date.max, w.scope, w.order, w.line))
    return tuple(found)


# --- one document --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Covered:
    """How an open customer order line stands.

    state  at_risk, covered, or not_judged; ``why`` says it in words where that is not plain
    """

    line: str
    item: str | None
    warehouse: str | None
    promise: date | None
    qty: Decimal | None
    pegged: Decimal
    state: str
    why: str


def order_lines(
    conn: Connection, scope: Scope, erp: str, number: str, at_risk: Iterable[str]
) -> tuple[Covered, ...]:
    """The open lines of a customer order; ``at_risk`` are those that are known to be uncovered."""
    terms = _terms(conn)
    if terms is None or not scope.sees_customers:
        return ()
    lines = supply.order_lines(conn, terms, [(erp, number, "")])
    places = {(o.warehouse, o.item) for o in lines.values() if o.warehouse and o.item}
    buckets = {
        (b.warehouse, b.item): b
        for b in netting.load(conn, terms, [(w, i) for w, i in places if w and i], judged=False)
    }
    uncovered = set(at_risk)
    found = []
    for key, order in sorted(lines.items()):
        if order.ends or (order.ordered or 0) <= (order.shipped or 0):
            continue
        bucket = buckets.get((order.warehouse or "", order.item or ""))
        pegs = [p.qty for p in bucket.pegs if p.order_line == key] if bucket else []
        pegged = sum(pegs, Decimal(0))
        state, why = "covered", ""
        if order.line in uncovered:
            state = "at_risk"
        elif order.promise_date is None:
            state, why = "not_judged", "no date was promised or asked for"
        elif order.ordered is None:
            state, why = "not_judged", "nobody told its quantity"
        elif pegged < order.ordered:
            problem = "it names no item and warehouse" if bucket is None else bucket.problem()
            if problem:
                state, why = "not_judged", problem
        found.append(
            Covered(
                order.line,
                order.item,
                order.warehouse,
                order.promise_date,
                order.ordered,
                pegged,
                state,
                why,
            )
        )
    return tuple(found)


def po_lines(
    conn: Connection, scope: Scope, erp: str, number: str, now: datetime
) -> tuple[Incoming, ...]:
    """What the lines of a purchase order were to bring and now bring, beyond what is there."""
    terms = _terms(conn)
    if terms is None:
        return ()
    suppliers = names.suppliers(conn, scope)
    ids = scope.partners
    today = now.astimezone(zone(terms.network.company.zone)).date()
    lines = supply.po_lines(conn, terms, [document_home("po", erp, number)])
    return tuple(
        one
        for line in lines.values()
        if (ids is None or line.supplier in ids)
        and (one := incoming(line, today, suppliers.get(line.supplier or ""))) is not None
    )
