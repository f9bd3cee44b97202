"""Times as the rule book writes them: ``4h`` (clock time), ``4bh`` (open hours), ``1bd`` (days).

A bare ``d`` is refused: nobody knows whether it means 24 hours, eight, or until tomorrow evening.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from tower.strict_yaml import mistake

_ADVICE = "write 4h (clock time), 4bh (open hours) or 1bd (business days)"
_SPAN = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,2})?)(?P<unit>s|m|h|bh|bd)\Z")
_PERCENT = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,2})?)%\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "bh": 3600, "bd": 0}


class Unit(StrEnum):
    CLOCK = "clock"  # always runs
    OPEN = "open"  # runs in open hours only
    DAYS = "days"  # ends at the close of the n-th business day


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time. ``length`` for clock and open time, ``days`` for business days."""

    unit: Unit
    length: timedelta = timedelta(0)
    days: int = 0
    text: str = ""

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: object, *units: Unit) -> Span:
        """From "90s", "20m", "4h", "4bh", "1bd"; other units than the wanted ones are refused."""
        match = _SPAN.match(text) if isinstance(text, str) else None
        if match is None:
            advice = _ADVICE
            if isinstance(text, str) and text.endswith("d"):
                advice = "a day may mean much: write 24h (clock time) or 1bd (business day)"
            raise mistake(f"{_shown(text)} is not a duration", advice)
        number, word = Decimal(match["number"]), match["unit"]
        unit = {"bh": Unit.OPEN, "bd": Unit.DAYS}.get(word, Unit.CLOCK)
        if units and unit not in units:
            wanted = " or ".join({"clock": "4h", "open": "4bh", "days": "1bd"}[u] for u in units)
            raise mistake(f"{_shown(text)} cannot be used here", f"write a time like {wanted}")
        if unit is Unit.DAYS:
            if number != int(number):
                raise mistake(f"{_shown(text)} splits a business day", "write open hours (bh)")
            return cls(unit, days=int(number), text=str(text))
        # Thousandths of a second are exact for every accepted text.
        return cls(unit, timedelta(milliseconds=int(number * _SECONDS[word] * 1000)), 0, str(text))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Span) else cls.parse(value),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": r"^\d{1,6}(\.\d{1,2})?(s|m|h|bh|bd)$",
            "description": "4h clock time, 4bh open hours, 1bd business days",
        }


@dataclass(frozen=True, slots=True)
class Only:
    """Annotation that narrows a Span to some units: ``Annotated[Span, Only(Unit.CLOCK)]``."""

    units: tuple[Unit, ...]

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Span) else Span.parse(value, *self.units),
            serialization=core_schema.to_string_ser_schema(),
        )

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        words = {"clock": "s|m|h", "open": "bh", "days": "bd"}
        units = "|".join(words[unit] for unit in self.units)
        return {"type": "string", "pattern": rf"^\d{{1,6}}(\.\d{{1,2}})?({units})$"}


ClockSpan = Annotated[Span, Only((Unit.CLOCK,))]
RunningSpan = Annotated[Span, Only((Unit.CLOCK, Unit.OPEN))]


@dataclass(frozen=True, slots=True)
class Point:
    """When a level is reached: a share of the budget, or a span before or after due.

    share   0.75 for "75%"; None when a span is given
    sign    -1 before due, +1 after it
    """

    share: Decimal | None
    sign: int
    span: Span
    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: object) -> Point:
        """From "75%", "+8bh", "-8bh", "4bh" or "0m"."""
        if not isinstance(text, str):
            raise mistake(f"{_shown(text)} is not a point in time", 'write "75%", +8bh or -8bh')
        percent = _PERCENT.match(text)
        if percent is not None:
            share = Decimal(percent["number"]) / 100
            if not 0 < share < 1:
                raise mistake(f'"{text}" is not between 0% and 100%', "due itself is the breach")
            return cls(share, 0, Span(Unit.CLOCK), text)
        sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
        return cls(None, sign, Span.parse(rest, Unit.CLOCK, Unit.OPEN), text)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Point) else cls.parse(value),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": r"^(\d{1,3}(\.\d{1,2})?%|[+-]?\d{1,6}(\.\d{1,2})?(s|m|h|bh))$",
            "description": "75% of the budget, or +8bh after due, -8bh before it",
        }


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
