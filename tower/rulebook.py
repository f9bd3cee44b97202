"""The rule book: what `sla_rules.yaml` says is expected, as typed, frozen values.

Each kind of rule is a model of its own; the word ``kind`` tells which. ``load_rulebook`` takes a
file whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    model_validator,
)

from tower import strict_yaml
from tower.categories import CATEGORIES
from tower.conditions import Condition
from tower.durations import ClockSpan, RunningSpan, Span, Unit
from tower.reports import Digest
from tower.rule_parts import (
    LEAD_TIMES,
    Comparison,
    Enough,
    Guard,
    QueueLimit,
    RootCauses,
    Strict,
    Window,
)
from tower.rule_terms import (
    DO_NOT_MEASURE,
    Budget,
    CategoryCode,
    ClockSpec,
    Due,
    EventNames,
    Exemption,
    Inhibition,
    Level,
    NotifyPolicy,
    OwnerLetter,
    Raise,
    SubjectKind,
    Words,
)
from tower.scorecards import ScorecardSpec
from tower.strict_yaml import Marks, mistake

KINDS = (
    "deadline", "event", "source", "impact", "queue", "ratio", "agreement", "volume",
)  # fmt: skip
"""All kinds of the language, each a model below."""

_ID = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class _Rule(Strict):
    id: str = Field(pattern=_ID)
    """Name of the rule for good: never rename or reuse it, history hangs on it."""
    category: CategoryCode
    """Exception category of its cases."""
    title: str = ""
    """Headline of its cases; {po.number} and the like are filled in."""
    applies_when: Condition | None = None
    """Only subjects that match have a clock; decided as it was when a cycle started."""
    calendar: str = "hq"
    """Calendar of network.yaml whose hours count; supplier: the supplier's own, else hq."""
    evidence: Words = ()
    """Sources that could bring the missing event: a source, a system, or supplier.feeds."""
    settle: ClockSpan = Span.parse("0m")
    """Wait so long for stragglers before speaking."""
    levels: dict[str, Level]
    """Steps by name; a deadline has breach and may have warn and later ones."""
    owner: OwnerLetter | None = None
    """Whose its cases are, if not the category's owner."""
    inhibited_by: tuple[Inhibition, ...] = ()
    """Bigger cases that make its mails needless."""
    raise_: Raise | None = Field(default=None, alias="raise")
    """What makes its cases worse."""
    advice: str = ""
    """What the owner should do, told in mail and case."""

    @property
    def owner_letter(self) -> str:
        """The rule's own owner, else the category's."""
        return self.owner or CATEGORIES[self.category].owner

    @property
    def telling_levels(self) -> dict[str, Level]:
        """Levels that notify somebody, in the order of the file."""
        return {name: level for name, level in self.levels.items() if level.notify}


class DeadlineRule(_Rule):
    """After A, or before a date, B must happen."""

    kind: Literal["deadline"]
    """The kind of rule."""
    about: SubjectKind
    """What it is about: one clock per such subject."""
    clock: ClockSpec
    """What starts, stops and stretches it."""
    due: Due | None = None
    """When it must be done; a clock with an anchor has its due from there."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if "breach" not in self.levels:
            raise mistake("levels lack breach", "write breach: {severity: medium}")
        if self.clock.start and self.due is None:
            raise mistake("due is missing", "write due: {otherwise: 4bh}")
        if self.clock.anchor and self.due is not None:
            raise mistake("an anchored clock has its due from the anchor", "remove due")
        for name, level in self.levels.items():
            if name == "breach" and level.at is not None:
                raise mistake("breach is at due and takes no at", "remove at")
            if name != "breach" and level.at is None:
                raise mistake(f"level {name} lacks at", 'write at: "75%" or at: +8bh')
        return self


class EventRule(_Rule):
    """Something bad by itself, that ages until it is cleared."""

    kind: Literal["event"]
    """The kind of rule."""
    about: SubjectKind
    """What it is about: one clock per such subject."""
    trigger: EventNames
    """The bad event; levels count from it."""
    clears: EventNames
    """What makes it good again."""
    cancel: EventNames = ()
    """What makes it needless."""
    time: Literal["occurred", "received"] = "occurred"
    """Whether the source's own time counts, or when it reached us."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name, level in self.levels.items():
            if level.at is not None and (level.at.share is not None or level.at.sign < 0):
                raise mistake(f"level {name} counts from the trigger", "write at: 0m, 4h or 4bh")
        return self


