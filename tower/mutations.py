"""Rule books that are wrong in one small way: what a good set of rule tests must notice.

Each threshold is moved by 15 minutes, and everything that may be left out is left out once. The
walk follows the models of the rule book, so that a new kind of rule is covered as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from tower.calendars import CalendarSpec
from tower.durations import Point, Span, Unit
from tower.rule_parts import AtLeast
from tower.rulebook import Rule, RuleBook, VolumeRule
from tower.strict_yaml import Path

STEP = timedelta(minutes=15)
_DATE = date(2026, 1, 1)  # any day: only times of day are moved

# Words, names and recipients that decide nothing a test of one subject could see.
_KEPT = frozenset(
    {
        "id", "kind", "category", "title", "advice", "owner", "about", "calendar", "severity",
        "inhibited_by", "because", "fallback", "group_by", "max_per_day",
        "channel",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A book that differs in one place.

    rule       the rule that was changed; None if the change concerns the whole book
    path       where in the file the change is, for its line and column
    what       the change in words
    bend       what to make of each calendar before testing; None leaves them
    """

    rule: str | None
    path: Path
    what: str
    book: RuleBook
    bend: Callable[[CalendarSpec], CalendarSpec] | None = None


def mutants(
    book: RuleBook, calendars: Mapping[str, Mapping[str, CalendarSpec]]
) -> Iterator[Mutant]:
    """Every mutant of the tested rules, of what exempts from all of them, and of their policies.

    ``calendars`` are those that the tests of each tested rule count in, by rule.
    """
    used: set[str] = set()
    for n, rule in enumerate(book.rules):
        if rule.id not in calendars:
            continue
        used |= {level.notify for level in rule.levels.values() if level.notify}
        for path, what, changed in _of_model(rule, _longest(rule)):
            changed.__dict__.pop("deadline", None)  # computed from what was changed
            mutated = _with(book, rules=(*book.rules[:n], changed, *book.rules[n + 1 :]))
            yield Mutant(rule.id, ("rules", n, *path), what, mutated)
        if _counts_open_hours(rule):
            for what, bend in _BENDS:
                if bend is _without_breaks and not _counts_within_days(rule):
                    continue
                if any(bend(spec) != spec for spec in calendars[rule.id].values()):
                    yield Mutant(rule.id, ("rules", n), what, book, bend)
    for path, what, exemptions in _of_tuple(book.not_measured, None):
        mutated = _with(book, not_measured=exemptions)
        yield Mutant(None, ("not_measured", *path), what, mutated)
    for name in sorted(used & book.notify.keys()):
        for path, what, policy in _of_model(book.notify[name], None):
            mutated = _with(book, notify={**book.notify, name: policy})
            yield Mutant(None, ("notify", name, *path), what, mutated)


def _with(book: RuleBook, **changes: Any) -> RuleBook:
    """A copy of a book, without checks: mutants are wrong on purpose."""
    changed = book.model_copy(update=changes)
    changed.__dict__.pop("_by_id", None)  # computed from the rules that were replaced
    return changed


_Change = tuple[Path, str, Any]


def _of_model(model: BaseModel, budget: timedelta | None) -> Iterator[_Change]:
    """(path inside, what, changed model) of every mutant of a model."""
    for name, field in type(model).model_fields.items():
        if name in _KEPT:
            continue
        value, written = getattr(model, name), field.alias or name
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        if value == default and not field.is_required():
            continue
        if not field.is_required() and not _at_once(value):
            yield (written,), "left out", model.model_copy(update={name: default})
        for path, what, changed in _of(value, budget):
            if not field.is_required() and changed == default:
                continue  # told as "left out" already
            yield (written, *path), what, model.model_copy(update={name: changed})


def _of(value: Any, budget: timedelta | None) -> Iterator[_Change]:
    match value:
        case Span():
            for moved in _moved_span(value):
                yield (), f"{value} -> {moved}", moved
        case Point():
            for point in _moved_point(value, budget):
                yield (), f"{value} -> {point}", point
        case AtLeast(count=int(count)):
            yield from (((), f"{count} -> {n}", AtLeast(count=n)) for n in (count - 1, count + 1))
        case AtLeast(share=Decimal() as share):
            for moved_share in _moved_number(share):
                less_or_more = AtLeast(share=moved_share)
                yield (), f"{value} -> {less_or_more}", less_or_more
        case time():
            for sign in (-1, 1):
                clock = (datetime.combine(_DATE, value) + sign * STEP).time()
                yield (), f"{value:%H:%M} -> {clock:%H:%M}", clock
        case bool() | str():
            return
        case int() | float() | Decimal():
            yield from (((), f"{value} -> {n}", n) for n in _moved_number(value))
        case BaseModel():
            yield from _of_model(value, budget)
        case tuple():
            yield from _of_tuple(value, budget)
        case dict():
            for key, item in value.items():
                rest = {k: v for k, v in value.items() if k != key}
                yield (key,), "left out", rest
                for path, what, changed in _of(item, budget):
                    yield (key, *path), what, {**value, key: changed}


