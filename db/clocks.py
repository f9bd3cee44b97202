"""Clocks, their journal and what feeds them, read and written for many units at once.

Everything is found by ``home_key``; the caller holds the units' timers, which lock them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    Text,
    all_,
    any_,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db import records, trips, week_marks
from db.tables import (
    calendar_version,
    clock,
    event_object,
    judged_unit,
    profile_version,
    rule_version,
)
from db.trips import Statement
from tower.court import Profile
from tower.cycles import Cycle
from tower.documents import LINE_OF
from tower.signs import Sign, Subject
from tower.timeline import ClockKey, Entry

ELSEWHERE = ("partner", "supplier", "affected")
"""Kinds of subjects whose clocks are not judged from the events of their home."""
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)  # last instant of a unit that was never judged
_SUBJECT = ("kind", "scope", "number", "line")
_HOMES = bindparam("homes", type_=ARRAY(BigInteger))
_ELSEWHERE = bindparam("elsewhere", list(ELSEWHERE), ARRAY(Text))


@dataclass(slots=True)
class UnitRows:
    """What is kept of one unit: a purchase order with its lines, a shipment, or a source.

    signs      every event that speaks of a subject; ``applied_at`` tells whether its clocks took it
    instant    last logical instant, None before the first visit
    impact_at  when the mere passing of days moves what is expected of its lines
    failed_at  the last visit crashed then; None if it went well
    reread_at  events that its clocks took were taken back then, and no visit has been since
    """

    home: int
    signs: dict[Subject, list[Sign]] = field(default_factory=dict)
    clocks: dict[ClockKey, tuple[Cycle, ...]] = field(default_factory=dict)
    instant: datetime | None = None
    impact_at: datetime | None = None
    failed_at: datetime | None = None
    reread_at: datetime | None = None


_events = Statement(
    select(
        event_object.c.home_key,
        event_object.c.kind,
        event_object.c.scope,
        event_object.c.number,
        event_object.c.type,
        event_object.c.occurred_at,
        event_object.c.arrived_at,
        event_object.c.event_id,
        event_object.c.words,
        event_object.c.applied_at,  # the last two go to each sign as they are
        event_object.c.system,
    ).where(
        event_object.c.home_key == any_(_HOMES),
        func.not_(event_object.c.type == any_(bindparam("unheard", type_=ARRAY(Text)))),
    )
)
_APPLIED = 9  # place of applied_at among these
_cycles = Statement(
    select(
        clock.c.home_key,
        clock.c.rule,
        clock.c.kind,
        clock.c.scope,
        clock.c.number,
        clock.c.line,
        clock.c.state,
    )
    .where(clock.c.home_key == any_(_HOMES), clock.c.kind != all_(_ELSEWHERE))
    .order_by(clock.c.home_key, clock.c.rule, *(clock.c[n] for n in _SUBJECT), clock.c.cycle)
)
_judged = Statement(
    select(
        judged_unit.c.home_key,
        judged_unit.c.instant,
        judged_unit.c.impact_at,
        judged_unit.c.failed_at,
        judged_unit.c.reread_at,
    ).where(judged_unit.c.home_key == any_(_HOMES))
)


def load(conn: Connection, homes: Iterable[int], unheard: Iterable[str]) -> dict[int, UnitRows]:
    """Units with all signs but those of types that nothing listens to."""
    wanted = sorted(set(homes))
    return of_rows(wanted, *trips.ask(conn, *asking(wanted, unheard))) if wanted else {}


def asking(homes: Sequence[int], unheard: Iterable[str]) -> tuple[trips.Asked, ...]:
    """The questions of what is kept of these units; the answers go to ``of_rows``."""
    given = {"homes": records.numbers(homes)}
    deaf = records.words(frozenset(unheard))
    return (_events, {**given, "unheard": deaf}), (_cycles, given), (_judged, given)


def with_news(events: Iterable[Any]) -> set[int]:
    """The units among the first of the answers of which an event is not taken by their clocks."""
    return {row[0] for row in events if row[_APPLIED] is None}


def of_rows(
    homes: Sequence[int], events: list[Any], cycles: list[Any], judged: list[Any]
) -> dict[int, UnitRows]:
    """The units that were asked for."""
    found = {home: UnitRows(home) for home in homes}
    subjects: dict[tuple[str, str, str, str], Subject] = {}
    for row in events:
        home, header, scope, number, type_, occurred, arrived, event_id, words, *rest = row
        signs = found[home].signs
        for line, facts in words.items():
            key = (LINE_OF[header] if line else header, scope, number, line)
            subject = subjects.get(key)
            if subject is None:
                subject = subjects[key] = Subject(*key)
            sign = Sign(type_, occurred, arrived, event_id, facts, *rest)
            signs.setdefault(subject, []).append(sign)
    for home, rule, kind, scope, number, line, state in cycles:
        clocks = found[home].clocks
        clock_key = (rule, Subject(kind, scope, number, line))
        clocks[clock_key] = (*clocks.get(clock_key, ()), Cycle.from_json(state))
    for home, instant, impact_at, failed_at, reread_at in judged:
        unit = found[home]
        unit.instant, unit.impact_at, unit.failed_at = instant, impact_at, failed_at
        unit.reread_at = reread_at
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """What one visit to a unit changed.

    applied  logical instant of each event its clocks took now
    changed  cycles of each clock that differs from ``before``
    """

    home: int
    partner_id: int | None
    applied: Mapping[UUID, datetime]
    journal: Sequence[Entry]
    before: Mapping[ClockKey, Sequence[Cycle]]
    changed: Mapping[ClockKey, Sequence[Cycle]]
    instant: datetime | None
    impact_at: datetime | None


def save(conn: Connection, units: Sequence[Judged], now: datetime) -> None:
    """Store what visits changed; ``now`` is the worker's wall clock (handled)."""
    save_clocks(conn, units, now)
    save_units(conn, units)


