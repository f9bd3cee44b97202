"""Reminders and steps of an escalation: what rings while nobody looks after a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from sqlalchemy import Connection

from db import cases as kept
from db import escalations, mail, timers
from db.mail import Heard, Member
from db.timers import Timer
from tower.cases import AUTHOR, Case, Note
from tower.court import Code
from tower.escalating import Chain, Rung, next_due, ring
from tower.rule_terms import NotifyPolicy
from worker.addressing import group_key, person_for, wait
from worker.chains import counting_hours, timer_key
from worker.judging import Judging

REMINDED = ("owner", "fallback", "step")  # roles that are reminded; who only hears of it is not


@dataclass(slots=True)
class _Outcome:
    """What the chains of a round came to."""

    chains: list[Chain] = field(default_factory=list)
    ringing: list[Timer] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    notes: list[tuple[int, Note]] = field(default_factory=list)


def climb(
    conn: Connection, config: Judging, code: Code, claimed: Sequence[Timer], now: datetime
) -> int:
    """Let these timers ring; how many cases had somebody reminded or told too.

    The caller holds the timers; each is dropped here, and the next one of its chain set.
    """
    rung_for = {tuple(orjson.loads(timer.key)) for timer in claimed}
    asked = {number for number, _ in rung_for}
    found = {case.id: case for case in kept.by_ids(conn, asked, lock=True)}
    chains = escalations.load(conn, asked)
    heard: dict[int, list[Heard]] = {}
    for one in mail.believers(conn, asked):
        heard.setdefault(one.case_id, []).append(one)
    done = _Outcome()
    for number, generation in sorted(rung_for):
        case, chain = found.get(number), chains.get(number)
        if case is None or chain is None or chain.generation != generation:
            continue  # stale: the chain was started over, and has a timer of its own
        policy = config.rulebook.notify.get(chain.policy)
        hours = counting_hours(config, code, policy)
        rung = ring(chain, case, now, hours)
        done.chains.append(rung.chain)
        due = next_due(rung.chain, hours)
        if due is not None:
            done.ringing.append(Timer(timers.ESCALATION, timer_key(rung.chain), due))
        if policy is not None:
            _tell(config, case, policy, rung, heard.get(number, ()), done, now)
    timers.drop(conn, [(t.kind, t.key) for t in claimed])
    timers.set_(conn, done.ringing)
    escalations.save(conn, done.chains)
    kept.add_notes(conn, done.notes)
    cases = {case.id: case for case in found.values() if case.id is not None}
    wait(conn, config, code, done.members, cases, now)
    return len({m.case_id for m in done.members})


def _tell(
    config: Judging,
    case: Case,
    policy: NotifyPolicy,
    rung: Rung,
    heard: Sequence[Heard],
    done: _Outcome,
    now: datetime,
) -> None:
    """Make dirty the groups of those who are told too, and of those who are reminded."""
    number = case.id or 0
    if rung.remind:
        done.members.extend(
            Member(one.key, number, one.said.role, now, remind=True)
            for one in heard
            if one.said.role in REMINDED
        )
    knowing = {one.key.recipient: one for one in heard}
    for asked in rung.tell:
        person = person_for(asked, case, config, policy)
        if not person:
            continue
        known = knowing.get(person)
        if known is not None:
            done.members.append(Member(known.key, number, known.said.role, now, remind=True))
        else:
            key = group_key(rung.chain.policy, policy, person, case)
            done.members.append(Member(key, number, "step", now))
        done.notes.append((number, Note(now, AUTHOR, "escalated", f"{person} is told too")))
