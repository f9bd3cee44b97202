"""Bad input: nothing is lost, each dead letter says what, where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from collectors.x12 import interpreter
from collectors.x12.interpreter import X12Interpreter
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
        (b"ISA*00*     ", "truncated", 12),
        (b"IS", "no_envelope", 0),
        (b'{"po": 7}', "no_envelope", 0),
        (b"%PDF-1.7 \x00\xff", "no_envelope", 0),
        (b"ISA" + b" " * 200, "no_delimiters", 0),
        ("ISA*00*".encode("utf-16"), "undecodable", 0),
        ("ISA*00*".encode("cp037"), "undecodable", 0),
        (b"ISA*00*" + b"x" * 600, "no_delimiters", 0),
        (b"ST", "truncated", 2),
    ],
)
def test_what_is_unreadable_as_a_whole_is_quarantined(
    read: Read, network: Network, body: bytes, code: str, offset: int
) -> None:
    reading = read(body, network)
    assert reading.outcome == "quarantined"
    (letter,) = reading.dead_letters
    assert (letter.code, letter.offset, letter.position) == (code, offset, "")
    assert "edi_in/test.edi" in letter.cause
    assert letter.advice


def test_the_first_bytes_of_what_is_unreadable_are_shown(read: Read, network: Network) -> None:
    (letter,) = read(b'{"po": 7, "note": "\xff"}', network).dead_letters
    assert '{"po": 7, "note": "\\xff"}' in letter.cause


def test_a_stranger_is_a_dead_letter_that_names_the_id(read: Read, network: Network) -> None:
    alone = network.model_copy(update={"partners": {}})
    reading = read("answer_855.edi", alone)
    assert reading.events == ()
    (letter,) = reading.dead_letters
    assert (letter.code, letter.position, letter.offset) == ("unknown_partner", "set:1", 35)
    assert "comes from ISA id 01:123456789" in letter.cause
    assert 'Add "01:123456789" to ids.isa of a partner in network.yaml' in letter.advice


def test_an_order_to_a_stranger_names_the_receiver(read: Read, network: Network) -> None:
    alone = network.model_copy(update={"partners": {}})
    letters = read("order_850.edi", alone).dead_letters
    assert [letter.position for letter in letters] == ["set:1", "set:2"]
    assert "goes to ISA id 01:123456789" in letters[0].cause


def test_a_set_without_envelope_belongs_to_the_partner_of_its_feed(
    read: Read, network: Network
) -> None:
    body = b"ST*855*1~BAK*00*AD*77~SE*3*1~"
    (letter,) = read(body, network).dead_letters
    assert letter.code == "unknown_partner"
    feed = network.sources["edi_in"].model_copy(update={"partner": "ACME"})
    named = network.model_copy(update={"sources": {"edi_in": feed}})
    (event,) = read(body, named).events
    assert (event.partner, event.data["supplier"]) == ("ACME", "ACME")


def test_a_partner_may_be_known_by_its_group_or_by_who_brought_it(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("855 BAK*00*AD*77~", sender="ZZ*VAN")
    acme = network.partners["ACME"]
    by_group = acme.model_copy(update={"ids": acme.ids.model_copy(update={"gs": ["A"]})})
    (event,) = read(body, network.model_copy(update={"partners": {"ACME": by_group}})).events
    assert event.partner == "ACME"
    raw = Raw("edi_in", "k", body, RECEIVED_AT, headers={"partner": "ACME"})
    (event,) = X12Interpreter().interpret(raw, network).events
    assert event.partner == "ACME"


def test_sets_we_do_not_read_are_findings(read: Read, wrap: Wrap, network: Network) -> None:
    body = wrap("830 BFR*00*1~", "855 BAK*00*AD*77~", "850 BEG*00*SA*9~")
    reading = read(body, network)
    assert [event.type for event in reading.events] == ["po.acknowledged"]
    assert [(f.code, f.position, f.got) for f in reading.findings] == [
        ("unsupported", "set:1", "830"),
        ("unsupported", "set:3", "850"),  # an order to us: we are no supplier here
    ]
    assert reading.dead_letters == ()


def test_one_bad_set_does_not_cost_its_neighbours(read: Read, wrap: Wrap, network: Network) -> None:
    reading = read(wrap("855 BAK*00*AD*1~", "855 REF*ZZ*1~", "855 BAK*00*AD*3~"), network)
    assert [event.data["po"] for event in reading.events] == ["1", "3"]
    assert [event.position for event in reading.events] == ["set:1", "set:3"]
    assert reading.origins[1][0].field == "po"
    (letter,) = reading.dead_letters
    assert (letter.code, letter.position, letter.partner) == ("missing_key", "set:2", "ACME")


def test_a_set_is_read_whole_or_not_at_all(read: Read, wrap: Wrap, network: Network) -> None:
    broken = "997 AK1*PO*7~AK2*850*1~AK5*A~AK2*850~AK5*A~AK9*A*2*2*2~"
    reading = read(wrap(broken, "855 BAK*00*AD*1~"), network)
    assert [event.position for event in reading.events] == ["set:2"]
    assert list(reading.origins) == [0]
    assert {origin.field for origin in reading.origins[0]} >= {"po", "answer"}
    assert [letter.position for letter in reading.dead_letters] == ["set:1"]


def test_a_fault_of_ours_costs_one_set_and_names_the_version(
    read: Read, wrap: Wrap, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(reading: object) -> None:
        raise ZeroDivisionError

    kinds = dict(interpreter._KINDS)
    kinds["855"] = interpreter._Kind(fail, from_us=False, from_partner=True)
    monkeypatch.setattr(interpreter, "_KINDS", kinds)
    reading = read(wrap("855 BAK*00*AD*1~", "810 BIG*20260301*I1~"), network)
    assert [event.type for event in reading.events] == ["invoice.received"]
    (letter,) = reading.dead_letters
    assert (letter.code, letter.position) == ("crash", "set:1")
    assert f"version {X12Interpreter.version}" in letter.cause


def test_reading_again_gives_the_same_ids_whatever_the_time_and_name(
    network: Network, wrap: Wrap
) -> None:
    body = wrap("855 BAK*00*AD*1~", "855 BAK*00*AD*1~")
    first = X12Interpreter().interpret(Raw("edi_in", "k", body, RECEIVED_AT), network)
    again = X12Interpreter().interpret(Raw("edi_in", "k", body, RECEIVED_AT, name="b"), network)
    assert first == again
    assert len({event.id for event in first.events}) == 2