def save_clocks(conn: Connection, units: Sequence[Judged], now: datetime) -> None:
    """What their clocks took and now say; ``save_units`` must follow."""
    _save_applied(conn, units)
    _save_cycles(conn, units)
    week_marks.mark_homes(conn, (unit.home for unit in units if unit.changed))
    _save_journal(conn, units, now)


def save_units(conn: Connection, units: Sequence[Judged]) -> None:
    """The last logical instant of each, and when it must be looked at for the day alone."""
    records.put(
        conn,
        judged_unit,
        [
            {
                "home_key": u.home,
                "instant": u.instant,
                "impact_at": u.impact_at,
                "failed_at": None,
                "reread_at": None,
            }
            for u in sorted(units, key=lambda u: u.home)
            if u.instant is not None
        ],
        conflict=("home_key",),
        changed=("instant", "impact_at", "failed_at", "reread_at"),
    )


def mark_failed(conn: Connection, home: int, now: datetime) -> None:
    """Remember that a visit to this unit crashed."""
    records.put(
        conn,
        judged_unit,
        [{"home_key": home, "instant": BEGINNING, "failed_at": now}],
        conflict=("home_key",),
        changed=("failed_at",),
    )


def _save_applied(conn: Connection, units: Sequence[Judged]) -> None:
    records.change(
        conn,
        event_object,
        [
            {"home_key": u.home, "event_id": event_id, "applied_at": at}
            for u in units
            for event_id, at in u.applied.items()
        ],
        keys=("home_key", "event_id"),
    )


