"""What clocks are fed with: signs of a subject, spells of silence, and the rules that listen.

All of it is plain frozen data; instants are aware UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from tower.attributes import STATEMENTS, Statement
from tower.calendars import Calendar
from tower.conditions import Condition
from tower.rule_terms import Exemption
from tower.rulebook import (
    AgreementRule,
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


class Subject(NamedTuple):
    """What a clock is about: a document, one of its lines, or a source."""

    kind: str
    scope: str
    number: str
    line: str = ""

    def __str__(self) -> str:
        text = f"{self.kind}:{self.scope}:{self.number}"
        return f"{text}:{self.line}" if self.line else text


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, eq=False)
class RuleInForce:
    """A rule with what the fold needs precomputed.

    moving    event types that move its clocks; telling: further types that may state attributes
    dates     attributes whose statements move its due, the first known wins
    overlay   attributes that its conditions and dates read from the signs themselves; stating:
              the same by event type; asked: the facts that make a telling event worth hearing
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

    @property
    def id(self) -> str:
        return self.rule.id

    @property
    def about(self) -> str:
        return self.rule.about

    def __post_init__(self) -> None:
        moving = self.start | self.stop | self.cancel | self.restart | self.pause | self.resume
        telling = frozenset[str]().union(*(statement.types for _, statement in self.overlay))
        stating = {
            type_: tuple(told for told in self.overlay if type_ in told[1].types)
            for type_ in telling
        }
        asked = {
            type_: frozenset(fact for _, statement in told for fact in statement.facts)
            for type_, told in stating.items()
            if type_ not in moving
        }
        object.__setattr__(self, "moving", moving)
        object.__setattr__(self, "telling", telling - moving)
        object.__setattr__(self, "stating", stating)
        object.__setattr__(self, "asked", asked)

    moving: frozenset[str] = field(init=False, default=frozenset())
    telling: frozenset[str] = field(init=False, default=frozenset())
    stating: Mapping[str, Sequence[tuple[str, Statement]]] = field(init=False)
    asked: Mapping[str, frozenset[str]] = field(init=False)

    def listens(self, sign: Sign) -> bool:
        """Whether this sign can change a clock of this rule."""
        if sign.type in self.moving:
            return True
        asked = self.asked.get(sign.type)
        return asked is not None and not asked.isdisjoint(sign.facts)


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
            start=_TELL_OF_LINES,
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
