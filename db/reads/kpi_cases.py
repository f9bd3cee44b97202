"""Subjects of the figures about exceptions, and about the customers that wait."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from db.reads import goods
from db.reads.business_hours import open_hours
from db.reads.counting import Counted, Question, Reference, hours, number, subject, within
from db.reads.overview import IS_OPEN, case_conditions, impact_conditions
from db.tables import case_note, clock, document, exception_case, order_impact, told
from tower.cases import AUTHOR
from tower.kpis import HIT, MISS

HEALED_UNTAKEN, UNJUDGED = "healed_untaken", "unjudged"
ASIDE = ("false_alarm", "merged")

_header = document.alias("case_header")


def _source(question: Question) -> Any:
    """Cases, with the header of their order where buyer or warehouse are asked for."""
    c, h = exception_case.c, _header.c
    if not question.wants("buyer", "warehouse"):
        return exception_case
    return exception_case.outerjoin(
        _header,
        and_(
            h.home_key == c.home_key,
            h.kind == "po",
            h.scope == c.scope,
            h.number == c.number,
            h.line == "",
        ),
    )


def _conditions(question: Question) -> list[ColumnElement[bool]]:
    found = case_conditions(question.scope, question.narrowed)
    if question.narrowed.topic is not None:
        found.append(exception_case.c.category == question.narrowed.topic)
    return found


def _case(
    question: Question, at: ColumnElement[Any], verdict: ColumnElement[str], **more: Any
) -> list[ColumnElement[Any]]:
    c, h = exception_case.c, _header.c
    facts = {
        "category": c.category,
        "opened": c.opened_at,
        "taken": c.first_taken_at,
        "resolved": c.resolved_at,
        "resolution": c.resolution,
        "state": c.state,
        **more.pop("facts", {}),
    }
    return subject(
        question,
        Reference(literal("case"), literal(""), cast(c.id, Text)),
        at,
        verdict,
        dimensions={
            "supplier": c.partner_id,
            "buyer": h.buyer,
            "warehouse": h.warehouse,
            "topic": c.category,
            **goods.of_order(question, c.home_key, goods.of_line(c.line)),
        },
        facts=facts,
        **more,
    )


def open_exceptions(question: Question) -> Counted:
    """Cases that are not resolved."""
    c = exception_case.c
    columns = _case(question, c.opened_at, literal(HIT))
    return Counted(
        select(*columns).select_from(_source(question)).where(IS_OPEN, *_conditions(question))
    )


def exception_age(question: Question) -> Counted:
    """Cases that are not resolved, with their age in hours."""
    c = exception_case.c
    columns = _case(
        question,
        c.opened_at,
        literal(HIT),
        amount=hours(c.opened_at, literal(question.now)),
        facts={"snoozed_until": c.snoozed_until},
    )
    return Counted(
        select(*columns).select_from(_source(question)).where(IS_OPEN, *_conditions(question))
    )


def mtta(question: Question) -> Counted:
    """Cases first taken in the span, with the open hours that took; beside them what nobody took
    before it healed."""
    c = exception_case.c
    source, took = open_hours(question, _source(question), None, c.opened_at, c.first_taken_at)
    columns = _case(
        question,
        func.coalesce(c.first_taken_at, c.resolved_at),
        case((c.first_taken_at.is_(None), HEALED_UNTAKEN), else_=HIT),
        amount=took,
    )
    return Counted(
        select(*columns)
        .select_from(source)
        .where(
            or_(
                and_(*within(c.first_taken_at, question.span)),
                and_(c.first_taken_at.is_(None), *within(c.resolved_at, question.span)),
            ),
            *_conditions(question),
        ),
        (HEALED_UNTAKEN,),
    )


def _resolved(question: Question, verdict: ColumnElement[str], **more: Any) -> Counted:
    c = exception_case.c
    aside = case((c.resolution.in_(ASIDE), c.resolution), else_=verdict)
    columns = _case(question, c.resolved_at, aside, **more)
    return Counted(
        select(*columns)
        .select_from(_source(question))
        .where(
            c.state == "resolved", *within(c.resolved_at, question.span), *_conditions(question)
        ),
        ASIDE,
    )


def mttr(question: Question) -> Counted:
    """Cases resolved in the span, with the hours since they opened."""
    c = exception_case.c
    return _resolved(question, literal(HIT), amount=hours(c.opened_at, c.resolved_at))


def auto_healed(question: Question) -> Counted:
    """Cases resolved in the span: by evidence alone, or with somebody's help."""
    c, n = exception_case.c, case_note.c
    by_people = exists().where(n.case_id == c.id, n.author != AUTHOR)
    alone = and_(c.resolution == "healed", c.first_taken_at.is_(None), ~by_people)
    return _resolved(question, case((alone, HIT), else_=MISS))


