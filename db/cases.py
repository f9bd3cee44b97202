"""Exception cases as they are kept, and the wishes of people about them.

Timers are set before case rows are locked, everywhere, so that a person's click and a worker's
round never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db import audit, records, subscriptions, switches, timers, trips
from db.tables import case_note, exception_case
from db.trips import Statement
from tower import case_wishes, cases
from tower.access import Scope
from tower.cases import Case, Changed, Note
from tower.errors import AccessDenied
from tower.signs import Subject
from tower.subscriptions import Subscription

_c = exception_case.c

_COLUMNS = (
    "fingerprint", "cycle", "category", "severity", "base_severity", "state", "resolution", "rule",
    "level", "levels", "home_key", "kind", "scope", "number", "line", "clock_cycle", "partner_id",
    "supplier", "title", "advice", "owner", "owner_letter", "policy", "cause", "opened_at",
    "detected_at", "due_at", "first_taken_at", "taken_until", "snoozed_until", "resolved_at",
    "reopened", "held_subjects", "why", "shares", "parent_id", "verdict", "judged_at",
)  # fmt: skip


# --- reading --------------------------------------------------------------------------------------


def of_row(row: Any) -> Case:
    """A row of ``exception_case`` that tells its columns by name."""
    return Case(
        id=row.id,
        fingerprint=row.fingerprint,
        cycle=row.cycle,
        subject=Subject(row.kind, row.scope, row.number, row.line),
        home_key=row.home_key,
        category=row.category,
        rule=row.rule,
        level=row.level,
        levels=tuple(row.levels),
        base_severity=row.base_severity,
        severity=row.severity,
        state=row.state,
        resolution=row.resolution,
        clock_cycle=row.clock_cycle,
        partner_id=row.partner_id,
        supplier=row.supplier,
        title=row.title,
        advice=row.advice,
        owner=row.owner,
        letter=row.owner_letter,
        policy=row.policy,
        cause=row.cause,
        opened_at=row.opened_at,
        detected_at=row.detected_at,
        due_at=row.due_at,
        resolved_at=row.resolved_at,
        first_taken_at=row.first_taken_at,
        taken_until=row.taken_until,
        snoozed_until=row.snoozed_until,
        reopened=row.reopened,
        held_subjects=row.held_subjects,
        why=row.why,
        shares=row.shares,
        parent_id=row.parent_id,
        verdict=row.verdict,
        judged_at=row.judged_at,
    )


def _select() -> Select[Any]:
    return select(_c.id, *(_c[name] for name in _COLUMNS))


def latest_locked(conn: Connection, fingerprints: Iterable[str]) -> dict[str, Case]:
    """The latest case of each fingerprint, locked until the transaction ends."""
    wanted = sorted(set(fingerprints))
    if not wanted:
        return {}
    rows = conn.execute(
        _select().where(_c.fingerprint.in_(wanted)).order_by(_c.id).with_for_update()
    )
    found: dict[str, Case] = {}
    for row in rows:
        case = of_row(row)
        if case.fingerprint not in found or case.cycle > found[case.fingerprint].cycle:
            found[case.fingerprint] = case
    return found


@dataclass(frozen=True, slots=True)
class Figures:
    """What a case costs, as it was last worked out; see tower.priority."""

    value_at_risk: Decimal | None = None
    document_value: Decimal | None = None
    currency: str | None = None
    orders_affected: int = 0
    lines_affected: int = 0
    urgency: float | None = None
    confidence: float | None = None
    priority: float | None = None
    need_date: date | None = None


_FIGURES = tuple(field.name for field in fields(Figures))


def for_round(
    conn: Connection,
    fingerprints: Iterable[str],
    homes: Iterable[int],
    beside: Sequence[trips.Asked] = (),
) -> tuple[list[tuple[Case, Figures]], list[list[Any]]]:
    """Every case of these fingerprints and every open case of these homes, locked, by number; and
    the answers to what is asked beside."""
    marks, places = sorted(set(fingerprints)), sorted(set(homes))
    if not marks and not places:
        return [], []
    given = {"marks": marks, "places": records.numbers(places)}
    rows, *answers = trips.ask(conn, (_for_round, given), *beside)
    found = [(of_row(row), Figures(*(getattr(row, name) for name in _FIGURES))) for row in rows]
    return found, answers


_for_round = Statement(
    select(_c.id, *(_c[name] for name in _COLUMNS), *(_c[name] for name in _FIGURES))
    .where(
        or_(
            _c.fingerprint == any_(bindparam("marks", type_=ARRAY(Text))),
            and_(
                _c.home_key == any_(bindparam("places", type_=ARRAY(BigInteger))),
                _c.state != "resolved",
            ),
        )
    )
    .order_by(_c.id)
    .with_for_update(),
    named=True,
)


def set_figures(
    conn: Connection, figures: Sequence[tuple[int, Figures, Mapping[str, Any]]]
) -> None:
    """Write figures of cases, with the ``why`` that now holds their factors."""
    records.change(
        conn,
        exception_case,
        [
            {"id": case_id, **{name: getattr(given, name) for name in _FIGURES}, "why": why}
            for case_id, given, why in sorted(figures, key=lambda f: f[0])
        ],
        keys=("id",),
        beside=("why",),
    )


def set_held(conn: Connection, home: int, clocks: int) -> None:
    """How many clocks wait for the source whose open case this is."""
    conn.execute(
        update(exception_case)
        .where(
            _c.home_key == home,
            _c.kind == "source",
            _c.state != "resolved",
            _c.held_subjects != clocks,
        )
        .values(held_subjects=clocks)
    )


def by_ids(conn: Connection, ids: Iterable[int], *, lock: bool = False) -> list[Case]:
    """These cases in order of their number; those that do not exist are left out."""
    wanted = sorted(set(ids))
    if not wanted:
        return []
    query = _select().where(_c.id.in_(wanted)).order_by(_c.id)
    return [of_row(row) for row in conn.execute(query.with_for_update() if lock else query)]


def carriers(conn: Connection, merged: Iterable[Case]) -> dict[int, Case]:
    """The case that goes on with each of these, or did until it ended: what it was merged into,
    what that was merged into, and so on. Left out where nothing does."""
    starts = [c for c in merged if c.id is not None]
    known = {c.id: c for c in starts}
    asked = _merged_into(starts) - known.keys()
    while asked:
        found = by_ids(conn, asked)
        known |= {c.id: c for c in found}
        asked = _merged_into(found) - known.keys()
    carried: dict[int, Case] = {}
    for case in starts:
        passed: set[int | None] = set()
        at: Case | None = case
        while at is not None and at.resolution == "merged" and at.id not in passed:
            passed.add(at.id)
            at = known.get(at.parent_id)
        if at is not None and at.resolution != "merged":
            carried[case.id or 0] = at
    return carried


def _merged_into(found: Iterable[Case]) -> set[int]:
    return {c.parent_id for c in found if c.resolution == "merged" and c.parent_id is not None}


def merged_under(conn: Connection, ids: Iterable[int]) -> list[int]:
    """Numbers of the cases that were merged into these, and into those again."""
    rows = trips.ask_one(conn, _merged_under, {"cases": sorted(set(ids))})
    return [row.id for row in rows]


_merged_under = Statement(
    """
    WITH RECURSIVE under AS (
        SELECT id FROM exception_case
        WHERE parent_id = ANY(%(cases)s::bigint[]) AND resolution = 'merged'
        UNION
        SELECT c.id FROM exception_case c JOIN under ON c.parent_id = under.id
        WHERE c.resolution = 'merged')
    SELECT id FROM under ORDER BY id
    """,
    named=True,
)


def open_cases(
    conn: Connection, rule: str, *, supplier: str | None = None, subject: Subject | None = None
) -> list[Case]:
    """Open cases of a rule, of one supplier or about one subject where that is given."""
    query = _select().where(_c.rule == rule, _c.state != "resolved").order_by(_c.id)
    if supplier is not None:
        query = query.where(_c.supplier == supplier)
    if subject is not None:
        query = query.where(
            _c.kind == subject.kind,
            _c.scope == subject.scope,
            _c.number == subject.number,
            _c.line == subject.line,
        )
    return [of_row(row) for row in conn.execute(query)]


# --- writing --------------------------------------------------------------------------------------


Weighed = tuple[Figures, Mapping[str, Any]]
"""Figures of a case, and the factors they came from."""


def write(
    conn: Connection,
    changes: Sequence[Changed],
    weighed: Mapping[tuple[str, int], Weighed] | None = None,
) -> list[Changed]:
    """Store cases and their notes; the same changes with the numbers that new cases were given.

    ``weighed``: figures of new cases by fingerprint and cycle; others have ``set_figures``.
    """
    return write_and_ask(conn, changes, (), weighed)[0]


def write_and_ask(
    conn: Connection,
    changes: Sequence[Changed],
    asked: Sequence[trips.Asked],
    weighed: Mapping[tuple[str, int], Weighed] | None = None,
) -> tuple[list[Changed], list[list[Any]]]:
    """The same, and the answers to what is asked of all cases as they then are."""
    ordered = sorted(changes, key=lambda c: (c.case.id or 0, c.case.fingerprint, c.case.cycle))
    new = [c for c in ordered if c.case.id is None]
    rows = [_new_row(c.case, (weighed or {}).get((c.case.fingerprint, c.case.cycle))) for c in new]
    records.change(
        conn,
        exception_case,
        [{"id": c.case.id, **_row(c.case)} for c in ordered if c.case.id is not None],
        keys=("id",),
        beside=("why",),
    )
    given: list[Any] = []
    wanting = None
    if rows:
        named = ("id", "fingerprint", "cycle")
        adding = records.putting(exception_case, rows, returning=named, beside=("why",))
        given, subscribed, *answers = trips.ask(conn, adding, subscriptions.IN_FORCE, *asked)
        wanting = subscriptions.case_listeners(subscribed)
    else:
        answers = trips.ask(conn, *asked) if asked else []
    numbers = {(row.fingerprint, row.cycle): row.id for row in given}
    stored = [
        c
        if c.case.id is not None
        else replace(c, case=replace(c.case, id=numbers[c.case.fingerprint, c.case.cycle]))
        for c in ordered
    ]
    told = [(c.case.id, note) for c in stored for note in c.notes if c.case.id]
    add_notes(conn, told, wanting)
    return stored, answers


def add_notes(
    conn: Connection,
    notes: Sequence[tuple[int, Note]],
    wanting: Sequence[Subscription] | None = None,
) -> None:
    """Add to the histories of cases; who subscribed to cases is told of it.

    ``wanting``: who did, where that is known.
    """
    if wanting is None:
        asked = trips.ask_one(conn, *subscriptions.IN_FORCE) if notes else []
        wanting = subscriptions.case_listeners(asked)
    added = records.put(
        conn,
        case_note,
        [
            {"case_id": case_id, "at": n.at, "author": n.author, "kind": n.kind, "text": n.text}
            for case_id, n in notes
        ],
        returning=("id", "case_id", "at", "author", "kind", "text") if wanting else (),
    )
    if wanting:
        subscriptions.tell_notes(conn, wanting, added)


def _new_row(case: Case, weighed: Weighed | None) -> dict[str, Any]:
    figures, factors = weighed or (Figures(), {})
    why = {**case.why, "priority": factors} if weighed is not None else case.why
    return {
        **_row(case), **{name: getattr(figures, name) for name in _FIGURES}, "why": why
    }  # fmt: skip


def _row(case: Case) -> dict[str, Any]:
    return {
        "fingerprint": case.fingerprint,
        "cycle": case.cycle,
        "category": case.category,
        "severity": case.severity,
        "base_severity": case.base_severity,
        "state": case.state,
        "resolution": case.resolution,
        "rule": case.rule,
        "level": case.level,
        "levels": case.levels,
        "home_key": case.home_key,
        "kind": case.subject.kind,
        "scope": case.subject.scope,
        "number": case.subject.number,
        "line": case.subject.line,
        "clock_cycle": case.clock_cycle,
        "partner_id": case.partner_id,
        "supplier": case.supplier,
        "title": case.title,
        "advice": case.advice,
        "owner": case.owner,
        "owner_letter": case.letter,
        "policy": case.policy,
        "cause": case.cause,
        "opened_at": case.opened_at,
        "detected_at": case.detected_at,
        "due_at": case.due_at,
        "first_taken_at": case.first_taken_at,
        "taken_until": case.taken_until,
        "snoozed_until": case.snoozed_until,
        "resolved_at": case.resolved_at,
        "reopened": case.reopened,
        "held_subjects": case.held_subjects,
        "why": case.why,
        "shares": case.shares,
        "parent_id": case.parent_id,
        "verdict": case.verdict,
        "judged_at": case.judged_at,
    }


# --- what people wish -----------------------------------------------------------------------------


def take(conn: Connection, scope: Scope, case_id: int, who: str, now: datetime) -> Case:
    """Somebody looks after it: no raising again for four hours."""
    return _wish(conn, scope, case_id, now + cases.TAKEN_FOR, lambda c: cases.take(c, who, now))


def snooze(
    conn: Connection, scope: Scope, case_id: int, who: str, until: datetime, now: datetime
) -> Case:
    """Silence until then; what is still open at that time is told."""
    return _wish(conn, scope, case_id, until, lambda c: cases.snooze(c, who, now, until))


def resolve(
    conn: Connection,
    scope: Scope,
    case_id: int,
    who: str,
    resolution: str,
    text: str,
    now: datetime,
    cause: str | None = None,
) -> Case:
    """Close it by hand: repaired, accepted or false_alarm, with words and perhaps a cause."""
    return _wish(
        conn, scope, case_id, now, lambda c: cases.resolve(c, who, now, resolution, text, cause)
    )


def assign(
    conn: Connection, scope: Scope, case_id: int, who: str, owner: str, now: datetime
) -> Case:
    """Give it to another person of network.yaml."""
    return _wish(conn, scope, case_id, now, lambda c: cases.assign(c, who, now, owner))


def wait(
    conn: Connection,
    scope: Scope,
    case_id: int,
    who: str,
    on: str,
    until: datetime,
    now: datetime,
) -> Case:
    """Somebody else must act first; it is raised again at ``until``."""
    return _wish(conn, scope, case_id, until, lambda c: case_wishes.wait(c, who, now, on, until))


def release(conn: Connection, scope: Scope, case_id: int, who: str, now: datetime) -> Case:
    """Give it back: nobody looks after it any more."""
    return _wish(conn, scope, case_id, now, lambda c: case_wishes.release(c, who, now))


def judge(
    conn: Connection,
    scope: Scope,
    case_id: int,
    who: str,
    verdict: str,
    reason: str,
    now: datetime,
) -> Case:
    """Say whether its alert was useful or a false alarm; an open false alarm is closed by it."""
    return _wish(
        conn, scope, case_id, now, lambda c: case_wishes.judge(c, who, now, verdict, reason)
    )


def merge(conn: Connection, scope: Scope, case_id: int, who: str, into: int, now: datetime) -> Case:
    """Close it as a part of the case ``into``, which must be open still when both are ours."""

    def act(case: Case) -> Changed:
        return case_wishes.merge(case, who, now, _visible(by_ids(conn, [into]), scope, into))

    return _wish(conn, scope, case_id, now, act, beside=into)


def note(conn: Connection, scope: Scope, case_id: int, who: str, text: str, now: datetime) -> None:
    """Add words to the history; nothing else changes."""
    said = text.strip()
    if not said:
        raise cases.NotPossible("The note is empty. Write what you know.")
    switches.check_writable(conn)
    _visible(by_ids(conn, [case_id]), scope, case_id)
    written = Note(now, who, "note", said[:4000])
    add_notes(conn, [(case_id, written)])
    _tell_audit(conn, case_id, [written])


def _wish(
    conn: Connection,
    scope: Scope,
    case_id: int,
    then: datetime,
    act: Callable[[Case], Changed],
    beside: int | None = None,
) -> Case:
    """Do what a person asks for, and have the worker look at the case at ``then``.

    Who accepts a root cause, or calls it a false alarm, decides so about all that hang under it.
    ``beside`` is another case that ``act`` goes by: nobody changes it meanwhile.
    """
    switches.check_writable(conn)
    # What does not fit is refused before anything is locked, and once more when nobody else can
    # change it any more.
    act(_visible(by_ids(conn, [case_id]), scope, case_id))
    timers.sooner(conn, [timers.Timer(timers.CASE, str(case_id), then)])
    locked = by_ids(conn, {case_id, case_id if beside is None else beside}, lock=True)
    changed = act(_visible([c for c in locked if c.id == case_id], scope, case_id))
    write(conn, [changed])
    _tell_audit(conn, case_id, changed.notes)
    case = changed.case
    if case.subject.kind == CAUSE and case.resolution in _FOR_ALL:
        last = changed.notes[-1]
        under = _open_under(conn, case_id)
        timers.sooner(conn, [timers.Timer(timers.CASE, str(c.id), then) for c in under])
        text = f"with case {case_id}"
        write(
            conn,
            [
                cases.resolve(c, last.author, last.at, case.resolution, text, case.cause)
                for c in under
            ],
        )
    return case


def _tell_audit(conn: Connection, case_id: int, notes: Sequence[Note]) -> None:
    for one in notes:
        audit.record(
            conn, one.author, f"case.{one.kind}", f"case:{case_id}", {"text": one.text}, one.at
        )


_FOR_ALL = ("accepted", "false_alarm")
CAUSE = "cause"  # subject kind of root causes (tower/root_causes.py)


def _open_under(conn: Connection, case_id: int) -> list[Case]:
    query = _select().where(_c.parent_id == case_id, _c.state != "resolved").order_by(_c.id)
    return [of_row(row) for row in conn.execute(query.with_for_update())]


def _visible(found: Sequence[Case], scope: Scope, case_id: int) -> Case:
    """The one case asked for; the same words whether it is missing or not theirs to see."""
    allowed = scope.partner_ids
    for case in found:
        if allowed is None or case.partner_id in allowed:
            return case
    raise AccessDenied(f"There is no case {case_id} in your area.")
