"""When something is due, and when its warning and later levels are reached.

Pure arithmetic over one cycle: budgets in clock time, open hours or business days, dates stated by
documents, pauses that stretch a budget but never move a stated date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from tower.calendars import BeyondHorizon, Calendar
from tower.durations import Point, Span, Unit
from tower.rule_terms import ANSWER_WITHIN, DO_NOT_MEASURE, ClockSpec, Due
from tower.rulebook import DeadlineRule

Pauses = Sequence[tuple[datetime, datetime | None]]
"""Ascending stretches during which a budget does not run; the last may be open."""

MAX_SEGMENTS = 8  # more working stretches than this are summed up in a receipt


class Statement(NamedTuple):
    """A document stated a date at an instant."""

    at: datetime
    attribute: str
    value: Any


@dataclass(frozen=True, slots=True)
class Plan:
    """The instants of a cycle and how they came about.

    due       None while a pause lasts
    levels    instant of each level other than breach; None where due is None
    exempt    reason why it is not measured; then nothing else counts
    receipt   JSON that tells the arithmetic
    by_day    due is the midnight that ends a stated day: what happens at it is the next day's
    """

    due: datetime | None = None
    levels: Mapping[str, datetime | None] = field(default_factory=dict)
    exempt: str = ""
    receipt: Mapping[str, Any] = field(default_factory=dict)
    by_day: bool = False


@dataclass(frozen=True, slots=True)
class _Budget:
    """A budget that runs: so much open or clock time from an instant on."""

    unit: Unit
    begin: datetime
    length: timedelta


def plan(
    rule: DeadlineRule,
    start: datetime,
    calendar: Calendar,
    attributes: Mapping[str, Any],
    statements: Sequence[Statement],
    pauses: Pauses,
) -> Plan:
    """Due and levels of one cycle that started at ``start``."""
    try:
        return _plan(rule, start, calendar, attributes, statements, pauses)
    except BeyondHorizon as error:
        return Plan(exempt=str(error))


def _plan(
    rule: DeadlineRule,
    start: datetime,
    calendar: Calendar,
    attributes: Mapping[str, Any],
    statements: Sequence[Statement],
    pauses: Pauses,
) -> Plan:
    receipt: dict[str, Any] = {}
    budget: _Budget | None = None
    due: datetime | None = None
    if rule.due is not None:
        chosen = _row(rule.due, attributes, receipt)
        if isinstance(chosen, Span):
            budget = _budget(chosen, start, rule.clock, calendar, receipt)
            due = spend(calendar, budget, budget.length, pauses)
    stated = _stated(rule.clock, calendar, statements, due, receipt)
    if stated is not None:
        due, budget = stated, None
    elif rule.due is None:
        return Plan(exempt=receipt.get("ignored", "no date is known"), receipt=receipt)
    elif receipt.get("budget") == DO_NOT_MEASURE:
        return Plan(exempt=f"{receipt['because'] or 'otherwise'}: not measured", receipt=receipt)
    elif budget is None:
        return Plan(exempt="no row of the targets matches", receipt=receipt)
    if due is not None:
        receipt["due"] = due.isoformat()
    levels = {
        name: _point(level.at, start, due, budget, calendar, pauses)
        for name, level in rule.levels.items()
        if level.at is not None
    }
    if budget is not None and budget.unit is Unit.OPEN and due is not None:
        receipt["segments"] = _segments(calendar, budget.begin, due, pauses)
    by_day = stated is not None and _is_day(receipt["stated"])
    return Plan(due, levels, "", receipt, by_day)


def _is_day(stated: Mapping[str, str]) -> bool:
    """Whether a date without a time was stated, and counts as it is."""
    return len(stated["value"]) == _DATE_LENGTH and "shift" not in stated


_DATE_LENGTH = len("2026-03-27")


def _row(due: Due, attributes: Mapping[str, Any], receipt: dict[str, Any]) -> Span | None:
    """The budget of the first matching row."""
    for number, target in enumerate(due.targets, start=1):
        if target.when is None or target.when.holds(attributes):
            chosen, agreed = _within(target.within, attributes)
            if chosen is None:
                continue
            receipt["row"] = number
            because = [target.when.sentence()] if target.when else []
            receipt["because"] = ", ".join(because + agreed)
            break
    else:
        chosen = due.otherwise
        receipt["because"] = "otherwise" if due.targets else ""
    receipt["budget"] = None if chosen is None else str(chosen)
    return chosen if isinstance(chosen, Span) else None


def _within(within: Any, attributes: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """What a row gives, and what was agreed if that is why; None where nothing was agreed."""
    if within != ANSWER_WITHIN:
        return within, []
    agreed = attributes.get(ANSWER_WITHIN)
    return (None, []) if agreed is None else (_span(agreed), ["agreed with the supplier"])


@lru_cache(maxsize=256)
def _span(text: str) -> Span:
    return Span.parse(text)


def _budget(
    span: Span, start: datetime, clock: ClockSpec, calendar: Calendar, receipt: dict[str, Any]
) -> _Budget:
    if span.unit is Unit.CLOCK:
        return _Budget(Unit.CLOCK, start, span.length)
    begin = calendar.counted_from(start, clock.cut_off)
    if begin != start:
        receipt["counted_from"] = begin.isoformat()
    if span.unit is Unit.OPEN:
        return _Budget(Unit.OPEN, begin, span.length)
    # As open time, so that a pause stretches it.
    end = calendar.end_of_business_day(begin, span.days)
    return _Budget(Unit.OPEN, begin, calendar.between(begin, end))


def spend(
    calendar: Calendar, budget: _Budget, length: timedelta, pauses: Pauses
) -> datetime | None:
    """When ``length`` of the budget's time is used up; None while an open pause holds it."""

    def passed(begin: datetime, end: datetime) -> timedelta:
        return end - begin if budget.unit is Unit.CLOCK else calendar.between(begin, end)

    cursor, left = budget.begin, length
    for begin, end in pauses:
        if begin > cursor:
            used = passed(cursor, begin)
            if used >= left:
                break
            left -= used
        if end is None:
            return None
        cursor = max(cursor, end)
    return cursor + left if budget.unit is Unit.CLOCK else calendar.add(cursor, left)


