"""What the buyer sends: purchase order (ORDERS) and purchase order change (ORDCHG)."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.edifact.articles import (
    describe_group,
    describe_item,
    named,
    number_line,
    party,
    reference,
    take_currency,
    take_price,
    take_quantity,
    take_warehouse,
)
from collectors.edifact.draft import Draft, Record, Spot
from collectors.edifact.reading import MessageReading
from collectors.edifact.tokens import Segment
from tower.codes import UNKNOWN
from tower.edifact_codes import CHANGE_ACTION, ORDER_TYPE

# Which of several dates is the buyer's wish, best first (2005): requested, then as scheduled, then
# a limit that the goods must keep.
_WISHED = {
    code: rank for rank, code in enumerate(("2", "74", "71", "76", "67", "69", "63", "17", "64"))
}
_FROM_SCHEDULE = 50  # a date of a schedule counts only where the line itself has none
_SHIP_BY = {"38": 0, "10": 1}
_CANCEL_AFTER = ("61", "383")
_ORDERED = ("21", "1", "113")
_SHIP_TO = ("ST", "DP", "UC")


def read_order(reading: MessageReading) -> None:
    """ORDERS: released, replaced (5), changed (4) or cancelled (1)."""
    bgm = reading.first(b"BGM", "beginning of the order")
    number = Spot(bgm, 2)
    reading.key(number, "purchase order number")
    draft = _begin(reading, number)
    moment = reading.moment()
    purpose = bgm.text(3)
    if purpose == "1":
        reading.emit("po.cancelled", draft, moment, carries=reading.own_ids())
        return
    changes = purpose == "4"
    if purpose in ("4", "5"):
        _revision(reading, draft, reference(reading.head, "PP"))
    if not changes:
        _type(reading, draft.header, bgm)
    _body(reading, draft, changes=changes)
    type_ = "po.revised" if changes else "po.released"
    reading.emit(type_, draft, moment, carries=reading.own_ids())


def read_change(reading: MessageReading) -> None:
    """ORDCHG: revised, or the whole order cancelled (1225 = 1).

    RFF+ON names the order and BGM the change; without it BGM names the order.
    """
    bgm = reading.first(b"BGM", "beginning of the order change")
    change = Spot(bgm, 2)
    number = reference(reading.head, "ON") or change
    reading.key(number, "purchase order number")
    draft = _begin(reading, number)
    moment = reading.moment()
    if bgm.text(3) == "1":
        reading.emit("po.cancelled", draft, moment, carries=reading.own_ids())
        return
    _revision(reading, draft, change if change.text not in ("", number.text) else None)
    _body(reading, draft, changes=True)
    reading.emit("po.revised", draft, moment, carries=reading.own_ids())


def _begin(reading: MessageReading, number: Spot) -> Draft:
    draft = reading.draft()
    draft.header.spot("po", number)
    draft.header.default("erp", reading.erp, "network.yaml company.erp")
    reading.supplier(draft)
    return draft


def _revision(reading: MessageReading, draft: Draft, change: Spot | None) -> None:
    """The number of the change; without one the message that brought it tells changes apart."""
    if change is not None and change.text:
        draft.header.spot("revision", change)
    else:
        spot = Spot(reading.message.unh, 1)
        draft.header.word("revision", spot.text, spot, "reference of the message")


def _type(reading: MessageReading, header: Record, bgm: Segment) -> None:
    code = bgm.text(1)
    if not code:
        return
    found = ORDER_TYPE.get(code, UNKNOWN)
    if found == UNKNOWN:
        reading.find("unknown_code", f'"{code[:20]}" is no known order type', Spot(bgm, 1))
    header.word("type", found, Spot(bgm, 1), "EDIFACT 1001")


def _body(reading: MessageReading, draft: Draft, *, changes: bool) -> None:
    header, head = draft.header, reading.head
    wish = _head_dates(header, head, changes=changes)
    place = party(head, *_SHIP_TO)
    common = named(place) if place is not None else None
    destination = common.text if common is not None else ""
    _buyer(header, head)
    take_currency(header, head)
    take_warehouse(reading, header, place)
    for group in reading.groups(b"LIN"):
        line = draft.line()
        own = _line(reading, line, group, len(draft.lines), changes=changes)
        # What the head says holds for the lines that say nothing else.
        if wish is not None and "requested_date" not in line.values:
            line.date("requested_date", wish)
        if own is not None:
            line.spot("ship_to", named(own))
        elif common is not None:
            line.same("ship_to", destination, *common)


def _head_dates(header: Record, head: Sequence[Segment], *, changes: bool) -> Segment | None:
    best, ship_by, wish = 99, 9, None
    for segment in head:
        if segment.fields[0] != b"DTM":
            continue
        code = segment.code(1)
        if _WISHED.get(code, 99) < best:
            best, wish = _WISHED[code], segment
        elif _SHIP_BY.get(code, 9) < ship_by:
            if header.date("ship_by", segment):
                ship_by = _SHIP_BY[code]
        elif code in _CANCEL_AFTER and not changes:
            header.date("cancel_after", segment)
    return wish


def _buyer(header: Record, head: Sequence[Segment]) -> None:
    """The person to ask (CTA+OC, CTA+PD), else the buying party."""
    for segment in head:
        asked = segment.fields[0] == b"CTA" and segment.code(1) in ("OC", "PD")
        if asked and (header.text("buyer", segment, 2, 2) or header.text("buyer", segment, 2)):
            return
    nad = party(head, "BY")
    if nad is not None:
        header.spot("buyer", Spot(nad, 4) if nad.text(4) else named(nad))


def _line(
    reading: MessageReading, line: Record, group: Sequence[Segment], nth: int, *, changes: bool
) -> Segment | None:
    """Fill the line; returns the NAD that says where its goods go, if one does."""
    lin = group[0]
    number_line(line, lin, nth)
    if changes:
        code = lin.text(2)
        action = CHANGE_ACTION.get(code, UNKNOWN) if code else "change"
        if action == UNKNOWN:
            text = f'"{code[:20]}" is no known change of a line'
            reading.find("unknown_code", text, Spot(lin, 2))
        line.word("action", action, Spot(lin, 2), "EDIFACT 1229")
    quantities: list[Segment] = []
    prices: list[Segment] = []
    articles = [lin]
    parties: list[Segment] = []
    others: list[Segment] = []
    places = {b"QTY": quantities, b"PRI": prices, b"PIA": articles, b"NAD": parties}
    for segment in group:
        places.get(segment.fields[0], others).append(segment)
    describe_item(line, articles)
    if len(articles) > 1:
        describe_group(line, articles)
    take_quantity(line, quantities, _ORDERED)
    take_price(reading, line, prices)
    scheduled = False
    for segment in others:
        tag = segment.fields[0]
        if tag == b"IMD":
            if "description" not in line.values:
                line.text("description", segment, 3, 4)
        elif tag == b"SCC":
            scheduled = True
        elif tag == b"DTM":
            _wished(reading, line, segment, scheduled=scheduled)
    return party(parties, *_SHIP_TO) if parties else None


def _wished(reading: MessageReading, line: Record, dtm: Segment, *, scheduled: bool) -> None:
    """Of several deliveries of a schedule the last one completes the line."""
    rank = _WISHED.get(dtm.code(1), 99)
    if not scheduled:
        if rank < line.rank and line.date("requested_date", dtm):
            line.rank = rank
        return
    if rank == 99 or line.rank < _FROM_SCHEDULE:
        return
    day = reading.day(dtm)
    if day is not None and day > line.values.get("requested_date", ""):
        line.date("requested_date", dtm)
        line.rank = _FROM_SCHEDULE
