"""How suppliers speak: the same answer, shipment or invoice over EDI, API, file or portal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from simulator import csvs, wires, x12
from simulator.business import Answer, AnswerLine, Invoice, Po, Sent, Shipment, money
from simulator.cast import ERP, Supplier
from simulator.edi import Gateway, answer_body, answered_lines, invoice_body, shipment_body
from simulator.emissions import FileDrop, Push, Record
from simulator.stage import Stage

_PORTAL_DECISION = {"AD": "confirmed", "AC": "confirmed_with_changes"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a partner's document reaches us.

    at        the instant it is here
    receipt   how long until our translator acknowledges it (EDI)
    repeated  how long until the same bytes come once more; None = never
    """

    at: datetime
    receipt: timedelta = timedelta(minutes=10)
    repeated: timedelta | None = None


class Partners:
    """Plans what suppliers send."""

    def __init__(self, stage: Stage, gateway: Gateway) -> None:
        self.stage = stage
        self.gateway = gateway

    def answer(self, answers: Sequence[Answer], arrival: Arrival) -> None:
        """Answers of one supplier that go together: one interchange, batch or file."""
        first = answers[0]
        supplier = first.po.supplier
        if supplier.channel == "edi":
            self.gateway.receive(
                supplier,
                [("855", answer_body(answer)) for answer in answers],
                first.stated,
                arrival.at,
                arrival.receipt,
                arrival.repeated,
            )
        elif supplier.channel == "api":
            self._events(supplier, [_answer_event(answer) for answer in answers], arrival)
        elif supplier.channel == "file":
            rows = [row for answer in answers for row in _answer_rows(answer)]
            self._file(supplier, "responses", rows, arrival)
        else:
            for answer in answers:
                self._portal(arrival.at, _portal_answer(answer))

    def ship(self, shipment: Shipment, arrival: Arrival) -> None:
        supplier = shipment.supplier
        if supplier.channel == "edi":
            self.gateway.receive(
                supplier,
                [("856", shipment_body(shipment))],
                shipment.stated,
                arrival.at,
                arrival.receipt,
                arrival.repeated,
            )
        elif supplier.channel == "api":
            self._events(supplier, [_shipment_event(shipment)], arrival)
        elif supplier.channel == "file":
            self._file(supplier, "shipments", _shipment_rows(shipment), arrival)
        else:
            self._portal(arrival.at, _portal_shipment(shipment))

    def invoice(self, invoice: Invoice, arrival: Arrival) -> None:
        """Suppliers without EDI or API send paper; the ERP's record of it is all there is."""
        supplier = invoice.po.supplier
        if supplier.channel == "edi":
            self.gateway.receive(
                supplier,
                [("810", invoice_body(invoice))],
                invoice.stated,
                arrival.at,
                arrival.receipt,
                arrival.repeated,
            )
        elif supplier.channel == "api":
            self._events(supplier, [_invoice_event(invoice)], arrival)

    def answer_change(self, answer: Answer, sequence: int, arrival: Arrival) -> None:
        """865: the supplier takes our change number ``sequence``."""
        self._change(answer, arrival, str(sequence), "QI")

    def propose_dates(self, answer: Answer, arrival: Arrival) -> None:
        """865 of the supplier's own: the delivery moves."""
        self._change(answer, arrival, "", "CA")

    def _change(self, answer: Answer, arrival: Arrival, sequence: str, code: str) -> None:
        po = answer.po
        body = x12.change_acknowledgement(
            po.number,
            "04",
            "AT" if sequence else "AC",
            sequence,
            po.ordered,
            answer.stated.astimezone(po.supplier.hours.zone).date(),
            [(line, code) for line in answered_lines(answer)],
        )
        self.gateway.receive(
            po.supplier, [("865", body)], answer.stated, arrival.at, arrival.receipt
        )

    def functional_ack(
        self, pos: Sequence[Po], stated: datetime, arrives: datetime, verdict: str
    ) -> None:
        def numbers() -> list[tuple[str, Sent]]:
            return [("850", po.sent) for po in pos if po.sent is not None]

        self.gateway.functional_ack(pos[0].supplier, numbers, stated, arrives, verdict)

    def _events(
        self, supplier: Supplier, events: Sequence[dict[str, Any]], arrival: Arrival
    ) -> None:
        kept: list[Push] = []

        def render(when: datetime) -> Push:
            for event in events:
                n = self.stage.number("api", supplier.key)
                event["id"] = f"{supplier.key.lower()}-{n:06d}"
            push = wires.event_push("supplier_api", when, events)
            kept.append(push)
            return push

        def again(when: datetime) -> Push:
            return Push(when, kept[0].door, kept[0].path, kept[0].headers, kept[0].body)

        self.stage.push_at("supplier_api", arrival.at, render)
        if arrival.repeated is not None:
            self.stage.push_at("supplier_api", arrival.at + arrival.repeated, again)

    def _file(
        self, supplier: Supplier, kind: str, rows: Sequence[csvs.Row], arrival: Arrival
    ) -> None:
        kept: list[FileDrop] = []

        def render(when: datetime) -> FileDrop:
            n = self.stage.number("file", supplier.key)
            body = csvs.supplier_file(csvs.DIALECTS[supplier.csv], rows)
            drop = FileDrop(when, "supplier_csv", f"{supplier.key}/{kind}_{n:05d}.csv", body)
            kept.append(drop)
            return drop

        def again(when: datetime) -> FileDrop:
            name = kept[0].name.replace(".csv", "_again.csv")
            return FileDrop(when, "supplier_csv", name, kept[0].body)

        self.stage.at(arrival.at, render)
        if arrival.repeated is not None:
            self.stage.at(arrival.at + arrival.repeated, again)

    def _portal(self, at: datetime, body: dict[str, Any]) -> None:
        def render(when: datetime) -> Record:
            number = f"PA-{self.stage.number('portal'):07d}"
            return Record(when, "portal", {"id": number, "changed_at": wires.stamp(when), **body})

        self.stage.at(at, render)


