"""Tests of rules as people write them: what happens, and what the tower must say at which instant.

A file names a rule and its surroundings once (``given``), then cases: events in local time, and
lines of what is expected. Only what a line names is compared; but a breach or a mail that no line
expects fails the case. worker/trials.py plays them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tower import strict_yaml
from tower.agreement import LeadTime
from tower.attributes import ATTRIBUTES, STATEMENTS
from tower.calendars import CalendarSpec
from tower.cycles import Verdict
from tower.durations import ClockSpan, Span
from tower.errors import ConfigError, Problem
from tower.strict_yaml import Marks, Path, closest, mistake
from tower.vocabulary import EVENT_TYPES

NO_CLOCK = "none"  # verdict of a rule that has no clock on the subject
VERDICTS = (NO_CLOCK, *(verdict.value for verdict in Verdict))


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


def _moment(value: Any) -> Any:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or len(value) <= len("2026-03-27"):
        raise mistake(f'"{value}" is not an instant', 'write "2026-03-27 14:00"')
    return value


def _event(value: Any) -> Any:
    if value not in EVENT_TYPES:
        near = closest(str(value), frozenset(EVENT_TYPES))
        raise mistake(
            f'"{value}" is an unknown event', f"write {near}" if near else "docs/rules.md lists all"
        )
    return value


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        for name in value:
            if name not in ATTRIBUTES:
                near = closest(str(name), frozenset(ATTRIBUTES))
                raise mistake(
                    f'"{name}" is nothing that a rule can ask about',
                    f"write {near}" if near else "docs/rules.md lists all",
                )
    return value


def _verdict(value: Any) -> Any:
    if value not in VERDICTS:
        raise mistake(f'"{value}" is not a verdict', f"write one of: {', '.join(VERDICTS)}")
    return value


Moment = Annotated[str, BeforeValidator(_moment)]
"""Local time of the calendar given, unless it names an offset itself."""
Attributes = Annotated[dict[str, Any], BeforeValidator(_known)]


class Rhythm(_Strict):
    """How a source of evidence speaks."""

    every: ClockSpan
    """It is read in this rhythm; clocks wait for twice that."""


class Given(_Strict):
    """The rule and what it is about."""

    rule: str | None = None
    """Id of the rule."""
    calendar: str = "hq"
    """The supplier's calendar, in whose local time this file is written."""
    subject: Attributes = Field(default_factory=dict)
    """What is known of the subject and its partner."""
    evidence: dict[str, Rhythm] = Field(default_factory=dict)
    """Sources of the rule's evidence that are read in a rhythm; the others are pushed."""
    silent_after: ClockSpan = Span.parse("4h")
    """For rules of kind source: how long it may be silent until that is a case of its own."""

    def over(self, other: Given) -> Given:
        """This, on top of what ``other`` says."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        said["subject"] = {**other.subject, **self.subject}
        return other.model_copy(update=said)


class Happens(_Strict):
    """An event, or what a person does to the case."""

    at: Moment
    """When it happened."""
    event: Annotated[str, BeforeValidator(_event)] | None = None
    """Its type."""
    times: int = Field(default=1, ge=1)
    """So many of them, for rules that count."""
    arrives: Moment | None = None
    """When we heard of it; without this at once."""
    says: Attributes = Field(default_factory=dict)
    """What it states about the subject, e.g. {po.acknowledge_by: "2026-03-31"}."""
    do: Literal["take"] | None = None
    """Instead of an event: somebody takes the case."""


class Sampled(_Strict):
    """A stretch in which something was measured, always with the same result: a queue, or the lead
    time of a supplier."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )
    from_: Moment = Field(alias="from")
    """The first sample."""
    to: Moment
    """No sample comes after this."""
    every: ClockSpan = Span.parse("1m")
    """How far the samples lie apart."""
    depth: Annotated[int, Field(ge=0)] | None = None
    """Messages in the queue; without it the broker does not say."""
    oldest_age: ClockSpan | None = None
    """How long the oldest message waits; without it the broker does not say."""
    lead_time: Annotated[int, Field(ge=0)] | None = None
    """Median days from sending an order to the receipt that completed it."""
    planned: Annotated[int, Field(ge=0)] | None = None
    """Days that were agreed or asked for."""
    orders: Annotated[int, Field(ge=0)] | None = None
    """Orders completed; with it the sample is one of lead times."""
    arrives: Moment | None = None
    """When we heard of all of them; without this each at once."""


