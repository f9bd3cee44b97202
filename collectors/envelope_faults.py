"""What is odd in the envelopes of an EDI payload: findings, and dead letters for what is missing.

The same for X12 and EDIFACT: a trailer repeats the number of its header and counts what it closes.
"""

from __future__ import annotations

from typing import Protocol

from tower.raw import DeadLetter, Finding

FINDINGS_LIMIT = 200
"""A file of noise must not bring more findings than a person could read."""


class Trailer(Protocol):
    """A segment that closes something."""

    def text(self, element: int, /) -> str: ...

    def place(self, element: int, /) -> tuple[int, int]:
        """Offset and length of an element in the payload."""
        ...


class EnvelopeFaults:
    """Collects what a reader of envelopes finds odd."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.dead_letters: list[DeadLetter] = []

    def _count(
        self, code: str, element: str, at: Trailer, counted: int, what: str, place: str = ""
    ) -> None:
        """The first element of ``at`` should say how many ``what`` were counted."""
        said = at.text(1)
        if said != str(counted) and control(said) != str(counted):
            self._find(
                code,
                f"{element} says {said[:40] or 'nothing'}, counted are {counted} {what}",
                at.place(1)[0],
                expected=str(counted),
                got=said[:80],
                position=place,
            )

    def _number(
        self, code: str, element: str, at: Trailer, begun: str, header: str, place: str = ""
    ) -> None:
        """The second element of ``at`` should be the number with which its header begun."""
        said = at.text(2)
        if said != begun and control(said) != control(begun):
            self._find(
                code,
                f"{element} {said[:40] or 'is empty'} is not {header} {begun[:40]}",
                at.place(2)[0],
                expected=begun[:80],
                got=said[:80],
                position=place,
            )

    def _find(
        self,
        code: str,
        message: str,
        offset: int,
        *,
        expected: str = "",
        got: str = "",
        position: str = "",
    ) -> None:
        if len(self.findings) < FINDINGS_LIMIT:
            self.findings.append(Finding(code, message, offset, expected, got, position))
        elif len(self.findings) == FINDINGS_LIMIT:
            self.findings.append(
                Finding("more_findings", "the envelopes have more faults; see the bytes", offset)
            )

    def _dead(self, code: str, cause: str, advice: str, *, position: str = "", offset: int) -> None:
        self.dead_letters.append(DeadLetter(code, cause, advice, position, offset))


def control(number: str) -> str:
    """A control number without the zeros in front: some translators keep them, some do not."""
    text = number.strip()
    return text.lstrip("0") or text[:1]


def start(body: bytes, at: int) -> str:
    """The bytes here as a person can read them, those without a sign as \\x.."""
    return ascii(body[at : at + 40])[1:]
