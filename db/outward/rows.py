"""Rows of a data set as somebody may see them: a page by key, or all of them as a stream."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Subquery,
    TableClause,
    and_,
    column,
    literal,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.types import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Double,
    Numeric,
    Text,
    TypeEngine,
)

from db.outward.fields import DataSet, Field
from db.reads import paging
from db.reads.filters import Period
from db.reads.rows import Record
from tower.access import Scope
from tower.errors import AccessDenied, TowerError
from tower.identity import partner_id
from tower.masking import PRICE, masked_data


class WrongQuestion(TowerError):
    """What was asked cannot be asked of this data set; the text says what can."""


STREAMED = 2000  # rows fetched at once
MOST_OF_HOME = 1000
FIRST_SLICE = timedelta(minutes=1)

_TYPES: Mapping[str, TypeEngine[Any]] = {
    "text": Text(),
    "int": BigInteger(),
    "number": Double(),
    "decimal": Numeric(),
    "date": Date(),
    "instant": DateTime(timezone=True),
    "flag": Boolean(),
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: rows of a period whose fields have these values."""

    data: DataSet
    period: Period
    narrowed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """Rows by field, and the word by which the next page is asked for; None on the last."""

    rows: tuple[Record, ...]
    following: str | None


def page(
    conn: Connection, scope: Scope, asked: Question, *, after: str | None = None, limit: int = 100
) -> Page:
    """One page, the newest rows first. Raises AccessDenied, WrongQuestion."""
    data, limit = asked.data, paging.bounded(limit)
    view, conditions = _conditions(scope, asked)
    order = _order(view, data)
    start = None if after is None else read_place(data, after)
    found: list[Any] = []
    for slice_ in _slices(asked, start):
        within = [*conditions, *slice_]
        if start is not None:
            within.append(_before(data, order, start))
        statement = _select(view, data).where(*within).order_by(*(c.desc() for c in order))
        found += conn.execute(statement.limit(limit + 1 - len(found)))
        if len(found) > limit:
            break
    following = None
    if len(found) > limit:
        found = found[:limit]
        last = found[-1]._mapping
        following = place(data, [last[name] for name in (data.at, *data.key)])
    show = _shown(data, scope)
    return Page(tuple(show(row._mapping) for row in found), following)


def stream(conn: Connection, scope: Scope, asked: Question) -> Iterator[Record]:
    """All rows, the oldest first, fetched piece by piece. Raises AccessDenied, WrongQuestion."""
    view, conditions = _conditions(scope, asked)
    at = view.c[asked.data.at]
    statement = (
        _select(view, asked.data)
        .where(*conditions, at >= asked.period.start, at < asked.period.end)
        .order_by(*_order(view, asked.data))
    )
    show = _shown(asked.data, scope)
    with conn.execute(statement.execution_options(yield_per=STREAMED)) as rows:
        for row in rows:
            yield show(row._mapping)


def one(conn: Connection, scope: Scope, data: DataSet, **named: str) -> list[Record]:
    """The rows with these values, however old; two at most, so that a doubt is seen."""
    view = _table(data)
    conditions = [*_within(view, data, scope), *(view.c[k] == v for k, v in named.items())]
    show = _shown(data, scope)
    rows = conn.execute(_select(view, data).where(*conditions).limit(2))
    return [show(row._mapping) for row in rows]


def of_home(
    conn: Connection, scope: Scope, data: DataSet, home: int, limit: int = MOST_OF_HOME
) -> list[Record]:
    """The rows that live with a document, by key; ``home`` is its home_key."""
    refuse_hidden(data, scope)
    alias = data.tables.split()[2]
    joint = "AND" if "WHERE" in data.tables else "WHERE"
    told = _subquery(data, f"{joint} {alias}.home_key = :home")
    show = _shown(data, scope)
    found = conn.execute(
        select(*(told.c[f.name] for f in data.told))
        .where(*_within(told, data, scope))
        .order_by(*(told.c[name] for name in data.key))
        .limit(limit),
        {"home": home},
    )
    return [show(row._mapping) for row in found]


def of_events(
    conn: Connection, scope: Scope, data: DataSet, named: Collection[tuple[int, UUID]]
) -> dict[str, Record]:
    """Events by their id, found by (home_key, id)."""
    told = _subquery(
        data,
        "JOIN unnest(CAST(:homes AS bigint[]), CAST(:ids AS uuid[])) AS w(home, id)"
        " ON w.home = e.home_key AND w.id = e.event_id",
    )
    show = _shown(data, scope)
    found = conn.execute(
        select(*(told.c[f.name] for f in data.told)).where(*_within(told, data, scope)),
        {"homes": [home for home, _ in named], "ids": [one for _, one in named]},
    )
    return {row.id: show(row._mapping) for row in found}


def of_ids(
    conn: Connection, scope: Scope, data: DataSet, ids: Collection[int]
) -> dict[int, Record]:
    """Rows by their number, as of cases."""
    view, show = _table(data), _shown(data, scope)
    statement = _select(view, data).where(view.c.id.in_(sorted(ids)), *_within(view, data, scope))
    return {row.id: show(row._mapping) for row in conn.execute(statement)} if ids else {}


def _subquery(data: DataSet, also: str) -> Subquery:
    """The rows of a view, found by what the view itself does not show."""
    columns = ", ".join(f'{f.sql} AS "{f.name}"' for f in data.fields)
    typed = (column(f.name, _TYPES.get(f.kind)) for f in data.fields)
    return text(f"SELECT {columns} {data.tables} {also}").columns(*typed).subquery("told")


