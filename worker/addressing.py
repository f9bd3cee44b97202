"""Who is to hear of a case, and in which group: decided whenever a case changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from db import cases as kept
from db import mail, root_causes, timers, trips
from db.mail import GroupKey, Heard, Member
from db.timers import Timer
from tower.calendars import Calendar
from tower.cases import Case, Changed, is_past
from tower.court import Code
from tower.lint import PARTNER_CONTACT
from tower.root_causes import KIND
from tower.rule_terms import NotifyPolicy
from tower.telling import BEFORE_ACTIVATION, IN_SUMMARY, group_due, summary_due
from worker import chains, grouping
from worker.judging import Judging
from worker.readers import PARTNER, contact_of


class Ahead:
    """What ``mark`` must know of new cases, asked while they are stored: when the groups that hear
    of them were last told something. Nobody was told of them yet."""

    def __init__(self, config: Judging) -> None:
        self._config = config
        self._new: set[tuple[str, int]] = set()
        self._groups: set[GroupKey] = set()
        self._sent: dict[GroupKey, datetime] = {}

    def ask(self, changes: Sequence[Changed]) -> Sequence[trips.Asked]:
        new = [c.case for c in changes if c.case.id is None]
        self._new = {(case.fingerprint, case.cycle) for case in new}
        self._groups = {key for case in new for key, _ in addressees(case, self._config)}
        return [mail.asking_last_sent(self._groups)] if self._groups else []

    def take(self, answers: Sequence[list[Any]]) -> None:
        for rows in answers:
            self._sent = mail.sent_at(rows)

    def sent(self, cases: Iterable[Case], groups: set[GroupKey]) -> dict[GroupKey, datetime] | None:
        """The answer, if it is all that must be known of these."""
        told = all((case.fingerprint, case.cycle) in self._new for case in cases)
        return dict(self._sent) if told and groups <= self._groups else None


def mark(
    conn: Connection,
    config: Judging,
    code: Code,
    changes: Sequence[Changed],
    now: datetime,
    ahead: Ahead | None = None,
) -> None:
    """Make dirty every group that may have to hear of these changes.

    Whoever was told that a case is open hears of its end, whatever else is quiet. ``ahead``: what
    was asked when they were stored.
    """
    _free(conn, changes, now)
    under = _under_parents(conn, changes)
    root_causes.leave_to_parents(conn, under, now)
    cases = {c.case.id: c.case for c in changes if c.tell and c.case.id is not None}
    if not cases:
        return
    cases |= _outliving(conn, config, list(cases.values()))
    outlived = grouping.outlived(conn, list(cases.values()))
    cases |= outlived
    whom = {number: addressees(case, config) for number, case in cases.items() if case.open}
    groups = {key for its in whom.values() for key, _ in its}
    sent = ahead.sent(cases.values(), groups) if ahead is not None else None
    believers: list[Heard] = []
    if sent is None:
        believers, sent = mail.hearing(conn, cases, groups)
        sent |= mail.last_sent(conn, {b.key for b in believers} - groups)
    raised = raised_again(changes)
    members = [
        Member(b.key, b.case_id, b.said.role, now, remind=b.case_id in raised) for b in believers
    ]
    known = {(b.key.recipient, b.case_id) for b in believers}
    quiet = []
    for number, case in cases.items():
        for key, role in whom.get(number, ()):
            if (key.recipient, number) in known:
                continue
            if number in under and not key.recipient.startswith(PARTNER):
                continue
            if config.quiet_before is not None and _since(case) < config.quiet_before:
                quiet.append((number, key.recipient, now, BEFORE_ACTIVATION))
            else:
                members.append(Member(key, number, role, now))
    bygone = {c.case.id for c in changes if is_past(c)}
    alone = [c for c in changes if c.case.id not in bygone and c.case.id not in under]
    alone.extend(Changed(case, (), True) for case in outlived.values())
    chains.follow(conn, config, code, alone, now)
    past = [m for m in members if m.case_id in bygone]
    quiet.extend((m.case_id, m.key.recipient, now, IN_SUMMARY) for m in past)
    mail.suppress(conn, quiet)
    present = [m for m in members if m.case_id not in bygone]
    wait(conn, config, code, present, cases, now, sent)
    summarise_soon(conn, config, code, past, now)


def _free(conn: Connection, changes: Sequence[Changed], now: datetime) -> None:
    """Have those looked at that were merged into cases which closed now."""
    closed = [
        c.case.id
        for c in changes
        if c.case.id is not None
        and not c.case.open
        # What a person merged goes on in another case, with all that was merged into it.
        and (c.case.resolution != "merged" or c.case.subject.kind == KIND)
    ]
    if closed:
        merged = kept.merged_under(conn, closed)
        timers.sooner(conn, [Timer(timers.CASE, str(number), now) for number in merged])


def raised_again(changes: Sequence[Changed]) -> set[int]:
    """Cases whose promise to look after them ended, or whose snooze did: told once more."""
    return {
        c.case.id
        for c in changes
        if c.case.id is not None and any(note.kind in ("expired", "woken") for note in c.notes)
    }


def _since(case: Case) -> datetime:
    """When the newest of what it tells was true."""
    newest = case.why.get("newest") if case.subject.kind == KIND else None
    return case.opened_at if newest is None else datetime.fromisoformat(newest)


def _under_parents(conn: Connection, changes: Sequence[Changed]) -> dict[int, int]:
    """Cases that an open parent speaks for (case -> parent)."""
    found = {
        c.case.id: c.case.parent_id
        for c in changes
        if c.case.id is not None and c.case.parent_id is not None and c.case.open
    }
    speaking = root_causes.open_among(conn, found.values())
    return {number: parent for number, parent in found.items() if parent in speaking}


def _outliving(conn: Connection, config: Judging, changed: Sequence[Case]) -> dict[int, Case]:
    """Open cases that were kept quiet by one that closed now."""
    found: dict[int, Case] = {}
    for closed in changed:
        if closed.open:
            continue
        for rule in config.rulebook.rules:
            for inhibition in rule.inhibited_by:
                if inhibition.rule == closed.rule:
                    whose = None if "subject" in inhibition.same else closed.supplier
                    about = closed.subject if "subject" in inhibition.same else None
                    for case in kept.open_cases(conn, rule.id, supplier=whose, subject=about):
                        if case.id is not None:
                            found[case.id] = case
    return found


def wait(
    conn: Connection,
    config: Judging,
    code: Code,
    members: Sequence[Member],
    cases: Mapping[int, Case],
    now: datetime,
    sent: Mapping[GroupKey, datetime] | None = None,
) -> None:
    """Have these cases told: set the groups' timers, then add the members.

    ``sent``: when their groups were last told something, where that is known.
    """
    told = [m for m in members if m.key.policy in config.rulebook.notify]
    keys = {m.key for m in told}
    pressing = {
        m.key
        for m in told
        if (case := cases.get(m.case_id)) is not None and case.open and case.severity == "critical"
    }
    last = mail.last_sent(conn, keys) if sent is None else sent
    ringing = []
    for key in keys:
        policy = config.rulebook.notify[key.policy]
        due = group_due(
            now,
            wait=policy.wait.length,
            every=policy.every.length,
            last_sent=last.get(key),
            critical=key in pressing,
            hours=hours(policy, code),
        )
        ringing.append(Timer(timers.MAIL_GROUP, key.timer_key, due))
    timers.sooner(conn, ringing)
    mail.add_members(conn, told)


def summarise_soon(
    conn: Connection, config: Judging, code: Code, members: Sequence[Member], now: datetime
) -> None:
    """Have these cases told in one summary per recipient instead of their groups' mails.

    Their groups get no timer of their own; the summary takes up what waits in such groups.
    """
    told = [m for m in members if m.key.policy in config.rulebook.notify]
    whom = {(m.key.policy, m.key.recipient) for m in told}
    ringing = [
        Timer(
            timers.DIGEST,
            orjson.dumps([policy, recipient]).decode(),
            summary_due(now, hours(config.rulebook.notify[policy], code)),
        )
        for policy, recipient in sorted(whom)
    ]
    timers.sooner(conn, ringing)
    mail.add_members(conn, told)


def addressees(case: Case, config: Judging) -> list[tuple[GroupKey, str]]:
    """Who is to hear of an open case, each once: its owner, then whom its levels also name."""
    rule = config.rulebook.rule(case.rule)
    asked: list[tuple[str, str | None]] = [(case.policy, None)]
    for name in case.levels:
        level = rule.levels.get(name) if rule is not None else None
        if level is not None and level.notify is not None and level.also is not None:
            asked.append((level.notify, level.also))
    found: dict[str, tuple[GroupKey, str]] = {}
    for name, also in asked:
        policy = config.rulebook.notify.get(name)
        if policy is None:
            continue
        person = person_for(also or policy.to, case, config, policy)
        if person:
            role = "owner" if also is None else "also"
            found.setdefault(person, (group_key(name, policy, person, case), role))
    return list(found.values())


def person_for(asked: str, case: Case, config: Judging, policy: NotifyPolicy) -> str:
    """The recipient a rule or policy asks for; the policy's fallback if that leads nowhere."""
    wanted = asked
    if asked == "case.owner":
        wanted = case.owner
    elif asked == "po.buyer":
        wanted = str(case.why.get("buyer") or case.owner)
    elif asked == PARTNER_CONTACT:
        wanted = contact_of(config.network, case)
        if wanted:
            return wanted
    people = config.network.people
    for name in (wanted, config.network.owners.get(wanted), policy.fallback):
        if name in people:
            return str(name)
    return ""


def group_key(name: str, policy: NotifyPolicy, recipient: str, case: Case) -> GroupKey:
    """The group in which a recipient hears of a case; one mail never goes to two people."""
    values = {
        "rule": case.rule,
        "category": case.category,
        "partner": case.supplier or "",
        "supplier": case.supplier or "",
        "severity": case.severity,
        "subject": str(case.subject),
    }
    parts = [f"{field}={values[field]}" for field in policy.group_by if field in values]
    return GroupKey(name, recipient, ";".join(parts) or "all")


def hours(policy: NotifyPolicy, code: Code) -> Calendar | None:
    """The calendar inside which a policy's mails go out, None for always."""
    return None if policy.hours == "always" else code.calendar(policy.hours)
