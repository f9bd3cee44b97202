"""What an unmatched thing may belong to: a guess for a person to judge, never acted upon by itself.

Numbers go wrong in a few ways: zeros in front lost or added, a prefix or a release behind, a sign
mistyped or two exchanged. Or the number stands in a text where no program looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

MOST_TOKENS = 60
LEAST_SIGNS = 4  # a shorter number is alike to too many

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{2,38}[A-Za-z0-9]")
_RELEASE = re.compile(r"[-/_. ]\d{1,3}\Z")


class Likeness(NamedTuple):
    """Why one number may mean the other. ``score`` from 0 to 1 orders candidates, no more."""

    score: float
    why: str


def variants(number: str) -> frozenset[str]:
    """Other writings of a number under which the order may be known."""
    bare = number.strip()
    found = {bare, bare.upper(), _RELEASE.sub("", bare)}
    for one in list(found):
        found.add(one.lstrip("0"))
        found.add(re.sub(r"[^A-Za-z0-9]", "", one))
        digits = re.sub(r"\D", "", one)
        found.update((digits, digits.lstrip("0")))
    return frozenset(one for one in found if len(one) >= LEAST_SIGNS) - {number}


def likeness(number: str, known: str) -> Likeness | None:
    """How a number that came is like a known one; None if it is not."""
    if number == known:
        return None
    one, other = _bare(number), _bare(known)
    if min(len(one), len(other)) < LEAST_SIGNS:
        return None
    if one == other:
        return Likeness(0.95, "the same number without zeros in front and signs between")
    if _bare(_RELEASE.sub("", number)) == other:
        return Likeness(0.9, "the same number without the release behind it")
    digits = re.sub(r"\D", "", one).lstrip("0")
    if len(digits) >= LEAST_SIGNS and digits == re.sub(r"\D", "", other).lstrip("0"):
        return Likeness(0.85, "the same digits")
    if len(one) == len(other):
        wrong = [n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if len(wrong) == 1:
            return Likeness(0.8, f"one sign differs ({one[wrong[0]]} for {other[wrong[0]]})")
        if (
            len(wrong) == 2
            and wrong[1] == wrong[0] + 1
            and one[wrong[0]] == other[wrong[1]]
            and one[wrong[1]] == other[wrong[0]]
        ):
            return Likeness(0.8, "two signs are exchanged")
    if abs(len(one) - len(other)) == 1 and _one_more(one, other):
        return Likeness(0.75, "one sign is missing or too many")
    return None


def named_in(texts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Words of texts that look like numbers: word -> the field it stood in."""
    found: dict[str, str] = {}
    for field, text in texts:
        for word in _TOKEN.findall(text):
            if any(sign.isdigit() for sign in word) and len(found) < MOST_TOKENS:
                found.setdefault(word, field)
    return found


def texts_of(data: Mapping[str, Any], field: str = "") -> Iterator[tuple[str, str]]:
    """(field, text) of every text in the data of an event."""
    for name, value in data.items():
        path = f"{field}.{name}" if field else name
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, Mapping):
            yield from texts_of(value, path)
        elif isinstance(value, list):
            for n, inner in enumerate(value):
                if isinstance(inner, str):
                    yield f"{path}[{n}]", inner
                elif isinstance(inner, Mapping):
                    yield from texts_of(inner, f"{path}[{n}]")


def _bare(number: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", number.upper()).lstrip("0")


def _one_more(one: str, other: str) -> bool:
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return any(longer[:n] + longer[n + 1 :] == shorter for n in range(len(longer)))
