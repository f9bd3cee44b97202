"""Why a clock says what it says: the row that matched, the time skipped, and why nobody was told.

Pure arithmetic over what was kept of one cycle; db/reads/explanations.py brings the rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tower.calendars import BeyondHorizon, Calendar
from tower.cycles import Cycle, Verdict
from tower.receipts import receipt_text
from tower.rule_terms import DO_NOT_MEASURE
from tower.rulebook import Rule

MOST_STRETCHES = 40  # of skipped time; a longer wait is told by its sum

_WEEKEND = (5, 6)
_OPENING = ("new", "again", "worse")  # reasons of mails that tell that something is wrong


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time that did not count, with the reason: break, night, weekend, a holiday's name, held."""

    begin: datetime
    end: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """A level of the rule on this cycle.

    stands    when it became true; None while it did not
    notify    policy that tells people; None for a step that is only shown
    """

    level: str
    severity: str
    notify: str | None
    stands: datetime | None


@dataclass(frozen=True, slots=True)
class Post:
    """What became of telling one case, as far as it was written down.

    mails       (recipient, when, why) of each mail that named the case
    told        (recipient, what, severity, when): what each last heard
    suppressed  (recipient, when, reason)
    waiting     (recipient, when its group is told next; None: with the daily summary)
    """

    case_id: int
    severity: str
    state: str
    levels: Sequence[str]
    mails: Sequence[tuple[str, datetime, str]] = ()
    told: Sequence[tuple[str, str, str, datetime]] = ()
    suppressed: Sequence[tuple[str, datetime, str]] = ()
    waiting: Sequence[tuple[str, datetime | None]] = ()


def row_text(receipt: Mapping[str, Any]) -> str:
    """Which line of the rule gave the time: "row 3: supplier tier is A -> 4bh"; "" if none did."""
    stated = receipt.get("stated")
    if stated:
        shift = stated.get("shift")
        said = f"the document's own date: {stated['attribute']} = {stated['value']}"
        return f"{said}, {shift}" if shift else said
    budget = receipt.get("budget")
    if budget is None:
        return ""
    if budget == DO_NOT_MEASURE:
        budget = "not measured"
    if "row" in receipt:
        because = receipt.get("because") or "everybody"
        return f"row {receipt['row']}: {because} -> {budget}"
    return f"otherwise -> {budget}"


def skipped(calendar: Calendar, cycle: Cycle) -> list[Stretch]:
    """The stretches between start and due (or end, or now known) that the budget did not count.

    Budgets in clock time skip nothing but pauses. Beyond the calendar's years nothing is told.
    """
    found = [
        Stretch(datetime.fromisoformat(begin), datetime.fromisoformat(end), "held")
        for begin, end in cycle.receipt.get("pauses", ())
        if end
    ]
    due, budget = cycle.due, str(cycle.receipt.get("budget") or "")
    shift = str((cycle.receipt.get("stated") or {}).get("shift") or "")
    counts = budget.endswith(("bh", "bd")) or "bh" in shift
    if due is None or not counts:
        return found
    begin, end = min(cycle.started, due), due
    if "bh" in shift:
        return found  # counted back from the date; the start says nothing about it
    with contextlib.suppress(BeyondHorizon):
        found.extend(closed_between(calendar, begin, end))
    return sorted(found, key=lambda stretch: stretch.begin)


def closed_between(calendar: Calendar, begin: datetime, end: datetime) -> list[Stretch]:
    """The closed stretches of a calendar between two instants, each with why it is closed."""
    found, at = list[Stretch](), begin
    for opens, closes in calendar.segments(begin, end):
        if opens > at:
            found.append(Stretch(at, opens, _why_closed(calendar, at, opens)))
        at = closes
    if at < end:
        found.append(Stretch(at, end, _why_closed(calendar, at, end)))
    return found