def _of_tuple(value: tuple[Any, ...], budget: timedelta | None) -> Iterator[_Change]:
    for n, item in enumerate(value):
        named = f"{item} left out" if isinstance(item, str) else "left out"
        yield (n,), named, (*value[:n], *value[n + 1 :])
        for path, what, changed in _of(item, budget):
            yield (n, *path), what, (*value[:n], changed, *value[n + 1 :])


def _moved_span(span: Span) -> Iterator[Span]:
    """15 minutes less and more; a business day less and more, as it ends with the day."""
    if span.unit is Unit.DAYS:
        for days in (span.days - 1, span.days + 1):
            yield replace(span, days=days, text=f"{days}bd")
        return
    for length in (span.length - STEP, span.length + STEP):
        if length < timedelta(0):
            length = timedelta(0)
        if length != span.length:
            yield replace(span, length=length, text=_text(length, span.unit))


def _moved_point(point: Point, budget: timedelta | None) -> Iterator[Point]:
    if point.share is not None:
        step = Decimal(5) / 100
        if budget:
            step = Decimal(int(STEP.total_seconds())) / Decimal(int(budget.total_seconds()))
        for share in (point.share - step, point.share + step):
            yield replace(point, share=share, text=f"{share * 100:.2f}%")
        return
    for span in _moved_span(point.span):
        sign = "-" if point.sign < 0 else "+"
        if point.span.length >= STEP or span.length > point.span.length:
            yield replace(point, span=span, text=f"{sign}{span}")


def _at_once(value: Any) -> bool:
    """A point that says what goes without saying: 0m after the beginning."""
    return isinstance(value, Point) and value.share is None and not value.span.length


def _moved_number(value: Any) -> Iterator[Any]:
    if isinstance(value, int):
        yield from (value - 1, value + 1)
    else:
        yield from (value * type(value)("0.9"), value * type(value)("1.1"))


def _text(length: timedelta, unit: Unit) -> str:
    minutes = length / timedelta(minutes=1)
    if unit is Unit.OPEN:
        return f"{minutes / 60:.4f}".rstrip("0").rstrip(".") + "bh"
    return f"{minutes:g}m"


def _spans(value: Any) -> Iterator[Span]:
    match value:
        case Span():
            yield value
        case Point():
            yield value.span
        case BaseModel():
            for name in type(value).model_fields:
                yield from _spans(getattr(value, name))
        case tuple():
            for item in value:
                yield from _spans(item)
        case dict():
            yield from _spans(tuple(value.values()))


def _longest(rule: Rule) -> timedelta | None:
    """The longest running budget: 15 minutes of it are the smallest share worth noticing."""
    due = getattr(rule, "due", None)
    lengths = [span.length for span in _spans(due) if span.unit is not Unit.DAYS and span.length]
    return max(lengths, default=None)


def _counts_open_hours(rule: Rule) -> bool:
    return any(span.unit in (Unit.OPEN, Unit.DAYS) for span in _spans(rule))


def _counts_within_days(rule: Rule) -> bool:
    """Whether breaks can matter: whole business days end when the last window closes."""
    return not isinstance(rule, VolumeRule) or any(s.unit is Unit.OPEN for s in _spans(rule))


def _without_holidays(spec: CalendarSpec) -> CalendarSpec:
    return spec.model_copy(update={"holidays": None})


def _without_days(spec: CalendarSpec) -> CalendarSpec:
    return spec.model_copy(update={"days": {}})


def _without_breaks(spec: CalendarSpec) -> CalendarSpec:
    """Each day opens once: from its first opening to its last closing."""
    week = {
        days: [f"{windows[0].partition('-')[0]}-{windows[-1].partition('-')[2]}"] if windows else []
        for days, windows in spec.open.items()
    }
    return spec.model_copy(update={"open": week})


_BENDS = (
    ("holidays left out", _without_holidays),
    ("single days left out", _without_days),
    ("breaks left out", _without_breaks),
)
