"""Subjects summed by the database: by part of a period, by party, by week or month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Double,
    Integer,
    case,
    cast,
    func,
    literal,
    select,
    tuple_,
)

from db.reads.counted_ahead import Ahead
from db.reads.counting import Counted, Question, midnight
from db.reads.filters import Period
from db.reads.piles import QUANTILES
from tower.kpi_sums import NOTHING, Sums
from tower.kpis import HIT, MISS


def in_parts(question: Question, counted: Counted | Ahead) -> tuple[Sums, Sums, tuple[Sums, ...]]:
    """(the period, the one before, each part of the period) in one pass."""
    if isinstance(counted, Ahead):
        return counted.in_parts()
    rows = counted.rows.subquery("subjects")
    period = question.period
    # Whole days stay together: what was counted ahead knows no more.
    part = bucket(
        func.date_trunc("day", rows.c.at, "UTC") if _in_days(period) else rows.c.at, period
    )
    inner = select(rows, part.label("part"), (rows.c.at >= period.start).label("side")).subquery()
    sums = _grouped(
        question,
        counted,
        inner.c,
        [inner.c.side, inner.c.part],
        sets=True,
    )
    now = sums.get((True, None), NOTHING)
    before = sums.get((False, None), NOTHING)
    course = tuple(sums.get((None, place), NOTHING) for place in range(period.parts))
    return now, before, course


def _in_days(period: Period) -> bool:
    return period.start == midnight(period.start.astimezone(UTC).date())


def of_all(question: Question, counted: Counted) -> Sums:
    """All subjects as one."""
    rows = counted.rows.subquery("subjects").c
    return _grouped(question, counted, rows, [literal(1).label("all")]).get((1,), NOTHING)


def by_dimension(question: Question, counted: Counted | Ahead, by: str) -> dict[Hashable, Sums]:
    """By supplier (its number), buyer, warehouse, category of goods or topic; None where a subject
    has none."""
    if isinstance(counted, Ahead):
        return counted.by_dimension(by)
    rows = counted.rows.subquery("subjects").c
    found = _grouped(question, counted, rows, [rows[by].label("key")])
    return {key: sums for (key,), sums in found.items()}


def by_calendar(question: Question, counted: Counted | Ahead, step: str) -> dict[date, Sums]:
    """By week (from Monday) or month of the instant at which a subject counts, UTC."""
    if isinstance(counted, Ahead):
        return counted.by_calendar(step)
    rows = counted.rows.subquery("subjects").c
    start = cast(func.date_trunc(step, func.timezone("UTC", rows.at)), Date)
    found = _grouped(question, counted, rows, [start.label("key")])
    return {key: sums for (key,), sums in found.items() if isinstance(key, date)}


def by_calendar_and_dimension(
    question: Question, counted: Counted | Ahead, step: str, by: str
) -> dict[tuple[date, Hashable], Sums]:
    """By both: the first day of the week or month, and the party."""
    if isinstance(counted, Ahead):
        return counted.by_calendar_and_party(step)
    rows = counted.rows.subquery("subjects").c
    start = cast(func.date_trunc(step, func.timezone("UTC", rows.at)), Date)
    found = _grouped(question, counted, rows, [start.label("start"), rows[by].label("key")])
    return {(day, key): sums for (day, key), sums in found.items() if isinstance(day, date)}


def bucket(moment: ColumnElement[Any], period: Period) -> ColumnElement[int]:
    """Part of the period an instant falls in: 0 is its first, -1 the last of the one before."""
    seconds = period.length.total_seconds() / period.parts
    return cast(func.floor(func.extract("epoch", moment - period.start) / seconds), Integer)


def _grouped(
    question: Question,
    counted: Counted,
    rows: Any,
    keys: Sequence[ColumnElement[Any]],
    sets: bool = False,
) -> dict[tuple[Hashable, ...], Sums]:
    definition = question.definition
    has = set(rows.keys())
    counts = rows.verdict.in_((HIT, MISS))

    def number_of(condition: ColumnElement[bool]) -> ColumnElement[Any]:
        return func.count().filter(condition)

    columns: dict[str, ColumnElement[Any]] = {
        "n": number_of(counts),
        "hits": number_of(rows.verdict == HIT),
    }
    for word in counted.outside:
        columns[f"out_{word}"] = number_of(rows.verdict == word)
    if "healed" in has:
        columns["healed"] = number_of(rows.healed)
    if "amount" in has and definition.statistic in ("weighted", "sum", "share"):
        columns["amount"] = func.sum(rows.amount).filter(counts)
    if "weight" in has:
        columns["weight"] = func.sum(rows.weight).filter(counts)
    if definition.statistic in ("median", "mean", "largest"):
        columns |= _quantiles(rows, counts)
    for name in counted.extras:
        columns[f"extra_{name}"] = _percentile(0.5, rows[name], counts)
    by_unit = "unit" in has
    unit = [rows.unit.label("unit")] if by_unit else []
    statement = select(*keys, *unit, *(c.label(name) for name, c in columns.items()))
    if sets:
        side, part = keys
        groups = [tuple_(key, *unit) for key in (side, part)]
        statement = statement.group_by(func.grouping_sets(*groups))
    else:
        statement = statement.group_by(*keys, *unit)
    found: dict[tuple[Hashable, ...], Sums] = defaultdict(Sums)
    for row in question.conn.execute(statement):
        told = row._asdict()
        key = tuple(row[: len(keys)])
        found[key] = _pooled(found[key], told, counted, has, by_unit)
    return found


def _quantiles(rows: Any, counts: ColumnElement[bool]) -> dict[str, ColumnElement[Any]]:
    amount = cast(rows.amount, Double)
    # What still goes on ranks longest.
    ranked = case((rows.verdict == MISS, cast(literal("Infinity"), Double)), else_=amount)
    found = {name: _percentile(share, ranked, counts) for name, share in QUANTILES.items()}
    found |= {f"far_{name}": _percentile(s, amount, counts) for name, s in QUANTILES.items()}
    return found | {
        "mean": func.avg(amount).filter(counts),
        "deviation": func.stddev_samp(amount).filter(counts),
        "largest": func.max(amount).filter(counts),
    }


def _percentile(
    share: float, amount: ColumnElement[Any], counts: ColumnElement[bool]
) -> ColumnElement[Any]:
    return func.percentile_cont(share).within_group(cast(amount, Double)).filter(counts)


def _pooled(
    known: Sums, row: Mapping[str, Any], counted: Counted, has: set[str], by_unit: bool
) -> Sums:
    """One row added: rows of one key differ by unit only."""
    units = dict(known.units)
    if by_unit and row["n"]:
        units[row["unit"] or ""] = (row["n"], row.get("amount"))
    outside = {word: known.outside.get(word, 0) + row[f"out_{word}"] for word in counted.outside}
    return replace(
        known,
        hits=known.hits + row["hits"],
        n=known.n + row["n"],
        healed=known.healed + row.get("healed", 0),
        outside=outside,
        amount=_add(known.amount, row.get("amount")),
        weight=_add(known.weight, row.get("weight")),
        units=units,
        quantiles={
            name: row.get(name)
            for name in (*QUANTILES, "mean", "deviation", "largest")
            if name in row
        },
        so_far={name: row.get(f"far_{name}") for name in QUANTILES if f"far_{name}" in row},
        extras={name: row[f"extra_{name}"] for name in counted.extras},
        weighed="weight" in has,
    )


def _add(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
