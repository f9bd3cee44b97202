"""The part of a round that time alone has moved: warnings, judged without reading any event.

Most timers of a quiet hour are warnings. Nobody is told of them, no customer line hangs on them,
and what they make of a clock was worked out when it was judged last. Units of which anything else
may be due are left to be judged from their events (worker/judge.py); both ways give the same
journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from db import passing, timers, trips, week_marks
from db.clocks import BEGINNING
from db.completeness import LOOK_BACK, Feeds
from db.passing import DueClock, Moved, Waiting
from db.timers import UNIT
from tower.court import Code
from tower.evidence import of_source
from tower.passing import Passed, passed
from tower.rulebook import AgreementRule, DeadlineRule, ImpactRule
from tower.signs import RuleInForce

FOREVER = datetime.max.replace(tzinfo=UTC)
SOON = timedelta(milliseconds=1)  # a timer never rings at once: what could be done now is done
PART = 250  # units of which the server writes what came of them while the next are looked at


@dataclass(slots=True)
class Quiet:
    """What time alone did.

    held         the units whose timers are ours
    feeds        how complete the sources are, with all that can matter to any of the units given
    next         when each unit is to be looked at again
    transitions  journal entries written
    answers      to what was asked beside
    """

    held: Sequence[int]
    feeds: Feeds
    next: dict[int, datetime] = field(default_factory=dict)
    transitions: int = 0
    answers: list[list[Any]] = field(default_factory=list)


def let_pass(
    conn: Connection,
    code: Code,
    homes: Sequence[int],
    now: datetime,
) -> Quiet:
    """Judge what only time has moved among these units, whose timers the caller holds; rows are
    found by key (db/planner.py)."""
    units, feeds, _ = passing.waiting(conn, homes, code.unheard, code.network.sources, now)
    return _passed(conn, code, units, Quiet(homes, feeds), now)


def claim_and_let_pass(
    conn: Connection,
    code: Code,
    homes: Sequence[int],
    now: datetime,
    claim: trips.Asked,
    beside: Sequence[trips.Asked],
) -> Quiet:
    """The same for those of a few units whose timers this ``claim`` gets. ``beside`` is asked in
    the same trip: what is kept of all of them first (db/clocks.asking)."""
    units, feeds, answers = passing.waiting(
        conn, homes, code.unheard, code.network.sources, now, (claim,), beside, events=1
    )
    held = sorted(int(row[0]) for row in answers.pop(0))
    units = [unit for unit in units if unit.home in held]
    return _passed(conn, code, units, Quiet(held, feeds, answers=answers), now)


def _passed(
    conn: Connection, code: Code, units: Sequence[Waiting], done: Quiet, now: datetime
) -> Quiet:
    if units:
        _judge(conn, code, units, done, now)
    return done


def _judge(
    conn: Connection, code: Code, units: Sequence[Waiting], done: Quiet, now: datetime
) -> None:
    begin = min(unit.instant for unit in units)
    since = begin - LOOK_BACK if begin > BEGINNING else None
    lane = _Lane(code, done.feeds, since, now)
    if len(units) <= PART:
        _judge_part(conn, lane, units, done, now)
    else:
        with trips.flowing(conn):
            for first in range(0, len(units), PART):
                _judge_part(conn, lane, units[first : first + PART], done, now)
    week_marks.mark_homes(conn, done.next)


def _judge_part(
    conn: Connection, lane: _Lane, units: Sequence[Waiting], done: Quiet, now: datetime
) -> None:
    moved: list[Moved] = []
    ringing: list[tuple[str, datetime]] = []
    soon = now + SOON
    for unit in units:
        found = lane.moved(unit)
        if found is None:
            continue
        its, following = found
        moved.extend(its)
        following = max(following, soon)
        ringing.append((str(unit.home), following))
        done.next[unit.home] = following
        for one in its:
            done.transitions += len(one.warnings)
    if moved:
        passing.save(conn, moved, now)
        timers.move(conn, UNIT, ringing)


class _Lane:
    """What decides whether time alone moved a unit, asked once for each rule and partner."""

    def __init__(self, code: Code, feeds: Feeds, since: datetime | None, now: datetime) -> None:
        self._code, self._now = code, now
        self._rules = {rule.id: rule for rule in code.rules if _counts_down(rule)}
        sources = code.network.sources
        self._troubled = {
            name for name, one in sources.items() if feeds.blind([of_source(name, one)], since, now)
        }
        self._waits: dict[tuple[str, str, str | None, int | None], timedelta | None] = {}
        walk = code.impact.rule if code.impact is not None else None
        told = walk.walk_from if isinstance(walk, ImpactRule) else {}
        self._spoken = {
            rule.id: frozenset({*rule.rule.telling_levels, *filter(None, [told.get(rule.id)])})
            for rule in code.rules
        }

    def moved(self, unit: Waiting) -> tuple[list[Moved], datetime] | None:
        """The clocks of a unit that warned, and when to come again; None if it must be judged from
        its events."""
        if not unit.due:
            return None
        now, partner = self._now, unit.partner_id
        following = unit.impact_at or FOREVER
        for rule, version, calendar, next_at in unit.others:
            if self._wait(rule, version, calendar, partner) is None:
                return None
            if next_at is not None and next_at < following:
                following = next_at
        instant = known = unit.instant
        due: list[tuple[DueClock, Passed]] = []
        for one in unit.due:
            wait = self._wait(one.rule, one.rule_version, one.calendar_version, partner)
            after = passed(one.state, now)
            if wait is None or after is None or after.wait != wait:
                return None
            spoken = self._spoken[one.rule]
            for name, at in after.warnings:
                if name in spoken:
                    return None
                if at > instant:
                    instant = at
            due.append((one, after))
            following = min(following, after.next)
        moved = [
            Moved(
                unit.home,
                one,
                [(name, at, at if at > known else known) for name, at in after.warnings],
                after.state,
                after.next,
                instant,
            )
            for one, after in due
        ]
        return moved, following

    def _wait(
        self, rule: str, version: str, calendar: str | None, partner_id: int | None
    ) -> timedelta | None:
        """How long a miss waits; None where the clock must be judged from its events: another
        version of its rule or calendar judged it, or a source that could tell is or was silent,
        which may have moved any clock of the unit, due or not."""
        key = (rule, version, calendar, partner_id)
        if key not in self._waits:
            in_force = self._rules.get(rule)
            known = calendar is None or calendar in self._code.calendar_versions
            if in_force is None or version != in_force.version or not known:
                self._waits[key] = None
            else:
                self._waits[key] = self._reckoned(in_force, partner_id)
        return self._waits[key]

    def _reckoned(self, rule: RuleInForce, partner_id: int | None) -> timedelta | None:
        partner = None if partner_id is None else self._code.network.partner_keys.get(partner_id)
        waits = {rule.rule.settle.length}
        served = [p.body.get("feeds") or () for p in self._code.profiles.get(partner or "", ())]
        found = {
            evidence
            for feeds in served or [()]
            for evidence in self._code.evidence_of(rule.rule, partner, feeds)
        }
        if any(evidence.source in self._troubled for evidence in found):
            return None
        waits.update(evidence.tolerance for evidence in found if evidence.pull)
        return max(waits)


def _counts_down(rule: RuleInForce) -> bool:
    return isinstance(rule.rule, DeadlineRule | AgreementRule)
