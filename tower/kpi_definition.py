"""What the definition of a figure says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Unit = Literal[
    "%",
    "orders",
    "money",
    "cases",
    "h",
    "days",
    "s",
    "min",
    "messages",
    "attempts",
    "points",
    "unit-days",
]
Better = Literal["up", "down"]
Statistic = Literal["share", "weighted", "median", "mean", "sum", "count", "largest", "score"]
"""How subjects make a figure.

share     counted hits of counted subjects
weighted  sum of what the hits weigh of what all weigh (units, money)
median    of a duration or age; p90 or p95 beside
mean      of a duration; median and p90 beside
sum       of amounts of one unit or currency, others beside
count     of distinct subjects
largest   amount of the worst subject
score     points made from other figures
"""

ORDER_DIMENSIONS = ("supplier", "buyer", "warehouse", "category")
CASE_DIMENSIONS = (*ORDER_DIMENSIONS, "topic")
OF_CUSTOMERS = ("warehouse", "category")
"""What customer orders are told apart by: no supplier serves them."""
COURSES = ("week", "month")

_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})
SUPPLY_DATES = ("first_confirmed", "last_confirmed", "requested")
CUSTOMER_DATES = ("first_promised", "last_promised", "requested")


@dataclass(frozen=True, slots=True)
class Definition:
    """What a figure means. Shares are told in percent, ``target`` as a share.

    short     the name where there is little room
    formula   numerator / denominator in words
    outside   what is in neither
    target    share, hours or days that are aimed at; None = none by itself
    least     minimum sample below which there is no figure
    snapshot  tells of now, whatever the period
    version   rises when the meaning changes
    counts    what one subject is
    opens     page where the subjects are listed
    audience  L leader, S support, O owner
    dated     subjects fall due by day, not by instant
    switches  choices of the definition: name -> words, the first being the default
    by        what it can be told apart by, beside week and month
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
    statistic: Statistic = "share"
    counts: str = "purchase orders"
    opens: str = "/purchase-orders"
    audience: str = "L"
    dated: bool = False
    switches: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    by: tuple[str, ...] = ORDER_DIMENSIONS

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Everything it can be told apart by; figures of now have no course."""
        return self.by if self.snapshot else (*self.by, *COURSES)
