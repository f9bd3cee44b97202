"""The figures that leaders steer by: what each means, what it leaves out, and its arithmetic.

The database sums; what a sum means is decided here, so that a figure on a screen, in a mail and in
the command is one figure. Below its minimum sample a figure is "no data", never 0 or 100 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from math import sqrt
from typing import Literal

Z95 = 1.959963984540054


Unit = Literal["%", "orders", "money", "cases"]
Better = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Definition:
    """What a figure means. Shares are told in percent, ``target`` as a share.

    short    the name where there is little room
    least    minimum sample below which there is no figure
    formula  numerator / denominator in words
    outside  what is in neither
    version  rises when the meaning changes
    """

    id: str
    name: str
    short: str
    unit: Unit
    formula: str
    outside: str
    better: Better
    target: float | None = None
    least: int = 5
    snapshot: bool = False
    version: int = 1


DEFINITIONS: Mapping[str, Definition] = {
    d.id: d
    for d in (
        Definition(
            "orders_affected",
            "Customer orders at risk",
            "Orders at risk",
            "orders",
            "distinct customer orders with a line that its supply does not cover by its promise",
            "orders without pegs to purchase orders: nobody knows what they wait for",
            "down",
            least=0,
            snapshot=True,
        ),
        Definition(
            "value_at_risk",
            "Value at risk",
            "Value at risk",
            "money",
            "open value of the distinct customer order lines that are affected",
            "lines without a price, counted beside; other currencies are told apart",
            "down",
            least=0,
            snapshot=True,
        ),
        Definition(
            "ack_on_time",
            "On-time acknowledgement",
            "Ack on time",
            "%",
            "purchase orders answered by their due instant / those answered, late or overdue. "
            "The first answer counts, a refusal too",
            "not due yet, not measured, unknown because a feed was silent",
            "up",
            target=0.95,
        ),
        Definition(
            "asn_on_time",
            "ASN on time",
            "ASN on time",
            "%",
            "shipments whose notice came by ship time + 1 h (or on the ship day) and before the "
            "goods / shipments. An order received without any notice is one missed",
            "suppliers that send no notices",
            "up",
            target=0.95,
        ),
        Definition(
            "asn_valid",
            "ASN valid",
            "ASN valid",
            "%",
            "shipment notices that passed all checks when they first arrived / notices arrived",
            "notices that we could not read ourselves (dead letters)",
            "up",
            target=0.98,
        ),
        Definition(
            "otif",
            "OTIF",
            "OTIF",
            "%",
            "purchase order lines received in full by their due day / lines due. Due is the first "
            "confirmed date, else the requested one; parts received in time add up",
            "lines not due yet; quantity that we cancelled before it was due",
            "up",
            target=0.95,
        ),
        Definition(
            "open_exceptions",
            "Open exceptions",
            "Exceptions",
            "cases",
            "exception cases that are not resolved, also those taken, waiting or snoozed",
            "resolved cases",
            "down",
            least=0,
            snapshot=True,
        ),
        Definition(
            "coverage",
            "Coverage",
            "Coverage",
            "%",
            "purchase orders of which every clock due could be judged / purchase orders with a "
            "clock due. A clock is unknown while a feed that could stop it is silent",
            "purchase orders without a clock due in the period",
            "up",
            target=0.98,
            least=1,
        ),
    )
}


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

    value      share 0..1, count or money; None = no data, and ``reason`` says why
    n          sample: the denominator of a share, the number counted otherwise
    interval   95 % Wilson interval of a share
    previous   the same figure one period before (snapshots: at the start of the period)
    series     value per part of the period, oldest first; None where there is too little
    parts      what it is made of or what lies beside it, by word
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
