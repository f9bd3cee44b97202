"""The score of a supplier: other figures against their targets, weighed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tower.kpi_catalogue import DEFINITIONS, LEAST_WEIGHT, WEIGHTS
from tower.kpis import Figure

Weights = Mapping[str, float]
Targets = Mapping[str, float]
"""Targets of figures that are others than those of their definitions."""

USUAL: Targets = {}


def points(
    values: Mapping[str, float | None], weights: Weights = WEIGHTS, targets: Targets = USUAL
) -> float | None:
    """100 x sum(weight x min(1, value / target)) / weights with data; None with less than 60 % of
    the weights."""
    whole = sum(weights.values())
    known = {name: v for name, v in values.items() if v is not None and weights.get(name)}
    weight = sum(weights[name] for name in known)
    if not whole or 100 * weight < LEAST_WEIGHT * whole:
        return None
    earned = sum(weights[name] * reached(name, v, targets) for name, v in known.items())
    return 100 * earned / weight


def reached(name: str, value: float, targets: Targets = USUAL) -> float:
    """How much of its target a share reaches, 0..1."""
    target = targets.get(name, DEFINITIONS[name].target)
    return min(1.0, value / target) if target else value


def score(
    components: Mapping[str, Figure], weights: Weights = WEIGHTS, targets: Targets = USUAL
) -> Figure:
    """The score from its components, each told in ``parts``: weight and share of its target."""
    definition = DEFINITIONS["supplier_score"]
    told = {name: _float(one.value) for name, one in components.items() if name in weights}
    value = points(told, weights, targets)
    whole = sum(weights.values())
    known = sum(weights[name] for name, v in told.items() if v is not None)
    length = max((len(one.series) for one in components.values()), default=0)
    return Figure(
        definition=definition,
        value=value,
        n=sum(v is not None for v in told.values()),
        previous=points(
            {k: _float(one.previous) for k, one in components.items()}, weights, targets
        ),
        series=_series(components, length, weights, targets),
        outside={name: components[name].n for name, v in told.items() if v is None},
        parts={
            name: f"{weights[name]:g} x {reached(name, v, targets):.2f}"
            for name, v in told.items()
            if v is not None
        },
        reason=""
        if value is not None
        else f"no data ({100 * known / whole if whole else 0:.0f} of {LEAST_WEIGHT} weights known)",
        coverage=min(
            (c for c in (f.coverage for f in components.values()) if c is not None), default=None
        ),
        as_of=next((f.as_of for f in components.values()), None),
    )


def _series(
    components: Mapping[str, Figure], length: int, weights: Weights, targets: Targets
) -> tuple[float | None, ...]:
    courses: Mapping[str, Sequence[float | None]] = {
        name: one.series for name, one in components.items() if len(one.series) == length
    }
    return tuple(
        points({name: course[place] for name, course in courses.items()}, weights, targets)
        for place in range(length)
    )


def _float(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]
