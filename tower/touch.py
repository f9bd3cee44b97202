"""One event's word about one document, and what the writers of such words share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

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
                 answer, change (rejected), code, confirmed_qty, confirmed_date (of delivery, or of
                 a kind not told), ship_date, confirmed_price; applied_qty, applied_date,
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


def merged(lines: Sequence[Data]) -> Sequence[Data]:
    """One entry per line number; a number told twice (split delivery) adds up its quantity."""
    if len(lines) < 2 or len({line["line"] for line in lines}) == len(lines):
        return lines
    found: dict[str, Facts] = {}
    for line in lines:
        known = found.get(line["line"])
        if known is None:
            found[line["line"]] = dict(line)
            continue
        if "qty" in line and "qty" in known and line.get("uom") == known.get("uom"):
            known["qty"] = decimal_text(Decimal(known["qty"]) + Decimal(line["qty"]))
        if line.get("answer") != known.get("answer"):
            known["answer"] = "accepted_with_changes"
        if line.get("date", "") > known.get("date", ""):
            known["date"] = line["date"]  # the goods are there when the last part is
        for name, value in line.items():
            known.setdefault(name, value)
    return list(found.values())
