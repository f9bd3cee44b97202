"""Bad input: nothing is lost, each dead letter says what, where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from collectors.edifact import interpreter
from collectors.edifact.interpreter import EdifactInterpreter
from tests.collectors.edifact.conftest import build_network
from tower.network import Network
from tower.raw import Interpretation, Raw

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]
RECEIVED_AT = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "code", "offset"),
    [
        (b"", "empty", 0),
        (b" \r\n\x1a", "empty", 0),
        (b"UNA:+.? '", "truncated", 9),
        (b"UNB", "truncated", 3),
        (b"UNB+UNOA:3", "truncated", 10),
        (b"UNH+1+ORDERS", "truncated", 12),
        (b"UN", "no_envelope", 0),
        (b'{"po": 7}', "no_envelope", 0),
        (b"ISA*00*          *00*", "no_envelope", 0),
        (b"%PDF-1.7 \x00\xff", "no_envelope", 0),
        (b"UNA++++++" + b"x" * 200, "no_delimiters", 0),
        ("UNB+UNOA:3".encode("utf-16"), "undecodable", 0),
        ("UNB+UNOA:3".encode("cp037"), "undecodable", 0),
    ],
)
def test_what_is_unreadable_as_a_whole_is_quarantined(
    read: Read, network: Network, body: bytes, code: str, offset: int
) -> None:
    reading = read(body, network)
    assert reading.outcome == "quarantined"
    (letter,) = reading.dead_letters
    assert (letter.code, letter.offset) == (code, offset)
    assert "edi_in/test.edi" in letter.cause
    assert letter.advice


def test_a_stranger_is_a_dead_letter_that_names_the_id(read: Read, network: Network) -> None:
    alone = network.model_copy(update={"partners": {}})
    reading = read("ordrsp.edi", alone)
    assert reading.events == ()
    letter = reading.dead_letters[0]
    assert (letter.code, letter.position, letter.offset) == ("unknown_partner", "message:1", 11)
    assert "comes from 4012345000009:14" in letter.cause
    assert 'Add "4012345000009:14" to ids.unb of a partner in network.yaml' in letter.advice


def test_an_order_to_a_stranger_names_the_receiver(read: Read, network: Network) -> None:
    alone = network.model_copy(update={"partners": {}})
    letters = read("orders.edi", alone).dead_letters
    assert [letter.position for letter in letters] == ["message:1", "message:2"]
    assert "goes to 4012345000009:14" in letters[0].cause


def test_a_message_without_envelope_belongs_to_the_partner_of_its_feed(read: Read) -> None:
    body = b"UNH+1+ORDRSP:D:96A:UN'BGM+231+1+29'RFF+ON:77'UNT+4+1'"
    (letter,) = read(body).dead_letters
    assert letter.code == "unknown_partner"
    assert "ids" not in letter.advice
    (event,) = read(body, build_network(feed_partner="ACME")).events
    assert (event.partner, event.data["supplier"]) == ("ACME", "ACME")
    assert event.carries == ()


def test_a_partner_may_be_known_by_its_group_by_who_brought_it_or_by_what_it_says(
    read: Read,
) -> None:
    def body(group: str, inside: str = "") -> bytes:
        return (
            f"UNB+UNOC:3+VAN:ZZ+4098765000010:14+260302:0900+7'{group}UNH+1+ORDRSP:D:96A:UN'"
            f"BGM+231+1+29'RFF+ON:77'{inside}UNT+4+1'UNZ+1+7'"
        ).encode()

    assert read(body("")).events == ()
    (event,) = read(body("UNG+ORDRSP+4012345000009:14+B'")).events
    assert event.partner == "ACME"
    (event,) = read(body("", "NAD+SU+4012345000009::9'")).events
    assert event.partner == "ACME"
    raw = Raw("edi_in", "k", body(""), RECEIVED_AT, headers={"partner": "ACME"})
    (event,) = EdifactInterpreter().interpret(raw, build_network()).events
    assert event.partner == "ACME"


def test_messages_we_do_not_read_are_findings(read: Read, wrap: Wrap) -> None:
    reading = read(wrap("PRICAT BGM+9+1+9'", "ORDRSP BGM+231+1+29'RFF+ON:7'", "ORDERS BGM+220+9'"))
    assert [event.type for event in reading.events] == ["po.acknowledged"]
    assert [(f.code, f.position, f.got) for f in reading.findings] == [
        ("unsupported", "message:1", "PRICAT"),
        ("unsupported", "message:3", "ORDERS"),  # an order to us: we are no supplier here
    ]
    assert reading.dead_letters == ()


def test_one_bad_message_does_not_cost_its_neighbours(read: Read, wrap: Wrap) -> None:
    good = "ORDRSP BGM+231+1+29'RFF+ON:{}'"
    body = wrap(good.format(1), "ORDRSP BGM+231+1+29'", good.format(3))
    reading = read(body)
    assert [event.data["po"] for event in reading.events] == ["1", "3"]
    assert [event.position for event in reading.events] == ["message:1", "message:3"]
    assert [reading.origins[n][0].field for n in (0, 1)] == ["po", "po"]
    (letter,) = reading.dead_letters
    assert (letter.code, letter.position, letter.partner) == ("missing_key", "message:2", "ACME")
    assert letter.offset == body.index(b"BGM", body.index(b"UNH+2"))


def test_a_message_is_read_whole_or_not_at_all(read: Read, wrap: Wrap) -> None:
    uci = "UCI+9+4098765000010:14+4012345000009:14+7'"
    body = wrap(f"CONTRL {uci}UCM+1+ORDERS+4'UCM++ORDERS+4'", "ORDRSP BGM+231+1+29'RFF+ON:1'")
    reading = read(body)
    assert [event.position for event in reading.events] == ["message:2"]
    assert {origin.field for origin in reading.origins[0]} >= {"po", "answer"}
    assert [letter.position for letter in reading.dead_letters] == ["message:1"]


def test_a_message_whose_end_is_missing_gives_nothing_but_its_dead_letter(
    read: Read, wrap: Wrap
) -> None:
    good = "ORDRSP BGM+231+1+XX'RFF+ON:{}'"
    body = wrap(good.format(1), good.format(2)).replace(b"UNT+4+1'", b"")
    reading = read(body)
    assert [event.position for event in reading.events] == ["message:2"]
    assert [letter.code for letter in reading.dead_letters] == ["message_not_closed"]
    assert {f.position for f in reading.findings} == {"message:2"}


def test_a_fault_of_ours_costs_one_message_and_names_the_version(
    read: Read, wrap: Wrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(reading: object) -> None:
        raise ZeroDivisionError

    kinds = dict(interpreter._KINDS)
    kinds["ORDRSP"] = interpreter._Kind(fail, from_us=False, from_partner=True)
    monkeypatch.setattr(interpreter, "_KINDS", kinds)
    reading = read(wrap("ORDRSP BGM+231+1+29'RFF+ON:1'", "INVOIC BGM+380+I1+9'"))
    assert [event.type for event in reading.events] == ["invoice.received"]
    (letter,) = reading.dead_letters
    assert (letter.code, letter.position) == ("crash", "message:1")
    assert f"version {EdifactInterpreter.version}" in letter.cause


def test_reading_again_gives_the_same_ids_whatever_the_time_and_name(
    network: Network, wrap: Wrap
) -> None:
    body = wrap("ORDRSP BGM+231+1+29'RFF+ON:1'", "ORDRSP BGM+231+1+29'RFF+ON:1'")
    first = EdifactInterpreter().interpret(Raw("edi_in", "k", body, RECEIVED_AT), network)
    again = EdifactInterpreter().interpret(Raw("edi_in", "k", body, RECEIVED_AT, name="b"), network)
    assert first == again
    assert len({event.id for event in first.events}) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"UNB+UNOA:3+A+B+260302:0900+1'" + b"?'" * 200_000,
        b"UNB+UNOA:3+A+B+260302:0900+1'" + b"?" * 400_001,
        b"UNB+UNOA:3+A+B+260302:0900+1'UNH+1+ORDERS:D'BGM" + b"?+" * 200_000,
        b"UNB+UNOA:3+A+B+260302:0900+1'UNH+1+ORDERS:D'BGM+220+1'" + b"LIN'" * 50_000,
        b"UNA:+.? 'UNB" * 20_000,
    ],
    ids=["released terminators", "releases", "released separators", "lines", "beginnings"],
)
def test_hostile_input_is_read_in_one_pass(read: Read, body: bytes) -> None:
    """Each would take minutes if its bytes were looked at again and again."""
    reading = read(body)
    assert reading.dead_letters or reading.findings
    assert len(reading.findings) < 1500
