"""Why one subject is in a figure or left out of it, as a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tower.kpi_definition import Definition
from tower.kpis import HIT, MISS

OUT = {
    "pending": "not due yet",
    "at_risk": "not due yet, and most of its time is gone",
    "not_measured": "not measured: exempt by a rule, or its supplier is on trial",
    "unknown": "unknown: a feed that could tell was silent, or nobody told yet",
    "cancelled": "cancelled before it was due",
    "other_unit": "told in a unit that does not compare",
    "unpriced": "without a price in the company's currency",
    "undecided": "its first answer says neither yes nor no",
    "not_transmitted": "nobody told when it was transmitted",
    "not_complete": "not all of it was received",
    "receiving": "it differs, but was first received less than three days ago",
    "unchecked": "nobody checked it yet",
    "credit": "a credit note",
    "inexact": "only the day of a step is known",
    "no_depth": "the broker told no depth",
    "never_read": "never read",
    "healed_untaken": "it healed before anybody took it",
    "untaken": "nobody took it yet",
    "unjudged": "nobody judged it",
    "false_alarm": "a false alarm",
    "merged": "merged into another case",
}
"""Words under which subjects are left out, in a reader's words."""

_COUNTS = {"median", "mean", "sum", "count", "largest"}


def why(of: Definition, verdict: str, facts: Mapping[str, Any], *, healed: bool = False) -> str:
    """ "in, a miss healed late: due 2026-03-02, ordered 10, came by due 4"; times as told."""
    if verdict in (HIT, MISS):
        if of.statistic in _COUNTS:
            word = "in" if verdict == HIT else "in, and still open"
        elif of.better == "down":  # the share of what failed
            word = "in, failed" if verdict == HIT else "in, sound"
        else:
            word = f"in, a {verdict}"
        head = f"{word} healed late" if healed else word
    else:
        head = f"out, {OUT.get(verdict, verdict.replace('_', ' '))}"
    told = ", ".join(
        f"{name.replace('_', ' ')} {_said(value)}"
        for name, value in facts.items()
        if value is not None
    )
    return f"{head}: {told}" if told else head


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    # An instant of JSON, to the minute: seconds hide what matters.
    return text[:16].replace("T", " ") if len(text) > 16 and text[10:11] == "T" else text
