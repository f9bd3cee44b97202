"""Queues that are too deep or too old: judged from their samples, as these arrive."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from db import clocks, measured, timers
from db.clocks import Judged
from db.measured import MeasuredRow
from db.timers import QUEUE, Timer
from tower import footings
from tower.cases import Changed
from tower.court import Code, UnitCourt
from tower.identity import queue_key
from tower.measured import measured_queue
from tower.overruns import Footing, walk
from tower.rulebook import QueueRule
from tower.signs import FOOTING, RuleInForce, Sign, Subject
from worker import addressing, casework, internal
from worker.judging import Judging
from worker.units import Visit, judged

log = logging.getLogger(__name__)

AGAIN = timedelta(hours=1)  # until a queue that crashed is tried again
_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Looked:
    """What a round over queues did."""

    transitions: int = 0
    failures: int = 0
    changes: list[Changed] = field(default_factory=list)


@dataclass(slots=True)
class _Queue:
    """One queue on a visit: per rule the state that its fold goes on from."""

    row: MeasuredRow
    going_on: dict[str, Footing]

    @property
    def key(self) -> tuple[int, Subject]:
        return self.row.unit.home, self.row.subject

    @property
    def since(self) -> datetime:
        return min(footing.at for footing in self.going_on.values())


def look(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> Looked:
    """Judge the queues of these timers, which the caller holds; each is set anew or dropped."""
    done = Looked()
    rules = [rule for rule in code.rules if isinstance(rule.rule, QueueRule)]
    homes = [int(timer.key) for timer in claimed]
    rows = measured.load(conn, homes, now - footings.KEPT - footings.APART)
    queues = []
    for row in rows:
        known = {rule for rule, _ in row.unit.clocks}
        if rules or known:
            queues.append(_queue(row, rules, now))
    since = {queue.key: queue.since for queue in queues if queue.going_on}
    found = measured.samples(conn, since, now)
    visits: list[tuple[_Queue, Visit]] = []
    ringing: list[Timer] = []
    for queue in queues:
        try:
            visits.append((queue, _visit(queue, rules, code, found.get(queue.key, []), now)))
        except Exception as error:
            name = str(queue.row.subject)
            log.exception("Judging a queue failed", extra={"action": "judge.queue_failed"})
            done.failures += 1
            home = queue.row.unit.home
            ringing.append(Timer(QUEUE, str(home), now + AGAIN))
            clocks.mark_failed(conn, home, now)
            internal.unit_failed(
                conn, config, home, name, f"{type(error).__name__}: {error}"[:500], now
            )
    judged_now = [_merged(visit.judged) for _, visit in visits]
    clocks.save(conn, judged_now, now)
    measured.save(conn, [queue.row for queue, _ in visits])
    done.transitions = sum(len(one.journal) for one in judged_now)
    work = [piece for _, visit in visits for piece in visit.work]
    if done.transitions:
        homes = [queue.row.unit.home for queue, visit in visits if visit.judged.journal]
        done.changes = casework.apply(conn, code, work, homes, now).changes
        addressing.mark(conn, config, code, done.changes, now)
    for queue, visit in visits:
        if queue.row.unit.failed_at is not None:
            internal.unit_recovered(conn, config, queue.row.unit.home, now)
        if visit.next is not None:
            due = max(visit.next, now + timedelta(milliseconds=1))
            ringing.append(Timer(QUEUE, str(queue.row.unit.home), due))
    set_again = {timer.key for timer in ringing}
    timers.set_(conn, ringing)
    timers.drop(conn, [(QUEUE, t.key) for t in claimed if t.key not in set_again])
    return done


def visit_one(
    row: MeasuredRow, rules: Sequence[RuleInForce], code: Code, samples: list[Sign], now: datetime
) -> Visit:
    """A visit to one queue with the samples known at ``now``, by their time; nothing is stored."""
    queue = _queue(row, rules, now)
    return _visit(queue, rules, code, _after_footing(queue, samples), now)


def pass_by(
    row: MeasuredRow, rules: Sequence[RuleInForce], code: Code, samples: list[Sign], now: datetime
) -> None:
    """As a visit to a queue that was never over a limit: only the states to go on from move."""
    queue = _queue(row, rules, now)
    recent = _after_footing(queue, samples)
    known = attributes_of(code, row.subject, recent)
    newest = recent[-1].occurred_at if recent else None
    row.footings = {
        rule.id: _kept(row, rule, queue.going_on[rule.id], recent, known, newest) for rule in rules
    }
    row.unit.instant = now


def _queue(row: MeasuredRow, rules: Sequence[RuleInForce], now: datetime) -> _Queue:
    return _Queue(row, {rule.id: _going_on(row, rule, now) for rule in rules})


def _after_footing(queue: _Queue, samples: list[Sign]) -> list[Sign]:
    begin = bisect_right(samples, queue.since, key=lambda sample: sample.occurred_at)
    return samples[begin:]


def _merged(one: Judged) -> Judged:
    """Samples are no events: nothing of them is marked as taken but the unit's instant."""
    return replace(one, applied={})


