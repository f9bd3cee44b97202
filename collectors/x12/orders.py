"""What the buyer sends: purchase order (850) and purchase order change (860)."""

from __future__ import annotations

from collectors.x12.draft import Draft, Record
from collectors.x12.reading import SetReading
from collectors.x12.tokens import Segment
from tower.codes import CHANGE_ACTION, ORDER_TYPE, UNKNOWN

# Which of several dates is the buyer's wish, best first (374): requested, then required, then as
# last scheduled, then a limit that the goods must keep.
_WISHED = {
    code: rank
    for rank, code in enumerate(
        (b"002", b"074", b"071", b"077", b"996", b"106", b"067", b"069", b"063", b"017", b"064")
    )
}
_FROM_SCHEDULE = 50  # a date in a schedule segment counts only where no date segment gives one
_SHIP_BY = {b"038": 0, b"010": 1, b"118": 2}
_MATERIAL_CLASS = b"MAC"
_CANCEL_AFTER = (b"001", b"061")


def read_order(reading: SetReading) -> None:
    """850: released, replaced (05), changed (04) or cancelled (01)."""
    beg = reading.first(b"BEG", "beginning of the order")
    purpose = beg.text(1)
    draft = _begin(reading, beg, 3)
    moment = reading.moment(beg, 5)
    if purpose == "01":
        reading.emit("po.cancelled", draft, moment, carries=reading.own_ids())
        return
    if purpose in ("04", "05"):
        _revision(reading, draft, beg, 4)
    if purpose != "04":
        _type(reading, draft.header, beg, 2)
    _body(reading, draft, changes=purpose == "04")
    reading.emit(
        "po.revised" if purpose == "04" else "po.released",
        draft,
        moment,
        carries=reading.own_ids(),
    )


def read_change(reading: SetReading) -> None:
    """860: revised, or the whole order cancelled (BCH01 = 01)."""
    bch = reading.first(b"BCH", "beginning of the order change")
    draft = _begin(reading, bch, 3)
    moment = reading.moment(bch, 11 if bch.text(11) else 6)
    if bch.text(1) == "01":
        reading.emit("po.cancelled", draft, moment, carries=reading.own_ids())
        return
    _revision(reading, draft, bch, 5)
    _body(reading, draft, changes=True)
    reading.emit("po.revised", draft, moment, carries=reading.own_ids())


def _begin(reading: SetReading, segment: Segment, element: int) -> Draft:
    draft = reading.draft()
    reading.key(segment, element, "purchase order number")
    draft.header.text("po", segment, element)
    draft.header.default("erp", reading.erp, "network.yaml company.erp")
    reading.supplier(draft)
    return draft


def _revision(reading: SetReading, draft: Draft, segment: Segment, element: int) -> None:
    """The number of the change; without one the set that brought it tells changes apart."""
    if segment.text(element):
        draft.header.text("revision", segment, element)
    else:
        draft.header.word(
            "revision", reading.control, reading.segments[0], 2, "control number of the set"
        )


def _type(reading: SetReading, header: Record, segment: Segment, element: int) -> None:
    code = segment.text(element)
    if not code:
        return
    found = ORDER_TYPE.get(code, UNKNOWN)
    if found == UNKNOWN:
        reading.find("unknown_code", f'"{code[:20]}" is no known order type', segment, element)
    header.word("type", found, segment, element, "X12 92")


