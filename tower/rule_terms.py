"""Terms of rules: levels, who is told, when a clock starts and stops, how long it may take."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from tower.categories import CATEGORIES, OWNER_LETTERS, OWNERS, Severity
from tower.conditions import Condition
from tower.durations import ClockSpan, Point, RunningSpan, Span
from tower.rule_parts import Strict
from tower.strict_yaml import mistake

DO_NOT_MEASURE = "do_not_measure"
ANSWER_WITHIN = "supplier.answer_within"
RESERVED_LEVELS = frozenset({"started", "excluded", "paused", "resumed", "held", "released"})
_HOUR = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


def _one_or_more(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        if not value:
            raise mistake("the list is empty", "name at least one, or leave the line out")
        return tuple(value)
    return value


def _hour(value: Any) -> Any:
    match = _HOUR.match(value) if isinstance(value, str) else None
    if match is None:
        raise mistake(f'"{value}" is not a time of day', 'write "15:00"')
    return time(int(match[1]), int(match[2]))


def _budget(value: Any) -> Any:
    return value if value == DO_NOT_MEASURE or isinstance(value, Span) else Span.parse(value)


def _agreed(value: Any) -> Any:
    return value if value == ANSWER_WITHIN else _budget(value)


def _owner(value: Any) -> Any:
    letter = OWNER_LETTERS.get(value, value)
    if letter not in OWNERS:
        raise mistake(f'"{value}" is not an owner', f"write one of: {', '.join(OWNER_LETTERS)}")
    return letter


def _one_or_list(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]}


Words = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_more),
    WithJsonSchema(_one_or_list({"type": "string"})),
]
"""One word or a list of them."""

EventNames = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_more),
    WithJsonSchema(_one_or_list({"type": "string", "format": "event"})),
]
"""One event type or a list of them; lint reports unknown ones."""


HourOfDay = Annotated[
    time,
    BeforeValidator(_hour),
    PlainSerializer(lambda t: t.strftime("%H:%M"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
]
Budget = Annotated[
    Any,
    BeforeValidator(_budget),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(do_not_measure|\d{1,6}(\.\d{1,2})?(s|m|h|bh|bd))$",
            "description": "4h clock time, 4bh open hours, 1bd business days, or do_not_measure",
        }
    ),
]
"""A Span, or the word ``do_not_measure``."""
AgreedBudget = Annotated[
    Any,
    BeforeValidator(_agreed),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(do_not_measure|supplier\.answer_within"
            r"|\d{1,6}(\.\d{1,2})?(s|m|h|bh|bd))$",
            "description": "4h, 4bh, 1bd, do_not_measure, or what was agreed with the supplier",
        }
    ),
]
"""The same, or ``supplier.answer_within``: what network.yaml says of the supplier."""

OwnerLetter = Annotated[
    str, BeforeValidator(_owner), WithJsonSchema({"enum": [*OWNER_LETTERS, *OWNERS]})
]
CategoryCode = Annotated[str, WithJsonSchema({"enum": list(CATEGORIES)})]
SubjectKind = Literal[
    "po", "po_line", "asn", "receipt", "invoice", "order", "order_line", "source", "queue",
    "partner", "supplier",
]  # fmt: skip


class Level(Strict):
    """A step of a rule: when it is reached, how bad it is, who is told."""

    at: Point | None = None
    """75% of the budget, -8bh before due, +8bh after it; the breach itself is at due."""
    severity: Severity
    """low, medium, high or critical."""
    notify: str | None = None
    """Policy that tells people; without it the step is only shown on screens."""
    also: str | None = None
    """A person told besides the owner: a name in network.yaml, or po.buyer."""
    unless: Literal["taken"] | None = None
    """taken: not once somebody has taken the case."""


class Raise(Strict):
    """Makes the cases of a rule worse when a condition holds."""

    when: Condition
    """The condition."""
    by: int = Field(default=1, ge=1, le=3)
    """So many severities."""


class Inhibition(Strict):
    """No mail is sent while a bigger case says it; clocks and cases go on."""

    rule: str
    """The rule whose open case silences this one."""
    same: tuple[Literal["partner", "supplier", "subject", "source", "queue"], ...]
    """What both cases must share."""


class Exemption(Strict):
    """Who is neither judged nor mailed."""

    when: Condition
    """Whoever matches is exempt; decided as it was when a cycle started."""
    because: str = ""
    """The reason that is shown."""


class EscalationStep(Strict):
    """Whom a policy tells too while nobody looks after a case."""

    after: RunningSpan
    """So long after the case was told, or was raised again."""
    to: str
    """A person in network.yaml, or po.buyer."""


class NotifyPolicy(Strict):
    """How people are told."""

    to: str = "case.owner"
    """case.owner, looked up for each case, a person in network.yaml, or partner.contact: the
    partner itself, in words of its own without customers and values."""
    fallback: str
    """Who is told if that leads nowhere."""
    group_by: tuple[
        Literal["recipient", "rule", "category", "partner", "supplier", "severity", "subject"], ...
    ]
    """What goes into one mail."""
    wait: ClockSpan
    """Collect so long before the first mail."""
    every: ClockSpan
    """Then at most one mail per so long."""
    hours: str = "always"
    """Calendar inside which mails go out, or always; critical ones never wait."""
    closed: Literal["digest", "at_once"] = "digest"
    """Whether what is settled waits for the digest or is told at once."""
    digest: HourOfDay | None = None
    """Time of the daily summary."""
    max_per_day: int | None = Field(default=None, ge=1)
    """Mails to one recipient per day; the rest waits for the digest, critical never waits."""
    repeat: RunningSpan | None = None
    """Remind so often of what is open and nobody took; open hours are those of hours."""
    escalate: tuple[EscalationStep, ...] = ()
    """Whom to tell too, step by step, until somebody takes the case."""
    channel: str | None = None
    """A channel of network.yaml that is told all that these mails tell."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.repeat is not None and self.repeat.length < self.every.length:
            raise mistake("repeat is shorter than every", "remind less often than mails may go")
        return self