class Silent(_Strict):
    """A stretch during which a source of the evidence was silent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    source: str = ""
    from_: Moment = Field(alias="from")
    known: Moment | None = None
    to: Moment | None = None


class Expected(_Strict):
    """What must be so at an instant, after all that happens at it."""

    at: Moment
    """The instant."""
    verdict: Annotated[str, BeforeValidator(_verdict)] | None = None
    """Of the newest cycle; none = the rule has no clock here."""
    due: Moment | None = None
    """When it is due."""
    paused: bool | None = None
    """Whether it is held."""
    mails: dict[str, int] | None = None
    """Mails since the line above, by recipient: owner, buyer, or a name in the rule book."""
    journal: tuple[str, ...] | None = None
    """Entries since the line above, in order."""
    case: Literal["none", "open", "resolved"] | None = None
    """State of its newest case."""
    severity: Literal["low", "medium", "high", "critical"] | None = None
    """Severity of its newest case."""


class TestCase(_Strict):
    """One story and what is expected of the rule."""

    __test__ = False  # not for pytest

    name: str
    """What it shows, in words."""
    given: Given = Given()
    """Changes to what the file gives."""
    events: tuple[Happens, ...] = ()
    """What happens."""
    samples: tuple[Sampled, ...] = ()
    """Measurements, for rules of kind queue, and lead times of a supplier."""
    silent: tuple[Silent, ...] = ()
    """Outages of sources."""
    expect: tuple[Expected, ...] = Field(min_length=1)
    """Lines of what must be so, in the order of time."""


class TestFile(_Strict):
    """Tests of one or more rules."""

    __test__ = False  # not for pytest

    rules: tuple[str, ...] = ()
    """Rule books, by file name; without it the one in use."""
    calendars: dict[str, CalendarSpec] = Field(default_factory=dict)
    """Calendars of this file, stronger than those of network.yaml."""
    given: Given = Given()
    """What all cases share."""
    cases: tuple[TestCase, ...]
    """The cases."""


@dataclass(frozen=True)
class Suite:
    """A file of tests, with the places of its lines."""

    name: str
    body: TestFile
    marks: Marks

    def problem(self, path: Path, message: str, next_step: str = "") -> Problem:
        """Something that is wrong at a place of this file."""
        mark = self.marks.nearest(path)
        line, col = (None, None) if mark is None else (mark.line, mark.col)
        return Problem(self.name, line, col, self.marks.say(path), message, next_step)

    def given(self, number: int) -> Given:
        """What a case is given, with what the file says."""
        return self.body.cases[number].given.over(self.body.given)


def load_suite(text: str, name: str) -> Suite:
    """Tests from the text of a file called ``name``; raises ConfigError with every mistake."""
    data, marks = strict_yaml.load(text, name)
    suite = Suite(name, strict_yaml.validate(data, marks, TestFile, name), marks)
    problems = [problem for n in range(len(suite.body.cases)) for problem in _checked(suite, n)]
    if problems:
        raise ConfigError(problems)
    return suite


def _checked(suite: Suite, number: int) -> Sequence[Problem]:
    """What the types of a case cannot see."""
    case, where = suite.body.cases[number], ("cases", number)
    found: list[Problem] = []
    if suite.given(number).rule is None:
        found.append(suite.problem((*where,), "no rule is named", "write rule: under given"))
    for n, event in enumerate(case.events):
        place: Path = (*where, "events", n)
        if (event.event is None) == (event.do is None):
            said = "either an event happens or a person does something"
            found.append(suite.problem(place, said, "write event: or do:"))
            continue
        for name in event.says:
            statement = STATEMENTS.get(name)
            if statement is None or event.event not in statement.types:
                by = ", ".join(sorted(statement.types)) if statement else "no event"
                said = f"{event.event} does not state {name}"
                found.append(suite.problem((*place, "says", name), said, f"stated by: {by}"))
    for n, sampled in enumerate(case.samples):
        if not sampled.every.length or _plain(sampled.to) < _plain(sampled.from_):
            said = "holds no sample"
            next_step = "write from before to, and a time above zero as every"
            found.append(suite.problem((*where, "samples", n), said, next_step))
    times = [_plain(line.at) for line in case.expect]
    for n in range(1, len(times)):
        if times[n] < times[n - 1]:
            place = (*where, "expect", n, "at")
            found.append(suite.problem(place, "comes before the line above", "sort the lines"))
    return found


def _plain(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


def instant(text: str, local: ZoneInfo) -> datetime:
    """An instant as written: local time unless it names an offset; a doubled hour is its first."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=local)).astimezone(UTC)


def facts_of(says: Mapping[str, Any]) -> dict[str, Any]:
    """What an event carries so that it states these attributes."""
    return {STATEMENTS[name].facts[0]: value for name, value in says.items()}


def readings(
    sampled: Sampled, local: ZoneInfo
) -> Iterator[tuple[datetime, datetime, dict[str, Any]]]:
    """(instant, arrival, facts) of each sample of a stretch."""
    at, end = instant(sampled.from_, local), instant(sampled.to, local)
    facts: dict[str, Any] = {} if sampled.depth is None else {"depth": sampled.depth}
    if sampled.orders is not None:
        facts |= LeadTime(
            None if sampled.lead_time is None else float(sampled.lead_time),
            None if sampled.planned is None else float(sampled.planned),
            "agreed",
            sampled.orders,
        ).facts()
    if sampled.oldest_age is not None:
        facts["oldest_age"] = sampled.oldest_age.length / timedelta(seconds=1)
    while at <= end:
        yield at, instant(sampled.arrives, local) if sampled.arrives else at, facts
        at += sampled.every.length


def tolerance(given: Given, source: str) -> timedelta | None:
    """How long clocks wait for a source that is read in a rhythm; None for one that is pushed."""
    rhythm = given.evidence.get(source)
    return None if rhythm is None else 2 * rhythm.every.length
