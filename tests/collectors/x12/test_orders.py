from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tests.collectors.x12.conftest import build_network
from tower.event import TimeQuality
from tower.network import Network, Partner, PartnerIds
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]
OURS = {"kind": "PO", "sender": "ZZ*BUYER", "receiver": "01*123456789"}


def test_an_order_is_released_with_its_lines(read: Read, network: Network) -> None:
    event = read("order_850.edi", network).events[0]
    assert event.type == "po.released"
    assert dict(event.data) == {
        "po": "4500001234",
        "erp": "main",
        "supplier": "ACME",
        "buyer": "Kim Lang",
        "type": "rush",
        "currency": "USD",
        "warehouse": "EAST",
        "ship_by": "2026-03-25",
        "cancel_after": "2026-04-30",
        "lines": [
            {
                "line": "10",
                "item": "FST-00201",
                "description": "Socket screw 1/2-13",
                "qty": "40",
                "uom": "BX",
                "price": "12.5",
                "requested_date": "2026-04-01",
                "ship_to": "EAST",
            },
            {
                "line": "20",
                "item": "FST-00202",
                "description": "Anchor bolt",
                "qty": "15",
                "uom": "EA",
                "price": "0.8",
                "requested_date": "2026-04-15",
                "ship_to": "WEST",
            },
        ],
    }
    assert (event.partner, event.channel, event.system) == ("ACME", "edi", "edi")


def test_an_order_names_the_messages_that_carry_it(read: Read, network: Network) -> None:
    event = read("order_850.edi", network).events[0]
    parties = "ZZ:BUYER/01:123456789"
    assert event.carries == (
        f"x12:set:{parties}/PO/11/1",
        f"x12:group:{parties}/PO/11",
        f"x12:interchange:{parties}/101",
    )


def test_what_we_send_is_dated_in_our_zone(read: Read, network: Network) -> None:
    event = read("order_850.edi", network).events[0]
    assert event.occurred_at == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # 09:00 in Berlin
    assert event.time_quality is TimeQuality.EXACT


def test_a_replacement_has_a_revision_and_lines_without_number_are_counted(
    read: Read, network: Network
) -> None:
    event = read("order_850.edi", network).events[1]
    assert event.type == "po.released"
    assert event.data["revision"] == "7"
    assert event.data["lines"] == [
        {
            "line": "1",
            "item": "000012345678",
            "qty": "3",
            "uom": "EA",
            "price": "4.25",
            "requested_date": "2026-04-12",  # of two deliveries the last one completes the line
        }
    ]