def _event(
    supplier: Supplier, type_: str, at: datetime, data: dict[str, Any], subject: str, flow: str = ""
) -> dict[str, Any]:
    return wires.cloud_event(
        "",
        f"/suppliers/{supplier.key.lower()}",
        f"{wires.TYPE_PREFIX}{type_}.v1",
        at,
        data,
        subject=subject,
        correlation=flow,
        partner=supplier.key,
    )


def _promised(row: AnswerLine) -> dict[str, Any]:
    return {
        "line": row.line.line,
        "item": row.line.item.number,
        "answer": row.word,
        "qty": str(row.quantity),
        "uom": row.line.item.unit,
        "date": row.delivery,
        "date_kind": "delivery",
        "price": money(row.price_cents),
    }


def _answer_event(answer: Answer) -> dict[str, Any]:
    po = answer.po
    data: dict[str, Any] = {
        "erp": ERP,
        "po": po.number,
        "supplier": po.supplier.key,
        "answer": answer.word,
        "lines": [_promised(row) for row in answer.lines],
    }
    if answer.reason:
        data["reason"] = answer.reason
    kind = "po.rejected" if answer.rejected else "po.acknowledged"
    return _event(po.supplier, kind, answer.stated, data, po.ref, po.flow)


def _shipment_event(shipment: Shipment) -> dict[str, Any]:
    data = {
        "supplier": shipment.supplier.key,
        "asn": shipment.number,
        "shipped_at": shipment.stated,
        "eta": shipment.arrives,
        "carrier": shipment.carrier,
        "bol": shipment.bol,
        "warehouse": shipment.warehouse.key,
        "packs": [{"sscc": row.sscc} for row in shipment.lines],
        "lines": [
            {
                "erp": ERP,
                "po": row.po.number,
                "line": row.line.line,
                "item": row.line.item.number,
                "qty": str(row.quantity),
                "uom": row.line.item.unit,
            }
            for row in shipment.lines
        ],
    }
    kind = "asn.replaced" if shipment.purpose == "05" else "asn.received"
    return _event(shipment.supplier, kind, shipment.stated, data, shipment.ref)


def _invoice_event(invoice: Invoice) -> dict[str, Any]:
    supplier = invoice.po.supplier
    total = money(invoice.total_cents)
    data = {
        "supplier": supplier.key,
        "invoice": invoice.number,
        "currency": supplier.currency,
        "net": total,
        "tax": "0.00",
        "total": total,
        "lines": [
            {
                "invoice_line": line.line,
                "erp": ERP,
                "po": invoice.po.number,
                "line": line.line,
                "item": line.item.number,
                "qty": str(quantity),
                "uom": line.item.unit,
                "price": money(price),
            }
            for line, quantity, price in invoice.lines
        ],
    }
    subject = f"invoice:{supplier.key}:{invoice.number}"
    return _event(supplier, "invoice.received", invoice.stated, data, subject)


def _wall(at: datetime, supplier: Supplier) -> datetime:
    return at.astimezone(supplier.hours.zone)


def _answer_rows(answer: Answer) -> list[csvs.Row]:
    supplier = answer.po.supplier
    return [
        csvs.Row(
            record="answer",
            document=answer.number,
            po=answer.po.number,
            line=row.line.line,
            item=row.line.item.number,
            quantity=row.quantity,
            unit=row.line.item.unit,
            time=_wall(answer.stated, supplier),
            day=row.delivery,
            answer=answer.word,
            word=row.word,
            price=money(row.price_cents),
        )
        for row in answer.lines
    ]


def _shipment_rows(shipment: Shipment) -> list[csvs.Row]:
    return [
        csvs.Row(
            record="replacement" if shipment.purpose == "05" else "shipment",
            document=shipment.number,
            po=row.po.number,
            line=row.line.line,
            item=row.line.item.number,
            quantity=row.quantity,
            unit=row.line.item.unit,
            time=_wall(shipment.stated, shipment.supplier),
            day=shipment.arrives,
            carrier=shipment.carrier,
            bol=shipment.bol,
        )
        for row in shipment.lines
    ]


def _portal_answer(answer: Answer) -> dict[str, Any]:
    return {
        "kind": "order_answer",
        "confirmation": answer.number,
        "po": answer.po.number,
        "vendor": answer.po.supplier.vendor,
        "decision": _PORTAL_DECISION.get(answer.code, "refused"),
        "comment": answer.reason,
        "submitted_at": wires.stamp(answer.stated),
        "lines": [
            {
                "line": row.line.line,
                "item": row.line.item.number,
                "status": row.word,
                "qty": row.quantity,
                "unit": row.line.item.unit,
                "delivery_date": _iso(row.delivery),
                "price": money(row.price_cents),
            }
            for row in answer.lines
        ],
    }


def _portal_shipment(shipment: Shipment) -> dict[str, Any]:
    return {
        "kind": "shipment",
        "shipment": shipment.number,
        "action": "replaced" if shipment.purpose == "05" else "announced",
        "vendor": shipment.supplier.vendor,
        "submitted_at": wires.stamp(shipment.stated),
        "eta": _iso(shipment.arrives),
        "carrier": shipment.carrier,
        "bol": shipment.bol,
        "warehouse": shipment.warehouse.key,
        "lines": [
            {
                "po": row.po.number,
                "line": row.line.line,
                "item": row.line.item.number,
                "qty": row.quantity,
                "unit": row.line.item.unit,
            }
            for row in shipment.lines
        ],
    }


def _iso(day: date) -> str:
    return day.isoformat()
