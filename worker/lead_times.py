"""Once a day: the lead time of each supplier beside its plan, for all of them in one question.

What is found depends on the orders alone, not on when their receipts came in or how often one
looked: a supplier is judged anew only where it left its plan, or is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time

from sqlalchemy import Connection

from db import lead_times, timers
from db.lead_times import Reading, Readings
from db.reads.filters import Filter, Period
from db.reads.scorecards import lead_time_drifts
from db.timers import LEAD_TIME, Timer
from tower.access import EVERYTHING
from tower.agreement import WINDOW, LeadTime, left_plan
from tower.court import Code
from tower.identity import partner_id
from tower.rulebook import AgreementRule
from tower.scorecards import LeadTimeLimits, ScorecardSpec
from tower.zones import zone
from worker.impact import begin_of, tomorrow

_NOTHING = LeadTime(None, None, "", 0)
_ANY = ScorecardSpec(lead_time=LeadTimeLimits(minimum=2))


def look(conn: Connection, code: Code, claimed: Sequence[Timer], now: datetime) -> int:
    """Compare all suppliers with their plan as of the begin of this day; how many left it or came
    back. The caller holds the timer, which is set anew while a rule asks for it."""
    if not code.planning:
        timers.drop(conn, [(timer.kind, timer.key) for timer in claimed])
        return 0
    timers.set_(conn, [Timer(LEAD_TIME, "", tomorrow(code, now))])
    today = now.astimezone(zone(code.network.company.zone)).date()
    at = min(begin_of(today, code), now)
    end = datetime.combine(today, time(), UTC)
    found = {
        key: LeadTime(told.actual, told.plan, told.basis, told.n)
        for key, told in lead_time_drifts(
            conn, EVERYTHING, Filter(Period(end - WINDOW, end)), _ANY
        ).items()
    }
    before = lead_times.readings(conn)
    changed: dict[str, Readings] = {}
    for key in sorted(code.network.partners):
        known = before.get(partner_id(key), {})
        fresh = _compared(code, known, found.get(key, _NOTHING), at, now)
        if fresh is not None:
            changed[key] = fresh
    lead_times.keep(conn, changed, at, now)
    return len(changed)


def _compared(
    code: Code, known: Readings, lead_time: LeadTime, at: datetime, now: datetime
) -> Readings | None:
    """The readings by rule with one more where the answer is another one now; None if none is."""
    fresh: Readings = {}
    for rule in code.planning:
        if not isinstance(rule.rule, AgreementRule):
            continue
        [pair] = rule.rule.compare
        its = known.get(rule.id, [])
        was = bool(its) and left_plan(pair, its[-1].lead_time)
        if left_plan(pair, lead_time) != was and not (its and its[-1].at >= at):
            fresh[rule.id] = [*its, Reading(at, now, lead_time)]
    return {**known, **fresh} if fresh else None
