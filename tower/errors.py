"""Error families, named by what the caller does next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TowerError(Exception):
    """Base of all errors that carry a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where it is, what is wrong, what to write instead.

    ``line`` and ``col`` count from 1; None when the place is not known (a missing file).
    """

    file: str
    line: int | None
    col: int | None
    path: str
    message: str
    next_step: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}:{self.col}"
        text = f"{place}  {self.path}: {self.message}" if self.path else f"{place}  {self.message}"
        return f"{text}\n    next: {self.next_step}" if self.next_step else text


class ConfigError(TowerError):
    """A setting or a configuration file is wrong: refuse to start, or keep the active version."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems: tuple[Problem, ...] = () if isinstance(problems, str) else tuple(problems)
        super().__init__(
            problems if isinstance(problems, str) else "\n".join(str(p) for p in problems)
        )


class DatabaseAway(TowerError):
    """Our database does not answer, or not in time: wait, look whether it runs, try again."""


class SourceUnavailable(TowerError):
    """A source does not answer: keep the mark, back off, let its silence be seen."""


class SourceThrottled(TowerError):
    """A source asks to wait; ``retry_after_s`` is what it asked for, in seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AccessDenied(TowerError):
    """A source or a viewer's right refuses: stop that source, or refuse that action."""


class PayloadRejected(TowerError):
    """One message cannot be used: make it a dead letter and go on with the others.

    ``code`` is a short stable word, ``offset`` a byte position in the payload where known.
    """

    def __init__(
        self, message: str, *, code: str, advice: str = "", offset: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.advice = advice
        self.offset = offset


class DeliveryFailed(TowerError):
    """A mail was not taken. ``permanent`` tells whether trying again can help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class SchemaOutOfDate(TowerError):
    """The database is at another revision than the program: run ``tower migrate``."""
