"""Exception cases: the queue of work, and one case with everything that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, and_, case, cast, func, or_, select

from db.reads import customers_hurt, goods
from db.reads.filters import within_scope
from db.reads.rows import record, records
from db.tables import (
    case_note,
    clock,
    delivery,
    document,
    escalation,
    exception_case,
    flow_link,
    order_impact,
    outbox,
    suppression,
    told,
    transition,
)
from tower.access import Scope
from tower.cases import STATES
from tower.identity import partner_id
from tower.root_causes import KIND

AGE_BANDS: tuple[tuple[str, timedelta, timedelta | None], ...] = (
    ("<4 h", timedelta(0), timedelta(hours=4)),
    ("4-24 h", timedelta(hours=4), timedelta(hours=24)),
    ("1-3 d", timedelta(days=1), timedelta(days=3)),
    ("3-7 d", timedelta(days=3), timedelta(days=7)),
    (">7 d", timedelta(days=7), None),
)
SEVERITIES = ("critical", "high", "medium", "low")
MOST_ROWS = 200
MOST_CHILDREN = 500


SORTS = ("consequence", "age", "severity", "newest")


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Narrowing of the queue; None means no narrowing. ``age`` is a word of AGE_BANDS.

    buyer, warehouse  of the purchase order that a case is about
    goods             a category of goods of its line, or of one of its order's lines
    opened, closed    on this day (UTC)
    view   causes: a root cause stands for its cases; all: every case by itself, no causes
    under  only the cases under this root cause, whatever their state
    """

    category: str | None = None
    severity: str | None = None
    owner: str | None = None
    supplier: str | None = None
    age: str | None = None
    rule: str | None = None
    buyer: str | None = None
    warehouse: str | None = None
    goods: str | None = None
    opened: date | None = None
    closed: date | None = None
    state: str = "open"  # open, resolved, all, or one state by its name
    view: str = "causes"
    under: int | None = None
    sort: str = "consequence"


@dataclass(frozen=True, slots=True)
class CasePage:
    """One page of cases. ``following``: place to go on from, None on the last page."""

    rows: tuple[Mapping[str, Any], ...]
    total: int
    following: str | None


@dataclass(frozen=True, slots=True)
class CaseGroup:
    """Open cases with the same category and supplier (or source): one cause, one line of work."""

    category: str
    supplier: str | None
    subject: str
    severity: str
    n: int
    orders_affected: int
    value_at_risk: Decimal | None
    currency: str | None
    opened_at: datetime
    owner: str
    priority: float | None
    case_id: int


@dataclass(frozen=True, slots=True)
class CaseDetail:
    """One case, with notes, its clock's journal, impact, mails and neighbours."""

    case: Mapping[str, Any]
    notes: tuple[Mapping[str, Any], ...]
    clocks: tuple[Mapping[str, Any], ...]
    journal: tuple[Mapping[str, Any], ...]
    impacts: tuple[Mapping[str, Any], ...]
    mails: tuple[Mapping[str, Any], ...]
    told: tuple[Mapping[str, Any], ...]
    suppressed: tuple[Mapping[str, Any], ...]
    related: tuple[Mapping[str, Any], ...]
    parent: Mapping[str, Any] | None
    children: tuple[Mapping[str, Any], ...]
    deliveries: tuple[Mapping[str, Any], ...]
    chain: Mapping[str, Any] | None


