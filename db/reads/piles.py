"""Subjects that are alike, laid together: what they come to, without each of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
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
    units    unit, currency or other word -> (subjects that count, sum of their amounts)
    values   (value, whether it still goes on) -> number of subjects that count
    """

    counts: dict[str, int] = field(default_factory=dict)
    healed: int = 0
    amount: Decimal | None = None
    weight: Decimal | None = None
    units: dict[str, tuple[int, Decimal | None]] = field(default_factory=dict)
    values: dict[tuple[float, bool], int] = field(default_factory=dict)

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
        known = self.units.get(unit, (0, None))
        self.units[unit] = (known[0] + n, _plus(known[1], amount))
        if amount is not None:
            self.amount = _plus(self.amount, amount)
        if weight is not None:
            self.weight = _plus(self.weight, weight)
        if values:
            on = verdict == MISS
            for value, times in values.items():
                self.values[value, on] = self.values.get((value, on), 0) + times

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
        for key, n in other.values.items():
            self.values[key] = self.values.get(key, 0) + n

    def sums(self, of: Definition, columns: frozenset[str], outside: tuple[str, ...]) -> Sums:
        """What they come to for a figure whose subjects have these columns."""
        weighs = of.statistic in ("weighted", "sum", "share") and "amount" in columns
        units: dict[str, tuple[int, Decimal | None]] = {}
        if "unit" in columns:
            units = {u: (n, a if weighs else None) for u, (n, a) in self.units.items() if n}
        quantiles, so_far = (
            self._quantiles() if of.statistic in ("median", "mean", "largest") else ({}, {})
        )
        hits = self.counts.get(HIT, 0)
        return Sums(
            hits=hits,
            n=hits + self.counts.get(MISS, 0),
            healed=self.healed if "healed" in columns else 0,
            outside={word: self.counts.get(word, 0) for word in outside},
            amount=self.amount if weighs else None,
            weight=self.weight if "weight" in columns else None,
            units=units,
            quantiles=quantiles,
            so_far=so_far,
            weighed="weight" in columns,
        )

    def median(self) -> float | None:
        """The one of ``quantiles`` alone."""
        return percentiles(self._ranked(), (0.5,))[0]

    def _ranked(self) -> list[tuple[float, int]]:
        # What still goes on ranks longest.
        return _ascending((inf if on else value, n) for (value, on), n in self.values.items())

    def _quantiles(self) -> tuple[dict[str, float | None], dict[str, float | None]]:
        """All of them, and the same of what has gone by so far."""
        told = _ascending((value, n) for (value, _), n in self.values.items())
        so_far = _shares(told)
        ranked = so_far
        if any(on and n for (_, on), n in self.values.items()):
            ranked = _shares(self._ranked())
        total = sum(n for _, n in told)
        mean = sum(value * n for value, n in told) / total if total else None
        deviation = None
        if mean is not None and total > 1:
            deviation = sqrt(sum(n * (value - mean) ** 2 for value, n in told) / (total - 1))
        largest = told[-1][0] if told else None
        return {**ranked, "mean": mean, "deviation": deviation, "largest": largest}, so_far


def _shares(values: Counted) -> dict[str, float | None]:
    return dict(zip(QUANTILES, percentiles(values, QUANTILES.values()), strict=True))


def percentiles(values: Counted, shares: Iterable[float]) -> list[float | None]:
    """The values below which these shares of all subjects lie, between two of them in proportion,
    as the database's percentile_cont tells it; None of none."""
    upto = list(accumulate(n for _, n in values))
    if not upto or upto[-1] < 1:
        return [None for _ in shares]

    def at(place: int) -> float:
        return values[bisect_right(upto, place)][0]

    found: list[float | None] = []
    for share in shares:
        place = share * (upto[-1] - 1)
        low, high = at(floor(place)), at(ceil(place))
        found.append(low if low == high else low + (place - floor(place)) * (high - low))
    return found


def _ascending(values: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
    together: dict[float, int] = {}
    for value, n in values:
        together[value] = together.get(value, 0) + n
    return sorted(pair for pair in together.items() if pair[1])


def _plus(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