def refuse_hidden(data: DataSet, scope: Scope) -> None:
    """Raise AccessDenied where the whole data set is our own and the viewer is a partner's."""
    if data.ours and not scope.sees_all:
        raise AccessDenied(
            f"{data.name} belong to the house and are not shown to those who are bound to a "
            "partner. Ask for purchase-orders, lines, shipments, cases or events."
        )


# --- places ---------------------------------------------------------------------------------------


def place(data: DataSet, values: list[Any]) -> str:
    """The sort values of a row as one word without a meaning to others."""
    told = orjson.dumps([data.name, *(_text(v) for v in values)])
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def read_place(data: DataSet, word: str) -> tuple[Any, ...]:
    """The sort values of a word; raises WrongQuestion if it is no place of this list."""
    try:
        told = orjson.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
        name, *values = told
        fields = [data.field(one) for one in (data.at, *data.key)]
        if name != data.name or len(values) != len(fields):
            raise ValueError("another list")
        return tuple(_value(f, v) for f, v in zip(fields, values, strict=True))
    except (ValueError, TypeError, binascii.Error):
        raise WrongQuestion(
            "cursor: this is no place in this list. Take next_cursor as the page before gave it, "
            "or leave it out to begin anew."
        ) from None


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _value(field: Field, told: Any) -> Any:
    """A value of a field from its text, as a question or a place holds it; else ValueError."""
    if not isinstance(told, str) or "\0" in told:
        raise ValueError("no text")
    if field.kind == "int":
        number = int(told)
        if abs(number) >= 2**63:
            raise ValueError("too large")
        return number
    if field.kind == "instant":
        moment = datetime.fromisoformat(told)
        if moment.tzinfo is None:
            raise ValueError("a time without zone")
        return moment
    if field.kind == "date":
        return date.fromisoformat(told)
    if field.kind == "flag":
        return {"true": True, "false": False}[told]
    return told


# --- questions ------------------------------------------------------------------------------------


def _conditions(scope: Scope, asked: Question) -> tuple[TableClause, list[ColumnElement[bool]]]:
    data = asked.data
    refuse_hidden(data, scope)
    view = _table(data)
    found = _within(view, data, scope)
    for name, value_text in asked.narrowed.items():
        if name not in data.narrow:
            raise WrongQuestion(
                f"{name}: {data.name} cannot be narrowed by it; by {', '.join(data.narrow)} "
                "they can."
            )
        field = data.field(name)
        if field.ours and not scope.sees_all:
            raise AccessDenied(f"{name} is not shown to those who are bound to a partner.")
        try:
            value: Any = _value(field, value_text)
        except (ValueError, KeyError):
            raise WrongQuestion(
                f'{name}: "{value_text[:60]}" is no value of its kind ({field.kind}).'
            ) from None
        if name == "supplier":
            found.append(view.c.partner_id == partner_id(value))
        else:
            found.append(view.c[name] == value)
    return view, found


def _within(view: FromClause, data: DataSet, scope: Scope) -> list[ColumnElement[bool]]:
    ids = scope.partner_ids
    return [] if ids is None else [view.c.partner_id.in_(ids)]


def _table(data: DataSet) -> TableClause:
    return table(data.view, *(column(f.name, _TYPES.get(f.kind)) for f in data.fields))


def _select(view: TableClause, data: DataSet) -> Select[Any]:
    return select(*(view.c[f.name] for f in data.told))


def _order(view: TableClause, data: DataSet) -> list[ColumnElement[Any]]:
    return [view.c[name] for name in (data.at, *data.key)]


def _before(
    data: DataSet, order: list[ColumnElement[Any]], start: tuple[Any, ...]
) -> ColumnElement[bool]:
    """Rows after a place in a list that descends; written out, so that the index of its first
    column is used.
    """
    at, *rest = order
    same: list[ColumnElement[bool]] = [at == start[0]]
    later: list[ColumnElement[bool]] = []
    for col, value in zip(rest, start[1:], strict=True):
        later.append(and_(*same, col < value))
        same.append(col == value)
    return and_(at <= start[0], or_(at < start[0], *later))


def _slices(asked: Question, start: tuple[Any, ...] | None) -> Iterator[list[ColumnElement[bool]]]:
    """The period in parts, the newest first and each twice as long as the one before.

    Events have no index that gives them in order, but one that finds a stretch of time; a page is
    nearly always in the first few stretches.
    """
    at = column(asked.data.at, _TYPES["instant"])
    end = asked.period.end if start is None else min(
        asked.period.end, start[0] + timedelta(microseconds=1)
    )  # fmt: skip
    if asked.data.name != "events":
        yield [at >= asked.period.start, at < end]
        return
    length = FIRST_SLICE
    while end > asked.period.start:
        begin = max(asked.period.start, end - length)
        yield [at >= literal(begin), at < literal(end)]
        end, length = begin, length * 2


def _shown(data: DataSet, scope: Scope) -> Any:
    """What makes a row into what this viewer may see of it."""
    hidden = {
        f.name
        for f in data.told
        if (f.ours and not scope.sees_all) or (f.priced and PRICE not in scope.reveals)
    }
    names = [f.name for f in data.told]
    free = [f.name for f in data.told if f.kind == "json"]

    def show(row: Mapping[str, Any]) -> Record:
        told = {name: None if name in hidden else row[name] for name in names}
        for name in free:
            told[name] = masked_data(told[name], scope.reveals)
        return told

    return show


def in_json(value: Any) -> Any:
    """A value of a row as JSON holds it: decimals as text, instants in UTC."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value
