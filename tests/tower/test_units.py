"""Units of measure: what is alike everywhere, what the network says, and what follows of it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tower.units import KNOWN, Units, parse, times

UNITS = Units(
    items={
        "B-100": {"CS": "12 EA", "PAL": "40 CS", "EA": "1 EA"},
        "LOOP": {"A1": "2 B1", "B1": "A1"},
    },
    partners={"ACME": {"cs": "6 EA", "STK": "PCE"}},
)


@pytest.mark.parametrize(
    ("unit", "other", "item", "partner", "expected"),
    [
        ("DZ", "EA", None, None, 12),
        ("PCE", "EA", None, None, 1),
        ("EA", "DZN", None, None, Fraction(1, 12)),
        ("CS", "EA", "B-100", "ACME", 12),  # the item before the partner
        ("CS", "EA", "B-200", "ACME", 6),
        ("EA", "CS", "B-100", None, Fraction(1, 12)),
        ("PAL", "DZ", "B-100", None, 40),
        ("stk", "EA", None, "ACME", 1),
        ("CS", "EA", None, None, None),
        ("EA", "KGM", None, None, None),
        ("LB", "KGM", None, None, Fraction("0.45359237")),
        ("ST", "EA", None, None, None),
        ("CS", "cs", None, None, 1),
        ("A1", "EA", "LOOP", None, None),
    ],
)
def test_how_many_of_one_are_one_of_the_other(
    unit: str, other: str, item: str | None, partner: str | None, expected: int | Fraction | None
) -> None:
    assert UNITS.factor(unit, other, item, partner) == expected


def test_every_known_code_converts_there_and_back() -> None:
    for code, (base, _) in KNOWN.items():
        there, back = UNITS.factor(code, base), UNITS.factor(base, code)
        assert there is not None
        assert back is not None
        assert there * back == 1


@pytest.mark.parametrize(
    ("amount", "factor", "expected"),
    [
        ("1", Fraction(12), "12"),
        ("12.50", Fraction(2), "25"),
        ("10", Fraction(1, 12), "0.833333333"),
        ("-3", Fraction(12), "-36"),
        ("0", Fraction(12), "0"),
        ("9.25", Fraction(1, 12), "0.770833333"),
    ],
)
def test_amounts_stay_canonical(amount: str, factor: Fraction, expected: str) -> None:
    assert times(amount, factor) == expected


def test_an_amount_of_a_unit_is_read() -> None:
    assert parse("12 EA") == (12, "EA")
    assert parse("stk") == (1, "STK")
    for wrong in ("", "12", "EA 12", "0 EA", "-1 EA"):
        with pytest.raises(ValueError, match="write it like"):
            parse(wrong)
