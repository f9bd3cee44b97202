"""Units that only time has moved: their open clocks and what became of them, without events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from db import completeness, trips
from db.clocks import ELSEWHERE, with_news
from db.completeness import Feeds
from db.records import as_json, numbers, words
from db.trips import Statement
from tower.cycles import Verdict


@dataclass(slots=True)
class DueClock:
    """An open cycle that time has moved.

    place    where its row is, while this transaction holds the timer of its unit
    state    what is kept of it (``Cycle.to_json``) but for the receipt
    receipt  how its due was worked out, which no warning changes: JSON
    last     number of its last journal entry, None if there is none
    """

    rule: str
    rule_version: str
    calendar_version: str | None
    place: str
    state: dict[str, Any]
    receipt: str
    last: int | None


OtherClock = tuple[str, str, str | None, datetime | None]
"""An open cycle that is not due: rule, versions of rule and calendar, when time changes it next."""


@dataclass(slots=True)
class Waiting:
    """A unit of which its clocks have heard everything: nothing but time can have moved it."""

    home: int
    partner_id: int | None
    instant: datetime
    impact_at: datetime | None
    due: list[DueClock] = field(default_factory=list)
    others: list[OtherClock] = field(default_factory=list)


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
    SELECT j.home_key, k.partner_id, j.instant, j.impact_at, k.rule, k.rule_hash, k.calendar_hash,
           k.next_at,
           CASE WHEN k.next_at <= %(now)s THEN k.place END,
           CASE WHEN k.next_at <= %(now)s THEN k.state::text END,
           CASE WHEN k.next_at <= %(now)s THEN
               (SELECT max(t.n) FROM transition t
                WHERE t.home_key = k.home_key AND t.rule = k.rule AND t.kind = k.kind
                  AND t.scope = k.scope AND t.number = k.number AND t.line = k.line) END
    FROM judged_unit j, LATERAL (
        SELECT c.*, c.ctid AS place FROM clock c
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
    before: Sequence[trips.Asked] = (),
    beside: Sequence[trips.Asked] = (),
    events: int | None = None,
) -> tuple[list[Waiting], Feeds, list[list[Any]]]:
    """Of these units those with open clocks that have taken every event, lost none since, did not
    crash, and whose lines need no look for the day; and what is known of the sources, for all of
    the units given. One trip to the server, with the answers to what is asked before and beside.
    ``events``: which of these answers gives the events of all units, if one does
    (db/clocks.asking)."""
    asked = sorted(set(homes))
    given = numbers(asked)
    news: list[trips.Asked] = []
    if events is None:
        news.append((_TOLD, {"homes": given, "unheard": words(frozenset(unheard))}))
    answers = trips.ask(
        conn,
        *before,
        (_OPEN, {"homes": given, "now": now, "elsewhere": words(ELSEWHERE)}),
        completeness.asking(asked, sources),
        *beside,
        *news,
    )
    own = slice(len(before), len(before) + 2)
    rows, complete = answers[own]
    del answers[own]
    heard = with_news(answers[events]) if events is not None else {row[0] for row in answers.pop()}
    found: dict[int, Waiting] = {}
    for home, partner, instant, impact_at, rule, version, calendar, next_at, *due in rows:
        if home in heard:
            continue
        unit = found.get(home)
        if unit is None:
            unit = found[home] = Waiting(home, partner, instant, impact_at)
        place, state, last = due
        if place is None:
            unit.others.append((rule, version, calendar, next_at))
        else:
            unit.due.append(DueClock(rule, version, calendar, place, *_parted(state), last))
    return list(found.values()), Feeds.of_rows(complete), answers


_RECEIPT = ',"receipt":'


def _parted(state: str) -> tuple[dict[str, Any], str]:
    """A kept cycle without its receipt, and that as it is: half of the text, and never looked into.

    What follows the last thing before it would not be whole if it were not of the cycle itself.
    """
    head, _, receipt = state.partition(_RECEIPT)
    try:
        return orjson.loads(f"{head}}}"), receipt[:-1]
    except orjson.JSONDecodeError:  # written by another hand
        body = orjson.loads(state)
        return body, as_json(body.pop("receipt"))


Warned = tuple[str, datetime, datetime]
"""A level, its instant, and the logical instant at which it was known."""


@dataclass(slots=True)
class Moved:
    """A clock that warned.

    state     the cycle as it now is, but for the receipt
    next_at   when time alone changes it again
    instant   the last logical instant of its unit
    """

    home: int
    clock: DueClock
    warnings: Sequence[Warned]
    state: dict[str, Any]
    next_at: datetime
    instant: datetime


# Small values come as JSON, which costs the driver least, the large ones beside them as arrays,
# which cost the server least. A clock is found by the place of its row, which stays what it is
# while the timer of the unit is held: so most of what names it need not travel there and back.
_GIVEN = """
    SELECT * FROM ROWS FROM (
        json_to_recordset(%(rows)s::json) AS (
            place tid, home bigint, n int, name text, effective timestamptz,
            detected timestamptz, next_at timestamptz, instant timestamptz),
        unnest(%(why)b::text[], %(state)b::text[])
    ) AS g (place, home, n, name, effective, detected, next_at, instant, why, state)
