"""``tower case freeze | together``: several cases at once, frozen and counted before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import case_sets, migrate
from db import engine as db_engine
from db.case_sets import CaseSet
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.case_sets import ACTIONS, Deed, SetRefused
from tower.cases import BY_HAND, CAUSES
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, one_of, shown
from worker.commands.instants import instant
from worker.commands.who import By, user


def freeze(
    numbers: Annotated[list[int], typer.Argument(help="Numbers of the cases.")],
    remark: Annotated[str, typer.Option(help="Why these; it is kept.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Pick cases to act on together. Example: tower case freeze 12 15 19

    Nothing is done to them yet. Exit code 3 if one of them is not there.
    """
    who = by or user()
    return _done(
        lambda conn, now: case_sets.freeze(conn, EVERYTHING, numbers, who, remark, now), as_json
    )


def together(
    number: Annotated[int, typer.Argument(help="Number of the set.")],
    action: Annotated[str, typer.Option(help=", ".join(ACTIONS))],
    count: Annotated[int, typer.Option(help="How many cases the set has; it must be right.")],
    until: Annotated[
        str | None, typer.Option(help="For snooze: like 2026-03-30T09:00, or 4h, 3d.")
    ] = None,
    to: Annotated[str, typer.Option(help="For assign: key of a person in network.yaml.")] = "",
    how: Annotated[str, typer.Option(help=f"For resolve: {', '.join(BY_HAND)}.")] = "repaired",
    cause: Annotated[str | None, typer.Option(help=f"For resolve: {', '.join(CAUSES)}.")] = None,
    text: Annotated[str, typer.Option(help="What was done, or what you know.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Do one thing to every case of a set. Example: tower case together 3 --action take --count 40

    A case that refuses it stops no other; the answer says which did. A set is acted on once.
    """
    one_of("--action", action, ACTIONS)
    one_of("--how", how, BY_HAND)
    who = by or user()

    def act(conn: Connection, now: datetime) -> CaseSet:
        one = case_sets.get(conn, number)
        then = None if until is None else instant(conn, until, now)
        deed = Deed(action, then, to, how, cause, text)
        return case_sets.act(
            conn, EVERYTHING, number, deed, count=count, sha256=one.sha256, who=who, now=now
        )

    return _done(act, as_json)


def _done(act: Callable[[Connection, datetime], CaseSet], as_json: bool) -> int:
    with db_engine.connected(settings_module.load()) as engine:
        with engine.connect() as conn:
            migrate.check(conn)
        try:
            with engine.begin() as conn:
                one = act(conn, datetime.now(UTC))
        except SetRefused as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
    answer = {
        "set": one.id,
        "state": one.state,
        "cases": list(one.cases),
        "sha256": one.sha256,
        "remark": one.remark,
        "made_by": one.made_by,
        "made_at": one.made_at,
        "action": one.action,
        "done_by": one.done_by,
        "done_at": one.done_at,
        "outcome": [{"case": case, "said": said} for case, said in one.outcome.items()],
    }
    emit(answer, as_json, lambda console: _say(console, one))
    return 0


def _say(console: Console, one: CaseSet) -> None:
    console.print(f"Set {one.id} ({one.sha256[:12]}): {len(one.cases)} cases, {one.state}")
    for case, said in one.outcome.items():
        console.print(shown(f"{case}: {said}"), soft_wrap=True)
    if one.state == "open":
        console.print(f"next: tower case together {one.id} --count {len(one.cases)} --action ...")
