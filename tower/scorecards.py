"""The score of a supplier: what it is made of, how it stands, where its lead time went.

A score is 100 x sum(weight x min(1, value / target)) / weights with data. A figure below its sample
drops out; where too little weight is left there is no score: "no data", never 0 or 100. Standings
only advise. Weights, targets and standings come from the rule book (``scorecard`` of
sla_rules.yaml).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from tower.kpis import DEFINITIONS
from tower.reports import ScorecardMail
from tower.rule_parts import Share, Strict
from tower.strict_yaml import closest, mistake

STANDINGS = ("critical", "weak", "steady", "strong")
"""From bad to good, gapless from 0 to 100."""


class ScoredFigure(Strict):
    """One figure of a score."""

    weight: int = Field(ge=1, le=100)
    """How much it counts, against the weights of the others."""
    target: Share
    """Full marks from here on; less counts in proportion."""


class Standings(Strict):
    """From which score on a supplier is called what; below all of them: critical."""

    weak: int = Field(default=50, ge=1, le=100)
    """From this score on: weak."""
    steady: int = Field(default=70, ge=1, le=100)
    """From this score on: steady."""
    strong: int = Field(default=90, ge=1, le=100)
    """From this score on: strong."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.weak < self.steady < self.strong:
            raise mistake("standings do not rise", "write {weak: 50, steady: 70, strong: 90}")
        return self


class LeadTimeLimits(Strict):
    """When a lead time is said to have left its plan."""

    tolerance: Share = Decimal("0.2")
    """So far may the median be from the plan, as a share of the plan."""
    minimum: int = Field(default=10, ge=2)
    """Fewer receipts tell nothing."""


def _figures(value: Any) -> Any:
    """Names of figures that are shares, the higher the better."""
    if isinstance(value, dict):
        if not value:
            raise mistake("no figure is scored", "leave the word out, or name figures with weights")
        known = scorable()
        for name in value:
            if name not in known:
                near = closest(str(name), frozenset(known))
                raise mistake(
                    f'"{name}" is no figure that can be scored',
                    f"write {near}" if near else f"write one of: {', '.join(sorted(known))}",
                )
    return value


def scorable() -> frozenset[str]:
    """Figures that may be part of a score: shares of which more is better."""
    return frozenset(
        {d.id for d in DEFINITIONS.values() if d.unit == "%" and d.better == "up"} | _DEFAULT.keys()
    )


_DEFAULT = {
    "ack_on_time": ScoredFigure(weight=20, target=Decimal("0.95")),
    "first_confirm": ScoredFigure(weight=15, target=Decimal("0.90")),
    "commit_reliability": ScoredFigure(weight=25, target=Decimal("0.95")),
    "asn_on_time": ScoredFigure(weight=10, target=Decimal("0.95")),
    "asn_valid": ScoredFigure(weight=10, target=Decimal("0.98")),
    "otif": ScoredFigure(weight=20, target=Decimal("0.95")),
}

_NAMED_SHARE = {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,2})?%$"}


