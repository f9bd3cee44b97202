"""Natural numbers as others write them into texts."""

from __future__ import annotations

LONGEST = 18  # digits that fit a bigint whatever they are


def natural(text: str, digits: int = LONGEST) -> int | None:
    """The number that a text of so many ASCII digits at most writes; None if it writes none.

    ``str.isdigit`` alone lets "²" through, which ``int`` refuses, as it does a text of more than
    4,300 digits.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
