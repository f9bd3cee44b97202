"""What clocks are fed with: signs of a subject, spells of silence, and the rules that listen.

All of it is plain frozen data; instants are aware UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from tower.attributes import STATEMENTS, Statement
from tower.calendars import Calendar
from tower.conditions import Condition
from tower.rule_terms import ANSWER_WITHIN, Exemption
from tower.rulebook import (
    AgreementRule,
    DeadlineRule,
    EventRule,
    ImpactRule,
    QueueRule,
    RatioRule,
    Rule,
    RuleBook,
    SourceRule,
    VolumeRule,
    judging_hash,
)
from tower.values import value


class Subject(NamedTuple):
    """What a clock is about: a document, one of its lines, or a source."""

    kind: str
    scope: str
    number: str
    line: str = ""

    def __str__(self) -> str:
        text = f"{self.kind}:{self.scope}:{self.number}"
        return f"{text}:{self.line}" if self.line else text


@value
class Sign:
    """What one event tells about one subject.

    occurred_at  by the source's own word; arrived_at: when it reached us
    facts        JSON values of this event for this subject
    applied_at   logical instant at which the subject's clocks took it; None until they did
    system       whose word it is
    """

    type: str
    occurred_at: datetime
    arrived_at: datetime
    event_id: UUID
    facts: Mapping[str, Any] = field(default_factory=dict)
    applied_at: datetime | None = None
    system: str = ""

    def taken(self, at: datetime) -> Sign:
        """The same sign, taken by its subject's clocks at this logical instant."""
        if self.applied_at == at:
            return self
        return Sign(
            self.type, self.occurred_at, self.arrived_at, self.event_id, self.facts, at, self.system
        )


SAMPLE = "queue.sample"
"""Type of a sign that is no event but a measurement of a queue: facts depth, oldest_age, dlq."""
FOOTING = "footing"
"""Type of a sign that stands for all measurements before it (tower/overruns.py), by rule id."""
COUNTED = frozenset({"partner", "supplier"})
"""Kinds of subjects that are judged from counts: time alone may tell something new about them."""


