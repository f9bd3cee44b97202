"""Service characters, release characters, wrapped lines, character sets; every place is true."""

from __future__ import annotations

import pytest

from collectors.edifact import tokens
from collectors.edifact.tokens import Segment, Signs, Tokens, read_beginning

UNB = b"UNB+UNOC:3+A+B+260302:0900+1'"


def segments(body: bytes, signs: Signs | None = None) -> list[Segment]:
    beginning = read_beginning(body, 0)
    assert beginning is not None
    return list(Tokens(body, beginning.at, signs or beginning.signs))


def one(text: bytes) -> Segment:
    (segment,) = Tokens(text + b"'", 0, Signs())
    return segment


def test_without_una_the_usual_signs_hold() -> None:
    beginning = read_beginning(UNB, 0)
    assert beginning is not None
    signs = beginning.signs
    assert (signs.component, signs.element, signs.release, signs.terminator) == (
        b":",
        b"+",
        b"?",
        b"'",
    )
    assert (signs.codec, signs.repetition) == ("iso8859-1", None)


def test_una_names_other_signs() -> None:
    body = b"UNA*@.! #\r\nUNB@UNOA*3@A*1@B#BGM@220@7!#8*x!@y#"
    unb, bgm = segments(body)
    assert unb.text(2) == "A"
    assert (bgm.text(1), bgm.text(2), bgm.text(2, 2)) == ("220", "7#8", "x@y")


@pytest.mark.parametrize(
    ("head", "odd"),
    [
        (b"UNA:+.?'", True),  # the reserved blank was left out
        (b"UNA:+.? '\n\n", False),
    ],
)
def test_a_una_may_be_short_or_followed_by_line_ends(head: bytes, odd: bool) -> None:
    beginning = read_beginning(head + UNB, 0)
    assert beginning is not None
    assert beginning.odd is odd
    assert beginning.at == len(head)
    assert beginning.signs.terminator == b"'"


def test_signs_that_cannot_be_told_apart_are_refused() -> None:
    assert read_beginning(b"UNA++.? '" + UNB, 0) is None
    assert read_beginning(b"UNA:+.? A" + UNB, 0) is None
    assert read_beginning(b"UNBxUNOA", 0) is None


def test_other_signs_without_una_are_found() -> None:
    level_b = b"UNB\x1dUNOB\x1f1\x1dA\x1dB\x1cUNH\x1d1\x1dORDERS\x1fD\x1c"
    assert [s.text(2) for s in segments(level_b)] == ["A", "ORDERS"]
    unsaid = b"UNB*UNOA>3*A*B*260302>0900*1~\nUNH*1*ORDERS>D~"
    beginning = read_beginning(unsaid, 0)
    assert beginning is not None
    assert beginning.odd
    assert [s.text(2, 2) for s in segments(unsaid)] == ["", "D"]


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b"FTX+a?+b+c", ["a+b", "c"]),
        (b"FTX+a??+c", ["a?", "c"]),
        (b"FTX+a???+b+c", ["a?+b", "c"]),
        (b"FTX+a????+c", ["a??", "c"]),
        (b"FTX+?'?+?:??+c", ["'+:?", "c"]),
    ],
)
def test_released_signs_stand_for_themselves(raw: bytes, texts: list[str]) -> None:
    segment = one(raw)
    assert [segment.text(1), segment.text(2)] == texts


