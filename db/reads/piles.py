"""Subjects that are alike, laid together: what they come to, without each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil, floor, inf, sqrt
from typing import Any

from tower.kpi_definition import Definition
from tower.kpi_sums import Sums
from tower.kpis import HIT, MISS

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95}

Counted = Sequence[tuple[float, int]]
"""Values, ascending, each with the number of subjects that have it."""


@dataclass(slots=True)
class Pile:
    """Subjects of one period or group.

    counts   by verdict
    amount   of those that count; ``weight`` of what they weigh at most
    units    unit or currency -> (subjects that count, sum of their amounts)
    values   (value, whether it still goes on) -> number of subjects that count
    words    word of the subjects that count -> their number
    """

    counts: dict[str, int] = field(default_factory=dict)
    healed: int = 0
    amount: Decimal | None = None
    weight: Decimal | None = None
    units: dict[str, tuple[int, Decimal | None]] = field(default_factory=dict)
    values: dict[tuple[float, bool], int] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)

    def lay(
        self,
        verdict: str,
        n: int,
        *,
        healed: bool = False,
        unit: str = "",
        amount: Decimal | None = None,
        weight: Decimal | None = None,
        values: Mapping[float, int] | None = None,
    ) -> None:
        """So many more subjects of one verdict."""
        self.counts[verdict] = self.counts.get(verdict, 0) + n
        if healed:
            self.healed += n
        if verdict not in (HIT, MISS):
            return
        self.amount = _plus(self.amount, amount)
        self.weight = _plus(self.weight, weight)
        known = self.units.get(unit, (0, None))
        self.units[unit] = (known[0] + n, _plus(known[1], amount))
        self.words[unit] = self.words.get(unit, 0) + n
        for value, times in (values or {}).items():
            key = (value, verdict == MISS)
            self.values[key] = self.values.get(key, 0) + times

    def add(self, other: Pile) -> None:
        """The subjects of another one, too."""
        for verdict, n in other.counts.items():
            self.counts[verdict] = self.counts.get(verdict, 0) + n
        self.healed += other.healed
        self.amount = _plus(self.amount, other.amount)
        self.weight = _plus(self.weight, other.weight)
        for unit, (n, amount) in other.units.items():
            known = self.units.get(unit, (0, None))
            self.units[unit] = (known[0] + n, _plus(known[1], amount))
        for word, n in other.words.items():
            self.words[word] = self.words.get(word, 0) + n
        for key, n in other.values.items():
            self.values[key] = self.values.get(key, 0) + n

    def sums(self, of: Definition, columns: frozenset[str], outside: tuple[str, ...]) -> Sums:
        """What they come to for a figure whose subjects have these columns."""
        weighs = of.statistic in ("weighted", "sum", "share") and "amount" in columns
        ranks = of.statistic in ("median", "mean", "largest")
        units = {unit: told for unit, told in self.units.items() if told[0]}
        if not weighs:
            units = {unit: (n, None) for unit, (n, _) in units.items()}
        return Sums(
            hits=self.counts.get(HIT, 0),
            n=self.counts.get(HIT, 0) + self.counts.get(MISS, 0),
            healed=self.healed if "healed" in columns else 0,
            outside={word: self.counts.get(word, 0) for word in outside},
            amount=self.amount if weighs else None,
            weight=self.weight if "weight" in columns else None,
            units=units if "unit" in columns else {},
            quantiles=self._quantiles() if ranks else {},
            so_far=self._so_far() if ranks else {},
            weighed="weight" in columns,
        )

    def _quantiles(self) -> dict[str, float | None]:
        # What still goes on ranks longest.
        ranked = _ascending((inf if on else value, n) for (value, on), n in self.values.items())
        told = _ascending((value, n) for (value, _), n in self.values.items())
        found: dict[str, float | None] = {
            name: percentile(ranked, share) for name, share in QUANTILES.items()
        }
        total = sum(n for _, n in told)
        mean = sum(value * n for value, n in told) / total if total else None
        deviation = None
        if mean is not None and total > 1:
            deviation = sqrt(sum(n * (value - mean) ** 2 for value, n in told) / (total - 1))
        largest = told[-1][0] if told else None
        return {**found, "mean": mean, "deviation": deviation, "largest": largest}

    def _so_far(self) -> dict[str, float | None]:
        told = _ascending((value, n) for (value, _), n in self.values.items())
        return {name: percentile(told, share) for name, share in QUANTILES.items()}


def percentile(values: Counted, share: float) -> float | None:
    """The value below which a share of all subjects lies, between two of them in proportion, as
    the database's percentile_cont tells it; None of none."""
    place = share * (sum(n for _, n in values) - 1)
    if place < 0:
        return None
    low, high = _at(values, floor(place)), _at(values, ceil(place))
    return low if low == high else low + (place - floor(place)) * (high - low)


def _at(values: Counted, place: int) -> float:
    for value, n in values:
        if place < n:
            return value
        place -= n
    return values[-1][0]


def _ascending(values: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
    together: dict[float, int] = {}
    for value, n in values:
        together[value] = together.get(value, 0) + n
    return sorted((value, n) for value, n in together.items() if n)


def _plus(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
