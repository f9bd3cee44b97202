"""The business documents as the pretend world knows them, before any system words them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from simulator.cast import Customer, Item, Supplier, Warehouse


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


@dataclass(slots=True)
class PoLine:
    """``line`` is the ERP's number (10, 20...); quantities in the item's unit.

    wanted       date asked of the supplier
    received_at  when the last piece will be on the dock; None = never
    """

    line: str
    item: Item
    quantity: int
    price_cents: int
    wanted: date
    received_at: datetime | None = None


@dataclass(slots=True)
class Sent:
    """Control numbers under which our translator sent a set: ISA13, GS06, ST02."""

    functional_id: str
    interchange: int
    group: int
    set: str


@dataclass(slots=True)
class Po:
    """A purchase order. ``kind`` is standard or rush; ``flow`` the ERP's correlation id."""

    number: str
    supplier: Supplier
    warehouse: Warehouse
    buyer: str
    kind: str
    released: datetime
    ordered: date
    lines: list[PoLine]
    flow: str
    message: str
    sent: Sent | None = None

    @property
    def ref(self) -> str:
        return f"po:main:{self.number}"


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """What the supplier says about one line.

    word   accepted, accepted_with_changes, backordered, substituted or rejected
    code   the same as ACK01
    parts  (ACK01, quantity, delivery date) where a line is split; else one part
    """

    line: PoLine
    word: str
    code: str
    quantity: int
    price_cents: int
    delivery: date
    parts: tuple[tuple[str, int, date], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A supplier's answer to an order.

    at      when it was given, true time
    stated  the same by the supplier's own clock
    code    BAK02: AD as ordered, AC with changes, RD or RJ refused
    """

    po: Po
    number: str
    at: datetime
    stated: datetime
    code: str
    lines: tuple[AnswerLine, ...]
    reason: str = ""

    @property
    def rejected(self) -> bool:
        return self.code in ("RD", "RJ")

    @property
    def word(self) -> str:
        return {"AD": "accepted", "AC": "accepted_with_changes"}.get(self.code, "rejected")


@dataclass(frozen=True, slots=True)
class ShipmentLine:
    po: Po
    line: PoLine
    quantity: int
    sscc: str


@dataclass(frozen=True, slots=True)
class Shipment:
    """An ASN. ``purpose``: 00 original, 05 replacement of the same number."""

    number: str
    supplier: Supplier
    warehouse: Warehouse
    at: datetime
    stated: datetime
    arrives: date
    carrier: str
    bol: str
    lines: tuple[ShipmentLine, ...]
    purpose: str = "00"

    @property
    def ref(self) -> str:
        return f"asn:{self.supplier.key}:{self.number}"

    @property
    def pos(self) -> list[Po]:
        return list({line.po.number: line.po for line in self.lines}.values())


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    po: Po
    line: PoLine
    quantity: int
    damaged: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Goods on the dock; ``asn`` is empty when they came unannounced."""

    number: str
    warehouse: Warehouse
    supplier: Supplier
    asn: str
    at: datetime
    lines: tuple[ReceiptLine, ...]


@dataclass(frozen=True, slots=True)
class Invoice:
    number: str
    po: Po
    at: datetime
    stated: datetime
    lines: tuple[tuple[PoLine, int, int], ...]  # line, quantity, price in cents

    @property
    def total_cents(self) -> int:
        return sum(quantity * price for _, quantity, price in self.lines)


@dataclass(slots=True)
class CustomerLine:
    """``peg`` is the PO line that is to cover it; None when it ships from stock."""

    line: str
    item: Item
    quantity: int
    price_cents: int
    wanted: date
    promise: date
    peg: tuple[Po, PoLine] | None


@dataclass(slots=True)
class CustomerOrder:
    number: str
    customer: Customer
    warehouse: Warehouse
    priority: str
    placed: datetime
    lines: list[CustomerLine] = field(default_factory=list)

    @property
    def ref(self) -> str:
        return f"order:main:{self.number}"
