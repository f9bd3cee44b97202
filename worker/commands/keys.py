"""``tower keys add|list|revoke``: keys of the machine door."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from db import engine as db_engine
from db import keys as key_store
from db import migrate
from tower import keys
from tower import settings as settings_module
from tower.keys import Key
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, one_of, shown, table
from worker.commands.ask import asking
from worker.commands.letters import Why
from worker.commands.who import By, user


def register(words: typer.Typer) -> None:
    """Add the commands to the group ``keys``."""
    words.command()(add)
    words.command("list")(tell)
    words.command()(revoke)


def add(
    name: Annotated[str, typer.Argument(help="What will use it; two keys of a name at most.")],
    scope: Annotated[list[str], typer.Option(help="push or read; both by naming both.")],
    partner: Annotated[
        str | None, typer.Option(help="Bound to this partner: nothing of others.")
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=keys.LONGEST_DAYS, help="Days until it ends.")
    ] = 90,
    network: Annotated[
        list[str] | None, typer.Option("--from", help="Network it may come from; repeatable.")
    ] = None,
    per_minute: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Requests or messages in a minute.")
    ] = 600,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Make an API key and show it, once. Example: tower keys add acme --scope push --partner ACME

    To change one: add the next, let its user take it over, revoke the former.
    """
    for word in scope:
        one_of("--scope", word, keys.SCOPES)
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        migrate.check(conn)
        made, text = key_store.add(
            conn,
            name=name,
            scopes=scope,
            partner_key=partner,
            networks=network or (),
            days=days,
            per_minute=per_minute,
            by=by or user(),
            now=now,
        )

    def say(console: Console) -> None:
        console.print(text, soft_wrap=True)
        console.print(
            shown(
                f"It is shown this once. In force until {made.ends_at:%Y-%m-%d %H:%M} UTC; send it "
                "as: Authorization: Bearer ..."
            ),
            soft_wrap=True,
        )

    emit({"key": text, **_told(made, now)}, as_json, say)
    return 0


def tell(
    also_past: Annotated[bool, typer.Option("--all", help="Revoked and ended ones too.")] = False,
    as_json: AsJson = False,
) -> int:
    """Keys in force. Example: tower keys list"""
    with asking() as (conn, now):
        found = key_store.listed(conn, now, also_past=also_past)

    def say(console: Console) -> None:
        console.print(
            table(
                f"{len(found)} keys",
                ("id", "name", "state", "may", "partner", "from", "made", "ends", "used"),
                [
                    (
                        one.id,
                        one.name,
                        one.state(now),
                        ", ".join(one.scopes),
                        one.partner,
                        ", ".join(one.networks) or "anywhere",
                        one.made_at,
                        one.ends_at,
                        one.used_at,
                    )
                    for one in found
                ],
            )
        )

    emit({"keys": [_told(one, now) for one in found]}, as_json, say)
    return 0


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The part after tower_.")],
    why: Why = "",
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Take a key out of force, from its next request on. Example: tower keys revoke ab2cd3ef4g

    Exit code 3 if there is none.
    """
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        migrate.check(conn)
        found = key_store.revoke(conn, key_id, by=by or user(), why=why, now=now)
    if found is None:
        typer.echo(shown(f"There is no key {keys.without_keys(key_id)}."), err=True)
        return EXIT_NOT_FOUND
    emit(
        _told(found, now),
        as_json,
        lambda console: console.print(shown(f"Revoked: {found.id} ({found.name}).")),
    )
    return 0


def _told(one: Key, now: datetime) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "state": one.state(now),
        "scopes": one.scopes,
        "partner": one.partner,
        "networks": one.networks,
        "per_minute": one.per_minute,
        "made_by": one.made_by,
        "made_at": one.made_at,
        "ends_at": one.ends_at,
        "revoked_at": one.revoked_at,
        "revoked_by": one.revoked_by,
        "used_at": one.used_at,
    }
