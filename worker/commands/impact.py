"""Commands about supply and the customers behind it: whom a document hurts, and the curve of an
item."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from db.reads import item_curve, orders_at_risk, stories
from tower.access import EVERYTHING
from tower.impact import CAUSES
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking

_HEADER = {"po_line": "po", "order_line": "order"}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("impact")(impact)
    app.command("curve")(curve)


def impact(
    ref: Annotated[str, typer.Argument(help="A purchase order or a customer order.")],
    as_json: AsJson = False,
) -> int:
    """Whom a purchase order hurts, or what hurts a customer order. Example: tower impact 4711

    Of a purchase order: what its lines bring now, and the customer order lines that are uncovered
    through it. Of a customer order: how each open line stands, and what is to blame.
    """
    with asking() as (conn, now):
        found = [f for f in stories.search(conn, EVERYTHING, ref) if f.kind in _KINDS]
        meant = stories.parse_ref(found[0].ref) if len(found) == 1 else None
        if meant is None:
            typer.echo(_not_one(ref, found), err=True)
            return EXIT_NOT_FOUND
        kind = _HEADER.get(meant.kind, meant.kind)
        rows = [
            row
            for row in orders_at_risk.of_document(conn, EVERYTHING, kind, meant.scope, meant.number)
            if not meant.line or meant.line == (row.po_line if kind == "po" else row.order_line)
        ]
        supply = (
            item_curve.po_lines(conn, EVERYTHING, meant.scope, meant.number, now)
            if kind == "po"
            else ()
        )
        lines = (
            item_curve.order_lines(
                conn, EVERYTHING, meant.scope, meant.number, {row.order_line for row in rows}
            )
            if kind == "order"
            else ()
        )
    answer: dict[str, Any] = {
        "ref": str(meant),
        "at_risk": rows,
        "supply": [one for one in supply if not meant.line or one.line == meant.line],
        "lines": [one for one in lines if not meant.line or one.line == meant.line],
    }

    def say(console: Console) -> None:
        _say_impact(console, answer)

    emit(answer, as_json, say)
    return 0


_KINDS = ("po", "po_line", "order", "order_line")


def _not_one(ref: str, found: list[stories.Found]) -> str:
    if not found:
        return (
            f'No purchase order and no customer order is called "{ref}". Look for it with '
            f"`tower find {ref}`."
        )
    names = ", ".join(one.ref for one in found)
    return f'Several documents are called "{ref}": {names}. Give one of these references.'


def _say_impact(console: Console, answer: dict[str, Any]) -> None:
    rows: list[orders_at_risk.AtRiskRow] = answer["at_risk"]
    if answer["supply"]:
        console.print(
            table(
                "What it brings",
                ("line", "planned", "qty #", "now", "qty #", "because"),
                [
                    (
                        s.line,
                        s.planned,
                        s.planned_qty,
                        s.projected,
                        s.projected_qty,
                        CAUSES.get(s.cause, s.cause) or "runs to plan",
                    )
                    for s in answer["supply"]
                ],
            )
        )
    if answer["lines"]:
        console.print(
            table(
                "Open lines",
                ("line", "item", "promised", "qty #", "pegged #", "state", "why"),
                [
                    (w.line, w.item, w.promise, w.qty, w.pegged, w.state.replace("_", " "), w.why)
                    for w in answer["lines"]
                ],
            )
        )
    if not rows:
        console.print("No customer order line is known to be uncovered.")
        return
    console.print(
        table(
            "At risk",
            ("order", "customer", "promised", "expected", "late #", "offer", "value #", "sure #",
             "PO line", "because", "by", "told"),
            [
                (
                    f"{r.order} / {r.order_line}",
                    r.customer_name,
                    r.promise_date,
                    r.projected,
                    r.days_late,
                    r.proposed,
                    r.open_value,
                    f"{100 * r.confidence:.0f} %",
                    f"{r.po} / {r.po_line}" if r.po else None,
                    CAUSES.get(r.cause, r.cause),
                    r.matched_by,
                    r.told_date or r.told_at,
                )
                for r in rows
            ],
        )
    )  # fmt: skip


def curve(
    item: Annotated[str, typer.Argument(help="Article number.")],
    warehouse: Annotated[str, typer.Option(help="Warehouse of network.yaml.")],
    as_json: AsJson = False,
) -> int:
    """Supply and demand of one item in one warehouse, before and after what went wrong.

    Example: tower curve I-1001 --warehouse east
    """
    with asking() as (conn, now):
        found = item_curve.item_curve(conn, EVERYTHING, item, warehouse, now)
    if found is None:
        typer.echo(
            f'Nothing is known of item "{item}" in warehouse "{warehouse}": no stock report, no '
            "purchase line, no customer order line. Names are written as the ERP writes them.",
            err=True,
        )
        return EXIT_NOT_FOUND

    def say(console: Console) -> None:
        stock = "never reported" if found.on_hand is None else f"{found.on_hand:f}"
        console.print(
            shown(
                f"{found.item} in {found.warehouse}: stock {stock}"
                + (f", as of {found.as_of:%Y-%m-%d %H:%MZ}" if found.as_of else "")
                + (", its feed is silent" if found.silent else "")
                + (f"; not netted: {found.problem}" if found.problem else "")
            ),
            soft_wrap=True,
        )
        console.print(
            table(
                f"Day by day, summed up, in {found.uom or 'pieces'}",
                ("by the end of", "wanted #", "supply as planned #", "supply now #", "short #"),
                [
                    (p.day, p.wanted, p.before, p.after, max(p.wanted - p.after, 0))
                    for p in found.points
                ],
            )
        )

    emit(found, as_json, say)
    return 0
