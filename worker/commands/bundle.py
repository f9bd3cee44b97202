"""``tower bundle`` and ``verify-bundle``: evidence that outlives the database."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from db import audit
from db import engine as db_engine
from db.reads import evidence, stories
from tower import settings as settings_module
from tower.access import EVERYTHING, Scope
from tower.bundle import checked
from worker.answers import EXIT_FAULT, EXIT_NOT_FOUND, AsJson, emit, shown
from worker.commands.who import By, user


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(bundle)
    app.command("verify-bundle")(verify_bundle)


def bundle(
    ref: Annotated[str, typer.Argument(help="A document: its number, or kind:system:number.")],
    file: Annotated[Path, typer.Argument(help="The zip to write; it must not be there yet.")],
    why: Annotated[str, typer.Option(help="What it is for; stands in the manifest.")] = "",
    masked: Annotated[bool, typer.Option("--masked", help="Hide prices and people.")] = False,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Everything known of a document as one zip. Example: tower bundle 4500001234 evidence.zip

    Messages as received, events as OCEL 2.0, clock arithmetic, cases, mails, audit. Noted in the
    audit log. Exit code 3 if there is no such document.
    """
    if file.exists():
        raise typer.BadParameter(f"{file} is there already; name another.", param_hint="FILE")
    now, who = datetime.now(UTC), by or user()
    scope = Scope(reveals=frozenset()) if masked else EVERYTHING
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        found = [f for f in stories.search(conn, EVERYTHING, ref) if f.kind not in ("raw", "id")]
        body = None
        if len(found) == 1:
            body = evidence.bundle(
                conn, scope, found[0].ref, now, by=who, why=why, program=version("tower")
            )
        if body is None:
            typer.echo(
                f'"{ref}" is no one document. next: tower find, and name it as kind:system:number',
                err=True,
            )
            return EXIT_NOT_FOUND
        digest = hashlib.sha256(body).hexdigest()
        detail = {"why": why, "sha256": digest, "size": len(body), "masked": masked}
        audit.record(conn, who, "bundle.exported", found[0].ref, detail, now)
    # After the commit: nobody has a bundle of which the audit log does not know.
    with file.open("xb") as target:
        target.write(body)
    answer = {"ref": found[0].ref, "file": str(file), "size": len(body), "sha256": digest}

    def say(console: Console) -> None:
        console.print(shown(f"Written: {file}, {len(body):,} bytes, sha-256 {digest}"))
        console.print(shown(f"next: tower verify-bundle {file}"), soft_wrap=True)

    emit(answer, as_json, say)
    return 0


def verify_bundle(
    file: Annotated[Path, typer.Argument(help="The zip that tower bundle wrote.")],
    as_json: AsJson = False,
) -> int:
    """Is a bundle whole and unaltered? Example: tower verify-bundle evidence.zip

    Needs no database. Exit code 1 if anything does not fit, 3 if there is no such file.
    """
    if not file.is_file():
        typer.echo(f"There is no file {file}.", err=True)
        return EXIT_NOT_FOUND
    with file.open("rb") as source:
        found = checked(source)

    def say(console: Console) -> None:
        for problem in found.problems:
            console.print(shown(problem), soft_wrap=True)
        if not found.problems:
            hidden = ", with masked values" if found.masked else ""
            console.print(
                shown(
                    f"Whole: {found.ref}, made {found.made_at}, {found.files} files, "
                    f"{found.messages} messages ({found.expired} expired){hidden}."
                ),
                soft_wrap=True,
            )

    emit(found, as_json, say)
    return EXIT_FAULT if found.problems else 0
