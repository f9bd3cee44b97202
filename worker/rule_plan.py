"""What a changed rule book would do: to what is open now, and to what was said lately.

The plan plays the very activation: open clocks that another version judged are judged anew, their
cases are folded, and people are told in one summary. Nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from db import clocks, completeness, mail, silences
from db.reads import hindsight as past
from tower.cases import RULE_REMOVED, Case, Changed, heal, severity_rank
from tower.court import Code
from tower.cycles import Cycle
from tower.receipts import receipt_text
from tower.rulebook import RuleBook, judging_hash
from tower.timeline import ClockKey
from tower.zones import zone
from worker.configuration import Configuration
from worker.hindsight import SLICE, Hindsight
from worker.judging import Judging
from worker.readers import reader_of
from worker.rehearsal import Posting, Rehearsal
from worker.units import Visit, looking_back, visit

SUMMARY_WITHIN = timedelta(days=7)  # office hours come back before that


@dataclass(frozen=True, slots=True)
class RuleChange:
    """How a rule differs: added, removed, judging (verdicts) or telling (texts, recipients)."""

    rule: str
    change: str


@dataclass(frozen=True, slots=True)
class ClockMoved:
    """An open clock that the book in force and the other judge differently."""

    rule: str
    subject: str
    cycle: int
    due_before: datetime | None
    due_after: datetime | None
    verdict_before: str
    verdict_after: str
    receipt: str


@dataclass(frozen=True, slots=True)
class CaseChange:
    """A case that would open (``id`` None for a new one) or close, and why."""

    id: int | None
    rule: str
    subject: str
    severity: str
    title: str
    owner: str
    why: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What one recipient would be told at once, in one summary."""

    recipient: str
    at: datetime
    opened: int
    closed: int


@dataclass
class Present:
    """What activation would do now.

    open     open clocks that were looked at
    moved    those that would be judged differently; ``started``, ``ended``: cycles begun and ended
    """

    open: int = 0
    started: int = 0
    ended: int = 0
    moved: list[ClockMoved] = field(default_factory=list)
    opened: list[CaseChange] = field(default_factory=list)
    closed: list[CaseChange] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)


def rule_changes(before: RuleBook, after: RuleBook) -> list[RuleChange]:
    """Rules that differ, in the order of the new book; the removed ones last."""
    found = []
    for rule in after.rules:
        old = before.rule(rule.id)
        if old is None:
            found.append(RuleChange(rule.id, "added"))
        elif judging_hash(old, before) != judging_hash(rule, after):
            found.append(RuleChange(rule.id, "judging"))
        elif old != rule:
            found.append(RuleChange(rule.id, "telling"))
    found.extend(RuleChange(r.id, "removed") for r in before.rules if after.rule(r.id) is None)
    return found


def present(
    conn: Connection,
    config: Configuration,
    now: datetime,
    told: Callable[[int], None] = lambda _documents: None,
) -> Present:
    """Activation of a book at ``now`` played over every document with an open clock.

    ``told`` is called with the number of documents looked at, after each slice.
    """
    code = Code(
        config.network,
        config.rulebook,
        profiles=clocks.kept_profiles(conn),
        activated_at=now,
        old_rules=clocks.kept_rules(conn),
        old_calendars=clocks.kept_calendars(conn),
    )
    hushes = silences.active(conn, now)
    told_book = Rehearsal(Judging(config.network, config.rulebook), code, _steps_raised, hushes)
    found, looked, last = Present(), 0, None
    while homes := past.open_homes(conn, last, SLICE):
        last = homes[-1]
        _know(conn, told_book, homes)
        units = clocks.load(conn, homes, code.unheard)
        feeds = completeness.read(
            conn, code.network.sources, min(map(looking_back, units.values()))
        )
        for rows in units.values():
            found.open += sum(c.open for cycles in rows.clocks.values() for c in cycles)
            if code.outdated(rows.clocks):
                visited = visit(rows, code, feeds, now)
                _compare(found, visited)
                _note(found, told_book.happen(visited.work, now))
        looked += len(homes)
        told(looked)
    for case in list(told_book.cases.values()):
        if case.open and case.id is not None and config.rulebook.rule(case.rule) is None:
            healed = heal(case, now, RULE_REMOVED)
            told_book.act(healed, now)
            _note(found, [healed])
    told_book.until(now + SUMMARY_WITHIN)
    found.moved.sort(key=lambda m: (m.rule, m.subject, m.cycle))
    found.opened.sort(key=lambda c: (c.rule, c.subject))
    found.closed.sort(key=lambda c: (c.rule, c.subject))
    found.summaries = _summaries(told_book.postings)
    return found


