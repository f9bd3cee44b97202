"""Envelopes: wrong counts and references are findings, only what is missing is a dead letter."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from collectors.edifact.envelope import EnvelopeReader, Message
from collectors.envelope_faults import FINDINGS_LIMIT

Wrap = Callable[..., bytes]


def opened(body: bytes) -> tuple[EnvelopeReader, list[Message]]:
    reader = EnvelopeReader(body, "It")
    return reader, list(reader)


def codes(reader: EnvelopeReader) -> list[str]:
    return [finding.code for finding in reader.findings]


def test_messages_come_with_reference_type_and_version(wrap: Wrap) -> None:
    reader, messages = opened(wrap("ORDRSP BGM+231+1+29'", "DESADV BGM+351+2+9'CPS+1'"))
    assert [(m.type, m.version, m.reference, m.counted, m.closed) for m in messages] == [
        ("ORDRSP", "D96A", "1", 3, True),
        ("DESADV", "D96A", "2", 4, True),
    ]
    assert (reader.interchanges, reader.groups, reader.messages) == (1, 0, 2)
    assert codes(reader) == []
    assert reader.dead_letters == []


@pytest.mark.parametrize(
    ("old", "new", "code", "expected", "got"),
    [
        (b"UNT+3+1", b"UNT+7+1", "unt_count", "3", "7"),
        (b"UNT+3+1", b"UNT++1", "unt_count", "3", ""),
        (b"UNT+3+1", b"UNT+3+9", "unt_number", "1", "9"),
        (b"UNZ+1+77", b"UNZ+2+77", "unz_count", "1", "2"),
        (b"UNZ+1+77", b"UNZ+1+78", "unz_number", "77", "78"),
    ],
)
def test_wrong_counts_and_references_are_findings_with_their_place(
    wrap: Wrap, old: bytes, new: bytes, code: str, expected: str, got: str
) -> None:
    body = wrap("ORDRSP BGM+231+1+29'").replace(old, new)
    reader, messages = opened(body)
    assert len(messages) == 1
    (finding,) = reader.findings
    assert (finding.code, finding.expected, finding.got) == (code, expected, got)
    assert finding.offset is not None
    assert body[finding.offset : finding.offset + len(got)] == got.encode()
    assert reader.dead_letters == []


def test_zeros_in_front_of_references_do_not_count(wrap: Wrap) -> None:
    reader, _ = opened(wrap("ORDRSP BGM+231+1+29'").replace(b"UNT+3+1", b"UNT+003+0001"))
    assert codes(reader) == []


def test_groups_are_counted_in_their_interchange() -> None:
    body = (
        b"UNB+UNOA:3+A+B+260302:0900+7'UNG+ORDRSP+A+B+260302:0900+5+UN+D:96A'"
        b"UNH+1+ORDRSP:D:96A:UN'UNT+2+1'UNE+1+5'UNG+DESADV+A+B++6'UNE+1+9'UNZ+1+7'"
    )
    reader, (message,) = opened(body)
    assert message.group is not None
    assert message.group.reference == "5"
    assert reader.groups == 2
    assert [(f.code, f.expected, f.got) for f in reader.findings] == [
        ("une_count", "0", "1"),
        ("une_number", "6", "9"),
        ("unz_count", "2", "1"),
    ]


def test_ends_without_beginnings_and_the_other_way_are_findings() -> None:
    body = b"UNB+UNOA:3+A+B+260302:0900+7'UNT+1+1'UNE+1+1'FTX+1'FTX+2'UNG+A'UNG+B'UNZ+2+7'"
    reader, messages = opened(body)
    assert messages == []
    assert codes(reader) == [
        "unt_without_unh",
        "une_without_ung",
        "stray_segment",
        "une_missing",
        "une_missing",
    ]


def test_a_message_without_its_end_costs_only_itself(wrap: Wrap) -> None:
    body = wrap("ORDRSP BGM+231+1+29'", "ORDRSP BGM+231+2+29'").replace(b"UNT+3+1'", b"")
    reader, messages = opened(body)
    assert [m.closed for m in messages] == [False, True]
    (letter,) = reader.dead_letters
    assert (letter.code, letter.position) == ("message_not_closed", "message:1")
    assert letter.offset == body.index(b"UNH+2")
    assert "before the UNH at byte" in letter.cause


def test_a_cut_payload_says_where(wrap: Wrap) -> None:
    whole = wrap("ORDRSP BGM+231+1+29'", "ORDRSP BGM+231+2+29'")
    for cut, position in (
        (whole.index(b"UNT+3+2"), "message:2"),
        (whole.index(b"UNZ"), "interchange:1"),
    ):
        reader, _ = opened(whole[:cut])
        (letter,) = reader.dead_letters
        assert (letter.code, letter.position, letter.offset) == ("truncated", position, cut)


def test_the_last_terminator_may_be_missing(wrap: Wrap) -> None:
    whole = wrap("ORDRSP BGM+231+1+29'")
    reader, messages = opened(whole[:-1])
    assert reader.dead_letters == []
    assert [m.closed for m in messages] == [True]
    bare = whole[whole.index(b"UNH") : whole.index(b"UNZ") - 1]
    reader, messages = opened(bare)
    assert [m.closed for m in messages] == [True]
    assert reader.dead_letters == []


def test_several_interchanges_with_signs_of_their_own(wrap: Wrap) -> None:
    first = wrap("ORDRSP BGM+231+1+29'")
    other = b"UNA*@.! #UNB@UNOA*3@A@B@260302*0900@8#UNH@1@ORDERS*D*96A#UNT@2@1#UNZ@1@8#"
    reader, messages = opened(b"\xef\xbb\xbf" + first + b"\r\n" + other + b"\n\n" + first)
    assert [m.type for m in messages] == ["ORDRSP", "ORDERS", "ORDRSP"]
    assert reader.interchanges == 3
    assert codes(reader) == []
    assert reader.una == [b"", b"*@.! #", b""]


def test_an_interchange_that_begins_before_the_last_one_ended(wrap: Wrap) -> None:
    whole = wrap("ORDRSP BGM+231+1+29'")
    reader, messages = opened(whole[: whole.index(b"UNZ")] + whole)
    assert len(messages) == 2
    assert [letter.code for letter in reader.dead_letters] == ["truncated"]


def test_junk_around_interchanges_is_told(wrap: Wrap) -> None:
    whole = wrap("ORDRSP BGM+231+1+29'")
    reader, messages = opened(b"Dear all,\n" + whole + b"bye " + whole)
    assert len(messages) == 2
    assert codes(reader) == ["junk", "junk"]


def test_a_file_without_unb_is_read_and_told() -> None:
    reader, messages = opened(b"UNH+1+ORDERS:D:96A:UN'BGM+220+1'UNT+3+1'")
    assert [m.type for m in messages] == ["ORDERS"]
    assert messages[0].interchange is None
    assert codes(reader) == ["no_envelope"]


def test_a_test_interchange_is_told() -> None:
    body = b"UNB+UNOA:3+A+B+260302:0900+7++++++1'UNZ+0+7'"
    reader, _ = opened(body)
    assert codes(reader) == ["test_interchange"]


def test_noise_does_not_bring_endless_findings() -> None:
    reader, _ = opened(b"UNB+UNOA:3+A+B+260302:0900+7'" + b"UNT+1+1'" * 5000)
    assert codes(reader)[:FINDINGS_LIMIT] == ["unt_without_unh"] * FINDINGS_LIMIT
    assert len(reader.findings) == FINDINGS_LIMIT + 1
    assert codes(reader)[-1] == "more_findings"


def test_a_message_may_be_left_half_read(wrap: Wrap) -> None:
    reader = EnvelopeReader(wrap("ORDRSP BGM+231+1+29'FTX+1'", "ORDRSP BGM+231+2+29'"), "It")
    seen = []
    for message in reader:
        seen.append(next(message.segments).text(1))
    assert seen == ["1", "2"]
    assert codes(reader) == []
