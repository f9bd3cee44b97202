"""Parts of rules that measure, count or compare: limits of a queue, shares of what goes wrong, how
much is usual, and what two systems tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from tower.durations import ClockSpan, Span
from tower.strict_yaml import mistake


class Strict(BaseModel):
    """Frozen; a word that is not known here is a mistake, a number in quotes too."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class DepthLimit(Strict):
    """So many messages in a queue are too many."""

    above: Annotated[int, Field(ge=0)] | Literal["queue.max_depth"]
    """A number, or queue.max_depth: what network.yaml says of this queue."""
    default: int | None = Field(default=None, ge=0)
    """For queues of which network.yaml says nothing; without it they have no such limit."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if isinstance(self.above, int) and self.default is not None:
            raise mistake("above is a number already", "remove default")
        return self


class AgeLimit(Strict):
    """A message that waits so long waits too long."""

    above: ClockSpan
    """Longest time that the oldest message may wait."""


class QueueLimit(Strict):
    """One limit of a queue."""

    depth: DepthLimit | None = None
    """Limit of the number of messages."""
    oldest_age: AgeLimit | None = None
    """Limit of the age of the oldest message."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.depth is None) == (self.oldest_age is None):
            raise mistake(
                "a limit is either depth or oldest_age", "write two limits: [{depth: ...}, {...}]"
            )
        return self


# --- shares and counts --------------------------------------------------------------------------

STEP = timedelta(minutes=5)
"""Messages of partners are counted in steps of this length."""
MAX_ERRORS = "supplier.max_errors"

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)%\Z")
_PERCENT_PATTERN = r"\d{1,3}(\.\d{1,2})?%"
_USUAL = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)% of usual\Z")


