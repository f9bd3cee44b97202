"""What is in stock: the inventory advice (846) of a supplier or a warehouse, and what a warehouse
corrected in its books (947).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from collectors.x12.draft import SUM, Draft, Record
from collectors.x12.reading import SetReading
from collectors.x12.references import parted, take_sender, take_supplier, take_warehouse
from collectors.x12.tokens import Segment
from tower.codes import UNKNOWN
from tower.vocabulary import decimal_text
from tower.x12_codes import ADJUSTED, LESS, STATUS_ONLY, STOCK

_PLACES = ("WH", "SF", "ST", "LW", "SU", "VN", "SE")  # X12 98
_SUPPLIERS = ("SU", "VN", "SE", "SF")
_ARTICLE = (5, 7, 17)  # qualifiers of W19; lot and weights stand between


def read_inventory(reading: SetReading) -> None:
    """846: on hand (17) and available (33) of each article; other quantities are left out."""
    bia = reading.first(b"BIA", "beginning of the inventory advice")
    head, loops = parted(reading.segments, b"LIN")
    draft = reading.draft()
    header = draft.header
    if not take_warehouse(reading, header, head, *_PLACES):
        take_sender(reading, header)
    reading.supplier(draft)
    as_of = reading.instant(bia, 4, 5)
    if as_of is not None:
        header.derived("as_of", as_of.isoformat(), bia, 4, "BIA04, BIA05 and the sender's zone")
    for loop in loops:
        lin = loop[0]
        item = reading.item(lin, 2)
        if not item:
            reading.find("line_without_item", "no number of an article", lin, 2)
            continue
        line = draft.line()
        line.text("item", lin, item)
        for field in ("on_hand", "available"):
            _quantity(reading, line, field, loop)
    reading.emit("inventory.reported", draft, reading.moment(bia, 4), carries=reading.own_ids())


def _quantity(reading: SetReading, line: Record, field: str, loop: Sequence[Segment]) -> None:
    """One QTY, or the sum of several (lots, places) in the unit of the first."""
    found = [s for s in loop if s.fields[0] == b"QTY" and STOCK.get(s.text(1)) == field]
    if not found:
        return
    unit = found[0].text(3)
    same = [s for s in found if s.text(3) == unit]
    if len(same) < len(found):
        reading.find("mixed_units", "quantities in other units were not added", found[0], 3)
    line.text("uom", found[0], 3)
    if len(same) == 1:
        line.number(field, same[0], 2)
        return
    total = Decimal(0)
    for qty in same:
        number = reading.number(qty, 2)
        if number is not None:
            total += Decimal(number)
            line.derived(field, decimal_text(total), qty, 2, SUM)


def read_adjustment(reading: SetReading) -> None:
    """947: by how much, and why, the stock of each article changed.

    W1902 has its sign. Goods that were only put on hold, or taken off, are in stock as before.
    """
    w15 = reading.first(b"W15", "identification of the adjustment")
    head, loops = parted(reading.segments, b"W19")
    draft = reading.draft()
    header = draft.header
    if not take_warehouse(reading, header, head, "WH", "SF", "ST"):
        take_sender(reading, header)
    take_supplier(reading, header, head, *_SUPPLIERS)
    for loop in loops:
        _adjusted(reading, draft, loop[0])
    if draft.lines:
        reading.emit("inventory.adjusted", draft, reading.moment(w15, 1), carries=reading.own_ids())


def _adjusted(reading: SetReading, draft: Draft, w19: Segment) -> None:
    reason, code = reading.word(ADJUSTED, "adjustment", w19, 1)
    if reason in STATUS_ONLY:
        reading.find("status_only", f"{reason}: the quantity in stock did not change", w19, 1)
        return
    item = reading.item_among(w19, _ARTICLE) or (4 if w19.text(4) else 0)
    if not item:
        reading.find("line_without_item", "no number of an article", w19, 5)
        return
    delta = reading.number(w19, 2)
    if delta is None:
        reading.find("no_quantity", "no quantity by which stock changed", w19, 2)
        return
    if reason in LESS and not delta.startswith("-"):
        reading.find("direction_unclear", f'"{reason}" of a quantity that is not negative', w19, 2)
    line = draft.line()
    line.text("item", w19, item)
    line.number("delta", w19, 2)
    line.text("uom", w19, 3)
    if code:
        # A code without a word is better than no reason.
        line.word("reason", reason if reason != UNKNOWN else code, w19, 1, "X12 181")
