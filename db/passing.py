"""Units that only time has moved: their open clocks and what became of them, without events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from db import records, week_marks
from db.clocks import ELSEWHERE
from db.tables import clock, judged_unit, transition
from tower.signs import Subject


@dataclass(slots=True)
class OpenClock:
    """An open cycle. ``state`` and ``last`` (number of its last journal entry) only if it is due.
    """

    rule: str
    subject: Subject
    cycle: int
    next_at: datetime | None
    rule_version: str
    calendar_version: str | None
    state: dict[str, Any] | None
    last: int | None


@dataclass(slots=True)
class Waiting:
    """A unit of which its clocks have heard everything: nothing but time can have moved it."""

    home: int
    partner_id: int | None
    instant: datetime
    impact_at: datetime | None
    clocks: list[OpenClock] = field(default_factory=list)


# Two questions: as one, the planner may read all events for those that no clock took yet. For the
# same reason the clocks of each unit are looked up by themselves (OFFSET 0).
_TOLD = text(
    """
    SELECT DISTINCT e.home_key FROM event_object e
    WHERE e.home_key = ANY(:homes) AND e.applied_at IS NULL AND NOT e.type = ANY(:unheard)
    """
)
_OPEN = text(
    """
    SELECT j.home_key, k.partner_id, j.instant, j.impact_at, k.rule, k.kind, k.scope, k.number,
           k.line, k.cycle, k.next_at, k.rule_hash, k.calendar_hash,
           CASE WHEN k.next_at <= :now THEN k.state END,
           CASE WHEN k.next_at <= :now THEN
               (SELECT max(t.n) FROM transition t
                WHERE t.home_key = k.home_key AND t.rule = k.rule AND t.kind = k.kind
                  AND t.scope = k.scope AND t.number = k.number AND t.line = k.line) END
    FROM judged_unit j, LATERAL (
        SELECT * FROM clock c
        WHERE c.home_key = j.home_key AND c.open AND NOT c.kind = ANY(:elsewhere)
        OFFSET 0) k
    WHERE j.home_key = ANY(:homes)
      AND j.failed_at IS NULL AND j.reread_at IS NULL
      AND (j.impact_at IS NULL OR j.impact_at > :now)
    """
)


def waiting(
    conn: Connection, homes: Iterable[int], unheard: Iterable[str], now: datetime
) -> list[Waiting]:
    """Of these units those with open clocks that have taken every event, lost none since, did not
    crash, and whose lines need no look for the day."""
    asked = set(homes)
    given = {"homes": sorted(asked), "unheard": sorted(unheard)}
    asked -= set(conn.execute(_TOLD, given).scalars())
    if not asked:
        return []
    found: dict[int, Waiting] = {}
    rows = conn.execute(
        _OPEN, {"homes": sorted(asked), "now": now, "elsewhere": list(ELSEWHERE)}
    ).all()
    for home, partner, instant, impact_at, rule, kind, scope, number, line, *rest in rows:
        unit = found.get(home)
        if unit is None:
            unit = found[home] = Waiting(home, partner, instant, impact_at)
        cycle, next_at, rule_hash, calendar_hash, state, last = rest
        unit.clocks.append(
            OpenClock(
                rule,
                Subject(kind, scope, number, line),
                cycle,
                next_at,
                rule_hash,
                calendar_hash,
                state,
                last,
            )
        )
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Moved:
    """A clock that warned.

    warnings  (level, effective, logical instant at which it was known) of each
    state     the cycle as it now is
    next_at   when time alone changes it again
    """

    home: int
    clock: OpenClock
    warnings: Sequence[tuple[str, datetime, datetime]]
    state: dict[str, Any]
    next_at: datetime


def save(
    conn: Connection, moved: Sequence[Moved], instants: Sequence[tuple[int, datetime]],
    now: datetime,
) -> None:
    """Store clocks that warned, their journal, and the last logical instant of each unit."""
    clocks: list[dict[str, Any]] = []
    journal: list[dict[str, Any]] = []
    for one in moved:
        subject = one.clock.subject
        place = {
            "home_key": one.home,
            "rule": one.clock.rule,
            "kind": subject.kind,
            "scope": subject.scope,
            "number": subject.number,
            "line": subject.line,
        }
        clocks.append(
            {
                **place,
                "cycle": one.clock.cycle,
                "verdict": one.state["verdict"],
                "next_at": one.next_at,
                "state": one.state,
            }
        )
        for n, (name, effective, detected) in enumerate(one.warnings, (one.clock.last or 0) + 1):
            journal.append(
                {
                    **place,
                    "n": n,
                    "cycle": one.clock.cycle,
                    "name": name,
                    "effective_at": effective,
                    "detected_at": detected,
                    "handled_at": now,
                    "rule_hash": one.clock.rule_version,
                    "why": one.state["receipt"],
                }
            )
    records.change(conn, clock, clocks, keys=_CLOCK)
    week_marks.mark_homes(conn, (home for home, _ in instants))
    records.put(conn, transition, journal)
    records.change(
        conn,
        judged_unit,
        [{"home_key": home, "instant": instant} for home, instant in sorted(instants)],
        keys=("home_key",),
    )


_CLOCK = ("home_key", "rule", "kind", "scope", "number", "line", "cycle")