class ScorecardSpec(Strict):
    """How suppliers are scored."""

    figures: Annotated[dict[str, ScoredFigure], BeforeValidator(_figures)] = Field(
        default_factory=lambda: dict(_DEFAULT)
    )
    """Figures of the score, each with weight and target."""
    tiers: Annotated[
        dict[str, Annotated[dict[str, Share], BeforeValidator(_figures)]],
        WithJsonSchema(
            {
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": _NAMED_SHARE},
            }
        ),
    ] = Field(default_factory=dict)
    """Targets of suppliers of one tier where they differ: tier, figure, target."""
    standings: Standings = Standings()
    """What a score is called."""
    minimum: int = Field(default=5, ge=5, le=1000)
    """A figure over fewer subjects drops out of the score."""
    least_weight: int = Field(default=60, ge=1, le=100)
    """Percent of all weights that must have data, else there is no score."""
    lead_time: LeadTimeLimits = LeadTimeLimits()
    """When a lead time is said to have drifted."""
    mail: ScorecardMail | None = None
    """Who is sent the scorecards of each month; without it nobody."""

    @model_validator(mode="after")
    def _scored(self) -> Self:
        for tier, targets in self.tiers.items():
            for name in targets:
                if name not in self.figures:
                    raise mistake(
                        f"tier {tier} has a target for {name}, which is not scored",
                        f"write one of: {', '.join(self.figures)}",
                    )
        return self

    def target(self, name: str, tier: str | None) -> float:
        """The target of a figure for suppliers of a tier, 0..1."""
        return float(self.tiers.get(tier or "", {}).get(name) or self.figures[name].target)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of one supplier and period: a share 0..1 over ``n`` subjects; None = no data."""

    value: float | None
    n: int


NOTHING = Measured(None, 0)


@dataclass(frozen=True, slots=True)
class Component:
    """What one figure adds to a score.

    value    share 0..1; None = it drops out, and ``reason`` says why
    credit   min(1, value / target)
    points   what it adds to the score of 100, with the weights of what dropped out shared out
    lost     points that full marks would add: where it pays to improve
    change   value against the period before, None where either has no data
    """

    id: str
    name: str
    weight: int
    target: float
    value: float | None
    n: int
    credit: float | None
    points: float | None
    lost: float | None
    previous: float | None = None
    reason: str = ""

    @property
    def change(self) -> float | None:
        if self.value is None or self.previous is None:
            return None
        return self.value - self.previous

    @property
    def missed(self) -> bool | None:
        """Below its target; None without data."""
        return None if self.value is None else self.value < self.target


@dataclass(frozen=True, slots=True)
class Score:
    """A score with what it is made of.

    value     0..100; None = no data, and ``reason`` says why
    standing  critical, weak, steady or strong; None without a score
    weight    weights with data, in percent of all
    previous  the score of the period before; None = no data then
    """

    value: float | None
    standing: str | None
    weight: float
    components: tuple[Component, ...]
    previous: float | None = None
    reason: str = ""

    @property
    def change(self) -> float | None:
        """Points against the period before."""
        if self.value is None or self.previous is None:
            return None
        return self.value - self.previous


def score(
    spec: ScorecardSpec,
    tier: str | None,
    measured: Mapping[str, Measured],
    before: Mapping[str, Measured] | None = None,
) -> Score:
    """The score of one supplier from the figures of a period, and of the period before."""
    earlier = before or {}
    credited, weights, with_data = _credits(spec, tier, measured)
    enough = weights > 0 and with_data >= spec.least_weight
    components = []
    for name, figure in spec.figures.items():
        now, credit = measured.get(name, NOTHING), credited[name]
        then = earlier.get(name, NOTHING)
        share = 100 * figure.weight / weights if enough else None
        components.append(
            Component(
                id=name,
                name=DEFINITIONS[name].name if name in DEFINITIONS else name,
                weight=figure.weight,
                target=spec.target(name, tier),
                value=None if credit is None else now.value,
                n=now.n,
                credit=credit,
                points=None if credit is None or share is None else share * credit,
                lost=None if credit is None or share is None else share * (1 - credit),
                previous=then.value if then.n >= spec.minimum else None,
                reason="" if credit is not None else f"no data ({now.n} of {spec.minimum})",
            )
        )
    value = sum(c.points for c in components if c.points is not None) if enough else None
    return Score(
        value=value,
        standing=standing(spec, value),
        weight=with_data,
        components=tuple(components),
        previous=score_value(spec, tier, before) if before is not None else None,
        reason=""
        if enough
        else f"no data: figures with {with_data:.0f} % of the weight are known, "
        f"{spec.least_weight} % are needed",
    )


def score_value(
    spec: ScorecardSpec, tier: str | None, measured: Mapping[str, Measured]
) -> float | None:
    """The value of such a score alone, which a trend needs."""
    credited, weights, with_data = _credits(spec, tier, measured)
    if not weights or with_data < spec.least_weight:
        return None
    return sum(
        100 * spec.figures[name].weight / weights * credit
        for name, credit in credited.items()
        if credit is not None
    )


def _credits(
    spec: ScorecardSpec, tier: str | None, measured: Mapping[str, Measured]
) -> tuple[dict[str, float | None], int, float]:
    """The credit of each figure, the weights of those that have one, and their percent of all."""
    credited = {
        name: _credit(spec, name, tier, measured.get(name, NOTHING)) for name in spec.figures
    }
    weights = sum(
        spec.figures[name].weight for name, credit in credited.items() if credit is not None
    )
    return credited, weights, 100 * weights / sum(one.weight for one in spec.figures.values())


def standing(spec: ScorecardSpec, value: float | None) -> str | None:
    """What a score is called; the edges belong to the better word."""
    if value is None:
        return None
    limits = (spec.standings.weak, spec.standings.steady, spec.standings.strong)
    # Points are sums of binary fractions: 70 points must not be called 69.99999999999999.
    return STANDINGS[sum(round(value, 9) >= limit for limit in limits)]


def _credit(spec: ScorecardSpec, name: str, tier: str | None, measured: Measured) -> float | None:
    if measured.value is None or measured.n < spec.minimum:
        return None
    return min(1.0, measured.value / spec.target(name, tier))


# --- two cards beside each other ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of a comparison; values as shares, the score in points. None = no data there."""

    id: str
    name: str
    one: float | None
    other: float | None
    n_one: int
    n_other: int
    target: float | None

    @property
    def by(self) -> float | None:
        """The first minus the second; None where either has no data."""
        return None if self.one is None or self.other is None else self.one - self.other


