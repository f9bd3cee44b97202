"""Stock (846), returns (180), payments (820), advices (824) and transport (214)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tower.network import Network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]
OURS = {"sender": "ZZ*BUYER", "receiver": "01*123456789"}


def told(reading: Interpretation) -> list[tuple[str, Any, Any]]:
    return [(e.type, e.data.get("return"), e.data.get("reason")) for e in reading.events]


# --- stock ----------------------------------------------------------------------------------------


def test_stock_on_hand_and_available_in_the_unit_sent(read: Read, network: Network) -> None:
    (event,) = read("stock_846.edi", network).events
    assert event.type == "inventory.reported"
    assert (event.data["warehouse"], event.data["supplier"]) == ("EAST", "ACME")
    assert event.data["as_of"] == "2026-04-02T09:30:00+00:00"
    assert event.data["lines"] == [
        {"item": "B-100", "on_hand": "150", "available": "90", "uom": "EA"},
        {"item": "ACM-7", "available": "0", "uom": "CA"},
    ]
    assert [str(one) for one in event.objects] == ["warehouse::EAST"]


def test_stock_without_a_place_is_the_senders_own(read: Read, wrap: Wrap, network: Network) -> None:
    body = wrap("846 BIA*00*DD*1*20260402~LIN**BP*A~QTY*17*3*EA~QTY*17*1*CA~LIN*2~", kind="IB")
    reading = read(body, network)
    (event,) = reading.events
    assert event.data["warehouse"] == "ACME"
    assert event.data["lines"] == [{"item": "A", "on_hand": "3", "uom": "EA"}]
    assert {finding.code for finding in reading.findings} == {"mixed_units", "line_without_item"}


# --- returns --------------------------------------------------------------------------------------


def test_a_return_is_requested_authorised_and_shipped(read: Read, network: Network) -> None:
    requested, shipped = read("return_180.edi", network).events
    authorised, odd = read("return_answer_180.edi", network).events
    assert (requested.type, requested.data["return"]) == ("return.requested", "RET-5")
    assert requested.data["reason"] == "Damaged on arrival"
    assert requested.data["lines"][0] == {
        "erp": "main",
        "po": "4500001234",
        "line": "10",
        "item": "B-100",
        "qty": "2",
        "uom": "EA",
        "reason": "DM",
    }
    assert requested.data["lines"][1]["po"] == "4500001234"
    assert (authorised.type, authorised.data["return"]) == ("return.authorised", "RMA-77")
    assert (shipped.type, shipped.data["return"]) == ("return.shipped", "RMA-77")
    assert shipped.data["lines"][0]["line"] == "10"
    assert [str(one) for one in authorised.objects] == ["return:ACME:RMA-77", "po:main:4500001234"]
    assert (odd.type, odd.data["text"]) == (
        "message.received",
        "return ACM-R-2: not understood (99)",
    )


def test_a_partner_may_give_a_purpose_its_own_meaning(
    read: Read, wrap: Wrap, network: Network
) -> None:
    acme = network.partners["ACME"].model_copy(
        update={"codes": {"return": {"99": "received", "27": "rejected"}}}
    )
    net = network.model_copy(update={"partners": {"ACME": acme}})
    reading = read(wrap("180 BGN*99*R1~", "180 BGN*27*R2~", kind="AN"), net)
    assert told(reading) == [("return.received", "R1", None), ("message.received", None, None)]
    assert reading.events[1].data["text"] == "return R2: rejected (27)"
    assert reading.findings == ()


# --- payments -------------------------------------------------------------------------------------


def test_a_payment_names_what_it_pays(read: Read, network: Network) -> None:
    (event,) = read("payment_820.edi", network).events
    assert event.type == "payment.advised"
    assert {name: value for name, value in event.data.items() if name != "invoices"} == {
        "payment": "PAY-3001",
        "supplier": "ACME",
        "currency": "USD",
        "total": "1480.5",
    }
    assert event.data["invoices"] == [
        {"invoice": "INV-1", "paid": "990.5", "discount": "10"},
        {"invoice": "INV-2", "paid": "490"},
        {"invoice": "CR-9", "paid": "-75.25"},
    ]


def test_a_payment_that_names_no_invoice_says_so(read: Read, wrap: Wrap, network: Network) -> None:
    body = wrap("820 BPR*C*5*C*ACH~TRN*1*P1~RMR*IV~RMR*AW*X*PO*5~", kind="RA", **OURS)
    reading = read(body, network)
    (event,) = reading.events
    assert "invoices" not in event.data or event.data["invoices"] == []
    assert [f.code for f in reading.findings] == ["line_without_invoice", "unknown_code"]


# --- advices --------------------------------------------------------------------------------------


def test_each_document_that_is_judged_is_an_advice_of_its_own(read: Read, network: Network) -> None:
    refused, taken, group = read("advice_824.edi", network).events
    assert {event.type for event in (refused, taken, group)} == {"advice.received"}
    assert [event.data["verdict"] for event in (refused, taken, group)] == [
        "rejected",
        "accepted",
        "accepted_with_errors",
    ]
    assert (refused.data["po"], refused.data["document"]) == ("4500001234", "4500001234")
    assert refused.answers == ("x12:set:ZZ:BUYER/01:123456789/PO/31/1",)
    assert refused.data["errors"] == [
        {
            "level": "document",
            "code": "007",
            "text": "Unknown ship-to",
            "segment": "N1",
            "place": "7",
            "reference": "67",
            "value": "EAST9",
        }
    ]
    assert group.answers == ()
    assert len({event.id for event in (refused, taken, group)}) == 3


def test_our_verdict_on_a_shipment_notice_is_the_notices(read: Read, network: Network) -> None:
    refused, sent = read("our_advice_824.edi", network).events
    assert (refused.type, refused.data["asn"]) == ("asn.rejected", "ASN-9001")
    assert refused.data["reason"] == "Line 30 is not on the order"
    assert refused.answers == ("x12:set:01:123456789/ZZ:BUYER/SH/9/1",)
    assert (sent.type, sent.data["text"]) == (
        "message.sent",
        "advice on 810 INV-1: accepted (TA)",
    )


def test_an_advice_on_an_unknown_verdict_is_kept(read: Read, wrap: Wrap, network: Network) -> None:
    reading = read(wrap("824 BGN*11*A1~OTI*ZZ*SI*S1******856~", kind="AG"), network)
    (event,) = reading.events
    assert (event.type, event.data["verdict"]) == ("advice.received", "unknown")
    assert [finding.code for finding in reading.findings] == ["unknown_code"]


# --- transport ------------------------------------------------------------------------------------


def test_each_status_of_a_carrier_is_an_event(read: Read, network: Network) -> None:
    left, on_the_way, appointed = read("status_214.edi", network).events
    for event in (left, on_the_way, appointed):
        assert event.type == "shipment.status"
        assert (event.data["asn"], event.data["bol"]) == ("ASN-9001", "BOL-55")
    assert (left.data["code"], left.data["place"]) == ("AF", "Toledo")
    assert on_the_way.occurred_at == datetime(2026, 4, 2, 15, 0, tzinfo=UTC)  # UT
    assert (appointed.data["code"], appointed.data["eta"]) == ("AB", "2026-04-04")
    # An appointment is to come: it was told when it was transmitted, 18:00 in New York.
    assert appointed.occurred_at == datetime(2026, 4, 2, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "kind", "sides"),
    [
        ("846 LIN**BP*A~", "IB", {}),
        ("180 BGN*13~", "AN", OURS),
        ("820 BPR*C*5~", "RA", OURS),
        ("820 BPR*C*5~TRN*1~", "RA", OURS),
        ("824 BGN*11*A~", "AG", {}),
        ("824 BGN*11*A~OTI~", "AG", {}),
        ("214 B10*1*2*SCAC~LX*1~", "QM", {}),
        ("214 B10***SCAC~AT7*AF~", "QM", {}),
    ],
)
def test_without_its_beginning_or_number_a_set_is_a_dead_letter(
    read: Read, wrap: Wrap, network: Network, one: str, kind: str, sides: dict[str, str]
) -> None:
    reading = read(wrap(one, kind=kind, **sides), network)
    (letter,) = reading.dead_letters
    assert (letter.code, letter.position) == ("missing_key", "set:1")
    assert letter.offset is not None
    assert reading.events == ()
