"""Files that nobody on this project wrote, read by mappings written here."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from collectors.registry import interpret
from tower.event import TimeQuality
from tower.network import Network, load_network
from tower.raw import Interpretation, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "csv_drops"
DELIVERIES = DATA / "scms-delivery-history" / "dev_half_odd_ids.csv"
ORDERS = DATA / "adventureworks" / "data"

pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="the public samples are not here"),
    pytest.mark.long,
]

DELIVERY_MAPPING: dict[str, Any] = {
    "format": "csv",
    "encoding": "utf-8-sig",
    "errors": "replace",
    "date_format": "%d-%b-%y",
    "time_format": ["%d-%b-%y", "%m/%d/%y"],  # sent dates are written in another way
    "nulls": ["Date Not Captured", "N/A - From RDC", "Pre-PQ Process"],
    "emit": [
        {
            "event": "po.released",
            "id": "{ID}",
            "time": "PO Sent to Vendor Date",
            "supplier": "Vendor",
            "fields": {"po": "PO / SO #"},
            "lines": {
                "line": "ID",
                "description": "Item Description",
                "qty": "Line Item Quantity",
                "price": "Pack Price",
                "requested_date": "Scheduled Delivery Date",
            },
        },
        {
            "event": "receipt.posted",
            "id": "{ID}",
            "time": "Delivered to Client Date",
            "supplier": "Vendor",
            "fields": {"warehouse": "=client", "receipt": "ASN/DN #"},
            "lines": {
                "receipt_line": "ID",
                "po": "PO / SO #",
                "line": "ID",
                "qty": "Line Item Quantity",
            },
        },
    ],
}


def net_with(mapping: dict[str, Any], vendors: set[str]) -> Network:
    """A network that knows these vendor numbers and names."""
    people = {"desk": {"name": "Desk", "mail": "desk@samples.example"}}
    described = {
        "version": 1,
        "company": {"name": "Samples", "zone": "America/New_York"},
        "systems": {"erp": {"name": "ERP", "kind": "erp"}},
        "sources": {
            "feed": {
                "kind": "push",
                "format": "csv",
                "system": "erp",
                "mapping": "m",
                "zone": "America/New_York",
            }
        },
        "mappings": {"m": mapping},
        "partners": {
            f"V{n}": {"name": vendor, "ids": {"erp_vendor": {"main": vendor}}}
            for n, vendor in enumerate(sorted(vendors))
        },
        "calendars": {"hq": {"zone": "America/New_York", "open": {"mon-fri": ["08:00-17:00"]}}},
        "people": people,
        "owners": dict.fromkeys("BDSIWPCT", "desk"),
    }
    return load_network(yaml.safe_dump(described, sort_keys=False), "network.yaml")


@pytest.fixture(scope="module")
def deliveries() -> Interpretation:
    body = DELIVERIES.read_bytes()
    rows = csv.DictReader(io.StringIO(body.decode("utf-8-sig", "replace")))
    net = net_with(DELIVERY_MAPPING, {row["Vendor"].strip() for row in rows})
    return interpret(Raw("feed", "k", body, NOW), net)


def test_a_real_delivery_history_loads_without_a_dead_letter(deliveries: Interpretation) -> None:
    assert deliveries.dead_letters == ()
    assert Counter(event.type for event in deliveries.events) == {
        "po.released": 5188,
        "receipt.posted": 5188,
    }
    assert deliveries.findings == ()
    qualities = Counter(e.time_quality for e in deliveries.events if e.type == "po.released")
    assert qualities == {TimeQuality.DATE: 2303, TimeQuality.OBSERVED: 2885}


def test_on_time_delivery_comes_out_as_its_readme_says(deliveries: Interpretation) -> None:
    """Delivered on or before the scheduled day: 88.57 % of 5,188 lines."""
    local = ZoneInfo("America/New_York")
    wanted: dict[str, str] = {}
    delivered: dict[str, str] = {}
    for event in deliveries.events:
        for line in event.data["lines"]:
            if event.type == "po.released":
                wanted[line["line"]] = line["requested_date"]
            else:
                assert event.time_quality is TimeQuality.DATE
                delivered[line["line"]] = event.occurred_at.astimezone(local).date().isoformat()
    assert len(wanted) == len(delivered) == 5188
    on_time = sum(delivered[line] <= day for line, day in wanted.items())
    assert round(100 * on_time / len(wanted), 2) == 88.57


def test_what_was_sent_stands_where_the_origins_say(deliveries: Interpretation) -> None:
    body = DELIVERIES.read_bytes()
    compared = 0
    for index in range(0, len(deliveries.events), 97):
        event = deliveries.events[index]
        for origin in deliveries.origins[index]:
            if origin.how != "copied" or origin.offset is None or origin.length is None:
                continue
            text = body[origin.offset : origin.offset + origin.length].decode("utf-8", "replace")
            name = origin.field.rpartition(".")[2]
            holder = event.data["lines"][0] if "lines" in origin.field else event.data
            assert text == holder[name]
            compared += 1
    assert compared > 300


def test_a_date_that_nobody_captured_is_no_time(deliveries: Interpretation) -> None:
    first = next(e for e in deliveries.events if e.data.get("po") == "SCMS-4")
    assert (first.occurred_at, first.time_quality) == (NOW, TimeQuality.OBSERVED)
    assert first.data["lines"][0]["requested_date"] == "2006-06-02"


def test_tab_separated_lines_without_header_give_the_known_totals() -> None:
    """AdventureWorks, the orders up to number 2,000."""
    mapping = {
        "format": "csv",
        "delimiter": "\t",
        "header": False,
        "columns": ["order", "line", "due", "ordered", "product", "price", "total", "received",
                    "rejected", "stocked", "modified"],
        "group_by": ["order"],
        "emit": [
            {
                "event": "receipt.posted",
                "time": "modified",
                "fields": {"warehouse": "=main", "receipt": "order"},
                "lines": {"receipt_line": "line", "po": "order", "line": "line", "item": "product",
                          "qty": "received", "rejected_qty": "rejected"},
            },
            {
                "event": "po.released",
                "time": "modified",
                "fields": {"po": "order", "supplier": "=V0"},
                "lines": {"line": "line", "item": "product", "qty": "ordered", "price": "price",
                          "requested_date": "due"},
            },
        ],
    }  # fmt: skip
    ordered = received = rejected = 0.0
    lines = 0
    for path in sorted(ORDERS.glob("*PurchaseOrderDetail*")):
        reading = interpret(
            Raw("feed", path.name, path.read_bytes(), NOW), net_with(mapping, {"any"})
        )
        assert not reading.dead_letters
        for event in reading.events:
            for line in event.data["lines"]:
                if event.type == "po.released":
                    ordered += float(line["qty"])
                    lines += 1
                else:
                    received += float(line["qty"])
                    rejected += float(line["rejected_qty"])
    # The same sums, taken without any of our code.
    cells = [
        line.split(b"\t")
        for path in ORDERS.glob("*PurchaseOrderDetail*")
        for line in path.read_bytes().splitlines()
    ]
    assert lines == len(cells) > 4000
    assert ordered == sum(float(row[3]) for row in cells)
    assert received == sum(float(row[7]) for row in cells)
    assert rejected == sum(float(row[8]) for row in cells)
    assert round(100 * received / ordered, 1) == 99.1  # of all orders it is 99.09 %