def _share(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value
    match = _PERCENT.match(value) if isinstance(value, str) else None
    if match is None:
        raise mistake(f'"{value}" is not a share', "write 20%")
    share = Decimal(match[1]) / 100
    if not 0 < share < 1:
        raise mistake(f'"{value}" is not between 0% and 100%', "write 20%")
    return share


def percent(share: Decimal) -> str:
    """A share as the rule book writes it: 20%."""
    return f"{float(share * 100):.4f}".rstrip("0").rstrip(".") + "%"


def _share_or_agreed(value: Any) -> Any:
    if value == MAX_ERRORS:
        return value
    if isinstance(value, str) and not value.endswith("%"):
        raise mistake(f'"{value}" is not a share', f"write 20% or {MAX_ERRORS}")
    return _share(value)


Share = Annotated[
    Decimal,
    BeforeValidator(_share),
    PlainSerializer(percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_PERCENT_PATTERN}$"}),
]
"""A share above 0% and under 100%."""


class ShareLimit(Strict):
    """A share that is too much."""

    above: Annotated[
        Any,
        BeforeValidator(_share_or_agreed),
        PlainSerializer(lambda v: v if v == MAX_ERRORS else percent(v), return_type=str),
        WithJsonSchema(
            {"type": "string", "pattern": rf"^({_PERCENT_PATTERN}|supplier\.max_errors)$"}
        ),
    ]
    """20%, or supplier.max_errors: what network.yaml says of this supplier."""
    default: Share | None = None
    """For suppliers of which network.yaml says nothing; without it they have no such limit."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.above != MAX_ERRORS and self.default is not None:
            raise mistake("above is a share already", "remove default")
        return self


def _limit(value: Any) -> Any:
    return value if isinstance(value, (dict, ShareLimit)) else {"above": _share(value)}


Limit = Annotated[
    ShareLimit,
    BeforeValidator(_limit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_PERCENT_PATTERN}$"},
                {
                    "type": "object",
                    "properties": {
                        "above": {"enum": [MAX_ERRORS]},
                        "default": {"type": "string", "pattern": f"^{_PERCENT_PATTERN}$"},
                    },
                    "required": ["above"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""A share, or what was agreed with the supplier."""


class Window(Strict):
    """A stretch of time over which a share is looked at, and a shorter one that confirms it."""

    over: ClockSpan
    """The stretch, up to now."""
    confirm: ClockSpan
    """The share must be passed in this last part of it, too: what is over is not told."""
    more_than: Limit
    """The share that is too much."""
    level: str
    """The level that is reached."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for span in (self.over, self.confirm):
            if not span.length or span.length % STEP:
                raise mistake(f"{span} is no multiple of 5m", "messages are counted in steps of 5m")
        if self.confirm.length >= self.over.length:
            raise mistake("confirm is not shorter than over", "write over: 1h, confirm: 10m")
        return self


class Guard(Strict):
    """How much must be known before a share means anything."""

    bad: int = Field(default=3, ge=1)
    """At least so many went wrong."""
    total: int = Field(default=10, ge=1)
    """At least so many came at all."""
    confidence: Share = Decimal("0.95")
    """How sure it must be that the limit is passed."""


@dataclass(frozen=True, slots=True)
class AtLeast:
    """How much is expected: ``count`` messages, or ``share`` of what is usual."""

    count: int | None = None
    share: Decimal | None = None

    def __str__(self) -> str:
        return str(self.count) if self.share is None else f"{percent(self.share)} of usual"


def _at_least(value: Any) -> Any:
    if isinstance(value, AtLeast):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return AtLeast(count=value)
    match = _USUAL.match(value) if isinstance(value, str) else None
    if match is None or not 0 < Decimal(match[1]) < 100:
        raise mistake(f'"{value}" does not say how much', 'write 1, 2 ... or "30% of usual"')
    return AtLeast(share=Decimal(match[1]) / 100)


Enough = Annotated[
    AtLeast,
    BeforeValidator(_at_least),
    PlainSerializer(lambda e: e.count if e.share is None else str(e)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": f"^{_PERCENT_PATTERN} of usual$"},
            ]
        }
    ),
]


# --- what is told as one ------------------------------------------------------------------------


class RootCauses(Strict):
    """When cases that share a cause are told as one."""

    at_least: int = Field(default=5, ge=2)
    """So many of them begin a group."""
    within: ClockSpan = Span.parse("30m")
    """True within so long a time; what one silent source held back counts by joins."""
    joins: ClockSpan = Span.parse("24h")
    """A later one joins while it follows the last of them this closely."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.joins.length < self.within.length:
            raise mistake("joins is shorter than within", "write joins: 24h")
        return self


# --- what two systems tell ----------------------------------------------------------------------


def _side(value: Any) -> Any:
    system, dot, name = value.partition(".") if isinstance(value, str) else ("", "", "")
    if not system or not dot or (name not in TOLD_OF_LINES and value not in LEAD_TIMES):
        raise mistake(
            f'"{value}" is no field of a system',
            f"write system.field, e.g. erp.confirmed_qty; fields: {', '.join(TOLD_OF_LINES)}; of "
            f"suppliers: {', '.join(LEAD_TIMES)}",
        )
    return value


TOLD_OF_LINES = ("confirmed_qty", "confirmed_date", "price", "ordered_qty", "requested_date")
"""Fields of a line that two systems may tell differently."""

LEAD_TIMES = ("receipts.lead_time", "plan.lead_time")
"""What receipts and plan tell of a supplier: median days from sending an order to the receipt that
completed it, and those agreed (else those that the same orders asked for)."""

Side = Annotated[
    str,
    BeforeValidator(_side),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^([A-Za-z0-9_-]+\.({'|'.join(TOLD_OF_LINES)})|"
            rf"{'|'.join(side.replace('.', chr(92) + '.') for side in LEAD_TIMES)})$",
        }
    ),
]


class Comparison(Strict):
    """Two words on the same thing."""

    a: Side
    """A system, or a kind of system, and what it tells: portal.confirmed_qty."""
    b: Side
    """The other one: erp.confirmed_qty."""
    tolerance: Share | None = None
    """Of lead times: so far may a be from b, either way, as a share of b."""
    at_least: Annotated[int, Field(ge=2)] | None = None
    """Of lead times: so many orders must have been completed."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.a == self.b:
            raise mistake("a and b are the same", "name two systems")
        return self