def compare(one: Score, other: Score) -> tuple[Difference, ...]:
    """Two suppliers in one period, or one supplier in two periods: the score, then its figures."""
    found = [Difference("score", "Score", one.value, other.value, 0, 0, None)]
    others = {c.id: c for c in other.components}
    for a in one.components:
        b = others.get(a.id)
        found.append(
            Difference(
                a.id, a.name, a.value, b.value if b else None, a.n, b.n if b else 0, a.target
            )
        )
    return tuple(found)


# --- lead time ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drift:
    """Median lead time against its plan, in days.

    actual   median from sending the order to the completing receipt
    plan     what was agreed, else the median of what the same orders asked for
    basis    agreed, or asked
    n        completed orders; ``reason`` says why there is no answer
    """

    actual: float | None
    plan: float | None
    basis: str
    n: int
    drifted: bool | None
    tolerance: float
    reason: str = ""

    @property
    def days(self) -> float | None:
        """Days that the median is over its plan; negative = quicker."""
        return None if self.actual is None or self.plan is None else self.actual - self.plan


def drift(
    limits: LeadTimeLimits,
    actual: Sequence[float],
    asked: Sequence[float],
    agreed: float | None = None,
) -> Drift:
    """How far lead times are from their plan: those of ``actual`` orders, in days."""
    plan, basis = agreed, "agreed"
    if plan is None:
        plan, basis = (median(asked) if asked else None), "asked"
    return drift_of_medians(limits, median(actual) if actual else None, plan, basis, len(actual))


def drift_of_medians(
    limits: LeadTimeLimits, actual: float | None, plan: float | None, basis: str, n: int
) -> Drift:
    """The same from medians that are known already."""
    tolerance = float(limits.tolerance)
    if n < limits.minimum or actual is None:
        reason = f"no data ({n} of {limits.minimum})"
        return Drift(None, None, basis, n, None, tolerance, reason)
    if plan is None or plan <= 0:
        return Drift(actual, None, basis, n, None, tolerance, "no plan: no order asked for a date")
    return Drift(actual, plan, basis, n, abs(actual - plan) > plan * tolerance, tolerance)
