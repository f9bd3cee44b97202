"""One event's word about one document, and what the writers of such words share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from tower.codes import combine_parts, is_coming
from tower.event import Event
from tower.vocabulary import decimal_text

Data = Mapping[str, Any]
Facts = dict[str, Any]


class Touch(NamedTuple):
    """One event's word about one subject: po, po_line, asn, receipt, invoice, order, order_line.

    facts holds only JSON values: dates as ISO days, instants as ISO texts, quantities and money as
    decimal texts. Names by subject (a name is absent when nobody said it):

    po           supplier, buyer, type, currency, warehouse, channel, acknowledge_by, ship_by,
                 cancel_after, revision, reason, value, n_lines, lines (line numbers); answer,
                 others, change (rejected: of a change of ours, not of the order), counter_offer;
                 asn, shipped_at, ship_date, eta, ships (line -> [qty, uom]);
                 receipt; invoice; verdict (functional acknowledgement); message, step, hop,
                 receipt, error_class, code, text, queue, attempt
    po_line      item, description, category, qty, uom, price, requested_date, ship_to, action;
                 answer, change (rejected), code, confirmed_qty, confirmed_parts (by unit, where
                 no quantity is told), confirmed_date (of delivery, or of a kind not told),
                 ship_date, confirmed_price; applied_qty, applied_date,
                 applied_price; asn, shipped_qty, eta; receipt, received_qty, rejected_qty; invoice,
                 invoiced_qty; pegs
    asn          supplier, pos, shipped_at, ship_date, eta, carrier, bol, warehouse, rule, reason
    order        customer, customer_name, priority, currency, warehouse, shipment, reason
    order_line   item, description, category, qty, uom, price, requested_date, promised_date,
                 basis, told_date, allocated_qty, backordered_qty, shipped_qty, delivered_qty, pegs

    An event that ends only some lines says nothing about the header: the order goes on.
    """

    kind: str
    scope: str
    number: str
    line: str
    qualifier: str
    facts: Facts


touch: Any = partial(tuple.__new__, Touch)
"""``touch((kind, scope, number, line, qualifier, facts))``: a Touch at half the price. Ingest makes
some four of them per event."""


def without(data: Data, *names: str) -> Facts:
    """The words of an event, less those that name its subject or become touches of their own.

    An event's data are canonical (tower.vocabulary): what is left are words of the subject.
    """
    facts = dict(data)
    for name in names:
        facts.pop(name, None)
    return facts


def add_supplier(event: Event, facts: Facts) -> Facts:
    """The supplier as the event names it, else the partner it came from."""
    if "supplier" not in facts and event.partner:
        facts["supplier"] = event.partner
    return facts


def merged(lines: Sequence[Data], apart: str = "") -> Sequence[Data]:
    """One entry per line number; a number told twice (split delivery) adds up its quantity.

    Of an answer only what comes is added up: six confirmed and four declined are six. Quantities
    in unlike units make none; ``apart`` is the name under which they stay, as [quantity, unit].
    """
    if len(lines) < 2 or len({line["line"] for line in lines}) == len(lines):
        return lines
    told: dict[str, list[Data]] = {}
    for line in lines:
        told.setdefault(line["line"], []).append(line)
    return [parts[0] if len(parts) == 1 else _together(parts, apart) for parts in told.values()]


def _together(parts: Sequence[Data], apart: str) -> Facts:
    """One line of its parts, those that come first; a part without a word confirms its values."""
    answered = any("answer" in part for part in parts)
    coming = [part for part in parts if is_coming(part.get("answer", "accepted"))] or parts
    whole: Facts = {}
    for part in (*coming, *parts):
        for name, value in part.items():
            whole.setdefault(name, value)
    if answered:
        whole["answer"] = combine_parts(part.get("answer", "accepted") for part in parts)
    _take_last_day(whole, coming)
    amounts = [[part["qty"], part.get("uom")] for part in coming if "qty" in part]
    for name in ("qty", "uom"):
        whole.pop(name, None)
    units = {unit for _, unit in amounts}
    if len(units) > 1:
        whole.pop("price", None)  # of which unit?
        if apart:
            whole[apart] = amounts
    elif amounts:
        whole["qty"] = decimal_text(sum([Decimal(qty) for qty, _ in amounts]))
        if amounts[0][1] is not None:
            whole["uom"] = amounts[0][1]
    return whole


def _take_last_day(whole: Facts, parts: Sequence[Data]) -> None:
    """The goods are there when the last part is; its day keeps its kind."""
    for name in ("date", "date_kind"):
        whole.pop(name, None)
    dated = [part for part in parts if "date" in part]
    if dated:
        last = max(dated, key=lambda part: str(part["date"]))
        whole.update({name: last[name] for name in ("date", "date_kind") if name in last})
