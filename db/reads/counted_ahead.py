"""Figures from what was counted ahead, where that gives what their documents would.

``figure_count`` holds the subjects of a figure by day, one row for those that are alike
(db/rollups.py). What depends on the instant of asking is decided here: what is not due yet, what a
silent feed may have told. Whoever asks for more than it holds is answered from the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Integer,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)

from db.reads.counting import (
    LONGEST_ORDER,
    PENDING,
    UNKNOWN,
    Counted,
    Question,
    as_instant,
    midnight,
)
from db.reads.filters import Period
from db.reads.kpi_answers import covered_since
from db.reads.kpi_shipments import RECEIVED_WITHIN, RECEIVING
from db.tables import figure_count, figure_mark, figure_week
from tower.identity import partner_id
from tower.kpi_definition import Definition
from tower.kpis import HIT, MISS

FIGURES = (
    *("ack_on_time", "ack_cycle_clock", "ack_cycle_business", "coverage"),
    *("first_confirm", "commit_reliability"),
    *("asn_on_time", "asn_valid", "asn_accurate"),
    *("otif", "fill_value", "perfect_order"),
    *("invoice_match", "lead_time", "unit_days_late"),
)
"""What is counted ahead: figures of the pages of leaders, by their usual definition."""

SAME_AS: Mapping[str, str] = {"fill_line": "otif"}
"""Figures that count the same subjects as another, by their usual definitions."""

OF_HOUSE = frozenset({"coverage"})
"""Figures of which only those of the whole house are counted ahead."""

OF_CLOCKS = frozenset({"ack_on_time", "ack_cycle_clock", "ack_cycle_business", "coverage"})
_PARTIES = ("supplier", "buyer", "warehouse")
_BY_ANY_ORDER = frozenset({"asn_on_time", "asn_valid"})
_BLIND = frozenset({"commit_reliability", "otif", "fill_line", "fill_value"})


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def usual(of: Definition, switches: Mapping[str, str]) -> bool:
    """Whether these are the choices that a figure has unless others are made."""
    return all(switches.get(name) == words[0] for name, words in of.switches.items())


def told_by(question: Question) -> str | None:
    """The party by which the counts are to be read, "" for all of the house; None: by more than
    one, of which only documents tell."""
    asked = {
        name
        for name in (*_PARTIES, "category")
        if name in question.needs or getattr(question.narrowed, name) is not None
    }
    if len(asked) > 1 or "category" in asked:
        return None
    return next(iter(asked), "")


def subjects_of(question: Question, maker: Callable[[Question], Counted]) -> Counted:
    """The subjects that ``maker`` finds in the documents: from what was counted ahead, each row
    standing for ``n`` of them, if that tells the same."""
    if not holds(question):
        return maker(question)
    kpi = question.definition.id
    shape = _shapes.get(kpi)
    if shape is None:
        # Building a statement that is not asked costs more than asking the one that is.
        given = maker(question)
        shape = _shapes[kpi] = (frozenset(given.rows.selected_columns.keys()), given.outside)
    found = _ahead(question, *shape)
    if question.definition.id not in OF_CLOCKS or _is_midnight(question.span.end):
        return found
    # Clocks that fall due later today are in the day's count, but not due yet.
    begin = midnight(question.today)
    if question.definition.id == "coverage":
        rest = covered_since(question, begin)
    else:
        late = maker(replace(question, span=Period(begin, question.span.end))).rows.subquery().c
        names = found.rows.selected_columns.keys()
        rest = select(*(literal(1).label("n") if name == "n" else late[name] for name in names))
    both = union_all(found.rows, rest).subquery()
    return replace(found, rows=select(*both.c))


def holds(question: Question) -> bool:
    kpi, narrowed, span = question.definition.id, question.narrowed, question.span
    by = told_by(question)
    if (
        SAME_AS.get(kpi, kpi) not in FIGURES
        or question.detailed
        or question.week is not None
        or not question.scope.sees_all
        or by is None
        or (by and kpi in OF_HOUSE)
        or not usual(question.definition, question.switches)
    ):
        return False
    if kpi in _BY_ANY_ORDER and (narrowed.buyer or narrowed.warehouse):
        return False  # a notice for orders of several counts for each of them
    whole = all(_is_midnight(moment) for moment in (span.start, question.period.start))
    up_to_now = span.end == question.now or _is_midnight(span.end)
    if not whole or not up_to_now or span.end > question.now:
        return False
    silent = question.receipts_known_to is not None
    if silent and question.definition.dated and kpi not in (*_BLIND, "lead_time"):
        return False
    return _weeks_are_counted(question)


def _is_midnight(moment: datetime) -> bool:
    return moment == midnight(moment.astimezone(UTC).date())


def _weeks_are_counted(question: Question) -> bool:
    first = monday((question.span.start - LONGEST_ORDER).date())
    last = monday(question.now.astimezone(UTC).date())
    wanted = (last - first).days // 7 + 1
    w = figure_week.c
    found = question.conn.execute(
        select(func.count()).where(w.week >= first, w.week <= last)
    ).scalar_one()
    return bool(found == wanted)


def counted_until(conn: Connection) -> datetime | None:
    """When that was counted of which something has changed since; None if nothing has."""
    w = figure_week.c
    changed = select(func.min(w.counted_at)).where(w.week.in_(select(figure_mark.c.week)))
    found: datetime | None = conn.execute(changed).scalar_one()
    return found


_shapes: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {}
"""Columns of the subjects of a figure, and the words under which they are left out."""


def _ahead(question: Question, given: frozenset[str], outside: tuple[str, ...]) -> Counted:
    f = figure_count.c
    kpi, of, narrowed = question.definition.id, question.definition, question.narrowed
    by = told_by(question) or ""
    conditions = [
        f.figure == SAME_AS.get(kpi, kpi),
        f.by == by,
        f.day >= question.first,
        f.day < _last(question),
    ]
    if narrowed.supplier is not None:
        conditions.append(f.supplier == partner_id(narrowed.supplier))
    elif by and getattr(narrowed, by) is not None:
        conditions.append(f.party == getattr(narrowed, by))
    columns: dict[str, ColumnElement[Any]] = {
        "at": as_instant(f.day),
        "verdict": _verdict(question),
        "n": f.n,
    }
    if "healed" in given:
        columns["healed"] = f.healed
    if of.statistic == "median":
        columns["amount"] = f.each
        columns["n"] = literal(1)
    elif "amount" in given:
        columns["amount"] = f.amount
    if "weight" in given:
        columns["weight"] = f.weight
    if kpi == "coverage":
        # Each order once in each period: on the first of its days in it.
        begin = case(
            (f.day >= question.period.start.date(), literal(question.period.start.date(), Date)),
            else_=literal(question.first, Date),
        )
        conditions.append(or_(f.each < 0, f.day - cast(f.each, Integer) < begin))
    if kpi == "unit_days_late":
        end = min(question.beyond, question.today)
        days = func.greatest(cast(literal(end) - f.day, Integer), 0)
        columns["amount"] = f.amount + f.weight * days
    if "unit" in given:
        columns["unit"] = f.word
    if by in question.needs:
        columns[by] = func.nullif(f.supplier, 0) if by == "supplier" else func.nullif(f.party, "")
    rows = select(*(column.label(name) for name, column in columns.items())).where(*conditions)
    if kpi == "coverage":
        # All days of orders are there as hits; those on which a feed was silent as misses beside.
        less = {**columns, "verdict": literal(HIT), "n": -f.n}
        dark = select(*(column.label(name) for name, column in less.items()))
        both = union_all(rows, dark.where(*conditions, f.verdict == MISS)).subquery()
        rows = select(*both.c)
    if of.statistic == "median":
        each = func.generate_series(1, f.n).table_valued("place").lateral()
        rows = rows.join_from(figure_count, each, literal_column("true"))
    return Counted(rows, outside, ahead=True)


def words(question: Question) -> dict[str, int] | None:
    """Subjects that count, by their word; None where only documents tell."""
    if not holds(question):
        return None
    rows = _ahead(question, frozenset({"unit"}), ()).rows.subquery().c
    found = question.conn.execute(
        select(rows.unit, func.sum(rows.n)).where(rows.verdict.in_((HIT, MISS))).group_by(rows.unit)
    )
    return {row[0]: int(row[1]) for row in found}


def _last(question: Question) -> date:
    """The day after the last that is read."""
    if _is_midnight(question.span.end) or question.definition.id in OF_CLOCKS:
        return question.beyond
    return question.beyond + timedelta(days=1)  # what happened today did so before now


def _verdict(question: Question) -> ColumnElement[str]:
    f = figure_count.c
    kpi = question.definition.id
    first: list[tuple[Any, str]] = []
    if question.definition.dated and kpi != "lead_time":
        first.append((f.day >= question.today, PENDING))
    if question.receipts_known_to is not None and kpi in _BLIND:
        blind = and_(f.verdict == MISS, ~f.healed, f.day >= question.receipts_known_to)
        first.append((blind, UNKNOWN))
    if kpi == "asn_accurate":
        recent = f.day >= question.today - RECEIVED_WITHIN
        first.append((and_(f.verdict == MISS, recent), RECEIVING))
    return case(*first, else_=f.verdict) if first else f.verdict
