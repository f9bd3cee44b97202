"""Parts of rules that measure or compare: limits of a queue, and what two systems tell."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from tower.durations import ClockSpan
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


def _side(value: Any) -> Any:
    system, dot, name = value.partition(".") if isinstance(value, str) else ("", "", "")
    if not system or not dot or name not in TOLD_OF_LINES:
        raise mistake(
            f'"{value}" is no field of a system',
            f"write system.field, e.g. erp.confirmed_qty; fields: {', '.join(TOLD_OF_LINES)}",
        )
    return value


TOLD_OF_LINES = ("confirmed_qty", "confirmed_date", "price", "ordered_qty", "requested_date")
"""Fields of a line that two systems may tell differently."""

Side = Annotated[
    str,
    BeforeValidator(_side),
    WithJsonSchema(
        {"type": "string", "pattern": rf"^[A-Za-z0-9_-]+\.({'|'.join(TOLD_OF_LINES)})$"}
    ),
]


class Comparison(Strict):
    """Two words on the same thing."""

    a: Side
    """A system, or a kind of system, and what it tells: portal.confirmed_qty."""
    b: Side
    """The other one: erp.confirmed_qty."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.a == self.b:
            raise mistake("a and b are the same", "name two systems")
        return self
