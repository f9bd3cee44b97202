"""Partners of whose messages too many fail, and suppliers gone quiet: judged from their counts.

Beside them suppliers whose lead time left its plan, as worker/lead_times.py found it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from db import clocks, completeness, lead_times, tallies, timers
from db.tallies import Orders, PartnerRow
from db.timers import PARTNER, Timer
from tower.cases import Changed
from tower.court import Code, UnitCourt
from tower.cycles import Cycle
from tower.overruns import Footing, Overrun
from tower.ratios import step_of
from tower.rule_parts import STEP
from tower.rulebook import RatioRule, VolumeRule
from tower.signs import FOOTING, RuleInForce, Sign, Subject
from tower.volumes import IDLE_SINCE, OPEN_SINCE, horizon
from worker import addressing, casework, internal
from worker.judging import Judging
from worker.units import Visit, evidence_of, judged, looking_back

log = logging.getLogger(__name__)

AGAIN = timedelta(hours=1)  # until a partner that crashed is tried again
_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Looked:
    """What a round over partners did."""

    transitions: int = 0
    failures: int = 0
    changes: list[Changed] = field(default_factory=list)
    held_by: set[str] = field(default_factory=set)


def look(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> Looked:
    """Judge the partners of these timers, which the caller holds; each is set anew or dropped."""
    done = Looked()
    known = code.network.partner_keys
    partners = {int(t.key): known[int(t.key)] for t in claimed if int(t.key) in known}
    rows = tallies.load(conn, partners)
    visits: list[tuple[PartnerRow, Visit]] = []
    ahead: dict[int, tuple[str, datetime | None]] = {}
    ringing: list[Timer] = []
    if code.counting or any(row.unit.clocks for row in rows):
        states = {row.unit.home: _states(row, code, now) for row in rows}
        found = _signs(conn, code, states, now)
        owed = tallies.orders(conn, partners) if _asks_for_orders(code) else {}
        since = min((looking_back(row.unit) for row in rows), default=now)
        feeds = completeness.read(conn, code.network.sources, since)
        for row in rows:
            home, signs = row.unit.home, found.get(row.unit.home, [])
            try:
                visited, later = _visit(
                    row, code, states[home], signs, owed.get(home, Orders()), feeds, now
                )
            except Exception as error:
                log.exception("Judging a partner failed", extra={"action": "judge.partner_failed"})
                done.failures += 1
                ringing.append(Timer(PARTNER, str(home), now + AGAIN))
                clocks.mark_failed(conn, home, now)
                said = f"{type(error).__name__}: {error}"[:500]
                internal.unit_failed(conn, config, home, f"partner:{row.key}", said, now)
                continue
            visits.append((row, visited))
            ahead[home] = (row.key, later)
            if visited.next is not None:
                due = max(visited.next, now + timedelta(milliseconds=1))
                ringing.append(Timer(PARTNER, str(home), due))
    _store(conn, config, code, visits, ahead, done, now)
    set_again = {timer.key for timer in ringing}
    timers.set_(conn, ringing)
    timers.drop(conn, [(PARTNER, t.key) for t in claimed if t.key not in set_again])
    return done


def _store(
    conn: Connection,
    config: Judging,
    code: Code,
    visits: Sequence[tuple[PartnerRow, Visit]],
    ahead: Mapping[int, tuple[str, datetime | None]],
    done: Looked,
    now: datetime,
) -> None:
    # Counts are no events: nothing of them is marked as taken but the unit's instant.
    results = [replace(visit.judged, applied={}) for _, visit in visits]
    clocks.save(conn, results, now)
    tallies.save(conn, ahead)
    done.transitions = sum(len(one.journal) for one in results)
    done.held_by = {
        cycle.held_by
        for one in results
        for cycles in one.changed.values()
        for cycle in cycles
        if cycle.held_by is not None
    }
    if done.transitions:
        work = [piece for _, visit in visits for piece in visit.work]
        homes = [visit.judged.home for _, visit in visits if visit.judged.journal]
        done.changes = casework.apply(conn, code, work, homes, now).changes
        addressing.mark(conn, config, code, done.changes, now)
    for row, _ in visits:
        if row.unit.failed_at is not None:
            internal.unit_recovered(conn, config, row.unit.home, now)


# --- one partner --------------------------------------------------------------------------------


def _subjects(key: str) -> tuple[Subject, Subject]:
    return Subject("partner", "", key), Subject("supplier", "", key)


def _states(row: PartnerRow, code: Code, now: datetime) -> dict[str, Footing]:
    """Where each rule's fold goes on from: outside of any cycle, or with the one that is open.

    What is new may lie in the past: then from there, with the cycles that it may change.
    """
    partner, supplier = _subjects(row.key)
    found: dict[str, Footing] = {}
    for rule in code.counting:
        subject = partner if isinstance(rule.rule, RatioRule) else supplier
        known = [at for at in (row.new_from, row.unit.instant) if at is not None]
        at = min(known, default=step_of(now)) - _TICK
        number, current = row.last.get((rule.id, subject), 0), None
        cycles = row.unit.clocks.get((rule.id, subject), ())
        if cycles:
            first = cycles[0]
            at, number = min(at, first.started - _TICK), first.number - 1
            current = _current(cycles[-1]) if cycles[-1].open and len(cycles) == 1 else None
        found[rule.id] = Footing(at, number, (), current)
    return found


def _current(cycle: Cycle) -> Overrun:
    begun = cycle.due or cycle.started
    return Overrun(cycle.number, cycle.started, begun, begun)


def _signs(
    conn: Connection, code: Code, states: Mapping[int, Mapping[str, Footing]], now: datetime
) -> dict[int, list[Sign]]:
    """The counts that the rules need, each partner's from as far back as they look."""
    types = {t for rule in code.counting for t in rule.start}
    since = {home: _since(code, its, now) for home, its in states.items()}
    found = tallies.signs(conn, since, types)
    if code.planning:
        for home, its_lead_times in lead_times.signs(conn, states).items():
            found[home].extend(its_lead_times)
    return found


