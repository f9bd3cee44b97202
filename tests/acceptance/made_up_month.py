"""A month of a small pretend distributor, made up with its events: what tests of figures know.

``made_up`` gives the story as it was told, not what became of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from db.reads.filters import Period

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TODAY = NOW.date()
PERIOD = Period.last(30, NOW)
FIRST = PERIOD.start.date()
SITES = {"EAST": ZoneInfo("America/New_York"), "WEST": ZoneInfo("America/Los_Angeles")}
SUPPLIERS = ("ACME", "BIRCH", "CEDAR")
GOODS = ("FASTENERS", "TOOLS", None)
"""Categories of goods; of some lines nobody tells one."""

NETWORK = """\
version: 1
company: {name: Pretend, erp: main, zone: America/New_York, calendar: hq, currency: USD}
systems: {sap: {name: ERP, kind: erp}}
sources:
  facts: {kind: push, format: cloudevents, system: sap, silent_after: 9000h}
partners:
  ACME: {name: Acme, zone: America/Chicago, calendar: hq, feeds: [facts]}
  BIRCH: {name: Birch, zone: Asia/Shanghai, calendar: cn, feeds: [facts]}
  CEDAR: {name: Cedar, zone: Europe/Berlin, sends_asn: false, feeds: [facts]}
warehouses:
  EAST: {name: East, zone: America/New_York}
  WEST: {name: West, zone: America/Los_Angeles}
calendars:
  hq: {zone: America/New_York, open: {mon-fri: ["08:00-17:00"]}}
  cn: {zone: Asia/Shanghai, open: {mon-sat: ["09:00-12:00", "13:00-18:00"]}}
people: {desk: {name: Desk, mail: desk@pretend.example}}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""

SCORED = {"ack_on_time": (30, 0.9), "commit_reliability": (20, 0.95), "otif": (50, 0.8)}
"""Weights and targets of the score, others than the usual ones."""

RULES = """\
version: 1
scorecard:
  figures:
    ack_on_time: {weight: 30, target: 90%}
    commit_reliability: {weight: 20, target: 95%}
    otif: {weight: 50, target: 80%}
rules:
- id: po.unacknowledged
  kind: deadline
  category: ACK_OVERDUE
  about: po
  title: "PO {po.number} is not answered"
  clock: {start: po.released, stop: [po.acknowledged, po.rejected]}
  due: {otherwise: 48h}
  calendar: hq
  evidence: supplier.feeds
  levels: {breach: {severity: medium}}
- id: fa.overdue
  kind: deadline
  category: FA_OVERDUE
  about: po
  title: "PO {po.number} was not confirmed by a translator"
  clock: {start: po.transmitted, stop: fa.received}
  due: {otherwise: 24h}
  levels: {breach: {severity: medium}}
"""


@dataclass
class Line:
    """One line as it was made up; ``came`` are (instant, quantity, day there) of its receipts."""

    number: str
    qty: int
    price: float
    requested: date
    answer: str | None = None
    confirmed: int = 0
    first: date | None = None
    last: date | None = None
    changed: set[str] = field(default_factory=set)
    shipped: list[int] = field(default_factory=list)
    left: list[tuple[datetime, int]] = field(default_factory=list)  # as notices tell it
    came: list[tuple[datetime, int, date]] = field(default_factory=list)
    damaged: bool = False
    other_site: bool = False
    category: str | None = None


@dataclass
class Order:
    number: str
    supplier: str
    buyer: str
    site: str
    released: datetime
    sent: datetime
    lines: list[Line]
    ship_by: date
    fa: datetime | None = None  # when a translator confirmed it
    answered: datetime | None = None
    told: list[datetime] = field(default_factory=list)  # of its shipment notices
    invoice: str | None = None  # matched, blocked, mended, unchecked
    billed: datetime | None = None
    promised: date | None = None
    wanted: int = 0
    delivered: list[tuple[date, int]] = field(default_factory=list)


