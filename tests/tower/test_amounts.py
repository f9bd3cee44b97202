"""Exact arithmetic on canonical decimal texts equals that of Decimal."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tower import amounts
from tower.vocabulary import decimal_text

texts = st.decimals(
    min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=4
).map(decimal_text)


@given(one=texts, other=texts)
def test_products_and_comparisons_are_exact(one: str, other: str) -> None:
    assert amounts.product(one, other) == decimal_text(Decimal(one) * Decimal(other))
    difference = Decimal(one) - Decimal(other)
    assert (amounts.compare(one, other) > 0) == (difference > 0)
    assert (amounts.compare(one, other) == 0) == (difference == 0) == amounts.same(one, other)
    assert amounts.remaining(one, other) == decimal_text(max(difference, Decimal(0)))


@given(known=st.lists(st.none() | texts, max_size=5))
def test_sums_leave_out_what_nobody_said(known: list[str | None]) -> None:
    told = [Decimal(one) for one in known if one is not None]
    assert amounts.total(known) == (decimal_text(sum(told)) if told else None)


@given(one=texts)
def test_a_sign_turns_twice(one: str) -> None:
    assert amounts.negative(amounts.negative(one)) == one
    assert amounts.positive(one) == (Decimal(one) > 0)
