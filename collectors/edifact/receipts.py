"""What was received: the receiving advice (RECADV), ours to a supplier or a warehouse's to us."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from collectors.edifact.articles import (
    add_up,
    describe_item,
    named,
    number_line,
    only_order,
    party,
    quantities,
    reference,
    take_order,
    take_quantity,
    take_warehouse,
)
from collectors.edifact.draft import Draft, Record, Spot
from collectors.edifact.reading import MessageReading
from collectors.edifact.tokens import Segment
from tower.edifact_codes import DISCREPANCY
from tower.vocabulary import decimal_text

_PLACES = ("DP", "ST", "WH", "GR", "UC", "CN", "BY")
_RECEIVED = ("48", "46", "194", "1")  # 6063
_REFUSED = ("195", "196", "185", "124")  # to be returned, to be destroyed, rejected, damaged
_DESPATCH = ("AAK", "DQ", "AAU")  # 1153: despatch advice, delivery note, despatch note


def read_receipt(reading: MessageReading) -> None:
    """RECADV: posted, or reversed (1225 = 1); lines that differ are a discrepancy besides."""
    bgm = reading.first(b"BGM", "beginning of the receiving advice")
    number = Spot(bgm, 2)
    reading.key(number, "receipt number")
    draft, odd = _header(reading, number, bgm), _header(reading, number, bgm)
    moment = reading.happened(reading.head, "50", "35", "310")
    common = only_order(reading.head)
    nth = 0
    for group in reading.groups(b"LIN", b"CPS"):
        if group[0].fields[0] != b"LIN":
            continue
        nth += 1
        _line(reading, draft, group, common, nth)
        for kind, spot in _differences(group):
            _difference(reading, odd, group, common, nth, kind, spot)
    reversal = bgm.text(3) == "1"
    type_ = "receipt.reversed" if reversal else "receipt.posted"
    reading.emit(type_, draft, moment, carries=reading.own_ids())
    if odd.lines and not reversal:
        reading.emit("receipt.discrepancy", odd, moment, position="/differences")


def _header(reading: MessageReading, number: Spot, bgm: Segment) -> Draft:
    draft = reading.draft()
    header = draft.header
    header.spot("receipt", number)
    place = party(reading.head, *_PLACES)
    if place is None:
        raise reading.missing("place of receipt (NAD+DP or NAD+ST)", bgm)
    if not take_warehouse(reading, header, place):
        header.spot("warehouse", named(place))  # a receipt belongs to the place that numbers it
    reading.supplier(draft)
    despatch = reference(reading.head, *_DESPATCH)
    if despatch is not None:
        header.spot("asn", despatch)
    return draft


def _begin(
    reading: MessageReading,
    draft: Draft,
    group: Sequence[Segment],
    common: Spot | None,
    nth: int,
) -> Record:
    line = draft.line()
    number_line(line, group[0], nth, "receipt_line")
    take_order(reading, line, group, common)
    return line


def _line(
    reading: MessageReading,
    draft: Draft,
    group: Sequence[Segment],
    common: Spot | None,
    nth: int,
) -> None:
    line = _begin(reading, draft, group, common, nth)
    describe_item(line, group)
    refused = [Spot(q, 1, 2) for q in quantities(group, _REFUSED)]
    differs = [s for s in group if s.fields[0] == b"QVR" and s.text(1, 2) in _REFUSED]
    if not refused:
        refused = [Spot(qvr, 1) for qvr in differs]
    if refused:
        add_up(reading, line, "rejected_qty", refused)
        if line.values.get("rejected_qty", "").startswith("-"):
            # Variances are signed; what was refused is a quantity.
            line.values["rejected_qty"] = decimal_text(abs(Decimal(line.values["rejected_qty"])))
    if not take_quantity(line, group, _RECEIVED):
        if refused:
            # Nothing was taken in: all that is told was refused.
            line.default("qty", "0", "only refused quantities are told")
            line.text("uom", refused[0].segment, 1, 3)
        else:
            reading.find("bad_number", "no received quantity for this line", Spot(group[0], 1))
            draft.drop(line)


def _differences(group: Sequence[Segment]) -> list[tuple[str, Spot]]:
    """(kind, spot of the quantity) of what differs, by QVR or by the kind of a QTY."""
    found = []
    for segment in group:
        tag = segment.fields[0]
        if tag == b"QVR":
            code = segment.text(2) if segment.text(2) in DISCREPANCY else segment.text(1, 2)
            kind = DISCREPANCY.get(code)
            if kind is None and segment.text(1, 2) in ("12", "21"):
                kind = "short" if segment.code(1).startswith("-") else "over"
            if kind is not None:
                found.append((kind, Spot(segment, 1)))
        elif tag == b"QTY" and segment.code(1) in DISCREPANCY:
            found.append((DISCREPANCY[segment.code(1)], Spot(segment, 1, 2)))
    return found


def _difference(
    reading: MessageReading,
    odd: Draft,
    group: Sequence[Segment],
    common: Spot | None,
    nth: int,
    kind: str,
    spot: Spot,
) -> None:
    line = _begin(reading, odd, group, common, nth)
    line.word("kind", kind, spot, "EDIFACT 4221 or 6063")
    number = reading.number(*spot)
    if number is not None:
        line.derived("qty", decimal_text(abs(Decimal(number))), spot, "variance without its sign")
    for qty in quantities(group, _RECEIVED):
        line.text("uom", qty, 1, 3)
        break
