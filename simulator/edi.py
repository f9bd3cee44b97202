"""The EDI gateway: interchanges of our partners in one folder, copies of our own in another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from simulator import x12
from simulator.business import Answer, Invoice, Po, PoLine, Sent, Shipment, money
from simulator.cast import HQ, US, Supplier
from simulator.emissions import FileDrop
from simulator.stage import Stage

Sets = Sequence[tuple[str, x12.TransactionSet]]

_FUNCTIONAL_ID = {"850": "PO", "860": "PC", "855": "PR", "865": "CA", "856": "SH", "810": "IN"}
_KIND = {"standard": "SA", "rush": "RO"}


@dataclass(slots=True)
class Interchange:
    """One inbound interchange once it came: what our translator must acknowledge."""

    supplier: Supplier
    name: str = ""
    body: bytes = b""
    groups: list[tuple[str, str, list[tuple[str, str]]]] = field(default_factory=list)


def ordered_line(line: PoLine, quantity: int | None = None) -> x12.OrderedLine:
    return x12.OrderedLine(
        line.line,
        line.item.number,
        line.item.vendor_item,
        line.item.description,
        line.quantity if quantity is None else quantity,
        line.item.unit,
        money(line.price_cents),
        line.wanted,
    )


def answered_lines(answer: Answer) -> list[x12.AnsweredLine]:
    return [
        x12.AnsweredLine(
            row.line.line,
            row.line.item.number,
            row.line.item.vendor_item,
            row.line.quantity,
            row.line.item.unit,
            money(row.price_cents),
            row.parts,
        )
        for row in answer.lines
    ]


def answer_body(answer: Answer) -> list[x12.Segment]:
    """855 of an answer; a refusal of the whole order (RJ) names no lines."""
    day = answer.stated.astimezone(answer.po.supplier.hours.zone).date()
    lines = [] if answer.code == "RJ" else answered_lines(answer)
    return x12.acknowledgement(answer.po.number, answer.po.ordered, answer.code, day, lines)


def order_body(po: Po, lines: Sequence[PoLine] | None = None) -> list[x12.Segment]:
    return x12.purchase_order(
        po.number,
        po.ordered,
        _KIND[po.kind],
        po.supplier.currency,
        po.buyer,
        po.warehouse.site,
        [ordered_line(line) for line in (lines or po.lines)],
    )


def shipment_body(shipment: Shipment) -> list[x12.Segment]:
    return x12.ship_notice(
        shipment.number,
        shipment.purpose,
        shipment.stated.astimezone(shipment.supplier.hours.zone),
        shipment.arrives,
        shipment.carrier,
        shipment.bol,
        shipment.warehouse.site,
        [
            x12.ShippedOrder(
                po.number,
                po.ordered,
                [
                    x12.ShippedLine(
                        row.line.line,
                        row.line.item.number,
                        row.line.item.vendor_item,
                        row.quantity,
                        row.line.item.unit,
                        row.sscc,
                    )
                    for row in shipment.lines
                    if row.po is po
                ],
            )
            for po in shipment.pos
        ],
    )


def invoice_body(invoice: Invoice) -> list[x12.Segment]:
    return x12.invoice(
        invoice.number,
        invoice.stated.astimezone(invoice.po.supplier.hours.zone).date(),
        invoice.po.ordered,
        invoice.po.number,
        invoice.po.supplier.currency,
        [
            x12.InvoicedLine(
                line.line,
                line.item.number,
                line.item.vendor_item,
                quantity,
                line.item.unit,
                money(price),
            )
            for line, quantity, price in invoice.lines
        ],
        invoice.total_cents,
    )


class Gateway:
    """Plans interchanges in both directions."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def send_orders(self, pos: Sequence[Po], at: datetime) -> None:
        """One interchange with an 850 for each order; their numbers are kept for the 997."""
        bodies = [(po, order_body(po)) for po in pos]

        def render(when: datetime) -> FileDrop:
            supplier = pos[0].supplier
            sets: list[x12.TransactionSet] = []
            group = self.stage.number("group out", supplier.key)
            isa = self.stage.number("isa out", supplier.key)
            for n, (po, body) in enumerate(bodies, start=1):
                sets.append(x12.TransactionSet("850", f"{n:04d}", body))
                po.sent = Sent("PO", isa, group, f"{n:04d}")
            return self._outgoing(supplier, when, isa, [x12.Group("PO", str(group), sets)], "850")

        self.stage.at(at, render)

    def send_change(
        self, po: Po, sequence: int, at: datetime, lines: Sequence[tuple[PoLine, str]], purpose: str
    ) -> Sent:
        """An 860: purpose 04 change, 01 cancel. Returns where its numbers will stand."""
        day = HQ.local_day(at)
        body = x12.purchase_order_change(
            po.number,
            po.ordered,
            sequence,
            day,
            [(ordered_line(line), code) for line, code in lines],
            purpose,
        )
        sent = Sent("PC", 0, 0, "0001")

        def render(when: datetime) -> FileDrop:
            sent.group = self.stage.number("group out", po.supplier.key)
            sent.interchange = self.stage.number("isa out", po.supplier.key)
            group = x12.Group("PC", str(sent.group), [x12.TransactionSet("860", "0001", body)])
            return self._outgoing(po.supplier, when, sent.interchange, [group], "860")

        self.stage.at(at, render)
        return sent

    def _outgoing(
        self, supplier: Supplier, when: datetime, isa: int, groups: Sequence[x12.Group], kind: str
    ) -> FileDrop:
        local = when.astimezone(HQ.zone)
        body = x12.interchange(supplier.dialect, US, supplier.party, local, isa, groups)
        return FileDrop(when, "edi_out", f"{kind}_{supplier.key}_{isa:09d}.edi", body)

    def functional_ack(
        self,
        supplier: Supplier,
        sent: Callable[[], Sequence[tuple[str, Sent]]],
        stated: datetime,
        arrives: datetime,
        verdict: str = "A",
    ) -> None:
        """997 (and TA1 where the partner sends them) for sets of one group of ours.

        ``sent`` is asked when the time comes: (set type, numbers) of each acknowledged set.
        """

        def render(when: datetime) -> FileDrop:
            answered = list(sent())
            first = answered[0][1]
            body = x12.functional_acknowledgement(
                first.functional_id,
                str(first.group),
                [(type_, numbers.set, verdict) for type_, numbers in answered],
            )
            local = stated.astimezone(supplier.hours.zone)
            receipts = (
                [x12.InterchangeReceipt(f"{first.interchange:09d}", local)]
                if supplier.sends_receipts
                else []
            )
            control = str(self.stage.number("group in", supplier.key))
            group = x12.Group("FA", control, [x12.TransactionSet("997", "0001", body)])
            isa = self.stage.number("isa in", supplier.key)
            content = x12.interchange(
                supplier.dialect, supplier.party, US, local, isa, [group], receipts
            )
            return FileDrop(when, "edi_in", f"{supplier.key}_{isa:09d}.edi", content)

        self.stage.at(arrives, render)

    def receive(
        self,
        supplier: Supplier,
        documents: Sequence[tuple[str, list[x12.Segment]]],
        stated: datetime,
        arrives: datetime,
        acknowledged_after: timedelta,
        repeated_after: timedelta | None = None,
    ) -> None:
        """Business sets of a partner, one group per kind, and our 997 for them.

        ``repeated_after``: the same bytes come once more under another name.
        """
        seen = Interchange(supplier)

        def render(when: datetime) -> FileDrop:
            local = stated.astimezone(supplier.hours.zone)
            groups: list[x12.Group] = []
            for kind in dict.fromkeys(kind for kind, _ in documents):
                control = str(self.stage.number("group in", supplier.key))
                sets = [
                    x12.TransactionSet(kind, f"{n:04d}", body)
                    for n, body in enumerate((b for k, b in documents if k == kind), start=1)
                ]
                groups.append(x12.Group(_FUNCTIONAL_ID[kind], control, sets))
                seen.groups.append(
                    (_FUNCTIONAL_ID[kind], control, [(kind, item.control) for item in sets])
                )
            isa = self.stage.number("isa in", supplier.key)
            seen.body = x12.interchange(supplier.dialect, supplier.party, US, local, isa, groups)
            seen.name = f"{supplier.key}_{isa:09d}"
            return FileDrop(when, "edi_in", f"{seen.name}.edi", seen.body)

        def again(when: datetime) -> FileDrop:
            return FileDrop(when, "edi_in", f"{seen.name}_again.edi", seen.body)

        self.stage.at(arrives, render)
        self.stage.at(arrives + acknowledged_after, partial(self._our_997, seen))
        if repeated_after is not None:
            self.stage.at(arrives + repeated_after, again)

    def _our_997(self, seen: Interchange, when: datetime) -> FileDrop:
        supplier = seen.supplier
        sets = [
            x12.TransactionSet(
                "997",
                f"{n:04d}",
                x12.functional_acknowledgement(
                    functional_id, control, [(kind, st02, "A") for kind, st02 in answered]
                ),
            )
            for n, (functional_id, control, answered) in enumerate(seen.groups, start=1)
        ]
        control = str(self.stage.number("group out", supplier.key))
        isa = self.stage.number("isa out", supplier.key)
        return self._outgoing(supplier, when, isa, [x12.Group("FA", control, sets)], "997")
