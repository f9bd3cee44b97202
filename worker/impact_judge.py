"""Customers whom late supply hurts: the clocks and cases of the rule about them.

What is affected has been walked already (worker/impact.py); here it is compared with the cases that
are open. One clock per purchase order line and customer lives with the purchase order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from db import clocks
from db import impact as rows
from db.clocks import Judged
from db.impact import AffectedRow
from tower.cases import Brief, Happening
from tower.court import Code, UnitCourt, partner_attributes
from tower.cycles import Cycle, Fact, Verdict
from tower.identity import partner_id
from tower.impact import AFFECTED
from tower.rulebook import ImpactRule
from tower.signs import Subject
from tower.timeline import ClockKey, Entry, changes
from worker.units import news

Work = tuple[Brief, list[Happening]]
Clocks = Mapping[ClockKey, Sequence[Cycle]]

COVERED = "covered again"


@dataclass(frozen=True, slots=True)
class _Group:
    """Affected lines that share a case."""

    subject: Subject
    rows: Sequence[AffectedRow]

    @property
    def customers(self) -> set[str]:
        return {row.customer for row in self.rows if row.customer}


def follow(conn: Connection, code: Code, homes: Iterable[int], now: datetime) -> list[Work]:
    """Bring the clocks about customers of these purchase orders up to date: news for cases.

    Nothing is asked where no book ever had such a rule.
    """
    if not _concerns(code):
        return []
    wanted = sorted(set(homes))
    known = rows.cycles(conn, wanted)
    found: dict[int, list[AffectedRow]] = {}
    if code.impact is not None:
        for row in rows.affected_by(conn, wanted):
            found.setdefault(row.po_home, []).append(row)
    work: list[Work] = []
    judged: list[Judged] = []
    for home in sorted(known.keys() | found.keys()):
        one, its_work = _home(code, home, known.get(home, {}), found.get(home, []), now)
        if one.journal:
            judged.append(one)
            work.extend(its_work)
    clocks.save(conn, judged, now)
    return work


def _concerns(code: Code) -> bool:
    """Whether this book has such a rule, or one before it had."""
    return code.impact is not None or any(
        body.get("kind") == "impact" for body in code.old_rules.values()
    )


def _home(
    code: Code, home: int, before: Clocks, affected: Sequence[AffectedRow], now: datetime
) -> tuple[Judged, list[Work]]:
    """One purchase order: its clocks as they now are, and what that means for cases."""
    rule = code.impact
    groups = {g.subject: g for g in _groups(rule.rule, affected)} if rule is not None else {}
    described = {s: _attributes(code, g, now) for s, g in groups.items()}
    if rule is not None:
        groups = {s: g for s, g in groups.items() if _counts(code, described[s])}
    journal: list[Entry] = []
    changed: dict[ClockKey, Sequence[Cycle]] = {}
    keys = {*before, *((rule.id, s) for s in groups if rule is not None)}
    for key in sorted(keys):
        name, subject = key
        was = tuple(before.get(key, ()))
        mine = groups.get(subject) if rule is not None and rule.id == name else None
        after = _moved(code, was, mine, now, gone=rule is None or rule.id != name)
        entries = changes(name, subject, was, after, now)
        if entries:
            journal.extend(entries)
            changed[key] = after
    partner = next((row.supplier for row in affected if row.supplier), None)
    subjects = {subject for _, subject in changed}
    attributes = {s: described.get(s) or _of_subject(s) for s in subjects}
    court = UnitCourt(code, partner, attributes, before)
    one = Judged(
        home=home,
        partner_id=None if partner is None else partner_id(partner),
        applied={},
        journal=journal,
        before=before,
        changed=changed,
        instant=None,
        impact_at=None,
    )
    return one, list(news(journal, court, home, before, now))


def _groups(rule: Any, affected: Sequence[AffectedRow]) -> list[_Group]:
    """The lines by what shares a case; too many cases of one purchase line become a single one."""
    if not isinstance(rule, ImpactRule):
        return []
    by_line: dict[tuple[str, str, str], list[AffectedRow]] = {}
    for row in affected:
        by_line.setdefault((row.scope, row.po, row.po_line), []).append(row)
    found: list[_Group] = []
    for (scope, po, line), its in sorted(by_line.items()):
        customers = sorted({row.customer or "" for row in its})
        if "customer" not in rule.one_case_per or len(customers) > rule.at_most:
            found.append(_Group(Subject(AFFECTED, scope, po, line), its))
            continue
        for customer in customers:
            mine = [row for row in its if (row.customer or "") == customer]
            found.append(_Group(Subject(AFFECTED, scope, po, f"{line} {customer}".strip()), mine))
    return found


def _attributes(code: Code, group: _Group, now: datetime) -> dict[str, Any]:
    """What conditions and titles may ask about a group."""
    first = group.rows[0]
    profile = code.profile_at(first.supplier, now)
    names = sorted({r.customer_name or r.customer or "?" for r in group.rows})
    single = len(group.customers) <= 1
    found = {
        **partner_attributes(code.network, first.supplier, profile.body if profile else {}),
        **_of_subject(group.subject),
        "po.buyer": first.buyer,
        "order.customer": first.customer if single else None,
        "order.customer_name": names[0] if single else f"{len(names)} customers",
        "order.number": first.order[1] if len({r.order for r in group.rows}) == 1 else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _of_subject(subject: Subject) -> dict[str, Any]:
    return {
        "po.number": subject.number,
        "po.erp": subject.scope,
        "po_line.number": subject.number,
        "po_line.line": subject.line.partition(" ")[0],
    }


def _counts(code: Code, attributes: Mapping[str, Any]) -> bool:
    rule = code.impact
    if rule is None or any(e.when.holds(attributes) for e in rule.exemptions):
        return False
    applies = rule.rule.applies_when
    return applies is None or applies.holds(attributes)


def _moved(
    code: Code, was: Sequence[Cycle], group: _Group | None, now: datetime, *, gone: bool
) -> tuple[Cycle, ...]:
    """The cycles of one clock after a walk."""
    current = was[-1] if was and was[-1].open else None
    if group is not None and current is None:
        return (*was, _opened(code, was[-1].number + 1 if was else 1, group, now))
    if group is None and current is not None:
        how = "end:cancelled" if gone else "end:cleared"
        why = {"by": "rule removed"} if gone else {"by": COVERED}
        closed = replace(
            current,
            open=False,
            verdict=Verdict.BREACHED if gone else Verdict.MET_LATE,
            ended=now,
            facts=(*current.facts, Fact(how, now, why)),
        )
        return (*was[:-1], closed)
    return tuple(was)


def _opened(code: Code, number: int, group: _Group, now: datetime) -> Cycle:
    rule = code.impact
    if rule is None:
        raise ValueError("no rule speaks of customers")
    calendar = code.hours_of(rule.rule, {})
    ends = [row.projected_date for row in group.rows]
    told = {
        "lines": len({(row.order, row.order_line) for row in group.rows}),
        "orders": len({row.order for row in group.rows}),
        "customers": len(group.customers),
        "promised": min(row.promise_date for row in group.rows).isoformat(),
        "projected": None if None in ends else max(e for e in ends if e is not None).isoformat(),
        "basis": min(row.basis for row in group.rows),
        "cause": group.rows[0].cause,
    }
    return Cycle(
        number=number,
        verdict=Verdict.BREACHED,
        open=True,
        paused=False,
        started=now,
        due=now,
        facts=(Fact("started", now), Fact("breach", now)),
        next=None,
        rule_version=rule.version,
        calendar_version=calendar.version,
        receipt={
            "rule": rule.id,
            "rule_version": rule.version,
            "start": now.isoformat(),
            "zone": calendar.spec.zone,
            "hurts": told,
        },
    )
