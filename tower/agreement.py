"""Two systems must tell the same: what each said of a line, laid side by side in order of time.

The signs of a line become two signs of our own: from here on they tell it apart, from here on
alike. A deadline between the two is all that is left to judge (tower/clocks.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from tower.rule_parts import Comparison
from tower.rulebook import AgreementRule
from tower.signs import ALIKE, APART, RuleInForce, Sign

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
    return replace(rule, start=frozenset({APART}), stop=frozenset({ALIKE}))


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