def _body(reading: SetReading, draft: Draft, *, changes: bool) -> None:
    header, line = draft.header, None
    wish: tuple[int, Segment] | None = None
    ship_by = 9
    ship_to: tuple[Segment, int] | None = None
    for segment in reading.segments:
        tag = segment.fields[0]
        if tag == b"PO1":
            line = _line(reading, draft, segment)
        elif tag == b"POC":
            line = _changed_line(reading, draft, segment)
        elif tag == b"PID":
            if line is not None:
                _described(line, segment)
        elif tag == b"DTM":
            qualifier = segment.code(1)
            rank = _WISHED.get(qualifier, 99)
            if line is not None:
                if rank < line.rank and line.date("requested_date", segment, 2):
                    line.rank = rank
            elif rank < (wish[0] if wish else 99):
                wish = (rank, segment)
            elif _SHIP_BY.get(qualifier, 9) < ship_by:
                if header.date("ship_by", segment, 2):
                    ship_by = _SHIP_BY[qualifier]
            elif qualifier in _CANCEL_AFTER and not changes:
                header.date("cancel_after", segment, 2)
        elif tag == b"SCH":
            if line is not None:
                _scheduled(reading, line, segment)
        elif tag == b"N1":
            role = segment.code(1)
            if role == b"ST":
                element = 4 if segment.text(4) else 2
                if line is None:
                    ship_to = (segment, element)
                else:
                    line.text("ship_to", segment, element)
            elif role == b"BY" and line is None and "buyer" not in header.values:
                header.text("buyer", segment, 2 if segment.text(2) else 4)
        elif tag == b"PER":
            if line is None and segment.code(1) in (b"BD", b"BO"):
                header.text("buyer", segment, 2)
        elif tag == b"CUR":
            if line is None:
                header.text("currency", segment, 2)
        elif tag == b"CTP":
            if line is not None and "price" not in line.values:
                line.number("price", segment, 3)
        elif tag == b"CTT":
            line = None
    place = ship_to[0].text(ship_to[1]) if ship_to is not None else ""
    for one in draft.lines:
        # What the header says holds for the lines that say nothing else.
        if wish is not None and "requested_date" not in one.values:
            one.date("requested_date", wish[1], 2)
        if ship_to is not None and "ship_to" not in one.values:
            one.same("ship_to", place, *ship_to)
    _warehouse(reading, header, ship_to)


def _line(reading: SetReading, draft: Draft, po1: Segment) -> Record:
    line = draft.line()
    number_of(reading, line, po1, 1, len(draft.lines))
    line.number("qty", po1, 2)
    line.text("uom", po1, 3)
    line.number("price", po1, 4)
    item = reading.item(po1, 6)
    if item:
        line.text("item", po1, item)
    return line


def _described(line: Record, pid: Segment) -> None:
    """PID: what the item is called; with PID02 = MAC (750) the class of material it belongs to, by
    its code (PID04), else in words."""
    if pid.code(2) == _MATERIAL_CLASS:
        if "category" not in line.values:
            line.text("category", pid, 4 if pid.text(4) else 5)
    elif "description" not in line.values:
        line.text("description", pid, 5)


def _changed_line(reading: SetReading, draft: Draft, poc: Segment) -> Record:
    line = draft.line()
    number_of(reading, line, poc, 1, len(draft.lines))
    code = poc.text(2)
    action = CHANGE_ACTION.get(code, UNKNOWN)
    if action == UNKNOWN:
        reading.find("unknown_code", f'"{code[:20]}" is no known change of a line', poc, 2)
    line.word("action", action, poc, 2, "X12 670")
    line.number("qty", poc, 3)
    line.text("uom", poc, 5)
    line.number("price", poc, 6)
    item = reading.item(poc, 8)
    if item:
        line.text("item", poc, item)
    return line


def number_of(reading: SetReading, line: Record, segment: Segment, element: int, nth: int) -> None:
    """Line number as sent; its place in the document where the sender gave none."""
    if not line.text("line", segment, element):
        line.default("line", str(nth), "place of the line in the document")


def _scheduled(reading: SetReading, line: Record, sch: Segment) -> None:
    """SCH05/06: of several deliveries the last one completes the line."""
    rank = _WISHED.get(sch.code(5), 99)
    if rank == 99 or line.rank < _FROM_SCHEDULE:
        return
    day = reading.day(sch, 6)
    if day is not None and day > line.values.get("requested_date", ""):
        line.date("requested_date", sch, 6)
        line.rank = _FROM_SCHEDULE


def _warehouse(reading: SetReading, header: Record, ship_to: tuple[Segment, int] | None) -> None:
    """Only where the place's code is the name of one of our warehouses; never guessed."""
    if ship_to is not None and ship_to[0].text(4) in reading.net.warehouses:
        header.text("warehouse", ship_to[0], 4)
