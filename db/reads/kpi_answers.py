"""Subjects of the figures about answers: acknowledgements, first confirmations, coverage."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    Select,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)

from db.reads import goods
from db.reads.business_hours import open_hours
from db.reads.counting import (
    LONGEST_ORDER,
    UNKNOWN,
    Counted,
    Question,
    Reference,
    as_instant,
    hours,
    is_hit,
    number,
    of_line,
    of_order,
    parties,
    subject,
    within,
)
from db.reads.filters import Period, of_supplier, within_scope
from db.reads.rules import rules_of
from db.tables import clock, document
from tower.kpis import CLOCK_COUNTS, HIT, MISS

ACK, FA = "ACK_OVERDUE", "FA_OVERDUE"
DUE_CATEGORIES = ("ACK_OVERDUE", "ASN_MISSING", "FA_OVERDUE", "ACK_NOT_IN_ERP")
CLOCK_OUTSIDE = ("pending", "at_risk", "not_measured", "unknown")
NOT_TRANSMITTED, UNDECIDED = "not_transmitted", "undecided"

_header = document.alias("header")


def clock_verdict() -> ColumnElement[str]:
    """hit, miss, or the clock's own word."""
    return case(dict(CLOCK_COUNTS), value=clock.c.verdict, else_=clock.c.verdict)


def clocks(question: Question, *, header: bool = False) -> tuple[FromClause, list[Any]]:
    """Clocks in the viewer's scope and choice that fell due in the span: (from, conditions).

    ``header``: the purchase order's header is needed; else it is joined only where buyer or
    warehouse are.
    """
    c, h = clock.c, _header.c
    conditions = [
        *within(c.due_at, question.span),
        *within_scope(c, question.scope),
        *of_supplier(c, question.narrowed.supplier),
        *question.of_week(c.home_key),
    ]
    source: FromClause = clock
    if header or question.wants("buyer", "warehouse"):
        source = clock.outerjoin(
            _header,
            and_(
                h.home_key == c.home_key,
                h.kind == "po",
                h.scope == c.scope,
                h.number == c.number,
                h.line == "",
            ),
        )
    if question.narrowed.buyer is not None:
        conditions.append(h.buyer == question.narrowed.buyer)
    if question.narrowed.warehouse is not None:
        conditions.append(h.warehouse == question.narrowed.warehouse)
    if question.narrowed.category is not None:
        conditions.append(goods.has(c.home_key, question.narrowed.category))
    return source, conditions


def _dimensions(question: Question) -> dict[str, ColumnElement[Any]]:
    c, h = clock.c, _header.c
    return {
        "supplier": c.partner_id,
        "buyer": h.buyer,
        "warehouse": h.warehouse,
        **goods.of_order(question, c.home_key),
    }


def _in_time(question: Question, *categories: str) -> Counted:
    c, h = clock.c, _header.c
    source, conditions = clocks(question)
    columns = subject(
        question,
        Reference.of(c),
        c.due_at,
        clock_verdict(),
        healed=c.verdict == "met_late",
        dimensions=_dimensions(question),
        facts={"due": c.due_at, "transmitted": h.transmitted_at, "came": c.ended_at}
        if question.detailed
        else None,
    )
    rules = rules_of(question.conn, *categories)
    return Counted(
        select(*columns).select_from(source).where(c.rule.in_(rules), *conditions), CLOCK_OUTSIDE
    )


def ack_on_time(question: Question) -> Counted:
    """Clocks of answers that fell due."""
    return _in_time(question, ACK)


def fa_rate(question: Question) -> Counted:
    """Clocks of functional acknowledgements that fell due."""
    return _in_time(question, FA)


def ack_cycle(question: Question) -> Counted:
    """The same orders, with the time to their first answer; unanswered ones go on counting."""
    c, h = clock.c, _header.c
    source, conditions = clocks(question, header=True)
    came = case((c.verdict.in_(("met", "met_late")), c.ended_at))
    answered = func.coalesce(h.acknowledged_at, came)
    until = func.coalesce(answered, question.as_of)
    if question.definition.id == "ack_cycle_business":
        source, took = open_hours(question, source, c.partner_id, h.transmitted_at, until)
    else:
        took = hours(h.transmitted_at, until)
    verdict = case(
        (c.verdict.not_in(tuple(CLOCK_COUNTS)), c.verdict),
        (h.transmitted_at.is_(None), NOT_TRANSMITTED),
        (answered.is_(None), MISS),
        else_=HIT,
    )
    columns = subject(
        question,
        Reference.of(c),
        c.due_at,
        verdict,
        amount=took,
        dimensions=_dimensions(question),
        facts={"transmitted": h.transmitted_at, "answered": answered, "due": c.due_at},
        extras={
            "ours": hours(h.released_at, h.transmitted_at),
            "erp_posting": hours(answered, h.applied_at),
        },
    )
    rules = rules_of(question.conn, ACK)
    return Counted(
        select(*columns).select_from(source).where(c.rule.in_(rules), *conditions),
        (*CLOCK_OUTSIDE, NOT_TRANSMITTED),
        ("ours", "erp_posting"),
    )