class SourceRule(_Rule):
    """One of our own feeds is silent beyond its rhythm (``silent_after`` in network.yaml)."""

    kind: Literal["source"]
    """The kind of rule."""

    @property
    def about(self) -> Literal["source"]:
        return "source"

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if "breach" not in self.levels:
            raise mistake("levels lack breach", "write breach: {severity: critical}")
        _from_the_breach(self.levels)
        return self


class QueueRule(_Rule):
    """A queue is too deep, or its oldest message too old, for too long."""

    kind: Literal["queue"]
    """The kind of rule."""
    any: tuple[QueueLimit, ...] = Field(min_length=1)
    """Its limits; one that is passed is enough."""
    hold: ClockSpan
    """True so long before it is spoken."""
    clear_after: ClockSpan
    """Under every limit so long before it is over."""
    no_sample_after: ClockSpan
    """Samples further apart than this do not speak of the time between them."""

    @property
    def about(self) -> Literal["queue"]:
        return "queue"

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _measured(self)
        return self


class AgreementRule(_Rule):
    """Two systems must tell the same within a time; of a supplier, receipts and plan."""

    kind: Literal["agreement"]
    """The kind of rule."""
    about: Literal["po_line", "supplier"]
    """What it is about: one clock per line, or per supplier for lead times."""
    compare: tuple[Comparison, ...] = Field(min_length=1)
    """What must be the same."""
    within: RunningSpan
    """So long may they differ."""
    cancel: EventNames = ()
    """What makes it needless."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if "breach" not in self.levels:
            raise mistake("levels lack breach", "write breach: {severity: medium}")
        for name, level in self.levels.items():
            if (name == "breach") != (level.at is None):
                raise mistake(
                    f"level {name}: breach takes no at, other levels need one",
                    'write at: "75%" or at: +8bh',
                )
        for pair in self.compare:
            _lead_times(self, pair)
        return self

    @cached_property
    def deadline(self) -> DeadlineRule:
        """The deadline that is left to judge: from telling it apart to telling it alike."""
        same = {name: getattr(self, name) for name in _Rule.model_fields}
        return DeadlineRule.model_construct(
            **same,
            kind="deadline",
            about=self.about,
            clock=ClockSpec.model_construct(
                start=("told.apart",), stop=("told.alike",), cancel=self.cancel
            ),
            due=Due.model_construct(otherwise=self.within),
        )


class RatioRule(_Rule):
    """Too much of what a partner sends, or of what we send it, goes wrong."""

    kind: Literal["ratio"]
    """The kind of rule."""
    bad: EventNames
    """What went wrong."""
    of: EventNames
    """Of what: all that came."""
    windows: tuple[Window, ...] = Field(min_length=1)
    """Stretches of time that are looked at; each has a level of its own."""
    guard: Guard = Guard()
    """How much must be known before a share means anything."""

    @property
    def about(self) -> Literal["partner"]:
        return "partner"

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _counted(self)
        named = [window.level for window in self.windows]
        for name in self.levels.keys() - set(named):
            raise mistake(f"no window leads to level {name}", f"write level: {name} in a window")
        for name in named:
            if name not in self.levels:
                raise mistake(f"levels lack {name}", f"write {name}: {{severity: medium}}")
            if named.count(name) > 1:
                raise mistake(f"two windows lead to level {name}", "give each its own level")
        for name, level in self.levels.items():
            if level.at is not None:
                raise mistake(f"level {name} is reached by its window and takes no at", "remove at")
        return self


class VolumeRule(_Rule):
    """A partner has gone quiet: less than expected came from it."""

    kind: Literal["volume"]
    """The kind of rule."""
    about: Literal["supplier"]
    """What it is about: one clock per supplier."""
    count: EventNames
    """What is counted."""
    at_least: Enough
    """So much is expected: a number, or a share of what is usual."""
    within: Budget
    """In how long a time."""
    while_: Condition | None = Field(default=None, alias="while")
    """Only while this holds; nothing is expected of a supplier that owes us nothing."""
    weeks: int = Field(default=8, ge=4, le=26)
    """Over so many weeks the usual is the median of the same weekday."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.within == DO_NOT_MEASURE:
            raise mistake("do_not_measure is no time", "write within: 2bd")
        if "breach" not in self.levels:
            raise mistake("levels lack breach", "write breach: {severity: medium}")
        _from_the_breach(self.levels)
        if self.at_least.share is not None and self.within.unit is not Unit.DAYS:
            raise mistake("a share of the usual is counted by business days", "write within: 1bd")
        return self


