"""Where goods are: the carrier's shipment status (214)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from collectors.x12.reading import SetReading
from collectors.x12.references import parted, reference, take_supplier
from collectors.x12.shipments import ZONES
from collectors.x12.tokens import Segment
from tower.event import TimeQuality

_NOTICES = ("MA", "SI")  # X12 128: ship notice, the shipper's number
_BILLS = ("BM", "MB")
_SHIPPERS = ("SU", "VN", "SH", "SF")  # X12 98
_EXPECTED = frozenset(("AG", "AB"))
"""X12 1650, 1652: an estimated delivery or a delivery appointment gives the expected day."""


def read_status(reading: SetReading) -> None:
    """One ``shipment.status`` per AT7; what stands over it holds for all that follow."""
    b10 = reading.first(b"B10", "beginning of the status")
    if not (b10.text(1) or b10.text(2)):
        reading.key(b10, 2, "shipment number")
    head, loops = parted(reading.segments, b"LX")
    told = 0
    for loop in [head, *loops] if _statuses(head) else loops:
        for status in _statuses(loop):
            told += 1
            _tell(reading, b10, head, loop, status, f"/at7:{told}" if told > 1 else "")
    if not told:
        reading.first(b"AT7", "status")


def _statuses(loop: Sequence[Segment]) -> list[list[Segment]]:
    """Each AT7 with what belongs to it up to the next."""
    return parted(loop, b"AT7")[1]


def _tell(
    reading: SetReading,
    b10: Segment,
    head: Sequence[Segment],
    loop: Sequence[Segment],
    status: Sequence[Segment],
    position: str,
) -> None:
    at7 = status[0]
    draft = reading.draft()
    header = draft.header
    if not take_supplier(reading, header, [*loop, *head], *_SHIPPERS):
        reading.supplier(draft)
    for field, codes in (("asn", _NOTICES), ("bol", _BILLS)):
        for place in (loop, head):
            found = _numbered(place, *codes)
            if found is not None:
                header.text(field, *found)
                break
    header.text("shipment", b10, 2 if b10.text(2) else 1)
    element = 1 if at7.text(1) else 3
    header.text("code", at7, element)
    if not at7.text(element):
        reading.find("unknown_code", "AT7 tells no status", at7, 1)
    if at7.text(3) in _EXPECTED or at7.text(1) in _EXPECTED:
        header.date("eta", at7, 5)
    for segment in status:
        if segment.fields[0] == b"MS1" and segment.text(1):
            header.text("place", segment, 1)
            break
    reading.emit("shipment.status", draft, _moment(reading, at7), position=position)


def _numbered(segments: Sequence[Segment], *codes: str) -> tuple[Segment, int] | None:
    for code in codes:
        for segment in segments:
            if segment.fields[0] == b"L11" and segment.text(2) == code and segment.text(1):
                return segment, 1
    return reference(segments, *codes)


def _moment(reading: SetReading, at7: Segment) -> tuple[datetime, TimeQuality]:
    """When it happened (AT705 to 07); an expected or missing time is when it was told."""
    if at7.text(3) and not at7.text(1):
        return reading.moment()
    found = reading.instant(at7, 5, 6, ZONES.get(at7.text(7)))
    return (found, TimeQuality.EXACT) if found is not None else reading.moment(at7, 5)