"""
_JOURNAL = """
    INSERT INTO transition (home_key, rule, kind, scope, number, line, n, cycle, name,
                            effective_at, detected_at, handled_at, rule_hash, why)
    SELECT home_key, rule, kind, scope, number, line, n, cycle, name, effective, detected, %(now)s,
           rule_hash, why::json
"""
_MOVE = Statement(
    f"""
    WITH g AS ({_GIVEN}), seen AS (
        UPDATE judged_unit j SET instant = g.instant FROM g WHERE j.home_key = g.home
    ), moved AS (
        UPDATE clock c SET verdict = %(verdict)s, next_at = g.next_at, state = g.state::json
        FROM g
        WHERE c.ctid = g.place AND c.home_key = g.home
        RETURNING c.home_key, c.rule, c.kind, c.scope, c.number, c.line, c.cycle, c.rule_hash,
                  g.n, g.name, g.effective, g.detected, g.why
    )
    {_JOURNAL} FROM moved
    """  # noqa: S608
)
_EARLIER = Statement(
    f"""
    WITH g AS ({_GIVEN})
    {_JOURNAL} FROM g JOIN clock c ON c.ctid = g.place AND c.home_key = g.home
    """
)


def save(conn: Connection, moved: Sequence[Moved], now: datetime) -> None:
    """Store clocks that warned, their journal, and the last logical instant of their units."""
    if not moved:
        return
    earlier, last = _Rows(), _Rows()
    for one in moved:
        *before, final = one.warnings
        n = (one.clock.last or 0) + 1
        for warning in before:
            earlier.add(one, n, warning, None)
            n += 1
        state = f"{as_json(one.state)[:-1]}{_RECEIPT}{one.clock.receipt}}}"
        last.add(one, n, final, state)
    if earlier.rows:
        trips.tell(conn, _EARLIER, earlier.given(now))
    trips.tell(conn, _MOVE, last.given(now) | {"verdict": Verdict.AT_RISK.value})


@dataclass(slots=True)
class _Rows:
    """Journal entries, and beside them what becomes of their clocks."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    states: list[str | None] = field(default_factory=list)

    def add(self, moved: Moved, n: int, warning: Warned, state: str | None) -> None:
        name, effective, detected = warning
        self.rows.append(
            {
                "place": moved.clock.place,
                "home": moved.home,
                "n": n,
                "name": name,
                "effective": effective,
                "detected": detected,
                "next_at": moved.next_at,
                "instant": moved.instant,
            }
        )
        self.reasons.append(moved.clock.receipt)
        self.states.append(state)

    def given(self, now: datetime) -> dict[str, Any]:
        return {"rows": as_json(self.rows), "why": self.reasons, "state": self.states, "now": now}
