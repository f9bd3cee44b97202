"""How our own systems speak: ERP, distribution platform, two warehouses, middleware log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from simulator import csvs, wires
from simulator.business import (
    Answer,
    CustomerLine,
    CustomerOrder,
    Invoice,
    Po,
    PoLine,
    Receipt,
    Shipment,
    money,
)
from simulator.cast import ERP, WAREHOUSES, Supplier
from simulator.emissions import FileDrop, LogLine, Push, Record
from simulator.stage import Stage
from simulator.stock import Stock

WEST_ZONE = WAREHOUSES[1].hours.zone
_LEVELS = {"delivery.failed": "ERROR", "message.dead": "ERROR", "delivery.retried": "WARN"}


@dataclass(frozen=True, slots=True)
class Journey:
    """One message on its way through the middleware: its correlation and message id."""

    flow: str
    message: str
    supplier: Supplier


@dataclass(slots=True)
class House:
    """Plans what our own systems put out.

    constant_flow  spells during which the middleware logs "0" as correlation id of everything
    books          what is in stock; None where nobody tells it
    """

    stage: Stage
    books: Stock | None = None
    constant_flow: list[tuple[datetime, datetime]] = field(default_factory=list)

    # --- ERP: a journal of changes, polled -------------------------------------------------------

    def erp(
        self, at: datetime, entity: str, number: str, change: str, body: dict[str, Any]
    ) -> None:
        def render(when: datetime) -> Record:
            version = self.stage.number("erp", entity, number)
            head = {
                "entity": entity,
                "number": number,
                "version": version,
                "change": change,
                "changed_at": wires.stamp(when),
            }
            return Record(when, "erp", head | body)

        self.stage.at(at, render)

    def erp_released(self, po: Po, at: datetime) -> None:
        self.erp(
            at,
            "purchase_order",
            po.number,
            "released",
            {
                "released_at": wires.stamp(po.released),
                "vendor": po.supplier.vendor,
                "buyer": po.buyer,
                "order_type": po.kind,
                "currency": po.supplier.currency,
                "warehouse": po.warehouse.key,
                "lines": [_erp_line(line) for line in po.lines],
            },
        )

    def erp_changed(
        self, po: Po, sequence: int, at: datetime, changes: Sequence[tuple[PoLine, int]]
    ) -> None:
        """Our own change of quantities, before the supplier answered."""
        lines = [_erp_line(line) | {"quantity": quantity} for line, quantity in changes]
        self.erp(
            at,
            "purchase_order",
            po.number,
            "changed",
            {"vendor": po.supplier.vendor, "revision": str(sequence), "lines": lines},
        )

    def erp_ended(self, po: Po, at: datetime, change: str, reason: str) -> None:
        """``change``: cancelled or closed."""
        self.erp(
            at,
            "purchase_order",
            po.number,
            change,
            {"vendor": po.supplier.vendor, "reason": reason},
        )

    def erp_applied(self, answer: Answer, at: datetime) -> None:
        self.erp(
            at,
            "purchase_order",
            answer.po.number,
            "answer_applied",
            {
                "vendor": answer.po.supplier.vendor,
                "answer": answer.word,
                "lines": [
                    {
                        "line": row.line.line,
                        "quantity": row.quantity,
                        "unit": row.line.item.unit,
                        "delivery_date": row.delivery.isoformat(),
                        "net_price": money(row.price_cents),
                    }
                    for row in answer.lines
                ],
            },
        )

    def erp_pegged(self, order: CustomerOrder, lines: Sequence[CustomerLine], at: datetime) -> None:
        pegs = [
            {
                "order": order.number,
                "order_line": line.line,
                "po": line.peg[0].number,
                "po_line": line.peg[1].line,
                "quantity": line.quantity,
            }
            for line in lines
            if line.peg is not None
        ]
        self.erp(at, "peg", order.number, "set", {"pegs": pegs})

    def erp_goods_receipt(self, receipt: Receipt, at: datetime) -> None:
        self.erp(
            at,
            "goods_receipt",
            receipt.number,
            "posted",
            {
                "posted_at": wires.stamp(receipt.at),
                "vendor": receipt.supplier.vendor,
                "warehouse": receipt.warehouse.key,
                "asn": receipt.asn,
                "lines": _receipt_lines(receipt),
            },
        )

    def erp_invoice_received(self, invoice: Invoice, at: datetime) -> None:
        self.erp(
            at,
            "invoice",
            invoice.number,
            "received",
            {
                "vendor": invoice.po.supplier.vendor,
                "currency": invoice.po.supplier.currency,
                "total": money(invoice.total_cents),
                "lines": [
                    {
                        "po": invoice.po.number,
                        "line": line.line,
                        "item": line.item.number,
                        "quantity": quantity,
                        "unit": line.item.unit,
                        "net_price": money(price),
                    }
                    for line, quantity, price in invoice.lines
                ],
            },
        )

    def erp_invoice_checked(
        self, invoice: Invoice, at: datetime, blocked: str, difference: int
    ) -> None:
        """``blocked`` names the check that failed; empty = matched. ``difference`` in cents."""
        self.erp(
            at,
            "invoice",
            invoice.number,
            "blocked" if blocked else "matched",
            {
                "vendor": invoice.po.supplier.vendor,
                "check": blocked or "three_way",
                "difference": money(difference),
            },
        )

    # --- distribution platform: CloudEvents, pushed ----------------------------------------------

    def order_placed(self, order: CustomerOrder, at: datetime) -> None:
        data = {
            "erp": ERP,
            "order": order.number,
            "customer": order.customer.key,
            "customer_name": order.customer.name,
            "priority": order.priority,
            "currency": "USD",
            "warehouse": order.warehouse.key,
            "lines": [
                {
                    "line": line.line,
                    "item": line.item.number,
                    "description": line.item.description,
                    "category": line.item.group,
                    "qty": str(line.quantity),
                    "uom": line.item.unit,
                    "requested_date": line.wanted,
                    "price": money(line.price_cents),
                }
                for line in order.lines
            ],
        }
        self._platform(at, [("order.placed", order, data)])

    def order_promised(self, orders: Sequence[CustomerOrder], at: datetime) -> None:
        """Several promises made together go as one batch."""
        told = [
            (
                "order.promised",
                order,
                {
                    "erp": ERP,
                    "order": order.number,
                    "lines": [
                        {
                            "line": line.line,
                            "promise_date": line.promise,
                            "qty": str(line.quantity),
                            "basis": "supply" if line.peg else "stock",
                        }
                        for line in order.lines
                    ],
                },
            )
            for order in orders
        ]
        self._platform(at, told)

    def order_moved(self, order: CustomerOrder, change: str, shipment: str, at: datetime) -> None:
        """``change``: shipped or delivered, always the whole order."""
        data = {
            "erp": ERP,
            "order": order.number,
            "shipment": shipment,
            "lines": [{"line": line.line, "qty": str(line.quantity)} for line in order.lines],
        }
        if change == "shipped":
            data["warehouse"] = order.warehouse.key
        self._platform(at, [(f"order.{change}", order, data)])

    def _platform(
        self, at: datetime, told: Sequence[tuple[str, CustomerOrder, dict[str, Any]]]
    ) -> None:
        def render(when: datetime) -> Push:
            events = [
                wires.cloud_event(
                    f"plt-{self.stage.number('platform'):08d}",
                    "/platform/orders",
                    f"{wires.PLATFORM_PREFIX}{type_}",
                    at,
                    data,
                    subject=order.ref,
                    correlation=f"plt-{order.number.lower()}",
                )
                for type_, order, data in told
            ]
            return wires.event_push("platform", when, events)

        self.stage.push_at("platform", at, render)

    # --- warehouses: documents pushed by the eastern, files dropped by the western ---------------

    def verdict(self, shipment: Shipment, at: datetime, rule: str = "", message: str = "") -> None:
        """What the warehouse's own check says of an ASN; no rule means accepted."""
        pos = shipment.pos
        only_po = pos[0].number if len(pos) == 1 else ""
        vendor = shipment.supplier.vendor
        if shipment.warehouse.door == "wms_east":
            self._east(
                at,
                {
                    "doc": "asn_verdict",
                    "asn": shipment.number,
                    "vendor": vendor,
                    "po": only_po,
                    "verdict": "rejected" if rule else "accepted",
                    "checked_at": wires.stamp(at),
                    "rule": rule,
                    "message": message,
                },
            )
            return
        word = "ASN_REJECTED" if rule else "ASN_ACCEPTED"
        cells = {
            "type": word,
            "asn": shipment.number,
            "vendor": vendor,
            "po": only_po,
            "rule": rule,
            "message": message,
        }
        self._west(at, at, [cells])

    def receipt(self, receipt: Receipt, at: datetime, repeated: datetime | None = None) -> None:
        """``at`` is when the warehouse tells it; ``repeated`` when it tells the same again."""
        if self.books is not None:
            self.books.received(receipt)
        if receipt.warehouse.door == "wms_east":
            body = {
                "doc": "receipt",
                "receipt": receipt.number,
                "asn": receipt.asn,
                "vendor": receipt.supplier.vendor,
                "posted_at": wires.stamp(receipt.at),
                "lines": _receipt_lines(receipt),
            }
            self._east(at, body, repeated)
            return
        rows = [
            {
                "type": "RECEIPT",
                "document": receipt.number,
                "asn": receipt.asn,
                "vendor": receipt.supplier.vendor,
                "po": row.po.number,
                "po_line": row.line.line,
                "sku": row.line.item.number,
                "qty": str(row.quantity),
                "damaged": str(row.damaged),
                "unit": row.line.item.unit,
            }
            for row in receipt.lines
        ]
        self._west(at, receipt.at, rows, repeated)

    def _east(self, at: datetime, body: dict[str, Any], repeated: datetime | None = None) -> None:
        kept: list[Push] = []

        def render(when: datetime) -> Push:
            head = {"doc_id": f"E-{self.stage.number('east'):07d}", "warehouse": "east"}
            push = wires.document_push("wms_east", when, head | body)
            kept.append(push)
            return push

        def again(when: datetime) -> Push:
            return Push(when, kept[0].door, kept[0].path, kept[0].headers, kept[0].body)

        self.stage.push_at("wms_east", at, render)
        if repeated is not None:
            self.stage.push_at("wms_east", repeated, again)

    def _west(
        self,
        at: datetime,
        happened: datetime,
        rows: Sequence[dict[str, str]],
        repeated: datetime | None = None,
    ) -> None:
        kept: list[FileDrop] = []

        def render(when: datetime) -> FileDrop:
            n = self.stage.number("west")
            local = happened.astimezone(WEST_ZONE).strftime("%Y-%m-%d %H:%M:%S")
            filled = [{"document": f"W-{n:07d}", "local_time": local} | row for row in rows]
            body = csvs.west_file(
                [[row.get(name, "") for name in csvs.WEST_COLUMNS] for row in filled]
            )
            drop = FileDrop(when, "wms_west", f"west_{n:07d}.csv", body)
            kept.append(drop)
            return drop

        def again(when: datetime) -> FileDrop:
            name = kept[0].name.replace(".csv", "_again.csv")
            return FileDrop(when, "wms_west", name, kept[0].body)

        self.stage.at(at, render)
        if repeated is not None:
            self.stage.at(repeated, again)

    # --- middleware: log lines -------------------------------------------------------------------

    def log(
        self, at: datetime, step: str, journey: Journey, repeated: bool = False, **said: Any
    ) -> None:
        """One line; ``said`` holds po, asn, hop, ms, text, attempt, error... as far as known."""

        def line(when: datetime) -> LogLine:
            flow = journey.flow
            if any(start <= at < end for start, end in self.constant_flow):
                flow = "0"
            body = {
                "ts": at.astimezone(UTC).isoformat(timespec="milliseconds"),
                "level": _LEVELS.get(step, "INFO"),
                "event_id": f"mw-{self.stage.number('middleware'):08d}",
                "step": step,
                "correlation_id": flow,
                "message_id": journey.message,
                "partner": journey.supplier.vendor,
            } | {key: value() if callable(value) else value for key, value in said.items()}
            name = f"middleware-{when.astimezone(UTC):%Y%m%d}.jsonl"
            return LogLine(when, "middleware", name, wires.dump(body) + b"\n")

        kept: list[LogLine] = []

        def render(when: datetime) -> LogLine:
            kept.append(line(when))
            return kept[0]

        def again(when: datetime) -> LogLine:
            return LogLine(when, kept[0].door, kept[0].name, kept[0].body)

        self.stage.at(at, render)
        if repeated:
            self.stage.at(at, again)


def _erp_line(line: PoLine) -> dict[str, Any]:
    return {
        "line": line.line,
        "item": line.item.number,
        "description": line.item.description,
        "item_group": line.item.group,
        "quantity": line.quantity,
        "unit": line.item.unit,
        "net_price": money(line.price_cents),
        "requested_date": line.wanted.isoformat(),
    }


def _receipt_lines(receipt: Receipt) -> list[dict[str, Any]]:
    return [
        {
            "n": str(n),
            "po": row.po.number,
            "po_line": row.line.line,
            "sku": row.line.item.number,
            "received": row.quantity,
            "damaged": row.damaged,
            "unit": row.line.item.unit,
        }
        for n, row in enumerate(receipt.lines, start=1)
    ]
