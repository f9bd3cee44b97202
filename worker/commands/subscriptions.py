"""``tower subscriptions``: who is told of events and cases by signed webhook."""

from __future__ import annotations

import base64
import os
import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from collectors.webhook_signature import WHSEC
from db import engine as db_engine
from db import migrate
from db import subscriptions as kept
from db.reads import names
from tower import settings as settings_module
from tower.subscriptions import NotASubscription, check
from worker.answers import EXIT_FAULT, EXIT_NOT_FOUND, AsJson, emit, one_of, shown, table
from worker.commands.ask import asking
from worker.commands.who import By, user
from worker.subscriptions import send_test

Name = Annotated[str, typer.Argument(help="Its name, as tower subscriptions list tells it.")]


def register(words: typer.Typer) -> None:
    """Add the commands to the group ``subscriptions``."""
    words.command()(add)
    words.command("list")(tell)
    words.command()(remove)
    words.command("test")(try_out)
    words.command()(retry)


def add(
    name: Annotated[str, typer.Argument(help="What uses it: a-z, 0-9, _ and -.")],
    url: Annotated[str, typer.Option(help="Where it is told: https://...")],
    types: Annotated[
        list[str], typer.Option("--type", help="'po.*', case.opened, '*'; several times.")
    ],
    secret_variable: Annotated[
        str, typer.Option(help="Variable of the worker's environment that holds its secret.")
    ],
    supplier: Annotated[
        str | None, typer.Option(help="Only what belongs to this partner of network.yaml.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Inner network that the address may lie in.")
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Tell a system of events. Example: tower subscriptions add erp --url https://erp.example/hook

    --type 'po.*' --secret-variable ERP_HOOK_SECRET. Told is what is kept from now on. If the
    variable is not set here, a secret is proposed once; it is kept nowhere.
    """
    networks = network or []
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine:
        try:
            check(name, url, types, secret_variable, networks)
            with engine.begin() as conn:
                migrate.check(conn)
                _check_supplier(conn, supplier)
                made = kept.add(
                    conn, name=name, url=url, types=types, partner=supplier,
                    secret_variable=secret_variable, networks=networks, by=by or user(), now=now,
                )  # fmt: skip
        except NotASubscription as error:
            raise typer.BadParameter(str(error)) from None
    proposed = None
    if not {secret_variable, f"{secret_variable}_FILE"} & os.environ.keys():
        proposed = WHSEC + base64.b64encode(secrets.token_bytes(32)).decode()

    def say(console: Console) -> None:
        console.print(shown(f"Subscription {name} is told from now on."))
        if proposed is not None:
            console.print(
                shown(
                    f"next: set {secret_variable} for the worker and the receiver, as to "
                    f"{proposed} (proposed now, kept nowhere)"
                ),
                soft_wrap=True,
            )
        console.print(shown(f"next: tower subscriptions test {name}"))

    emit({"subscription": made, "proposed_secret": proposed}, as_json, say)
    return 0


def tell(as_json: AsJson = False) -> int:
    """Who is told, and how it goes. Example: tower subscriptions list"""
    with asking() as (conn, now):
        found = kept.standings(conn, now)

    def show(console: Console) -> None:
        console.print(
            table(
                f"{len(found)} subscriptions",
                ("name", "types", "partner", "waiting #", "oldest", "dead #", "delivered 24 h #",
                 "trouble"),
                [
                    (
                        one.subscription.name,
                        " ".join(one.subscription.types),
                        one.subscription.partner,
                        one.waiting,
                        one.oldest_waiting,
                        one.dead,
                        one.delivered,
                        one.subscription.problem or one.last_error,
                    )
                    for one in found
                ],
            )
        )  # fmt: skip

    emit({"subscriptions": found}, as_json, show)
    return 0


def remove(name: Name, by: By = "", as_json: AsJson = False) -> int:
    """Tell it nothing any more. Example: tower subscriptions remove erp

    What still waits is withdrawn. Exit code 3 if there is none.
    """
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine:
        try:
            with engine.begin() as conn:
                migrate.check(conn)
                gone = kept.remove(conn, name, by=by or user(), now=now)
        except NotASubscription as error:
            return _unknown(error)
    emit({"subscription": gone}, as_json, lambda c: c.print(shown(f"Removed: {name}")))
    return 0


def try_out(name: Name, as_json: AsJson = False) -> int:
    """Send a test now, signed as events are. Example: tower subscriptions test erp

    The secret is read from this command's environment. Exit code 1 if it was not taken.
    """
    with asking() as (conn, now):
        try:
            one = kept.named(conn, name)
        except NotASubscription as error:
            return _unknown(error)
    tried = send_test(one, now)
    answer = {"subscription": name, "taken": tried.ok, "status": tried.status, "words": tried.words}
    said = f"{name} took it ({tried.status})." if tried.ok else f"{name} did not take it."
    emit(answer, as_json, lambda c: c.print(shown(f"{said} {tried.words}".strip()), soft_wrap=True))
    return 0 if tried.ok else EXIT_FAULT


def retry(name: Name, by: By = "", as_json: AsJson = False) -> int:
    """Send dead deliveries again. Example: tower subscriptions retry erp"""
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine:
        try:
            with engine.begin() as conn:
                migrate.check(conn)
                count = kept.retry_dead(conn, name, by=by or user(), now=now)
        except NotASubscription as error:
            return _unknown(error)
    answer = {"subscription": name, "deliveries": count}
    emit(answer, as_json, lambda c: c.print(shown(f"{count} deliveries are tried again.")))
    return 0


def _unknown(error: NotASubscription) -> int:
    typer.echo(str(error), err=True)
    return EXIT_NOT_FOUND


def _check_supplier(conn: Connection, supplier: str | None) -> None:
    net = names.network(conn)
    if net is not None:
        one_of("--supplier", supplier, net.partners)