def made_up(seed: int) -> tuple[list[Order], list[dict[str, Any]]]:
    """The story, and the events that tell it."""
    dice, other = Random(seed), Random(seed + 1000)
    orders: list[Order] = []
    events: list[dict[str, Any]] = []

    def tell(type_: str, at: datetime, flow: str = "", **data: Any) -> None:
        if at <= NOW:
            more = {"correlationid": flow} if flow else {}
            events.append(_event(len(events), type_, at, {"erp": "main", **data}) | more)

    for n in range(110):
        order = _order(dice, n)
        for k, line in enumerate(order.lines):
            line.category = GOODS[(n + k) % len(GOODS)]
        orders.append(order)
        po = {"po": order.number, "supplier": order.supplier}
        tell("po.released", order.released, **po, buyer=order.buyer, warehouse=order.site,
             currency="USD", ship_by=order.ship_by.isoformat(), lines=[
                 {"line": x.number, "item": f"I-{x.number}", "qty": str(x.qty), "uom": "EA",
                  "price": f"{x.price:.2f}", "requested_date": x.requested.isoformat()}
                 | ({"category": x.category} if x.category else {})
                 for x in order.lines])  # fmt: skip
        flow = f"journey-{order.number}"
        tell("po.transmitted", order.sent, flow, **po)
        if other.random() < 0.9:
            order.fa = order.sent + timedelta(hours=other.choice((0.2, 1, 23, 30, 70)))
            verdict = other.choice(("accepted", "accepted", "rejected"))
            tell("fa.received", order.fa, flow, answered="set", verdict=verdict)
        _answer(dice, order, tell)
        _ship(dice, order, tell)
        _bill(dice, order, tell)
        _promise(dice, order, tell)
    return orders, events


def _event(n: int, type_: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "id": str(n), "source": "/facts", "type": type_,
            "time": at.isoformat(), "data": data}  # fmt: skip


def _order(dice: Random, n: int) -> Order:
    released = NOW - timedelta(days=dice.uniform(3, 55))
    lines = []
    for k in range(dice.randint(1, 3)):
        requested = (released + timedelta(days=dice.randint(8, 25))).date()
        lines.append(Line(str(k + 1), dice.randint(1, 9) * 10, dice.randint(1, 40) / 4, requested))
    sent = released + timedelta(minutes=dice.randint(1, 90))
    where = dice.choice(list(SITES))
    return Order(f"45{n:05}", dice.choice(SUPPLIERS), dice.choice(("ann", "bob")), where,
                 released.replace(microsecond=0), sent.replace(microsecond=0), lines,
                 ship_by=(released + timedelta(days=11)).date())  # fmt: skip


def _answer(dice: Random, order: Order, tell: Callable[..., None]) -> None:
    at = order.sent + timedelta(hours=dice.choice((1, 5, 20, 40, 47, 60, 90, 4000)))
    if at > NOW:
        return
    order.answered = at
    po = {"po": order.number, "supplier": order.supplier}
    told = []
    for line in order.lines:
        line.answer = dice.choice(("accepted", "accepted", "accepted_with_changes", "rejected"))
        words = {"line": line.number, "answer": line.answer}
        if line.answer == "rejected":
            told.append(words)
            continue
        line.confirmed, line.first = line.qty, line.requested
        if line.answer != "accepted":
            if dice.random() < 0.4:
                line.confirmed -= 5
                line.changed.add("quantity")
            if dice.random() < 0.6:
                line.first += timedelta(days=dice.choice((-2, 1, 4)))
                if line.first > line.requested:
                    line.changed.add("date")
            words |= {"qty": str(line.confirmed), "date": line.first.isoformat()}
        line.last = line.first
        told.append(words)
    tell("po.acknowledged", at, **po, lines=told)
    later = at + timedelta(days=2)
    if dice.random() < 0.3 and later <= NOW:
        moved = []
        for line in order.lines:
            if line.first is None:
                continue
            line.last = line.first + timedelta(days=3)
            moved.append(
                {
                    "line": line.number,
                    "answer": "accepted_with_changes",
                    "qty": str(line.confirmed),
                    "date": line.last.isoformat(),
                }
            )
        if moved:
            tell("po.change_proposed", later, **po, lines=moved)