def alert_precision(question: Question) -> Counted:
    """Cases that somebody was told of and that ended or were judged in the span."""
    c, k, t = exception_case.c, clock.c, told.c
    at = func.coalesce(c.judged_at, c.resolved_at)
    # The clock says it came in time although the case said it had not: late evidence.
    in_time = exists().where(
        k.home_key == c.home_key,
        k.rule == c.rule,
        k.kind == c.kind,
        k.scope == c.scope,
        k.number == c.number,
        k.line == c.line,
        k.cycle == c.clock_cycle,
        k.verdict == "met",
        c.opened_at >= k.due_at,
    )
    false = or_(
        c.verdict == "false_alarm",
        c.resolution == "false_alarm",
        and_(c.verdict.is_(None), c.resolution == "healed", in_time),
    )
    useful = or_(c.verdict == "useful", and_(c.verdict.is_(None), c.resolution == "repaired"))
    columns = _case(
        question,
        at,
        case(
            (func.coalesce(false, False), MISS), (func.coalesce(useful, False), HIT), else_=UNJUDGED
        ),
        facts={"verdict": c.verdict},
    )
    return Counted(
        select(*columns)
        .select_from(_source(question))
        .where(
            or_(
                and_(*within(c.judged_at, question.span)),
                and_(c.judged_at.is_(None), *within(c.resolved_at, question.span)),
            ),
            exists().where(t.case_id == c.id),
            *_conditions(question),
        ),
        (UNJUDGED,),
    )


# --- customers that wait --------------------------------------------------------------------------


def _affected(question: Question) -> list[ColumnElement[bool]]:
    found = impact_conditions(question.scope, question.narrowed)
    if question.narrowed.topic is not None:
        found.append(order_impact.c.cause == question.narrowed.topic)
    return found


def _impact_dimensions(question: Question) -> tuple[dict[str, Any], list[Any]]:
    """Dimensions of an affected line; the columns by which lines are kept apart for them."""
    i = order_impact.c
    columns: dict[str, ColumnElement[Any]] = {
        "supplier": i.partner_id,
        "buyer": i.buyer,
        "warehouse": i.warehouse,
        "topic": i.cause,
    }
    if question.wants("category"):
        columns["category"] = goods.AT_RISK
    apart = [columns[name] for name in sorted(question.needs) if name in columns]
    if question.detailed:
        return {name: func.min(column) for name, column in columns.items()}, []
    return columns, apart


def _waiting(question: Question) -> FromClause:
    return goods.waiting() if question.wants("category") else order_impact


def orders_affected(question: Question) -> Counted:
    """Customer orders with an affected line."""
    i = order_impact.c
    dimensions, apart = _impact_dimensions(question)
    columns = subject(
        question,
        Reference(literal("order"), i.scope, i.order),
        func.min(i.since),
        literal(HIT),
        dimensions=dimensions,
        facts={
            "lines": func.count(func.distinct(i.order_line)),
            "promised": func.min(i.promise_date),
            "projected": func.max(i.projected_date),
            "customer": func.min(i.customer_name),
        },
    )
    return Counted(
        select(*columns)
        .select_from(_waiting(question))
        .where(*_affected(question))
        .group_by(i.scope, i.order, *apart)
    )


def value_at_risk(question: Question) -> Counted:
    """Affected customer order lines with their open value, each once."""
    i = order_impact.c
    dimensions, apart = _impact_dimensions(question)
    value = func.max(i.open_value)
    columns = subject(
        question,
        Reference(literal("order_line"), i.scope, i.order, i.order_line),
        func.min(i.since),
        case((value.is_(None), "unpriced"), else_=HIT),
        amount=value,
        unit=i.currency,
        dimensions=dimensions,
        facts={
            "days_late": func.max(i.days_late),
            "confidence": func.max(i.confidence),
            "promised": func.min(i.promise_date),
            "projected": func.max(i.projected_date),
        },
        extras={"weighed": value * number(func.max(i.confidence))},
    )
    return Counted(
        select(*columns)
        .select_from(_waiting(question))
        .where(*_affected(question))
        .group_by(i.scope, i.order, i.order_line, i.currency, *apart),
        ("unpriced",),
    )
