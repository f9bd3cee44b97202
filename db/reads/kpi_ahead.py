"""Subjects that pages count and the catalogue of figures does not. Only who counts them ahead by
week (db/rollups.py) asks for them here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sqlalchemy import Date, Float, and_, case, cast, func, literal, select

from db.reads.counting import (
    Counted,
    Question,
    Reference,
    as_instant,
    of_order,
    subject,
    within,
)
from db.reads.receipts import differences, kinds_told
from db.tables import document
from tower.kpi_catalogue import definition
from tower.kpi_definition import Definition
from tower.kpis import HIT

UNDATED = "undated"  # an order that asked for no day


def _lead_days(question: Question) -> Counted:
    """Orders by the day on which they were complete, with the days since they were sent until
    then, or until the day that was asked for."""
    d, header = document.c, document.alias("sent_header")
    h = header.c
    sent = cast(func.timezone("UTC", func.coalesce(h.transmitted_at, h.released_at)), Date)
    whole = and_(d.received_qty >= d.ordered_qty, d.actual_receipt_date.is_not(None))
    day = func.max(d.actual_receipt_date)
    until = day if question.definition.id == ACTUAL.id else func.max(d.requested_date)
    orders = (
        select(
            d.scope,
            d.number,
            d.partner_id,
            func.min(h.buyer).label("buyer"),
            func.min(h.warehouse).label("warehouse"),
            day.label("day"),
            (until - sent).label("days"),
        )
        .select_from(
            document.join(
                header,
                and_(
                    h.home_key == d.home_key,
                    h.kind == "po",
                    h.scope == d.scope,
                    h.number == d.number,
                    h.line == "",
                ),
            )
        )
        .where(
            d.kind == "po_line",
            d.ordered_qty > 0,
            d.cancelled_at.is_(None),
            *question.of_week(d.home_key, "po"),
        )
        .group_by(d.partner_id, d.home_key, d.scope, d.number, sent)
        .having(func.bool_and(whole), day >= question.first, day < question.beyond)
        .subquery()
        .c
    )
    columns = subject(
        question,
        Reference(literal("po"), orders.scope, orders.number),
        as_instant(orders.day),
        case((orders.days.is_(None), UNDATED), else_=HIT),
        amount=cast(orders.days, Float),
        dimensions=of_order(orders),
    )
    return Counted(select(*columns), (UNDATED,))


def _received(question: Question) -> Counted:
    """Lines whose goods came first in the span, with what was wrong with them."""
    d = document.c
    columns = subject(
        question,
        Reference.of(d),
        d.goods_received_at,
        literal(HIT),
        unit=kinds_told(differences(question.conn)),
        dimensions=of_order(d),
    )
    return Counted(
        select(*columns).where(
            d.kind == "po_line",
            *within(d.goods_received_at, question.span),
            *question.of_week(d.home_key, "po"),
        )
    )


_of_lead_time = replace(definition("lead_time"), statistic="median", dated=True, switches={})
ACTUAL = replace(_of_lead_time, id="lead_time_told")
ASKED = replace(_of_lead_time, id="lead_time_asked")
RECEIVED = replace(definition("asn_accurate"), id="received", statistic="count", dated=False)

DEFINITIONS: Mapping[str, Definition] = {one.id: one for one in (ACTUAL, ASKED, RECEIVED)}
MAKERS: Mapping[str, Callable[[Question], Counted]] = {
    ACTUAL.id: _lead_days,
    ASKED.id: _lead_days,
    RECEIVED.id: _received,
}
