"""How figures and times are written for people."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

MISSING = "–"

SEVERITIES = ("critical", "high", "medium", "low")
SEVERITY_SIGN = {"critical": "◆", "high": "▲", "medium": "●", "low": "○"}
"""A shape for each severity: colour alone is lost on many readers."""


def severity(word: str) -> str:
    return f"{SEVERITY_SIGN.get(word, '·')} {word}"


def clock(moment: datetime, zone: ZoneInfo) -> str:
    """Time of day in the viewer's zone, with the zone."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M} {local.tzname()}"


def day_clock(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%d %b %H:%M} {local.tzname()}"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long before ``now``, in its two largest units; "never" for no time."""
    if moment is None:
        return "never"
    return f"{span((now - moment).total_seconds())} ago"


def span(seconds: float) -> str:
    """A clock duration in its two largest units: "2 d 4 h", "12 min"."""
    minutes = max(0, int(seconds // 60))
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{hours} h"
    return f"{minutes} min"


def day(value: date | None) -> str:
    return MISSING if value is None else f"{value:%d %b %Y}"


def count(n: int) -> str:
    return f"{n:,}"


def many(n: int, one: str, more: str | None = None) -> str:
    """ "1 order", "12 orders"."""
    return f"{n:,} {one if n == 1 else more or one + 's'}"


def money(value: Decimal | float | None, currency: str | None) -> str:
    """Short, with its currency: "EUR 1.2M". Missing is a dash, never zero."""
    if value is None:
        return MISSING
    amount = float(value)
    for limit, sign in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(amount) >= limit:
            scaled = amount / {"B": 1e9, "M": 1e6, "k": 1e3}[sign]
            digits = 0 if abs(scaled) >= 100 else 1
            text = f"{scaled:,.{digits}f}".removesuffix(".0") + sign
            break
    else:
        text = f"{amount:,.0f}"
    return f"{currency} {text}" if currency else text


def percent(share: float | None, digits: int = 1) -> str:
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$:-])")


def plain(text: str) -> str:
    """Text of others as itself within Markdown: nothing in it is emphasis, a link or a picture."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
