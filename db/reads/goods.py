"""The category of goods that a question is narrowed to or told apart by.

A line has the one that its ERP keeps with it (``document.category``). An order, and what is told of
whole orders, has each that one of its lines has: it counts, as a whole, under every one of them, so
that the figure of a category is the same whether it is asked alone or beside the others.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, ScalarSelect, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, array

from db.reads.counting import Question
from db.tables import document, flow_link, order_impact

LINES = ("po_line", "order_line")

_goods = document.alias("goods")


def has(home: ColumnElement[int], category: str, *only: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a line of the order at ``home`` is of this category."""
    g = _goods.c
    return (
        select(1)
        .where(g.home_key == home, g.kind.in_(LINES), g.category == category, *only)
        .exists()
    )


def narrowed(question: Question, home: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """The condition on whole orders of a question, none where no category is asked for."""
    category = question.narrowed.category
    return [] if category is None else [has(home, category)]


def of_line(line: ColumnElement[str]) -> ColumnElement[bool]:
    """For ``only`` of the others: this line alone, all where ``line`` is ""."""
    return (line == "") | (_goods.c.line == line)


def of_order(
    question: Question, home: ColumnElement[int], *only: ColumnElement[bool]
) -> dict[str, ColumnElement[Any]]:
    """The dimension of the order at ``home``: as many rows as its lines have categories."""
    if not question.wants("category"):
        return {}
    g = _goods.c
    lines = [g.home_key == home, g.kind.in_(LINES), *only]
    return _each(question, _told(question).where(*lines).scalar_subquery())


def of_notice(question: Question, notice: ColumnElement[int]) -> dict[str, ColumnElement[Any]]:
    """The dimension of a notice: the categories of the orders that it names."""
    if not question.wants("category"):
        return {}
    tie, g = flow_link.alias("goods_tie").c, _goods.c
    lines = _told(question).where(
        tie.home_key == notice,
        tie.to_root,
        g.home_key == tie.other_key,
        g.kind.in_(LINES),
    )
    return _each(question, lines.scalar_subquery())


def _told(question: Question) -> Any:
    """The categories of lines: for a list in words, else as an array."""
    g = _goods.c
    if question.detailed:
        return select(func.string_agg(g.category.distinct(), literal(", ")))
    return select(func.array_agg(g.category.distinct(), type_=ARRAY(Text)))


def _each(question: Question, told: ScalarSelect[Any]) -> dict[str, ColumnElement[Any]]:
    if question.detailed:
        return {"category": told}
    if question.narrowed.category is not None:
        return {"category": literal(question.narrowed.category, Text)}
    nobody = array([cast(None, Text)])
    return {"category": func.unnest(func.coalesce(told, nobody), type_=Text)}


# --- customer orders that wait --------------------------------------------------------------------

_waiting, _late = document.alias("waiting_line"), document.alias("late_line")

AT_RISK = func.coalesce(_waiting.c.category, _late.c.category)
"""What the line that waits is of; where its feed tells none, the purchase line to blame."""


def waiting() -> FromClause:
    """Affected customer order lines with what ``AT_RISK`` needs."""
    i, w, late = order_impact.c, _waiting.c, _late.c
    return order_impact.outerjoin(
        _waiting,
        (w.home_key == i.order_home)
        & (w.kind == "order_line")
        & (w.scope == i.scope)
        & (w.number == i.order)
        & (w.line == i.order_line),
    ).outerjoin(
        _late,
        (late.home_key == i.po_home)
        & (late.kind == "po_line")
        & (late.number == i.po)
        & (late.line == i.po_line),
    )


def at_risk(category: str) -> ColumnElement[bool]:
    """Whether an affected line is of this category; each is looked up, they are few."""
    i, w, late = order_impact.c, _waiting.c, _late.c
    line = select(func.min(w.category)).where(
        w.home_key == i.order_home,
        w.kind == "order_line",
        w.scope == i.scope,
        w.number == i.order,
        w.line == i.order_line,
    )
    to_blame = select(func.min(late.category)).where(
        late.home_key == i.po_home,
        late.kind == "po_line",
        late.number == i.po,
        late.line == i.po_line,
    )
    told = func.coalesce(
        line.correlate(order_impact).scalar_subquery(),
        to_blame.correlate(order_impact).scalar_subquery(),
    )
    return told == category
