"""Two systems must tell the same: what each said of a line, laid side by side in order of time.

The signs of a line become two signs of our own: from here on they tell it apart, from here on
alike. A deadline between the two is all that is left to judge (tower/clocks.py). Lead times of a
supplier, measured once a day, are laid beside their plan in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from tower.rule_parts import Comparison, percent
from tower.rulebook import AgreementRule
from tower.signs import ALIKE, APART, KEPT, LEAD_TIME, LEFT, RuleInForce, Sign

AGREED = "agreed"
"""Basis of a plan: the partner's ``lead_time_days``."""
WINDOW = timedelta(days=90)
"""Lead times are those of the orders completed in so long a time."""

FACTS: Mapping[str, tuple[str, ...]] = {
    "confirmed_qty": ("applied_qty", "confirmed_qty"),
    "confirmed_date": ("applied_date", "confirmed_date"),
    "price": ("applied_price", "confirmed_price", "price"),
    "ordered_qty": ("qty",),
    "requested_date": ("requested_date",),
}
"""Fields that systems tell of a line, with the facts of an event that state them."""


@lru_cache(maxsize=256)
def as_deadline(rule: RuleInForce) -> RuleInForce:
    """The rule as the clock judges it: apart starts it, alike stops it."""
    return replace(rule, start=frozenset({APART, LEFT}), stop=frozenset({ALIKE, KEPT}))


def compared(
    body: AgreementRule, rule: RuleInForce, signs: Iterable[Sign], kinds: Mapping[str, str]
) -> list[Sign]:
    """The instants from which two systems tell a line apart, or alike again, and what ends it.

    ``kinds`` gives the kind of each system. What one side did not tell is no difference.
    """
    heard = {sign.event_id: sign for sign in signs if rule.listens(sign)}
    told: dict[str, str] = {}
    found: list[Sign] = []
    apart: tuple[str, ...] = ()
    for sign in sorted(heard.values(), key=lambda s: (s.occurred_at, s.event_id.bytes)):
        if sign.type in rule.cancel:
            found.append(sign)  # nobody waits for what is told afterwards
            break
        for pair in body.compare:
            for side in (pair.a, pair.b):
                value = _said(side, sign, kinds)
                if value is not None:
                    told[side] = value
        now = tuple(_difference(pair, told) for pair in body.compare if _differs(pair, told))
        if now and not apart:
            found.append(replace(sign, type=APART, facts={**sign.facts, "apart": list(now)}))
        elif apart and not now:
            found.append(replace(sign, type=ALIKE))
        apart = now
    return found


@dataclass(frozen=True, slots=True)
class LeadTime:
    """The lead time of a supplier as it is on a day, in days.

    actual   median from sending an order to the receipt that completed it
    planned  what was agreed, else the median of what the same orders asked for
    basis    agreed, or asked
    n        orders completed
    """

    actual: float | None
    planned: float | None
    basis: str
    n: int

    def facts(self) -> dict[str, Any]:
        return {"actual": self.actual, "planned": self.planned, "basis": self.basis, "n": self.n}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> LeadTime:
        return cls(facts.get("actual"), facts.get("planned"), facts.get("basis") or "", facts["n"])


def left_plan(pair: Comparison, found: LeadTime) -> bool:
    """Whether it is further from its plan than is tolerated; with too few orders it is not.

    Only what was agreed is a plan here. Medians of what was asked for and of what was done may be
    of different orders: among a dozen orders one late bunch moves the one and not the other.
    """
    actual, planned = found.actual, found.planned
    if found.n < (pair.at_least or 1) or actual is None or planned is None or planned <= 0:
        return False
    if found.basis != AGREED:
        return False
    return abs(actual - planned) > planned * float(pair.tolerance or 0)


def against_plan(body: AgreementRule, signs: Iterable[Sign]) -> list[Sign]:
    """The days from which the lead time of a supplier is not what was planned, or is again."""
    pair = next(iter(body.compare), None)
    if pair is None:
        return []
    read = {sign.event_id: sign for sign in signs if sign.type == LEAD_TIME}
    found: list[Sign] = []
    left = False
    for sign in sorted(read.values(), key=lambda s: (s.occurred_at, s.event_id.bytes)):
        reading = LeadTime.of(sign.facts)
        now = left_plan(pair, reading)
        if now and not left:
            found.append(replace(sign, type=LEFT, facts={"apart": _told(pair, reading)}))
        elif left and not now:
            found.append(replace(sign, type=KEPT))
        left = now
    return found


def _told(pair: Comparison, found: LeadTime) -> list[str]:
    return [
        f"lead time {_days(found.actual)} (median of {found.n} orders)",
        f"planned {_days(found.planned)} ({found.basis})",
        f"tolerance {percent(pair.tolerance or Decimal(0))}",
    ]


def _days(value: float | None) -> str:
    return "?" if value is None else f"{value:g} days"


def _said(side: str, sign: Sign, kinds: Mapping[str, str]) -> str | None:
    """What this event says for one side: ``portal.confirmed_qty``, a system or a kind of it."""
    system, _, name = side.partition(".")
    if system not in (sign.system, kinds.get(sign.system)):
        return None
    for fact in FACTS[name]:
        value: Any = sign.facts.get(fact)
        if value is not None:
            return str(value)
    return None


def _differs(pair: Comparison, told: Mapping[str, str]) -> bool:
    one, other = told.get(pair.a), told.get(pair.b)
    if one is None or other is None:
        return False
    try:
        return Decimal(one) != Decimal(other)
    except InvalidOperation:
        return one != other


def _difference(pair: Comparison, told: Mapping[str, str]) -> str:
    return f"{_words(pair.a)} {told[pair.a]}, {_words(pair.b)} {told[pair.b]}"


def _words(side: str) -> str:
    return side.replace(".", " ").replace("_", " ")
