"""``tower mail``: mails that came back, and addresses that do not work."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from db import bounces as kept
from db import engine as db_engine
from db import migrate
from tower import settings as settings_module
from tower.bounces import MOST_BYTES, NotABounce
from worker import bounces, configuration
from worker.answers import EXIT_FAULT, EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking
from worker.judging import Judging


def register(words: typer.Typer) -> None:
    """Add the commands to the group ``mail``."""
    words.command()(bounce)
    words.command()(undeliverable)
    words.command()(retry)


def bounce(
    file: Annotated[str, typer.Argument(help="A mail as a file; - reads standard input.")],
    as_json: AsJson = False,
) -> int:
    """Take a mail that came back (RFC 3464). Example: tower mail bounce returned.eml

    A mail server can pipe what arrives at TOWER_SMTP_FROM into it. Only mails that we sent count.
    Exit code 1 if it is no such notification.
    """
    raw = sys.stdin.buffer.read(MOST_BYTES + 1) if file == "-" else Path(file).read_bytes()
    now = datetime.now(UTC)
    chosen = settings_module.load()
    with db_engine.connected(chosen) as engine:
        with engine.connect() as conn:
            migrate.check(conn)
        config = configuration.activate(engine, chosen.network, chosen.rules, now)
        judging = Judging(
            config.network, config.rulebook, base_url=chosen.base_url, sender=chosen.smtp_from
        )
        try:
            found = bounces.take(engine, judging, raw, now)
        except NotABounce as error:
            typer.echo(str(error), err=True)
            return EXIT_FAULT
    emit(
        {"returned": found},
        as_json,
        lambda console: console.print(
            table(
                "Came back",
                ("address", "action", "status", "effect", "said"),
                [(r.address, r.action, r.status, r.effect, r.words) for r in found],
            )
        ),
    )
    return 0


def undeliverable(as_json: AsJson = False) -> int:
    """Addresses that mails came back from for good. Example: tower mail undeliverable"""
    with asking() as (conn, _):
        found = list(kept.dead(conn).values())
    emit(
        {"undeliverable": found},
        as_json,
        lambda console: console.print(
            table(
                f"{len(found)} addresses get no mails",
                ("address", "recipient", "since", "status", "said"),
                [(u.address, u.recipient, u.at, u.status, u.words) for u in found],
            )
        ),
    )
    return 0


def retry(
    address: Annotated[str, typer.Argument(help="As tower mail undeliverable names it.")],
    as_json: AsJson = False,
) -> int:
    """Send to an address again. Example: tower mail retry anna@example.org

    Exit code 3 if nothing spoke against it. An address that is corrected in network.yaml needs
    nothing.
    """
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        migrate.check(conn)
        forgotten = kept.forget(conn, address)
    if not forgotten:
        typer.echo(f"{address} is not held back. tower mail undeliverable lists those.", err=True)
        return EXIT_NOT_FOUND

    def show(console: Console) -> None:
        console.print(shown(f"Mails to {address} are sent again."), soft_wrap=True)

    emit({"address": address}, as_json, show)
    return 0
