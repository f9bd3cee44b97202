"""``tower audit``: who did what, and whether nobody altered that; ``tower read-only``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from db import audit, migrate, switches
from db import engine as db_engine
from tower import settings as settings_module
from worker import checkpoints
from worker.answers import EXIT_FAULT, AsJson, emit, table
from worker.commands.ask import asking
from worker.commands.letters import Why
from worker.commands.who import By, user


def register(words: typer.Typer, switch: typer.Typer) -> None:
    """Add the commands to their groups."""
    words.command("list")(tell)
    words.command()(verify)
    switch.command()(on)
    switch.command()(off)
    switch.command()(show)


def tell(
    subject: Annotated[str | None, typer.Option(help='As in "replay:7".')] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> int:
    """Who did what, the newest first. Example: tower audit list --subject replay:7"""
    with asking() as (conn, _):
        found = audit.entries(conn, subject=subject, limit=limit)

    def say(console: Console) -> None:
        rows = [(e.n, e.at, e.act.actor, e.act.action, e.act.subject) for e in found]
        console.print(
            table(f"{len(found)} entries", ("n #", "when", "who", "what", "to what"), rows)
        )

    answer = [
        {"n": e.n, "at": e.at, "actor": e.act.actor, "action": e.act.action,
         "subject": e.act.subject, "detail": e.act.detail, "hash": e.hash}
        for e in found
    ]  # fmt: skip
    emit({"entries": answer}, as_json, say)
    return 0


def verify(as_json: AsJson = False) -> int:
    """Compute the chain of hashes anew. Example: tower audit verify

    And compare it with the signed checkpoints of this machine, which tell whether its end was cut
    off. Exit code 1 if an entry was altered or is missing.
    """
    chosen = settings_module.load()
    with asking() as (conn, _):
        found = audit.verify(conn)
        compared = checkpoints.compare(conn, chosen)

    def say(console: Console) -> None:
        if found.broken_at is None:
            console.print(f"{found.entries} entries, unbroken; last hash {found.last_hash.hex()}")
        else:
            console.print(f"The chain breaks at entry {found.broken_at}: it or one before it was "
                          "altered or removed.")  # fmt: skip
        if compared.checkpoints:
            console.print(
                f"{compared.checkpoints} signed checkpoints, the newest of "
                f"{compared.newest_at:%Y-%m-%d %H:%M} UTC, in {compared.file}",
                soft_wrap=True,
            )
        elif not compared.problems:
            console.print("No checkpoint yet: a worker signs one an hour.")
        for problem in compared.problems:
            console.print(problem, soft_wrap=True)

    answer = {
        "entries": found.entries,
        "broken_at": found.broken_at,
        "last_hash": found.last_hash,
        "checkpoints": compared.checkpoints,
        "newest_checkpoint_at": compared.newest_at,
        "problems": compared.problems,
    }
    emit(answer, as_json, say)
    return 0 if found.broken_at is None and not compared.problems else EXIT_FAULT


def on(why: Why, by: By = "", as_json: AsJson = False) -> int:
    """Let nobody change anything. Example: tower read-only on --why "inventory" """
    return _set(why, by, as_json, off=False)


def off(why: Why, by: By = "", as_json: AsJson = False) -> int:
    """Allow changes again. Example: tower read-only off --why "done" """
    return _set(why, by, as_json, off=True)


def _set(why: str, by: str, as_json: bool, *, off: bool) -> int:
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        migrate.check(conn)
        act = switches.set_writable if off else switches.set_read_only
        act(conn, by or user(), why, now)
        said = switches.why_read_only(conn)
    _emit(said, as_json)
    return 0


def show(as_json: AsJson = False) -> int:
    """Whether changes are switched off, and why. Example: tower read-only show"""
    with asking() as (conn, _):
        said = switches.why_read_only(conn)
    _emit(said, as_json)
    return 0


def _emit(said: str, as_json: bool) -> None:
    emit(
        {"read_only": bool(said), "reason": said},
        as_json,
        lambda console: console.print(f"Read-only: {said}" if said else "Changes are allowed."),
    )
