"""Subjects of the figures about shipments: notices, what they announced, when goods left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from db.reads import goods
from db.reads.counting import (
    CANCELLED,
    LONGEST_ORDER,
    NOT_MEASURED,
    OTHER_UNIT,
    PENDING,
    Counted,
    Question,
    Reference,
    as_instant,
    is_hit,
    midnight,
    of_line,
    of_order,
    parties,
    subject,
    within,
)
from db.reads.filters import Filter, Period, of_supplier, within_scope
from db.reads.overview import document_conditions
from db.reads.rules import rules_of
from db.tables import clock, document, flow_link, partner
from tower import kpis
from tower.access import Scope
from tower.kpis import HIT, MISS

ASN_BAD = "ASN_INVALID"
RECEIVING = "receiving"
RECEIVED_WITHIN = timedelta(days=3)  # parts of one receipt may be posted so far apart


def notice_in_time() -> ColumnElement[bool]:
    """Given by ship time + grace, or on the ship day, and before the goods."""
    d = document.c
    # Without a time of leaving, shipped_at is that of the notice: then the ship day must hold.
    left_on = func.least(
        cast(func.timezone("UTC", d.shipped_at), Date),
        cast(func.timezone(func.coalesce(partner.c.zone, "UTC"), d.shipped_at), Date),
    )
    return and_(
        d.released_at <= d.shipped_at + kpis.ASN_GRACE,
        or_(d.actual_ship_date.is_(None), left_on <= d.actual_ship_date),
        or_(d.goods_received_at.is_(None), d.released_at < d.goods_received_at),
    )


def notice_failed(conn: Connection) -> ColumnElement[bool]:
    """Refused when it first came, mended since or not."""
    d = document.c
    # Few notices ever fail: the index of clocks by rule finds them all at once.
    refused = select(clock.c.home_key).where(clock.c.rule.in_(rules_of(conn, ASN_BAD)))
    return or_(func.coalesce(d.asn_status, "") == "invalid", d.home_key.in_(refused))


def sends_notices(conn: Connection) -> ColumnElement[bool]:
    """Documents of suppliers that are asked for notices. Asked of the few suppliers once: within
    the sum each document would have the profile of its supplier read anew."""
    p = partner.c
    silent = conn.execute(
        select(p.partner_id).where(p.profile["sends_asn"].as_string() == "false")
    ).scalars()
    d = document.c
    return or_(d.partner_id.is_(None), d.partner_id.not_in(list(silent)))


def notices(
    conn: Connection, scope: Scope, narrowed: Filter, span: Period
) -> list[ColumnElement[bool]]:
    """The shipment notices given within ``span``, of the viewer's choice."""
    d = document.c
    return [
        d.kind == "asn",
        d.known,
        *within(d.released_at, span),
        sends_notices(conn),
        *within_scope(d, scope),
        *of_supplier(d, narrowed.supplier),
        *of_named_orders(narrowed),
    ]


def unannounced(
    conn: Connection, scope: Scope, narrowed: Filter, span: Period
) -> list[ColumnElement[bool]]:
    """Purchase orders received within ``span`` without any notice: each is one missed shipment."""
    d = document.c
    return [
        d.kind == "po",
        d.released_at >= span.start - LONGEST_ORDER,
        d.released_at < span.end,
        *within(d.goods_received_at, span),
        d.shipped_at.is_(None),
        sends_notices(conn),
        *within_scope(d, scope),
        *document_conditions(narrowed),
    ]


def _asked(question: Question) -> tuple[Connection, Scope, Filter, Period]:
    return question.conn, question.scope, question.narrowed, question.span


def of_named_orders(narrowed: Filter) -> list[ColumnElement[bool]]:
    """Notices for orders of a buyer or warehouse, or with a line of a category of goods, by the
    purchase orders that they are tied to."""
    if narrowed.buyer is None and narrowed.warehouse is None and narrowed.category is None:
        return []
    tie, h = flow_link.c, document.alias("header").c
    conditions = [
        tie.home_key == document.c.home_key,
        tie.to_root,
        h.home_key == tie.other_key,
        h.kind == "po",
        h.line == "",
    ]
    if narrowed.buyer is not None:
        conditions.append(h.buyer == narrowed.buyer)
    if narrowed.warehouse is not None:
        conditions.append(h.warehouse == narrowed.warehouse)
    if narrowed.category is not None:
        conditions.append(goods.has(h.home_key, narrowed.category))
    return [select(1).where(*conditions).exists()]


def _of_notice(question: Question) -> dict[str, ColumnElement[Any]]:
    """The dimensions of a notice: buyer and warehouse of the orders that it names (the first of
    several by name), each category of their goods."""
    d = document.c
    found: dict[str, ColumnElement[Any]] = {"supplier": d.partner_id}
    for name in ("buyer", "warehouse"):
        if question.detailed or name in question.needs:
            tie, h = flow_link.alias(f"tie_{name}").c, document.alias(f"order_{name}").c
            found[name] = (
                select(func.min(h[name]))
                .where(
                    tie.home_key == d.home_key,
                    tie.to_root,
                    h.home_key == tie.other_key,
                    h.kind == "po",
                    h.line == "",
                )
                .correlate(document)
                .scalar_subquery()
            )
    return found | goods.of_notice(question, d.home_key)