def _save_cycles(conn: Connection, units: Sequence[Judged]) -> None:
    rows: list[dict[str, Any]] = []
    gone: list[tuple[Any, ...]] = []
    for unit in units:
        for (rule, subject), cycles in unit.changed.items():
            before = unit.before.get((rule, subject), ())
            known = {cycle.number: cycle for cycle in before}
            rows.extend(
                _cycle_row(unit, rule, subject, cycle)
                for cycle in cycles
                if known.get(cycle.number) != cycle
            )
            gone.extend(
                (unit.home, rule, *subject, number)
                for number in known.keys() - {cycle.number for cycle in cycles}
            )
    rows.sort(key=lambda r: [r[name] for name in ("home_key", "rule", *_SUBJECT, "cycle")])
    keys = ("home_key", "rule", *_SUBJECT, "cycle")
    changed = tuple(name for name in rows[0] if name not in keys) if rows else ()
    records.put(conn, clock, rows, conflict=keys, changed=changed, beside=("state",))
    if gone:
        key = tuple_(*(clock.c[name] for name in keys))
        conn.execute(delete(clock).where(key.in_(sorted(gone))))


def _cycle_row(unit: Judged, rule: str, subject: Subject, cycle: Cycle) -> dict[str, Any]:
    return {
        "home_key": unit.home,
        "rule": rule,
        "kind": subject.kind,
        "scope": subject.scope,
        "number": subject.number,
        "line": subject.line,
        "cycle": cycle.number,
        "partner_id": unit.partner_id,
        "verdict": cycle.verdict.value,
        "open": cycle.open,
        "paused": cycle.paused,
        "started_at": cycle.started,
        "due_at": cycle.due,
        "breached_at": cycle.breached_at,
        "ended_at": cycle.ended,
        "next_at": cycle.next,
        "held_by": cycle.held_by,
        "rule_hash": cycle.rule_version,
        "calendar_hash": cycle.calendar_version or None,
        "profile_hash": cycle.profile_version or None,
        "state": cycle.to_json(),
    }


# Numbers go on from the last one of each clock. The unit's timer is held: nobody writes beside.
_JOURNAL = Statement(
    """
    INSERT INTO transition (home_key, rule, kind, scope, number, line, n, cycle, name,
                            effective_at, detected_at, handled_at, rule_hash, why)
    SELECT g.home, g.rule, g.kind, g.scope, g.number, g.line, coalesce(last.n, 0) + row_number()
             OVER (PARTITION BY g.home, g.rule, g.kind, g.scope, g.number, g.line ORDER BY g.place),
           g.cycle, g.name, g.effective, g.detected, %(now)s, g.rule_hash, g.why::json
    FROM ROWS FROM (
        json_to_recordset(%(rows)s::json) AS (
            home bigint, rule text, kind text, scope text, number text, line text, cycle int,
            name text, effective timestamptz, detected timestamptz, rule_hash text),
        unnest(%(why)b::text[])
    ) WITH ORDINALITY AS g (home, rule, kind, scope, number, line, cycle, name, effective,
                            detected, rule_hash, why, place),
    LATERAL (
        SELECT max(t.n) AS n FROM transition t
        WHERE t.home_key = g.home AND t.rule = g.rule AND t.kind = g.kind AND t.scope = g.scope
          AND t.number = g.number AND t.line = g.line
    ) AS last
    """
)


def _save_journal(conn: Connection, units: Sequence[Judged], now: datetime) -> None:
    rows: list[dict[str, Any]] = []
    reasons: list[str] = []
    for unit in sorted(units, key=lambda u: u.home):
        for entry in unit.journal:
            subject = entry.subject
            rows.append(
                {
                    "home": unit.home,
                    "rule": entry.rule,
                    "kind": subject.kind,
                    "scope": subject.scope,
                    "number": subject.number,
                    "line": subject.line,
                    "cycle": entry.cycle,
                    "name": entry.name,
                    "effective": entry.effective,
                    "detected": entry.detected,
                    "rule_hash": entry.rule_version,
                }
            )
            reasons.append(records.as_json(entry.why))
    if rows:
        trips.tell(conn, _JOURNAL, {"rows": records.as_json(rows), "why": reasons, "now": now})


# --- versions -------------------------------------------------------------------------------------


