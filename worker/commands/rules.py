"""``tower rules``: explain a clock, test the book; what a change does is in rule_changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from db.reads import explanations, stories
from db.reads.explanations import ClockExplained
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.errors import ConfigError, Problem
from worker import rule_runs
from worker.answers import (
    EXIT_CONFIG,
    EXIT_FAULT,
    EXIT_NOT_FOUND,
    AsJson,
    emit,
    progress,
    shown,
    table,
)
from worker.commands import rule_changes
from worker.commands.ask import asking


def register(rules: typer.Typer) -> None:
    """Add the commands to ``tower rules``."""
    rules.command("explain")(explain)
    rules.command("test")(try_rules)
    rule_changes.register(rules)


def explain(
    ref: Annotated[str, typer.Argument(help="A number or id, or kind:scope:number.")],
    as_json: AsJson = False,
) -> int:
    """Why each clock of a document says what it says. Example: tower rules explain 4500001234

    partner::ACME and supplier::ACME tell of what is counted of a partner.

    Exit code 3 if nothing of that name was ever seen.
    """
    with asking() as (conn, _):
        counted = explanations.counted_as(conn, EVERYTHING, ref)
        found = [] if counted else stories.search(conn, EVERYTHING, ref)
        documents = [one for one in found if one.kind not in ("id", "raw")]
        only = documents[0].ref if len(documents) == 1 else counted
        clocks = [] if only is None else explanations.explain(conn, EVERYTHING, only)
    if not documents and counted is None:
        typer.echo(
            f'No document is called "{ref}". Write its number, or a reference like '
            "po:main:4500001234.",
            err=True,
        )
        return EXIT_NOT_FOUND

    def say(console: Console) -> None:
        if only is None:
            console.print(
                table(
                    f'{len(documents)} documents are called "{ref}"; explain one by its reference',
                    ("reference", "what", "status", "supplier"),
                    [(f.ref, f.title, f.status, f.supplier) for f in documents],
                )
            )
        elif not clocks:
            console.print(f"No rule has a clock on {only}.")
        for clock in clocks:
            _say_clock(console, clock)

    answer: dict[str, Any] = {
        "ref": ref if only is None else only,
        "found": documents,
        "clocks": clocks,
    }
    emit(answer, as_json, say)
    return 0


def _say_clock(console: Console, clock: ClockExplained) -> None:
    state = "" if not clock.open else ", held" if clock.paused else ", open"
    lines = [
        f"{clock.rule}  {clock.subject}  cycle {clock.cycle}: {clock.verdict}{state}",
        f"  {clock.title}",
        f"  row       {clock.row or 'no line of the rule gives a time'}",
        f"  receipt   {clock.receipt or 'none'}",
    ]
    lines += _labelled("skipped", [f"{_z(s.begin)} to {_z(s.end)}: {s.why}" for s in clock.skipped])
    told = []
    for source in clock.evidence:
        up_to = "never read" if source.complete_to is None else f"to {_z(source.complete_to)}"
        if source.silent_from is not None:
            over = "now" if source.silent_to is None else _z(source.silent_to)
            up_to += f", silent from {_z(source.silent_from)} to {over}"
        told.append(f"{source.source}: complete {up_to}")
    lines += _labelled("evidence", told)
    lines += _labelled(
        "journal",
        [
            f"{e['name']}: true {_z(e['effective_at'])}, known {_z(e['detected_at'])}"
            for e in clock.journal
        ],
    )
    lines += _labelled(
        "mails", [f"{_z(m['created_at'])} {m['recipient']}: {m['subject']}" for m in clock.mails]
    )
    lines += _labelled("no mail", clock.no_mail)
    for line in lines:
        console.print(shown(line), soft_wrap=True)
    console.print()


def _labelled(label: str, texts: Sequence[str]) -> list[str]:
    """The label once, its texts below each other."""
    return [f"  {label if n == 0 else '':<9} {text}" for n, text in enumerate(texts)]


def _z(at: Any) -> str:
    return str(at.strftime("%Y-%m-%d %H:%MZ"))


# --- test -----------------------------------------------------------------------------------------


def try_rules(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; default: beside the rule book.")
    ] = None,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Also break the rules on purpose: do tests notice?")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Play the tests of the rule book, in memory. Example: tower rules test --mutate

    Exit code 1 if a case fails or a mutant survives, 3 if there are no tests, 5 with
    file:line:col for mistakes in the files.
    """
    chosen = settings_module.load()
    paths = rule_runs.files(files or (), chosen.rules)
    missing = [str(path) for path in paths if not path.exists()]
    if missing or not paths:
        said = ", ".join(missing) if missing else f"{rule_runs.FOLDER}/*.yaml beside {chosen.rules}"
        typer.echo(f"There is no {said}. docs/rules.md shows how tests are written.", err=True)
        return EXIT_NOT_FOUND
    problems: Sequence[Problem] = ()
    runs: Sequence[rule_runs.Run] = ()
    try:
        runs = rule_runs.load(paths, chosen.rules, chosen.network)
    except ConfigError as error:
        problems = error.problems or (Problem("", None, None, "", str(error)),)
    failures: list[Problem] = []
    failed = 0
    for run in runs:
        wrong = run.fails()
        failed += bool(wrong)
        failures.extend(wrong)
    count: int | None = None
    survivors: list[rule_runs.Survivor] = []
    if mutate and runs and not failures:
        with progress("Mutants") as told:
            count, survivors = rule_runs.survivors(runs, told)
    answer = {
        "files": [str(path) for path in paths],
        "cases": len(runs),
        "passed": len(runs) - failed,
        "failures": failures,
        "untested": rule_runs.untested(runs),
        "mutants": count,
        "killed": None if count is None else count - len(survivors),
        "survivors": survivors,
        "problems": problems,
    }

    def say(console: Console) -> None:
        for line in (*problems, *failures, *survivors):
            console.print(shown(str(line)), soft_wrap=True)
        if problems:
            return
        console.print(f"{len(runs)} cases, {failed} failed.")
        if answer["untested"]:
            console.print(f"Without any case: {', '.join(rule_runs.untested(runs))}.")
        if count is not None:
            console.print(f"{count} mutants, {len(survivors)} survived.")
        elif mutate:
            console.print("No mutants were made: first all cases must pass.")

    emit(answer, as_json, say)
    if problems:
        return EXIT_CONFIG
    return EXIT_FAULT if failures or survivors else 0
