"""Receipts: the arithmetic of a clock as one sentence that a person can check with a pencil."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tower.zones import zone

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PAST = {
    "po.released": "released",
    "po.revised": "revised",
    "po.transmitted": "transmitted",
    "po.acknowledged": "answered",
    "po.rejected": "rejected",
    "asn.rejected": "refused",
    "told.apart": "told differently since",
    "plan.left": "not as planned since",
}


def receipt_text(why: Mapping[str, Any], calendar_label: str = "") -> str:
    """One sentence from the ``why`` of a journal entry or the ``receipt`` of a cycle.

    ``calendar_label`` replaces the calendar's version, e.g. "v3". A receipt without arithmetic
    (a cancelled or exempt cycle) tells what it knows; an empty one gives "".
    """
    if "start" not in why:
        return str(why.get("reason", ""))
    local = zone(why.get("zone", "UTC"))
    if "silent" in why:
        return _silence(why, local)
    if "measured" in why:
        return _overrun(why, local)
    if "share" in why:
        return _share(why, local)
    if "quiet" in why:
        return _quiet(why, local)
    if "hurts" in why:
        return _hurts(why, local)
    parts = [f"{_started(why)} {_long(_at(why['start']), local)}"]
    parts.extend(_middle(why, local))
    sentence = "; ".join(parts)
    if "due" in why:
        due = _at(why["due"])
        sentence += f" -> due {_long(due, local)} {local.key} = {due:%H:%M} UTC"
    if "reason" in why:
        sentence += f"; not measured: {why['reason']}"
    if "calendar" in why and _uses_calendar(why):
        label = calendar_label or why.get("calendar_version", "")
        sentence += f"; calendar {why['calendar']} {label}".rstrip()
    return sentence


def _started(why: Mapping[str, Any]) -> str:
    word = str(why.get("started_by", ""))
    return _PAST.get(word, word.replace(".", " ").replace("_", " ") or "started")


def _middle(why: Mapping[str, Any], local: ZoneInfo) -> list[str]:
    parts: list[str] = list(why.get("apart", ()))
    if "ignored" in why:
        parts.append(f"{why['ignored']}, ignored")
    if "counted_from" in why:
        parts.append(f"counted from {_long(_at(why['counted_from']), local)}")
    for begin, end in why.get("pauses", ()):
        until = _long(_at(end), local) if end else "now"
        parts.append(f"paused {_long(_at(begin), local)} to {until}")
    stated = why.get("stated")
    if stated:
        said = f"{_words(stated['attribute'])} {stated['value']}"
        shift = stated.get("shift")
        parts.append(f"{said}, {_spaced(shift)} it" if shift else f"the document says {said}")
        return parts
    budget = why.get("budget")
    if not budget:
        return parts
    because = why.get("because")
    reason = f" ({because})" if because else ""
    segments = why.get("segments") or ()
    if segments and str(budget).endswith("bh"):
        parts.append(f"{_summed(segments, local)} = {_spaced(budget)}{reason}")
    else:
        parts.append(f"{_spaced(budget)}{reason}")
    return parts


def _uses_calendar(why: Mapping[str, Any]) -> bool:
    budget = str(why.get("budget") or "")
    return budget.endswith(("bh", "bd")) or "stated" in why


def _silence(why: Mapping[str, Any], local: ZoneInfo) -> str:
    text = f"{why['silent']} complete up to {_long(_at(why['start']), local)}"
    if "due" in why:
        text += f", silent beyond its rhythm since {_long(_at(why['due']), local)}"
    return f"{text} {local.key}"


def _overrun(why: Mapping[str, Any], local: ZoneInfo) -> str:
    told = why["measured"]
    said = []
    if "depth" in told:
        said.append(f"{told['depth']} messages")
    if "oldest_age" in told:
        said.append(f"the oldest {_minutes(told['oldest_age'])} old")
    text = f"over its limit since {_long(_at(why['start']), local)}"
    if "due" in why:
        due = _at(why["due"])
        text += f"; for long enough at {_long(due, local)} {local.key} = {due:%H:%M} UTC"
        text += f": {', '.join(said)}" if said else ""
    return text


def _share(why: Mapping[str, Any], local: ZoneInfo) -> str:
    """ "9 of 12 went wrong within 1h up to Mon 30 Mar 10:05: ..." """
    told = why["share"]
    since = f"{_long(_at(why['start']), local)} {local.key}"
    return (
        f"{told['bad']} of {told['total']} went wrong within {told['over']} up to {since}: "
        f"at {told['confidence']} confidence at least {_percent(told['bound'])}, "
        f"more than the {_percent(told['limit'])} that may"
    )


def _quiet(why: Mapping[str, Any], local: ZoneInfo) -> str:
    """ "nothing since Fri 27 Mar 10:05, at least 1 expected within 2bd -> due ..." """
    told, due = why["quiet"], _at(why["due"])
    came = f"{told['came']} came" if told["came"] else "nothing came"
    wanted = f"at least {told['at_least']}"
    if "usual" in told:
        wanted += f" ({told['usual']:g})"
    text = f"{came} since {_long(_at(why['start']), local)}, {wanted} expected"
    text += f" within {told['within']}"
    text += f" -> due {_long(due, local)} {local.key} = {due:%H:%M} UTC"
    label = why.get("calendar")
    return f"{text}; calendar {label}" if label and not told["within"].endswith("h") else text


def _hurts(why: Mapping[str, Any], local: ZoneInfo) -> str:
    """ "2 lines of C-7 wait for it since Mon 30 Mar 10:05: 8 pieces promised for ..." """
    told = why["hurts"]
    lines = f"{told['lines']} customer order line{'' if told['lines'] == 1 else 's'}"
    coming = told["projected"] or "no day that is known"
    text = f"{lines} no longer covered since {_long(_at(why['start']), local)} {local.key}"
    text += f": promised {told['promised']}, supply {coming}"
    return f"{text} ({told['basis']})" if told.get("basis") else text


def _percent(share: float) -> str:
    return f"{share * 100:.1f}".rstrip("0").rstrip(".") + " %"


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _summed(segments: Sequence[Sequence[str]], local: ZoneInfo) -> str:
    """ "Fri 27 Mar 14:00-17:00 3 bh + Mon 30 Mar 08:00-09:00 1 bh", each day named once."""
    told, last = [], ""
    for begin_text, end_text in segments:
        begin, end = _at(begin_text), _at(end_text)
        here, there = begin.astimezone(local), end.astimezone(local)
        day = _day(here)
        prefix = "" if day == last else f"{day} "
        last = day
        told.append(f"{prefix}{here:%H:%M}-{there:%H:%M} {_hours(end - begin)} bh")
    return " + ".join(told)


def _hours(length: timedelta) -> str:
    hours = length / timedelta(hours=1)
    return f"{hours:.2f}".rstrip("0").rstrip(".")


def _spaced(budget: Any) -> str:
    text = str(budget)
    head = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    number = head.rstrip()
    return f"{number} {text[len(head) :]}" if number[-1:].isdigit() else _shift(text)


def _shift(text: str) -> str:
    """ "24bh before" as "24 bh before"."""
    span, _, word = text.partition(" ")
    return f"{_spaced(span)} {word}" if word else text


def _words(attribute: str) -> str:
    return attribute.split(".", 1)[-1].replace("_", " ")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _day(at: datetime) -> str:
    return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]}"


def _long(at: datetime, local: ZoneInfo) -> str:
    here = at.astimezone(local)
    seconds = f"{here:%H:%M:%S}" if here.second else f"{here:%H:%M}"
    return f"{_day(here)} {seconds}"
