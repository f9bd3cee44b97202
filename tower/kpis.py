"""The figures that leaders steer by: what each means, what it leaves out, and its arithmetic.

The database sums; what a sum means is decided here, so that a figure on a screen, in a mail and in
the command is one figure. Below its minimum sample a figure is "no data", never 0 or 100 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from math import sqrt

from tower.kpi_catalogue import DEFINITIONS
from tower.kpi_definition import Definition

__all__ = [
    "ASN_GRACE",
    "CLOCK_COUNTS",
    "DEFINITIONS",
    "HIT",
    "MISS",
    "Definition",
    "Figure",
    "Tally",
    "clock_tally",
    "pooled",
    "rate",
    "share",
    "wilson",
]

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one share: hits of n subjects, and what was left out, by word."""

    hits: int = 0
    n: int = 0
    outside: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        """Counts pool; rates are never averaged."""
        words = {**self.outside}
        for word, count in other.outside.items():
            words[word] = words.get(word, 0) + count
        return Tally(self.hits + other.hits, self.n + other.n, words)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one period.

    value      share 0..1, count, money or duration in the unit of the definition; None = no data,
               and ``reason`` says why
    n          sample: the denominator of a share, the number counted otherwise
    interval   95 % Wilson interval of a share; None where subjects weigh differently
    previous   the same figure one period before (snapshots: at the start of the period)
    series     value per part of the period, oldest first; None where there is too little
    parts      what it is made of or what lies beside it, by word
    beside     further statistics in the same unit, by name: p90, median, highest
    over       the value is a lower bound: the subject in question still goes on
    currency   of money; the unit of measure of what is summed otherwise
    coverage   share of the subjects due that could be judged, 0..1; None where nothing was due
    as_of      newest good read of a feed; None before the first
    switches   the choices of the definition that it was counted by
    restated   what fell due in the period but became known after it: the past has moved by so many
    missed     a target exists and is missed; None without data or target
    """

    definition: Definition
    value: float | Decimal | None
    n: int
    numerator: int | None = None
    interval: tuple[float, float] | None = None
    previous: float | Decimal | None = None
    series: tuple[float | None, ...] = ()
    outside: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    currency: str | None = None
    reason: str = ""
    beside: Mapping[str, float | None] = field(default_factory=dict)
    over: bool = False
    coverage: float | None = None
    as_of: datetime | None = None
    switches: Mapping[str, str] = field(default_factory=dict)
    restated: int = 0

    @property
    def missed(self) -> bool | None:
        target = self.definition.target
        if self.value is None or target is None:
            return None
        value = float(self.value)
        return value < target if self.definition.better == "up" else value > target

    @property
    def change(self) -> float | None:
        """Difference to the previous period: percentage points for shares, else counts."""
        if self.value is None or self.previous is None:
            return None
        return float(self.value) - float(self.previous)


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float] | None:
    """Wilson score interval of a share; None without a sample."""
    if n <= 0:
        return None
    share = hits / n
    scale = 1 + z * z / n
    middle = share + z * z / (2 * n)
    spread = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def pooled(tallies: Iterable[Tally | None]) -> Tally:
    """All of them as one; None counts nothing."""
    return sum((t for t in tallies if t is not None), Tally())


def share(tally: Tally, least: int) -> float | None:
    """Hits of n; None below the minimum sample."""
    return tally.hits / tally.n if tally.n >= max(least, 1) else None


def rate(
    definition: Definition,
    now: Tally,
    before: Tally,
    buckets: Sequence[Tally] = (),
    parts: Mapping[str, str] | None = None,
) -> Figure:
    """A share over a period, with the period before and its course."""
    value = share(now, definition.least)
    return Figure(
        definition=definition,
        value=value,
        n=now.n,
        numerator=now.hits,
        interval=wilson(now.hits, now.n) if value is not None else None,
        previous=share(before, definition.least),
        series=tuple(share(bucket, definition.least) for bucket in buckets),
        outside=now.outside,
        parts=parts or {},
        reason="" if value is not None else f"no data ({now.n} of {definition.least})",
    )


# --- what one subject counts as -------------------------------------------------------------------

HIT, MISS = "hit", "miss"

CLOCK_COUNTS: Mapping[str, str] = {"met": HIT, "met_late": MISS, "breached": MISS}
"""Verdicts of a clock that fell due; every other verdict is left out under its own name."""


def clock_tally(verdicts: Mapping[str, int]) -> Tally:
    """The tally of clocks that fell due, from how many bear which verdict."""
    hits = n = 0
    outside: dict[str, int] = {}
    for verdict, count in verdicts.items():
        meaning = CLOCK_COUNTS.get(verdict)
        if meaning is None:
            outside[verdict] = outside.get(verdict, 0) + count
            continue
        n += count
        hits += count if meaning == HIT else 0
    return Tally(hits, n, outside)


ASN_GRACE = timedelta(hours=1)  # between a truck leaving and its notice, allowed by default