def _steps_raised(case: Case) -> int:
    """Whom it hurts is not walked anew: a case stays as much worse as it was."""
    return severity_rank(case.severity) - severity_rank(case.base_severity)


def _know(conn: Connection, told_book: Rehearsal, homes: Sequence[int]) -> None:
    """The cases of these documents as they stand, with what people heard of them."""
    known = past.latest_cases(conn, homes)
    heard: dict[int, dict[str, Any]] = {}
    for one in mail.believers(conn, (case.id for case in known if case.id is not None)):
        heard.setdefault(one.case_id, {})[one.key.recipient] = (one.key, one.said)
    for case in known:
        told_book.know(case, heard.get(case.id or 0, {}))


def _compare(found: Present, visited: Visit) -> None:
    for key, cycles in visited.judged.changed.items():
        before = {c.number: c for c in visited.judged.before.get(key, ())}
        after = {c.number: c for c in cycles}
        for number in sorted(before.keys() | after.keys()):
            _one(found, key, number, before.get(number), after.get(number))


def _one(
    found: Present, key: ClockKey, number: int, was: Cycle | None, now_is: Cycle | None
) -> None:
    if was is None:
        found.started += 1
    elif now_is is None or (was.open and not now_is.open):
        found.ended += 1
    if was is None or not was.open or now_is is None:
        return
    if (was.due, was.verdict) != (now_is.due, now_is.verdict):
        rule, subject = key
        found.moved.append(
            ClockMoved(
                rule,
                str(subject),
                number,
                was.due,
                now_is.due,
                was.verdict.value,
                now_is.verdict.value,
                receipt_text(now_is.receipt),
            )
        )


def _note(found: Present, changes: Sequence[Changed]) -> None:
    for changed in changes:
        kinds = {note.kind for note in changed.notes}
        case = changed.case
        if case.open and kinds & {"opened", "reopened"}:
            found.opened.append(_case(case, receipt_text(case.why), known="reopened" in kinds))
        elif not case.open and "resolved" in kinds:
            found.closed.append(_case(case, str(case.why.get("healed", "")), known=True))


def _case(case: Case, why: str, *, known: bool) -> CaseChange:
    return CaseChange(
        case.id if known else None,
        case.rule,
        str(case.subject),
        case.severity,
        case.title,
        case.owner,
        why,
    )


def _summaries(postings: Sequence[Posting]) -> list[Summary]:
    """The first summary of each recipient and policy; later ones are everyday ones."""
    found: dict[tuple[str, str], Summary] = {}
    for posting in postings:
        if posting.daily and (posting.key.policy, posting.recipient) not in found:
            counted = Counter(reason.value for reason in posting.reasons.values())
            closed = counted["closed"] + counted["passed"]
            found[posting.key.policy, posting.recipient] = Summary(
                posting.recipient, posting.at, counted.total() - closed, closed
            )
    return list(found.values())


def mails_by_day(
    config: Configuration, before: Hindsight, after: Hindsight
) -> list[dict[str, Any]]:
    """Mails by recipient and day of the recipient's zone, as either book would have sent them."""
    old, new = (_by_day(config, book.mails()) for book in (before, after))
    return [
        {"recipient": who, "day": day, "before": old[who, day], "after": new[who, day]}
        for who, day in sorted(old.keys() | new.keys())
    ]


def _by_day(config: Configuration, mails: Sequence[Posting]) -> Counter[tuple[str, Any]]:
    def day(mail: Posting) -> Any:
        reader = reader_of(config.network, mail.recipient)
        local = reader.zone if reader is not None else config.network.company.zone
        return mail.at.astimezone(zone(local)).date()

    return Counter((m.recipient, day(m)) for m in mails)
