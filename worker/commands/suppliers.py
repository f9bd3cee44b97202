"""Commands that answer what the pages of one supplier and of fulfilment answer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from db.reads import figures, fulfilment, supplier_page
from db.reads.filters import Filter, Period
from tower.access import EVERYTHING
from tower.kpi_catalogue import DEFINITIONS
from tower.kpis import Figure
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking
from worker.commands.lead import Buyer, Category, Days, Limit, Supplier, Warehouse

SUPPLIER_FIGURES = (
    "ack_on_time",
    "ack_cycle_clock",
    "ack_cycle_business",
    "first_confirm",
    "commit_reliability",
    "asn_on_time",
    "asn_valid",
    "asn_accurate",
    "otif",
    "fill_line",
    "lead_time",
)
FULFILMENT_FIGURES = (
    "otif",
    "fill_line",
    "fill_value",
    "perfect_order",
    "asn_accurate",
    "invoice_match",
    "lead_time",
    "unit_days_late",
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(supplier)
    app.command("fulfilment")(tell_fulfilment)


def supplier(
    key: Annotated[str, typer.Argument(help="Partner of network.yaml.")],
    days: Days = 30,
    as_json: AsJson = False,
) -> int:
    """One supplier: ladder, answer times, figures, what is open. Example: tower supplier ACME

    Exit code 3 if there is no such supplier.
    """
    with asking() as (conn, now):
        narrowed = Filter(Period.last(days, now), supplier=key)
        page = supplier_page.supplier_page(conn, EVERYTHING, key, narrowed, now)
        if page is None:
            typer.echo(f'No supplier "{key}" is known. next: tower partner list', err=True)
            return EXIT_NOT_FOUND
        told = [figures.figure(conn, EVERYTHING, kpi, narrowed, now) for kpi in SUPPLIER_FIGURES]
        mails = supplier_page.told(conn, EVERYTHING, key, narrowed.period)
    answer = {
        "days": days,
        "supplier": page.card,
        "ladder": page.funnel,
        "answers": {
            "allowed_h": page.answers.allowed_h,
            "bins": [
                {"name": b.name, "in_time": b.in_time, "late": b.late} for b in page.answers.bins
            ],
        },
        "kpis": [_figure(f) for f in told],
        "open_orders": page.open_ages,
        "exceptions": page.categories,
        "mails": mails,
    }

    def say(console: Console) -> None:
        console.print(shown(f"{page.card.name} ({page.card.key}), last {days} days"))
        console.print(_figure_table(told))
        console.print(
            table(
                "Ladder of the orders released",
                ("rung", "reached #", "of #", "half within, s #", "9 of 10, s #", "whose clock"),
                [
                    (s.label, s.reached, s.of, _round(s.p50_s), _round(s.p90_s), s.whose)
                    for s in page.funnel
                ],
            )
        )
        console.print(
            table(
                "Exceptions",
                ("category", "open #", "worst", "opened #", "healed #"),
                [(c.category, c.open, c.severity, c.opened, c.healed) for c in page.categories],
            )
        )

    emit(answer, as_json, say)
    return 0


def _round(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _figure(figure: Figure) -> dict[str, Any]:
    of = figure.definition
    return {
        "id": of.id,
        "name": of.name,
        "value": figure.value,
        "unit": of.unit,
        "currency": figure.currency,
        "target": of.target,
        "missed": figure.missed,
        "n": figure.n,
        "interval": figure.interval,
        "previous": figure.previous,
        "beside": figure.beside,
        "outside": figure.outside,
        "reason": figure.reason,
    }


def _figure_table(told: list[Figure]) -> Any:
    return table(
        "Figures",
        ("figure", "value #", "target #", "before #", "sample #", ""),
        [
            (
                f.definition.name,
                _words(f, f.value),
                _words(f, f.definition.target),
                _words(f, f.previous),
                f.n,
                f.reason,
            )
            for f in told
        ],
    )


def _words(figure: Figure, value: Any) -> str | None:
    if value is None:
        return None
    if figure.definition.unit == "%":
        return f"{100 * float(value):.1f} %"
    return f"{float(value):,.1f} {figure.definition.unit}"


def tell_fulfilment(
    days: Days = 30,
    supplier: Supplier = None,
    buyer: Buyer = None,
    warehouse: Warehouse = None,
    category: Category = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> int:
    """Did what was ordered come, in full, in time, undamaged? Example: tower fulfilment --days 7"""
    with asking() as (conn, now):
        narrowed = Filter(Period.last(days, now), supplier, buyer, warehouse, category)
        told = [figures.figure(conn, EVERYTHING, kpi, narrowed, now) for kpi in FULFILMENT_FIGURES]
        parts = fulfilment.perfect_parts(conn, EVERYTHING, narrowed, now)
        counts = fulfilment.discrepancies(conn, EVERYTHING, narrowed)
        page = fulfilment.discrepancy_page(conn, EVERYTHING, narrowed, limit=limit)
        bills = fulfilment.invoices(conn, EVERYTHING, narrowed, limit=limit)
        weeks = fulfilment.cohorts(conn, EVERYTHING, narrowed, now)
    answer = {
        "days": days,
        "kpis": [_figure(f) for f in told],
        "perfect_parts": [
            {"part": name, "passed": passed, "judged": judged}
            for name, (passed, judged) in parts.items()
        ],
        "discrepancies": counts,
        "lines_total": page.total,
        "lines": page.rows,
        "invoices": {
            "states": dict(bills.states),
            "blocked": bills.blocked,
            "returns": dict(bills.returns),
        },
        "weeks": [asdict(week) for week in weeks],
    }

    def say(console: Console) -> None:
        console.print(_figure_table(told))
        console.print(
            table(
                f"{DEFINITIONS['perfect_order'].name}, by part",
                ("part", "passed #", "judged #"),
                [(fulfilment.PARTS[name], *pair) for name, pair in parts.items()],
            )
        )
        console.print(
            table(
                f"{len(page.rows)} of {page.total.rows} lines that came otherwise than announced",
                (
                    "PO line",
                    "supplier",
                    "what",
                    "announced #",
                    "received #",
                    "refused #",
                    "worth #",
                ),
                [
                    (
                        f"{r.number} / {r.line}",
                        r.supplier_name,
                        ", ".join(r.kinds),
                        r.announced,
                        r.received,
                        r.refused,
                        r.value,
                    )
                    for r in page.rows
                ],
            )
        )

    emit(answer, as_json, say)
    return 0
