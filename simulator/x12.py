"""X12 as a translator writes it: envelopes with counted segments, and the sets our partners trade.

A set is a list of segments, a segment a list of elements, its id first. Every partner has a
dialect: delimiters, line ends and version differ from house to house.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

Segment = list[str]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one partner's translator writes.

    after     what follows each terminator ("\\n" or nothing)
    version   GS08; ISA12 is its first five figures
    """

    element: str = "*"
    component: str = ">"
    terminator: str = "~"
    after: str = "\n"
    version: str = "004010"


DIALECTS = (
    Dialect(),
    Dialect(after=""),
    Dialect(element="|", component=":", terminator="~", after="\r\n"),
    Dialect(component=":", version="005010"),
    Dialect(element="^", component="<", terminator="\n", after=""),
    Dialect(element="*", component="|", terminator="'", after="\r\n", version="004030"),
)


@dataclass(frozen=True, slots=True)
class Party:
    """ISA qualifier and id, and the application id of the GS segment."""

    qualifier: str
    isa: str
    gs: str


@dataclass(frozen=True, slots=True)
class TransactionSet:
    """``body`` lies between ST and SE."""

    type: str
    control: str
    body: Sequence[Segment]


@dataclass(frozen=True, slots=True)
class Group:
    """A functional group: GS01, GS06 and its sets, all of one kind."""

    functional_id: str
    control: str
    sets: Sequence[TransactionSet]


@dataclass(frozen=True, slots=True)
class InterchangeReceipt:
    """TA1: a partner's translator has taken our interchange."""

    control: str
    at: datetime
    code: str = "A"
    note: str = "000"


def interchange(
    dialect: Dialect,
    sender: Party,
    receiver: Party,
    at: datetime,
    control: int,
    groups: Sequence[Group],
    receipts: Sequence[InterchangeReceipt] = (),
) -> bytes:
    """The bytes of one interchange; ``at`` is the sender's wall clock, written without zone."""
    version = dialect.version[:5]
    # Before 00402 the place of the repetition separator holds the standard's letter.
    standard = "U" if version < "00402" else "^"
    isa13 = f"{control:09d}"
    segments: list[Segment] = [
        [
            "ISA", "00", " " * 10, "00", " " * 10,
            sender.qualifier, sender.isa.ljust(15), receiver.qualifier, receiver.isa.ljust(15),
            at.strftime("%y%m%d"), at.strftime("%H%M"),
            standard, version, isa13, "0", "P", dialect.component,
        ]
    ]  # fmt: skip
    segments += [
        ["TA1", r.control, r.at.strftime("%y%m%d"), r.at.strftime("%H%M"), r.code, r.note]
        for r in receipts
    ]
    for group in groups:
        segments.append(
            [
                "GS", group.functional_id, sender.gs, receiver.gs,
                at.strftime("%Y%m%d"), at.strftime("%H%M%S"), group.control, "X", dialect.version,
            ]
        )  # fmt: skip
        for item in group.sets:
            segments.append(["ST", item.type, item.control])
            segments.extend(item.body)
            segments.append(["SE", str(len(item.body) + 2), item.control])
        segments.append(["GE", str(len(group.sets)), group.control])
    segments.append(["IEA", str(len(groups)), isa13])
    return _write(dialect, segments)


def _write(dialect: Dialect, segments: Sequence[Segment]) -> bytes:
    reserved = str.maketrans(
        dict.fromkeys(dialect.element + dialect.component + dialect.terminator + "\r\n", " ")
    )
    end = dialect.terminator + dialect.after
    isa, *rest = segments
    lines = [dialect.element.join(isa)]
    lines += [
        dialect.element.join([e.translate(reserved) for e in segment]).rstrip(dialect.element)
        for segment in rest
    ]
    return (end.join(lines) + end).encode("ascii", "replace")


def day(value: date) -> str:
    return value.strftime("%Y%m%d")


