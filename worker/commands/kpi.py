"""The command `tower kpi`: the catalogue, any figure of it by party and time, and its subjects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console

from db.reads import figures, subjects
from db.reads.figures import Told
from db.reads.filters import Filter, Period
from tower.access import EVERYTHING
from tower.kpi_catalogue import DEFINITIONS, UnknownChoice, check_dimension, chosen
from tower.kpi_definition import Definition
from tower.kpis import Figure
from worker.answers import AsJson, emit, one_of, shown, table
from worker.commands.ask import asking
from worker.commands.lead import Buyer, Category, Limit, Supplier, Warehouse

DAYS = 30
BY = (*figures.DIMENSIONS, "week", "month")
ONLY = ("all", "in", "out", "hit", "miss")
_DAY = ["%Y-%m-%d"]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(kpi)


def kpi(
    name: Annotated[str | None, typer.Argument(help="A figure; none lists them.")] = None,
    by: Annotated[str | None, typer.Option(help="One of: " + ", ".join(BY))] = None,
    from_: Annotated[
        datetime | None,
        typer.Option("--from", formats=_DAY, help="First day (UTC); default 30 days ago."),
    ] = None,
    to: Annotated[
        datetime | None,
        typer.Option("--to", formats=_DAY, help="Last day (UTC); default up to now."),
    ] = None,
    switch: Annotated[
        list[str] | None, typer.Option(help="A choice of the definition: date=requested.")
    ] = None,
    supplier: Supplier = None,
    buyer: Buyer = None,
    warehouse: Warehouse = None,
    category: Category = None,
    topic: Annotated[
        str | None,
        typer.Option(help="Category of an exception or of a cause, or document and hop."),
    ] = None,
    subjects_: Annotated[
        bool, typer.Option("--subjects", help="List what was counted, and what was left out.")
    ] = False,
    only: Annotated[str, typer.Option(help="Of the subjects: " + ", ".join(ONLY))] = "all",
    after: Annotated[str | None, typer.Option(help="Go on after a page of subjects.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> int:
    """Any figure, by party or time, or what it counted. Example: tower kpi otif --by supplier

    Without a name the catalogue is listed. "No data" is an answer: too few subjects make no figure.
    """
    if name is None:
        return _catalogue(as_json)
    one_of("NAME", name, DEFINITIONS)
    one_of("--by", by, BY)
    one_of("--only", only, ONLY)
    of = DEFINITIONS[name]
    try:
        words = chosen(of, _switches(switch or ()))
        if by is not None:
            check_dimension(of, by)
    except UnknownChoice as wrong:
        raise typer.BadParameter(str(wrong)) from wrong
    with asking() as (conn, now):
        narrowed = Filter(_period(from_, to, now), supplier, buyer, warehouse, category, topic)
        asked = (conn, EVERYTHING, name)
        whole = figures.figure(*asked, narrowed, now, words)
        told = figures.figures_by(*asked, by, narrowed, now, words) if by else []
        page = (
            subjects.subjects(
                *asked, narrowed, now, words, only=_only(only), after=after, limit=limit
            )
            if subjects_
            else None
        )
    answer: dict[str, Any] = {
        "kpis": [_definition(of)],
        "as_of": whole.as_of,
        "from": narrowed.period.start,
        "to": narrowed.period.end,
        "switches": words,
        "figure": figure_json(whole),
        "by": by,
        "rows": [{"key": t.key, "name": t.name, **figure_json(t.figure)} for t in told],
        "subjects": None
        if page is None
        else {"total": page.total, "following": page.following, "rows": page.rows},
    }

    def say(console: Console) -> None:
        _say(console, of, whole, by, told)
        if page is not None:
            _say_subjects(console, page)

    emit(answer, as_json, say)
    return 0


def _catalogue(as_json: bool) -> int:
    def say(console: Console) -> None:
        console.print(
            table(
                f"{len(DEFINITIONS)} figures; docs/kpis.md explains them",
                ("name", "what", "unit", "target #", "by", "switches"),
                [
                    (
                        d.id,
                        d.name,
                        d.unit,
                        _target(d),
                        " ".join(d.dimensions),
                        " ".join(f"{k}={'|'.join(words)}" for k, words in d.switches.items()),
                    )
                    for d in DEFINITIONS.values()
                ],
            )
        )

    unasked = dict.fromkeys(("as_of", "from", "to", "switches", "figure", "by", "subjects"))
    catalogue = [_definition(d) for d in DEFINITIONS.values()]
    emit({"kpis": catalogue, **unasked, "rows": []}, as_json, say)
    return 0


def _definition(d: Definition) -> dict[str, Any]:
    return {
        "id": d.id,
        "name": d.name,
        "unit": d.unit,
        "formula": d.formula,
        "outside": d.outside,
        "better": d.better,
        "target": d.target,
        "least": d.least,
        "now": d.snapshot,
        "version": d.version,
        "counts": d.counts,
        "opens": d.opens,
        "by": d.dimensions,
        "switches": d.switches,
    }


def figure_json(f: Figure) -> dict[str, Any]:
    """A figure as commands tell it; null is no data, never zero."""
    return {
        "value": f.value,
        "over": f.over,
        "unit": f.definition.unit,
        "currency": f.currency,
        "target": f.definition.target,
        "missed": f.missed,
        "n": f.n,
        "numerator": f.numerator,
        "interval": f.interval,
        "previous": f.previous,
        "series": f.series,
        "beside": f.beside,
        "parts": f.parts,
        "outside": f.outside,
        "coverage": f.coverage,
        "reason": f.reason,
    }


def _switches(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in given:
        name, equals, word = one.partition("=")
        if not equals:
            raise typer.BadParameter(
                f'"{one}" is no choice; write name=word, such as date=requested.',
                param_hint="--switch",
            )
        found[name.strip()] = word.strip()
    return found


def _period(first: datetime | None, last: datetime | None, now: datetime) -> Period:
    """Whole days, the last included; without a day the last 30 times 24 hours."""
    if first is None and last is None:
        return Period.last(DAYS, now)
    end = now if last is None else last.replace(tzinfo=UTC) + timedelta(days=1)
    start = end - timedelta(days=DAYS) if first is None else first.replace(tzinfo=UTC)
    if start >= end:
        raise typer.BadParameter(
            f"the period ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d}).",
            param_hint="--from",
        )
    return Period(start, end)


def _only(word: str) -> subjects.Only:
    found: dict[str, subjects.Only] = {
        "all": "all",
        "in": "in",
        "out": "out",
        "hit": "hit",
        "miss": "miss",
    }
    return found[word]


# --- for people -----------------------------------------------------------------------------------


def _say(console: Console, of: Definition, whole: Figure, by: str | None, told: list[Told]) -> None:
    rows = [("all", whole), *((t.name, t.figure) for t in told)]
    console.print(
        table(
            of.name,
            (by or "", "value #", "target #", "sample #", "between #", "left out #", ""),
            [
                (
                    name,
                    value_words(f),
                    _target(of),
                    f.n,
                    _interval(f),
                    sum(f.outside.values()),
                    f.reason,
                )
                for name, f in rows
            ],
        )
    )
    beside = [f"{name.replace('_', ' ')} {_plain(v)}" for name, v in whole.beside.items()]
    beside += [f"{name} {v}" for name, v in whole.parts.items()]
    if beside:
        console.print(shown("Beside: " + ", ".join(beside)), soft_wrap=True)
    if whole.outside:
        left = ", ".join(f"{n} {w.replace('_', ' ')}" for w, n in whole.outside.items())
        console.print(shown("Left out: " + left), soft_wrap=True)
    console.print(shown(f"{of.formula}. Definition {of.version}."), soft_wrap=True)


def _say_subjects(console: Console, page: subjects.SubjectPage) -> None:
    console.print(
        table(
            f"{len(page.rows)} of {sum(page.total.values())} subjects",
            ("what", "supplier", "at", "why"),
            [
                (
                    " ".join(filter(None, (s.kind, s.number, s.line))),
                    s.supplier_name or s.supplier,
                    s.at,
                    s.why + (" (became known after the period)" if s.restated else ""),
                )
                for s in page.rows
            ],
        )
    )
    if page.following:
        console.print(shown(f"More: --after '{page.following}'"), soft_wrap=True)


def value_words(f: Figure) -> str | None:
    """A value with its unit, for people; None where there is no data."""
    if f.value is None:
        return None
    value, unit = float(f.value), f.definition.unit
    if unit == "%":
        return f"{100 * value:.1f} %"
    if unit == "money":
        return f"{value:,.0f} {f.currency or ''}".strip()
    over = "over " if f.over else ""
    if unit in ("h", "days", "s", "min"):
        return f"{over}{value:,.1f} {unit}"
    return f"{value:,.0f} {unit}"


def _target(of: Definition) -> str | None:
    if of.target is None:
        return None
    return f"{100 * of.target:.0f} %" if of.unit == "%" else f"{of.target:g} {of.unit}"


def _interval(f: Figure) -> str | None:
    if f.interval is None:
        return None
    return f"{100 * f.interval[0]:.0f}-{100 * f.interval[1]:.0f} %"


def _plain(value: float | Decimal | None) -> str:
    return "–" if value is None else f"{float(value):,.1f}"