def _stated(
    clock: ClockSpec,
    calendar: Calendar,
    statements: Sequence[Statement],
    fallback: datetime | None,
    receipt: dict[str, Any],
) -> datetime | None:
    """The due instant that documents state: the latest statement made before the due then valid.

    A date that lies before it was stated is ignored, and so is what is said after due has passed:
    a miss is not talked away.
    """
    due: datetime | None = None
    limit = fallback
    span = clock.before or clock.after
    unit = None if span is None else span.unit
    shift = timedelta(0) if span is None else -span.length if clock.before else span.length
    for statement in statements:
        if limit is not None and statement.at > limit:
            break
        text = statement.value
        found = _due_stated(text, calendar, unit, shift) if isinstance(text, str) else None
        if found is None:
            receipt["ignored"] = f'{statement.attribute} "{statement.value}" is not a date'
            continue
        if found < statement.at:
            receipt["ignored"] = f"{statement.attribute} {statement.value} leaves no time"
            continue
        due = limit = found
        receipt["stated"] = {"attribute": statement.attribute, "value": str(statement.value)}
        receipt.pop("ignored", None)
    if due is not None:
        for key in ("row", "because", "budget", "counted_from"):
            receipt.pop(key, None)
        if span is not None:
            receipt["stated"]["shift"] = f"{span} {'before' if clock.before else 'after'}"
    return due


@lru_cache(maxsize=4096)
def _due_stated(
    text: str, calendar: Calendar, unit: Unit | None, shift: timedelta
) -> datetime | None:
    """The due instant of a stated date; many documents state the same few days."""
    moment = instant_of(text, calendar)
    if moment is None or unit is None:
        return moment
    return moment + shift if unit is Unit.CLOCK else calendar.add(moment, shift)


def instant_of(value: Any, calendar: Calendar) -> datetime | None:
    """A stated date or time as an instant; a bare date is the midnight that ends that local day."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == _DATE_LENGTH:
            return calendar.end_of_day(date.fromisoformat(value))
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            return calendar.local(moment.date(), moment.time())
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _point(
    point: Point,
    start: datetime,
    due: datetime | None,
    budget: _Budget | None,
    calendar: Calendar,
    pauses: Pauses,
) -> datetime | None:
    if point.share is not None:
        if budget is None:
            if due is None:
                return None
            budget = _Budget(Unit.OPEN, start, calendar.between(start, due))
        micros = budget.length // timedelta(microseconds=1)
        share = timedelta(microseconds=int(micros * point.share))
        reached = spend(calendar, budget, share, pauses)
        return reached if reached is None or due is None else min(reached, due)
    if due is None:
        return None
    moved = point.sign * point.span.length
    if point.span.unit is Unit.CLOCK:
        reached = due + moved
    else:
        reached = calendar.add(due, moved) if budget else _moved(calendar, due, moved)
    return max(reached, start)


@lru_cache(maxsize=4096)
def _moved(calendar: Calendar, due: datetime, length: timedelta) -> datetime:
    """Open time counted from a stated due; many documents state the same few days."""
    return calendar.add(due, length)


def after(start: datetime, point: Point | None, calendar: Calendar) -> datetime:
    """The instant of a level that counts from a trigger; at once without a point."""
    if point is None or not point.span.length:
        return start
    if point.span.unit is Unit.CLOCK:
        return start + point.span.length
    return calendar.add(start, point.span.length)


def _segments(
    calendar: Calendar, begin: datetime, due: datetime, pauses: Pauses
) -> list[list[str]]:
    """Open stretches that used up the budget, pauses left out; empty if there are too many."""
    found: list[list[str]] = []
    cursor = begin
    for pause_from, pause_to in [*pauses, (due, None)]:
        stop = min(pause_from, due)
        if stop > cursor:
            for first, last in calendar.segments(cursor, stop):
                found.append([first.isoformat(), last.isoformat()])
                if len(found) > MAX_SEGMENTS:
                    return []
        if pause_to is None or pause_from >= due:
            break
        cursor = max(cursor, pause_to)
    return found
