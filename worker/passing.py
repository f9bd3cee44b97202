"""The part of a round that time alone has moved: warnings, judged without reading any event.

Most timers of a quiet hour are warnings. Nobody is told of them, no customer line hangs on them,
and what they make of a clock was worked out when it was judged last. Units of which anything else
may be due are left to be judged from their events (worker/judge.py); both ways give the same
journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from db import passing, trips
from db.clocks import BEGINNING, LOOK_BACK, Feeds
from db.passing import Moved, OpenClock, Waiting
from db.timers import Timer
from tower.court import Code
from tower.evidence import of_source
from tower.passing import Passed, passed
from tower.rulebook import AgreementRule, DeadlineRule, ImpactRule
from tower.signs import RuleInForce

PART = 200  # units of which the server writes what came of them while the next are looked at


@dataclass(slots=True)
class Quiet:
    """What time alone did.

    feeds        how complete the sources are, with all that can matter to any of the units given
    next         when each unit is to be looked at again
    transitions  journal entries written
    """

    feeds: Feeds
    next: dict[int, datetime] = field(default_factory=dict)
    transitions: int = 0


def let_pass(conn: Connection, code: Code, claimed: Sequence[Timer], now: datetime) -> Quiet:
    """Judge what only time has moved among these units, whose timers the caller holds."""
    homes = [int(timer.key) for timer in claimed]
    units, feeds = passing.waiting(conn, homes, code.unheard, code.network.sources, now)
    done = Quiet(feeds)
    if not units:
        return done
    begin = min(unit.instant for unit in units)
    since = begin - LOOK_BACK if begin > BEGINNING else None
    lane = _Lane(code, feeds, since, now)
    if len(units) <= PART:
        _judge(conn, lane, units, done, now)
        return done
    with trips.flowing(conn):
        for first in range(0, len(units), PART):
            _judge(conn, lane, units[first : first + PART], done, now)
    return done


def _judge(
    conn: Connection, lane: _Lane, units: Sequence[Waiting], done: Quiet, now: datetime
) -> None:
    moved: list[Moved] = []
    instants: list[tuple[int, datetime]] = []
    for unit in units:
        found = lane.moved(unit)
        if found is None:
            continue
        its, following, instant = found
        moved.extend(its)
        instants.append((unit.home, instant))
        done.next[unit.home] = following
        done.transitions += sum(len(one.warnings) for one in its)
    passing.save(conn, moved, instants, now)


class _Lane:
    """What decides whether time alone moved a unit, asked once for each rule and partner."""

    def __init__(self, code: Code, feeds: Feeds, since: datetime | None, now: datetime) -> None:
        self._code, self._now = code, now
        self._rules = {rule.id: rule for rule in code.rules if _counts_down(rule)}
        sources = code.network.sources
        self._troubled = {
            name for name, one in sources.items() if feeds.blind([of_source(name, one)], since, now)
        }
        self._waits: dict[tuple[str, int | None], timedelta | None] = {}
        walk = code.impact.rule if code.impact is not None else None
        told = walk.walk_from if isinstance(walk, ImpactRule) else {}
        self._spoken = {
            rule.id: frozenset({*rule.rule.telling_levels, *filter(None, [told.get(rule.id)])})
            for rule in code.rules
        }

    def moved(self, unit: Waiting) -> tuple[list[Moved], datetime, datetime] | None:
        """The clocks of a unit that warned, when to come again, and its last logical instant; None
        if it must be judged from its events."""
        now = self._now
        due: list[tuple[OpenClock, Passed]] = []
        ahead = [] if unit.impact_at is None else [unit.impact_at]
        instant = unit.instant
        for one in unit.clocks:
            rule = self._rules.get(one.rule)
            if rule is None or self._is_earlier(one, rule):
                return None
            wait = self._wait(rule, unit.partner_id)
            if wait is None:  # a silence may have moved any of its clocks, due or not
                return None
            if one.next_at is None or one.state is None:
                ahead.extend([one.next_at] if one.next_at is not None else [])
                continue
            after = passed(one.state, now)
            if after is None or after.wait != wait:
                return None
            spoken = self._spoken[one.rule]
            for name, at in after.warnings:
                if name in spoken:
                    return None
                instant = max(instant, at)
            due.append((one, after))
            ahead.append(after.next)
        if not due:
            return None
        moved = [
            Moved(
                unit.home,
                one,
                [(name, at, max(at, unit.instant)) for name, at in after.warnings],
                after.state,
                after.next,
            )
            for one, after in due
        ]
        return moved, min(ahead), instant

    def _is_earlier(self, one: OpenClock, rule: RuleInForce) -> bool:
        """Whether another version of its rule or calendar judged it."""
        calendar = one.calendar_version
        return one.rule_version != rule.version or (
            calendar is not None and calendar not in self._code.calendar_versions
        )

    def _wait(self, rule: RuleInForce, partner_id: int | None) -> timedelta | None:
        """How long a miss waits; None where a source that could tell is or was silent."""
        key = (rule.id, partner_id)
        if key not in self._waits:
            self._waits[key] = self._reckoned(rule, partner_id)
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
