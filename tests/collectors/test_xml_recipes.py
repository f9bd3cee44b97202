"""Shipped XML mappings from file to event, and the pages of docs/connect that show them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from collectors import cloudevents, registry
from tests.collectors import recipes
from tests.collectors.worlds import network
from tower.network import load_network
from tower.raw import Budget, Interpretation, Raw

NOW = datetime(2026, 4, 2, 12, 0, tzinfo=UTC)
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "xml"

ORDER = [("10", "40", "2026-04-01"), ("20", "15", "2026-04-08")]
ANSWER = [
    ("10", "accepted", "40", "2026-04-01"),
    ("20", "accepted_with_changes", "15", "2026-04-10"),
]
CASES: dict[str, tuple[str, str, dict[str, Any], list[tuple[Any, ...]], tuple[str, ...]]] = {
    "idoc_orders": (
        "po.released", "2026-03-02T14:15",
        {"po": "4500001234", "type": "standard", "currency": "USD", "buyer": "Kim Doe",
         "warehouse": "1710"},
        [("10", "40", "2026-04-01"), ("20", "15", "2026-04-01")],
        ("line", "qty", "requested_date"),
    ),
    "idoc_ordchg": (
        "po.revised", "2026-03-03T15:15", {"po": "4500001234", "revision": "451240"},
        [("10", "change", "60"), ("20", "delete", None)], ("line", "action", "qty"),
    ),
    "idoc_ordrsp": (
        "po.acknowledged", "2026-03-03T19:30", {"answer": "accepted_with_changes"}, ANSWER,
        ("line", "answer", "qty", "date"),
    ),
    "idoc_desadv": (
        "asn.received", "2026-03-30T20:00",
        {"asn": "80001177", "bol": "BOL-5501", "carrier": "Fastline", "eta": "2026-04-01",
         "ship_date": "2026-03-30"},
        [("4500001234", "10", "40"), ("4500001234", "20", "15")], ("po", "line", "qty"),
    ),
    "ubl_order": (
        "po.released", "2026-03-02T14:15",
        {"po": "4500001234", "type": "standard", "currency": "USD", "buyer": "Kim Doe"}, ORDER,
        ("line", "qty", "requested_date"),
    ),
    "ubl_order_response": (
        "po.acknowledged", "2026-03-03T19:30",
        {"po": "4500001234", "answer": "accepted_with_changes", "code": "CA"}, ANSWER,
        ("line", "answer", "qty", "date"),
    ),
    "ubl_despatch_advice": (
        "asn.received", "2026-03-30T04:00",
        {"asn": "LS-8800", "bol": "BOL-5501", "carrier": "Fastline", "eta": "2026-04-01"},
        [("4500001234", "10", "40"), ("4500009999", "20", "5")], ("po", "line", "qty"),
    ),
    "ubl_invoice": (
        "invoice.received", "2026-04-02T04:00",
        {"invoice": "R-3100", "currency": "USD", "net": "512", "tax": "40.96", "total": "552.96"},
        [("4500001234", "10", "40", "12.5")], ("po", "line", "qty", "price"),
    ),
    "cxml_order_request": (
        "po.released", "2026-03-02T14:15",
        {"po": "4500001234", "currency": "USD", "buyer": "Kim Doe"}, ORDER,
        ("line", "qty", "requested_date"),
    ),
    "cxml_confirmation_request": (
        "po.acknowledged", "2026-03-03T19:30", {"po": "4500001234", "answer": "part_accepted"},
        [("10", "accepted", "40", "2026-04-01"), ("20", "part_accepted", "10", "2026-04-10")],
        ("line", "answer", "qty", "date"),
    ),
    "cxml_ship_notice_request": (
        "asn.received", "2026-03-30T21:00",
        {"asn": "LS-8800", "bol": "BOL-5501", "carrier": "Fastline", "eta": "2026-04-01",
         "shipped_at": "2026-03-30T22:00:00+00:00"},
        [("4500001234", "10", "40"), ("4500009999", "20", "5")], ("po", "line", "qty"),
    ),
}  # fmt: skip


def read(mapping: str, body: bytes) -> Interpretation:
    net = network(
        "sources:\n  feed: {kind: push, format: xml, system: erp, zone: America/New_York, "
        f"mapping: {mapping}}}"
    )
    return registry.interpret(Raw("feed", "k", body, NOW), net)


@pytest.mark.parametrize("name", CASES)
def test_a_document_becomes_its_event(name: str) -> None:
    type_, at, header, lines, fields = CASES[name]
    body = (FIXTURES / f"{name}.xml").read_bytes()
    reading = read(name.partition("_")[0], body)
    assert (reading.dead_letters, reading.findings) == ((), ())
    (event,) = reading.events
    assert (event.type, event.partner) == (type_, "ACME")
    assert event.occurred_at.isoformat().startswith(at)
    assert {field: event.data.get(field) for field in header} == header
    assert [tuple(line.get(field) for field in fields) for line in event.data["lines"]] == lines
    for origin in reading.origins[0]:
        if origin.how == "copied" and origin.offset is not None:
            said = body[origin.offset : origin.offset + (origin.length or 0)].decode()
            assert said in body.decode()
            assert said


def test_every_fixture_is_shown_here() -> None:
    assert {file.stem for file in FIXTURES.glob("*.xml")} == set(CASES)


VARIANTS: list[tuple[str, str, str, str]] = [
    ("idoc_ordchg", "<ACTION>003</ACTION><BELNR>", "<ACTION>001</ACTION><BELNR>", "po.cancelled"),
    ("idoc_ordrsp", "<E1EDK01 SEGMENT=\"1\">", "<E1EDK01 SEGMENT=\"1\"><ACTION>001</ACTION>",
     "po.acknowledged"),
    ("ubl_order_response", "OrderResponseCode>CA", "OrderResponseCode>RE", "po.acknowledged"),
    ("cxml_order_request", 'type="new"', 'type="update"', "po.revised"),
    ("cxml_order_request", 'type="new"', 'type="delete"', "po.cancelled"),
    ("cxml_order_request", ' type="new"', "", "po.released"),
    ("cxml_ship_notice_request", '"new"', '"update"', "asn.replaced"),
    ("cxml_ship_notice_request", '"new"', '"delete"', "asn.cancelled"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "type_"), VARIANTS)
def test_its_variants(name: str, old: str, new: str, type_: str) -> None:
    text = (FIXTURES / f"{name}.xml").read_text()
    assert old in text
    reading = read(name.partition("_")[0], text.replace(old, new).encode())
    assert reading.dead_letters == ()
    assert [event.type for event in reading.events] == [type_]


UBL = (
    'xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2" '
    'xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"'
)
SELLER = (
    "<cac:OrderReference><cbc:ID>1</cbc:ID></cac:OrderReference><cac:SellerSupplierParty><cac:Party>"
    "<cac:PartyIdentification><cbc:ID>17300001</cbc:ID></cac:PartyIdentification></cac:Party>"
    "</cac:SellerSupplierParty>"
)
REJECTED = "<cbc:AcceptedIndicator>false</cbc:AcceptedIndicator>"
AB = "<cbc:OrderResponseCode>AB</cbc:OrderResponseCode>"


@pytest.mark.parametrize(
    ("root", "inside", "type_"),
    [
        ("OrderResponseSimple", REJECTED, "po.rejected"),
        ("OrderResponseSimple", REJECTED.replace("false", "true"), "po.acknowledged"),
        ("OrderResponse", AB, "message.received"),
        ("OrderCancellation", "", "po.cancelled"),
        ("OrderChange", "", "po.revised"),
        ("CreditNote", SELLER.replace("SellerSupplier", "AccountingSupplier"), "credit.received"),
    ],
)
def test_the_small_documents_of_ubl(root: str, inside: str, type_: str) -> None:
    reading = read("ubl", f"<{root} {UBL}><cbc:ID>9</cbc:ID>{SELLER}{inside}</{root}>".encode())
    assert reading.dead_letters == ()
    assert [event.type for event in reading.events] == [type_]


def test_idocs_are_read_from_the_folder_that_the_page_describes(tmp_path: Path) -> None:
    net = recipes.network("idoc")
    folder = tmp_path / "inbox" / "idocs"
    folder.mkdir(parents=True)
    (page,) = recipes.blocks("idoc", "xml")
    (folder / "answer.xml").write_text(page)
    reader = registry.reader_for("idocs", net.sources["idocs"], net, {}, base=tmp_path)
    (raw,) = [raw for batch in reader.read(None, Budget(), NOW) for raw in batch.raws]
    assert raw.media_type == "application/xml"
    check(registry.interpret(raw, net), "po.acknowledged", "ACME")


@pytest.mark.parametrize(
    ("page", "source", "type_"),
    [
        ("idoc", "idocs", "po.acknowledged"),
        ("ubl", "ubl", "po.acknowledged"),
        ("cxml", "cxml", "po.acknowledged"),
        ("soap", "goods_service", "receipt.posted"),
    ],
)
def test_the_document_that_a_page_shows_may_be_pushed(page: str, source: str, type_: str) -> None:
    described: dict[str, Any] = yaml.safe_load(
        (recipes.ROOT / "network.yaml").read_text(encoding="utf-8")
    )
    for piece in recipes.blocks(page, "yaml"):
        for part, entries in yaml.safe_load(piece).items():
            for name, entry in entries.items():
                described.setdefault(part, {}).setdefault(name, {}).update(entry)
    net = load_network(yaml.safe_dump(described, sort_keys=False), "network.yaml")
    (body,) = recipes.blocks(page, "xml")
    raw = cloudevents.document(source, body.encode(), {"content-type": "application/xml"}, NOW)
    check(registry.interpret(raw, net), type_, "ACME")


def check(reading: Interpretation, type_: str, partner: str) -> None:
    assert (reading.dead_letters, reading.findings) == ((), ())
    (event,) = reading.events
    assert (event.type, event.partner) == (type_, partner)