def coverage(question: Question) -> Counted:
    """Purchase orders with a clock due: judged, or not while a feed was silent."""
    if question.week is not None:
        return _days_covered(question)
    c, h = clock.c, _header.c
    source, conditions = clocks(question)
    dark = func.bool_or(c.verdict == UNKNOWN)
    joined = question.wants("buyer", "warehouse")
    columns = subject(
        question,
        Reference(literal("po"), func.min(c.scope), func.min(c.number)),
        func.min(c.due_at),
        case((dark, MISS), else_=HIT),
        dimensions={
            "supplier": func.min(c.partner_id),
            **({"buyer": func.min(h.buyer), "warehouse": func.min(h.warehouse)} if joined else {}),
            **goods.of_order(question, c.home_key),
        },
        facts={"clocks": func.count(), "silent": func.max(c.held_by)},
    )
    rules = rules_of(question.conn, *DUE_CATEGORIES)
    return Counted(
        select(*columns)
        .select_from(source)
        .where(c.rule.in_(rules), *conditions)
        # One order may fall due in both periods: it counts once in each.
        .group_by(c.home_key, c.due_at >= question.period.start)
    )


def _days_covered(question: Question) -> Counted:
    """Each day on which clocks of an order fell due, with the days since the one before (-1: the
    first): who counts orders of a period takes the first of each. Then the same for the days on
    which one of them was unknown."""
    c, h = clock.c, _header.c
    source, conditions = clocks(question, header=True)
    day = cast(func.timezone("UTC", c.due_at), Date)
    days = (
        select(
            c.home_key,
            day.label("day"),
            func.bool_or(c.verdict == UNKNOWN).label("dark"),
            func.min(c.partner_id).label("partner_id"),
            func.min(h.buyer).label("buyer"),
            func.min(h.warehouse).label("warehouse"),
        )
        .select_from(source)
        .where(c.rule.in_(rules_of(question.conn, *DUE_CATEGORIES)), *conditions)
        .group_by(c.home_key, day)
        .subquery()
        .c
    )
    before = func.lag(days.day).over(partition_by=days.home_key, order_by=days.day)
    columns = [
        as_instant(days.day).label("at"),
        number(func.coalesce(days.day - before, -1)).label("amount"),
        *(column.label(name) for name, column in of_order(days).items()),
    ]
    both = union_all(
        select(literal(HIT).label("verdict"), *columns),
        select(literal(MISS).label("verdict"), *columns).where(days.dark),
    ).subquery()
    return Counted(select(*both.c))


def covered_since(question: Question, midnight: datetime) -> Select[Any]:
    """Orders by what fell due from ``midnight`` to the end of the period, as rows that stand for
    ``n``: what of them fell due in the period before is counted already."""
    c = clock.c
    rules = rules_of(question.conn, *DUE_CATEGORIES)
    source, conditions = clocks(replace(question, span=Period(midnight, question.period.end)))
    late = (
        select(
            c.home_key,
            func.bool_or(c.verdict == UNKNOWN).label("dark"),
        )
        .select_from(source)
        .where(c.rule.in_(rules), *conditions)
        .group_by(c.home_key)
        .cte("late")
    )
    before = clock.alias("before").c
    same = [
        before.home_key == late.c.home_key,
        # Not by the index, which has four searches to do then where one finds all of a family.
        (before.rule + "").in_(rules),
        *within(before.due_at, Period(question.period.start, midnight)),
    ]
    new = ~exists().where(*same)
    newly_dark = and_(late.c.dark, ~exists().where(*same, before.verdict == UNKNOWN))

    def rows(verdict: str, sign: int, which: ColumnElement[bool]) -> Select[str, int]:
        told = literal(verdict).label("verdict")
        return select(told, (sign * func.count()).label("n")).select_from(late).where(which)

    both = union_all(rows(HIT, 1, new), rows(MISS, 1, newly_dark), rows(HIT, -1, newly_dark))
    return select(*both.subquery().c)


def first_confirm(question: Question) -> Counted:
    """Lines whose first answer came in the span: what it kept of the order."""
    d = document.c
    words = func.coalesce(d.first_answer, "")
    kept = words == "kept"
    if question.switches["about"] == "date":
        kept = or_(kept, and_(words != "", words.not_like("%date%"), words != "rejected"))
    verdict = is_hit(
        kept,
        (d.partner_id.in_(question.onboarding), "not_measured"),
        (words == "", UNKNOWN),
        (words == UNDECIDED, UNDECIDED),
    )
    columns = subject(
        question,
        Reference.of(d),
        d.acknowledged_at,
        verdict,
        dimensions=of_line(d),
        facts={
            "answered": d.acknowledged_at,
            "first_answer": d.first_answer,
            "requested": d.requested_date,
            "first_confirmed": d.first_confirmed_date,
        },
    )
    return Counted(
        select(*columns).where(
            d.kind == "po_line",
            d.released_at >= question.span.start - LONGEST_ORDER,
            d.released_at < question.span.end,
            *within(d.acknowledged_at, question.span),
            *question.of_week(d.home_key, "po"),
            *parties(question, d),
        ),
        ("not_measured", UNKNOWN, UNDECIDED),
    )
