"""``tower find``: any id, key, file name, header or text of a payload."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console

from db.reads import search
from tower.access import EVERYTHING
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(find)


def find(
    text: Annotated[str, typer.Argument(help="A number, id, file name, or text of a payload.")],
    days: Annotated[int, typer.Option(min=0, help="Text of so many days; 0 = all kept.")] = 30,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: AsJson = False,
) -> int:
    """Documents, ids and messages with a text. Example: tower find SKU-7781

    Exact names first, then names, headers and bytes of messages; it says what was not searched.
    Exit code 3 if there is nothing.
    """
    with asking() as (conn, now):
        answer = search.find(
            conn,
            EVERYTHING,
            text,
            now,
            window=timedelta(days=days) if days else None,
            limit=limit,
        )

    def say(console: Console) -> None:
        if answer.found:
            console.print(
                table(
                    "Of this name",
                    ("reference", "what", "status", "supplier"),
                    [(f.ref, f.title, f.status, f.supplier) for f in answer.found],
                )
            )
        if answer.hits:
            console.print(
                table(
                    f"{len(answer.hits)}{' and more' * answer.more} messages with this text",
                    ("received", "message", "where", "byte #", "text", "documents"),
                    [
                        (
                            hit.received_at,
                            f"{hit.source}/{hit.key[:32]}",
                            hit.where,
                            hit.offset,
                            hit.excerpt,
                            ", ".join(hit.documents[:3]),
                        )
                        for hit in answer.hits
                    ],
                )
            )
        if not answer.found and not answer.hits:
            console.print(shown(f'Nothing was found for "{answer.text}".'), soft_wrap=True)
        for sentence in answer.not_searched:
            console.print(shown(f"not searched: {sentence}"), soft_wrap=True)

    emit(answer, as_json, say)
    return 0 if answer.found or answer.hits else EXIT_NOT_FOUND
