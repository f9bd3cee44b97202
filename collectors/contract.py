"""What a reader and an interpreter promise, and the few things all of them share.

A reader does I/O and knows no meaning; an interpreter gives meaning and does no I/O, reads no
clock, draws no random number. What a source handed over is stored, or the source still has it: a
reader may bring the same message twice, never lose one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from tower.errors import ConfigError, SourceUnavailable
from tower.identity import fingerprint
from tower.network import Network, Source
from tower.raw import Batch, Budget, DeadLetter, Interpretation, Mark, Raw

REFUSED = "refused"
"""Header of a message that stands for something a reader would not read; its value says why."""

RENDERED = "rendered"
"""Header of a body that we wrote ourselves from a part of what came ("json": one record)."""

PARTNER = "partner"
"""Header naming the partner that a folder, a file name or a credential belongs to."""


LONGEST_KEY = 300


class Reader(Protocol):
    """Brings what a source has since the bookmark."""

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """Batches in order; each is stored with its bookmark before the next is asked for.

        The last one carries a heartbeat if everything there was has been brought. Raises one of
        the families of tower/errors.py: SourceUnavailable, SourceThrottled, AccessDenied,
        ConfigError.
        """
        ...

    def settle(self, batch: Batch) -> None:
        """Tell the source that the batch is stored; doing it twice, or never, does no harm."""
        ...


class Interpreter(Protocol):
    """Makes events of the bytes of one message; the same bytes and network give the same events."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    def interpret(self, raw: Raw, net: Network, source: Source) -> Interpretation: ...


class PartInterpreter(Interpreter, Protocol):
    """An interpreter that can give what a large message says part by part.

    The parts follow each other: each has the next events, with origins by their place in the part.
    What is known only at the end (findings, dead letters, partner, control numbers), of the whole
    message, comes with the last one. Together they are what ``interpret`` gives.
    """

    def parts(self, raw: Raw, net: Network, source: Source) -> Iterator[Interpretation]: ...


PART_EVENTS = 5000
PART_BYTES = 1 << 17
"""A part ends behind the first set, row or line with which it has this many events, or bytes: then
what is noted for it, some eighty times its bytes, stays small, and its transaction short."""


def is_full(events: int, size: int) -> bool:
    """Whether a part of so many events, out of so many bytes, ends here."""
    return events >= PART_EVENTS or (size >= PART_BYTES and events > 0)


class Spending:
    """How much of a budget one read has used. At least one message is always allowed."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._ends = time.monotonic() + budget.seconds
        self.messages = 0
        self.bytes = 0

    def allows(self, size: int) -> bool:
        """Whether one more message of ``size`` bytes fits."""
        if self.messages == 0:
            return True
        return (
            self.messages < self._budget.messages
            and self.bytes + size <= self._budget.bytes
            and time.monotonic() < self._ends
        )

    @property
    def is_spent(self) -> bool:
        return not self.allows(1)

    def add(self, size: int, messages: int = 1) -> None:
        self.messages += messages
        self.bytes += size


def position_in(mark: Mark | None, version: int, source: str) -> Mapping[str, Any]:
    """What the bookmark holds. One of another version is not guessed at."""
    if mark is None:
        return {}
    if mark.version != version:
        raise ConfigError(
            f'The bookmark of source "{source}" has version {mark.version}, this program writes '
            f"version {version}. Run the program that wrote it, or remove the bookmark to read the "
            "source from its beginning: known messages are not stored twice."
        )
    return mark.value


def secret(variable: str, secrets: Mapping[str, str], source: str, *, lines: bool = False) -> str:
    """The value of an environment variable, or of the file that its _FILE form names.

    With ``lines`` it may have several, as a private key has.
    """
    value = secrets.get(variable)
    named = secrets.get(f"{variable}_FILE")
    if value is None and named is not None:
        try:
            value = Path(named).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f'Source "{source}": the file that {variable}_FILE names cannot be read. '
                "Make it readable for the tower's account."
            ) from error
    value = (value or "").strip("\r\n")
    if not value:
        raise ConfigError(
            f'Source "{source}" needs the variable {variable}, which is not set. '
            f"Set {variable}, or {variable}_FILE with the name of a file that holds it."
        )
    if any(ord(sign) < 32 for sign in value if not (lines and sign in "\r\n\t")):
        raise ConfigError(
            f'Source "{source}": {variable} holds control characters. Write it on one line.'
        )
    return value


def bounded_key(text: str) -> str:
    """A key that a source gave, of bearable length and printable; else its start and its hash."""
    if len(text) <= LONGEST_KEY and text.isprintable():
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    start = "".join(sign for sign in text[:100] if sign.isprintable())
    return f"{start}...{digest}"


REFUSALS: dict[str, tuple[str, str]] = {
    "link": (
        "is a link, not a file of its own; links are not followed",
        "Put the file itself into the folder.",
    ),
    "many_links": (
        "has several names (hard links), so that it could change after it was read",
        "Copy the file into the folder.",
    ),
    "not_a_file": (
        "is neither a file nor a folder",
        "Put plain files into the folder.",
    ),
    "too_large": (
        "is larger than the source allows",
        "Send it in parts, or raise max_bytes in the options of the source in network.yaml.",
    ),
    "no_permission": (
        "may not be read by the tower's account",
        "Put it there again so that the account of the tower may read it.",
    ),
    "line_too_long": (
        "is a line longer than the source allows",
        "Shorten it at its writer, or raise max_line_bytes in the options of the source.",
    ),
    "bad_name": (
        "has a name that is not readable text",
        "Rename it with plain letters and put it there again.",
    ),
}
"""Why a reader would not read something: what is said, what to do next."""


def refused(source: str, name: str, why: str, state: str, now: datetime) -> Raw:
    """A message without bytes that stands for something refused; ``state`` tells it from others."""
    return Raw(
        source=source,
        key=fingerprint((REFUSED, why, name, state)),
        body=b"",
        received_at=now,
        headers={REFUSED: why},
        name=name,
    )


def refusal_of(raw: Raw) -> DeadLetter | None:
    """The dead letter of a refused message; None for all others."""
    why = raw.headers.get(REFUSED)
    if why not in REFUSALS:
        return None
    said, advice = REFUSALS[why]
    return DeadLetter(code=why, cause=f'"{raw.name}" {said}.', advice=advice)


def unreachable(source: str, what: str, error: OSError) -> SourceUnavailable:
    """The error of a file or folder that cannot be reached now."""
    return SourceUnavailable(
        f'Source "{source}": {what} cannot be read: {error.strerror or error}. '
        "It is tried again; check that it is mounted and that the tower's account may enter it."
    )