def _going_on(row: MeasuredRow, rule: RuleInForce, now: datetime) -> Footing:
    """The state that a rule's fold goes on from.

    A rule, or a version of one, that is new here begins with the open cycle of the version before
    it, else shortly before the first new sample: what was before it came into force is no news.
    """
    version, states = row.footings.get(rule.id, ("", []))
    if version == rule.version and states:
        return Footing.from_json(states[footings.chosen(states, row.new_from)])
    last = row.last.get(rule.id, 0)
    for cycle in row.unit.clocks.get((rule.id, row.subject), ()):
        if cycle.open:
            return Footing(cycle.started - _TICK, cycle.number - 1)
    return Footing((row.new_from or now) - footings.BEHIND, last)


def _visit(
    queue: _Queue, rules: Sequence[RuleInForce], code: Code, samples: list[Sign], now: datetime
) -> Visit:
    row, subject = queue.row, queue.row.subject
    row.unit.clocks = {
        (rule, about): tuple(c for c in cycles if _after(queue.going_on.get(rule), c.number))
        for (rule, about), cycles in row.unit.clocks.items()
    }
    attributes = attributes_of(code, subject, samples)
    court = UnitCourt(code, None, {subject: attributes}, row.unit.clocks)
    signs = _signs(queue, samples)
    visit = judged(row.unit, court, {subject: signs}, (), now)
    known = court.described(subject, now)
    newest = samples[-1].occurred_at if samples else None
    row.footings = {
        rule.id: _kept(row, rule, queue.going_on[rule.id], samples, known, newest) for rule in rules
    }
    return visit


def _after(footing: Footing | None, number: int) -> bool:
    """Whether a cycle may still change: those before the state that is gone on from are history."""
    if footing is None:
        return True
    return number > footing.number or (footing.current is not None and number == footing.number)


def _signs(queue: _Queue, samples: Sequence[Sign]) -> list[Sign]:
    """The states gone on from, and the samples; those known at the last visit as taken."""
    row = queue.row
    last = row.unit.instant
    states = {rule: footing.to_json() for rule, footing in queue.going_on.items()}
    begin = min(queue.going_on.values(), key=lambda f: f.at).at if states else None
    signs = [
        s if last is None or s.arrived_at > last else replace(s, applied_at=s.arrived_at)
        for s in samples
    ]
    if row.new_from is not None and all(s.applied_at is not None for s in signs):
        # Visible only now, though it arrived before others that were judged already.
        signs = [replace(s, applied_at=None) if s.occurred_at == row.new_from else s for s in signs]
    if begin is not None:
        home = queue_key(row.subject.scope, row.subject.number)
        signs.append(_footing_sign(home, begin, states))
    return signs


def _footing_sign(home: int, at: datetime, states: dict[str, Any]) -> Sign:
    return Sign(FOOTING, at, at, UUID(int=home % (1 << 64)), states, at)


def _kept(
    row: MeasuredRow,
    rule: RuleInForce,
    footing: Footing,
    samples: Sequence[Sign],
    attributes: Mapping[str, Any],
    newest: datetime | None,
) -> tuple[str, list[Any]]:
    """The states to keep: a newer one once the last lies far enough behind."""
    version, states = row.footings.get(rule.id, ("", []))
    if version != rule.version:
        states = []
    index = footings.chosen(states, row.new_from)
    if not states:
        states = [footing.to_json()]
    elif index < len(states) - 1:
        states = states[: index + 1]  # a late sample: what was taken after it is wrong now
    if (
        newest is not None
        and isinstance(rule.rule, QueueRule)
        and (footings.is_stale(footing, newest))
    ):
        until = newest - footings.BEHIND
        found = measured_queue(
            rule.rule, [s for s in samples if s.occurred_at <= until], footing, attributes
        )
        _, state = walk(footing, found.readings, found.patience)
        states = footings.kept(states, state, newest)
    return rule.version, states


def attributes_of(code: Code, subject: Subject, samples: Sequence[Sign]) -> dict[str, Any]:
    """What rules may ask about a queue."""
    agreed = code.network.queue(subject.scope, subject.number).max_depth
    found: dict[str, Any] = {
        "queue.name": subject.number,
        "queue.broker": subject.scope,
        "queue.dead_letters": any("dead_letters_of" in s.facts for s in samples),
    }
    if agreed is not None:
        found["queue.max_depth"] = agreed
    return found
