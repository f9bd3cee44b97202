"""Queues and partners in hindsight: what is judged by measuring and counting, played again.

The stored samples and counts go through the very visits of the worker (worker/queues_judge.py,
worker/partners_judge.py), an hour of arrivals at a time: rounds do not show in a journal. Hours in
which nothing was over a limit and nothing was open are passed over; they say nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from db.clocks import UnitRows
from db.completeness import Feeds
from db.measured import MeasuredRow
from db.tallies import Orders, PartnerRow
from tower import footings
from tower.court import Code, UnitCourt
from tower.cycles import Cycle
from tower.measured import measured_queue
from tower.overruns import Footing
from tower.rule_parts import STEP
from tower.rulebook import QueueRule, RatioRule
from tower.signs import RuleInForce, Sign, Subject
from tower.timeline import ClockKey, Entry
from worker import partners_judge, queues_judge
from worker.units import Visit

_HOUR = timedelta(hours=1)
_TICK = timedelta(microseconds=1)


@dataclass
class Played:
    """What became of one subject: its journal, and every cycle as it was in the end."""

    court: UnitCourt
    journal: list[Entry] = field(default_factory=list)
    cycles: dict[ClockKey, dict[int, Cycle]] = field(default_factory=dict)

    def take(self, visit: Visit, heard: Callable[[str], bool]) -> None:
        """Add a visit, as far as it is about the rules asked for."""
        self.journal.extend(entry for entry in visit.judged.journal if heard(entry.rule))
        for key, cycles in visit.judged.changed.items():
            if heard(key[0]):
                known = self.cycles.setdefault(key, {})
                for gone in visit.judged.before.get(key, ()):
                    known.pop(gone.number, None)
                known.update((cycle.number, cycle) for cycle in cycles)

    @property
    def clocks(self) -> dict[ClockKey, tuple[Cycle, ...]]:
        return {key: tuple(known[n] for n in sorted(known)) for key, known in self.cycles.items()}

    @property
    def is_open(self) -> bool:
        return any(cycle.open for known in self.cycles.values() for cycle in known.values())


def play_queue(
    code: Code, home: int, subject: Subject, samples: Sequence[Sign], end: datetime
) -> Played:
    """One queue from its first sample on; ``samples`` are those known before ``end``."""
    rules = [rule for rule in code.rules if isinstance(rule.rule, QueueRule)]
    done = Played(
        UnitCourt(code, None, {subject: queues_judge.attributes_of(code, subject, samples)}, {})
    )
    wanted = {rule.id for rule in rules}
    held = max((r.rule.hold.length for r in rules if isinstance(r.rule, QueueRule)), default=_HOUR)
    over = _Near(_over(rules, samples, done.court.described(subject, end)), footings.BEHIND + held)
    row = MeasuredRow(subject, None, {}, UnitRows(home))
    known: list[Sign] = []
    for until, fresh in [*_hours(samples), (end - _TICK, [])]:
        for sample in fresh:
            insort(known, sample, key=_occurred)
        row.new_from = min(map(_occurred, fresh), default=None)
        if not done.is_open and not over.near(fresh):
            queues_judge.pass_by(row, rules, code, known, until)
            continue
        visit = queues_judge.visit_one(row, rules, code, known, until)
        done.take(visit, wanted.__contains__)
        row.unit.instant = visit.judged.instant or until
        row.unit.clocks = dict(done.clocks)
        row.last = {rule: max(cycles) for (rule, _), cycles in done.cycles.items() if cycles}
    return done


def play_partner(
    code: Code, home: int, partner: str, counts: Sequence[Sign], feeds: Feeds, end: datetime
) -> Played:
    """One partner's shares of failures; ``counts`` are those known before ``end``."""
    rules = [rule for rule in code.rules if isinstance(rule.rule, RatioRule)]
    wanted = {rule.id for rule in rules}
    subject = Subject("partner", "", partner)
    done = Played(UnitCourt(code, partner, {subject: {}}, {}))
    bad = frozenset(t for r in rules if isinstance(r.rule, RatioRule) for t in r.rule.bad)
    window = max((partners_judge.looks_back(rule) for rule in rules), default=STEP)
    wrong = _Near([s for s in counts if s.type in bad], window)
    row = PartnerRow(partner, None, UnitRows(home), {})
    for until, fresh in [*_hours(counts), (end - _TICK, [])]:
        if not done.is_open and not wrong.near(fresh):
            row.unit.instant = until
            continue
        row.new_from = min(map(_occurred, fresh), default=None)
        # As the worker loads them: cycles that are open, or ended no earlier than what is new.
        row.unit.clocks = {
            key: its
            for key, cycles in done.clocks.items()
            if (its := tuple(c for c in cycles if c.open or _ended_since(c, row.new_from)))
        }
        row.last = {key: max(known) for key, known in done.cycles.items() if known}
        visit = partners_judge.visit_one(row, code, counts, Orders(), feeds, until)
        done.take(visit, wanted.__contains__)
        row.unit.instant = visit.judged.instant or until
    return done


def known_by(signs: Iterable[Sign], by: str, lag: timedelta, end: datetime) -> list[Sign]:
    """The samples or counts known before ``end``, as they arrived or (``occurred``) as they were;
    a count is known when its step is over (``lag``)."""
    if by == "occurred":
        signs = [replace(s, arrived_at=s.occurred_at + lag) for s in signs]
    return [sign for sign in signs if sign.arrived_at < end]


def _ended_since(cycle: Cycle, new_from: datetime | None) -> bool:
    return cycle.ended is not None and new_from is not None and cycle.ended >= new_from


def _hours(signs: Sequence[Sign]) -> Iterator[tuple[datetime, list[Sign]]]:
    """Signs by hours of arrival, each with the last instant of arrival in it."""
    fresh: list[Sign] = []
    for sign in sorted(signs, key=lambda s: s.arrived_at):
        if fresh and sign.arrived_at - fresh[0].arrived_at >= _HOUR:
            yield fresh[-1].arrived_at, fresh
            fresh = []
        fresh.append(sign)
    if fresh:
        yield fresh[-1].arrived_at, fresh


class _Near:
    """Whether something that counts happened in a stretch or not long before it."""

    def __init__(self, signs: Iterable[Sign], before: timedelta) -> None:
        self._at = sorted(map(_occurred, signs))
        self._before = before + STEP

    def near(self, fresh: Sequence[Sign]) -> bool:
        if not fresh:
            return False
        times = [*map(_occurred, fresh)]
        first = bisect_left(self._at, min(times) - self._before)
        return first < len(self._at) and self._at[first] <= max(times)


def _occurred(sign: Sign) -> datetime:
    return sign.occurred_at


def _over(
    rules: Sequence[RuleInForce], samples: Sequence[Sign], attributes: Mapping[str, object]
) -> list[Sign]:
    """The samples that are over a limit of any rule."""
    found = []
    for rule in rules:
        if isinstance(rule.rule, QueueRule):
            read = measured_queue(rule.rule, samples, Footing(_FIRST), attributes).readings
            found += [s for s, r in zip(samples, read, strict=True) if True in r.over]
    return found


_FIRST = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