@dataclass(frozen=True, slots=True)
class OrderedLine:
    """One line of a purchase order or of a change to it; ``vendor_item`` is the seller's number."""

    line: str
    item: str
    vendor_item: str
    description: str
    quantity: int
    unit: str
    price: str
    wanted: date


@dataclass(frozen=True, slots=True)
class Site:
    """Where the goods go."""

    name: str
    code: str
    street: str
    city: str
    state: str
    postcode: str


def purchase_order(
    number: str,
    ordered: date,
    kind: str,
    currency: str,
    buyer: str,
    site: Site,
    lines: Sequence[OrderedLine],
) -> list[Segment]:
    """850. ``kind`` is BEG02: SA stand-alone, RO rush order."""
    body: list[Segment] = [
        ["BEG", "00", kind, number, "", day(ordered)],
        ["CUR", "BY", currency],
        ["PER", "BD", buyer],
        ["DTM", "002", day(min(line.wanted for line in lines))],
        ["N1", "ST", site.name, "92", site.code],
        ["N3", site.street],
        ["N4", site.city, site.state, site.postcode, "US"],
    ]
    for line in lines:
        body += [
            [
                "PO1", line.line, str(line.quantity), line.unit, line.price, "PE",
                "BP", line.item, "VP", line.vendor_item,
            ],
            ["PID", "F", "", "", "", line.description],
            ["DTM", "002", day(line.wanted)],
        ]  # fmt: skip
    body.append(["CTT", str(len(lines))])
    return body


def purchase_order_change(
    number: str,
    ordered: date,
    sequence: int,
    changed: date,
    lines: Sequence[tuple[OrderedLine, str]],
    purpose: str = "04",
) -> list[Segment]:
    """860. Purpose 04 change, 01 cancel; each line with its POC02 (QI, QD, CA...)."""
    body: list[Segment] = [
        [
            "BCH",
            purpose,
            "SA",
            number,
            "",
            str(sequence),
            day(ordered),
            "",
            "",
            "",
            "",
            day(changed),
        ]
    ]
    for line, change in lines:
        body += [
            [
                "POC", line.line, change, str(line.quantity), "", line.unit, line.price, "PE",
                "BP", line.item, "VP", line.vendor_item,
            ],
            ["DTM", "002", day(line.wanted)],
        ]  # fmt: skip
    body.append(["CTT", str(len(lines))])
    return body


@dataclass(frozen=True, slots=True)
class AnsweredLine:
    """A PO1 or POC of an answer with its ACK segments: (status, quantity, delivery date)."""

    line: str
    item: str
    vendor_item: str
    quantity: int
    unit: str
    price: str
    answers: Sequence[tuple[str, int, date]]

    def acks(self) -> list[Segment]:
        # 067 is the current schedule for delivery; a ship date (068) would be another promise.
        return [
            ["ACK", status, str(quantity), self.unit, "067", day(when)]
            for status, quantity, when in self.answers
        ]


def acknowledgement(
    number: str, ordered: date, answer: str, answered: date, lines: Sequence[AnsweredLine]
) -> list[Segment]:
    """855. ``answer`` is BAK02: AD, AC, RD, RJ..."""
    body: list[Segment] = [
        ["BAK", "00", answer, number, day(ordered), "", "", "", "", day(answered)]
    ]
    for line in lines:
        body.append(
            [
                "PO1", line.line, str(line.quantity), line.unit, line.price, "PE",
                "BP", line.item, "VP", line.vendor_item,
            ]
        )  # fmt: skip
        body += line.acks()
    body.append(["CTT", str(len(lines))])
    return body


