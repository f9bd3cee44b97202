"""From sums of subjects to a figure: the arithmetic that every figure shares.

The database sums (db/reads/sums.py); what a sum means, and when it means nothing, is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite

from tower.kpi_definition import Definition
from tower.kpis import Figure, wilson

Value = float | Decimal | None


@dataclass(frozen=True, slots=True)
class Sums:
    """What the subjects of one period or group come to.

    hits, n     subjects that count
    healed      misses that were completed later
    outside     left out, by word
    amount      sum of the amounts of those that count; ``weight`` of what they weigh at most
    units       unit or currency -> (subjects, sum of amounts)
    quantiles   p50, p90, p95 and mean, deviation, largest of the amounts; infinite where the
                subject in question still goes on
    so_far      the same quantiles of what has gone by so far: lower bounds
    extras      medians of what is told beside
    """

    hits: int = 0
    n: int = 0
    healed: int = 0
    outside: Mapping[str, int] = field(default_factory=dict)
    amount: Decimal | None = None
    weight: Decimal | None = None
    units: Mapping[str, tuple[int, Decimal | None]] = field(default_factory=dict)
    quantiles: Mapping[str, float | None] = field(default_factory=dict)
    so_far: Mapping[str, float | None] = field(default_factory=dict)
    extras: Mapping[str, float | None] = field(default_factory=dict)
    weighed: bool = False

    @property
    def coverage(self) -> float | None:
        """Share of the subjects due that could be judged; None where nothing was due."""
        due = self.n + self.outside.get("unknown", 0)
        return self.n / due if due else None


NOTHING = Sums()


def value_of(definition: Definition, sums: Sums) -> tuple[Value, str]:
    """The value of a figure and, where there is none, why."""
    least = (
        max(definition.least, 1)
        if definition.statistic not in ("count", "sum")
        else (definition.least)
    )
    if sums.n < least:
        return None, f"no data ({sums.n} of {least})"
    if sums.weighed:
        return _weighed(definition, sums)
    match definition.statistic:
        case "share" | "weighted":
            return sums.hits / sums.n, ""
        case "count":
            return float(sums.n), ""
        case "sum":
            return _sum(sums)
        case "median":
            return _median(definition, sums)
        case "mean":
            return sums.quantiles.get("mean"), ""
        case _:
            return sums.quantiles.get("largest"), ""


def _weighed(definition: Definition, sums: Sums) -> tuple[Value, str]:
    if len(sums.units) > 1:
        told = ", ".join(sorted(unit or "none told" for unit in sums.units))
        return None, f"no data: several units of measure ({told}) never add up; see fill_value"
    if not sums.weight:
        return None, "no data: nothing that weighs anything"
    return float((sums.amount or 0) / sums.weight), ""


def _sum(sums: Sums) -> tuple[Value, str]:
    if not sums.n and sums.outside.get("unpriced"):
        return None, "no data: none of them has a price"
    unit = unit_of(sums)
    return (sums.units[unit][1] if unit is not None else Decimal(0)), ""


def unit_of(sums: Sums) -> str | None:
    """The unit or currency of most subjects; the first by name of several."""
    return min(sums.units, key=lambda u: (-sums.units[u][0], u), default=None)


def _median(definition: Definition, sums: Sums) -> tuple[Value, str]:
    if definition.id == "lead_time_var":
        p90, p50 = sums.quantiles.get("p90"), sums.quantiles.get("p50")
        return (None if p90 is None or p50 is None else p90 - p50), ""
    return _known(sums, "p50"), ""


def _known(sums: Sums, name: str) -> float | None:
    """A quantile, or its lower bound where the subject in question still goes on."""
    value = sums.quantiles.get(name)
    if value is not None and not isfinite(value):
        return sums.so_far.get(name)
    return value


def _beside(definition: Definition, sums: Sums) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    if definition.statistic == "median":
        if definition.id == "lead_time_var":
            mean, deviation = sums.quantiles.get("mean"), sums.quantiles.get("deviation")
            found["p50"] = _known(sums, "p50")
            found["p90"] = _known(sums, "p90")
            found["coefficient_of_variation"] = deviation / mean if deviation and mean else None
        else:
            name = "p95" if definition.unit == "s" else "p90"
            found[name] = _known(sums, name)
    elif definition.statistic == "mean":
        found["median"], found["p90"] = _known(sums, "p50"), _known(sums, "p90")
    elif definition.statistic == "largest":
        found["p95"] = _known(sums, "p95")
    found.update(sums.extras)
    return found


def _parts(definition: Definition, sums: Sums) -> dict[str, str]:
    found: dict[str, str] = {}
    if sums.healed:
        found["healed late"] = f"{sums.healed:,}"
    if definition.statistic == "sum":
        told = unit_of(sums)
        for unit, (_, amount) in sums.units.items():
            if unit != told and amount is not None:
                found[unit or "without unit"] = f"{amount:,.0f}"
    return found


def figure_of(
    definition: Definition,
    now: Sums,
    before: Sums | None = None,
    series: Sequence[Sums] = (),
    parts: Mapping[str, str] | None = None,
    beside: Mapping[str, float | None] | None = None,
) -> Figure:
    """The figure of a period, with the period before and its course.

    Coverage, age and switches are added by who asked (db/reads/figures.py).
    """
    value, reason = value_of(definition, now)
    counted = definition.statistic == "share" and not now.weighed
    p50 = now.quantiles.get("p50")
    return Figure(
        definition=definition,
        value=value,
        n=now.n,
        numerator=now.hits if definition.unit == "%" else None,
        interval=wilson(now.hits, now.n) if counted and value is not None else None,
        previous=None if before is None else value_of(definition, before)[0],
        series=tuple(_point(definition, one) for one in series),
        outside={word: n for word, n in now.outside.items() if n},
        parts={**_parts(definition, now), **(parts or {})},
        currency=unit_of(now) if definition.statistic == "sum" else None,
        reason=reason,
        beside={**_beside(definition, now), **(beside or {})} if value is not None else {},
        over=value is not None and p50 is not None and not isfinite(p50),
        coverage=now.coverage,
    )


def _point(definition: Definition, sums: Sums) -> float | None:
    value = value_of(definition, sums)[0]
    return None if value is None else float(value)
