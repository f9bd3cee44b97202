"""Subjects of the figures about whole orders and their invoices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
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
from db.reads.counting import (
    CANCELLED,
    LONGEST_ORDER,
    NOT_MEASURED,
    PENDING,
    UNKNOWN,
    Counted,
    Question,
    Reference,
    as_instant,
    midnight,
    number,
    of_order,
    parties,
    subject,
    within,
)
from db.reads.filters import of_supplier, within_scope
from db.reads.kpi_receipts import came_by, cancelled_before, due_day, lines
from db.reads.kpi_shipments import sends_notices
from db.tables import document, event_object, flow_link
from tower.kpis import HIT, MISS

NOT_COMPLETE, NOT_TRANSMITTED, UNCHECKED = "not_complete", "not_transmitted", "unchecked"

INVOICED = ("invoice_matched", "invoice_refused")
"""Words for an invoice of which either is known."""

_DONE = ("received", "invoiced")


def lead_time(question: Question) -> Counted:
    """Orders completed in the span, with the days since they were transmitted."""
    d = document.c
    sent = cast(func.timezone(question.zone, d.transmitted_at), Date)
    complete = or_(d.status.in_(_DONE), and_(d.status == "closed", d.received_qty >= d.ordered_qty))
    days = cast(d.actual_receipt_date - sent, Integer)
    columns = subject(
        question,
        Reference.of(d),
        as_instant(d.actual_receipt_date),
        case(
            (d.partner_id.in_(question.onboarding), NOT_MEASURED),
            (~func.coalesce(complete, False), NOT_COMPLETE),
            (d.transmitted_at.is_(None), NOT_TRANSMITTED),
            else_=HIT,
        ),
        amount=number(func.greatest(days, 0)),
        dimensions={**of_order(d), **goods.of_order(question, d.home_key)},
        facts={"transmitted": d.transmitted_at, "complete": d.actual_receipt_date},
    )
    return Counted(
        select(*columns).where(
            d.kind == "po",
            d.line == "",
            d.released_at >= midnight(question.first) - LONGEST_ORDER,
            d.actual_receipt_date >= question.first,
            d.actual_receipt_date < question.beyond,
            *question.of_week(d.home_key, "po"),
            *parties(question, d, whole=True),
            *goods.narrowed(question, d.home_key),
        ),
        (NOT_MEASURED, NOT_COMPLETE, NOT_TRANSMITTED),
    )


def _passed(facts: Mapping[str, ColumnElement[Any]]) -> ColumnElement[str]:
    """The parts that an order passes, and whether its invoice was refused, in words."""
    refused = case((facts[INVOICED[0]].is_(False), INVOICED[1]))
    return func.concat_ws(
        " ", *(case((fact, name)) for name, fact in facts.items() if name != "due"), refused
    )


def perfect_order(question: Question) -> Counted:
    """Orders by their last due day, with the four parts that make them perfect."""
    d = document.c
    due = due_day(d)
    told = func.coalesce(d.discrepancies, "")
    kept = d.cancelled_at.is_(None) | ~cancelled_before(d, due)
    line = (
        select(
            d.home_key,
            d.scope,
            d.number,
            d.partner_id,
            d.buyer,
            d.warehouse,
            due.label("due"),
            kept.label("kept"),
            (func.coalesce(d.received_qty, 0) >= d.ordered_qty).label("full"),
            and_(came_by(d) >= d.ordered_qty, told.not_like("%other_site%")).label("in_time"),
            d.answer.in_(("accepted", "accepted_with_changes", "substituted")).label("answered"),
            or_(d.asn_status.in_(("valid", "announced")), ~sends_notices(question.conn)).label(
                "announced"
            ),
            and_(told.not_like("%damaged%"), func.coalesce(d.rejected_qty, 0) == 0).label("sound"),
        )
        .where(*lines(question, "po_line", due, whole=True))
        .subquery()
    )
    x = line.c

    def all_of(part: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.coalesce(func.bool_and(func.coalesce(part, False)).filter(x.kept), True)

    last = func.max(x.due)
    grouped = (
        select(
            x.home_key,
            func.min(x.scope).label("scope"),
            func.min(x.number).label("number"),
            func.min(x.partner_id).label("partner_id"),
            func.min(x.buyer).label("buyer"),
            func.min(x.warehouse).label("warehouse"),
            last.label("due"),
            func.bool_or(x.kept).label("kept"),
            all_of(x.full).label("full"),
            all_of(x.in_time).label("in_time"),
            and_(all_of(x.answered), all_of(x.announced)).label("papers"),
            all_of(x.sound).label("sound"),
        )
        .group_by(x.home_key)
        .having(last >= question.first, last < question.beyond)
        .subquery()
        .c
    )
    tie, invoice = flow_link.alias("invoice_tie").c, document.alias("invoice").c
    matched: ColumnElement[Any] = (
        select(
            case(
                (func.bool_or(invoice.status == "mismatched"), False),
                (func.bool_and(invoice.status == "matched"), True),
            )
        )
        .where(
            tie.home_key == grouped.home_key,
            invoice.home_key == tie.other_key,
            invoice.kind == "invoice",
            func.coalesce(invoice.type, "") != "credit",
        )
        .scalar_subquery()
    )
    parts = and_(grouped.full, grouped.in_time, grouped.papers, grouped.sound)
    rested = select(*grouped, parts.label("parts"), matched.label("matched")).subquery().c
    first: list[tuple[Any, str]] = [
        (rested.due >= question.today, PENDING),
        (~rested.kept, CANCELLED),
    ]
    if question.onboarding:
        first.append((rested.partner_id.in_(question.onboarding), NOT_MEASURED))
    if question.receipts_known_to is not None:
        blind = and_(rested.due >= question.receipts_known_to, ~rested.full)
        first.append((blind, UNKNOWN))
    facts: dict[str, ColumnElement[Any]] = {
        "due": rested.due,
        "in_full": rested.full,
        "by_date_and_site": rested.in_time,
        "answer_and_notice": rested.papers,
        "undamaged": rested.sound,
        "invoice_matched": rested.matched,
    }
    columns = subject(
        question,
        Reference(literal("po"), rested.scope, rested.number),
        as_instant(rested.due),
        case(
            *first,
            (or_(~rested.parts, rested.matched.is_(False)), MISS),
            (rested.matched.is_(None), UNKNOWN),
            else_=HIT,
        ),
        dimensions={**of_order(rested), **goods.of_order(question, rested.home_key)},
        facts=facts,
        unit=None if question.week is None else _passed(facts),
    )
    return Counted(select(*columns), (PENDING, CANCELLED, NOT_MEASURED, UNKNOWN))


def invoice_match(question: Question) -> Counted:
    """Invoices that came in the span, by what the ERP found first."""
    d, o = document.c, event_object.c
    blocked = exists().where(
        o.home_key == d.home_key,
        o.kind == "invoice",
        o.scope == d.scope,
        o.number == d.number,
        o.type == "invoice.blocked",
    )
    columns = subject(
        question,
        Reference.of(d),
        d.released_at,
        case(
            (func.coalesce(d.type, "") == "credit", "credit"),
            (d.status == "announced", UNCHECKED),
            (and_(d.status == "matched", ~blocked), HIT),
            else_=MISS,
        ),
        healed=and_(d.status == "matched", blocked),
        dimensions={"supplier": d.partner_id},
        facts={"received": d.released_at, "state": d.status, "value": d.value},
    )
    return Counted(
        select(*columns).where(
            d.kind == "invoice",
            d.known,
            *within(d.released_at, question.span),
            *question.of_week(d.home_key, "invoice"),
            *within_scope(d, question.scope),
            *of_supplier(d, question.narrowed.supplier),
        ),
        ("credit", UNCHECKED),
    )
