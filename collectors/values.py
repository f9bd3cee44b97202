"""Foreign writing of numbers, dates and instants into the forms that the vocabulary takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from collectors.limits import SAFE_INTEGER
from tower.event import TimeQuality
from tower.mapping import EPOCHS
from tower.zones import resolve

_NINE_PLACES = Decimal("1e-9")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)\Z")
_SCIENTIFIC = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)[eE][+-]?\d{1,3}\Z")
_JSON_DATE = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/\Z")
_BARE_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_TIME_SIGNS = re.compile(r"%-?[HIMSfpXTcRs]")
Forms = tuple[str, ...]
"""Ways in which dates may be written; the first that fits is taken, then ISO 8601."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOST_DIGITS, MOST_PLACES = 40, 30

TRUE = frozenset(("true", "yes", "y", "1", "x"))
FALSE = frozenset(("false", "no", "n", "0"))


class Unreadable(ValueError):
    """A value that cannot be read; the text says what it should be."""


def number(value: Any, decimal: str = ".", thousands: str = "") -> str:
    """A quantity or amount as a decimal text: "1.234,5" with comma as decimal sign is "1234.5".

    A minus may stand behind ("12-"), as some ERPs write it.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Unreadable("is not a number")
    if not isinstance(value, str):
        return _usable(str(value))
    text = value.strip()
    if text.endswith("-"):
        text = "-" + text[:-1].rstrip()
    if thousands:
        text = text.replace(thousands, "")
        if thousands == " ":
            text = text.replace("\u00a0", "").replace("\u202f", "")
    if decimal == ",":
        if "." in text:
            raise Unreadable('is not a number with "," as decimal sign')
        text = text.replace(",", ".")
    if not _NUMBER.match(text) and not _SCIENTIFIC.match(text):
        raise Unreadable(f'is not a number with "{decimal}" as decimal sign')
    return _usable(text)


def scaled(text: str, by: Sequence[tuple[str, str]]) -> str:
    """Divided ("//") and multiplied ("*"): 1250 // 100 is "12.5".

    All are decimal texts as ``number`` gives them. What does not end is rounded to nine places,
    once, at the end.
    """
    one = Decimal(text)
    parts = Decimal(1)
    for sign, other in by:
        if not Decimal(other):
            raise Unreadable("is for 0 pieces" if sign == "//" else "counts 0 times")
        if sign == "//":
            parts *= Decimal(other)
        else:
            one *= Decimal(other)
    try:
        one = (one / parts).quantize(_NINE_PLACES).normalize()
    except InvalidOperation:  # more digits than are kept
        raise Unreadable("is not a number that any order has") from None
    return _usable(f"{one:f}")


def _usable(text: str) -> str:
    try:
        if len(text) <= MOST_DIGITS and abs(Decimal(text).adjusted()) <= MOST_PLACES:
            return text
    except InvalidOperation:
        pass
    raise Unreadable("is not a number that any order has")


def whole(value: Any, decimal: str = ".", thousands: str = "") -> int:
    count = Decimal(number(value, decimal, thousands))
    if not count.is_finite() or count != count.to_integral_value() or abs(count) >= SAFE_INTEGER:
        raise Unreadable("is not a whole number")
    return int(count)


def text(value: Any) -> str:
    """A word, name or number of a document as it was sent."""
    if isinstance(value, str):
        if "\0" in value:
            raise Unreadable("holds a NUL character")
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if abs(value) >= SAFE_INTEGER:
            raise Unreadable("is a number too long to be exact; send it in quotes")
        return str(int(value)) if value.is_integer() else str(value)
    raise Unreadable("is not a text")


def flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise Unreadable("is not true or false")


def items(value: Any) -> list[Any]:
    """A JSON list as it is; a text cut at semicolons."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [part.strip() for part in value.split(";") if part.strip()]
    return [value]


def day(value: Any, forms: Forms, zone: ZoneInfo) -> str:
    """A date as "2026-03-27". Of a date with time the day is kept as it was written."""
    if isinstance(value, str):
        return _day_text(value, forms)
    moment, _ = instant(value, forms, zone)
    return moment.astimezone(zone).date().isoformat()


def instant(value: Any, forms: Forms, zone: ZoneInfo) -> tuple[datetime, TimeQuality]:
    """An aware UTC instant and how well it is known.

    A bare date is the start of that day in ``zone``; a time without zone is taken in ``zone``.
    """
    if not isinstance(value, str):
        for form in forms:
            if form in EPOCHS:
                return _from_epoch(value, EPOCHS[form]), TimeQuality.EXACT
        raise Unreadable("is a bare number; say time_format: epoch_s or epoch_ms")
    written, has_time = _written(value, forms)
    if written.tzinfo is not None:
        return _in_utc(written), TimeQuality.EXACT
    try:
        moment = resolve(zone, written)
    except OverflowError:
        raise Unreadable("is outside the years that can be counted") from None
    return moment, TimeQuality.EXACT if has_time else TimeQuality.DATE


@lru_cache(maxsize=8192)
def _day_text(value: str, forms: Forms) -> str:
    return _written(value, forms)[0].date().isoformat()


@lru_cache(maxsize=8192)
def _written(value: str, forms: Forms) -> tuple[datetime, bool]:
    """The moment as it is written, naive if no zone is; and whether a time of day is."""
    match = _JSON_DATE.match(value)
    if match:
        return _from_epoch(match[1], 1000), True
    for form in forms:
        try:
            if form in EPOCHS:
                return _from_epoch(value, EPOCHS[form]), True
            parsed = datetime.strptime(value, form)  # noqa: DTZ007  the caller knows the zone
        except ValueError:
            continue
        return parsed, bool(_TIME_SIGNS.search(form))
    try:
        if _BARE_DATE.match(value):
            return datetime.combine(date.fromisoformat(value), time()), False
        return datetime.fromisoformat(value), len(value) > 10 or "T" in value
    except ValueError:
        wanted = (
            f"of the form {' or '.join(forms)}"
            if forms
            else ("like 2026-03-27 or 2026-03-27T14:00:00Z")
        )
        raise Unreadable(f"is not a date {wanted}") from None


def _from_epoch(value: Any, per_second: int) -> datetime:
    try:
        # Microseconds as whole numbers: a float would lose the last digits of today's instants.
        count = Decimal(str(value).strip()) * 1_000_000 / per_second
        return _EPOCH + timedelta(microseconds=int(count))
    except (ValueError, ArithmeticError):
        raise Unreadable("is not a count of time since 1970") from None


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Unreadable("is outside the years that can be counted") from None
