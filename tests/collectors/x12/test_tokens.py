from __future__ import annotations

import pytest

from collectors.x12 import tokens
from collectors.x12.tokens import Delimiters, Segment, Tokens, read_bare, read_isa

ISA = (
    b"ISA*00*          *00*          *ZZ*BUYER          *01*123456789      "
    b"*260302*0900*%b*%b*000000001*0*P*%b"
)


def isa(repetition: bytes = b"U", version: bytes = b"00401", end: bytes = b":~") -> bytes:
    return ISA % (repetition, version, end)


def test_delimiters_stand_at_their_fixed_places() -> None:
    assert read_isa(isa() + b"GS*PO~", 0) == Delimiters(b"*", b"~", b":")


@pytest.mark.parametrize(
    ("sign", "version", "meant"),
    [
        (b"^", b"00501", b"^"),
        (b"^", b"00402", b"^"),
        (b"^", b"00401", None),
        (b"U", b"00501", None),
        (b" ", b"00501", None),
        (b"5", b"00501", None),
    ],
)
def test_isa11_is_a_repetition_separator_only_from_00402_and_as_a_sign(
    sign: bytes, version: bytes, meant: bytes | None
) -> None:
    found = read_isa(isa(sign, version) + b"GS*PO~", 0)
    assert found is not None
    assert found.repetition == meant


@pytest.mark.parametrize(
    ("end", "component", "terminator"),
    [
        (b":~", b":", b"~"),
        (b":\n", b":", b"\n"),
        (b":\r\n", b":", b"\r"),
        (b":~\r\n", b":", b"~"),
        (b":\x1c", b":", b"\x1c"),
        (b":\xc3\x96", b":", b"\xc3\x96"),  # one character of two bytes
        (b":\xd6", b":", b"\xd6"),  # the same character in Latin-1
    ],
)
def test_terminators_of_any_kind_are_found(end: bytes, component: bytes, terminator: bytes) -> None:
    tail = end.removeprefix(b":")
    found = read_isa(isa(end=end) + b"GS*PO*A" + tail + b"ST*850*1" + tail, 0)
    assert found == Delimiters(b"*", terminator, component)


def test_an_isa16_left_out_does_not_hide_the_terminator() -> None:
    found = read_isa(isa(end=b"~\n") + b"GS*PO~\nST*850*1~\n", 0)
    assert found is not None
    assert (found.component, found.terminator, found.odd_isa16) == (b"", b"~", True)


def test_an_isa_that_lost_its_widths_is_read_by_its_separators() -> None:
    body = b"ISA*00**00**ZZ*A*ZZ*B*260302*0900*U*00401*1*0*P*>~GS*PO~"
    found = read_isa(body, 0)
    assert found is not None
    assert (found.component, found.terminator, found.fixed_width) == (b">", b"~", False)


def test_a_payload_without_terminators_has_no_delimiters() -> None:
    assert read_isa(isa(end=b">") + b"GS*PO*AST*850*1SE*2*1", 0) is None


@pytest.mark.parametrize(
    ("body", "terminator"),
    [
        (b"ST*997*0001~AK1*PO*1~", b"~"),
        (b"ST|855|0001|005010X1\nBAK|00\n", b"\n"),
        (b"GS*SH*A*B*20260302*0900*1*X*004010VICS'ST*856*1'", b"'"),
    ],
)
def test_a_payload_without_isa_tells_its_terminator_by_its_first_segment(
    body: bytes, terminator: bytes
) -> None:
    found = read_bare(body, 0)
    assert found is not None
    assert found.terminator == terminator


@pytest.mark.parametrize("window", [7, 64, 1 << 16])
def test_every_element_is_where_its_offset_says(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "WINDOW", window)
    body = b"\n\n  BEG*00*SA*PO-1~\r\n\tREF*DP* 038 ~~ \r\nN1**" + b"x" * 90 + b"~SE*1"
    reader = Tokens(body, 0, Delimiters(b"*", b"~"))
    segments = list(reader)
    assert [s.tag for s in segments] == ["BEG", "REF", "N1"]
    for segment in segments:
        for n in range(len(segment.fields)):
            offset, length = segment.place(n)
            assert body[offset : offset + length].decode() == segment.text(n)
        assert body[segment.offset : segment.end].split(b"*") == segment.fields
    assert reader.tail is not None
    assert reader.tail.fields == [b"SE", b"1"]


def test_components_and_repetitions_have_their_own_places() -> None:
    body = b"AK4*4:2:1*212*7~IK4*1^23*5~"
    composite, repeated = Tokens(body, 0, Delimiters(b"*", b"~", b":", b"^"))
    for segment, separator, texts in (
        (composite, b":", ["4", "2", "1"]),
        (repeated, b"^", ["1", "23"]),
    ):
        pieces = segment.pieces(1, separator)
        assert [piece.text for piece in pieces] == texts
        for piece in pieces:
            offset, length = piece.place
            assert body[offset : offset + length] == piece.raw


def test_text_that_is_not_utf8_is_read_as_latin1_and_found_again() -> None:
    segment = Segment([b"N1", b" Stra\xdfe "], 10)
    assert segment.text(1) == "Straße"
    assert segment.place(1) == (14, 6)


def test_an_element_that_was_not_sent_is_empty_at_the_end_of_its_segment() -> None:
    segment = Segment([b"BEG", b"00"], 5)
    assert segment.text(9) == ""
    assert segment.place(9) == (11, 0)