def _since(code: Code, states: Mapping[str, Footing], now: datetime) -> datetime:
    found = (step_of(states[rule.id].at) - looks_back(rule) for rule in code.counting)
    return min(found, default=now)


def looks_back(rule: RuleInForce) -> timedelta:
    """How far before an instant its counts still say something."""
    body = rule.rule
    if isinstance(body, RatioRule):
        return max(window.over.length for window in body.windows) + STEP
    return horizon(body) if isinstance(body, VolumeRule) else timedelta(0)


def visit_one(
    row: PartnerRow,
    code: Code,
    counts: Sequence[Sign],
    owed: Orders,
    feeds: completeness.Feeds,
    now: datetime,
) -> Visit:
    """A visit to one partner with all its counts, those not known yet too; nothing is stored."""
    states = _states(row, code, now)
    since = _since(code, states, now)
    recent = [sign for sign in counts if sign.occurred_at >= since]
    return _visit(row, code, states, recent, owed, feeds, now)[0]


def _visit(
    row: PartnerRow,
    code: Code,
    states: Mapping[str, Footing],
    signs: Sequence[Sign],
    owed: Orders,
    feeds: completeness.Feeds,
    now: datetime,
) -> tuple[Visit, datetime | None]:
    """A visit, and the earliest step that holds something which is not known yet."""
    partner, supplier = _subjects(row.key)
    attributes = {partner: {}, supplier: _owed(owed)}
    court = UnitCourt(code, row.key, attributes, row.unit.clocks)
    last = row.unit.instant
    taken = [
        s if last is None or s.arrived_at > last else replace(s, applied_at=s.arrived_at)
        for s in signs
        if s.arrived_at <= now
    ]
    if row.new_from is not None and all(s.applied_at is not None for s in taken):
        # Counted only now, though known before the last visit.
        taken = [replace(s, applied_at=None) if s.occurred_at >= row.new_from else s for s in taken]
    later = [sign for sign in signs if sign.arrived_at > now]
    begin = min((f.at for f in states.values()), default=now)
    facts = {rule: footing.to_json() for rule, footing in states.items()}
    footing = Sign(FOOTING, begin, begin, _FOOTING_ID, facts, begin)
    by_subject = {subject: [*taken, footing] for subject in (partner, supplier)}
    spells = feeds.blind(evidence_of(court, by_subject, now), looking_back(row.unit), now)
    visited = judged(
        row.unit, court, by_subject, spells, now, min((s.arrived_at for s in later), default=None)
    )
    return visited, min((s.occurred_at for s in later), default=None)


_FOOTING_ID = UUID(int=0)


def _owed(owed: Orders) -> dict[str, Any]:
    found: dict[str, Any] = {"supplier.open_pos": owed.open}
    if owed.since is not None:
        found[OPEN_SINCE] = owed.since
    if owed.idle is not None:
        found[IDLE_SINCE] = owed.idle
    return found


def _asks_for_orders(code: Code) -> bool:
    return any(isinstance(rule.rule, VolumeRule) for rule in code.counting)
