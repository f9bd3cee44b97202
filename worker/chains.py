"""Starts the reminders and steps of cases that are told; worker/escalation.py lets them ring."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from db import escalations, timers
from db.records import as_json
from db.timers import ESCALATION, Timer
from tower.calendars import Calendar
from tower.cases import Changed
from tower.court import Code
from tower.escalating import Chain, after_change, next_due
from tower.rule_terms import NotifyPolicy
from tower.rulebook import RuleBook
from worker.judging import Judging


def wanted(book: RuleBook) -> bool:
    """Whether any policy reminds or escalates at all."""
    return any(p.repeat is not None or p.escalate for p in book.notify.values())


def follow(
    conn: Connection, config: Judging, code: Code, changes: Sequence[Changed], now: datetime
) -> None:
    """Start, or start over, what waits for these cases. Costs nothing where no policy asks."""
    if not wanted(config.rulebook):
        return
    told = {c.case.id: c for c in changes if c.tell and c.case.open and c.case.id is not None}
    known = escalations.load(conn, told)
    begun = []
    for number, changed in told.items():
        policy = config.rulebook.notify.get(changed.case.policy)
        if policy is not None:
            kinds = [note.kind for note in changed.notes]
            chain = after_change(changed.case, kinds, policy, now, known.get(number))
            if chain is not None:
                begun.append((chain, counting_hours(config, code, policy)))
    timers.set_(
        conn,
        [
            Timer(ESCALATION, timer_key(chain), due)
            for chain, hours in begun
            if (due := next_due(chain, hours)) is not None
        ],
    )
    escalations.save(conn, [chain for chain, _ in begun])


def timer_key(chain: Chain) -> str:
    return as_json([chain.case_id, chain.generation])


def counting_hours(config: Judging, code: Code, policy: NotifyPolicy | None) -> Calendar:
    """The calendar in which open hours of a chain count: the policy's, else the company's."""
    named = policy.hours if policy is not None else "always"
    return code.calendar(config.network.company.calendar if named == "always" else named)
