"""What clocks were believed to say at an instant: their journal, summed up as far as it went then.

The journal is the record of what was believed when; what stands today is not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tower.cycles import Verdict, moment_of
from tower.signs import Subject
from tower.timeline import Entry, standing

ClockName = tuple[str, Subject, int]
"""Rule, subject and number of the cycle."""


@dataclass(frozen=True, slots=True)
class Believed:
    """One cycle as it was believed to stand; ``due`` None if it was paused or nothing measured."""

    verdict: Verdict
    open: bool
    paused: bool
    started: datetime | None
    due: datetime | None
    breached: datetime | None
    ended: datetime | None
    held_by: str | None


def believed(journal: Iterable[Entry]) -> dict[ClockName, Believed]:
    """The cycles after these entries, which must be in their order."""
    told = list(journal)
    facts: dict[ClockName, dict[str, datetime]] = {}
    for (rule, subject, cycle, name), effective in standing(told).items():
        facts.setdefault((rule, subject, cycle), {})[name] = effective
    dues: dict[ClockName, datetime | None] = {}
    why: dict[tuple[ClockName, str], Mapping[str, Any]] = {}
    for entry in told:
        clock = (entry.rule, entry.subject, entry.cycle)
        if entry.due is not None:
            dues[clock] = entry.due
        why[clock, entry.name.removeprefix("moved:")] = entry.why
    return {
        clock: _cycle(its, dues.get(clock), why.get((clock, "held"), {}))
        for clock, its in facts.items()
    }


_NO_MISS = frozenset({"started", "excluded", "paused", "warn", "held"})


def _cycle(
    facts: Mapping[str, datetime], due: datetime | None, held: Mapping[str, Any]
) -> Believed:
    end = next((name for name in facts if name.startswith("end:")), None)
    missed = any(name not in _NO_MISS and not name.startswith("end:") for name in facts)
    is_open = end is None and "excluded" not in facts
    return Believed(
        verdict=_verdict(facts, end, missed),
        open=is_open,
        paused="paused" in facts and is_open,
        started=facts.get("started", facts.get("excluded")),
        due=None if "paused" in facts or "excluded" in facts else due,
        breached=facts.get("breach"),
        ended=None if end is None else facts[end],
        held_by=str(held["by"]) if "held" in facts and "by" in held else None,
    )


def _verdict(facts: Mapping[str, datetime], end: str | None, missed: bool) -> Verdict:
    if "excluded" in facts:
        return Verdict.NOT_MEASURED
    if end == "end:met":
        return Verdict.MET
    if end == "end:late" or (end == "end:cleared" and missed):
        return Verdict.MET_LATE
    if end == "end:cleared":
        return Verdict.MET
    if missed:
        return Verdict.BREACHED  # cancelling does not wash a breach
    if end is not None:
        return Verdict.NOT_MEASURED
    if "held" in facts:
        return Verdict.UNKNOWN
    return Verdict.AT_RISK if "warn" in facts else Verdict.PENDING


def due_of(why: Mapping[str, Any]) -> datetime | None:
    """When a cycle was due, as the receipt of a journal entry says; None if it does not."""
    told = why.get("due")
    return moment_of(told) if isinstance(told, str) else None
