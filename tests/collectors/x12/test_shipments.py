from __future__ import annotations

from collections.abc import Callable

import pytest

from tower.network import Network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]


def test_a_shipment_names_the_lines_of_several_orders(read: Read, network: Network) -> None:
    (event,) = read("shipment_856.edi", network).events
    assert event.type == "asn.received"
    assert {k: v for k, v in event.data.items() if k not in ("lines", "packs")} == {
        "asn": "ASN-77",
        "supplier": "ACME",
        "shipped_at": "2026-03-28T20:30:00+00:00",  # ES: five hours behind UTC
        "ship_date": "2026-03-28",
        "eta": "2026-04-01",
        "carrier": "UPSN",
        "bol": "BOL-9",
        "warehouse": "EAST",
    }
    assert event.data["lines"] == [
        # 25 in one carton and 15 in the other
        {
            "erp": "main",
            "po": "4500001234",
            "line": "10",
            "item": "FST-00201",
            "qty": "40",
            "uom": "BX",
        },
        {
            "erp": "main",
            "po": "4500001235",
            "line": "1",
            "item": "000012345678",
            "qty": "3",
            "uom": "EA",
        },
    ]


def test_cartons_are_named_by_sscc_and_stand_on_their_pallet(read: Read, network: Network) -> None:
    (event,) = read("shipment_856.edi", network).events
    assert event.data["packs"] == [
        {"sscc": "100123450000000017", "kind": "tare"},
        {"sscc": "100123450000000024", "kind": "pack", "on": "100123450000000017"},
        {"sscc": "100123450000000031", "kind": "pack", "on": "100123450000000017"},
    ]


@pytest.mark.parametrize(
    ("purpose", "type_"),
    [
        ("00", "asn.received"),
        ("14", "asn.received"),
        ("05", "asn.replaced"),
        ("04", "asn.replaced"),
        ("01", "asn.cancelled"),
    ],
)
def test_the_purpose_says_what_the_notice_is(
    read: Read, wrap: Wrap, network: Network, purpose: str, type_: str
) -> None:
    (event,) = read(wrap(f"856 BSN*{purpose}*A1*20260301~", kind="SH"), network).events
    assert event.type == type_


def test_an_unknown_purpose_is_taken_as_new_and_found(
    read: Read, wrap: Wrap, network: Network
) -> None:
    reading = read(wrap("856 BSN*99*A1*20260301~", kind="SH"), network)
    assert reading.events[0].type == "asn.received"
    assert [f.code for f in reading.findings] == ["unknown_code"]


ITEM = "LIN*1*BP*X~SN1**5*EA~"


@pytest.mark.parametrize(
    ("tree", "po"),
    [
        ("HL*1**S~HL*2*1*O~PRF*P1~HL*3*2*I~" + ITEM, "P1"),
        ("HL*1**S~REF*PO*P1~HL*2*1*I~" + ITEM, "P1"),
        ("REF*PO*P1~HL*1**S~HL*2*1*I~" + ITEM, "P1"),
        ("HL*1**S~HL*2*1*I~LIN*1*BP*X*PO*P1~SN1**5*EA~", "P1"),
        ("HL*1**S~HL*2*1*I~" + ITEM + "REF*PO*P1~", "P1"),
        # The tree comes from HL02: the item stands under the first order, not the last one.
        ("HL*1**S~HL*2*1*O~PRF*P1~HL*3*1*O~PRF*P2~HL*4*2*I~" + ITEM, "P1"),
        # One order is named at all, though not above the item.
        ("HL*1**S~HL*2*1*O~PRF*P1~HL*3*1*I~" + ITEM, "P1"),
        # A level that is its own grandchild does not turn in circles.
        ("HL*1*2*S~HL*2*1*O~PRF*P1~HL*3*2*I~" + ITEM, "P1"),
    ],
)
def test_an_order_is_found_at_any_level(
    read: Read, wrap: Wrap, network: Network, tree: str, po: str
) -> None:
    (event,) = read(wrap(f"856 BSN*00*A1*20260301~{tree}", kind="SH"), network).events
    assert [(line["po"], line["line"]) for line in event.data["lines"]] == [(po, "1")]


def test_an_item_without_order_is_found_and_the_notice_is_given(
    read: Read, wrap: Wrap, network: Network
) -> None:
    reading = read(wrap(f"856 BSN*00*A1*20260301~HL*1**S~HL*2*1*I~{ITEM}", kind="SH"), network)
    assert reading.events[0].data["lines"] == []
    assert [f.code for f in reading.findings] == ["line_without_po"]


def test_a_parent_that_does_not_exist_is_found(read: Read, wrap: Wrap, network: Network) -> None:
    body = wrap(f"856 BSN*00*A1*20260301~HL*1**S~HL*2*9*O~PRF*P1~HL*3*2*I~{ITEM}", kind="SH")
    reading = read(body, network)
    assert reading.events[0].data["lines"][0]["po"] == "P1"
    assert [f.code for f in reading.findings] == ["hl_parent"]


def test_the_same_item_in_other_units_is_another_line(
    read: Read, wrap: Wrap, network: Network
) -> None:
    tree = "HL*1**O~PRF*P1~HL*2*1*I~LIN*1~SN1**5*EA~HL*3*1*I~LIN*1~SN1**2*BX~"
    (event,) = read(wrap(f"856 BSN*00*A1*20260301~{tree}", kind="SH"), network).events
    assert [(line["qty"], line["uom"]) for line in event.data["lines"]] == [
        ("5", "EA"),
        ("2", "BX"),
    ]
