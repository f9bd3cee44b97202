"""Commands that answer what the leaders' screens answer: overview, orders, risk."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from rich.table import Table

from db.reads import kpis, orders_at_risk, overview, purchase_orders
from db.reads.filters import Filter, Period
from tower.access import EVERYTHING
from tower.briefing import sentences
from tower.impact import CAUSES
from tower.kpis import Figure
from worker.answers import AsJson, emit, one_of, shown, table
from worker.commands.ask import asking

Days = Annotated[int, typer.Option(min=1, max=400, help="Length of the period in days.")]
Supplier = Annotated[str | None, typer.Option(help="Partner of network.yaml.")]
Buyer = Annotated[str | None, typer.Option(help="Buyer as the ERP names them.")]
Warehouse = Annotated[str | None, typer.Option(help="Warehouse of network.yaml.")]
Category = Annotated[str | None, typer.Option(help="Category of goods, as the ERP names it.")]
Limit = Annotated[int, typer.Option(min=1, max=1000)]

VIEWS: dict[str, purchase_orders.View] = {view: view for view in get_args(purchase_orders.View)}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("overview")(tell_overview)
    app.command()(orders)
    app.command()(risk)


def tell_overview(
    days: Days = 30,
    supplier: Supplier = None,
    buyer: Buyer = None,
    warehouse: Warehouse = None,
    category: Category = None,
    as_json: AsJson = False,
) -> int:
    """Is supply under control today? Key figures and decisions. Example: tower overview"""
    with asking() as (conn, now):
        narrowed = Filter(Period.last(days, now), supplier, buyer, warehouse, category)
        figures = kpis.leader_figures(conn, EVERYTHING, narrowed, now)
        causes = overview.needs_decision(conn, EVERYTHING, narrowed)
        said = sentences(overview.changes(conn, EVERYTHING, narrowed, now))
    answer = {
        "as_of": now,
        "days": days,
        "kpis": [{"id": f.definition.id, **_figure(f)} for f in figures],
        "decisions": causes,
        "changes": said,
    }

    def say(console: Console) -> None:
        console.print(
            table(
                f"Last {days} days",
                ("figure", "value #", "target #", "before #", "sample #", ""),
                [
                    (
                        f.definition.name,
                        _value(f, f.value),
                        _value(f, f.definition.target),
                        _value(f, f.previous),
                        f.n,
                        f.reason,
                    )
                    for f in figures
                ],
            )
        )
        console.print(
            table(
                "Needs a decision",
                ("case #", "severity", "what", "cases #", "orders hit #", "at risk #", "owner"),
                [
                    (
                        c.top_case,
                        c.severity,
                        c.title,
                        c.cases,
                        c.customer_orders,
                        c.value_at_risk,
                        c.owner_name,
                    )
                    for c in causes
                ],
            )
        )
        for sentence in said:
            console.print(shown(f"- {sentence}"), soft_wrap=True)

    emit(answer, as_json, say)
    return 0


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.definition.name,
        "value": figure.value,
        "unit": figure.definition.unit,
        "currency": figure.currency,
        "target": figure.definition.target,
        "missed": figure.missed,
        "n": figure.n,
        "numerator": figure.numerator,
        "interval": figure.interval,
        "previous": figure.previous,
        "series": figure.series,
        "outside": figure.outside,
        "parts": figure.parts,
        "reason": figure.reason,
    }


def _value(figure: Figure, value: float | Decimal | None) -> str | None:
    if value is None:
        return None
    if figure.definition.unit == "%":
        return f"{100 * float(value):.1f} %"
    if figure.definition.unit == "money":
        return f"{float(value):,.0f} {figure.currency or ''}".strip()
    return f"{float(value):,.0f}"


def orders(
    view: Annotated[str, typer.Option(help="One of: " + ", ".join(VIEWS))] = "all",
    days: Days = 90,
    supplier: Supplier = None,
    buyer: Buyer = None,
    warehouse: Warehouse = None,
    category: Category = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> int:
    """Purchase orders by consequence. Example: tower orders --view awaiting_ack"""
    one_of("--view", view, VIEWS)
    chosen = VIEWS[view]
    with asking() as (conn, now):
        narrowed = Filter(Period.last(days, now), supplier, buyer, warehouse, category)
        page = purchase_orders.purchase_orders(conn, EVERYTHING, narrowed, chosen, now, limit=limit)
    emit(
        {"view": view, "total": page.total, "orders": page.rows},
        as_json,
        lambda console: console.print(
            table(
                f"{len(page.rows)} of {page.total.rows}{'+' if page.total.capped else ''} orders",
                ("PO", "supplier", "status", "answer", "ladder", "value #", "expected", "trouble"),
                [
                    (
                        r.number,
                        r.supplier_name or r.supplier,
                        r.status,
                        r.answer,
                        " ".join(f"{rung.name[:3]}:{rung.state[:4]}" for rung in r.ladder),
                        r.value,
                        r.expected,
                        r.trouble,
                    )
                    for r in page.rows
                ],
            )
        ),
    )
    return 0


def risk(
    days: Days = 90,
    supplier: Supplier = None,
    buyer: Buyer = None,
    warehouse: Warehouse = None,
    category: Category = None,
    cause: Annotated[str | None, typer.Option(help="Category of the cause.")] = None,
    customer: Annotated[str | None, typer.Option(help="Number of the customer.")] = None,
    told: Annotated[str | None, typer.Option(help="Was the customer told: yes, unknown.")] = None,
    by: Annotated[str | None, typer.Option(help="Sum up by customer, cause or buyer.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> int:
    """Customer order lines that their supply does not cover in time. Example: tower risk"""
    one_of("--cause", cause, CAUSES)
    one_of("--told", told, ("yes", "unknown"))
    one_of("--by", by, get_args(orders_at_risk.Group))
    only = orders_at_risk.Only(cause, None if told is None else told == "yes", customer)
    with asking() as (conn, now):
        narrowed = Filter(Period.last(days, now), supplier, buyer, warehouse, category)
        page = orders_at_risk.orders_at_risk(conn, EVERYTHING, narrowed, only=only, limit=limit)
        groups = [
            group
            for name in get_args(orders_at_risk.Group)
            if name == by
            for group in orders_at_risk.grouped(
                conn, EVERYTHING, narrowed, name, only=only, limit=limit
            )
        ]

    def say(console: Console) -> None:
        console.print(_groups(str(by), groups) if by else _at_risk(page))

    emit({"total": page.total, "groups": groups, "lines": page.rows}, as_json, say)
    return 0


def _groups(by: str, groups: Sequence[orders_at_risk.GroupRow]) -> Table:
    return table(
        f"At risk by {by}",
        (by, "orders #", "lines #", "value #", "late #", "first promise", "told #"),
        [
            (
                CAUSES.get(g.name, g.name) if by == "cause" else g.name,
                g.orders,
                g.lines,
                g.open_value,
                g.worst_days_late,
                g.earliest_promise,
                g.told,
            )
            for g in groups
        ],
    )


def _at_risk(page: orders_at_risk.AtRiskPage) -> Table:
    return table(
        f"{len(page.rows)} of {page.total.rows} lines at risk",
        (
            "order",
            "line",
            "customer",
            "promised",
            "expected",
            "late #",
            "value #",
            "PO",
            "cause",
            "told",
        ),
        [
            (
                r.order,
                r.order_line,
                r.customer_name or r.customer,
                r.promise_date,
                r.projected,
                r.days_late,
                r.open_value,
                f"{r.po} / {r.po_line}" if r.po else None,
                r.cause,
                r.told_date or r.told_at,
            )
            for r in page.rows
        ],
    )
