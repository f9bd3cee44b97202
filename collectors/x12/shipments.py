"""What the supplier ships: the shipment notice, or ASN (856).

The tree of levels comes from HL02 alone. Levels may be missing: the order then stands in a
reference of the item, of a level above it, or is the only one the notice names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from collectors.x12.draft import SUM, Draft, Record
from collectors.x12.reading import SetReading
from collectors.x12.tokens import Segment
from tower.vocabulary import decimal_text

_Place = tuple[Segment, int]

_EVENT = {  # X12 353: BSN01
    "00": "asn.received",
    "06": "asn.received",
    "07": "asn.received",
    "14": "asn.received",
    "22": "asn.received",
    "04": "asn.replaced",
    "05": "asn.replaced",
    "15": "asn.replaced",
    "18": "asn.replaced",
    "01": "asn.cancelled",
    "03": "asn.cancelled",
}
_PACKS = {"P": "pack", "T": "tare"}
_ETA = {"017": 0, "371": 1, "067": 2, "069": 3}
ZONES = {
    "UT": 0,
    "GM": 0,
    "ES": -5,
    "ED": -4,
    "CS": -6,
    "CD": -5,
    "MS": -7,
    "MD": -6,
    "PS": -8,
    "PD": -7,
}
"""X12 623 where it names hours from UTC; "ET" or "LT" leave it to the partner's zone."""


