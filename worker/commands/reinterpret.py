"""``tower reinterpret``: read kept messages again, by the interpreters and the network in force."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import configuration
from db import engine as db_engine
from db.reads import stories
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.errors import ConfigError
from tower.network import load_network
from worker import rereading
from worker.answers import EXIT_FAULT, EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.who import By, user

MOST_MESSAGES = 200  # of one command; a story rarely has more


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(reinterpret)


def reinterpret(
    ref: Annotated[str, typer.Argument(help="A message (source/key), or a document: all of its.")],
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, and stop.")] = False,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Read a message again with what is in force now. Example: tower reinterpret edi/9f86 --plan

    The bytes stay; the events are replaced in one transaction, the former reading is kept. The
    difference is shown first. Exit code 1 if something cannot be read, 3 if nothing has that name.
    """
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine:
        with engine.connect() as conn:
            found = configuration.active(conn, configuration.NETWORK)
            asked = _messages(conn, ref)
        if found is None:
            raise ConfigError("No network is in force yet: tower up takes network.yaml in.")
        if not asked:
            typer.echo(
                f'No message is called "{ref}", and no document whose messages are kept. '
                "next: tower find, or tower show with the number of the document",
                err=True,
            )
            return EXIT_NOT_FOUND
        net = load_network(found.body, configuration.NETWORK)
        foretold = rereading.plan(engine, net, asked, now)
        done = [] if plan else rereading.again(engine, net, asked, now, by or user())
    # What was foretold tells of documents, too; what was done decides what is said to be done.
    told = foretold if plan else done
    answer = {"ref": ref, "planned": plan, "messages": foretold}

    def say(console: Console) -> None:
        for one in foretold:
            _say(console, one)
        changed = sum(one.changed for one in told)
        words = "would change" if plan else "changed"
        console.print(f"{changed} of {len(told)} messages {words}.")
        if plan and changed:
            console.print(shown(f"next: tower reinterpret {ref}"), soft_wrap=True)

    emit(answer, as_json, say)
    return EXIT_FAULT if any(one.dead_letters for one in told) else 0


def _messages(conn: Connection, ref: str) -> list[rereading.Key]:
    """The messages a reference means: one by its key, or those that tell of one document."""
    found = stories.search(conn, EVERYTHING, ref)
    raws = [one for one in found if one.kind == "raw"]
    documents = [one for one in found if one.kind != "raw"]
    if len(raws) == 1 and not documents:
        source, _, key = raws[0].ref.removeprefix("raw:").partition("/")
        return [(source, key)]
    if len(documents) != 1:
        return []
    story = stories.story(conn, EVERYTHING, documents[0].ref)
    events = () if story is None else story.events
    return list(dict.fromkeys((e.source, e.raw_key) for e in events))[:MOST_MESSAGES]


def _say(console: Console, one: rereading.Again) -> None:
    console.print(
        shown(f"Message {one.source}/{one.key}: {one.outcome}, {one.events} events"),
        soft_wrap=True,
    )
    rows: list[Sequence[str | None]] = [
        (f"{event.change} {event.type}", change.field, change.before, change.after)
        for event in one.event_differences
        for change in event.fields
    ]
    rows += [
        (document.ref, change.field, change.before, change.after)
        for document in one.document_differences
        for change in document.fields
    ]
    if rows:
        console.print(table("What changes", ("where", "field", "before", "after"), rows))
    for letter in one.dead_letters:
        console.print(shown(f"cannot be read: {letter['cause']}"), soft_wrap=True)