def keep_versions(
    conn: Connection,
    rules: Mapping[str, tuple[str, Mapping[str, Any]]],
    calendars: Mapping[str, tuple[str, Mapping[str, Any]]],
    profiles: Mapping[str, tuple[str, Mapping[str, Any]]],
    now: datetime,
) -> None:
    """Keep what is in force for good: version -> (name, body). Known versions stay as they are."""
    for table, versions in (
        (rule_version, rules),
        (calendar_version, calendars),
        (profile_version, profiles),
    ):
        records.put(
            conn,
            table,
            [
                {"hash": version, "name": name, "body": body, "first_used_at": now}
                for version, (name, body) in sorted(versions.items())
            ],
            conflict=("hash",),
        )


def outdated_homes(
    conn: Connection, rules: Iterable[str], calendars: Iterable[str]
) -> list[tuple[int, bool]]:
    """Units with an open clock judged by a version of its rule or calendar that is not among these,
    and whether they are queues. Reads all open clocks: only for the moment in which a file comes
    into force. Sources have timers of their own."""
    is_queue = clock.c.kind == "queue"
    rows = conn.execute(
        select(clock.c.home_key, is_queue)
        .where(
            clock.c.open,
            clock.c.kind != "source",
            or_(
                clock.c.rule_hash.not_in(sorted(rules)),
                clock.c.calendar_hash.not_in(sorted(calendars)),
            ),
        )
        .distinct()
    )
    return sorted((row[0], row[1]) for row in rows)


def kept_rules(conn: Connection) -> dict[str, Mapping[str, Any]]:
    """Judging parts of all rule versions ever in force, by version."""
    rows = conn.execute(select(rule_version.c.hash, rule_version.c.body))
    return {row[0]: row[1] for row in rows}


def kept_calendars(conn: Connection) -> dict[str, Mapping[str, Any]]:
    rows = conn.execute(select(calendar_version.c.hash, calendar_version.c.body))
    return {row[0]: row[1] for row in rows}


def kept_profiles(conn: Connection) -> dict[str, list[Profile]]:
    """Versions of each partner's profile, oldest first."""
    p = profile_version.c
    found: dict[str, list[Profile]] = {}
    for row in conn.execute(
        select(p.name, p.hash, p.first_used_at, p.body).order_by(p.name, p.first_used_at)
    ):
        found.setdefault(row.name, []).append(Profile(row.hash, row.first_used_at, row.body))
    return found


def standing(
    conn: Connection, asked: Sequence[tuple[int | None, str, Subject, int]]
) -> set[tuple[int | None, str, Subject, int]]:
    """Which of these clocks (home, rule, subject, cycle) are open and breached."""
    homes = sorted({home for home, *_ in asked if home is not None})
    if not homes:
        return set()
    c = clock.c
    rows = conn.execute(
        select(c.home_key, c.rule, c.kind, c.scope, c.number, c.line, c.cycle).where(
            c.home_key == any_(_HOMES), c.open, c.verdict == "breached"
        ),
        {"homes": homes},
    )
    found = {(row[0], row[1], Subject(*row[2:6]), row[6]) for row in rows}
    return found & set(asked)


def held_homes(conn: Connection, sources: Iterable[str]) -> dict[str, dict[int, int]]:
    """Units whose clocks wait for these sources, with how many of their clocks do."""
    rows = conn.execute(
        select(clock.c.held_by, clock.c.home_key, func.count())
        .where(clock.c.held_by.in_(sorted(sources)), clock.c.held_by.is_not(None))
        .group_by(clock.c.held_by, clock.c.home_key)
        .order_by(clock.c.home_key)
    )
    found: dict[str, dict[int, int]] = {}
    for source, home, n in rows:
        found.setdefault(source, {})[home] = n
    return found


def instants(conn: Connection, homes: Iterable[int]) -> dict[int, datetime]:
    """Last logical instant of these units; those never judged are left out."""
    rows = trips.ask_one(conn, _judged, {"homes": sorted(set(homes))})
    return {row[0]: row[1] for row in rows}
