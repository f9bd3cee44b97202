"""Functional acknowledgements find what they answer by numbers and swapped parties."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from collectors.x12.ids import group_id, interchange_id, set_id
from tower.network import Network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]


def test_an_acknowledgement_answers_the_ids_that_the_order_carries(
    read: Read, network: Network
) -> None:
    sent = read("order_850.edi", network).events
    answers = read("ack_997.edi", network).events
    by_kind = {event.position: event for event in answers}
    assert by_kind["set:1/ak2:1"].answers == (sent[0].carries[0],)
    assert by_kind["set:1/ak2:2"].answers == (sent[1].carries[0],)
    assert by_kind["set:1/ak9"].answers == (sent[0].carries[1],)
    assert by_kind["ta1:1"].answers == (sent[0].carries[2],)
    assert read("ack_999.edi", network).events[0].answers == (sent[0].carries[0],)


def test_each_set_has_its_own_verdict(read: Read, network: Network) -> None:
    events = read("ack_997.edi", network).events
    assert all(event.type == "fa.received" for event in events)
    assert [(e.data["answered"], e.data["code"], e.data["verdict"]) for e in events] == [
        ("interchange", "A", "accepted"),
        ("set", "E", "accepted_with_errors"),
        ("set", "R", "rejected"),
        ("group", "P", "accepted"),  # the set that is not named was taken
    ]
    assert len({event.id for event in events}) == 4


def test_errors_say_where_and_what(read: Read, network: Network) -> None:
    event = read("ack_997.edi", network).events[2]
    assert event.data["errors"] == [
        {
            "level": "segment",
            "code": "8",
            "text": "segment has faulty elements",
            "segment": "PO1",
            "place": "3",
        },
        {
            "level": "element",
            "code": "7",
            "text": "code not allowed",
            "segment": "PO1",
            "element": "4",
            "component": "2",
            "reference": "212",
            "value": "abc",
        },
        {"level": "set", "code": "5", "text": "segments are faulty"},
    ]


@pytest.mark.parametrize(
    ("content", "verdicts"),
    [
        ("AK1*PO*7~AK9*A*2*2*2~", [("group", "accepted")]),
        ("AK1*PO*7~AK9*P*2*2*1~", [("group", "part_accepted")]),
        ("AK1*PO*7~AK9*R*2*2*0*1~", [("group", "rejected")]),
        ("AK1*PO*7~AK2*850*1~AK9*A*1*1*1~", [("set", "accepted")]),
        ("AK1*PO*7~AK2*850*1~AK5*M~AK9*R*1*1*0~", [("set", "rejected")]),
        ("AK1*PO*7~AK2*850*1~AK5*X~AK9*A*2*2*1~", [("set", "rejected"), ("group", "accepted")]),
        ("AK1*PO*7~AK2*850*1~AK5*A~", [("set", "accepted")]),
        # Counts that are none say nothing of sets that were not named.
        ("AK1*PO*7~AK2*850*1~AK5*A~AK9*A*²*1*1~", [("set", "accepted")]),
        (f"AK1*PO*7~AK2*850*1~AK5*A~AK9*A*{'9' * 5000}*1*1~", [("set", "accepted")]),
    ],
)
def test_sets_that_are_not_named_take_the_verdict_of_the_group(
    read: Read, wrap: Wrap, network: Network, content: str, verdicts: list[tuple[str, str]]
) -> None:
    events = read(wrap(f"997 {content}", kind="FA"), network).events
    assert [(e.data["answered"], e.data["verdict"]) for e in events] == verdicts


def test_an_unknown_verdict_is_shown_and_is_no_acknowledgement(
    read: Read, wrap: Wrap, network: Network
) -> None:
    reading = read(wrap("997 AK1*PO*7~AK2*850*1~AK5*Q~AK9*A*1*1*1~", kind="FA"), network)
    (event,) = reading.events
    assert event.type == "message.received"
    assert event.answers == (set_id("ZZ:BUYER", "01:123456789", "PO", "7", "1"),)
    assert [f.code for f in reading.findings] == ["unknown_code"]


def test_what_we_acknowledge_is_a_message_sent(read: Read, network: Network) -> None:
    answer = read("answer_855.edi", network).events[0]
    (event,) = read("our_ack_997.edi", network).events
    assert event.type == "message.sent"
    assert event.answers == (answer.carries[0],)
    assert event.partner == "ACME"


def test_an_acknowledgement_from_a_stranger_still_finds_what_it_answers(
    read: Read, network: Network
) -> None:
    alone = network.model_copy(update={"partners": {}})
    events = read("ack_997.edi", alone).events
    assert [event.answers for event in events] == [
        event.answers for event in read("ack_997.edi", network).events
    ]
    assert all(event.partner is None for event in events)


def test_an_acknowledgement_without_envelope_answers_nothing_by_name(
    read: Read, network: Network
) -> None:
    (event,) = read(b"ST*997*1~AK1*PO*7~AK2*850*1~AK5*A~AK9*A*1*1*1~SE*6*1~", network).events
    assert event.type == "fa.received"
    assert event.answers == ()


def test_a_refused_interchange_tells_why(read: Read, wrap: Wrap, network: Network) -> None:
    body = wrap("855 BAK*00*AD*1~").replace(b"GS*", b"TA1*000000101*260302*0900*R*025~GS*", 1)
    event = read(body, network).events[0]
    assert event.data["verdict"] == "rejected"
    assert event.data["errors"] == [
        {"level": "interchange", "code": "025", "text": "interchange control number used before"}
    ]


@pytest.mark.parametrize("content", ["AK2*850*1~", "AK1*PO~AK9*A~", "AK1*PO*7~"])
def test_an_acknowledgement_of_nothing_is_a_dead_letter(
    read: Read, wrap: Wrap, network: Network, content: str
) -> None:
    reading = read(wrap(f"997 {content}", kind="FA"), network)
    assert reading.events == ()
    assert [letter.code for letter in reading.dead_letters] == ["missing_key"]


def test_ids_do_not_depend_on_zeros_or_blanks() -> None:
    assert set_id("A", "B", "PO ", "0007", "0001") == set_id("A", "B", "PO", "7", "1")
    assert group_id("A", "B", "PO", "000") == group_id("A", "B", "PO", "0")
    assert interchange_id("A", "B", "000000101") == interchange_id("A", "B", "101")
    assert set_id("A", "B", "PO", "7", "1") != set_id("B", "A", "PO", "7", "1")
