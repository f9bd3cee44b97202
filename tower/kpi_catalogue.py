"""The catalogue of figures: what each means, what it leaves out, which choices it offers.

One entry per figure. The page docs/kpis.md is written from it (tower/kpi_page.py), the database
counts by it (db/reads/figures.py), and screens explain themselves with its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tower import kpi_house, kpi_supply
from tower.access import Scope
from tower.errors import TowerError
from tower.kpi_definition import CUSTOMER_DATES, SUPPLY_DATES, Definition

WEIGHTS: Mapping[str, int] = MappingProxyType(
    {
        "ack_on_time": 20,
        "first_confirm": 15,
        "commit_reliability": 25,
        "asn_on_time": 10,
        "asn_valid": 10,
        "otif": 20,
    }
)
"""Weights of the supplier score by its components."""
LEAST_WEIGHT = 60  # of 100: with less known there is no score

SCORES = (
    Definition(
        "supplier_score",
        "Supplier score",
        "Score",
        "points",
        "100 x sum of weight x min(1, value / target) / sum of the weights with data: "
        + ", ".join(f"{name} {weight}" for name, weight in WEIGHTS.items()),
        f"components with fewer than 5 subjects; with less than {LEAST_WEIGHT} of 100 weights left "
        "there is no score",
        "up",
        target=90,
        statistic="score",
        counts="components",
        opens="/supplier",
    ),
)

DEFINITIONS: Mapping[str, Definition] = MappingProxyType(
    {
        d.id: d
        for group in (
            kpi_supply.ANSWERS,
            kpi_supply.SHIPMENTS,
            kpi_supply.FULFILMENT,
            kpi_house.CUSTOMERS,
            kpi_house.MESSAGES,
            kpi_house.CASES,
            SCORES,
        )
        for d in group
    }
)

Switches = Mapping[str, str]
"""Chosen words of a definition's switches; what is not named has its default."""


class UnknownChoice(TowerError):
    """A figure, a switch or a dimension that the catalogue does not know."""


OF_PARTNERS = frozenset(
    {
        "ack_on_time", "ack_cycle_clock", "ack_cycle_business", "first_confirm", "asn_on_time",
        "asn_valid", "asn_accurate", "shipped_on_time", "fill_first", "commit_reliability", "otif",
        "fill_line", "fill_unit", "fill_value", "unit_days_late", "lead_time", "lead_time_var",
        "supplier_score",
    }
)  # fmt: skip
"""Figures that a partner is told of itself: how it answers, announces and delivers. All others
are about us: our customers, people, feeds and queues.
"""


OF_CUSTOMERS_HURT = frozenset({"orders_affected", "value_at_risk"})
"""Figures for those alone who may read of customers."""


def told_to(scope: Scope) -> frozenset[str]:
    """The figures that this viewer is told."""
    if scope.role == "partner":
        return OF_PARTNERS
    known = frozenset(DEFINITIONS)
    return known if scope.sees_value_at_risk else known - OF_CUSTOMERS_HURT


def definition(kpi_id: str) -> Definition:
    """The definition of a figure. Raises UnknownChoice."""
    found = DEFINITIONS.get(kpi_id)
    if found is None:
        known = ", ".join(DEFINITIONS)
        raise UnknownChoice(f'There is no figure "{kpi_id}". Known are {known}.')
    return found


def chosen(of: Definition, switches: Switches) -> dict[str, str]:
    """Every switch of a figure with its word. Raises UnknownChoice, which names what is known."""
    for name, word in switches.items():
        known = of.switches.get(name)
        if known is None:
            offered = ", ".join(of.switches) or "none"
            raise UnknownChoice(f'{of.id} has no switch "{name}"; its switches: {offered}.')
        if word not in known:
            raise UnknownChoice(f'{of.id}: {name} is one of {", ".join(known)}, not "{word}".')
    found = {name: switches.get(name, words[0]) for name, words in of.switches.items()}
    if "side" in found:
        _settle_side(of, switches, found)
    return found


def _settle_side(of: Definition, given: Switches, found: dict[str, str]) -> None:
    """A promised date belongs to the customers' side, a confirmed one to that of supply."""
    if "side" not in given and found["date"] in CUSTOMER_DATES and "promised" in found["date"]:
        found["side"] = "customer"
    dates = CUSTOMER_DATES if found["side"] == "customer" else SUPPLY_DATES
    if "date" not in given:
        found["date"] = dates[0]
    if found["date"] not in dates:
        raise UnknownChoice(
            f"{of.id}: on the side of {found['side']} date is one of {', '.join(dates)}, "
            f'not "{found["date"]}".'
        )


def check_dimension(of: Definition, by: str) -> None:
    """Refuse what a figure cannot be told apart by. Raises UnknownChoice, which says why."""
    if by in of.dimensions:
        return
    why = ""
    if by == "category":
        why = " What it counts has no category of goods."
    elif by == "topic":
        why = " Only cases, what is at risk and messages have a topic."
    elif by in ("week", "month") and of.snapshot:
        why = " It tells of now."
    raise UnknownChoice(f"{of.id} is told apart by {', '.join(of.dimensions)}, not {by}.{why}")
