"""What several messages say alike: article, quantity, price, order, place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext

from collectors.edifact.draft import SUM, Record, Spot
from collectors.edifact.reading import MessageReading
from collectors.edifact.tokens import Segment
from tower.edifact_codes import date_kind
from tower.vocabulary import decimal_text

# Which of several numbers of an article is meant: the buyer's own first, then the global, then the
# supplier's, so that an order, its answer and its shipment name the same article alike.
_ITEM_CODES = (  # 7143
    *("IN", "BP", "BO", "SK", "PN"),
    *("SRV", "EN", "UP", "UA", "IB", "IS"),
    *("SA", "VN", "VP", "MF", "MP", "MN"),
)
_ITEM_RANK = {code: rank for rank, code in enumerate(_ITEM_CODES)}
_GROUP_CODES = ("GB", "GN")  # 7143: the buyer's own group of products, a national one
_ADDITIONAL = ("1", "5", "")  # 4347: others name the article that was replaced
_PRICES = {code: rank for rank, code in enumerate(("AAA", "NTP", "INV", "CAL", "AAB", "AAE"))}
_PLACES = 12


def item_of(group: Sequence[Segment]) -> Spot | None:
    """The article number among those of LIN and PIA."""
    segment, element, _ = _item(group)
    return Spot(segment, element) if segment is not None else None


def _item(group: Sequence[Segment]) -> tuple[Segment | None, int, str]:
    best, found, place, text = 1000, None, 0, ""
    for segment in group:
        tag = segment.fields[0]
        if tag == b"LIN":
            elements = range(3, 4)
        elif tag == b"PIA" and segment.code(1) in _ADDITIONAL:
            elements = range(2, min(len(segment.fields), 7))
        else:
            continue
        for element in elements:
            rank = _ITEM_RANK.get(segment.text(element, 2), 99)
            if rank < best and (sent := segment.text(element)):
                best, found, place, text = rank, segment, element, sent
    return found, place, text


def describe_item(record: Record, group: Sequence[Segment]) -> None:
    segment, element, text = _item(group)
    if segment is not None:
        record.same("item", text, segment, element)


def describe_group(record: Record, group: Sequence[Segment]) -> None:
    """The group of products that PIA puts the article in, the buyer's own before a national one."""
    best = len(_GROUP_CODES)
    for pia in group:
        if pia.fields[0] != b"PIA":
            continue
        for element in range(2, min(len(pia.fields), 7)):
            code = pia.text(element, 2)
            if code in _GROUP_CODES[:best] and record.text("category", pia, element):
                best = _GROUP_CODES.index(code)


def number_line(record: Record, lin: Segment, nth: int, field: str = "line") -> None:
    """Line number as sent; its place in the document where the sender gave none."""
    if not record.text(field, lin, 1):
        record.default(field, str(nth), "place of the line in the document")


def quantities(group: Sequence[Segment], codes: Iterable[str]) -> list[Segment]:
    """The QTY segments with these qualifiers (6063)."""
    wanted = frozenset(codes)
    return [s for s in group if s.fields[0] == b"QTY" and s.code(1) in wanted]


def take_quantity(record: Record, group: Sequence[Segment], codes: Sequence[str]) -> bool:
    """Quantity and unit of the first QTY with the best of these qualifiers."""
    sent = [s for s in group if s.fields[0] == b"QTY" and s.code(1) in codes]
    if len(sent) > 1:
        sent.sort(key=lambda qty: codes.index(qty.code(1)))
    for qty in sent:
        if record.number("qty", qty, 1, 2):
            record.text("uom", qty, 1, 3)
            return True
    return False


def take_price(reading: MessageReading, record: Record, group: Sequence[Segment]) -> None:
    """Price per unit: a price per hundred (5284) is divided."""
    best, found = 99, None
    for segment in group:
        if segment.fields[0] == b"PRI":
            rank = _PRICES.get(segment.code(1), 98)
            # Mostly plain digits: no need to read them twice.
            if rank < best and (segment.raw(1, 2).isdigit() or segment.text(1, 2)):
                best, found = rank, segment
    if found is None:
        return
    basis = reading.number(found, 1, 5)
    if basis is None or basis == "1" or Decimal(basis) in (0, 1):
        record.number("price", found, 1, 2)
        return
    price = reading.number(found, 1, 2)
    if price is not None:
        with localcontext(prec=28):
            each = (Decimal(price) / Decimal(basis)).quantize(Decimal(1).scaleb(-_PLACES))
        record.derived("price", decimal_text(each), Spot(found, 1, 2), f"price per {basis}")