class Pause(Strict):
    """Between these events the budget does not run."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )
    from_: EventNames = Field(alias="from")
    """Events that stop the budget."""
    to: EventNames
    """Events that let it run again."""


class ClockSpec(Strict):
    """What starts, stops and stretches a deadline."""

    start: EventNames = ()
    """Event that begins a cycle."""
    anchor: Words = ()
    """Instead of start: dates of the subject, the first known wins; with before or after."""
    before: RunningSpan | None = None
    """Due so long before the anchor (a bare date ends at its midnight)."""
    after: RunningSpan | None = None
    """Due so long after the anchor."""
    cut_off: HourOfDay | None = None
    """Local time; what starts later counts from the opening of the next business day."""
    stop: EventNames
    """What must happen."""
    cancel: EventNames = ()
    """What makes it needless."""
    cancel_when: Condition | None = None
    """Needless as soon as this holds, whatever event says so."""
    pause: Pause | None = None
    """Stretches during which the budget does not run."""
    restart: EventNames = ()
    """What ends a running cycle and begins a new one with a full budget."""
    time: Literal["occurred", "received"] = "occurred"
    """Whether the source's own time counts, or when it reached us."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if bool(self.start) == bool(self.anchor):
            raise mistake("a clock needs either start or anchor", "write start: po.released")
        if self.anchor and (self.before is None) == (self.after is None):
            raise mistake("an anchor needs either before or after", "write before: 24bh")
        if self.start and (self.before is not None or self.after is not None):
            raise mistake("before and after belong to an anchor", "write the time under due")
        if self.anchor and (self.cut_off or self.restart or self.pause):
            raise mistake("cut_off, restart and pause belong to a clock with start", "remove them")
        return self


class Target(Strict):
    """A row of the table of budgets."""

    when: Condition | None = None
    """Whom the row is for; without it, for everybody."""
    within: AgreedBudget
    """The budget, do_not_measure, or supplier.answer_within: suppliers of which network.yaml says
    nothing go on to the next row."""


class Due(Strict):
    """When it must be done. The first of these that gives an answer wins."""

    from_document: str | None = None
    """A date or instant in the document itself."""
    targets: tuple[Target, ...] = ()
    """Rows from the top, the first match wins."""
    otherwise: Budget | None = None
    """For whoever matches no row."""