def _ship(dice: Random, order: Order, tell: Callable[..., None]) -> None:
    """One or two shipments; each part is received on its own day, some near midnight."""
    for part in range(dice.randint(1, 2)):
        told, left = [], NOW
        for line in (x for x in order.lines if x.answer not in (None, "rejected")):
            share = line.confirmed // 2 if part == 0 and dice.random() < 0.5 else None
            qty = share or line.confirmed - sum(line.shipped)
            due = line.first or line.requested
            day = due + timedelta(days=dice.choice((-4, -1, 0, 0, 0, 1, 5)))
            hour = dice.choice((0, 9, 15, 23))
            at = datetime(day.year, day.month, day.day, hour, 30, tzinfo=SITES[order.site])
            at = at.astimezone(UTC)
            if qty <= 0 or at > NOW or at < order.sent or dice.random() < 0.1:
                continue
            line.shipped.append(qty)
            got = qty - 5 if dice.random() < 0.1 and qty > 5 else qty
            line.came.append((at, got, day))
            left = min(left, at - timedelta(days=2))
            told.append((line, qty, got, at))
        if not told:
            continue
        if order.supplier != "CEDAR":
            asn = f"A{order.number}-{part}"
            order.told.append(left)
            for line, qty, _, _ in told:
                line.left.append((left, qty))
            tell("asn.received", left, asn=asn, supplier=order.supplier,
                 shipped_at=left.isoformat(), ship_date=left.date().isoformat(), lines=[
                     {"erp": "main", "po": order.number, "line": x.number, "qty": str(q),
                      "uom": "EA"} for x, q, _, _ in told])  # fmt: skip
        for n, (line, _, got, at) in enumerate(told):
            site = order.site
            if dice.random() < 0.05:
                line.other_site = True
                site = next(s for s in SITES if s != order.site)
                line.came[-1] = (at, got, at.astimezone(SITES[site]).date())
            one = {"erp": "main", "po": order.number, "line": line.number, "receipt_line": "1",
                   "qty": str(got), "uom": "EA"}  # fmt: skip
            number = f"R{order.number}-{part}-{n}"
            tell("receipt.posted", at, warehouse=site, receipt=number, lines=[one])
            if dice.random() < 0.08:
                line.damaged = True
                tell(
                    "receipt.discrepancy",
                    at + timedelta(minutes=1),
                    warehouse=site,
                    receipt=number,
                    lines=[{**one, "kind": "damaged", "qty": "1"}],
                )


def _bill(dice: Random, order: Order, tell: Callable[..., None]) -> None:
    came = [at for x in order.lines for at, _, _ in x.came]
    if not came or dice.random() < 0.2:
        return
    order.billed = max(came) + timedelta(hours=3)
    if order.billed > NOW - timedelta(hours=9):
        order.billed = None
        return
    order.invoice = dice.choice(("matched", "matched", "matched", "blocked", "mended", "unchecked"))
    bill = {"supplier": order.supplier, "invoice": f"N{order.number}"}
    tell("invoice.received", order.billed, **bill, currency="USD", net="10.00", lines=[
        {"invoice_line": "1", "erp": "main", "po": order.number, "line": order.lines[0].number,
         "qty": "1", "uom": "EA", "price": "1.00"}])  # fmt: skip
    if order.invoice in ("blocked", "mended"):
        tell("invoice.blocked", order.billed + timedelta(hours=1), **bill, check="price")
    if order.invoice in ("matched", "mended"):
        tell("invoice.matched", order.billed + timedelta(hours=2), **bill)


def _promise(dice: Random, order: Order, tell: Callable[..., None]) -> None:
    """A customer order beside it, delivered in one or two parts; customers hear days in UTC."""
    placed = order.released + timedelta(hours=2)
    order.promised = (placed + timedelta(days=dice.randint(5, 30))).date()
    order.wanted = 20
    so = {"order": f"SO{order.number}"}
    tell(
        "order.placed",
        placed,
        **so,
        customer="C1",
        warehouse=order.site,
        currency="USD",
        lines=[{"line": "1", "item": "I-1", "qty": "20", "uom": "EA", "price": "3.00"}
               | ({"category": order.lines[0].category} if order.lines[0].category else {})],
    )  # fmt: skip
    tell("order.promised", placed, **so, lines=[
        {"line": "1", "promise_date": order.promised.isoformat(), "qty": "20"}])  # fmt: skip
    for part, qty in enumerate((20,) if dice.random() < 0.5 else (8, 12)):
        day = order.promised + timedelta(days=dice.choice((-3, -1, 0, 2)))
        at = datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC)
        if placed < at <= NOW and dice.random() < 0.9:
            order.delivered.append((day, qty))
            tell("order.delivered", at, **so, shipment=f"S{order.number}-{part}", lines=[
                {"line": "1", "qty": str(qty), "uom": "EA"}])  # fmt: skip