# --- references -----------------------------------------------------------------------------------


def reference(segments: Iterable[Segment], *codes: str) -> Spot | None:
    """The reference with the best of these qualifiers (1153)."""
    best, found = len(codes), None
    for segment in segments:
        if segment.fields[0] == b"RFF":
            code = segment.code(1)
            if code in codes[:best] and segment.text(1, 2):
                best, found = codes.index(code), Spot(segment, 1, 2)
    return found


def only_order(segments: Iterable[Segment]) -> Spot | None:
    """The order that the head names, if it names one only."""
    found = [Spot(s, 1, 2) for s in segments if s.fields[0] == b"RFF" and s.code(1) == "ON"]
    found = [spot for spot in found if spot.text]
    return found[0] if len({spot.text for spot in found}) == 1 else None


def order_line(group: Sequence[Segment]) -> Spot | None:
    """The line of the order as RFF+ON (1156) or RFF+LI names it, else as LIN numbers it."""
    order = reference(group, "ON")
    if order is not None and order.segment.text(1, 3):
        return Spot(order.segment, 1, 3)
    named = reference(group, "LI")
    if named is not None:
        line = Spot(named.segment, 1, 3)
        return line if line.text else named
    lin = group[0]
    return Spot(lin, 1) if lin.fields[0] == b"LIN" and lin.text(1) else None


def take_order(
    reading: MessageReading, record: Record, group: Sequence[Segment], common: Spot | None
) -> bool:
    """Order and line that a line of a shipment, receipt or invoice belongs to."""
    order = reference(group, "ON") or common
    if order is None:
        return False
    record.default("erp", reading.erp, "network.yaml company.erp")
    record.spot("po", order)
    line = order_line(group)
    if line is not None:
        record.spot("line", line)
    return True


# --- parties, places, days ------------------------------------------------------------------------


def party(segments: Iterable[Segment], *roles: str) -> Segment | None:
    """The NAD with the best of these roles (3035)."""
    best, found = len(roles), None
    for segment in segments:
        if segment.fields[0] == b"NAD":
            role = segment.code(1)
            if role in roles[:best] and (segment.text(2) or segment.text(4)):
                best, found = roles.index(role), segment
    return found


def named(nad: Segment) -> Spot:
    """The code of a party, else its name."""
    if nad.text(2):
        return Spot(nad, 2)
    return Spot(nad, 4) if nad.text(4) else Spot(nad, 3)


def warehouse(reading: MessageReading, nad: Segment | None) -> str | None:
    """Only where the place's code is the name or the GLN of one of our warehouses; not guessed."""
    if nad is None:
        return None
    code = nad.text(2)
    warehouses = reading.net.warehouses
    if code in warehouses:
        return code
    return next((key for key, one in warehouses.items() if code and one.gln == code), None)


def take_warehouse(reading: MessageReading, record: Record, nad: Segment | None) -> bool:
    key = warehouse(reading, nad)
    if key is None or nad is None:
        return False
    record.word("warehouse", key, Spot(nad, 2), "network.yaml warehouses")
    return True


def take_currency(header: Record, segments: Iterable[Segment]) -> None:
    for segment in segments:
        if segment.fields[0] == b"CUX" and header.text("currency", segment, 1, 2):
            return


def take_date(
    record: Record, group: Iterable[Segment], ranks: Mapping[str, int], *, kind: bool = False
) -> bool:
    """``date`` of the DTM with the best of these qualifiers (2005); ``kind`` says its kind too."""
    places = [
        (rank, n, s)
        for n, s in enumerate(group)
        if s.fields[0] == b"DTM" and (rank := ranks.get(s.code(1), 99)) < 99
    ]
    for _, _, dtm in sorted(places, key=lambda place: place[:2]):
        if record.date("date", dtm):
            if kind:
                record.word("date_kind", date_kind(dtm.code(1)), Spot(dtm, 1), "EDIFACT 2005")
            return True
    return False


def add_up(reading: MessageReading, record: Record, field: str, spots: Sequence[Spot]) -> None:
    """The number, or the sum of several."""
    if len(spots) == 1:
        record.number(field, *spots[0])
        return
    total = Decimal(0)
    for spot in spots:
        number = reading.number(*spot)
        if number is not None:
            total += Decimal(number)
            record.derived(field, decimal_text(total), spot, SUM)
