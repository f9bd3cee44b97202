"""What a figure counts, as rows: one per subject, in or out, and why.

Each figure is one SELECT of its subjects (the modules kpi_*). Sums, courses, comparisons and the
list of subjects are all made from that one statement, so that a figure opens exactly what it
counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Numeric,
    Select,
    Text,
    case,
    cast,
    func,
    literal,
    null,
    select,
)
from sqlalchemy.sql import ColumnCollection

from db.reads import names
from db.reads.filters import Filter, Period, of_supplier, within_scope
from db.reads.remembered import once
from db.roles import knowing_the_house
from db.tables import document, partner, source_spell
from db.week_marks import HEADERS
from tower.access import Scope
from tower.kpi_definition import Definition
from tower.kpis import HIT, MISS

Columns = ColumnCollection[str, ColumnElement[Any]]

LONGEST_ORDER = timedelta(days=180)  # from release to receipt: how far back the index is read

PENDING, CANCELLED, UNKNOWN, NOT_MEASURED = "pending", "cancelled", "unknown", "not_measured"
OTHER_UNIT, UNPRICED = "other_unit", "unpriced"


@dataclass(frozen=True, slots=True)
class Week:
    """Headers released from a Monday on, UTC; ``monday`` None: those of which no release is known.

    asked  the instant of counting
    """

    monday: date | None
    asked: datetime

    def released(self, header: Columns, *only: str) -> list[ColumnElement[bool]]:
        """Of all kinds, or of these ``only``."""
        kinds: list[ColumnElement[bool]] = [header.kind.in_(only or HEADERS), header.line == ""]
        if self.monday is None:
            return [*kinds, header.released_at.is_(None)]
        begin = midnight(self.monday)
        return [*kinds, *within(header.released_at, Period(begin, begin + timedelta(weeks=1)))]


@dataclass(frozen=True)
class Question:
    """What is asked of a figure.

    span      the time in which subjects must have fallen due (or ended)
    period    the period that is told: what goes on counts up to its end
    needs     dimensions that the answer is told apart by
    detailed  each subject is listed: all dimensions and the facts behind its verdict are wanted
    week      only what documents of one week tell (db/rollups.py); its subjects count whenever
    """

    conn: Connection
    scope: Scope
    definition: Definition
    narrowed: Filter
    span: Period
    period: Period
    now: datetime
    switches: Mapping[str, str]
    needs: frozenset[str] = frozenset()
    detailed: bool = False
    week: Week | None = None

    def of_week(self, home: ColumnElement[int], *only: str) -> list[ColumnElement[bool]]:
        """The documents and clocks of families whose header was released in the week asked for.

        ``only``: kinds of that header, where others have none of them: two homes of three, of
        notices and invoices, need not be looked at for lines of orders.
        """
        if self.week is None:
            return []
        h = document.alias("of_week").c
        return [home.in_(select(h.home_key).where(*self.week.released(h, *only)))]

    def wants(self, *dimensions: str) -> bool:
        """Whether the answer needs one of these: told apart by it, narrowed to it, or listed."""
        return self.detailed or any(
            d in self.needs or getattr(self.narrowed, d) is not None for d in dimensions
        )

    @property
    def as_of(self) -> datetime:
        """Until when what still goes on has gone on."""
        return self.now if self.week is None else self.week.asked

    @property
    def first(self) -> date:
        return self.span.start.date()

    @property
    def beyond(self) -> date:
        """The day after the last of the span."""
        return self.span.end.date()

    @property
    def today(self) -> date:
        return self.now.date()

    @cached_property
    def onboarding(self) -> list[int]:
        """Suppliers that are being tried out: nothing of theirs is in a rate."""
        p = partner.c
        tried = select(p.partner_id).where(p.stage == "onboarding")
        return once(self.conn, "onboarding", lambda: list(self.conn.execute(tried).scalars()))

    @cached_property
    def receipts_known_to(self) -> date | None:
        """The first day of which a receipt may be missing because its feed is silent; None while
        the feeds of the warehouses (of the ERP where there is no warehouse) speak."""
        if self.week is not None:
            return None
        return once(self.conn, ("receipts known to", self.now), self._receipts_known_to)

    def _receipts_known_to(self) -> date | None:
        net = names.network(self.conn)
        if net is None:
            return None
        for kind in ("wms", "erp"):
            sources = [n for n, s in net.sources.items() if net.systems[s.system].kind == kind]
            if sources:
                s = source_spell.c
                with knowing_the_house(self.conn):
                    silent: datetime | None = self.conn.execute(
                        select(func.min(s.from_at)).where(
                            s.source.in_(sources), s.to_at.is_(None), s.known_at <= self.now
                        )
                    ).scalar_one()
                return None if silent is None else silent.date()
        return None

    @cached_property
    def currency(self) -> str:
        """The company's currency: the only one in which values are added up."""
        net = names.network(self.conn)
        return "EUR" if net is None else net.company.currency

    @cached_property
    def zone(self) -> str:
        net = names.network(self.conn)
        return "UTC" if net is None else net.company.zone


