"""Each clock of a document explained: verdict, receipt, evidence, journal and mails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, select

from db import clocks, completeness, configuration
from db.reads import names, stories
from db.root_causes import in_case
from db.tables import (
    clock,
    exception_case,
    group_member,
    outbox,
    suppression,
    timer,
    told,
    transition,
)
from db.timers import MAIL_GROUP
from tower.access import Scope
from tower.court import Code
from tower.cycles import Cycle
from tower.explanation import (
    Post,
    Step,
    Stretch,
    receipt_of,
    row_text,
    skipped,
    steps,
    why_no_mail,
)
from tower.identity import partner_id
from tower.network import load_network
from tower.rulebook import Rule, load_rulebook, title_of
from tower.signs import COUNTED, Subject


@dataclass(frozen=True, slots=True)
class EvidenceState:
    """A source that could have brought what is missing.

    complete_to    how far it was read; None if it never was
    waits_s        seconds it may be quiet before clocks stop trusting it
    silent_from    beginning of the spell that overlaps this cycle, None if there is none
    silent_to      its recovery, None while it lasts
    """

    source: str
    complete_to: datetime | None
    waits_s: float
    silent_from: datetime | None
    silent_to: datetime | None


@dataclass(frozen=True, slots=True)
class ClockExplained:
    """One cycle with everything that decided it.

    row        line of the rule that gave the time
    receipt    the arithmetic, word for word as a mail tells it
    mails      mails that named its case: recipient, subject, reason, when
    no_mail    why nobody was told, step by step; empty if all was told
    """

    rule: str
    title: str
    kind: str
    subject: str
    cycle: int
    verdict: str
    open: bool
    paused: bool
    held_by: str | None
    started_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    rule_version: str
    row: str
    receipt: str
    calendar: str
    skipped: Sequence[Stretch]
    evidence: Sequence[EvidenceState]
    levels: Sequence[Step]
    journal: Sequence[Mapping[str, Any]]
    case_id: int | None
    mails: Sequence[Mapping[str, Any]]
    no_mail: Sequence[str]


def explain(conn: Connection, scope: Scope, ref: str) -> list[ClockExplained]:
    """Every clock of the document that ``ref`` names, also of what is tied to it, oldest first.

    A reference to one line tells of that line and its order; "partner::ACME" and "supplier::ACME"
    of what is counted of a partner. Empty if nothing is known, or no rule looks at it.
    """
    story = _counted(conn, scope, ref) or stories.story(conn, scope, ref)
    code = _code(conn)
    if story is None or code is None:
        return []
    named = stories.parse_ref(ref)
    line = named.line if named is not None else ""
    rows = [row for row in story.clocks if not line or row["line"].partition(" ")[0] in ("", line)]
    posts = _posts(conn, story.cases)
    known = completeness.read(conn, code.network.sources, None)
    who = _supplier_of(conn, scope, story.root)
    found = []
    for row in rows:
        cycle = Cycle.from_json(row["state"])
        rule = _rule(code, row["rule"], cycle)
        if rule is None:
            continue
        subject = Subject(row["kind"], row["scope"], row["number"], row["line"])
        case = _case_of(story.cases, row)
        post, mails = posts.get(case["id"], (None, ())) if case is not None else (None, ())
        reached = steps(rule, cycle)
        calendar = code.revived_calendar(cycle.calendar_version)
        found.append(
            ClockExplained(
                rule=rule.id,
                title=case["title"] if case is not None else title_of(rule, _named(subject, who)),
                kind=rule.kind,
                subject=str(subject),
                cycle=cycle.number,
                verdict=cycle.verdict.value,
                open=cycle.open,
                paused=cycle.paused,
                held_by=cycle.held_by,
                started_at=cycle.started,
                due_at=cycle.due,
                ended_at=cycle.ended,
                rule_version=cycle.rule_version,
                row=row_text(cycle.receipt),
                receipt=receipt_of(cycle),
                calendar=calendar.name if calendar is not None else "",
                skipped=skipped(calendar, cycle) if calendar is not None else (),
                evidence=_evidence(code, rule, row, cycle, known),
                levels=reached,
                journal=[
                    {name: entry[name] for name in _JOURNAL}
                    for entry in story.journal
                    if all(entry[name] == row[name] for name in _CLOCK)
                ],
                case_id=None if case is None else case["id"],
                mails=mails,
                no_mail=_no_mail(case, mails) or why_no_mail(cycle, reached, post),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Counted:
    """Clocks of what is counted of a partner, with their journal and cases."""

    clocks: Sequence[Mapping[str, Any]]
    journal: Sequence[Mapping[str, Any]]
    cases: Sequence[Mapping[str, Any]]
    root: None = None


def _counted(conn: Connection, scope: Scope, ref: str) -> _Counted | None:
    kind, _, rest = ref.strip().partition(":")
    key = rest.rpartition(":")[2]
    if kind not in COUNTED or not key:
        return None
    if scope.partners is not None and key not in scope.partners:
        return None
    home = partner_id(key)
    tables = (
        (clock, (clock.c.rule, clock.c.cycle)),
        (transition, (transition.c.rule, transition.c.n)),
        (exception_case, (exception_case.c.id,)),
    )
    clocks_, journal, cases = (
        [
            dict(row._mapping)
            for row in conn.execute(
                select(table)
                .where(table.c.home_key == home, table.c.kind == kind, table.c.number == key)
                .order_by(*order)
            )
        ]
        for table, order in tables
    )
    return _Counted(clocks_, journal, cases) if clocks_ else None


def counted_as(conn: Connection, scope: Scope, ref: str) -> str | None:
    """The reference itself if it names a partner of which rules counted something."""
    return ref.strip() if _counted(conn, scope, ref) is not None else None


_CLOCK = ("home_key", "rule", "kind", "scope", "number", "line", "cycle")
_JOURNAL = ("name", "effective_at", "detected_at", "handled_at", "rule_hash", "why")


def _code(conn: Connection) -> Code | None:
    """What judges in this database, with the versions before it; None before the first start."""
    network = configuration.active(conn, configuration.NETWORK)
    rules = configuration.active(conn, configuration.RULES)
    if network is None or rules is None:
        return None
    return Code(
        load_network(network.body, configuration.NETWORK),
        load_rulebook(rules.body),
        profiles=clocks.kept_profiles(conn),
        activated_at=rules.activated_at,
        old_rules=clocks.kept_rules(conn),
        old_calendars=clocks.kept_calendars(conn),
    )


def _rule(code: Code, rule_id: str, cycle: Cycle) -> Rule | None:
    """The rule as it judged; who is told is always what the book in force says."""
    current = code.book.rule(rule_id)
    if current is not None:
        return current
    kept = code.revived(cycle.rule_version)
    return None if kept is None else kept.rule


def _supplier_of(conn: Connection, scope: Scope, root: Mapping[str, Any] | None) -> str | None:
    """The name of a document's supplier, its key where the network does not know it."""
    key = None if root is None else root["supplier"]
    return None if key is None else names.suppliers(conn, scope).get(key, key)


