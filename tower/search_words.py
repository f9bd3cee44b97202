"""The words by which a message is found: what is kept of its text, and what is asked of that.

A hit by words is only a candidate: whoever searches then looks for the text itself in the bytes.
So words may be coarse, but text that is there must never be missed for them, except as told:
fragments that begin inside a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

SHORTEST = 2  # signs; shorter words are in nearly every message
LONGEST = 40  # signs that are kept of a word
MOST_WORDS = 3000  # of one message
MOST_BYTES = 4_000_000  # of one message that are looked at
SHORTEST_PREFIX = 3  # signs that a last, unfinished word must have

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a typed text asks for: all of ``words``, and a word that begins with ``prefix``."""

    text: str
    words: tuple[str, ...]
    prefix: str | None

    @property
    def is_empty(self) -> bool:
        return not self.words and self.prefix is None

    @property
    def tsquery(self) -> str:
        """For to_tsquery-less casts: words are letters and digits only, so nothing needs quotes."""
        parts = [f"'{word}'" for word in self.words]
        if self.prefix is not None:
            parts.append(f"'{self.prefix}':*")
        return " & ".join(parts)


def decoded(body: bytes) -> str:
    """Bytes as text: UTF-8, else Latin-1, which every byte has a letter in."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def words_of(texts: Iterable[str]) -> tuple[list[str], bool]:
    """The distinct words of these texts, and whether there were more than are kept."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(text.lower()):
            if counts(word):
                found[word[:LONGEST]] = None
                if len(found) >= MOST_WORDS:
                    return list(found), True
    return list(found), False


def counts(word: str) -> bool:
    """Whether a word tells messages apart: not one sign, nor a number of two digits."""
    return len(word) >= SHORTEST and not (len(word) == SHORTEST and word.isdecimal())


def asked(text: str) -> Asked:
    """What to ask the kept words for. The last word may go on in the payload; the others end."""
    wanted = text.strip()
    words = [(m.group(), m.end()) for m in _WORD.finditer(wanted.lower())]
    prefix = None
    if words and words[-1][1] == len(wanted.lower()):
        last, _ = words.pop()
        if len(last) > LONGEST:
            words.append((last, 0))
        elif len(last) >= SHORTEST_PREFIX:
            prefix = last
    kept = tuple(dict.fromkeys(word[:LONGEST] for word, _ in words if counts(word)))
    return Asked(wanted, kept, prefix)


def places(body: bytes, text: str) -> list[tuple[int, int]]:
    """(offset, length) of each place where a text stands in bytes; ASCII letters of either case."""
    lowered = body.lower()  # of ASCII letters only, so offsets stay
    found: set[tuple[int, int]] = set()
    for encoding in ("utf-8", "latin-1"):
        try:
            wanted = text.encode(encoding).lower()
        except UnicodeEncodeError:
            continue
        at = lowered.find(wanted) if wanted else -1
        while at >= 0 and len(found) < 1000:
            found.add((at, len(wanted)))
            at = lowered.find(wanted, at + 1)
    return sorted(found)
