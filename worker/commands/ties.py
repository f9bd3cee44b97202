"""``tower tie``, ``untie``, ``ties``: say by hand where something belongs, and take it back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import configuration, ties
from db import engine as db_engine
from db.reads import stories
from db.ties import HandTie
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.errors import ConfigError
from tower.event import ObjectRef
from tower.identity import ROOT_KINDS
from tower.network import load_network
from worker import ties as fulfilling
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking
from worker.commands.who import By, user

Why = Annotated[str, typer.Option(help="What you know; those who come after must judge it.")]
Asked = Callable[[Connection, datetime], HandTie]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(tie)
    app.command()(untie)
    app.command("ties")(tell_ties)


def tie(
    what: Annotated[str, typer.Argument(help="As tower unmatched names it.")],
    order: Annotated[str, typer.Argument(help="po:ERP:NUMBER, order:ERP:NUMBER, or a number.")],
    why: Why,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Say that it belongs to an order. Example: tower tie po:main:45OO 4500 --why "typo"

    Kept with who, when and why; tower untie takes it back. Exit code 3 if one of the two is not
    known, or makes no sense with the other.
    """

    def ask(conn: Connection, now: datetime) -> HandTie:
        target = _order(conn, order)
        return ties.ask(conn, EVERYTHING, what, target, why=why, who=by or user(), now=now)

    return _fulfilled(ask, "Tied", as_json)


def untie(
    what: Annotated[str, typer.Argument(help="As tower ties names it.")],
    why: Why,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Take a tie back. Example: tower untie po:main:45OO --why "was another order"

    The tie stays in the list, as undone. Exit code 3 if no such tie stands.
    """
    return _fulfilled(
        lambda conn, now: ties.ask_undo(conn, EVERYTHING, what, why=why, who=by or user(), now=now),
        "Untied",
        as_json,
    )


def _order(conn: Connection, text: str) -> ObjectRef:
    ref = stories.parse_ref(text)
    if ref is not None:
        return ref
    found = [
        one
        for found in stories.search(conn, EVERYTHING, text)
        if found.kind in ROOT_KINDS and (one := stories.parse_ref(found.ref)) is not None
    ]
    if len(found) == 1:
        return found[0]
    said = " and ".join(map(str, found))
    raise ties.TieRefused(
        f'"{text}" may mean {said}: name one of them.'
        if found
        else f'"{text}" is no known purchase or customer order. Name one as po:ERP:NUMBER.'
    )


def _fulfilled(ask: Asked, done: str, as_json: bool) -> int:
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine:
        with engine.connect() as conn:
            found = configuration.active(conn, configuration.NETWORK)
        if found is None:
            raise ConfigError("No network is in force yet: tower up takes network.yaml in.")
        net = load_network(found.body, configuration.NETWORK)
        try:
            with engine.begin() as conn:
                asked = ask(conn, now)
        except ties.TieRefused as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
        fulfilling.fulfil_waiting(engine, net, now)
        with engine.connect() as conn:
            made = next(t for t in ties.ties(conn, EVERYTHING, limit=1000) if t.id == asked.id)

    def show(console: Console) -> None:
        state = "" if made.state in ("standing", "undone") else " (waits for another writer)"
        console.print(shown(f"{done}: {made.what} and {made.order}{state}."), soft_wrap=True)
        console.print(shown(f"next: tower show {made.order}"), soft_wrap=True)

    emit({"tie": made}, as_json, show)
    return 0


def tell_ties(
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50, as_json: AsJson = False
) -> int:
    """Ties made by hand, also undone ones, newest first. Example: tower ties"""
    with asking() as (conn, _):
        found = ties.ties(conn, EVERYTHING, limit=limit)

    def show(console: Console) -> None:
        console.print(
            table(
                f"{len(found)} ties by hand",
                ("what", "order", "state", "who", "when", "why", "undone by", "why undone"),
                [
                    (
                        t.what,
                        t.order,
                        t.state,
                        t.made_by,
                        t.made_at,
                        t.why,
                        t.undone_by,
                        t.undone_why,
                    )
                    for t in found
                ],
            )
        )

    emit({"ties": found}, as_json, show)
    return 0