def change_acknowledgement(
    number: str,
    purpose: str,
    answer: str,
    sequence: str,
    ordered: date,
    answered: date,
    lines: Sequence[tuple[AnsweredLine, str]],
) -> list[Segment]:
    """865. An answer to our 860 repeats its sequence; a proposal of the supplier has none."""
    body: list[Segment] = [
        [
            "BCA", purpose, answer, number, "", sequence, day(ordered), "", "", "", day(answered),
        ]
    ]  # fmt: skip
    for line, change in lines:
        body.append(
            [
                "POC", line.line, change, str(line.quantity), "", line.unit, line.price, "PE",
                "BP", line.item, "VP", line.vendor_item,
            ]
        )  # fmt: skip
        body += line.acks()
    body.append(["CTT", str(len(lines))])
    return body


@dataclass(frozen=True, slots=True)
class ShippedLine:
    """One item in one carton; ``sscc`` is the carton's label."""

    line: str
    item: str
    vendor_item: str
    quantity: int
    unit: str
    sscc: str


@dataclass(frozen=True, slots=True)
class ShippedOrder:
    number: str
    ordered: date
    lines: Sequence[ShippedLine]


def ship_notice(
    number: str,
    purpose: str,
    shipped: datetime,
    arrives: date,
    carrier: str,
    bol: str,
    site: Site,
    orders: Sequence[ShippedOrder],
) -> list[Segment]:
    """856: shipment, orders, packs, items. Purpose 00 original, 05 replace, 01 cancel."""
    cartons = sum(len(order.lines) for order in orders)
    body: list[Segment] = [
        ["BSN", purpose, number, day(shipped.date()), shipped.strftime("%H%M"), "0001"],
        ["HL", "1", "", "S"],
        ["TD1", "CTN25", str(cartons)],
        ["TD5", "B", "2", carrier, "M"],
        ["REF", "BM", bol],
        ["DTM", "011", day(shipped.date()), shipped.strftime("%H%M")],
        ["DTM", "017", day(arrives)],
        ["N1", "ST", site.name, "92", site.code],
    ]
    level = 1
    for order in orders:
        level += 1
        order_level = level
        body += [["HL", str(level), "1", "O"], ["PRF", order.number, "", "", day(order.ordered)]]
        for line in order.lines:
            body += [
                ["HL", str(level + 1), str(order_level), "P"],
                ["MAN", "GM", line.sscc],
                ["HL", str(level + 2), str(level + 1), "I"],
                ["LIN", line.line, "BP", line.item, "VP", line.vendor_item, "PL", line.line],
                ["SN1", line.line, str(line.quantity), line.unit],
            ]
            level += 2
    body.append(["CTT", str(cartons)])
    return body


@dataclass(frozen=True, slots=True)
class InvoicedLine:
    line: str
    item: str
    vendor_item: str
    quantity: int
    unit: str
    price: str


def invoice(
    number: str,
    invoiced: date,
    ordered: date,
    order: str,
    currency: str,
    lines: Sequence[InvoicedLine],
    total_cents: int,
) -> list[Segment]:
    """810. TDS01 has two implied decimals."""
    body: list[Segment] = [
        ["BIG", day(invoiced), number, day(ordered), order],
        ["CUR", "SE", currency],
    ]
    body += [
        [
            "IT1", line.line, str(line.quantity), line.unit, line.price, "PE",
            "BP", line.item, "VP", line.vendor_item,
        ]
        for line in lines
    ]  # fmt: skip
    body += [["TDS", str(total_cents)], ["CTT", str(len(lines))]]
    return body


def functional_acknowledgement(
    functional_id: str, group: str, sets: Sequence[tuple[str, str, str]]
) -> list[Segment]:
    """997 for one group of ours: (set type, ST02, verdict A or E) each."""
    body: list[Segment] = [["AK1", functional_id, group]]
    for type_, control, verdict in sets:
        body += [["AK2", type_, control], ["AK5", verdict]]
    n = str(len(sets))
    group_verdict = "E" if any(verdict == "E" for *_, verdict in sets) else "A"
    body.append(["AK9", group_verdict, n, n, n])
    return body