class ImpactRule(_Rule):
    """Customer order lines that their pegged supply no longer covers."""

    kind: Literal["impact"]
    """The kind of rule."""
    about: Literal["order_line"]
    """What it is about."""
    walk_from: dict[str, str]
    """Rules and the level of each from which on the dates of what they are about are in doubt."""
    margin: ClockSpan = Span.parse("0m")
    """So long before the end of the day promised the supply must be there."""
    one_case_per: tuple[Literal["po_line", "customer"], ...] = ("po_line", "customer")
    """What shares a case."""
    at_most: int = Field(default=20, ge=1)
    """So many cases for one purchase order line; more become a single one that sums them up."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if "breach" not in self.levels:
            raise mistake("levels lack breach", "write breach: {severity: high}")
        for name, level in self.levels.items():
            if name != "breach" or level.at is not None:
                raise mistake(
                    "customers are hurt or not: there is one level, breach, without at",
                    "write levels: {breach: {severity: high}}",
                )
        if "po_line" not in self.one_case_per:
            raise mistake("a case is about one purchase order line", "add po_line to one_case_per")
        if self.settle.length or self.evidence:
            raise mistake(
                "settle and evidence belong to the rules that it walks from", "remove them"
            )
        return self


def _lead_times(rule: AgreementRule, pair: Comparison) -> None:
    """Lead times are compared of suppliers, and nothing else is."""
    of_plan = (pair.a, pair.b) == LEAD_TIMES
    if of_plan != (rule.about == "supplier"):
        raise mistake(
            "lead times are compared of suppliers, what systems tell of lines",
            f"write about: supplier with {{a: {LEAD_TIMES[0]}, b: {LEAD_TIMES[1]}}}, or about: "
            "po_line",
        )
    if of_plan != (pair.tolerance is not None and pair.at_least is not None):
        raise mistake(
            "lead times need tolerance and at_least, and nothing else takes them",
            "write tolerance: 20%, at_least: 10",
        )
    if of_plan and (rule.evidence or rule.settle.length or rule.cancel or len(rule.compare) > 1):
        raise mistake(
            "what is measured once a day needs neither evidence, settle nor cancel", "remove them"
        )


def _counted(rule: RatioRule) -> None:
    if rule.evidence or rule.settle.length:
        raise mistake("what is counted needs neither evidence nor settle", "remove them")
    if "breach" not in rule.levels:
        raise mistake("levels lack breach", "write breach: {severity: high}")


def _from_the_breach(levels: Mapping[str, Level]) -> None:
    for name, level in levels.items():
        if (name == "breach") != (level.at is None):
            raise mistake(
                f"level {name}: breach takes no at, other levels need one", "write at: +4h"
            )
        if level.at is not None and (level.at.share is not None or level.at.sign < 0):
            raise mistake(f"level {name} counts from the breach", "write at: +4h")


def _measured(rule: QueueRule) -> None:
    """What is common to rules that are judged by measuring, not by events."""
    if rule.evidence or rule.settle.length:
        raise mistake("what is measured needs neither evidence nor settle", "remove them")
    if "breach" not in rule.levels:
        raise mistake("levels lack breach", "write breach: {severity: high}")
    _from_the_breach(rule.levels)


Rule = (
    DeadlineRule
    | EventRule
    | SourceRule
    | QueueRule
    | AgreementRule
    | RatioRule
    | VolumeRule
    | ImpactRule
)
AnyRule = Annotated[Rule, Field(discriminator="kind")]


class RuleBook(Strict):
    """All rules in force, with the policies of telling people."""

    version: Literal[1]
    """Version of this language."""
    not_measured: tuple[Exemption, ...] = ()
    """Who is neither judged nor mailed, whatever the rule."""
    open_clocks: Literal["rejudge", "keep"] = "rejudge"
    """What a changed book does to running cycles: judge them anew, or leave them."""
    notify: dict[str, NotifyPolicy] = Field(default_factory=dict)
    """Policies of telling people, by name."""
    root_causes: RootCauses = RootCauses()
    """When cases that share a cause are told as one."""
    scorecard: ScorecardSpec = ScorecardSpec()
    """How suppliers are scored, and who is sent their scorecards."""
    digests: dict[str, Digest] = Field(default_factory=dict)
    """Mails to leaders by the calendar, by name."""
    rules: tuple[AnyRule, ...]
    """The rules; their order means nothing."""

    # Where its values stand in the file it was read from; lint tells places with it.
    _source: tuple[Marks, str] = PrivateAttr(default=(Marks({}, {}), "sla_rules.yaml"))

    @property
    def source(self) -> tuple[Marks, str]:
        return self._source

    def rule(self, rule_id: str) -> Rule | None:
        """The rule with this id, None for one that is no longer in the book."""
        return self._by_id.get(rule_id)

    @cached_property
    def _by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}


# What a change of these words changes: judging. All else is text or recipients, in force at once.
_NOT_JUDGING = {"title", "advice", "owner", "inhibited_by", "raise_", "category"}
_LEVEL_NOT_JUDGING = {"severity", "notify", "also", "unless"}


def judging_body(rule: Rule, book: RuleBook) -> dict[str, Any]:
    """The part of a rule that verdicts depend on, as JSON; kept for good with its hash."""
    body: dict[str, Any] = rule.model_dump(mode="json", by_alias=True, exclude=_NOT_JUDGING)
    body["levels"] = {
        name: {k: v for k, v in level.items() if k not in _LEVEL_NOT_JUDGING}
        for name, level in body["levels"].items()
    }
    body["not_measured"] = [e.when.source for e in book.not_measured]
    return body


def judging_hash(rule: Rule, book: RuleBook) -> str:
    """Twelve hex digits that change exactly when the judging part of a rule does."""
    text = json.dumps(judging_body(rule, book), sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def load_rulebook(text: str, name: str = "sla_rules.yaml") -> RuleBook:
    """The rule book from the text of a file called ``name``.

    Raises ConfigError with every mistake and its place: first what a model refuses, then what only
    the whole book shows (unknown events, equal ids, unreachable rows).
    """
    from tower.lint import refuse  # lint knows the models; the models do not know lint

    data, marks = strict_yaml.load(text, name)
    book = strict_yaml.validate(data, marks, RuleBook, name)
    book._source = (marks, name)
    refuse(book)
    return book


def placeholders(template: str) -> tuple[str, ...]:
    """Attributes that a title asks for, in order."""
    return tuple(_PLACEHOLDER.findall(template))


def render_title(template: str, attributes: Mapping[str, Any]) -> str:
    """A title with its attributes filled in, on one line; what is not known reads "?"."""

    def value(match: re.Match[str]) -> str:
        found = attributes.get(match[1])
        return "?" if found is None else " ".join(str(found).split())

    return _PLACEHOLDER.sub(value, template)


def title_of(rule: Rule, attributes: Mapping[str, Any]) -> str:
    """The title of a rule for one subject; rules without one are named by their category."""
    if rule.title:
        return render_title(rule.title, attributes)
    number = attributes.get(f"{rule.about}.number") or attributes.get(f"{rule.about}.name") or ""
    words = CATEGORIES[rule.category].meaning
    return f"{words}: {number}" if number else words
