"""Natural numbers in texts that others write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.numerals import LONGEST, natural


@pytest.mark.parametrize("text", ["", "²", "١٢", "1_000", " 1", "+1", "-1", "1.0", "9" * 5000])
def test_what_writes_no_number_is_none(text: str) -> None:
    assert natural(text) is None


@given(st.text(max_size=30))
def test_no_text_fails_and_a_number_is_read_as_it_is_written(text: str) -> None:
    found = natural(text)
    if found is not None:
        assert str(found) == (text.lstrip("0") or "0")


@given(st.integers(0, 10**LONGEST - 1))
def test_every_number_of_so_many_digits_is_read(number: int) -> None:
    assert natural(str(number)) == number
    assert natural(f"{number:09}", 9) == (number if number < 10**9 else None)
