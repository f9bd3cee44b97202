"""Purchase lines and customer order lines as netting and impact weigh them, by home.

What the network says (usual delays, time from dock to stock) and what clocks say (an overdue
answer, a failed or missing shipment notice, a silent feed) is put to the documents here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from db import impact as rows
from tower.calendars import Calendar
from tower.identity import document_home
from tower.impact import OrderLine, PoLine
from tower.network import Network
from tower.rulebook import ImpactRule, RuleBook

LineKey = tuple[str, str, str]
"""(ERP, header number, line number)."""

# Categories whose standing clocks put a stated date in doubt.
SILENT = "ACK_OVERDUE"
ASN_FAILED = "ASN_INVALID"
ASN_MISSING = "ASN_MISSING"


@dataclass(frozen=True)
class Terms:
    """What network and rule book say that supply and demand are weighed by.

    hours  the company's: customers are promised working days; None where it has no calendar
    """

    network: Network
    book: RuleBook
    hours: Calendar | None

    @cached_property
    def category(self) -> Mapping[str, str]:
        """Rules whose clocks put a date in doubt, with their category."""
        return {
            rule.id: rule.category
            for rule in self.book.rules
            if rule.category in (SILENT, ASN_FAILED, ASN_MISSING)
        }

    @cached_property
    def levels(self) -> Mapping[str, str]:
        """From which level on they do; "" = from the first that counts as breached."""
        rule = self._rule
        if rule is None:
            return dict.fromkeys(self.category, "")
        return {name: at for name, at in rule.walk_from.items() if name in self.category}

    @cached_property
    def margin_days(self) -> int:
        """Whole days of the margin of the rule about customers; promises are days."""
        return self._rule.margin.length // timedelta(days=1) if self._rule is not None else 0

    @cached_property
    def _rule(self) -> ImpactRule | None:
        return next((rule for rule in self.book.rules if isinstance(rule, ImpactRule)), None)


def po_lines(conn: Connection, terms: Terms, homes: Iterable[int]) -> dict[LineKey, PoLine]:
    """All lines of the purchase orders at these homes."""
    wanted = set(homes)
    documents = rows.documents(conn, wanted, ("po", "po_line"))
    headers = {row.home_key: row for row in documents if row.kind == "po"}
    doubt = _doubts(conn, terms, wanted)
    return {
        (row.scope, row.number, row.line): _po_line(row, headers.get(row.home_key), doubt, terms)
        for row in documents
        if row.kind == "po_line"
    }


def order_lines(
    conn: Connection, terms: Terms, wanted: Iterable[LineKey]
) -> dict[LineKey, OrderLine]:
    """All lines of the customer orders to which these lines belong."""
    homes = {document_home("order", scope, order) for scope, order, _ in wanted}
    documents = rows.documents(conn, homes, ("order", "order_line"))
    headers = {row.home_key: row for row in documents if row.kind == "order"}
    return {
        (row.scope, row.number, row.line): _order_line(row, headers.get(row.home_key), terms)
        for row in documents
        if row.kind == "order_line"
    }


@dataclass(slots=True)
class _Doubts:
    """Homes (and lines) that standing or held clocks speak of."""

    silent: set[int] = field(default_factory=set)
    asn_failed: set[int] = field(default_factory=set)
    asn_missing: set[tuple[int, str]] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)


def _doubts(conn: Connection, terms: Terms, homes: set[int]) -> _Doubts:
    reached: dict[int, set[int]] = {}
    for home, other in rows.linked(conn, homes):
        reached.setdefault(other, set()).add(home)
    found = _Doubts()
    for mark in rows.doubts(conn, homes | reached.keys(), terms.levels):
        where = {mark.home} & homes | reached.get(mark.home, set())
        kind = terms.category[mark.rule]
        if not mark.breached:
            found.unknown |= {mark.home} & homes
        elif kind == SILENT:
            found.silent |= {mark.home} & homes
        elif kind == ASN_FAILED:
            found.asn_failed |= where
        else:
            found.asn_missing.add((mark.home, mark.line))
    return found


def _po_line(row: Any, header: Any, doubt: _Doubts, terms: Terms) -> PoLine:
    network = terms.network
    supplier = row.supplier or (header.supplier if header else None)
    warehouse = row.warehouse or (header.warehouse if header else None)
    partner = network.partners.get(supplier or "")
    site = network.warehouses.get(warehouse or "")
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
        cancelled=row.cancelled_at is not None,
        ended_at=_ended(row, header),
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
        uom=row.uom,
        price=row.price,
    )


def _ended(row: Any, header: Any) -> datetime | None:
    """When it was cancelled or closed, by itself or with its order; of a line that was received
    complete, when it was heard of last."""
    told = [row.cancelled_at, row.closed_at]
    if header is not None:
        told += [header.cancelled_at, header.closed_at]
    known: list[datetime] = [at for at in told if at is not None]
    if known:
        return min(known)
    done: datetime | None = row.last_event_at if row.closed else None
    return done


def _order_line(row: Any, header: Any, terms: Terms) -> OrderLine:
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
        or terms.network.company.currency,
        customer=row.customer or (header.customer if header else None),
        customer_name=row.customer_name or (header.customer_name if header else None),
        item=row.item,
        warehouse=row.warehouse or (header.warehouse if header else None),
        uom=row.uom,
        placed_at=row.released_at or row.first_seen_at,
        ends=row.closed or (header is not None and header.closed),
        margin_days=terms.margin_days,
    )