def _named(subject: Subject, supplier: str | None) -> dict[str, Any]:
    header = "po" if subject.kind == "po_line" else subject.kind
    if subject.kind in COUNTED:
        return {"partner.name": subject.number, "supplier.name": subject.number}
    return {
        f"{header}.number": subject.number,
        f"{subject.kind}.line": subject.line or None,
        "supplier.name": supplier,
    }


def _no_mail(case: Mapping[str, Any] | None, mails: Sequence[Mapping[str, Any]]) -> list[str]:
    """That its root cause tells people, where it hangs under one."""
    if case is None or case["parent_id"] is None or mails:
        return []
    return [in_case(case["parent_id"])]


def _case_of(
    cases: Sequence[Mapping[str, Any]], row: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """The case that this cycle opened or raised."""
    mine = [
        case
        for case in cases
        if all(case[name] == row[name] for name in _CLOCK if name != "cycle")
        and case["clock_cycle"] == row["cycle"]
    ]
    return mine[-1] if mine else None


def _posts(
    conn: Connection, cases: Iterable[Mapping[str, Any]]
) -> dict[int, tuple[Post, Sequence[Mapping[str, Any]]]]:
    """What was said about these cases, read for all of them at once."""
    by_id = {case["id"]: case for case in cases}
    if not by_id:
        return {}
    ids = sorted(by_id)
    heard = conn.execute(select(told).where(told.c.case_id.in_(ids)).order_by(told.c.at)).all()
    quiet = conn.execute(
        select(suppression)
        .where(suppression.c.case_id.in_(ids))
        .order_by(suppression.c.at, suppression.c.id)
    ).all()
    waiting = conn.execute(select(group_member).where(group_member.c.case_id.in_(ids))).all()
    keys = [orjson.dumps([m.policy, m.recipient, m.group_key]).decode() for m in waiting]
    rings = {
        row.key: row.due
        for row in conn.execute(
            select(timer.c.key, timer.c.due).where(
                timer.c.kind == MAIL_GROUP, timer.c.key.in_(keys)
            )
        )
    }
    o = outbox.c
    mails = conn.execute(
        select(o.id, o.cases, o.recipient, o.subject, o.reason, o.state, o.created_at)
        .where(o.cases.overlap(ids))
        .order_by(o.created_at, o.id)
    ).all()
    found: dict[int, tuple[Post, Sequence[Mapping[str, Any]]]] = {}
    for case_id, case in by_id.items():
        mine = [m for m in mails if case_id in m.cases]
        found[case_id] = (
            Post(
                case_id=case_id,
                severity=case["severity"],
                state=case["state"],
                levels=tuple(case["levels"]),
                mails=[(m.recipient, m.created_at, m.reason) for m in mine],
                told=[
                    (t.recipient, t.what, t.severity, t.at) for t in heard if t.case_id == case_id
                ],
                suppressed=_last_word(q for q in quiet if q.case_id == case_id),
                waiting=[
                    (m.recipient, rings.get(key))
                    for m, key in zip(waiting, keys, strict=True)
                    if m.case_id == case_id
                ],
            ),
            [
                {
                    "id": m.id,
                    "recipient": m.recipient,
                    "subject": m.subject,
                    "reason": m.reason,
                    "state": m.state,
                    "created_at": m.created_at,
                }
                for m in mine
            ],
        )
    return found


def _last_word(rows: Iterable[Any]) -> list[tuple[str, datetime, str]]:
    """Each reason once per recipient: the last time it was written down."""
    found = {(row.recipient, row.reason): row.at for row in rows}
    return [(who, at, reason) for (who, reason), at in found.items()]


def _evidence(
    code: Code, rule: Rule, row: Mapping[str, Any], cycle: Cycle, known: completeness.Feeds
) -> list[EvidenceState]:
    partner = code.network.partner_keys.get(row["partner_id"])
    profile = code.profile_at(partner, cycle.started)
    served = profile.body.get("feeds") or () if profile is not None else ()
    until = cycle.ended or cycle.due
    found = []
    for evidence in code.evidence_of(rule, partner, served):
        spells = [
            spell
            for spell in known.spells.get(evidence.source, ())
            if (until is None or spell.from_at < until)
            and (spell.to_at is None or spell.to_at > cycle.started)
        ]
        spell = spells[-1] if spells else None
        found.append(
            EvidenceState(
                evidence.source,
                known.complete_to.get(evidence.source),
                evidence.tolerance.total_seconds(),
                None if spell is None else spell.from_at,
                None if spell is None else spell.to_at,
            )
        )
    return found
