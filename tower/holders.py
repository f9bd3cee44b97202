"""Whose clock ran: each stretch of an order's time belongs to who held the document then.

Every event may pass the document on. Stretches begin where the one before ended, so that they add
up to the whole, in wall time and in open hours. A stretch that would run backwards is told as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tower.calendars import Calendar

HOLDERS = {
    "ours": "our systems",
    "translator": "translator",
    "transport": "transport",
    "partner": "supplier",
    "erp": "ERP posting",
    "carrier": "carrier",
    "warehouse": "warehouse",
    "nobody": "nobody: closed",
}
"""Who may hold a document, in words."""

_PASSES_TO = {
    "po.released": "ours",
    "po.revised": "ours",
    "message.received": "translator",
    "message.transformed": "transport",
    "message.sent": "transport",
    "message.retried": "transport",
    "message.failed": "transport",
    "po.transmitted": "transport",
    "message.delivered": "partner",
    "fa.received": "partner",
    "po.acknowledged": "erp",
    "po.rejected": "erp",
    "po.change_proposed": "erp",
    "po.change_answered": "erp",
    "po.answer_applied": "partner",
    "asn.received": "carrier",
    "asn.replaced": "carrier",
    "asn.rejected": "partner",
    "receipt.posted": "nobody",
}
# Between an answer and its posting the same steps of transport carry it inwards: it is still ours.
_INWARD = frozenset({"message.received", "message.transformed", "message.sent",
                     "message.delivered"})  # fmt: skip
_ENDS = frozenset({"receipt.posted", "po.closed", "po.cancelled"})


@dataclass(frozen=True, slots=True)
class Stretch:
    """From one hand-over to the next. ``open_time`` is None without a calendar."""

    holder: str
    begin: datetime
    end: datetime
    open_time: timedelta | None

    @property
    def wall(self) -> timedelta:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Share:
    """What one holder had in all."""

    holder: str
    wall: timedelta
    open_time: timedelta | None


def stretches(
    events: Iterable[tuple[datetime, str]], now: datetime, calendar: Calendar | None
) -> list[Stretch]:
    """Stretches of an order from its first event to its receipt, or to ``now``.

    ``events`` are (occurred_at, type) in order. Events that pass nothing on change nothing.
    """
    marks: list[tuple[datetime, str]] = []
    ended: datetime | None = None
    answered = applied = False
    for at, type_ in events:
        if type_ in ("po.acknowledged", "po.change_answered", "po.rejected"):
            answered, applied = True, False
        elif type_ == "po.answer_applied":
            applied = True
        holder = _PASSES_TO.get(type_)
        if holder is None:
            continue
        if type_ in _INWARD and answered:
            if applied:
                continue
            holder = "erp"
        if not marks or marks[-1][1] != holder:
            marks.append((at, holder))
        if type_ in _ENDS:
            ended = at
            break
    found = []
    for n, (begin, holder) in enumerate(marks):
        end = marks[n + 1][0] if n + 1 < len(marks) else ended or now
        if holder != "nobody" and end != begin:
            open_time = None if calendar is None else calendar.between(begin, end)
            found.append(Stretch(holder, begin, end, open_time))
    return found


def shares(found: Sequence[Stretch]) -> list[Share]:
    """What each holder had in all, in the order they first held it; they add up to the whole."""
    walls: dict[str, timedelta] = {}
    opens: dict[str, timedelta | None] = {}
    for one in found:
        walls[one.holder] = walls.get(one.holder, timedelta()) + one.wall
        before = opens.get(one.holder, timedelta())
        opens[one.holder] = (
            None if before is None or one.open_time is None else before + one.open_time
        )
    return [Share(holder, wall, opens[holder]) for holder, wall in walls.items()]
