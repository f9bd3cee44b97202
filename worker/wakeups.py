"""What waits in cases themselves: the end of a snooze or of a promise, "still true", and the end of
the case that one was merged into."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from db import cases as kept
from db import clocks, timers
from db.timers import CASE, Timer
from tower import cases
from tower.cases import Case, Changed
from tower.court import Code
from tower.root_causes import KIND
from worker import addressing, grouping
from worker.judging import Judging


def wake(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> list[Changed]:
    """Act on cases whose own time has come, and tell what people did to them.

    The caller holds their timers; each is set anew or dropped here.
    """
    found = kept.by_ids(conn, (int(t.key) for t in claimed), lock=True)
    standing = clocks.standing(
        conn, [(c.home_key, c.rule, c.subject, c.clock_cycle) for c in found if c.home_key]
    )
    carriers = kept.carriers(conn, (c for c in found if c.resolution == "merged"))
    changes, ringing = [], []
    for case in found:
        carrier = carriers.get(case.id or 0)
        due = due_at(case, code, carrier)
        changed = None
        if due is not None and due <= now:
            still_true = (case.home_key, case.rule, case.subject, case.clock_cycle) in standing
            changed = cases.wake(case, now, still_true)
        # What a person did is told too: a case that was closed or given to somebody else.
        changes.append(changed or Changed(case, (), True))
        following = due_at((changed or changes[-1]).case, code, carrier)
        if following is not None and following > now:
            ringing.append(Timer(CASE, str(case.id), following))
    timers.drop(conn, [(t.kind, t.key) for t in claimed])
    timers.set_(conn, ringing)
    stored = kept.write(conn, [c for c in changes if c.notes])
    # What a person closed or a wake opened again changes the sum of its parent.
    grouped = grouping.follow(conn, code, changes, now)
    addressing.mark(conn, config, code, grouped, now)
    return stored


def due_at(case: Case, code: Code, carrier: Case | None = None) -> datetime | None:
    """When this case has something to do by itself.

    ``carrier``: the case that goes on with a merged one, None where there is none (any more).
    """
    if case.state == "taken":
        return case.taken_until
    if case.state in ("snoozed", "waiting"):
        return case.snoozed_until
    if case.subject.kind == KIND:
        return None  # its cases speak for themselves once it is closed
    if case.state == "resolved" and case.resolution == "merged":
        return case.resolved_at if carrier is None else _freed_at(carrier, code)
    if case.state == "resolved" and case.resolution == "repaired" and case.resolved_at is not None:
        return _next_morning(case.resolved_at, code)
    return None


def _freed_at(carrier: Case, code: Code) -> datetime | None:
    """When what was merged into this case must speak for itself again, if it is still true.

    Who accepted it, or called it a false alarm, decided so about all that was merged into it.
    """
    if carrier.open or carrier.resolved_at is None:
        return None
    if carrier.resolution == "repaired":
        return _next_morning(carrier.resolved_at, code)
    return carrier.resolved_at if carrier.resolution == "healed" else None


def _next_morning(put_right: datetime, code: Code) -> datetime:
    """When what a person put right is looked at again: on the next business morning."""
    hours = code.calendar(code.network.company.calendar)
    day = put_right.astimezone(hours.zone).date()
    return hours.next_open(hours.end_of_day(day))
