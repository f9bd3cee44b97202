"""Quantities and money as documents keep them: exact decimal texts; None = nobody said.

The texts are canonical (vocabulary.decimal_text): digits with at most one point, no exponent. So
arithmetic is that of whole numbers with a scale, exact and several times as quick as Decimal.
"""

from __future__ import annotations

from collections.abc import Sequence


def _scaled(amount: str) -> tuple[int, int]:
    """(whole number, places after the point)."""
    whole, _, part = amount.partition(".")
    return int(whole + part), len(part)


def _text(value: int, places: int) -> str:
    if not places:
        return str(value)
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(places + 1, "0")
    part = digits[-places:].rstrip("0")
    return f"{sign}{digits[:-places]}.{part}" if part else f"{sign}{digits[:-places]}"


def total(amounts: Sequence[str | None]) -> str | None:
    """Sum of the known amounts; None if none is known."""
    if len(amounts) == 1:
        return amounts[0]
    known = [amount for amount in amounts if amount is not None]
    if len(known) < 2:
        return known[0] if known else None
    if "." not in "".join(known):
        return str(sum(map(int, known)))
    parts = [_scaled(amount) for amount in known]
    places = max([p for _, p in parts])
    return _text(sum([n * 10 ** (places - p) for n, p in parts]), places)


def product(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return None
    (a, x), (b, y) = _scaled(one), _scaled(other)
    return _text(a * b, x + y)


def compare(one: str, other: str) -> int:
    """Below zero if ``one`` is less, above if it is more."""
    if "." not in one and "." not in other:
        return int(one) - int(other)
    (a, x), (b, y) = _scaled(one), _scaled(other)
    places = max(x, y)
    return int(a * 10 ** (places - x)) - int(b * 10 ** (places - y))


def remaining(whole: str | None, done: str | None) -> str | None:
    """What is left of ``whole``, never below zero; None if the whole is not known."""
    if whole is None or done is None:
        return whole
    left = total([whole, negative(done)])
    return left if positive(left) else "0"


def negative(amount: str) -> str:
    return amount[1:] if amount.startswith("-") else amount if amount == "0" else f"-{amount}"


def same(one: str | None, other: str | None) -> bool:
    """Canonical texts are equal exactly when their amounts are."""
    return one == other


def positive(amount: str | None) -> bool:
    return amount is not None and amount != "0" and not amount.startswith("-")
