"""Places in a list: the sort values of its last row, as one word of an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_ROWS = 1000
COUNT_UP_TO = 10_000  # beyond, a page says "more than 10,000"

_MARK = "~"


@dataclass(frozen=True, slots=True)
class Total:
    """How many rows there are; ``capped``: more than that."""

    rows: int
    capped: bool

    @classmethod
    def of(cls, counted: int) -> Total:
        return cls(min(counted, COUNT_UP_TO), counted > COUNT_UP_TO)


def place(values: Sequence[object]) -> str:
    """One word for these sort values; None stands for a missing one."""
    return _MARK.join("" if v is None else str(v).replace(_MARK, " ") for v in values)


def read_place(word: str | None, parts: int) -> tuple[str | None, ...] | None:
    """The sort values of a word; None if it is no place in a list of so many sort values."""
    if not word:
        return None
    found = word.split(_MARK)
    return tuple(part or None for part in found) if len(found) == parts else None


def bounded(limit: int) -> int:
    return max(1, min(limit, MOST_ROWS))