def test_the_material_class_of_a_line_is_its_category_and_no_description(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap(
        "850 BEG*00*SA*77**20260301~PO1*1*5*EA~PID*S*MAC*AS*FASTENERS*Bolts and nuts~"
        "PID*F****Hex bolt~PO1*2*1*EA~PID*F*08***Torque wrench~PID*F*MAC***Hand tools~"
        "PO1*3*1*EA~",
        **OURS,
    )
    (event,) = read(body, network).events
    assert [(one.get("category"), one.get("description")) for one in event.data["lines"]] == [
        ("FASTENERS", "Hex bolt"), ("Hand tools", "Torque wrench"), (None, None),
    ]  # fmt: skip


def test_a_cancelled_order_is_cancelled(read: Read, wrap: Wrap, network: Network) -> None:
    (event,) = read(wrap("850 BEG*01*SA*77**20260301~PO1*1*5*EA~", **OURS), network).events
    assert (event.type, event.data["lines"]) == ("po.cancelled", [])


def test_an_850_with_purpose_change_revises(read: Read, wrap: Wrap, network: Network) -> None:
    (event,) = read(wrap("850 BEG*04*SA*77**20260301~PO1*1*5*EA~", **OURS), network).events
    assert event.type == "po.revised"
    assert event.data["revision"] == "0001"  # the set that brought it, for want of a number


def test_an_order_change_says_what_happens_to_each_line(read: Read, network: Network) -> None:
    reading = read("change_860.edi", network)
    event = reading.events[0]
    assert (event.type, event.data["revision"]) == ("po.revised", "1")
    assert [(one["line"], one["action"]) for one in event.data["lines"]] == [
        ("10", "change"),
        ("20", "delete"),
        ("30", "add"),
        ("40", "unknown"),
    ]
    assert event.data["lines"][0]["qty"] == "44"
    assert event.data["lines"][0]["requested_date"] == "2026-04-05"
    assert [(f.code, f.got) for f in reading.findings] == [("unknown_code", "XX")]


def test_a_change_of_the_whole_order_to_nothing_cancels_it(read: Read, network: Network) -> None:
    event = read("change_860.edi", network).events[1]
    assert (event.type, event.data["po"]) == ("po.cancelled", "4500001236")


def test_an_order_without_number_is_a_dead_letter_at_its_element(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("850 BEG*00*SA***20260301~PO1*1*5*EA~", "850 BEG*00*SA*78~PO1*1*5*EA~", **OURS)
    reading = read(body, network)
    assert [event.data["po"] for event in reading.events] == ["78"]
    (letter,) = reading.dead_letters
    assert (letter.code, letter.position) == ("missing_key", "set:1")
    assert letter.offset == body.index(b"BEG*00*SA*") + len(b"BEG*00*SA*")
    assert "BEG03, the purchase order number, is empty" in letter.cause


def test_values_that_are_none_are_findings_and_left_out(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("850 BEG*00*QQ*77~DTM*002*20261399~PO1*1*many*EA*1,5~", **OURS)
    reading = read(body, network)
    (event,) = reading.events
    assert event.data["type"] == "unknown"
    assert event.data["lines"] == [{"line": "1", "uom": "EA"}]
    assert sorted((f.code, f.got) for f in reading.findings) == [
        ("bad_date", "20261399"),
        ("bad_number", "1,5"),
        ("bad_number", "many"),
        ("unknown_code", "QQ"),
    ]
    for finding in reading.findings:
        assert finding.offset is not None
        assert body[finding.offset :].startswith(finding.got.encode())


def test_without_times_of_transmission_the_documents_date_counts(
    read: Read, network: Network
) -> None:
    from_feed = network.model_copy(
        update={
            "sources": {"edi_in": network.sources["edi_in"].model_copy(update={"partner": "ACME"})}
        }
    )
    (event,) = read(b"ST*850*1~BEG*00*SA*77**20260301~SE*3*1~", from_feed).events
    assert event.occurred_at == datetime(2026, 2, 28, 23, 0, tzinfo=UTC)  # midnight in Berlin
    assert event.time_quality is TimeQuality.DATE
    assert event.carries == ()
    (event,) = read(b"ST*850*1~BEG*00*SA*77~SE*3*1~", from_feed).events
    assert event.time_quality is TimeQuality.OBSERVED


def test_years_of_two_digits_lie_around_the_receipt(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("850 BEG*00*SA*77~PO1*1*5*EA~DTM*002*991231~", "850 BEG*00*SA*78~PO1*1*5*EA~"
                "DTM*002*260401~", **OURS)  # fmt: skip
    dates = [e.data["lines"][0]["requested_date"] for e in read(body, network).events]
    assert dates == ["1999-12-31", "2026-04-01"]


def test_the_date_asked_for_counts_more_than_a_date_expected(
    read: Read, wrap: Wrap, network: Network
) -> None:
    dates = ["DTM*002*20260401~", "DTM*017*20260408~"]
    for order in (dates, dates[::-1]):
        body = wrap("850 BEG*00*SA*77~PO1*1*5*EA~" + "".join(order), **OURS)
        (event,) = read(body, network).events
        assert event.data["lines"][0]["requested_date"] == "2026-04-01"


def test_what_one_envelope_says_is_not_taken_for_the_next(read: Read, wrap: Wrap) -> None:
    """Parties, time and ids are worked out once for the sets of a group."""
    network = build_network(["ZZ:BUYER"], ["01:123456789"])
    network.partners["BETA"] = Partner(
        name="Beta", zone="America/Los_Angeles", ids=PartnerIds(isa=["01:987654321"])
    )
    answers = "855 BAK*00*AD*1*20260301~PO1*1*4*EA*9.50~", "855 BAK*00*AD*2*20260301~"
    acme = wrap(*answers)
    beta = wrap(*answers, sender="01*987654321", when="20260303*0700")
    events = read(acme + beta + acme, network).events
    assert [event.partner for event in events] == ["ACME"] * 2 + ["BETA"] * 2 + ["ACME"] * 2
    for event, alone in zip(
        events, [e for body in (acme, beta, acme) for e in read(body, network).events], strict=True
    ):
        assert (event.occurred_at, event.carries) == (alone.occurred_at, alone.carries)
    assert events[0].data["lines"][0]["price"] == "9.5"


def test_a_price_is_in_canonical_form_however_it_was_sent(read: Read, wrap: Wrap) -> None:
    sent = {"12.50": "12.5", "0.00": "0", "010.10": "10.1", ".5": "0.5", "3.": "3", ".00": "0"}
    lines = "".join(f"PO1*{n}*1*EA*{one}**IN*I{n}~" for n, one in enumerate(sent, 1))
    (order,) = read(wrap(f"850 BEG*00*SA*1**20260301~{lines}", **OURS)).events
    assert [line["price"] for line in order.data["lines"]] == list(sent.values())