APART, ALIKE = "told.apart", "told.alike"
"""Types of signs that tell since when two systems differ about a line, or no longer do."""
LEAD_TIME = "lead_time"
"""Type of a sign that is no event but the lead time of a supplier on a day: facts actual, planned
(median days), basis and n (orders)."""
LEFT, KEPT = "plan.left", "plan.kept"
"""Types of signs that tell since when a lead time is not what was planned, or is again."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A source was blind: complete only up to ``from_at``, which was known at ``known_at``.

    ``to_at`` is its recovery, None while it lasts.
    """

    source: str
    from_at: datetime
    known_at: datetime
    to_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A source that could bring the stop.

    tolerance  how long it may be quiet before a spell is known: for a source read or beating in a
               rhythm twice that rhythm, else its ``silent_after``
    pull       read or beating in a rhythm: a breach waits for its tolerance
    """

    source: str
    tolerance: timedelta
    pull: bool


@value
class Setting:
    """What decides a cycle besides its signs, as it was at the cycle's start.

    rule        the version that judges this cycle: closed cycles stay with theirs
    attributes  flat: "supplier.tier", "partner.stage", ...; what is not known is left out
    silent_after  for a source: how long a spell lasts before it is a case of its own
    systems     kind of each system, for rules that compare what systems tell
    """

    rule: RuleInForce
    calendar: Calendar
    attributes: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    profile_version: str = ""
    silent_after: timedelta = timedelta(0)
    systems: Mapping[str, str] = field(default_factory=dict)


SettingAt = Callable[[int, datetime], Setting]
"""Gives the setting of a cycle by its number and the instant it starts."""


class Part(NamedTuple):
    """What events of one type are to a rule: looked up once per event.

    stating  attributes that they may state
    asked    facts that make one worth hearing; None if every one moves clocks
    """

    starts: bool
    stops: bool
    cancels: bool
    restarts: bool
    pauses: bool
    resumes: bool
    stating: tuple[tuple[str, Statement], ...]
    asked: frozenset[str] | None

    def hears(self, sign: Sign) -> bool:
        """Whether this very event can change a clock."""
        return self.asked is None or not self.asked.isdisjoint(sign.facts)


@dataclass(frozen=True, eq=False)
class RuleInForce:
    """A rule with what the fold needs precomputed.

    moving    event types that move its clocks; telling: further types that may state attributes
    dates     attributes whose statements move its due, the first known wins
    overlay   attributes that its conditions and dates read from the signs themselves
    parts     what each of these event types is to the rule
    needless  the condition that ends a deadline before it was done
    asks      attributes that decide its budget
    version   hash of the judging part
    by_arrival  time is when it reached us, not when it occurred
    """

    rule: Rule
    exemptions: tuple[Exemption, ...]
    version: str
    start: frozenset[str] = frozenset()
    stop: frozenset[str] = frozenset()
    cancel: frozenset[str] = frozenset()
    restart: frozenset[str] = frozenset()
    pause: frozenset[str] = frozenset()
    resume: frozenset[str] = frozenset()
    dates: tuple[str, ...] = ()
    overlay: tuple[tuple[str, Statement], ...] = ()
    by_arrival: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.rule.id)
        object.__setattr__(self, "about", self.rule.about)
        moving = self.start | self.stop | self.cancel | self.restart | self.pause | self.resume
        telling = frozenset[str]().union(*(statement.types for _, statement in self.overlay))
        object.__setattr__(self, "moving", moving)
        object.__setattr__(self, "telling", telling - moving)
        object.__setattr__(self, "parts", {t: self._part(t, moving) for t in moving | telling})
        needless = self.rule.clock.cancel_when if isinstance(self.rule, DeadlineRule) else None
        object.__setattr__(self, "needless", needless)
        object.__setattr__(self, "asks", _asks(self.rule))

    id: str = field(init=False)
    about: str = field(init=False)
    moving: frozenset[str] = field(init=False, default=frozenset())
    telling: frozenset[str] = field(init=False, default=frozenset())
    parts: Mapping[str, Part] = field(init=False)
    needless: Condition | None = field(init=False)
    asks: tuple[str, ...] = field(init=False)

    def _part(self, type_: str, moving: frozenset[str]) -> Part:
        stating = tuple(told for told in self.overlay if type_ in told[1].types)
        asked = frozenset(fact for _, statement in stating for fact in statement.facts)
        return Part(
            starts=type_ in self.start,
            stops=type_ in self.stop,
            cancels=type_ in self.cancel,
            restarts=type_ in self.restart,
            pauses=type_ in self.pause,
            resumes=type_ in self.resume,
            stating=stating,
            asked=None if type_ in moving else asked,
        )

    def listens(self, sign: Sign) -> bool:
        """Whether this sign can change a clock of this rule."""
        part = self.parts.get(sign.type)
        return part is not None and part.hears(sign)


class Listeners(NamedTuple):
    """The rules about one kind of subject, in the order of the book, and by what they hear."""

    all: tuple[RuleInForce, ...]
    by_id: Mapping[str, RuleInForce]
    by_type: Mapping[str, tuple[tuple[RuleInForce, Part], ...]]


@lru_cache(maxsize=256)
def listening(rules: tuple[RuleInForce, ...]) -> Listeners:
    """The rules by what they hear; made once per book."""
    types = {type_ for rule in rules for type_ in rule.parts}
    by_type = {
        type_: tuple((rule, rule.parts[type_]) for rule in rules if type_ in rule.parts)
        for type_ in types
    }
    return Listeners(rules, {rule.id: rule for rule in rules}, by_type)


def _asks(rule: Rule) -> tuple[str, ...]:
    if not isinstance(rule, DeadlineRule) or rule.due is None:
        return ()
    rows = rule.due.targets
    asked = {name for row in rows if row.when for name in row.when.attributes()}
    if any(row.within == ANSWER_WITHIN for row in rows):
        asked.add(ANSWER_WITHIN)
    return tuple(sorted(asked))


_TELL_OF_LINES = frozenset(
    {
        "po.released", "po.revised", "po.acknowledged", "po.rejected", "po.change_proposed",
        "po.change_answered", "po.answer_applied",
    }
)  # fmt: skip


def rules_in_force(book: RuleBook) -> tuple[RuleInForce, ...]:
    """The rules of a book, ready for judging."""
    return tuple(in_force(rule, book) for rule in book.rules)


def in_force(rule: Rule, book: RuleBook) -> RuleInForce:
    version = judging_hash(rule, book)
    conditions = [e.when for e in book.not_measured]
    if rule.applies_when:
        conditions.append(rule.applies_when)
    if isinstance(rule, SourceRule | ImpactRule):
        return RuleInForce(rule, book.not_measured, version)
    if isinstance(rule, RatioRule):
        counted = frozenset({*rule.bad, *rule.of})
        return RuleInForce(rule, book.not_measured, version, start=counted)
    if isinstance(rule, VolumeRule):
        return RuleInForce(rule, book.not_measured, version, start=frozenset(rule.count))
    if isinstance(rule, QueueRule):
        return RuleInForce(rule, book.not_measured, version, start=frozenset({SAMPLE}))
    if isinstance(rule, AgreementRule):
        return RuleInForce(
            rule,
            book.not_measured,
            version,
            start=_TELL_OF_LINES if rule.about == "po_line" else frozenset({LEAD_TIME}),
            cancel=frozenset(rule.cancel),
            overlay=_overlay(rule.about, conditions, ()),
        )
    if isinstance(rule, EventRule):
        return RuleInForce(
            rule,
            book.not_measured,
            version,
            start=frozenset(rule.trigger),
            stop=frozenset(rule.clears),
            cancel=frozenset(rule.cancel),
            overlay=_overlay(rule.about, conditions, ()),
            by_arrival=rule.time == "received",
        )
    clock = rule.clock
    conditions.extend(t.when for t in (rule.due.targets if rule.due else ()) if t.when)
    if clock.cancel_when:
        conditions.append(clock.cancel_when)
    document = (rule.due.from_document,) if rule.due and rule.due.from_document else ()
    dates = clock.anchor or document
    return RuleInForce(
        rule,
        book.not_measured,
        version,
        start=frozenset(clock.start),
        stop=frozenset(clock.stop),
        cancel=frozenset(clock.cancel),
        restart=frozenset(clock.restart),
        pause=frozenset(clock.pause.from_ if clock.pause else ()),
        resume=frozenset(clock.pause.to if clock.pause else ()),
        dates=dates,
        overlay=_overlay(rule.about, conditions, dates),
        by_arrival=clock.time == "received",
    )


def _overlay(
    about: str, conditions: Iterable[Condition], dates: Sequence[str]
) -> tuple[tuple[str, Statement], ...]:
    """Attributes of the subject itself that its own signs state, asked for by this rule."""
    asked = {name for condition in conditions for name in condition.attributes()} | set(dates)
    return tuple(
        (name, STATEMENTS[name])
        for name in sorted(asked)
        if name.split(".", 1)[0] == about and name in STATEMENTS
    )