def _conditions(scope: Scope, wanted: CaseFilter, now: datetime) -> list[ColumnElement[bool]]:
    table = exception_case.c
    found: list[ColumnElement[bool]] = list(within_scope(table, scope))
    if wanted.state == "open":
        found.append(table.state != "resolved")
    elif wanted.state in STATES:
        found.append(table.state == wanted.state)
    if wanted.under is not None:
        found.append(table.parent_id == wanted.under)
    elif wanted.view == "all":
        found.append(table.kind != KIND)
    else:
        found.append(~_told_in_parent())
    for column, value in (
        (table.category, wanted.category),
        (table.severity, wanted.severity),
        (table.owner, wanted.owner),
        (table.rule, wanted.rule),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.supplier is not None:
        found.append(table.partner_id == partner_id(wanted.supplier))
    for word, least, most in AGE_BANDS:
        if word == wanted.age:
            found.append(table.opened_at <= now - least)
            if most is not None:
                found.append(table.opened_at > now - most)
    for moment, day in ((table.opened_at, wanted.opened), (table.resolved_at, wanted.closed)):
        if day is not None:
            begin = datetime.combine(day, time(), UTC)
            found += [moment >= begin, moment < begin + timedelta(days=1)]
    if wanted.buyer is not None or wanted.warehouse is not None:
        found.append(_of_order(wanted.buyer, wanted.warehouse))
    if wanted.goods is not None:
        found.append(goods.has(table.home_key, wanted.goods, goods.of_line(table.line)))
    return found


def _of_order(buyer: str | None, warehouse: str | None) -> ColumnElement[bool]:
    """Whether a case is about a purchase order of this buyer, for this warehouse."""
    order = document.alias("of_order").c
    asked = [
        column == value
        for column, value in ((order.buyer, buyer), (order.warehouse, warehouse))
        if value is not None
    ]
    about = (order.home_key == exception_case.c.home_key, order.kind == "po", order.line == "")
    return select(1).where(*about, *asked).correlate(exception_case).exists()


def _told_in_parent() -> ColumnElement[bool]:
    """Whether an open case hangs under an open root cause."""
    table, parent = exception_case.c, exception_case.alias("parent")
    return and_(
        table.parent_id.is_not(None),
        table.state != "resolved",
        select(1)
        .where(parent.c.id == table.parent_id, parent.c.state != "resolved")
        .correlate(exception_case)
        .exists(),
    )


def _ranks() -> dict[str, ColumnElement[Any]]:
    """What each order of the queue goes by, the greatest first."""
    table = exception_case.c
    gravity = -func.array_position(list(SEVERITIES), table.severity)
    consequence = func.coalesce(table.priority, 0.0)
    opened = func.extract("epoch", table.opened_at)
    return {
        "consequence": consequence,
        "age": -cast(opened, Double),
        "newest": cast(opened, Double),
        # Severity first, then consequence: both in one figure, so that one place suffices.
        "severity": gravity * 1e15 + consequence,
    }


def queue(
    conn: Connection,
    scope: Scope,
    wanted: CaseFilter,
    now: datetime,
    *,
    after: str | None = None,
    limit: int = MOST_ROWS,
) -> CasePage:
    """Cases in the order asked for; ``after`` as given by the page before."""
    table = exception_case
    conditions = _conditions(scope, wanted, now)
    total = conn.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
    rank = _ranks().get(wanted.sort, _ranks()["consequence"])
    if after is not None:
        last_rank, _, last_id = after.partition("_")
        try:
            place = (float(last_rank), int(last_id))
        except ValueError:
            place = None
        if place is not None:
            conditions.append(or_(rank < place[0], and_(rank == place[0], table.c.id > place[1])))
    child = exception_case.alias("child")
    under = (
        select(func.count())
        .where(child.c.parent_id == table.c.id, child.c.state != "resolved")
        .correlate(table)
        .scalar_subquery()
    )
    found = conn.execute(
        select(
            table,
            case((table.c.kind == KIND, under), else_=0).label("open_cases"),
            rank.label("rank_"),
        )
        .where(*conditions)
        .order_by(rank.desc(), table.c.id)
        .limit(min(limit, 1000) + 1)
    ).all()
    more = len(found) > limit
    rows: list[Mapping[str, Any]] = []
    for row in found[:limit]:
        mine = dict(record(row))
        mine.pop("rank_")
        rows.append(customers_hurt.of_case(mine, scope))
    following = f"{float(found[limit - 1].rank_)!r}_{rows[-1]['id']}" if more else None
    return CasePage(tuple(rows), total, following)


def numbers(
    conn: Connection, scope: Scope, wanted: CaseFilter, now: datetime, *, limit: int
) -> list[int]:
    """The numbers of the cases that a choice shows, at most ``limit``."""
    asked = select(exception_case.c.id).where(*_conditions(scope, wanted, now))
    return list(conn.execute(asked.order_by(exception_case.c.id).limit(limit)).scalars())


def groups(
    conn: Connection, scope: Scope, wanted: CaseFilter, now: datetime, *, limit: int = 50
) -> list[CaseGroup]:
    """Open cases by category and supplier, the most consequential group first.

    Orders and values are sums over cases of different documents; an order hit by two lines of the
    same group counts in each of its cases.
    """
    table = exception_case.c
    subject = func.coalesce(table.supplier, table.number)
    severity_rank = func.array_position(list(SEVERITIES), table.severity)
    rows = conn.execute(
        select(
            table.category,
            func.min(table.supplier).label("supplier"),
            subject.label("subject"),
            func.min(severity_rank).label("severity"),
            func.count().label("n"),
            func.sum(table.orders_affected).label("orders"),
            func.sum(table.value_at_risk).label("value"),
            func.min(table.currency).label("currency"),
            func.min(table.opened_at).label("opened_at"),
            func.min(table.owner).label("owner"),
            func.sum(table.priority).label("priority"),
            func.min(table.id).label("case_id"),
        )
        .where(table.kind != KIND, *_conditions(scope, wanted, now))
        .group_by(table.category, subject)
        .order_by(func.sum(table.priority).desc().nulls_last(), func.count().desc(), subject)
        .limit(limit)
    )
    return [
        CaseGroup(
            row.category,
            row.supplier,
            row.subject,
            SEVERITIES[row.severity - 1],
            row.n,
            row.orders if scope.sees_value_at_risk else 0,
            row.value if scope.sees_value_at_risk else None,
            row.currency,
            row.opened_at,
            row.owner,
            row.priority,
            row.case_id,
        )
        for row in rows
    ]


def counts(conn: Connection, scope: Scope, now: datetime) -> dict[str, dict[str, int]]:
    """Open cases by category, severity, owner, age band and state, for the choices above the queue.

    A root cause counts for its cases, as in the queue; ``shown`` tells how many lines that makes,
    of how many cases, under how many causes.
    """
    table = exception_case.c
    mine = (table.state != "resolved", *within_scope(table, scope))
    open_ones = (*mine, ~_told_in_parent())
    found: dict[str, dict[str, int]] = {}
    for name, column in (
        ("category", table.category),
        ("severity", table.severity),
        ("owner", table.owner),
        ("state", table.state),
    ):
        rows = conn.execute(
            select(column, func.count()).where(*open_ones).group_by(column).order_by(column)
        )
        found[name] = dict(rows.all())
    ages = conn.execute(
        select(
            *(
                func.count().filter(
                    and_(
                        table.opened_at <= now - least,
                        *([] if most is None else [table.opened_at > now - most]),
                    )
                )
                for _, least, most in AGE_BANDS
            )
        ).where(*open_ones)
    ).one()
    found["age"] = {word: n for (word, _, _), n in zip(AGE_BANDS, ages, strict=True)}
    of_all = conn.execute(
        select(
            func.count().filter(~_told_in_parent()).label("lines"),
            func.count().filter(table.kind != KIND).label("cases"),
            func.count().filter(table.kind == KIND).label("causes"),
        ).where(*mine)
    ).one()
    found["shown"] = dict(of_all._mapping)
    return found


def detail(conn: Connection, scope: Scope, case_id: int) -> CaseDetail | None:
    """One case; None if there is none or it is not the viewer's."""
    row = conn.execute(
        select(exception_case).where(
            exception_case.c.id == case_id, *within_scope(exception_case.c, scope)
        )
    ).one_or_none()
    if row is None:
        return None
    the_case = customers_hurt.of_case(record(row), scope)

    def subject(table: Any) -> tuple[ColumnElement[bool], ...]:
        return (
            table.c.home_key == the_case["home_key"],
            table.c.rule == the_case["rule"],
            table.c.kind == the_case["kind"],
            table.c.scope == the_case["scope"],
            table.c.number == the_case["number"],
            table.c.line == the_case["line"],
        )

    home = the_case["home_key"]
    return CaseDetail(
        case=the_case,
        notes=records(
            conn,
            select(case_note)
            .where(case_note.c.case_id == case_id)
            .order_by(case_note.c.at, case_note.c.id),
        ),
        clocks=()
        if home is None
        else records(conn, select(clock).where(*subject(clock)).order_by(clock.c.cycle)),
        journal=()
        if home is None
        else records(conn, select(transition).where(*subject(transition)).order_by(transition.c.n)),
        impacts=()
        if (home is None and the_case["kind"] != KIND) or not scope.sees_customers
        else records(
            conn,
            select(order_impact)
            .where(
                or_(
                    order_impact.c.po_home == home,
                    order_impact.c.po_home.in_(
                        select(exception_case.c.home_key).where(
                            exception_case.c.parent_id == case_id,
                            exception_case.c.state != "resolved",
                        )
                    ),
                    # A shipment hurts through the orders it is tied to.
                    order_impact.c.po_home.in_(
                        select(flow_link.c.other_key).where(
                            flow_link.c.home_key == home, flow_link.c.to_root
                        )
                    ),
                )
            )
            .order_by(order_impact.c.open_value.desc().nulls_last())
            .limit(100),
        ),
        mails=records(
            conn,
            select(
                outbox.c.id,
                outbox.c.recipient,
                outbox.c.address,
                outbox.c.subject,
                outbox.c.reason,
                outbox.c.state,
                outbox.c.created_at,
                outbox.c.sent_at,
            )
            .where(outbox.c.cases.contains([case_id]))
            .order_by(outbox.c.created_at),
        ),
        told=records(conn, select(told).where(told.c.case_id == case_id).order_by(told.c.at)),
        suppressed=records(
            conn,
            select(suppression).where(suppression.c.case_id == case_id).order_by(suppression.c.at),
        ),
        related=()
        if the_case["kind"] == KIND  # its own cases are the related ones
        else customers_hurt.cases(
            conn,
            select(exception_case)
            .where(
                exception_case.c.id != case_id,
                exception_case.c.state != "resolved",
                exception_case.c.kind != KIND,
                exception_case.c.parent_id.is_distinct_from(case_id),
                exception_case.c.home_key == home
                if home is not None
                else exception_case.c.category == the_case["category"],
                *within_scope(exception_case.c, scope),
            )
            .order_by(func.coalesce(exception_case.c.priority, 0.0).desc(), exception_case.c.id)
            .limit(20),
            scope,
        ),
        parent=next(
            iter(
                customers_hurt.cases(
                    conn,
                    select(exception_case).where(
                        exception_case.c.id == the_case["parent_id"],
                        *within_scope(exception_case.c, scope),
                    ),
                    scope,
                )
            ),
            None,
        ),
        children=customers_hurt.cases(
            conn,
            select(exception_case)
            .where(exception_case.c.parent_id == case_id, *within_scope(exception_case.c, scope))
            .order_by(
                exception_case.c.state == "resolved",
                func.coalesce(exception_case.c.priority, 0.0).desc(),
                exception_case.c.id,
            )
            .limit(MOST_CHILDREN),
            scope,
        ),
        deliveries=records(
            conn,
            select(delivery)
            .where(
                delivery.c.outbox_id.in_(
                    select(outbox.c.id).where(outbox.c.cases.contains([case_id]))
                )
            )
            .order_by(delivery.c.at, delivery.c.id),
        ),
        chain=next(
            iter(records(conn, select(escalation).where(escalation.c.case_id == case_id))), None
        ),
    )
