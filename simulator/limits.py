"""The limits that the shipped rule book sets, worked out here once more with our own hours.

Everything that is not planted stays well inside them, everything planted lies well outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from simulator.cast import HQ, Supplier
from simulator.hours import ONE_DAY

FA_WITHIN = timedelta(hours=24)
APPLIED_WITHIN = timedelta(hours=4)
ASN_BEFORE_MINUTES = 24 * 60  # open minutes of headquarters
SILENT_AFTER = timedelta(hours=4)

_TIER_A_MINUTES = 4 * 60
_RUSH_MINUTES = 2 * 60
_BUSINESS_DAYS = {"B": 1, "C": 2}


@dataclass(frozen=True, slots=True)
class AnswerTime:
    """How long a supplier has: counted from ``start`` to ``due``, ``minutes`` open minutes."""

    start: datetime
    due: datetime
    minutes: float


def answer_time(supplier: Supplier, released: datetime, kind: str = "standard") -> AnswerTime:
    hours = supplier.hours
    start = hours.counted_from(released)
    if kind == "rush":
        due = hours.add(start, _RUSH_MINUTES)
    elif supplier.tier == "A":
        due = hours.add(start, _TIER_A_MINUTES)
    else:
        due = hours.end_of_business_day(start, _BUSINESS_DAYS[supplier.tier])
    return AnswerTime(start, due, hours.minutes_between(start, due))


def asn_due(delivery: date) -> datetime:
    """24 open hours of headquarters before the midnight that ends the day of delivery."""
    midnight = datetime.combine(delivery + ONE_DAY, time(), HQ.zone).astimezone(UTC)
    return HQ.sub(midnight, ASN_BEFORE_MINUTES)
