"""Units that only time has moved: their open clocks and what became of them, without events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from db import trips, week_marks
from db.clocks import ELSEWHERE, Feeds, feeds_of
from db.records import as_json
from db.trips import Statement
from tower.cycles import Verdict
from tower.signs import Subject


@dataclass(slots=True)
class OpenClock:
    """An open cycle. ``state`` and ``last`` (number of its last journal entry) only if due."""

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
_TOLD = Statement(
    """
    SELECT DISTINCT e.home_key FROM event_object e
    WHERE e.home_key = ANY(%(homes)s::bigint[]) AND e.applied_at IS NULL
      AND NOT e.type = ANY(%(unheard)s::text[])
    """
)
_OPEN = Statement(
    """
    SELECT j.home_key, k.partner_id, j.instant, j.impact_at, k.rule, k.kind, k.scope, k.number,
           k.line, k.cycle, k.next_at, k.rule_hash, k.calendar_hash,
           CASE WHEN k.next_at <= %(now)s THEN k.state END,
           CASE WHEN k.next_at <= %(now)s THEN
               (SELECT max(t.n) FROM transition t
                WHERE t.home_key = k.home_key AND t.rule = k.rule AND t.kind = k.kind
                  AND t.scope = k.scope AND t.number = k.number AND t.line = k.line) END
    FROM judged_unit j, LATERAL (
        SELECT * FROM clock c
        WHERE c.home_key = j.home_key AND c.open AND NOT c.kind = ANY(%(elsewhere)s::text[])
        OFFSET 0) k
    WHERE j.home_key = ANY(%(homes)s::bigint[])
      AND j.failed_at IS NULL AND j.reread_at IS NULL
      AND (j.impact_at IS NULL OR j.impact_at > %(now)s)
    """
)


def waiting(
    conn: Connection,
    homes: Iterable[int],
    unheard: Iterable[str],
    sources: Iterable[str],
    now: datetime,
) -> tuple[list[Waiting], Feeds]:
    """Of these units those with open clocks that have taken every event, lost none since, did not
    crash, and whose lines need no look for the day; and what is known of the sources, for all of
    the units given. One trip to the server."""
    asked = sorted(set(homes))
    told, rows, *fed = trips.ask(
        conn,
        (_TOLD, {"homes": asked, "unheard": sorted(unheard)}),
        (_OPEN, {"homes": asked, "now": now, "elsewhere": list(ELSEWHERE)}),
        *feeds_of(asked, sources),
    )
    heard = {row[0] for row in told}
    found: dict[int, Waiting] = {}
    for home, partner, instant, impact_at, rule, kind, scope, number, line, *rest in rows:
        if home in heard:
            continue
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
    return list(found.values()), Feeds.of_rows(*fed)


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


# Small values come as JSON, which costs the driver least, the large ones beside them as arrays,
# which cost the server least.
_MOVE = Statement(
    """
    WITH g AS (
        SELECT * FROM ROWS FROM (
            json_to_recordset(%(rows)s::json) AS (
                home bigint, rule text, kind text, scope text, number text, line text, cycle int,
                n int, name text, effective timestamptz, detected timestamptz, rule_hash text,
                next_at timestamptz),
            unnest(%(state)b::text[], %(why)b::text[])
        ) AS g (home, rule, kind, scope, number, line, cycle, n, name, effective, detected,
                rule_hash, next_at, state, why)
    ), moved AS (
        UPDATE clock c SET verdict = %(verdict)s, next_at = g.next_at, state = g.state::json
        FROM g
        WHERE c.home_key = g.home AND c.rule = g.rule AND c.kind = g.kind AND c.scope = g.scope
          AND c.number = g.number AND c.line = g.line AND c.cycle = g.cycle
          AND g.state IS NOT NULL
    )
    INSERT INTO transition (home_key, rule, kind, scope, number, line, n, cycle, name,
                            effective_at, detected_at, handled_at, rule_hash, why)
    SELECT home, rule, kind, scope, number, line, n, cycle, name, effective, detected, %(now)s,
           rule_hash, why::json
    FROM g
    """
)
_SEEN = Statement(
    """
    UPDATE judged_unit j SET instant = g.instant
    FROM json_to_recordset(%(rows)s::json) AS g (home bigint, instant timestamptz)
    WHERE j.home_key = g.home
    """
)


def save(
    conn: Connection,
    moved: Sequence[Moved],
    instants: Sequence[tuple[int, datetime]],
    now: datetime,
) -> None:
    """Store clocks that warned, their journal, and the last logical instant of each unit."""
    if not moved:
        return
    rows: list[dict[str, Any]] = []
    states: list[str | None] = []
    reasons: list[str] = []
    for one in moved:
        clock, last = one.clock, len(one.warnings) - 1
        subject, why = clock.subject, as_json(one.state["receipt"])
        for n, (name, effective, detected) in enumerate(one.warnings):
            rows.append(
                {
                    "home": one.home,
                    "rule": clock.rule,
                    "kind": subject.kind,
                    "scope": subject.scope,
                    "number": subject.number,
                    "line": subject.line,
                    "cycle": clock.cycle,
                    "n": (clock.last or 0) + 1 + n,
                    "name": name,
                    "effective": effective,
                    "detected": detected,
                    "rule_hash": clock.rule_version,
                    "next_at": one.next_at,
                }
            )
            states.append(as_json(one.state) if n == last else None)
            reasons.append(why)
    given = {
        "rows": as_json(rows),
        "state": states,
        "why": reasons,
        "verdict": Verdict.AT_RISK.value,
        "now": now,
    }
    trips.tell(conn, _MOVE, given)
    week_marks.mark_homes(conn, (home for home, _ in instants))
    seen = [{"home": home, "instant": instant} for home, instant in sorted(instants)]
    trips.tell(conn, _SEEN, {"rows": as_json(seen)})