def asn_on_time(question: Question) -> Counted:
    """Notices given, and orders received without one.

    A notice counts from when its sender gave it; what it lost on its way to us is not the
    supplier's doing and shows on /trace.
    """
    d = document.c
    told = subject(
        question,
        Reference.of(d),
        d.released_at,
        case((notice_in_time(), HIT), else_=MISS),
        dimensions=_of_notice(question),
        facts={"announced": d.released_at, "left": d.shipped_at, "received": d.goods_received_at},
    )
    silent = subject(
        question,
        Reference.of(d),
        d.goods_received_at,
        literal(MISS),
        dimensions={**of_order(d), **goods.of_order(question, d.home_key)},
        facts={"announced": cast(null(), Text), "received": d.goods_received_at},
    )
    both = union_all(
        select(*told)
        .select_from(document)
        .outerjoin(partner, partner.c.partner_id == d.partner_id)
        .where(*notices(*_asked(question)), *question.of_week(d.home_key, "asn")),
        select(*silent).where(*unannounced(*_asked(question)), *question.of_week(d.home_key, "po")),
    ).subquery()
    return Counted(select(*both.c))


def asn_valid(question: Question) -> Counted:
    """Notices by their first verdict."""
    d = document.c
    failed = notice_failed(question.conn)
    columns = subject(
        question,
        Reference.of(d),
        d.released_at,
        case((failed, MISS), else_=HIT),
        healed=and_(failed, func.coalesce(d.asn_status, "") != "invalid"),
        dimensions=_of_notice(question),
        facts={"announced": d.released_at, "verdict_now": d.asn_status, "failed": d.failed_at},
    )
    return Counted(
        select(*columns).where(*notices(*_asked(question)), *question.of_week(d.home_key, "asn"))
    )


def asn_accurate(question: Question) -> Counted:
    """Announced lines whose goods came: what was announced against what was received."""
    d = document.c
    equal = func.coalesce(d.received_qty == d.shipped_qty, False)
    recent = d.goods_received_at >= midnight(question.today - RECEIVED_WITHIN)
    columns = subject(
        question,
        Reference.of(d),
        d.goods_received_at,
        is_hit(equal, (and_(recent, ~equal), RECEIVING)),
        dimensions=of_line(d),
        facts={
            "announced": d.shipped_qty,
            "received": d.received_qty,
            "unit": d.uom,
            "first_receipt": d.goods_received_at,
        },
    )
    return Counted(
        select(*columns).where(
            d.kind == "po_line",
            d.released_at >= question.span.start - LONGEST_ORDER,
            d.released_at < question.span.end,
            *within(d.goods_received_at, question.span),
            d.shipped_at.is_not(None),
            *question.of_week(d.home_key, "po"),
            *parties(question, d),
        ),
        (RECEIVING,),
    )


def shipped_on_time(question: Question) -> Counted:
    """Lines with a ship-by day: when the last part of what was ordered left."""
    d = document.c
    complete = func.coalesce(d.shipped_qty >= d.ordered_qty, False)
    cancelled = cast(func.timezone("UTC", d.cancelled_at), Date) < d.ship_by
    columns = subject(
        question,
        Reference.of(d),
        as_instant(d.ship_by),
        is_hit(
            and_(complete, d.actual_ship_date <= d.ship_by),
            (d.ship_by >= question.today, PENDING),
            (cancelled, CANCELLED),
            (d.partner_id.in_(question.onboarding), NOT_MEASURED),
        ),
        healed=and_(complete, d.actual_ship_date > d.ship_by),
        dimensions=of_line(d),
        facts={
            "ship_by": d.ship_by,
            "ordered": d.ordered_qty,
            "shipped": d.shipped_qty,
            "last_shipment": d.actual_ship_date,
        },
    )
    return Counted(
        select(*columns).where(
            d.kind == "po_line",
            d.ordered_qty > 0,
            d.released_at >= midnight(question.first) - LONGEST_ORDER,
            d.ship_by >= question.first,
            d.ship_by < question.beyond,
            *parties(question, d),
        ),
        (PENDING, CANCELLED, NOT_MEASURED),
    )


def fill_first(question: Question) -> Counted:
    """Lines by what their first shipment carried."""
    d = document.c
    first = d.first_shipped_qty
    columns = subject(
        question,
        Reference.of(d),
        d.shipped_at,
        is_hit(
            first >= d.ordered_qty,
            (d.cancelled_at.is_not(None), CANCELLED),
            (first.is_(None), OTHER_UNIT),
        ),
        amount=func.least(first, d.ordered_qty),
        weight=d.ordered_qty,
        unit=func.coalesce(d.uom, ""),
        dimensions=of_line(d),
        facts={"ordered": d.ordered_qty, "first_shipment": first, "shipped": d.shipped_qty},
    )
    return Counted(
        select(*columns).where(
            d.kind == "po_line",
            d.ordered_qty > 0,
            d.released_at >= question.span.start - LONGEST_ORDER,
            d.released_at < question.span.end,
            *within(d.shipped_at, question.span),
            *parties(question, d),
        ),
        (CANCELLED, OTHER_UNIT),
    )
