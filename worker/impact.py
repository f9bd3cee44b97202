"""Whom changed purchase orders hurt, computed anew in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection

from db import impact as rows
from tower import impact
from tower.court import Code
from tower.identity import document_home, partner_id
from tower.impact import OrderLine, PoLine
from tower.rulebook import ImpactRule
from tower.zones import zone

# Categories whose standing clocks put a stated date in doubt.
SILENT = "ACK_OVERDUE"
ASN_FAILED = "ASN_INVALID"
ASN_MISSING = "ASN_MISSING"


@dataclass(slots=True)
class Impact:
    """What a round found.

    po_homes  purchase orders whose affected lines may have changed
    next      per changed home: when the mere passing of days moves what is expected of it
    """

    po_homes: set[int] = field(default_factory=set)
    next: dict[int, datetime] = field(default_factory=dict)


def recompute(conn: Connection, code: Code, homes: Iterable[int], now: datetime) -> Impact:
    """Bring the affected order lines of these purchase orders up to date."""
    changed = set(homes)
    if not changed:
        return Impact()
    web = rows.web(conn, changed)
    if not web.order_lines:
        return Impact(po_homes=changed)
    today = now.astimezone(zone(code.network.company.zone)).date()
    po_lines = _po_lines(conn, code, web.po_homes)
    order_lines = _order_lines(conn, code, {peg.order_line for peg in web.pegs} | web.order_lines)
    found = impact.affected(po_lines, order_lines, web.pegs, today, web.order_lines)
    ids = {line.supplier: partner_id(line.supplier) for line in po_lines.values() if line.supplier}
    rows.replace_affected(conn, web.order_lines, found, ids, now)
    return Impact(
        po_homes=web.po_homes,
        next=_next(code, changed, po_lines, order_lines, web, today),
    )


def _next(
    code: Code,
    homes: set[int],
    po_lines: Mapping[rows.LineKey, PoLine],
    order_lines: Mapping[rows.LineKey, OrderLine],
    web: rows.Web,
    today: date,
) -> dict[int, datetime]:
    """Midnights at which goods that somebody waits for become overdue, or a day more so."""
    found: dict[int, date] = {}
    for peg in web.pegs:
        line, order = po_lines.get(peg.po_line), order_lines.get(peg.order_line)
        if line is None or order is None or order.ends or line.home_key not in homes:
            continue
        day = impact.next_change(line, today)
        if day is not None:
            found[line.home_key] = min(day, found.get(line.home_key, day))
    return {home: _begin_of(day, code) for home, day in found.items()}


def tomorrow(code: Code, now: datetime) -> datetime:
    """When the next day of the company begins."""
    today = now.astimezone(zone(code.network.company.zone)).date()
    return _begin_of(today + timedelta(days=1), code)


def _begin_of(day: date, code: Code) -> datetime:
    """A minute past midnight, so that no clock's rounding lands on the day before."""
    local = zone(code.network.company.zone)
    return datetime.combine(day, time(0, 1), local).astimezone(zone("UTC"))


def _po_lines(conn: Connection, code: Code, homes: set[int]) -> dict[rows.LineKey, PoLine]:
    documents = rows.documents(conn, homes, ("po", "po_line"))
    headers = {row.home_key: row for row in documents if row.kind == "po"}
    doubt = _doubts(conn, code, homes)
    return {
        (row.scope, row.number, row.line): _po_line(row, headers.get(row.home_key), doubt, code)
        for row in documents
        if row.kind == "po_line"
    }


@dataclass(slots=True)
class _Doubts:
    """Homes (and lines) that standing or held clocks speak of."""

    silent: set[int] = field(default_factory=set)
    asn_failed: set[int] = field(default_factory=set)
    asn_missing: set[tuple[int, str]] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)


