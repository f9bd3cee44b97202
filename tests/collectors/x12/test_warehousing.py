"""Warehouse orders and reports (940, 943, 944, 945, 947): the fixtures, read by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tower.event import TimeQuality
from tower.network import Network, Partner
from tower.raw import Interpretation

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "x12"
Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]
OURS = {"sender": "ZZ*BUYER", "receiver": "01*123456789"}


@pytest.fixture
def with_duns(network: Network) -> Network:
    """ACME is known by its DUNS as well, as N1 names it."""
    acme = Partner.model_validate(
        {"name": "Acme", "zone": "America/New_York"}
        | {"ids": {"isa": ["01:123456789"], "duns": "123456789"}}
    )
    return Network.model_validate({**network.model_dump(), "partners": {"ACME": acme}})


def test_an_order_is_released_to_a_warehouse_and_withdrawn(read: Read, network: Network) -> None:
    released, withdrawn = read("release_940.edi", network).events
    assert (released.type, released.data["order"]) == ("order.released", "SO-700")
    assert released.data["warehouse"] == "EAST"
    assert released.data["lines"] == [{"line": "10", "qty": "12"}, {"line": "2", "qty": "4"}]
    assert released.carries[0] == "x12:set:ZZ:BUYER/01:123456789/OW/45/1"
    assert withdrawn.type == "message.sent"
    assert withdrawn.data["text"] == "warehouse order SO-701: cancelled (F)"


def test_what_a_warehouse_shipped_is_added_up_per_line(read: Read, network: Network) -> None:
    (shipped,) = read("shipping_945.edi", network).events
    assert shipped.type == "order.shipped"
    assert (shipped.data["shipment"], shipped.data["warehouse"]) == ("SHIP-31", "EAST")
    assert shipped.data["lines"] == [{"line": "10", "qty": "11"}, {"line": "20", "qty": "0"}]
    # G62*11, 16:15 in New York
    assert shipped.occurred_at == datetime(2026, 4, 4, 20, 15, tzinfo=UTC)
    assert shipped.time_quality is TimeQuality.EXACT


def test_a_transfer_names_its_goods_and_whose_they_are(read: Read, with_duns: Network) -> None:
    (transfer,) = read("transfer_943.edi", with_duns).events
    assert transfer.type == "transfer.shipped"
    assert {**transfer.data, "lines": None} == {
        "transfer": "TO-88",
        "erp": "main",
        "shipment": "SHIP-12",
        "po": "4500001234",
        "warehouse": "0581493780140",
        "supplier": "ACME",
        "lines": None,
    }
    assert [str(one) for one in transfer.objects] == ["transfer:main:TO-88", "po:main:4500001234"]
    first, second = transfer.data["lines"]
    assert first == {"line": "10", "item": "B-100", "qty": "100", "uom": "EA"}
    assert second["item"] == "000100033330"
    assert transfer.occurred_at == datetime(2026, 4, 3, 5, 45, tzinfo=UTC)


def test_a_warehouse_tells_what_it_took_in_and_what_differs(read: Read, with_duns: Network) -> None:
    reading = read("receipt_944.edi", with_duns)
    posted, differs = reading.events
    assert (posted.type, differs.type) == ("receipt.posted", "receipt.discrepancy")
    for event in (posted, differs):
        assert (event.data["receipt"], event.data["warehouse"]) == ("WR-12", "EAST")
        assert (event.data["supplier"], event.data["asn"]) == ("ACME", "ASN-9001")
        assert event.occurred_at == datetime(2026, 4, 5, 12, 15, tzinfo=UTC)
    assert [(one["receipt_line"], one["po"], one["line"], one["qty"], one["item"])
            for one in posted.data["lines"]] == [
        ("10", "4500001234", "10", "38", "B-100"),
        ("20", "4500001234", "20", "5", "B-200"),
    ]  # fmt: skip
    assert [(one["receipt_line"], one["kind"], one["qty"]) for one in differs.data["lines"]] == [
        ("10", "damaged", "2"),
        ("20", "short", "3"),
    ]
    assert [(f.code, f.got) for f in reading.findings] == [
        ("unknown_code", "77"),
        ("no_quantity", ""),
    ]


def test_a_warehouse_tells_what_it_corrected_and_why(read: Read, with_duns: Network) -> None:
    reading = read("adjustment_947.edi", with_duns)
    (adjusted,) = reading.events
    assert adjusted.type == "inventory.adjusted"
    assert (adjusted.data["warehouse"], adjusted.data["supplier"]) == ("EAST", "ACME")
    assert adjusted.data["lines"] == [
        {"item": "1009332", "delta": "-13", "uom": "CA", "reason": "book adjustment, less"},
        {"item": "B-100", "delta": "4", "uom": "EA", "reason": "physical count"},
        {"item": "B-300", "delta": "2", "uom": "EA", "reason": "book adjustment, less"},
        {"item": "B-400", "delta": "-1", "uom": "EA", "reason": "ZQ"},
        # A lot of two characters, and the weight behind it, are no article.
        {"item": "000100044440", "delta": "-2", "uom": "EA", "reason": "damaged in the warehouse"},
    ]
    assert adjusted.carries[0] == "x12:set:01:123456789/ZZ:BUYER/AW/49/1"
    assert adjusted.occurred_at == datetime(2026, 4, 6, 14, 0, tzinfo=UTC)  # 10:00 in New York
    assert [(finding.code, finding.got) for finding in reading.findings] == [
        ("status_only", "05"),
        ("direction_unclear", "2"),
        ("unknown_code", "ZQ"),
        ("no_quantity", ""),
        ("line_without_item", ""),
    ]
    body = (FIXTURES / "adjustment_947.edi").read_bytes()
    origins = {one.field: one for one in reading.origins[0]}
    places = {
        "lines[0].delta": b"-13.000",
        "lines[0].reason": b"06",
        "lines[1].item": b"B-100",
        "lines[4].item": b"000100044440",
        "supplier": b"123456789",
    }
    for field, sent in places.items():
        at = origins[field].offset
        assert at is not None
        assert body[at : at + len(sent)] == sent
    assert origins["lines[1].delta"].element == "set 1 W19[2] W1902"


def test_an_adjustment_of_nothing_but_status_tells_no_quantity(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("947 W15*20260406*WA-1~W19*05*7*EA**BP*B-200~", kind="AW")
    reading = read(body, network)
    assert (reading.events, reading.dead_letters) == ((), ())
    assert [finding.code for finding in reading.findings] == ["status_only"]
    own = read(body, network, codes=None)
    assert own == reading
    (adjusted,) = read(
        wrap("947 W15*20260406*WA-1~W19*QX*-7*EA**BP*B-200~", kind="AW"),
        codes={"adjustment": {"QX": "eaten by mice"}},
    ).events
    assert adjusted.data["warehouse"] == "ACME"  # no place is told: the sender's
    assert adjusted.data["lines"][0]["reason"] == "eaten by mice"


def test_the_sender_of_a_receipt_is_no_supplier_but_may_be_the_place(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("944 W17*F*20260405*WR-1~LX*1~W07*5*EA**VN*X~", kind="RE")
    (posted,) = read(body, network).events
    assert posted.data["warehouse"] == "ACME"
    assert "supplier" not in posted.data
    assert posted.data["lines"] == [{"receipt_line": "1", "item": "X", "qty": "5", "uom": "EA"}]
    assert posted.time_quality is TimeQuality.EXACT  # W1707 is empty: when it was transmitted


@pytest.mark.parametrize(
    ("one", "kind", "sides", "place"),
    [
        ("940 W05*N~W01*1*EA~", "OW", OURS, "W0502"),
        ("943 W06*F~W04*1*EA~", "AR", OURS, "W0602"),
        ("944 W17*F*20260405~W07*1*EA~", "RE", {}, "W1703"),
        ("945 W06*F~W12*CC*1*1~", "SW", {}, "W0602"),
        ("947 W19*AA*1*EA**BP*B~", "AW", {}, "no W15"),
        ("940 LX*1~W01*1*EA~", "OW", OURS, "no W05"),
        ("944 W17*F*20260405*R1~W07*many*EA~", "RE", {}, "qty"),
    ],
)
def test_without_its_number_a_set_is_a_dead_letter(
    read: Read, wrap: Wrap, network: Network, one: str, kind: str, sides: dict[str, str], place: str
) -> None:
    reading = read(wrap(one, kind=kind, **sides), network)
    (letter,) = reading.dead_letters
    assert (letter.code, letter.position) == ("missing_key", "set:1")
    assert place in letter.cause
    assert reading.events == ()


def test_an_unknown_status_still_releases_and_is_told(
    read: Read, wrap: Wrap, network: Network
) -> None:
    reading = read(wrap("940 W05*Q*SO-1~W01*many*EA~", kind="OW", **OURS), network)
    (event,) = reading.events
    assert (event.type, event.data["lines"]) == ("order.released", [{"line": "1"}])
    assert {finding.code for finding in reading.findings} == {"unknown_code", "bad_number"}
