"""Playing rule tests: one subject, one rule, every instant as it comes, through the worker's core.

Clocks are brought forward by ``worker.units.judged`` over ``tower.timeline.advance``; cases and
mails come from a Rehearsal. No database, no own time.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from db.clocks import UnitRows
from tower import cases
from tower.calendars import Calendar, CalendarSpec
from tower.cases import Case
from tower.categories import OWNERS
from tower.court import SUPPLIER_CALENDAR, Code, UnitCourt
from tower.cycles import Cycle
from tower.errors import Problem
from tower.network import Company, Network, Person
from tower.rule_tests import (
    NO_CLOCK,
    Expected,
    Given,
    Suite,
    TestCase,
    facts_of,
    instant,
    readings,
    tolerance,
)
from tower.rulebook import ImpactRule, Rule, RuleBook
from tower.signs import LEAD_TIME, SAMPLE, Evidence, RuleInForce, Setting, Sign, Spell, Subject
from tower.strict_yaml import Path
from tower.timeline import RECALCULATED, Entry
from worker.judging import Judging
from worker.rehearsal import Rehearsal
from worker.units import judged

OWNER = "owner"  # whoever owns the case: tests name roles, not people
BUYER = "buyer"
_NAMES = UUID("0d9c7b34-57a1-4f1f-9f39-0a3f6b1c2d5e")
_MISSED = frozenset({"breached", "met_late"})


@dataclass(frozen=True)
class World:
    """Rule book and calendars that a test is played with."""

    book: RuleBook
    calendars: Mapping[str, CalendarSpec]


def play(suite: Suite, number: int, world: World) -> list[Problem]:
    """What a case shows otherwise than expected, with its place; empty if it passes."""
    case, given = suite.body.cases[number], suite.given(number)
    where: Path = ("cases", number)
    rule = world.book.rule(given.rule or "")
    if rule is None:
        return [suite.problem(where, f'"{given.rule}" is not in the rule book')]
    if given.calendar not in world.calendars:
        known = ", ".join(sorted(world.calendars)) or "none"
        said = f'"{given.calendar}" is not a calendar'
        return [suite.problem(where, said, f"known calendars: {known}")]
    if isinstance(rule, ImpactRule):
        said = f"{rule.id} walks from late supply to customers: there is nothing to play here"
        return [suite.problem(where, said, "test the rules that it walks from")]
    trial = _Trial(case, given, rule, world)
    found: list[Problem] = []
    for n, line in enumerate(case.expect):
        seen = trial.until(instant(line.at, trial.local))
        place: Path = (*where, "expect", n)
        for field_name, message in _differences(line, seen, trial.local):
            found.append(suite.problem((*place, field_name), message))
    return found


@dataclass(frozen=True)
class _Seen:
    """What there was at an instant, and since the line before."""

    cycle: Cycle | None
    case: Case | None
    journal: Sequence[Entry]
    mails: Mapping[str, int]
    opened: Sequence[Entry]


def _differences(line: Expected, seen: _Seen, local: Any) -> list[tuple[str, str]]:
    """(field, what is wrong) of one line."""
    found: list[tuple[str, str]] = []
    verdict = NO_CLOCK if seen.cycle is None else seen.cycle.verdict.value

    def compare(name: str, expected: Any, is_so: Any) -> None:
        if expected is not None and expected != is_so:
            found.append((name, f"{name} is {_said(is_so)}, expected {_said(expected)}"))

    compare("verdict", line.verdict, verdict)
    compare("paused", line.paused, seen.cycle is not None and seen.cycle.paused)
    if line.due is not None:
        due = seen.cycle.due if seen.cycle is not None else None
        is_so = "none" if due is None else f"{due.astimezone(local):%Y-%m-%d %H:%M:%S}"
        compare("due", f"{instant(line.due, local).astimezone(local):%Y-%m-%d %H:%M:%S}", is_so)
    state = NO_CLOCK if seen.case is None else "open" if seen.case.open else "resolved"
    compare("case", line.case, state)
    compare("severity", line.severity, None if seen.case is None else seen.case.severity)
    names = tuple(entry.name for entry in seen.journal if entry.name != RECALCULATED)
    compare("journal", line.journal, names)
    expected_mails = {who: n for who, n in (line.mails or {}).items() if n}
    if expected_mails != seen.mails:
        said = _said(seen.mails) if seen.mails else "nobody"
        wanted = _said(expected_mails) if expected_mails else "nobody"
        found.append(("mails", f"mails went to {said}, expected {wanted}"))
    if seen.opened and line.journal is None and line.verdict not in _MISSED:
        first = seen.opened[0]
        at = first.detected.astimezone(local)
        found.append(("at", f"{first.name} at {at:%Y-%m-%d %H:%M:%S}, which no line expects"))
    return found


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{who} {n}" for who, n in sorted(value.items()))
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "none" if value is None else str(value)


class _Trial:
    """One story on its way."""

    def __init__(self, case: TestCase, given: Given, rule: Rule, world: World) -> None:
        self._given, self._rule = given, rule
        self.local = _calendar(given.calendar, world.calendars[given.calendar]).zone
        network = _network(world, given, str(self.local))
        code = _Code(network, world.book, {}, given, world.calendars)
        self._subject = _subject(rule.about)
        self._court = _Court(code, None, {}, {}, given=given, rule_id=rule.id)
        self._rows = UnitRows(0)
        self._rehearsal = Rehearsal(
            Judging(network, world.book), code, functools.partial(_raise_by, rule, given)
        )
        self._signs = _signs(case, self.local)
        self._spells = _spells(case, given, rule, self.local)
        self._acts = sorted(instant(e.at, self.local) for e in case.events if e.do is not None)
        self._next: datetime | None = None
        self._journal: list[Entry] = []
        self._mails_told = 0
        if rule.about == "source":
            starts = [s.from_at for s in self._spells]
            self._next = min(starts, default=None)

    def until(self, end: datetime) -> _Seen:
        """Go on to an instant; what happens at it has happened then."""
        entries: list[Entry] = []
        while (now := self._coming(end)) is not None:
            self._rehearsal.until(now - timedelta(microseconds=1))
            entries.extend(self._judge(now))
            while self._acts and self._acts[0] <= now:
                self._take(self._acts.pop(0))
            self._rehearsal.until(now)
        self._rehearsal.until(end)
        opened = [e for e in entries if e.level is not None and self._tells(e)]
        cycles = self._rows.clocks.get((self._rule.id, self._subject), ())
        postings = self._rehearsal.postings[self._mails_told :]
        self._mails_told = len(self._rehearsal.postings)
        mails: dict[str, int] = {}
        for posting in postings:
            mails[posting.recipient] = mails.get(posting.recipient, 0) + 1
        case = self._rehearsal.latest(self._rule.id)
        return _Seen(cycles[-1] if cycles else None, case, entries, mails, opened)

    def _tells(self, entry: Entry) -> bool:
        return entry.name == "breach" or entry.name in self._rule.telling_levels

    def _coming(self, end: datetime) -> datetime | None:
        """The next instant up to ``end`` at which the subject has something to do."""
        arriving = [s.arrived_at for s in self._signs if s.applied_at is None]
        waiting = [at for at in (self._next, *arriving, *self._acts) if at is not None]
        now = min(waiting, default=None)
        return now if now is not None and now <= end else None

    def _judge(self, now: datetime) -> Sequence[Entry]:
        known = [s for s in self._signs if s.arrived_at <= now]
        self._court.clocks = self._rows.clocks
        visit = judged(self._rows, self._court, {self._subject: known}, self._spells, now)
        changed = {key: tuple(cycles) for key, cycles in visit.judged.changed.items()}
        self._rows.clocks = {**self._rows.clocks, **changed}
        self._rows.instant = visit.judged.instant
        self._signs = [
            replace(sign, applied_at=visit.judged.applied.get(sign.event_id, sign.applied_at))
            for sign in self._signs
        ]
        self._next = visit.next if visit.next is None or visit.next > now else None
        self._rehearsal.happen(visit.work, now)
        return visit.judged.journal

    def _take(self, now: datetime) -> None:
        case = self._rehearsal.latest(self._rule.id)
        if case is not None and case.open:
            self._rehearsal.act(cases.take(case, "somebody", now), now)


def _raise_by(rule: Rule, given: Given, _: Case) -> int:
    holds = rule.raise_ is not None and rule.raise_.when.holds(given.subject)
    return rule.raise_.by if holds and rule.raise_ is not None else 0


def _subject(about: str) -> Subject:
    if about == "source":
        return Subject("source", "", "source")
    return Subject(about, "main", "4711", "10" if about.endswith("_line") else "")


def _signs(case: TestCase, local: Any) -> list[Sign]:
    found: list[Sign] = []
    for n, event in enumerate(case.events):
        if event.event is not None:
            at = instant(event.at, local)
            arrived = instant(event.arrives, local) if event.arrives else at
            name = uuid5(_NAMES, f"{n:04d}")
            facts = facts_of(event.says) | ({"n": event.times} if event.times > 1 else {})
            found.append(Sign(event.event, at, arrived, name, facts))
    for n, sampled in enumerate(case.samples):
        for at, arrived, facts in readings(sampled, local):
            name = uuid5(_NAMES, f"{n:04d} {at.isoformat()}")
            kind = SAMPLE if sampled.orders is None else LEAD_TIME
            found.append(Sign(kind, at, arrived, name, facts))
    return found


def _spells(case: TestCase, given: Given, rule: Rule, local: Any) -> list[Spell]:
    """Outages; one that names no source means the source itself, or all of the evidence."""
    found: list[Spell] = []
    for silent in case.silent:
        begin = instant(silent.from_, local)
        known = instant(silent.known, local) if silent.known else begin
        over = instant(silent.to, local) if silent.to else None
        named = (silent.source,) if silent.source else rule.evidence
        if rule.about == "source":
            named = ("source",)
        found.extend(Spell(source, begin, known, over) for source in named)
    return found


class _Code(Code):
    """Rules in force, with calendars compiled once for all tests."""

    def __init__(
        self,
        network: Network,
        book: RuleBook,
        profiles: Mapping[str, Any],
        given: Given,
        calendars: Mapping[str, CalendarSpec],
    ) -> None:
        super().__init__(network, book, profiles)
        self._given, self._specs = given, calendars

    def calendar(self, name: str) -> Calendar:
        wanted = self._given.calendar if name == SUPPLIER_CALENDAR else name
        if wanted not in self._specs:
            wanted = self._given.calendar
        return _calendar(wanted, self._specs[wanted])


@functools.lru_cache(maxsize=256)
def _compiled(name: str, text: str) -> Calendar:
    return Calendar(name, CalendarSpec.model_validate_json(text))


def _calendar(name: str, spec: CalendarSpec) -> Calendar:
    return _compiled(name, spec.model_dump_json())


@dataclass
class _Court(UnitCourt):
    """A court that knows what the test gives, for one rule."""

    given: Given = field(default_factory=Given)
    rule_id: str = ""

    def rules(self, subject: Subject) -> Sequence[RuleInForce]:
        return [r for r in self.code.by_subject.get(subject.kind, ()) if r.id == self.rule_id]

    def setting(self, rule: RuleInForce, subject: Subject, cycle: int, start: datetime) -> Setting:
        evidence = tuple(
            Evidence(word, wait or timedelta(0), pull=wait is not None)
            for word in rule.rule.evidence
            for wait in (tolerance(self.given, word),)
        )
        return Setting(
            rule,
            self.code.hours_of(rule.rule, {"calendar": SUPPLIER_CALENDAR}),
            self.described(subject, start),
            evidence,
            "",
            self.given.silent_after.length,
        )

    def described(self, subject: Subject, at: datetime) -> Mapping[str, Any]:
        return {"partner.key": "SUPPLIER", "partner.stage": "live", **self.given.subject}


def _network(world: World, given: Given, zone_name: str) -> Network:
    """A network in which every person that the rule book names exists, and one owns all cases."""
    book = world.book
    named = {OWNER, *(policy.fallback for policy in book.notify.values())}
    named |= {policy.to for policy in book.notify.values()}
    named |= {step.to for policy in book.notify.values() for step in policy.escalate}
    named |= {level.also for rule in book.rules for level in rule.levels.values() if level.also}
    if "po.buyer" in given.subject:
        named.add(str(given.subject["po.buyer"]))
    people = {
        name: Person(name=name, mail="nobody@tower.invalid", zone=zone_name)
        for name in sorted(named - {"case.owner", "po.buyer", "partner.contact"})
    }
    return Network.model_construct(
        version=1,
        company=Company(name="Tests", zone=zone_name, calendar=given.calendar),
        systems={},
        sources={},
        mappings={},
        partners={},
        warehouses={},
        calendars=dict(world.calendars),
        people=people,
        owners=dict.fromkeys(OWNERS, OWNER),
        channels={},
        source_of_truth={},
    )
