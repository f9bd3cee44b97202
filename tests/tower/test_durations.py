"""Times as the rule book writes them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic_core import PydanticCustomError

from tower.durations import Point, Span, Unit


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30s", (Unit.CLOCK, timedelta(seconds=30), 0)),
        ("20m", (Unit.CLOCK, timedelta(minutes=20), 0)),
        ("24h", (Unit.CLOCK, timedelta(hours=24), 0)),
        ("4bh", (Unit.OPEN, timedelta(hours=4), 0)),
        ("1.5bh", (Unit.OPEN, timedelta(minutes=90), 0)),
        ("0.01h", (Unit.CLOCK, timedelta(seconds=36), 0)),
        ("2bd", (Unit.DAYS, timedelta(0), 2)),
    ],
)
def test_a_duration_has_one_meaning(text: str, span: tuple[Unit, timedelta, int]) -> None:
    found = Span.parse(text)
    assert (found.unit, found.length, found.days) == span
    assert str(found) == text


@pytest.mark.parametrize("text", ["4 hours", "1d", "4", "", "-4h", "bh", "4H", "1.234h", 4, None])
def test_what_is_no_duration_is_refused_with_the_words_to_write(text: object) -> None:
    with pytest.raises(PydanticCustomError, match="is not a duration") as caught:
        Span.parse(text)
    assert "1bd" in str((caught.value.context or {})["next_step"])


def test_a_unit_that_makes_no_sense_in_a_place_is_refused() -> None:
    with pytest.raises(PydanticCustomError, match="cannot be used here"):
        Span.parse("2bd", Unit.CLOCK, Unit.OPEN)
    with pytest.raises(PydanticCustomError, match="splits a business day"):
        Span.parse("1.5bd")


def test_a_point_is_a_share_or_lies_before_or_after_due() -> None:
    assert Point.parse("75%").share == Decimal("0.75")
    assert (Point.parse("-8bh").sign, Point.parse("+8bh").sign, Point.parse("4bh").sign) == (
        -1,
        1,
        1,
    )
    assert Point.parse("0m").span.length == timedelta(0)


@pytest.mark.parametrize("text", ["100%", "0%", "+1bd", "soon", 0.75])
def test_a_point_that_cannot_be_reached_is_refused(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        Point.parse(text)
