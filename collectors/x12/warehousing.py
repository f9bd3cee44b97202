"""Orders to a warehouse and its reports: 940 and 945 to customers, 943 and 944 into stock.

A line that stands in several lots is one line: its quantities are added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from collectors.x12.draft import SUM, Draft, Record
from collectors.x12.reading import SetReading
from collectors.x12.references import (
    Place,
    named,
    number_line,
    parted,
    reference,
    take_sender,
    take_supplier,
    take_warehouse,
)
from collectors.x12.tokens import Segment
from tower.codes import UNKNOWN
from tower.event import TimeQuality
from tower.vocabulary import decimal_text
from tower.x12_codes import DISCREPANCY, RELEASE

_ENDS = frozenset((b"W03", b"W14", b"W76", b"CTT", b"SE"))
_SUPPLIERS = ("SU", "VN", "SE", "SF")  # X12 98


class _Item(NamedTuple):
    """One line: where its number stands, its item segments, and all that belongs to it."""

    number: Place | None
    items: list[Segment]
    segments: list[Segment]


class _Layout(NamedTuple):
    """Where an item segment keeps unit and article; lots and weights stand between the codes."""

    uom: int
    codes: tuple[int, ...]
    upc: int


_LAYOUTS = {
    b"W01": _Layout(2, (4, 6), 3),
    b"W04": _Layout(2, (4, 6), 3),
    b"W07": _Layout(2, (4, 6), 3),
    b"W12": _Layout(5, (7, 17, 21), 6),
}


def read_release(reading: SetReading) -> None:
    """940: a customer order is released to a warehouse; a withdrawal is told as a message."""
    w05 = reading.first(b"W05", "identification of the warehouse order")
    reading.key(w05, 2, "depositor order number")
    word, code = reading.word(RELEASE, "release", w05, 1)
    moment = reading.moment()
    if word not in ("released", UNKNOWN):
        _message(reading, w05, f"warehouse order {w05.text(2)}: {word} ({code})", moment)
        return
    head, loops = _parted(reading, b"W01")
    draft = _order(reading, w05, 2)
    take_warehouse(reading, draft.header, head, "WH", "SF")
    _lines(reading, draft, loops, 1)
    reading.emit("order.released", draft, moment, carries=reading.own_ids())


def read_shipping(reading: SetReading) -> None:
    """945: the warehouse shipped a customer order; lines with what really left."""
    w06 = reading.first(b"W06", "identification of the shipment")
    reading.key(w06, 2, "depositor order number")
    head, loops = _parted(reading, b"W12")
    draft = _order(reading, w06, 2)
    draft.header.text("shipment", w06, 4)
    take_warehouse(reading, draft.header, head, "WH", "SF")
    _lines(reading, draft, loops, 3)
    reading.emit(
        "order.shipped", draft, _happened(reading, head, w06, 3), carries=reading.own_ids()
    )


def read_transfer(reading: SetReading) -> None:
    """943: goods are on their way into a warehouse."""
    w06 = reading.first(b"W06", "identification of the transfer")
    reading.key(w06, 2, "depositor order number")
    head, loops = _parted(reading, b"W04")
    draft = reading.draft()
    header = draft.header
    header.text("transfer", w06, 2)
    header.default("erp", reading.erp, "network.yaml company.erp")
    header.text("shipment", w06, 4)
    header.text("po", w06, 6)
    take_warehouse(reading, header, head, "WH", "ST")
    take_supplier(reading, header, head, *_SUPPLIERS)
    _lines(reading, draft, loops, 1)
    reading.emit(
        "transfer.shipped", draft, _happened(reading, head, w06, 3), carries=reading.own_ids()
    )


def read_receipt(reading: SetReading) -> None:
    """944: the warehouse took goods in; what differs (W13) is a discrepancy besides."""
    w17 = reading.first(b"W17", "identification of the receipt")
    reading.key(w17, 3, "receipt number")
    head, loops = _parted(reading, b"W07")
    order = reference(head, "PO") or ((w17, 4) if w17.text(4) else None)
    draft, odd = (_receipt(reading, w17, head) for _ in range(2))
    for nth, item in enumerate(loops, 1):
        if any(segment.text(1) for segment in item.items):
            line = _received(reading, draft, item, order, nth)
            line.text("uom", item.items[0], _layout(item).uom)
        else:
            reading.find("no_quantity", "no received quantity for this line", item.items[0], 1)
        for differs in item.segments:
            if differs.fields[0] == b"W13":
                _difference(reading, odd, item, order, nth, differs)
    found = reading.instant(w17, 2, 7)
    moment = (found, TimeQuality.EXACT) if found is not None else reading.moment(w17, 2)
    reading.emit("receipt.posted", draft, moment, carries=reading.own_ids())
    if odd.lines:
        reading.emit("receipt.discrepancy", odd, moment, position="/differences")


# --- receipts -------------------------------------------------------------------------------------


def _receipt(reading: SetReading, w17: Segment, head: Sequence[Segment]) -> Draft:
    draft = reading.draft()
    header = draft.header
    header.text("receipt", w17, 3)
    if not take_warehouse(reading, header, head, "WH", "ST", "RC"):
        take_sender(reading, header)
    # The sender is the warehouse: whose goods these are, the document must say.
    take_supplier(reading, header, head, *_SUPPLIERS)
    header.text("asn", w17, 5)
    return draft


def _received(
    reading: SetReading, draft: Draft, item: _Item, order: Place | None, nth: int
) -> Record:
    line = draft.line()
    number_line(line, item.number, nth, "receipt_line")
    _add_up(reading, line, "qty", item.items, 1)
    _article(reading, line, item)
    told = reference(item.segments, "PO") or order
    if told is not None:
        line.default("erp", reading.erp, "network.yaml company.erp")
        line.text("po", *told)
        named_line = reference(item.segments, "LI", "PL")
        if named_line is not None:
            line.text("line", *named_line)
    return line


def _difference(
    reading: SetReading,
    odd: Draft,
    item: _Item,
    order: Place | None,
    nth: int,
    w13: Segment,
) -> None:
    kind, _ = reading.word(DISCREPANCY, "condition", w13, 3)
    if kind == UNKNOWN:
        return
    line = _received(reading, odd, item, order, nth)
    line.word("kind", kind, w13, 3, "X12 412")
    line.values.pop("qty", None)
    line.number("qty", w13, 1)
    line.text("uom", w13, 2)


# --- what all have --------------------------------------------------------------------------------


def _order(reading: SetReading, segment: Segment, element: int) -> Draft:
    draft = reading.draft()
    draft.header.text("order", segment, element)
    draft.header.default("erp", reading.erp, "network.yaml company.erp")
    return draft


def _parted(reading: SetReading, tag: bytes) -> tuple[list[Segment], list[_Item]]:
    """The head, and each line: LX begins one, or the item segment where there is no LX."""
    head, loops = parted(reading.segments, b"LX", tag, ends=_ENDS)
    items: list[_Item] = []
    lx: Segment | None = None
    by_number: dict[tuple[str, str], _Item] = {}
    for loop in loops:
        if loop[0].fields[0] == b"LX":
            lx = loop[0]
            continue
        number = reference(loop, "LI") or ((lx, 1) if lx is not None and lx.text(1) else None)
        key = (number[0].text(number[1]) if number else "", loop[0].text(_LAYOUTS[tag].uom))
        known = by_number.get(key) if number else None
        if known is not None:
            known.items.append(loop[0])
            known.segments.extend(loop)
            continue
        item = _Item(number, [loop[0]], list(loop))
        items.append(item)
        if number:
            by_number[key] = item
    return head, items


def _layout(item: _Item) -> _Layout:
    return _LAYOUTS[item.items[0].fields[0]]


def _lines(reading: SetReading, draft: Draft, loops: Sequence[_Item], element: int) -> None:
    for nth, item in enumerate(loops, 1):
        line = draft.line()
        number_line(line, item.number, nth)
        _add_up(reading, line, "qty", item.items, element)
        line.text("uom", item.items[0], _layout(item).uom)
        _article(reading, line, item)


def _article(reading: SetReading, line: Record, item: _Item) -> None:
    segment, layout = item.items[0], _layout(item)
    element = reading.item_among(segment, layout.codes) or layout.upc
    line.text("item", segment, element)


def _add_up(
    reading: SetReading, line: Record, field: str, segments: Sequence[Segment], element: int
) -> None:
    if len(segments) == 1:
        line.number(field, segments[0], element)
        return
    total = Decimal(0)
    for segment in segments:
        number = reading.number(segment, element)
        if number is not None:
            total += Decimal(number)
            line.derived(field, decimal_text(total), segment, element, SUM)


def _happened(
    reading: SetReading, head: Sequence[Segment], document: Segment, element: int
) -> tuple[datetime, TimeQuality]:
    """When goods left: G62*11 with a time, else when it was transmitted."""
    for segment in _dates(head):
        found = reading.instant(segment, 2, 4)
        if found is not None:
            return found, TimeQuality.EXACT
    return reading.moment(document, element)


def _dates(head: Sequence[Segment]) -> Iterator[Segment]:
    return named(head, b"G62", "11")


def _message(
    reading: SetReading, segment: Segment, text: str, moment: tuple[datetime, TimeQuality]
) -> None:
    draft = reading.draft()
    reading.supplier(draft)
    draft.header.word("text", text, segment, 1, "X12 473")
    draft.header.default("step", "warehouse order", "type of the set")
    reading.emit("message.sent", draft, moment, carries=reading.own_ids())
