"""Subjects of the figures about goods received and delivered: what is owed, by when, how much came.

Receipts of one line add up; what came by a date is folded with the line (``qty_by_*``). Lines that
were written before that was folded fall back on the day on which they were complete.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
    and_,
    case,
    cast,
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
    OTHER_UNIT,
    PENDING,
    UNKNOWN,
    UNPRICED,
    Columns,
    Counted,
    Question,
    Reference,
    as_instant,
    is_hit,
    midnight,
    number,
    of_line,
    parties,
    subject,
)
from db.tables import document
from tower.kpis import HIT, MISS

OUTSIDE = (PENDING, CANCELLED, NOT_MEASURED, OTHER_UNIT, UNKNOWN)

_DUE = {
    "first_confirmed": ("first_confirmed_date", "requested_date"),
    "last_confirmed": ("last_confirmed_date", "requested_date"),
    "requested": ("requested_date",),
    "first_promised": ("first_promised_date",),
    "last_promised": ("promised_date",),
}
_BY = {
    "first_confirmed": "qty_by_first",
    "last_confirmed": "qty_by_last",
    "requested": "qty_by_requested",
    "first_promised": "qty_by_first",
    "last_promised": "qty_by_last",
}


def due_day(line: Columns = document.c, date: str = "first_confirmed") -> ColumnElement[Any]:
    """The day by which a line is owed, by a word of the switch ``date``."""
    columns = [line[name] for name in _DUE[date]]
    return columns[0] if len(columns) == 1 else func.coalesce(*columns)


def came_by(line: Columns = document.c, date: str = "first_confirmed") -> ColumnElement[Any]:
    """The quantity received by that day, in the unit ordered."""
    late = line.actual_receipt_date <= due_day(line, date)
    return func.coalesce(line[_BY[date]], case((late, line.received_qty), else_=0))


def complete_in_time(line: Columns = document.c) -> ColumnElement[bool]:
    """In full by its due day; null where nothing was received."""
    return and_(line.received_qty.is_not(None), came_by(line) >= line.ordered_qty)


def cancelled_before(line: Columns, due: ColumnElement[Any]) -> ColumnElement[bool]:
    return cast(func.timezone("UTC", line.cancelled_at), Date) < due


def owed(line: Columns = document.c) -> ColumnElement[bool]:
    """Lines that count: something was ordered, and not cancelled before it was due."""
    return and_(
        line.kind == "po_line",
        line.ordered_qty > 0,
        or_(line.cancelled_at.is_(None), ~cancelled_before(line, due_day(line))),
    )


# --- lines ----------------------------------------------------------------------------------------


def lines(
    question: Question, kind: str, due: ColumnElement[Any], *, whole: bool = False
) -> list[ColumnElement[bool]]:
    """Lines of one kind, of which something was ordered, that fall due in the span; ``whole``: all
    lines of the time, as those of one order may fall due apart."""
    d = document.c
    found = [
        d.kind == kind,
        d.ordered_qty > 0,
        # What falls due was ordered within half a year: this is what the index serves.
        d.released_at >= midnight(question.first) - LONGEST_ORDER,
    ]
    found += [due.is_not(None)] if whole else [due >= question.first, due < question.beyond]
    found += question.of_week(d.home_key, *(("po",) if kind == "po_line" else ()))
    if whole:
        found += goods.narrowed(question, d.home_key)
    if kind == "po_line":
        return [*found, *parties(question, d, whole=whole)]
    # Customer orders belong to no supplier: only who sees everything sees them.
    if not question.scope.sees_all:
        found.append(literal(False))
    if question.narrowed.warehouse is not None:
        found.append(d.warehouse == question.narrowed.warehouse)
    if question.narrowed.category is not None and not whole:
        found.append(d.category == question.narrowed.category)
    return found


def verdict(
    question: Question,
    kind: str,
    due: ColumnElement[Any],
    came: ColumnElement[Any],
    wanted: ColumnElement[Any],
) -> ColumnElement[str]:
    """Whether what came is what was wanted, after what is left out."""
    d = document.c
    first: list[tuple[Any, str]] = [
        (due >= question.today, PENDING),
        (cancelled_before(d, due), CANCELLED),
    ]
    if kind == "po_line":
        if question.onboarding:
            first.append((d.partner_id.in_(question.onboarding), NOT_MEASURED))
        first.append((and_(d.goods_received_at.is_not(None), d.received_qty.is_(None)), OTHER_UNIT))
    last = came >= wanted
    if question.receipts_known_to is None or kind != "po_line":
        return is_hit(last, *first)
    blind = and_(due >= question.receipts_known_to, func.coalesce(d.received_qty, 0) < wanted)
    return is_hit(last, *first, (blind, UNKNOWN))


def _dimensions(kind: str) -> dict[str, ColumnElement[Any]]:
    d = document.c
    own = of_line(d)
    return own if kind == "po_line" else {name: own[name] for name in ("warehouse", "category")}


def _facts(due: ColumnElement[Any], came: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    d = document.c
    return {
        "due": due,
        "ordered": d.ordered_qty,
        "confirmed": d.confirmed_qty,
        "came_by_due": came,
        "received": d.received_qty,
        "last_receipt": d.actual_receipt_date,
        "cancelled": d.cancelled_at,
    }


def otif(question: Question) -> Counted:
    """Lines, orders or value in full by their due day."""
    kind = "order_line" if question.switches["side"] == "customer" else "po_line"
    per = question.switches["per"]
    if per == "order":
        return _orders(question, kind, question.switches["date"])
    return _filled(question, kind, question.switches["date"], "value" if per == "value" else None)


def fill(question: Question) -> Counted:
    """Lines, units or value received by the due day, or by now."""
    weighed = {"fill_unit": "unit", "fill_value": "value"}.get(question.definition.id)
    until_now = question.switches["until"] == "now"
    return _filled(question, "po_line", question.switches["date"], weighed, until_now, partly=True)


def promise_reliability(question: Question) -> Counted:
    """Customer order lines delivered by the promise."""
    return _filled(question, "order_line", question.switches["date"], None)


def _filled(
    question: Question,
    kind: str,
    date: str,
    weighed: str | None,
    until_now: bool = False,
    partly: bool = False,
) -> Counted:
    """``weighed``: by units or value; ``partly``: a part that came weighs as much as it is."""
    d = document.c
    due = due_day(d, date)
    came = func.coalesce(d.received_qty, 0) if until_now else came_by(d, date)
    judged = verdict(question, kind, due, came, d.ordered_qty)
    outside: tuple[str, ...] = OUTSIDE
    weighs: dict[str, ColumnElement[Any]] = {}
    if weighed is not None:
        got: ColumnElement[Any] = func.least(came, d.ordered_qty)
        if not partly:
            got = case((came >= d.ordered_qty, d.ordered_qty), else_=0)
        weighs = {"amount": got, "weight": d.ordered_qty, "unit": func.coalesce(d.uom, "")}
    if weighed == "value":
        foreign = func.coalesce(d.currency, question.currency) != question.currency
        unpriced = or_(d.price.is_(None), foreign)
        judged = case((and_(judged.in_((HIT, MISS)), unpriced), UNPRICED), else_=judged)
        outside = (*OUTSIDE, UNPRICED)
        weighs = {
            "amount": weighs["amount"] * d.price,
            "weight": d.ordered_qty * d.price,
            "unit": literal(question.currency),
        }
    columns = subject(
        question,
        Reference.of(d),
        as_instant(due),
        judged,
        amount=weighs.get("amount"),
        weight=weighs.get("weight"),
        unit=weighs.get("unit"),
        healed=and_(judged == MISS, d.received_qty >= d.ordered_qty),
        dimensions=_dimensions(kind),
        facts=_facts(due, came),
    )
    return Counted(select(*columns).where(*lines(question, kind, due)), outside)


def _orders(question: Question, kind: str, date: str) -> Counted:
    """Orders by their last due day: one line that is missed misses the order."""
    d = document.c
    due = due_day(d, date)
    came = came_by(d, date)
    words = (MISS, UNKNOWN, OTHER_UNIT, PENDING, NOT_MEASURED, HIT, CANCELLED)
    ranks = {word: rank for rank, word in enumerate(words)}
    line = (
        select(
            d.home_key,
            d.scope,
            d.number,
            d.partner_id,
            d.buyer,
            d.warehouse,
            due.label("due"),
            case(ranks, value=verdict(question, kind, due, came, d.ordered_qty)).label("rank"),
            (func.coalesce(d.received_qty, 0) >= d.ordered_qty).label("complete"),
        )
        .where(*lines(question, kind, due, whole=True))
        .subquery()
    )
    x = line.c
    last = func.max(x.due)
    told = case({rank: word for word, rank in ranks.items()}, value=func.min(x.rank))
    dimensions: dict[str, ColumnElement[Any]] = {
        "warehouse": func.min(x.warehouse),
        **goods.of_order(question, x.home_key),
    }
    if kind == "po_line":
        dimensions |= {"supplier": func.min(x.partner_id), "buyer": func.min(x.buyer)}
    columns = subject(
        question,
        Reference(literal(kind.removesuffix("_line")), func.min(x.scope), func.min(x.number)),
        as_instant(last),
        told,
        healed=and_(func.min(x.rank) == ranks[MISS], func.bool_and(x.complete)),
        dimensions=dimensions,
        facts={"due": last, "lines": func.count()},
    )
    return Counted(
        select(*columns)
        .group_by(x.home_key)
        .having(last >= question.first, last < question.beyond),
        OUTSIDE,
    )


def commit_reliability(question: Question) -> Counted:
    """Confirmed lines by their confirmed date."""
    d = document.c
    date = question.switches["date"]
    due = d.first_confirmed_date if date == "first_confirmed" else d.last_confirmed_date
    came = func.coalesce(
        d[_BY[date]], case((d.actual_receipt_date <= due, d.received_qty), else_=0)
    )
    wanted = func.coalesce(func.nullif(d.confirmed_qty, 0), d.ordered_qty)
    judged = verdict(question, "po_line", due, came, wanted)
    columns = subject(
        question,
        Reference.of(d),
        as_instant(due),
        judged,
        healed=and_(judged == MISS, d.received_qty >= wanted),
        dimensions=of_line(d),
        facts=_facts(due, came),
    )
    return Counted(select(*columns).where(*lines(question, "po_line", due)), OUTSIDE)


def unit_days_late(question: Question) -> Counted:
    """Units x days that lines due in the span came late or are still open."""
    d = document.c
    due = due_day(d)
    end = min(question.beyond, question.today)
    received = func.coalesce(d.received_qty, 0)
    late = func.coalesce(
        d.late_unit_days,
        case(
            (
                d.actual_receipt_date > due,
                func.least(received, d.ordered_qty) * cast(d.actual_receipt_date - due, Integer),
            ),
            else_=0,
        ),
    )
    open_days = func.greatest(cast(literal(end, Date) - due, Integer), 0)
    over = or_(d.closed, d.cancelled_at.is_not(None))
    missing = func.greatest(d.ordered_qty - received, 0)
    still = case((over, 0), else_=missing * open_days)
    amount = number(late + still)
    told, weight = amount, None
    if question.week is not None:
        # What is missing still weighs by its days when somebody asks.
        told, weight = number(late), number(case((over, 0), else_=missing))
    in_time = case((amount <= 0, d.ordered_qty), else_=-1)
    judged = verdict(question, "po_line", due, in_time, d.ordered_qty)
    columns = subject(
        question,
        Reference.of(d),
        as_instant(due),
        judged,
        amount=told,
        weight=weight,
        unit=func.coalesce(d.uom, ""),
        dimensions=of_line(d),
        facts={**_facts(due, received), "unit_days": amount},
    )
    return Counted(select(*columns).where(*lines(question, "po_line", due)), OUTSIDE)
