"""One sample of each format, written by hand-checkable scenes and compared with the files kept."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.business import (
    Answer,
    AnswerLine,
    CustomerLine,
    CustomerOrder,
    Invoice,
    Po,
    PoLine,
    Receipt,
    ReceiptLine,
    Shipment,
    ShipmentLine,
)
from simulator.cast import CSV_DIALECTS, WAREHOUSES, Cast, Supplier, make_cast
from simulator.edi import Gateway
from simulator.emissions import Emissions, Record
from simulator.house import House, Journey
from simulator.network_text import network_yaml
from simulator.partners import Arrival, Partners
from simulator.server import serve_stage
from simulator.stage import Stage

SAMPLES = Path(__file__).parent.parent / "fixtures" / "formats"
START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)  # Monday 08:00 in Cleveland
CAST = make_cast(7, 40)


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def supplier_of(channel: str, csv: str = "", cast: Cast = CAST) -> Supplier:
    return next(
        s
        for s in cast.suppliers
        if s.channel == channel
        and (not csv or s.csv == csv)
        and s.answers_orders
        and s.sends_asn
        and s.country == "US"
        and (channel != "edi" or (s.sends_receipts and s.expects_fa))
    )


class Scene:
    """One order with everything that follows, told by one supplier and one warehouse."""

    def __init__(self, supplier: Supplier, warehouse: int) -> None:
        self.stage = Stage(START)
        self.gateway = Gateway(self.stage)
        self.partners = Partners(self.stage, self.gateway)
        self.house = House(self.stage)
        self.supplier = supplier
        wanted = date(2026, 4, 1)
        first, second = supplier.items[:2]
        self.po = Po(
            "4500001234",
            supplier,
            WAREHOUSES[warehouse],
            "kim",
            "standard",
            START,
            date(2026, 3, 2),
            [PoLine("10", first, 40, 1250, wanted), PoLine("20", second, 15, 80, wanted)],
            "gls-00c0ffee",
            "msg-000001",
        )
        self.journey = Journey(self.po.flow, self.po.message, supplier)

    def answer(self, code: str = "AC") -> Answer:
        first, second = self.po.lines
        later = date(2026, 4, 3)
        rows = (
            AnswerLine(
                first, "accepted", "IA", 40, 1250, first.wanted, (("IA", 40, first.wanted),)
            ),
            AnswerLine(second, "backordered", "IB", 15, 80, later, (("IB", 15, later),)),
        )
        if code == "RD":
            rows = tuple(
                AnswerLine(
                    row, "rejected", "IR", row.quantity, row.price_cents, row.wanted,
                    (("IR", row.quantity, row.wanted),),
                )
                for row in self.po.lines
            )  # fmt: skip
        reason = "Item discontinued" if code == "RD" else ""
        return Answer(self.po, "SO-5501", after(90), after(90), code, rows, reason)

    def shipment(self, purpose: str = "00") -> Shipment:
        lines = tuple(
            ShipmentLine(self.po, line, line.quantity, f"0000614141000000{n:04d}")
            for n, line in enumerate(self.po.lines, start=1)
        )
        at = after(60 * 24)
        return Shipment(
            "ASN-77001", self.supplier, self.po.warehouse, at, at, date(2026, 3, 31),
            "UPSN", "BOL330011", lines, purpose,
        )  # fmt: skip

    def receipt(self) -> Receipt:
        lines = tuple(ReceiptLine(self.po, line, line.quantity, 0) for line in self.po.lines)
        number = "R-E-100001" if self.po.warehouse.key == "east" else "W-0000001"
        return Receipt(number, self.po.warehouse, self.supplier, "ASN-77001", after(2880), lines)

    def invoice(self) -> Invoice:
        lines = tuple((line, line.quantity, line.price_cents) for line in self.po.lines)
        return Invoice("INV-9001", self.po, after(3000), after(3000), lines)

    def order(self) -> CustomerOrder:
        line = self.po.lines[0]
        placed = CustomerOrder(
            "SO-70001234", CAST.customers[0], self.po.warehouse, "normal", after(5)
        )
        placed.lines = [
            CustomerLine(
                "1", line.item, 12, 1980, date(2026, 4, 6), date(2026, 4, 8), (self.po, line)
            ),
            CustomerLine(
                "2", self.po.lines[1].item, 2, 130, date(2026, 3, 9), date(2026, 3, 9), None
            ),
        ]
        return placed

    def play(self) -> Emissions:
        return self.stage.play(START + timedelta(days=4))


def _edi() -> dict[str, bytes]:
    scene = Scene(supplier_of("edi"), 0)
    po, supplier = scene.po, scene.supplier
    scene.gateway.send_orders([po], after(6))
    scene.partners.functional_ack([po], after(20), after(21), "A")
    first = po.lines[0]
    change = PoLine(first.line, first.item, 44, first.price_cents, first.wanted)
    scene.gateway.send_change(po, 1, after(30), [(change, "QI")], "04")
    scene.partners.answer([scene.answer()], Arrival(after(92)))
    scene.partners.answer_change(scene.answer("AD"), 1, Arrival(after(94)))
    scene.partners.propose_dates(scene.answer(), Arrival(after(200)))
    scene.partners.ship(scene.shipment(), Arrival(after(1442)))
    scene.partners.ship(scene.shipment("05"), Arrival(after(1500)))
    scene.partners.invoice(scene.invoice(), Arrival(after(3001)))
    scene.gateway.send_change(po, 2, after(3100), [(change, "DI")], "01")
    scene.partners.answer([scene.answer("RD")], Arrival(after(3200)))
    names = [
        "850_order", "997_with_ta1", "860_change", "855_answer", "997_ours", "865_answer", None,
        "865_proposal", None, "856_shipment", None, "856_replacement", None, "810_invoice", None,
        "860_cancel", "855_rejected", None,
    ]  # fmt: skip
    files = scene.play().files
    assert len(files) == len(names)
    assert {f.door for f in files} == {"edi_in", "edi_out"}
    assert all(supplier.key in f.name for f in files)
    return {f"{name}.edi": f.body for name, f in zip(names, files, strict=True) if name}


def _csv() -> dict[str, bytes]:
    found = {}
    for dialect in CSV_DIALECTS:
        supplier = next(s for s in CAST.suppliers if s.csv == dialect)
        scene = Scene(supplier, 0)
        scene.partners.answer([scene.answer()], Arrival(after(92)))
        scene.partners.ship(scene.shipment(), Arrival(after(1442)))
        answers, shipments = scene.play().files
        found[f"{dialect}_answers.csv"] = answers.body
        found[f"{dialect}_shipments.csv"] = shipments.body
    west = Scene(supplier_of("edi"), 1)
    west.house.verdict(west.shipment(), after(1460))
    west.house.verdict(
        west.shipment(), after(1470), "QTY_OVER_PO", "Line 10: 44 announced, 40 open"
    )
    west.house.receipt(west.receipt(), after(2885))
    accepted, rejected, receipt = west.play().files
    return found | {
        "wms_west_accepted.csv": accepted.body,
        "wms_west_rejected.csv": rejected.body,
        "wms_west_receipt.csv": receipt.body,
    }


def _pushes() -> dict[str, bytes]:
    api = Scene(supplier_of("api"), 0)
    api.partners.answer([api.answer()], Arrival(after(92)))
    api.partners.answer([api.answer("RD"), api.answer("AD")], Arrival(after(95)))
    api.partners.ship(api.shipment(), Arrival(after(1442)))
    api.partners.invoice(api.invoice(), Arrival(after(3001)))
    names = iter(
        ["answer", "answers_batch", "shipment", "invoice"],
    )
    found = {
        f"supplier_api_{next(names)}.json": push.body
        for push in api.play().pushes
        if push.path == "/v1/events"
    }
    east = Scene(supplier_of("edi"), 0)
    order = east.order()
    east.house.order_placed(order, after(5))
    east.house.order_promised([order], after(6))
    east.house.order_moved(order, "shipped", "SHP-1", after(3000))
    east.house.verdict(east.shipment(), after(1460))
    east.house.verdict(east.shipment(), after(1470), "SSCC_REPEATED", "Carton label used before")
    east.house.receipt(east.receipt(), after(2885))
    names = iter(
        [
            "platform_placed", "platform_promised", "wms_east_accepted", "wms_east_rejected",
            "wms_east_receipt", "platform_shipped",
        ]
    )  # fmt: skip
    return found | {
        f"{next(names)}.json": push.body
        for push in east.play().pushes
        if push.path in ("/v1/events", "/v1/documents/wms_east")
    }


def _page(records: list[Record], name: str) -> bytes:
    listing = {name: [dict(record.body) for record in records], "next": None}
    return (json.dumps(listing, indent=1, ensure_ascii=False) + "\n").encode()


def _polled() -> dict[str, bytes]:
    scene = Scene(supplier_of("portal"), 0)
    house = scene.house
    answer = scene.answer()
    house.erp_released(scene.po, after(0))
    house.erp_changed(scene.po, 1, after(30), [(scene.po.lines[0], 44)])
    house.erp_pegged(scene.order(), scene.order().lines, after(40))
    scene.partners.answer([answer], Arrival(after(92)))
    house.erp_applied(answer, after(110))
    scene.partners.ship(scene.shipment(), Arrival(after(1442)))
    scene.partners.ship(scene.shipment("05"), Arrival(after(1500)))
    house.erp_goods_receipt(scene.receipt(), after(2890))
    house.erp_invoice_received(scene.invoice(), after(3000))
    house.erp_invoice_checked(scene.invoice(), after(3010), "", 0)
    house.erp_invoice_checked(scene.invoice(), after(3020), "price", 150)
    house.erp_ended(scene.po, after(3030), "closed", "Complete")
    house.erp_ended(scene.po, after(3040), "cancelled", "Ordered elsewhere")
    scene.play()
    return {
        "erp_changes.json": _page(scene.stage.feeds["erp"], "value"),
        "portal_activity.json": _page(scene.stage.feeds["portal"], "items"),
    }


def _log() -> dict[str, bytes]:
    scene = Scene(supplier_of("edi"), 0)
    log, journey, number = scene.house.log, scene.journey, scene.po.number
    log(after(1), "order.received", journey, po=number, hop="erp>middleware", text="Order taken")
    log(after(2), "order.mapped", journey, hop="middleware", ms=41)
    log(
        after(6), "order.transmitted", journey, po=number, hop="middleware>edi", channel="edi",
        control="1/1/0001",
    )  # fmt: skip
    log(after(7), "transport.receipt", journey, hop="edi>partner", receipt="mdn")
    back = Journey("gls-in-7", "msg-in-000007", scene.supplier)
    log(after(92), "inbound.received", back, hop="edi>middleware", text="855 taken")
    log(after(93), "inbound.mapped", back, po=number, hop="middleware", ms=57)
    log(
        after(94), "delivery.failed", back, po=number, hop="middleware>erp", attempt=1,
        error="PostingError", code="51", text="Vendor locked by user", queue="erp.posting",
    )  # fmt: skip
    log(after(99), "delivery.retried", back, po=number, hop="middleware>erp", attempt=2)
    log(after(100), "erp.posted", back, po=number, hop="middleware>erp", ms=220)
    log(
        after(101), "message.dead", back, po=number, hop="middleware>erp", attempt=3,
        error="PostingError", code="51", text="Vendor locked by user", queue="erp.posting.dlq",
    )  # fmt: skip
    return {"middleware.jsonl": b"".join(line.body for line in scene.play().lines)}


def _network() -> dict[str, bytes]:
    eight = make_cast(7, 8).suppliers
    text = network_yaml(eight, Path("demo/doors"), "http://127.0.0.1:8801", "1m", (2026,))
    return {"network.yaml": text.encode()}


def _get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310  our own server
        return json.load(answer)


def _queues() -> dict[str, bytes]:
    with serve_stage(Stage(START), seed=7) as server:
        server.now = after(240)
        found = {
            "rabbitmq_queues.json": "/api/queues?page=1&page_size=500",
            "rabbitmq_queues_detailed.json": "/api/queues/detailed?page=1&page_size=500",
            "rabbitmq_overview.json": "/api/overview",
        }
        return {
            name: (json.dumps(_get(server.url + path), indent=1) + "\n").encode()
            for name, path in found.items()
        }


def specimens() -> dict[str, bytes]:
    parts = (_edi(), _csv(), _pushes(), _polled(), _log(), _network(), _queues())
    return {name: body for part in parts for name, body in part.items()}


@pytest.fixture(scope="module")
def written() -> dict[str, bytes]:
    return specimens()


def test_the_samples_on_file_are_what_the_simulator_writes(written: dict[str, bytes]) -> None:
    kept = {path.name: path.read_bytes() for path in SAMPLES.iterdir() if path.suffix != ".md"}
    assert sorted(kept) == sorted(written)
    assert [name for name, body in written.items() if kept[name] != body] == []