@dataclass(frozen=True, slots=True)
class Counted:
    """The subjects of a figure.

    rows      has the columns of ``subject``
    outside   words of verdicts that are in neither numerator nor denominator
    extras    columns of ``rows`` told beside by their median
    """

    rows: Select[Any]
    outside: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """The document that a subject is."""

    kind: ColumnElement[str]
    scope: ColumnElement[str]
    number: ColumnElement[str]
    line: ColumnElement[str] = field(default_factory=lambda: literal(""))

    @classmethod
    def of(cls, row: Columns) -> Reference:
        """A row that names its subject in the usual four columns."""
        return cls(row["kind"], row["scope"], row["number"], row["line"])


def subject(
    question: Question,
    reference: Reference,
    at: ColumnElement[Any],
    verdict: ColumnElement[str],
    *,
    amount: ColumnElement[Any] | None = None,
    weight: ColumnElement[Any] | None = None,
    unit: ColumnElement[Any] | None = None,
    healed: ColumnElement[Any] | None = None,
    dimensions: Mapping[str, ColumnElement[Any]] | None = None,
    facts: Mapping[str, ColumnElement[Any]] | None = None,
    extras: Mapping[str, ColumnElement[Any]] | None = None,
) -> list[ColumnElement[Any]]:
    """The columns of one subject; those that nobody asked for are left out.

    at          when it fell due (dates as midnight UTC)
    verdict     hit, miss, or the word under which it is left out
    amount      what it weighs as a hit, or its duration, or what is summed
    weight      what it weighs at most
    unit        unit or currency of the amount
    healed      a miss that was completed later
    dimensions  supplier as the number of the partner, buyer, warehouse, category of goods, topic
    facts       what the verdict rests on, for the list
    """
    found: list[ColumnElement[Any]] = [at.label("at"), verdict.label("verdict")]
    for name, column in (("amount", amount), ("weight", weight), ("unit", unit)):
        if column is not None:
            found.append(column.label(name))
    if healed is not None:
        found.append(healed.label("healed"))
    found += [column.label(name) for name, column in (extras or {}).items()]
    given = dimensions or {}
    if question.detailed:
        for name in ("kind", "scope", "number", "line"):
            found.append(getattr(reference, name).label(name))
        told = [part for name, one in (facts or {}).items() for part in (literal(name), one)]
        found.append(func.json_build_object(*told).label("facts"))
        found += [
            given.get(name, cast(null(), Text)).label(name)
            for name in ("supplier", "buyer", "warehouse", "category", "topic")
        ]
    else:
        found += [given[name].label(name) for name in sorted(question.needs) if name in given]
    return found


def parties(question: Question, row: Columns, *, whole: bool = False) -> list[ColumnElement[bool]]:
    """The viewer's scope and the chosen supplier, buyer, warehouse and category of goods, by a
    row's own columns; of whole orders db/reads/goods.py tells the category."""
    narrowed = question.narrowed
    found = [*within_scope(row, question.scope), *of_supplier(row, narrowed.supplier)]
    if narrowed.buyer is not None:
        found.append(row["buyer"] == narrowed.buyer)
    if narrowed.warehouse is not None:
        found.append(row["warehouse"] == narrowed.warehouse)
    if narrowed.category is not None and not whole:
        found.append(row["category"] == narrowed.category)
    return found


def of_order(row: Columns) -> dict[str, ColumnElement[Any]]:
    """The dimensions of a row of a purchase order, but for the category of its goods."""
    return {"supplier": row["partner_id"], "buyer": row["buyer"], "warehouse": row["warehouse"]}


def of_line(row: Columns) -> dict[str, ColumnElement[Any]]:
    """The dimensions of a line of a purchase order."""
    return {**of_order(row), "category": row["category"]}


def is_hit(condition: ColumnElement[bool], *first: tuple[Any, str]) -> ColumnElement[str]:
    """hit or miss by a condition, after cases that are left out under a word."""
    return case(*first, (condition, HIT), else_=MISS)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def as_instant(day: ColumnElement[Any]) -> ColumnElement[Any]:
    """A day as the instant of its midnight UTC."""
    return func.timezone("UTC", cast(day, DateTime))


def hours(begin: ColumnElement[Any], end: Any) -> ColumnElement[Any]:
    """Hours between two instants, never below zero: clocks of two systems differ."""
    return func.greatest(func.extract("epoch", end - begin), 0) / 3600


def number(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(column, Numeric)


def within(moment: ColumnElement[Any], span: Period) -> list[ColumnElement[bool]]:
    return [moment >= span.start, moment < span.end]
