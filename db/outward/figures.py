"""Key figures as rows: every figure of the catalogue over a period, or by party and time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from db.outward.fields import Field
from db.reads import figures
from db.reads.filters import Filter
from db.reads.rows import Record
from tower.access import Scope
from tower.kpi_catalogue import DEFINITIONS
from tower.kpis import Figure

NAME = "kpis"

FIELDS = (
    Field("kpi", "", "text", "id of the figure, as tower kpi takes it"),
    Field("name", "", "text", "its name"),
    Field("by", "", "text", "what it is told apart by; empty for the whole"),
    Field(
        "key",
        "",
        "text",
        "supplier, buyer, warehouse, category or topic; first day of week or month",
    ),
    Field("key_name", "", "text", "the same as people know it"),
    Field("period_from", "", "instant", "begin of the period"),
    Field("period_to", "", "instant", "first instant after it"),
    Field("value", "", "number", "the figure; null = no data, see reason"),
    Field("unit", "", "text", "unit of the value; shares are 0 to 1 although their unit is %"),
    Field("currency", "", "text", "of money; unit of measure of other sums"),
    Field("sample", "", "int", "how many it counted"),
    Field("hits", "", "int", "numerator of a share"),
    Field("low", "", "number", "lower end of the 95 % interval of a share"),
    Field("high", "", "number", "upper end of it"),
    Field("previous", "", "number", "the same figure one period before"),
    Field("target", "", "number", "what is aimed at"),
    Field("missed", "", "flag", "the target is missed"),
    Field("coverage", "", "number", "share of what was due that could be judged"),
    Field("as_of", "", "instant", "newest good read of a feed"),
    Field("reason", "", "text", "why there is no data"),
    Field("version", "", "int", "of the definition; rises when the meaning changes"),
)


def rows(
    conn: Connection, scope: Scope, narrowed: Filter, now: datetime, by: str | None
) -> Iterator[Record]:
    """One row per figure; with ``by`` one per figure and party, week or month that it knows."""
    for kpi_id, of in DEFINITIONS.items():
        if by is None:
            whole = figures.figure(conn, scope, kpi_id, narrowed, now)
            yield _row(whole, narrowed, "", "", "")
        elif by in of.dimensions:
            for one in figures.figures_by(conn, scope, kpi_id, by, narrowed, now):
                yield _row(one.figure, narrowed, by, one.key, one.name)


def _row(one: Figure, narrowed: Filter, by: str, key: str, name: str) -> Record:
    low, high = one.interval or (None, None)
    return {
        "kpi": one.definition.id,
        "name": one.definition.name,
        "by": by,
        "key": key,
        "key_name": name,
        "period_from": narrowed.period.start,
        "period_to": narrowed.period.end,
        "value": None if one.value is None else float(one.value),
        "unit": one.definition.unit,
        "currency": one.currency,
        "sample": one.n,
        "hits": one.numerator,
        "low": low,
        "high": high,
        "previous": None if one.previous is None else float(one.previous),
        "target": one.definition.target,
        "missed": one.missed,
        "coverage": one.coverage,
        "as_of": one.as_of,
        "reason": one.reason,
        "version": one.definition.version,
    }
