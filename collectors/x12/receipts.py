"""What was received: the receiving advice (861), ours to a supplier."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from collectors.x12.draft import Draft
from collectors.x12.reading import SetReading
from collectors.x12.references import Place, parted, reference, take_warehouse
from collectors.x12.tokens import Segment
from tower.event import TimeQuality

_REVERSALS = frozenset(("01", "03"))  # X12 353: BRA03
_SHIPMENTS = ("MA", "SI", "DJ", "PK")  # X12 128: ship notice, shipper's number, tickets
_PLACES = ("ST", "RC", "WH", "BY")  # X12 98


def read_receipt(reading: SetReading) -> None:
    """861: posted, or reversed. A receipt may name its shipment notice alone."""
    bra = reading.first(b"BRA", "beginning of the receiving advice")
    reading.key(bra, 1, "receipt number")
    head, items = parted(reading.segments, b"RCD")
    draft = reading.draft()
    header = draft.header
    header.text("receipt", bra, 1)
    take_warehouse(reading, header, head, *_PLACES)
    reading.supplier(draft)
    shipment = reference(head, *_SHIPMENTS)
    if shipment is not None:
        header.text("asn", *shipment)
    common = _order(head)
    for group in items:
        _line(reading, draft, group, common)
    reading.emit(
        "receipt.reversed" if bra.text(3) in _REVERSALS else "receipt.posted",
        draft,
        _moment(reading, bra, head),
        carries=reading.own_ids(),
    )


def _moment(
    reading: SetReading, bra: Segment, head: Sequence[Segment]
) -> tuple[datetime, TimeQuality]:
    """When the goods came: DTM*050 or BRA02 with BRA05, else when it was transmitted."""
    for segment in head:
        if segment.fields[0] == b"DTM" and segment.text(1) == "050":
            found = reading.instant(segment, 2, 3)
            if found is not None:
                return found, TimeQuality.EXACT
    found = reading.instant(bra, 2, 5)
    return (found, TimeQuality.EXACT) if found is not None else reading.moment(bra, 2)


def _line(
    reading: SetReading, draft: Draft, group: Sequence[Segment], common: Place | None
) -> None:
    rcd = group[0]
    line = draft.line()
    if rcd.text(1):
        line.text("receipt_line", rcd, 1)
    else:
        line.default("receipt_line", str(len(draft.lines)), "place of the line in the document")
    lin = next((s for s in group if s.fields[0] == b"LIN"), None)
    if lin is not None and (item := reading.item(lin, 2)):
        line.text("item", lin, item)
    line.number("qty", rcd, 2)
    line.text("uom", rcd, 3)
    line.number("rejected_qty", rcd, 4)
    if "qty" not in line.values and "rejected_qty" in line.values:
        line.default("qty", "0", "only returned units are told")
        line.text("uom", rcd, 5)
    told = reading.paired(lin, 2, b"PO") if lin is not None else 0
    order = (lin, told) if lin is not None and told else _order(group) or common
    if order is None:
        return
    line.default("erp", reading.erp, "network.yaml company.erp")
    line.text("po", *order)
    place = reading.paired(lin, 2, b"PL") if lin is not None else 0
    named = (lin, place) if lin is not None and place else reference(group, "LI")
    line.text("line", *(named or (rcd, 1)))


def _order(segments: Sequence[Segment]) -> Place | None:
    found = next((s for s in segments if s.fields[0] == b"PRF" and s.text(1)), None)
    return (found, 1) if found is not None else reference(segments, "PO")
