"""Kinds of failure: what is one fault in many messages has one fingerprint.

What differs from message to message is cut out of an error's words before they are compared: ids,
long numbers, times, hosts, places in a file, quoted values. The name carries the version of this
algorithm; another one speaks of new failures only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tower.identity import fingerprint

LONGEST = 400  # characters of an error's words that are compared

_CUTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("<id>", re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)),
    ("<time>", re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?"
                          r"(?:Z|[+-]\d\d:?\d\d)?")),
    ("<time>", re.compile(r"\b\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\b")),
    ("<host>", re.compile(r"\b[\w.-]*[a-z0-9](?:\.[\w-]+)*:\d{2,5}\b", re.IGNORECASE)),
    ("<host>", re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")),
    ("<place>", re.compile(r"\b(?:line|row|column|col|position|offset|byte|segment|set|item)"
                           r"[ :#]*\d+\b", re.IGNORECASE)),
    ("<value>", re.compile(r"\"[^\"]*\"|'[^']*'|\u201c[^\u201d]*\u201d")),
    ("<id>", re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b", re.IGNORECASE)),
    ("<number>", re.compile(r"\d[\d.,]{3,}")),
)  # fmt: skip
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Failure:
    """What of a dead letter makes its kind.

    source   where it was seen, ``step`` the step that failed (a queue, an interpreter; "" unknown)
    type     of the message, "" unknown
    code     stable word of what is wrong; ``text`` the system's own words, "" where it gave none
    partner  key of the partner, "" for nobody
    """

    source: str
    kind: str
    step: str
    type: str
    code: str
    text: str
    partner: str

    @property
    def fingerprint(self) -> str:
        """Name of this kind ("v1:..."); another id, time or host does not change it."""
        return fingerprint(
            (self.source, self.kind, self.step, self.type, self.code, normal(self.text),
             self.partner)
        )  # fmt: skip


def normal(text: str) -> str:
    """An error's words without what differs from message to message."""
    found = text[: 4 * LONGEST]
    for word, pattern in _CUTS:
        found = pattern.sub(word, found)
    return _SPACE.sub(" ", found).strip()[:LONGEST]
