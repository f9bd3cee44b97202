"""Who hears what, when, and why now: decided from what stands and what was told before.

One rule above all: whoever was told that something is open is told that it is closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

from tower.calendars import Calendar
from tower.categories import CATEGORIES, Severity
from tower.zones import zone

SUBJECT_LIMIT = 140


class Reason(StrEnum):
    """Why a case is in a mail now."""

    NEW = "new"
    AGAIN = "again"  # told closed before, open once more
    WORSE = "worse"
    ESCALATED = "escalated"  # nobody looked after it so far
    REMINDER = "reminder"  # told before and still open
    PASSED = "passed"  # it has another owner now
    CLOSED = "closed"


OPENING = (Reason.NEW, Reason.AGAIN, Reason.WORSE, Reason.ESCALATED, Reason.REMINDER)
"""Reasons that say a case is open and wants somebody."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a recipient last heard about a case: ``open`` or ``closed``, and how severe it was."""

    what: str
    severity: str
    role: str = "owner"


@dataclass(frozen=True, slots=True)
class Item:
    """A case as one recipient's group sees it.

    role    why this recipient hears of it: owner, also, step (of an escalation), fallback
    owned   the recipient still is who the role says (a former owner is not)
    quiet   why nobody is to be told now (snoozed, inhibited, silenced); "" = nothing speaks against
    until   when that quiet ends by itself; None where something else must end it
    remind  told once more even if nothing changed
    """

    case_id: int
    severity: str
    open: bool
    told: Told | None = None
    role: str = "owner"
    owned: bool = True
    quiet: str = ""
    until: datetime | None = None
    remind: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a flush does.

    send      there is something that cannot wait for the digest
    reasons   case -> why it is in the mail; the order is that of the items
    still     cases told before that stay as they were
    dropped   cases that leave the group untold, with why: these become suppression rows
    held      cases that wait for the digest, as the day's number of mails is used up
    waiting   cases that wait for the end of a silence, with why
    """

    send: bool
    reasons: dict[int, Reason]
    still: tuple[int, ...]
    dropped: dict[int, str]
    held: tuple[int, ...]
    waiting: Mapping[int, str] = field(default_factory=dict)


def reason_for(item: Item) -> Reason | None:
    """Why this recipient must hear of a case now; None if there is nothing new to say."""
    told_open = item.told is not None and item.told.what == "open"
    if told_open and not item.open:
        return Reason.CLOSED
    if told_open and not item.owned:
        return Reason.PASSED
    if not item.open or item.quiet or not item.owned:
        return None
    if item.told is None:
        return Reason.ESCALATED if item.role == "step" else Reason.NEW
    if not told_open:
        return Reason.AGAIN
    if Severity(item.severity).rank > Severity(item.told.severity).rank:
        return Reason.WORSE
    return Reason.REMINDER if item.remind else None


def plan(
    items: Sequence[Item], *, closed_at_once: bool, sent_today: int, max_per_day: int | None
) -> Plan:
    """What a group's mail says, and whether it goes out now.

    Closings and hand-overs ride along; alone they are sent only if the policy closes at once.
    Beyond ``max_per_day`` the rest waits for the digest, but what is critical never waits.
    """
    reasons: dict[int, Reason] = {}
    dropped: dict[int, str] = {}
    waiting: dict[int, str] = {}
    still: list[int] = []
    for item in items:
        reason = reason_for(item)
        if reason is None and item.open and item.quiet and item.until is not None:
            waiting[item.case_id] = item.quiet
        if reason is not None:
            reasons[item.case_id] = reason
        elif item.told is not None and item.told.what == "open":
            still.append(item.case_id)
        elif not item.open:
            dropped[item.case_id] = CLOSED_UNTOLD
        elif item.quiet and item.case_id not in waiting:
            dropped[item.case_id] = item.quiet
    pressing = [i for i in items if reasons.get(i.case_id) in OPENING]
    send = bool(pressing) or (closed_at_once and bool(reasons))
    full = max_per_day is not None and sent_today >= max_per_day
    if send and full and not any(i.severity == Severity.CRITICAL for i in pressing):
        return Plan(False, {}, tuple(still), dropped, tuple(i.case_id for i in pressing), waiting)
    return Plan(send, reasons if send else {}, tuple(still), dropped, (), waiting)


CLOSED_UNTOLD = "closed before its mail"
BEFORE_ACTIVATION = "before activation"
IN_SUMMARY = "before activation of the rule: told in one summary"
SUMMARY_AFTER = timedelta(minutes=10)  # so that one summary tells all that a new rule book changed


def group_due(
    now: datetime,
    *,
    wait: timedelta,
    every: timedelta,
    last_sent: datetime | None,
    critical: bool,
    hours: Calendar | None,
) -> datetime:
    """When a group that became dirty at ``now`` is flushed; ``hours`` None means at any time."""
    if critical:
        return now
    due = now + wait
    if last_sent is not None:
        due = max(due, last_sent + every)
    return due if hours is None else hours.next_open(due)


def digest_due(after: datetime, at: time, zone_name: str, hours: Calendar | None) -> datetime:
    """The next time of the daily summary after an instant, on a day with open hours."""
    local = zone(zone_name)
    day = after.astimezone(local).date()
    while True:
        due = datetime.combine(day, at, local).astimezone(after.tzinfo)
        if due > after and (hours is None or open_that_day(hours, due)):
            return due
        day += timedelta(days=1)


def summary_due(now: datetime, hours: Calendar | None) -> datetime:
    """When the summary of what a change of the rule book did is sent."""
    due = now + SUMMARY_AFTER
    return due if hours is None else hours.next_open(due)


def open_that_day(hours: Calendar, at: datetime) -> bool:
    """Whether a calendar is open at any time of the day, in its own zone, of an instant."""
    day = at.astimezone(hours.zone).date()
    begin = hours.local(day, time(0))
    return hours.between(begin, hours.end_of_day(day)) > timedelta(0)


# --- words ----------------------------------------------------------------------------------------

_UNSAFE = re.compile(r"[^\w .,:;&'()/+#\[\]-]")
_ENCODED_WORD = "=?"


def safe_words(text: str, limit: int = 60) -> str:
    """Partner text for a header: letters, digits and plain signs only, capped."""
    cleaned = _UNSAFE.sub(" ", text.replace(_ENCODED_WORD, " "))
    cleaned = re.sub(r"\s+", " ", cleaned).strip()
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 3].rstrip() + "..."


def subject(
    reasons: Iterable[Reason],
    n_open: int,
    categories: Iterable[str],
    names: Iterable[str],
    noun: str = "suppliers",
) -> str:
    """ "[3 open, 1 new] PO not answered - ACME": our words and identifiers, nothing else.

    ``names`` are those of the suppliers (or whatever ``noun`` says) that the cases are about.
    """
    given = list(reasons)
    counts = [f"{n_open} open"] if n_open else []
    counts += reason_counts(given)
    what = sorted({headline(c) for c in categories})
    who = sorted({safe_words(name, 40) for name in names if name})
    said = what[0] if len(what) == 1 else f"{len(what)} kinds of exceptions"
    whom = who[0] if len(who) == 1 else f"{len(who)} {noun}" if who else ""
    text = f"[{', '.join(counts)}] {said}" + (f" - {whom}" if whom else "")
    return safe_words(text, SUBJECT_LIMIT)


def reason_counts(given: Sequence[Reason]) -> list[str]:
    """["2 new", "1 settled"]: why cases are in a mail, in the order of importance."""
    counts = []
    for word, which in (
        ("new", (Reason.NEW, Reason.AGAIN)),
        ("worse", (Reason.WORSE,)),
        ("escalated", (Reason.ESCALATED,)),
        ("reminder", (Reason.REMINDER,)),
        ("passed on", (Reason.PASSED,)),
        ("settled", (Reason.CLOSED,)),
    ):
        n = sum(r in which for r in given)
        if n:
            counts.append(count(n, word) if word == "reminder" else f"{n} {word}")
    return counts


def headline(category: str) -> str:
    """A category as the first words of a mail: "PO not answered"."""
    known = CATEGORIES.get(category)
    words = known.meaning if known else category.lower().replace("_", " ")
    return words[:1].upper() + words[1:]


def money(value: Decimal | None, currency: str | None) -> str:
    """ "EUR 12,345", cents only below a hundred; "not priced" without a value."""
    if value is None:
        return "not priced"
    shown = f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{currency} {shown}" if currency else shown


def share(value: float, digits: int = 0) -> str:
    """ "94 %", or "94.2 %" with one digit."""
    return f"{100 * value:.{digits}f} %"


def moment(at: datetime, zone_name: str) -> str:
    """ "Mon 30 Mar 2026 09:00 Europe/Berlin (07:00 UTC)": the reader's zone and UTC."""
    there = at.astimezone(zone(zone_name))
    utc = at.astimezone(zone("UTC"))
    if zone_name == "UTC":
        return f"{there:%a %d %b %Y %H:%M} UTC"
    other = f"{utc:%H:%M}" if there.date() == utc.date() else f"{utc:%a %d %b %H:%M}"
    return f"{there:%a %d %b %Y %H:%M} {zone_name} ({other} UTC)"


def length(span: timedelta) -> str:
    """ "2 d 4 h", "3 h 20 min", "12 min": two units at most."""
    minutes = max(int(span.total_seconds() // 60), 0)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    shown = [f"{n} {unit}" for n, unit in parts[:2] if n]
    return " ".join(shown) or "under a minute"


def count(n: int, one: str, many: str | None = None) -> str:
    """ "1 customer order", "3 customer orders"."""
    return f"{n} {one if n == 1 else many or one + 's'}"
