"""Receiving advices (861): the fixture, read by hand, and the cases around it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tower.network import Network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]


def test_a_receipt_that_names_only_its_shipment_notice(read: Read, network: Network) -> None:
    (receipt,) = read("receipt_861.edi", network).events
    assert (receipt.type, receipt.data["asn"], receipt.data["supplier"]) == (
        "receipt.posted",
        "ASN-9001",
        "ACME",
    )
    assert receipt.data["warehouse"] == "EAST"
    assert receipt.occurred_at == datetime(2026, 4, 1, 7, 15, tzinfo=UTC)  # BRA02, 05 in Berlin
    assert receipt.data["lines"] == [
        {"receipt_line": "1", "item": "B-100", "qty": "38", "rejected_qty": "2", "uom": "EA"},
        {
            "receipt_line": "2",
            "erp": "main",
            "po": "4500001234",
            "line": "20",
            "item": "B-200",
            "qty": "0",
            "rejected_qty": "3",
            "uom": "EA",
        },
    ]


@pytest.mark.parametrize("place", ["N1*ST**UL*4098765000027~", "N1*RC*EAST~"])
def test_the_place_is_a_warehouse_by_key_or_gln(
    read: Read, wrap: Wrap, network: Network, place: str
) -> None:
    known = network.warehouses["EAST"].model_copy(update={"gln": "4098765000027"})
    net = network.model_copy(update={"warehouses": {"EAST": known}})
    sides = {"sender": "ZZ*BUYER", "receiver": "01*123456789"}
    body = wrap(f"861 BRA*R1*20260401*01*1~{place}PRF*77~RCD*10*5*EA~", kind="RC", **sides)
    (receipt,) = read(body, net).events
    assert (receipt.type, receipt.data["warehouse"]) == ("receipt.reversed", "EAST")
    assert [(line["po"], line["line"]) for line in receipt.data["lines"]] == [("77", "10")]


def test_a_receipt_without_a_place_is_a_dead_letter(
    read: Read, wrap: Wrap, network: Network
) -> None:
    sides = {"sender": "ZZ*BUYER", "receiver": "01*123456789"}
    body = wrap("861 BRA*R1*20260401*00*1~RCD*1*5*EA~", kind="RC", **sides)
    (letter,) = read(body, network).dead_letters
    assert (letter.code, letter.position) == ("missing_key", "set:1")
