"""One story told in every format ends in the same facts: the samples in tests/fixtures/formats."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors import cloudevents, registry
from tower.event import Event
from tower.network import Network, load_network
from tower.raw import Raw

FORMATS = Path(__file__).resolve().parents[1] / "fixtures" / "formats"
NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
PUSHED = "application/cloudevents+json"
# Suppliers of other kinds than the eight of the sample network.
OTHERS = """
  CSV-US: {name: US, mapping: csv_us}
  CSV-EU: {name: EU, mapping: csv_eu}
  CSV-PIPE: {name: Pipe, mapping: csv_pipe}
  ZENITH-FASTENERS: {name: API}
"""

ANSWERS = [
    ("edi_in", "855_answer.edi", ""),
    ("supplier_csv", "csv_us_answers.csv", "CSV-US"),
    ("supplier_csv", "csv_eu_answers.csv", "CSV-EU"),
    ("supplier_csv", "csv_pipe_answers.csv", "CSV-PIPE"),
    ("supplier_api", "supplier_api_answer.json", ""),
    ("portal", "portal_activity.json", ""),
]
SHIPMENTS = [
    ("edi_in", "856_shipment.edi", ""),
    ("supplier_csv", "csv_us_shipments.csv", "CSV-US"),
    ("supplier_csv", "csv_eu_shipments.csv", "CSV-EU"),
    ("supplier_csv", "csv_pipe_shipments.csv", "CSV-PIPE"),
    ("supplier_api", "supplier_api_shipment.json", ""),
    ("portal", "portal_activity.json", ""),
]
RECEIPTS = [
    ("wms_east", "wms_east_receipt.json", ""),
    ("wms_west", "wms_west_receipt.csv", ""),
    ("erp", "erp_changes.json", ""),
]
VERDICTS = [
    ("wms_east", "wms_east_accepted.json", "asn.accepted"),
    ("wms_west", "wms_west_accepted.csv", "asn.accepted"),
    ("wms_east", "wms_east_rejected.json", "asn.rejected"),
    ("wms_west", "wms_west_rejected.csv", "asn.rejected"),
]


@pytest.fixture(scope="module")
def net() -> Network:
    text = (FORMATS / "network.yaml").read_text(encoding="utf-8")
    return load_network(text.replace("\npartners:\n", f"\npartners:{OTHERS}", 1), "network.yaml")


def events(net: Network, source: str, name: str, partner: str = "") -> list[Event]:
    body = (FORMATS / name).read_bytes()
    if net.sources[source].format == "cloudevents":
        parcel = cloudevents.unpack(source, body, {"content-type": PUSHED}, NOW)
        assert not parcel.broken
        raws = list(parcel.raws)
    elif net.sources[source].format == "log":
        raws = [Raw(source, str(n), line, NOW) for n, line in enumerate(body.splitlines())]
    else:
        raws = [Raw(source, "k", body, NOW, headers={"partner": partner} if partner else {})]
    found = []
    for raw in raws:
        reading = registry.interpret(raw, net)
        assert reading.dead_letters == ()
        assert reading.findings == ()
        found += reading.events
    return found


def one(net: Network, source: str, name: str, partner: str, type_: str) -> Event:
    (event,) = [e for e in events(net, source, name, partner) if e.type == type_]
    return event


def lines(event: Event, *fields: str) -> list[dict[str, Any]]:
    return [{field: line.get(field) for field in fields} for line in event.data["lines"]]


@pytest.mark.parametrize(("source", "name", "partner"), ANSWERS)
def test_every_channel_tells_the_same_answer(
    net: Network, source: str, name: str, partner: str
) -> None:
    answer = one(net, source, name, partner, "po.acknowledged")
    assert {k: answer.data[k] for k in ("po", "erp", "answer")} == {
        "po": "4500001234",
        "erp": "main",
        "answer": "accepted_with_changes",
    }
    assert answer.data["supplier"] == answer.partner
    fields = ("line", "answer", "qty", "date", "date_kind", "price")
    assert lines(answer, *fields) == [
        dict(zip(fields, values, strict=True))
        for values in (
            ("10", "accepted", "40", "2026-04-01", "delivery", "12.5"),
            ("20", "backordered", "15", "2026-04-03", "delivery", "0.8"),
        )
    ]
    assert [str(ref) for ref in answer.objects] == [
        "po:main:4500001234",
        "po_line:main:4500001234:10",
        "po_line:main:4500001234:20",
    ]


@pytest.mark.parametrize(("source", "name", "partner"), SHIPMENTS)
def test_every_channel_tells_the_same_shipment(
    net: Network, source: str, name: str, partner: str
) -> None:
    shipment = one(net, source, name, partner, "asn.received")
    assert {k: shipment.data[k] for k in ("asn", "eta", "carrier", "bol")} == {
        "asn": "ASN-77001",
        "eta": "2026-03-31",
        "carrier": "UPSN",
        "bol": "BOL330011",
    }
    assert lines(shipment, "erp", "po", "line", "qty") == [
        {"erp": "main", "po": "4500001234", "line": "10", "qty": "40"},
        {"erp": "main", "po": "4500001234", "line": "20", "qty": "15"},
    ]


@pytest.mark.parametrize(("source", "name", "partner"), RECEIPTS)
def test_warehouses_and_erp_tell_the_same_receipt(
    net: Network, source: str, name: str, partner: str
) -> None:
    receipt = one(net, source, name, partner, "receipt.posted")
    assert receipt.occurred_at == datetime(2026, 3, 4, 13, 0, tzinfo=UTC)
    assert receipt.data["asn"] == "ASN-77001"
    assert lines(receipt, "receipt_line", "po", "line", "qty", "rejected_qty") == [
        {"receipt_line": "1", "po": "4500001234", "line": "10", "qty": "40", "rejected_qty": "0"},
        {"receipt_line": "2", "po": "4500001234", "line": "20", "qty": "15", "rejected_qty": "0"},
    ]


@pytest.mark.parametrize(("source", "name", "type_"), VERDICTS)
def test_verdicts_on_shipments_are_read(net: Network, source: str, name: str, type_: str) -> None:
    (verdict,) = events(net, source, name)
    assert (verdict.type, verdict.data["asn"], verdict.data["po"]) == (
        type_,
        "ASN-77001",
        "4500001234",
    )
    assert ("reason" in verdict.data) == (type_ == "asn.rejected")


def test_every_line_of_the_middleware_is_a_step_of_the_order(net: Network) -> None:
    steps = events(net, "middleware", "middleware.jsonl")
    assert {step.type for step in steps} == {
        "po.transmitted",
        "message.received",
        "message.transformed",
        "message.sent",
        "message.delivered",
        "message.failed",
        "message.retried",
        "message.dead_lettered",
    }
    assert all(step.correlation_id and step.carries for step in steps)
    assert {root.number for step in steps for root in step.roots()} == {"4500001234"}


def test_customer_orders_of_the_platform_are_read(net: Network) -> None:
    types = [
        events(net, "platform", f"platform_{name}.json")[0].type
        for name in ("placed", "promised", "shipped")
    ]
    assert types == ["order.placed", "order.promised", "order.shipped"]


def test_the_erp_and_the_platform_tell_the_category_of_the_goods(net: Network) -> None:
    told = [
        *(e for e in events(net, "erp", "erp_changes.json") if e.type in ("po.released",
                                                                          "po.revised")),
        *events(net, "platform", "platform_placed.json"),
    ]  # fmt: skip
    assert {"po.released", "po.revised", "order.placed"} <= {event.type for event in told}
    assert all(line["category"] for event in told for line in event.data["lines"])
