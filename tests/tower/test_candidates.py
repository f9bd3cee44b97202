"""Which known number a wrong one may mean, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.candidates import LEAST_SIGNS, likeness, named_in, texts_of, variants


@pytest.mark.parametrize(
    ("came", "known", "why"),
    [
        ("0004500001234", "4500001234", "zeros in front"),
        ("4500-001234", "4500001234", "signs between"),
        ("4500001234-1", "4500001234", "the release"),
        ("PO4500001234", "4500001234", "the same digits"),
        ("45OO001234", "450O001234", "one sign differs"),
        ("4500001243", "4500001234", "exchanged"),
        ("450000123", "4500001234", "missing or too many"),
        ("45000012344", "4500001234", "missing or too many"),
    ],
)
def test_a_wrong_number_is_like_the_right_one(came: str, known: str, why: str) -> None:
    found = likeness(came, known)
    assert found is not None
    assert why in found.why


@pytest.mark.parametrize(
    ("came", "known"),
    [("4500001234", "4500009876"), ("1", "2"), ("123", "0123"), ("4500001234", "4500001234")],
)
def test_other_numbers_are_not(came: str, known: str) -> None:
    assert likeness(came, known) is None


def test_variants_find_a_known_order_by_its_number_alone() -> None:
    assert "4500001234" in variants("PO-0004500001234")
    assert "4500001234" in variants("4500001234-1")
    assert variants("12") == frozenset()


def test_numbers_in_texts_are_found_with_their_field() -> None:
    data = {
        "text": "order 4500001234 refused (HTTP 500)",
        "errors": [{"value": "PO/77-12"}],
        "tags": ["x", "AB-1234"],
        "n": 5,
    }
    found = named_in(texts_of(data))
    assert found["4500001234"] == "text"
    assert found["PO/77-12"] == "errors[0].value"
    assert found["AB-1234"] == "tags[1]"
    assert "order" not in found


@given(st.text(), st.text())
def test_no_text_breaks_it(one: str, other: str) -> None:
    found = likeness(one, other)
    assert found is None or 0 < found.score < 1
    assert all(len(variant) >= LEAST_SIGNS for variant in variants(one))
    named_in([("f", one)])