def _why_closed(calendar: Calendar, begin: datetime, end: datetime) -> str:
    first, last = begin.astimezone(calendar.zone).date(), end.astimezone(calendar.zone).date()
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    holidays = {} if calendar.spec.holidays is None else calendar.spec.holidays.dates(
        range(first.year, last.year + 1)
    )  # fmt: skip
    single, week = calendar.spec.single_days(), calendar.spec.week()
    names: list[str] = []
    for day in days:
        name = _closed_day(day, single, holidays, week)
        if name and name not in names:
            names.append(name)
    if names:
        return ", ".join(names)
    if first == last and week[first.weekday()]:
        opening, closing = week[first.weekday()][0][0], week[first.weekday()][-1][1]
        here = begin.astimezone(calendar.zone)
        minutes = here.hour * 60 + here.minute
        return "break" if opening <= minutes < closing else "night"
    return "night"


def _closed_day(
    day: date, single: Mapping[date, Any], holidays: Mapping[date, str], week: Sequence[Any]
) -> str:
    if day in single:
        return "" if single[day] else f"closed on {day.isoformat()}"
    if day in holidays:
        return holidays[day]
    if not week[day.weekday()]:
        return "weekend" if day.weekday() in _WEEKEND else f"closed on {day:%A}s"
    return ""


def steps(rule: Rule, cycle: Cycle) -> list[Step]:
    """The levels of a rule with what stands of them on this cycle."""
    return [
        Step(
            name,
            level.severity.value,
            level.notify,
            fact.effective if (fact := cycle.fact(name)) else None,
        )
        for name, level in rule.levels.items()
    ]


def receipt_of(cycle: Cycle) -> str:
    """The arithmetic as the mail shows it; the reason where nothing is measured."""
    receipt = dict(cycle.receipt)
    if cycle.reason:
        receipt.setdefault("reason", cycle.reason)
    return receipt_text(receipt)


def why_no_mail(cycle: Cycle, reached: Iterable[Step], post: Post | None) -> list[str]:
    """Sentences that say of each step why nobody got a mail; empty if all was told by mail."""
    standing = [step for step in reached if step.stands is not None]
    if not standing:
        return [_nothing_reached(cycle)]
    said = [
        f"{step.level}: shown on screens only, the level names no policy"
        for step in standing
        if step.notify is None
    ]
    telling = [step for step in standing if step.notify is not None]
    if not telling:
        return said
    if post is None:
        return [*said, f"{telling[-1].level}: no case was opened for it"]
    said.extend(_of_case(post, telling))
    return said


def _nothing_reached(cycle: Cycle) -> str:
    if cycle.verdict is Verdict.NOT_MEASURED:
        return f"not measured: {cycle.reason}"
    if cycle.verdict is Verdict.UNKNOWN:
        return f"nothing is claimed while {cycle.held_by} is silent"
    if cycle.paused:
        return "it is held: no time runs"
    if cycle.open:
        return "nothing to tell: no level is reached yet"
    return "nothing to tell: it was done in time"


def _of_case(post: Post, telling: Sequence[Step]) -> list[str]:
    said = [f"case {post.case_id}, {who}: {reason}" for who, _, reason in post.suppressed]
    for who, at in post.waiting:
        when = "the daily summary" if at is None else f"its group's mail at {_minute(at)}"
        said.append(f"case {post.case_id}, {who}: waits for {when}")
    unsaid = [step for step in telling if step.level not in post.levels]
    said.extend(
        f"{step.level}: the case had been taken or settled by hand, or was over 30 days old"
        for step in unsaid
    )
    opening = [who for who, _, reason in post.mails if reason in _OPENING]
    for who, what, severity, at in post.told:
        if opening.count(who) < len(telling) - len(unsaid):
            said.append(
                f"case {post.case_id}, {who}: told already, {what} as {severity} at {_minute(at)}"
            )
    if not said and not post.mails:
        said.append(f"case {post.case_id}: nobody has been told yet")
    return said


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%MZ")
