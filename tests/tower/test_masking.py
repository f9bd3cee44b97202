"""What is hidden by default, and that hiding keeps every place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tower.masking import (
    ADDRESS,
    ALL,
    OPEN,
    PERSON,
    PRICE,
    UNCLASSED,
    class_of_name,
    hidden_ranges,
    masked,
    masked_data,
    masked_headers,
)
from tower.structure import structure

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NOTHING: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("price", PRICE),
        ("lines[0].price", PRICE),
        ("unitPrice", PRICE),
        ("NETPR", PRICE),
        ("contactEmail", PERSON),
        ("street", ADDRESS),
        ("qty", OPEN),
        ("po", OPEN),
        ("favourite_colour", UNCLASSED),
    ],
)
def test_names_tell_the_class(name: str, kind: str) -> None:
    assert class_of_name(name) == kind


def shown(body: bytes, reveals: frozenset[str] = NOTHING) -> bytes:
    return masked(body, hidden_ranges(body, reveals))


def test_an_order_shows_its_numbers_and_hides_its_prices_and_people() -> None:
    body = (
        b"ISA*00*          *00*          *ZZ*US             *ZZ*THEM           *260101*0900*U*"
        b"00401*000000001*0*P*>~GS*PO*US*THEM*20260101*0900*1*X*004010~ST*850*0001~BEG*00*SA*4500**2026~"
        b"N1*ST*Harbour Depot*92*EAST~N3*Quay 4~PER*BD*Kim Lee*TE*5551234~PO1*10*40*EA*12.75**VP*A~"
        b"ZZZ*secret~"
    )
    seen = shown(body)
    assert len(seen) == len(body)
    for hidden in (b"Harbour", b"Quay", b"Kim", b"5551234", b"12.75", b"secret"):
        assert hidden not in seen
    for plain in (b"4500", b"EAST", b"PO1*10*40*EA*#####**VP*A"):
        assert plain in seen
    assert b"12.75" in shown(body, frozenset({PRICE}))
    assert shown(body, ALL) == body


def test_keys_of_json_stay_and_unknown_ones_hide_their_values() -> None:
    body = b'{"po": "45", "price": 7.5, "contact": {"name": "Kim"}, "blob": "x1"}'
    assert shown(body) == b'{"po": "45", "price": ###, "contact": {"name": "###"}, "blob": "##"}'


def test_text_without_structure_is_hidden_whole() -> None:
    assert shown(b"Kim called about 7.50") == b"#" * 21
    assert shown(b'{"po": "45" Kim called') == b'{"po": "45' + b"#" * 12


def test_the_name_of_a_field_that_was_read_counts_before_its_element() -> None:
    body = b'{"colour": "45", "qty": "9"}'
    read = [("po", 12, 2), ("price", 25, 1)]
    assert masked(body, hidden_ranges(body, NOTHING, read)) == b'{"colour": "45", "qty": "#"}'
    named = {"$.colour": "po", "$.qty": "price"}
    assert hidden_ranges(body, NOTHING, (), named) == hidden_ranges(body, NOTHING, read)


def test_data_and_headers() -> None:
    data = {"po": "1", "lines": [{"qty": "5", "price": "2.50"}]}
    assert masked_data(data, NOTHING) == {"po": "1", "lines": [{"qty": "5", "price": "####"}]}
    assert masked_headers({"Message-ID": "m1", "x-who": "Kim"}, NOTHING) == {
        "Message-ID": "m1",
        "x-who": "###",
    }


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("x12/*.edi")), ids=lambda p: p.name)
def test_a_masked_payload_has_the_same_segments(path: Path) -> None:
    body = path.read_bytes()
    assert structure(shown(body)).parts == structure(body).parts