@dataclass(slots=True)
class _Level:
    """One HL with the segments up to the next."""

    id: str
    parent: str
    code: str
    segments: list[Segment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Item:
    """What one LIN/SN1 says of one order line."""

    po: _Place
    line: _Place | None
    item: _Place | None
    sn1: Segment

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (
            self.po[0].text(self.po[1]),
            self.line[0].text(self.line[1]) if self.line else "",
            self.item[0].text(self.item[1]) if self.item and not self.line else "",
            self.sn1.text(3),
        )


def read_shipment(reading: SetReading) -> None:
    bsn = reading.first(b"BSN", "beginning of the shipment notice")
    reading.key(bsn, 2, "shipment number")
    purpose = bsn.text(1)
    type_ = _EVENT.get(purpose)
    if type_ is None:
        reading.find("unknown_code", f'"{purpose}" is no known purpose; taken as new', bsn, 1)
        type_ = "asn.received"
    draft = reading.draft()
    header = draft.header
    header.text("asn", bsn, 2)
    reading.supplier(draft)
    levels = _levels(reading)
    top = [s for level in levels if level.code in ("", "S") for s in level.segments]
    _transport(reading, header, top)
    packs = _packs(levels, header)
    _lines(reading, draft, levels)
    reading.emit(
        type_,
        draft,
        reading.moment(bsn, 3),
        carries=reading.own_ids(),
        extra={"packs": packs} if packs else None,
    )


def _levels(reading: SetReading) -> list[_Level]:
    """What stands before the first HL is a level of its own, above all others."""
    levels = [_Level("", "", "")]
    for segment in reading.segments:
        if segment.fields[0] == b"HL":
            levels.append(_Level(segment.text(1), segment.text(2), segment.text(3)))
        levels[-1].segments.append(segment)
    known = {level.id for level in levels}
    for level in levels:
        if level.parent and level.parent not in known:
            reading.find("hl_parent", f"level {level.parent} does not exist", level.segments[0], 2)
    return levels


def _above(level: _Level, levels: dict[str, _Level]) -> Iterator[_Level]:
    """The level, its parents, and at last what stands before the first HL; circles are cut."""
    seen = set()
    here: _Level | None = level
    while here is not None and here.id and here.id not in seen:
        seen.add(here.id)
        yield here
        here = levels.get(here.parent)
    yield levels[""]


# --- header ---------------------------------------------------------------------------------------


def _transport(reading: SetReading, header: Record, segments: list[Segment]) -> None:
    eta, warehouses = 9, reading.net.warehouses
    for segment in segments:
        tag = segment.fields[0]
        if tag == b"DTM":
            qualifier = segment.text(1)
            if qualifier == "011" and "ship_date" not in header.values:
                header.date("ship_date", segment, 2)
                _shipped_at(reading, header, segment)
            elif _ETA.get(qualifier, 9) < eta and header.date("eta", segment, 2):
                eta = _ETA[qualifier]
        elif tag == b"TD5":
            if "carrier" not in header.values:
                header.text("carrier", segment, 3 if segment.text(3) else 5)
        elif tag == b"REF":
            if segment.text(1) == "BM" and "bol" not in header.values:
                header.text("bol", segment, 2)
        elif tag == b"N1" and segment.text(1) == "ST" and segment.text(4) in warehouses:
            header.text("warehouse", segment, 4)


def _shipped_at(reading: SetReading, header: Record, dtm: Segment) -> None:
    moment = reading.instant(dtm, 2, 3, ZONES.get(dtm.text(4)))
    if moment is not None:
        header.derived("shipped_at", moment.isoformat(), dtm, 3, "DTM02, DTM03 and the zone")


def _packs(levels: list[_Level], header: Record) -> list[dict[str, str]]:
    """Cartons and pallets with their SSCC (MAN*GM), each with the one it stands on."""
    packs: list[dict[str, str]] = []
    own: dict[str, tuple[str, Segment]] = {}
    for level in levels:
        for segment in level.segments:
            if segment.fields[0] != b"MAN" or segment.text(1) != "GM" or not segment.text(2):
                continue
            sent, place = segment.text(2), f"packs[{len(packs)}]"
            # In a bar code "00" stands in front to say that an SSCC follows.
            sscc = sent[2:] if len(sent) == 20 and sent.startswith("00") else sent
            pack = {"sscc": sscc, "kind": _PACKS.get(level.code, "pack")}
            header.note(f"{place}.sscc", segment, 2)
            if level.id:
                header.note(f"{place}.kind", level.segments[0], 3, "looked_up", "X12 735")
            if level.parent in own:
                pack["on"], under = own[level.parent]
                header.note(f"{place}.on", under, 2)
            own.setdefault(level.id, (sscc, segment))
            packs.append(pack)
    return packs


# --- lines ----------------------------------------------------------------------------------------


def _lines(reading: SetReading, draft: Draft, levels: list[_Level]) -> None:
    """One line per order line and unit: what lies in several cartons is added up."""
    by_id: dict[str, _Level] = {}
    for level in levels:
        by_id.setdefault(level.id, level)
    orders = [
        (segment, 1)
        for level in levels
        for segment in level.segments
        if segment.fields[0] == b"PRF" and segment.text(1)
    ]
    only = orders[0] if len({segment.text(1) for segment, _ in orders}) == 1 else None
    lines: dict[tuple[str, str, str, str], tuple[Record, list[Segment]]] = {}
    for level in levels:
        for lin, sn1 in _item_segments(level):
            po = _order_of(level, by_id) or only or _pair(reading, lin, b"PO")
            if po is None:
                reading.find("line_without_po", "no order number for this item", sn1)
                continue
            item = reading.item(lin, 2) if lin is not None else 0
            found = _Item(
                po,
                _line_number(reading, lin, sn1),
                (lin, item) if lin is not None and item else None,
                sn1,
            )
            if found.key not in lines:
                lines[found.key] = (_new_line(reading, draft, found), [])
            lines[found.key][1].append(sn1)
    for record, sent in lines.values():
        _quantity(reading, record, sent)


def _item_segments(level: _Level) -> Iterator[tuple[Segment | None, Segment]]:
    """(LIN, SN1) of one level; an SN1 tells a quantity, the LIN before it of what."""
    lin = None
    for segment in level.segments:
        if segment.fields[0] == b"LIN":
            lin = segment
        elif segment.fields[0] == b"SN1":
            yield lin, segment
            lin = None


def _order_of(level: _Level, levels: dict[str, _Level]) -> _Place | None:
    for here in _above(level, levels):
        for tag, qualifier, element in ((b"PRF", "", 1), (b"REF", "PO", 2)):
            for segment in here.segments:
                if (
                    segment.fields[0] == tag
                    and (not qualifier or segment.text(1) == qualifier)
                    and segment.text(element)
                ):
                    return segment, element
    return None


def _pair(reading: SetReading, lin: Segment | None, qualifier: bytes) -> _Place | None:
    place = reading.paired(lin, 2, qualifier) if lin is not None else 0
    return (lin, place) if lin is not None and place else None


def _line_number(reading: SetReading, lin: Segment | None, sn1: Segment) -> _Place | None:
    """The buyer's line number if it is told as such, else what LIN01 or SN101 assign."""
    told = _pair(reading, lin, b"PL")
    if told is not None:
        return told
    if lin is not None and lin.text(1):
        return lin, 1
    return (sn1, 1) if sn1.text(1) else None


def _new_line(reading: SetReading, draft: Draft, found: _Item) -> Record:
    record = draft.line()
    record.default("erp", reading.erp, "network.yaml company.erp")
    record.text("po", *found.po)
    if found.line is not None:
        record.text("line", *found.line)
    if found.item is not None:
        record.text("item", *found.item)
    record.text("uom", found.sn1, 3)
    return record


def _quantity(reading: SetReading, record: Record, sent: list[Segment]) -> None:
    if len(sent) == 1:
        record.number("qty", sent[0], 2)
        return
    total = Decimal(0)
    for sn1 in sent:
        number = reading.number(sn1, 2)
        if number is not None:
            total += Decimal(number)
            record.derived("qty", decimal_text(total), sn1, 2, SUM)
