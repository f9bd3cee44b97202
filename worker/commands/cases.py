"""``tower cases`` and ``tower case``: the work list, one case, and what a person does to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection
from typer.core import TyperGroup

from db import cases as wishes
from db import engine as db_engine
from db import migrate
from db.reads import cases as case_reads
from db.reads import names
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.cases import BY_HAND, CAUSES, STATES, VERDICTS, Case
from tower.categories import CATEGORIES
from tower.errors import AccessDenied, TowerError
from tower.root_causes import KIND
from tower.telling import length
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, one_of, shown, table
from worker.commands import case_sets
from worker.commands.ask import asking
from worker.commands.instants import instant
from worker.commands.who import By, user

VIEWS = ("causes", "all")
Number = Annotated[int, typer.Argument(help="Number of the case.")]
Until = Annotated[
    str, typer.Option(help="Instant like 2026-03-30T09:00, in the company's zone, or 4h, 3d.")
]


class _NumberFirst(TyperGroup):
    """``tower case 12`` shows a case; ``tower case take 12`` acts on it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


one = typer.Typer(
    cls=_NumberFirst,
    help="One case, and what is done to it. Example: tower case 12",
    no_args_is_help=False,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(cases)
    for command in (show, take, release, wait, snooze, assign, resolve, judge, merge, note):
        one.command(command.__name__)(command)
    one.command()(case_sets.freeze)
    one.command()(case_sets.together)
    app.add_typer(one, name="case")


def cases(
    category: Annotated[str | None, typer.Option(help="For example ACK_OVERDUE.")] = None,
    severity: Annotated[str | None, typer.Option(help="low, medium, high, critical.")] = None,
    owner: Annotated[str | None, typer.Option(help="Person of network.yaml.")] = None,
    supplier: Annotated[str | None, typer.Option(help="Partner of network.yaml.")] = None,
    rule: Annotated[str | None, typer.Option(help="Rule of the rule book.")] = None,
    age: Annotated[str | None, typer.Option(help='Age band: "<4 h", "4-24 h", "1-3 d" ...')] = None,
    state: Annotated[str, typer.Option(help="open, resolved, all, or one state.")] = "open",
    view: Annotated[
        str, typer.Option(help="causes: a root cause stands for its cases; all: every case.")
    ] = "causes",
    sort: Annotated[str, typer.Option(help="consequence, severity, age or newest.")] = (
        "consequence"
    ),
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> int:
    """Exception cases, the most consequential first. Example: tower cases --severity high"""
    one_of("--state", state, ("open", "resolved", "all", *STATES[:-1]))
    one_of("--severity", severity, case_reads.SEVERITIES)
    one_of("--category", category, CATEGORIES)
    one_of("--age", age, [band[0] for band in case_reads.AGE_BANDS])
    one_of("--view", view, VIEWS)
    one_of("--sort", sort, case_reads.SORTS)
    wanted = case_reads.CaseFilter(
        category=category,
        severity=severity,
        owner=owner,
        supplier=supplier,
        rule=rule,
        age=age,
        state=state,
        view=view,
        sort=sort,
    )
    with asking() as (conn, now):
        page = case_reads.queue(conn, EVERYTHING, wanted, now, limit=limit)
        ages = _ages(conn, page.rows, now)
    rows = [_outside(row) | aged for row, aged in zip(page.rows, ages, strict=True)]
    emit(
        {"total": page.total, "cases": rows},
        as_json,
        lambda console: console.print(
            table(
                f"{len(rows)} of {page.total} cases",
                (
                    "case #",
                    "severity",
                    "category",
                    "title",
                    "owner",
                    "age",
                    "open h #",
                    "orders #",
                    "at risk #",
                ),
                [
                    (
                        r["id"],
                        r["severity"],
                        r["category"],
                        r["title"],
                        r["owner"],
                        length(timedelta(seconds=r["age_s"])),
                        None if r["open_hours_s"] is None else round(r["open_hours_s"] / 3600, 1),
                        r["orders_affected"],
                        r["value_at_risk"],
                    )
                    for r in rows
                ],
            )
        ),
    )
    return 0


def _ages(
    conn: Connection, rows: tuple[Mapping[str, Any], ...], now: datetime
) -> list[dict[str, Any]]:
    """Clock seconds since each was true, and how many of them were open hours."""
    hours = names.company_hours(conn)
    found = []
    for row in rows:
        end = row["resolved_at"] or now
        inside: float | None = None
        if hours is not None:
            try:
                inside = hours.between(row["opened_at"], end).total_seconds()
            except TowerError:  # beyond the years of the calendar
                inside = None
        found.append({"age_s": (end - row["opened_at"]).total_seconds(), "open_hours_s": inside})
    return found


def _outside(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "why"}


# --- one case -------------------------------------------------------------------------------------


def show(number: Number, as_json: AsJson = False) -> int:
    """One case: why, history, impact, mails, its cause. Example: tower case show 12

    The word show may be left out.
    Exit code 3 if there is none.
    """
    with asking() as (conn, now):
        found = case_reads.detail(conn, EVERYTHING, number)
        ages = {} if found is None else _ages(conn, (found.case,), now)[0]
    if found is None:
        typer.echo(f"There is no case {number}. tower cases lists them.", err=True)
        return EXIT_NOT_FOUND

    def say(console: Console) -> None:
        _say(console, found, ages)

    answer = {name: getattr(found, name) for name in found.__dataclass_fields__}
    emit(answer | {"age": ages}, as_json, say)
    return 0


def _say(console: Console, found: case_reads.CaseDetail, ages: Mapping[str, Any]) -> None:
    row = found.case
    due = row["due_at"]
    state = row["state"] if row["resolution"] is None else f"resolved, {row['resolution']}"
    console.print(f"Case {row['id']}  {row['severity']} {row['category']}  {state}")
    console.print(shown(str(row["title"])), soft_wrap=True)
    open_h = ages["open_hours_s"]
    inside = "" if open_h is None else f" ({open_h / 3600:.1f} open hours)"
    console.print(
        f"owner {row['owner']}, opened {row['opened_at']:%Y-%m-%d %H:%MZ}, age "
        f"{length(timedelta(seconds=ages['age_s']))}{inside}, due "
        + (f"{due:%Y-%m-%d %H:%MZ}" if due else "–")
    )
    if found.parent is not None:
        console.print(
            shown(f"shares its cause: case {found.parent['id']}, {found.parent['title']}"),
            soft_wrap=True,
        )
    if row["advice"]:
        console.print(shown(f"next: {row['advice']}"), soft_wrap=True)
    console.print(
        table(
            "History",
            ("at", "who", "what"),
            [(n["at"], n["author"], n["text"]) for n in found.notes],
        )
    )
    if row["kind"] == KIND:
        console.print(
            table(
                f"Its cases ({len(found.children)})",
                ("case #", "severity", "state", "title", "orders #", "at risk #"),
                [
                    (
                        c["id"],
                        c["severity"],
                        c["resolution"] or c["state"],
                        c["title"],
                        c["orders_affected"],
                        c["value_at_risk"],
                    )
                    for c in found.children
                ],
            )
        )
    if found.impacts:
        console.print(
            table(
                "Affected customer orders",
                ("order", "line", "customer", "promised", "expected", "value #"),
                [
                    (
                        i["order"],
                        i["order_line"],
                        i["customer_name"] or i["customer"],
                        i["promise_date"],
                        i["projected_date"],
                        i["open_value"],
                    )
                    for i in found.impacts
                ],
            )
        )
    if found.mails:
        console.print(
            table(
                "Mails",
                ("at", "to", "subject", "state"),
                [(m["created_at"], m["recipient"], m["subject"], m["state"]) for m in found.mails],
            )
        )


# --- what is done to it ---------------------------------------------------------------------------


def take(number: Number, by: By = "", as_json: AsJson = False) -> int:
    """Look after it: it is not raised again for four hours. Example: tower case take 12"""
    return _wish(
        number, by, as_json, lambda conn, who, now: wishes.take(conn, EVERYTHING, number, who, now)
    )


def release(number: Number, by: By = "", as_json: AsJson = False) -> int:
    """Give it back: nobody holds it any more. Example: tower case release 12"""
    return _wish(
        number,
        by,
        as_json,
        lambda conn, who, now: wishes.release(conn, EVERYTHING, number, who, now),
    )


def wait(
    number: Number,
    on: Annotated[str, typer.Option(help="Who must act first.")],
    until: Until = "1d",
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Leave it waiting on somebody. Example: tower case wait 12 --on "the carrier" --until 1d"""
    return _wish(
        number,
        by,
        as_json,
        lambda conn, who, now: wishes.wait(
            conn, EVERYTHING, number, who, on, instant(conn, until, now), now
        ),
    )


def snooze(number: Number, until: Until, by: By = "", as_json: AsJson = False) -> int:
    """Say nothing until then; what is open is told. Example: tower case snooze 12 --until 4h"""
    return _wish(
        number,
        by,
        as_json,
        lambda conn, who, now: wishes.snooze(
            conn, EVERYTHING, number, who, instant(conn, until, now), now
        ),
    )


def assign(
    number: Number,
    to: Annotated[str, typer.Option(help="Person of network.yaml.")],
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Pass it to another person. Example: tower case assign 12 --to ann"""

    def act(conn: Connection, who: str, now: datetime) -> Case:
        one_of("--to", to, names.people(conn))
        return wishes.assign(conn, EVERYTHING, number, who, to, now)

    return _wish(number, by, as_json, act)


def resolve(
    number: Number,
    how: Annotated[str, typer.Option(help=f"One of {', '.join(BY_HAND)}.")],
    why: Annotated[str, typer.Option(help="What was done.")],
    cause: Annotated[str | None, typer.Option(help=f"One of {', '.join(CAUSES)}.")] = None,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Close it by hand. Example: tower case resolve 12 --how repaired --why "file sent again" """
    one_of("--how", how, BY_HAND)
    one_of("--cause", cause, CAUSES)
    return _wish(
        number,
        by,
        as_json,
        lambda conn, who, now: wishes.resolve(conn, EVERYTHING, number, who, how, why, now, cause),
    )


def judge(
    number: Number,
    verdict: Annotated[str, typer.Argument(help="useful or false_alarm.")],
    why: Annotated[str, typer.Option(help="A few words.")],
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Was its alert useful? Example: tower case judge 12 false_alarm --why "agreed by phone" """
    one_of("VERDICT", verdict, VERDICTS)
    return _wish(
        number,
        by,
        as_json,
        lambda conn, who, now: wishes.judge(conn, EVERYTHING, number, who, verdict, why, now),
    )


def merge(
    number: Number,
    into: Annotated[int, typer.Option(help="Number of the case that goes on.")],
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Close it as a part of another case. Example: tower case merge 12 --into 7"""
    return _wish(
        number,
        by,
        as_json,
        lambda conn, who, now: wishes.merge(conn, EVERYTHING, number, who, into, now),
    )


def note(
    number: Number,
    text: Annotated[str, typer.Argument(help="What you know.")],
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """Add words to its history. Example: tower case note 12 "they call back" """

    def act(conn: Connection, who: str, now: datetime) -> Case:
        wishes.note(conn, EVERYTHING, number, who, text, now)
        return wishes.by_ids(conn, [number])[0]

    return _wish(number, by, as_json, act)


def _wish(
    number: int, by: str, as_json: bool, act: Callable[[Connection, str, datetime], Case]
) -> int:
    """Write the wish and tell what the case is now; exit code 3 if there is none."""
    chosen = settings_module.load()
    with db_engine.connected(chosen) as engine:
        with engine.connect() as conn:
            migrate.check(conn)
        try:
            with engine.begin() as conn:
                case = act(conn, by or user(), datetime.now(UTC))
        except AccessDenied:
            typer.echo(f"There is no case {number}. tower cases lists them.", err=True)
            return EXIT_NOT_FOUND
    answer = {
        "case": number,
        "state": case.state,
        "resolution": case.resolution,
        "owner": case.owner,
        "verdict": case.verdict,
        "taken_until": case.taken_until,
        "snoozed_until": case.snoozed_until,
    }

    def say(console: Console) -> None:
        state = case.state if case.resolution is None else f"resolved, {case.resolution}"
        console.print(f"Case {number}: {state}, owner {case.owner}. See it: tower case {number}")

    emit(answer, as_json, say)
    return 0