def test_a_released_terminator_does_not_end_a_segment() -> None:
    found = list(Tokens(b"FTX+it?'s??'NAD+BY'", 0, Signs()))
    assert [s.text(1) for s in found] == ["it's?", "BY"]
    assert [s.offset for s in found] == [0, 12]


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8, 13])
def test_windows_of_any_size_give_the_same_segments(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"FTX+a?'b??'\r\nNAD+B?+Y:1??:2'X'''?''\nLIN+1?'''CUT+1"
    whole = [(s.fields, s.offset) for s in Tokens(body, 0, Signs())]
    monkeypatch.setattr(tokens, "WINDOW", window)
    parts = Tokens(body, 0, Signs())
    assert [(s.fields, s.offset) for s in parts] == whole
    assert parts.tail is not None
    assert parts.tail.fields == [b"CUT", b"1"]


def test_components_have_places_of_their_own() -> None:
    body = b"QTY+21:40:EA'DTM+2:?+1?:0:102'"
    qty, dtm = Tokens(body, 0, Signs())
    for segment, element, component, part in [
        (qty, 0, 0, b"QTY"),
        (qty, 1, 0, b"21:40:EA"),
        (qty, 1, 2, b"40"),
        (qty, 1, 3, b"EA"),
        (dtm, 1, 2, b"?+1?:0"),
        (dtm, 1, 3, b"102"),
    ]:
        offset, length = segment.place(element, component)
        assert body[offset : offset + length] == part
    assert dtm.text(1, 2) == "+1:0"
    assert qty.place(1, 7) == (12, 0)
    assert qty.place(9) == (12, 0)


def test_wrapped_lines_change_no_value_and_no_place() -> None:
    body = b"BG\r\nM+220+45000\r\n01234+9\r\n'\r\nDTM+13\n7:20260302:10\n2'"
    bgm, dtm = Tokens(body, 0, Signs())
    assert (bgm.tag, bgm.text(2), bgm.text(3)) == ("BGM", "4500001234", "9")
    assert (dtm.text(1), dtm.text(1, 2), dtm.text(1, 3)) == ("137", "20260302", "102")
    offset, length = bgm.place(2, 1)
    assert body[offset : offset + length] == b"45000\r\n01234"
    offset, length = bgm.place(3, 1)
    assert body[offset : offset + length] == b"9"
    assert bgm.end == body.index(b"'")


@pytest.mark.parametrize(
    ("level", "raw", "text"),
    [
        (b"UNOA", b"ABC", "ABC"),
        (b"UNOB", b"abc", "abc"),
        (b"UNOC", b"\xe4", "ä"),
        (b"UNOD", b"\xb3\xf3d\xbc", "łódź"),
        (b"UNOE", b"\xbf", "П"),
        (b"UNOF", b"\xe1", "α"),
        (b"UNOK", b"\xfd", "ı"),
        (b"UNOY", "тест".encode(), "тест"),
        (b"UNOW", "ä".encode(), "ä"),
    ],
)
def test_the_character_set_of_unb_decides_what_bytes_mean(
    level: bytes, raw: bytes, text: str
) -> None:
    body = b"UNB+" + level + b":3+A+B'FTX+" + raw + b"'"
    assert segments(body)[1].text(1) == text


def test_bytes_outside_the_character_set_are_read_and_told() -> None:
    body = b"UNB+UNOA:3+A+B'FTX+" + "ä".encode() + b"'FTX+\xe4'"
    beginning = read_beginning(body, 0)
    assert beginning is not None
    found = Tokens(body, beginning.at, beginning.signs)
    assert [s.text(1) for s in found][1:] == ["ä", "ä"]
    assert found.foreign == body.index(b"\xc3")


def test_a_mark_of_utf8_outweighs_unb() -> None:
    body = b"\xef\xbb\xbfUNB+UNOC:3+A+B'FTX+" + "ä".encode() + b"'"
    beginning = read_beginning(body, 3)
    assert beginning is not None
    assert [s.text(1) for s in Tokens(body, beginning.at, beginning.signs)][1] == "ä"


def test_repetitions_exist_from_version_4_on() -> None:
    for version, first in ((b"3", "a*b"), (b"4", "a")):
        body = b"UNB+UNOC:" + version + b"+A+B'COM+a*b:TE'"
        assert segments(body)[1].text(1) == first
    body = b"UNA:+.?|'UNB+UNOC:4+A+B'COM+a|b:TE'"
    com = segments(body)[1]
    assert (com.text(1), com.text(1, 2)) == ("a", "")