def _doubts(conn: Connection, code: Code, homes: set[int]) -> _Doubts:
    category = {
        rule.id: rule.category
        for rule in code.book.rules
        if rule.category in (SILENT, ASN_FAILED, ASN_MISSING)
    }
    levels = dict.fromkeys(category, "")
    if code.impact is not None and isinstance(code.impact.rule, ImpactRule):
        levels = {name: at for name, at in code.impact.rule.walk_from.items() if name in category}
    reached: dict[int, set[int]] = {}
    for home, other in rows.linked(conn, homes):
        reached.setdefault(other, set()).add(home)
    found = _Doubts()
    for mark in rows.doubts(conn, homes | reached.keys(), levels):
        where = {mark.home} & homes | reached.get(mark.home, set())
        kind = category[mark.rule]
        if not mark.breached:
            found.unknown |= {mark.home} & homes
        elif kind == SILENT:
            found.silent |= {mark.home} & homes
        elif kind == ASN_FAILED:
            found.asn_failed |= where
        else:
            found.asn_missing.add((mark.home, mark.line))
    return found


def _po_line(row: Any, header: Any, doubt: _Doubts, code: Code) -> PoLine:
    supplier = row.supplier or (header.supplier if header else None)
    warehouse = row.warehouse or (header.warehouse if header else None)
    partner = code.network.partners.get(supplier or "")
    site = code.network.warehouses.get(warehouse or "")
    answer = row.answer
    if answer in (None, "none") and header is not None and header.answer == "rejected":
        answer = "rejected"
    return PoLine(
        scope=row.scope,
        po=row.number,
        line=row.line,
        home_key=row.home_key,
        ordered=row.ordered_qty,
        confirmed=row.confirmed_qty,
        shipped=row.shipped_qty,
        received=row.received_qty,
        rejected_qty=row.rejected_qty,
        requested_date=row.requested_date,
        first_confirmed_date=row.first_confirmed_date,
        confirmed_date=row.last_confirmed_date,
        eta=row.eta,
        received_date=row.actual_receipt_date,
        ends=row.closed or (header is not None and header.closed),
        refused=answer == "rejected",
        silent=row.home_key in doubt.silent,
        asn_failed=row.home_key in doubt.asn_failed,
        asn_missing=(row.home_key, row.line) in doubt.asn_missing,
        unknown=row.home_key in doubt.unknown,
        usual_delay_days=partner.usual_delay_days if partner else 0,
        dock_days=site.dock_to_stock_days if site else 0,
        supplier=supplier,
        buyer=row.buyer or (header.buyer if header else None),
        warehouse=warehouse,
        item=row.item,
        price=row.price,
    )


def _margin(code: Code) -> int:
    """Whole days of the margin of the rule about customers; promises are days."""
    rule = code.impact.rule if code.impact is not None else None
    return rule.margin.length // timedelta(days=1) if isinstance(rule, ImpactRule) else 0


def _order_lines(
    conn: Connection, code: Code, wanted: set[rows.LineKey]
) -> dict[rows.LineKey, OrderLine]:
    homes = {document_home("order", scope, order) for scope, order, _ in wanted}
    documents = rows.documents(conn, homes, ("order", "order_line"))
    headers = {row.home_key: row for row in documents if row.kind == "order"}
    return {
        (row.scope, row.number, row.line): _order_line(row, headers.get(row.home_key), code)
        for row in documents
        if row.kind == "order_line"
    }


def _order_line(row: Any, header: Any, code: Code) -> OrderLine:
    return OrderLine(
        scope=row.scope,
        order=row.number,
        line=row.line,
        home_key=row.home_key,
        ordered=row.ordered_qty,
        shipped=row.shipped_qty,
        promise_date=row.promised_date or row.requested_date,
        open_value=row.open_value,
        currency=row.currency
        or (header.currency if header else None)
        or code.network.company.currency,
        customer=row.customer or (header.customer if header else None),
        customer_name=row.customer_name or (header.customer_name if header else None),
        item=row.item,
        ends=row.closed or (header is not None and header.closed),
        margin_days=_margin(code),
    )

