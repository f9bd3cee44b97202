"""What the supplier ships: the despatch advice, or ASN (DESADV).

The tree of packages comes from CPS alone. A line's order stands in its own RFF, else it is the only
one that the head names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from collectors.edifact.articles import (
    add_up,
    item_of,
    only_order,
    order_line,
    party,
    quantities,
    reference,
    take_warehouse,
)
from collectors.edifact.draft import Draft, Record, Spot
from collectors.edifact.reading import MessageReading
from collectors.edifact.tokens import Segment

_EVENT = {  # 1225
    "": "asn.received",
    "7": "asn.received",
    "9": "asn.received",
    "31": "asn.received",
    "43": "asn.received",
    "46": "asn.received",
    "4": "asn.replaced",
    "5": "asn.replaced",
    "20": "asn.replaced",
    "1": "asn.cancelled",
    "3": "asn.cancelled",
}
_ETA = {"17": 0, "191": 1, "132": 2, "67": 3, "69": 4, "2": 5}
_SHIPPED = ("12", "46", "1", "113")  # 6063
_PALLETS = frozenset(("201", "202", "203", "08", "09", "PX", "PE", "PB", "PF"))  # 7065
_BILL = ("BM", "AAM", "AAS", "CN")


@dataclass(slots=True)
class _Level:
    """One CPS with what stands in it up to the next."""

    id: str
    parent: str
    pallet: Spot | None = None
    own: tuple[str, Spot] | None = None  # the first SSCC of it


@dataclass(slots=True)
class _Cargo:
    """What was read so far: packages, and lines by order, line, article and unit."""

    packs: list[dict[str, str]] = field(default_factory=list)
    levels: dict[str, _Level] = field(default_factory=dict)
    lines: dict[tuple[str, str, str, str], tuple[Record, list[Spot]]] = field(default_factory=dict)


def read_shipment(reading: MessageReading) -> None:
    bgm = reading.first(b"BGM", "beginning of the despatch advice")
    number = Spot(bgm, 2)
    reading.key(number, "shipment number")
    purpose = bgm.text(3)
    type_ = _EVENT.get(purpose)
    if type_ is None:
        text = f'"{purpose[:20]}" is no known purpose; taken as new'
        reading.find("unknown_code", text, Spot(bgm, 3))
        type_ = "asn.received"
    draft = reading.draft()
    draft.header.spot("asn", number)
    reading.supplier(draft)
    moment = reading.moment()
    _transport(reading, draft.header)
    common = only_order(reading.head)
    cargo = _Cargo()
    level: _Level | None = None
    for group in reading.groups(b"CPS", b"LIN"):
        if group[0].fields[0] == b"CPS":
            level = _begin_level(reading, cargo, group[0])
        _packages(draft.header, cargo, level, group)
        if group[0].fields[0] == b"LIN":
            _line(reading, draft, cargo, group, common)
    for record, spots in cargo.lines.values():
        add_up(reading, record, "qty", spots)
    reading.emit(
        type_,
        draft,
        moment,
        carries=reading.own_ids(),
        extra={"packs": cargo.packs} if cargo.packs else None,
    )


def _transport(reading: MessageReading, header: Record) -> None:
    eta = 9
    for segment in reading.head:
        tag = segment.fields[0]
        if tag == b"DTM":
            code = segment.code(1)
            if code == "11" and "ship_date" not in header.values:
                if header.date("ship_date", segment):
                    moment = reading.instant(segment)
                    if moment is not None:
                        spot = Spot(segment, 1, 2)
                        header.derived("shipped_at", moment.isoformat(), spot, "DTM+11")
            elif _ETA.get(code, 9) < eta and header.date("eta", segment):
                eta = _ETA[code]
        elif tag == b"TDT" and "carrier" not in header.values:
            header.text("carrier", segment, 5, 1 if segment.text(5) else 4)
    if "carrier" not in header.values:
        carrier = party(reading.head, "CA")
        if carrier is not None:
            header.text("carrier", carrier, 2 if carrier.text(2) else 4)
    bill = reference(reading.head, *_BILL)
    if bill is not None:
        header.spot("bol", bill)
    take_warehouse(reading, header, party(reading.head, "ST", "DP", "UC"))


# --- packages -------------------------------------------------------------------------------------


def _begin_level(reading: MessageReading, cargo: _Cargo, cps: Segment) -> _Level:
    level = _Level(cps.text(1), cps.text(2))
    if level.parent and level.parent not in cargo.levels and level.parent != level.id:
        reading.find("cps_parent", f"level {level.parent[:20]} does not exist", Spot(cps, 2))
    return cargo.levels.setdefault(level.id, level) if level.id else level


def _packages(
    header: Record, cargo: _Cargo, level: _Level | None, group: Sequence[Segment]
) -> None:
    """Cartons and pallets with their SSCC (GIN+BJ), each with the one it stands on."""
    for segment in group:
        tag = segment.fields[0]
        if tag == b"PAC" and level is not None:
            level.pallet = Spot(segment, 3) if segment.text(3) in _PALLETS else None
        elif tag == b"GIN" and segment.code(1) == "BJ":
            for spot in _numbers(segment):
                _package(header, cargo, level, spot)


def _numbers(gin: Segment) -> Iterator[Spot]:
    for element in range(2, len(gin.fields)):
        if gin.text(element):
            yield Spot(gin, element)


def _package(header: Record, cargo: _Cargo, level: _Level | None, spot: Spot) -> None:
    sent, place = spot.text, f"packs[{len(cargo.packs)}]"
    # In a bar code "00" stands in front to say that an SSCC follows.
    sscc = sent[2:] if len(sent) == 20 and sent.startswith("00") else sent
    pallet = level.pallet if level else None
    pack = {"sscc": sscc, "kind": "tare" if pallet else "pack"}
    header.note(f"{place}.sscc", spot)
    if pallet:
        header.note(f"{place}.kind", pallet, "looked_up", "EDIFACT 7065")
    else:
        header.note(f"{place}.kind", None, "default", "no pallet is named")
    last = spot.segment.text(spot.element, 2)
    if last and last != sent:
        pack["last"] = last
        header.note(f"{place}.last", Spot(spot.segment, spot.element, 2))
    above = cargo.levels.get(level.parent) if level else None
    if level is not None:
        if above is not None and above is not level and above.own is not None:
            pack["on"] = above.own[0]
            header.note(f"{place}.on", above.own[1])
        if level.own is None:
            level.own = (sscc, spot)
    cargo.packs.append(pack)


# --- lines ----------------------------------------------------------------------------------------


def _line(
    reading: MessageReading,
    draft: Draft,
    cargo: _Cargo,
    group: Sequence[Segment],
    common: Spot | None,
) -> None:
    """One line per order line and unit: what lies in several packages is added up."""
    lin = group[0]
    found = next((q for code in _SHIPPED for q in quantities(group, (code,))), None)
    if found is None:
        return  # a line that only describes the content of a package
    order = reference(group, "ON") or common
    if order is None:
        reading.find("line_without_po", "no order number for this item", Spot(lin, 1))
        return
    line, item = order_line(group), item_of(group)
    key = (
        order.text,
        line.text if line else "",
        item.text if item and not line else "",
        found.text(1, 3),
    )
    if key not in cargo.lines:
        record = draft.line()
        record.default("erp", reading.erp, "network.yaml company.erp")
        record.spot("po", order)
        if line is not None:
            record.spot("line", line)
        if item is not None:
            record.spot("item", item)
        record.text("uom", found, 1, 3)
        cargo.lines[key] = (record, [])
    cargo.lines[key][1].append(Spot(found, 1, 2))
