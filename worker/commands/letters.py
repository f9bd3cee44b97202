"""``tower letters``, ``tower letter``: dead letters by kind of failure; people set them aside."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import engine as db_engine
from db import letters, migrate
from db.letters import Letter
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.replays import MOST_ITEMS, LetterRef, ReplayRefused
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, one_of, table
from worker.commands.ask import asking
from worker.commands.who import By, user

Why = Annotated[str, typer.Option(help="A reason; it is kept.")]
Ids = Annotated[
    Path | None,
    typer.Option(
        "--ids", help="CSV with the columns source, key, attempt, position (tower letters --csv)."
    ),
]
OfGroup = Annotated[str | None, typer.Option("--group", help="Fingerprint of a kind of failure.")]
States = ("open", "in_replay", "resolved", "superseded", "archived", "expired", "waiting", "all")
_COLUMNS = ("source", "key", "attempt", "position")


def register(app: typer.Typer, words: typer.Typer) -> None:
    """Add the commands to the application, and those about single letters to their group."""
    app.command("letters")(tell)
    words.command()(archive)
    words.command()(restore)
    words.command()(note)


def tell(
    group: OfGroup = None,
    state: Annotated[str, typer.Option(help=", ".join(States))] = "waiting",
    limit: Annotated[int, typer.Option(min=1, max=MOST_ITEMS)] = 50,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="The ids of the letters as CSV, for --ids.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Dead letters by kind of failure, the gravest first. Example: tower letters

    With --group the letters of one kind, with their attempts and what people wrote about it.
    """
    one_of("--state", state, States)
    states = _states(state)
    with asking() as (conn, now):
        groups = letters.groups(conn, EVERYTHING, now, states=states, limit=limit)
        found: list[Letter] = []
        if group is not None or as_csv:
            found = letters.letters(conn, EVERYTHING, fingerprint=group, states=states, limit=limit)
        notes = letters.notes(conn, [group]).get(group, []) if group is not None else []
    if as_csv:
        written = csv.writer(sys.stdout)
        written.writerow(_COLUMNS)
        written.writerows(one.ref for one in found)
        return 0
    if group is not None:
        groups = [one for one in groups if one.fingerprint == group]

    def show(console: Console) -> None:
        console.print(
            table(
                f"{len(groups)} kinds of failure",
                ("kind of failure", "where", "what", "letters #", "orders #", "customers #",
                 "open value #", "since", "last"),
                [
                    (g.fingerprint, f"{g.source} {g.partner or ''}".strip(), g.cause[:70],
                     g.letters, g.orders, g.customer_orders, g.value, g.first_at, g.last_at)
                    for g in groups
                ],
            )
        )  # fmt: skip
        if group is None:
            return
        console.print(
            table(
                f"{len(found)} letters",
                ("source", "key", "attempt #", "position", "state", "received", "cause"),
                [
                    (*one.ref[:3], one.ref.position, one.state, one.received_at, one.cause[:60])
                    for one in found
                ],
            )
        )
        for said in notes:
            console.print(f"{said.at:%Y-%m-%d %H:%M}Z {said.author}: {said.text}")

    emit({"groups": groups, "letters": [as_row(one) for one in found], "notes": notes},
         as_json, show)  # fmt: skip
    return 0


def as_row(one: Letter) -> dict[str, object]:
    """A letter as the answers of the command tell it."""
    return {
        **one.ref._asdict(),
        "message": one.message_key,
        "kind": one.kind,
        "code": one.code,
        "cause": one.cause,
        "advice": one.advice,
        "group": one.fingerprint,
        "state": one.state,
        "partner": one.partner,
        "received_at": one.received_at,
        "state_at": one.state_at,
    }


def _states(word: str) -> Sequence[str]:
    if word == "all":
        return letters.STATES
    return ("open", "in_replay") if word == "waiting" else (word,)


def archive(
    why: Why, group: OfGroup = None, ids: Ids = None, by: By = "", as_json: AsJson = False
) -> int:
    """Put letters aside. Example: tower letter archive --group v1:0a1b --why "test traffic"

    They can be restored while their bytes are kept. Exit code 3 if one of them is not open.
    """
    return _move(letters.archive, "archived", ("open",), why, group, ids, by, as_json)


def restore(
    why: Why, group: OfGroup = None, ids: Ids = None, by: By = "", as_json: AsJson = False
) -> int:
    """Open archived letters again. Example: tower letter restore --ids ids.csv --why "needed" """
    return _move(letters.restore, "restored", ("archived",), why, group, ids, by, as_json)


def _move(
    act: Callable[..., int],
    done: str,
    states: Sequence[str],
    why: str,
    group: str | None,
    ids: Path | None,
    by: str,
    as_json: bool,
) -> int:
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        migrate.check(conn)
        try:
            refs = picked(conn, group, ids, states)
            changed = act(conn, EVERYTHING, refs, by or user(), why, now)
        except (letters.LetterRefused, ReplayRefused) as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
    emit({done: changed}, as_json, lambda console: console.print(f"{changed} {done}."))
    return 0


def note(
    group: Annotated[str, typer.Argument(help="Fingerprint, as tower letters shows it.")],
    text: Annotated[str, typer.Option(help="What you know of it.")],
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Write down what is known of a failure. Example: tower letter note v1:0a1b --text "fixed" """
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        migrate.check(conn)
        try:
            letters.add_note(conn, group, by or user(), text, now)
        except letters.LetterRefused as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
        notes = letters.notes(conn, [group])[group]
    emit({"notes": notes}, as_json, lambda console: console.print(f"{len(notes)} notes."))
    return 0


def picked(
    conn: Connection, group: str | None, ids: Path | None, states: Sequence[str]
) -> list[LetterRef]:
    """The letters that a command names: explicit ids, or all of a kind that stand in a state."""
    if (group is None) == (ids is None):
        raise typer.BadParameter("name either --group or --ids", param_hint="--group / --ids")
    if ids is not None:
        return from_csv(ids)
    found = letters.letters(
        conn, EVERYTHING, fingerprint=group, states=states, limit=MOST_ITEMS + 1
    )
    if not found:
        raise ReplayRefused(f"No dead letter of kind {group} is {' or '.join(states)}.")
    return [one.ref for one in found]


def from_csv(path: Path) -> list[LetterRef]:
    """Ids from a CSV file; ReplayRefused with the line that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayRefused(f"{path} cannot be read: {error}") from error
    rows = csv.DictReader(text.splitlines())
    if not rows.fieldnames or not {"source", "key", "attempt"} <= set(rows.fieldnames):
        raise ReplayRefused(f"{path}:1 needs the columns {', '.join(_COLUMNS)}.")
    found = []
    for row in rows:
        attempt = (row["attempt"] or "").strip()
        if not attempt.isdecimal() or not row["source"] or not row["key"]:
            raise ReplayRefused(f"{path}:{rows.line_num} names no dead letter.")
        found.append(LetterRef(row["source"], row["key"], int(attempt), row.get("position") or ""))
    return found
