"""Commands about the network: its schema, and lines on which its systems disagree."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from db import configuration
from db.reads import disagreements as reads
from tower.access import EVERYTHING
from tower.errors import ConfigError
from tower.network import load_network
from tower.network_schema import schema_text
from tower.owners import kinds_with_fields
from worker.answers import AsJson, emit, one_of, table
from worker.commands.ask import asking


def register(app: typer.Typer, network: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("disagreements")(tell_disagreements)
    network.command("schema")(schema)


def schema() -> int:
    """The JSON Schema of network.yaml, for editors. Example: tower network schema > n.json"""
    sys.stdout.write(schema_text())
    return 0


def tell_disagreements(
    field: Annotated[str | None, typer.Option(help="For example received_qty.")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Also lines that are done.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> int:
    """Lines on which systems tell different values. Example: tower disagreements"""
    known = sorted(frozenset[str]().union(*kinds_with_fields().values()))
    one_of("--field", field, known)
    with asking() as (conn, now):
        found = configuration.active(conn, configuration.NETWORK)
        if found is None:
            raise ConfigError("No network is in force yet: tower up takes network.yaml in.")
        net = load_network(found.body, configuration.NETWORK)
        rows, more = reads.disagreements(
            conn, EVERYTHING, net, now, field=field, open_only=not closed, limit=limit
        )

    def say(console: Console) -> None:
        console.print(
            table(
                f"{len(rows)}{' and more' if more else ''} disagreements",
                ("document", "line", "field", "values (* counts)", "gap #", "since", "supplier"),
                [
                    (
                        one.ref,
                        one.line,
                        one.field,
                        ", ".join(
                            f"{system}{'*' if system in one.counts else ''} {told.value}"
                            for system, told in sorted(one.values.items())
                        ),
                        one.gap,
                        one.since,
                        one.supplier,
                    )
                    for one in rows
                ],
            )
        )

    emit({"disagreements": rows, "more": more}, as_json, say)
    return 0
