"""``tower answer``: write down what a supplier said by phone or mail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from collectors import manual_answers
from db import engine as db_engine
from db import migrate
from db.reads.lookup import supplier_of_order
from tower import settings as settings_module
from tower.errors import ConfigError, PayloadRejected
from tower.zones import zone
from worker import configuration, pipeline
from worker.answers import EXIT_FAULT, EXIT_NOT_FOUND, AsJson, emit
from worker.commands.who import user

LINE_WORDS = ("answer", "qty", "uom", "date", "price")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(answer)


def answer(
    po: Annotated[str, typer.Argument(help="Purchase order, or ERP:number.")],
    heard_from: Annotated[str, typer.Option(help="Who said it.")],
    said: Annotated[
        str | None,
        typer.Option(
            "--answer",
            help=f"Of the whole order: one of {', '.join(manual_answers.WORDS)}. "
            "Default: accepted, or nothing beyond the lines named.",
        ),
    ] = None,
    line: Annotated[
        list[str] | None,
        typer.Option(help='"10 qty=40 date=2026-04-03 price=12.50 answer=accepted"; repeat it.'),
    ] = None,
    heard_at: Annotated[
        str, typer.Option(help="When, in the company's zone unless it names one; default now.")
    ] = "",
    recorded_by: Annotated[str, typer.Option(help="Who writes it down; default you.")] = "",
    supplier: Annotated[str, typer.Option(help="Default: the supplier of the order.")] = "",
    reason: Annotated[str, typer.Option(help="Why it was refused or changed.")] = "",
    note: Annotated[str, typer.Option(help="Anything else that was said.")] = "",
    as_json: AsJson = False,
) -> int:
    """Write an answer down. Example: tower answer 4500001234 --heard-from "Ms Ng"

    It counts like one by EDI and is kept with who heard it from whom and when. The same answer
    twice is stored once. Exit code 1 if it was refused, 3 if the order is not known.
    """
    now = datetime.now(UTC)
    chosen = settings_module.load()
    with db_engine.connected(chosen) as engine:
        with engine.connect() as conn:
            migrate.check(conn)
        net = configuration.activate(engine, chosen.network, chosen.rules, now).network
        source = manual_answers.source_of(net)
        erp, _, number = po.rpartition(":")
        try:
            told = manual_answers.read(
                {
                    "po": number,
                    "erp": erp or net.company.erp,
                    "supplier": supplier,
                    "answer": said,
                    "lines": [_line(text) for text in line or ()],
                    "reason": reason,
                    "heard_from": heard_from,
                    "heard_at": _instant(heard_at, net.company.zone, now),
                    "recorded_by": recorded_by or user(),
                    "note": note,
                }
            )
            with engine.connect() as conn:
                known = supplier_of_order(conn, told.erp, told.po)
            who = supplier or known
            if who is None:
                typer.echo(
                    f"Order {po} is not known, so neither is its supplier. Correct the number, or "
                    "name the supplier with --supplier.",
                    err=True,
                )
                return EXIT_NOT_FOUND
            raw = manual_answers.raw_of(source, told, who, told.erp, now)
        except PayloadRejected as error:
            typer.echo(f"{error} {error.advice}", err=True)
            return EXIT_FAULT
        (item,) = pipeline.ingest_raws(engine, net, [raw], now=now).items
    result: dict[str, Any] = {
        "po": told.po,
        "erp": told.erp,
        "supplier": who,
        "answer": told.word,
        "lines": [one.line for one in told.lines],
        "heard_from": told.heard_from,
        "heard_at": told.heard_at,
        "recorded_by": told.recorded_by,
        "outcome": item.outcome,
        "source": source,
        "key": raw.key,
        "cause": item.cause,
        "advice": item.advice,
    }

    def show(console: Console) -> None:
        if item.outcome == "refused":
            console.print(f"Refused: {item.cause} {item.advice}", markup=False)
            return
        known_before = ", known before" if item.outcome == "repeated" else ""
        console.print(
            f"{_said_of(told)}, heard from {told.heard_from}: stored{known_before}. "
            f"See it: tower show {told.po}",
            markup=False,
        )

    emit(result, as_json, show)
    return EXIT_FAULT if item.outcome == "refused" or item.dead_letters else 0


def _said_of(told: manual_answers.ManualAnswer) -> str:
    """ "accepted for 4500001234", "line 10 rejected for 4500001234"."""
    named = ", ".join(f"{one.line} {one.answer or 'answered'}" for one in told.lines)
    lines = f"line{'s' if len(told.lines) > 1 else ''} {named}"
    return f"{' but '.join(filter(None, (told.word, lines if told.lines else '')))} for {told.po}"


def _line(text: str) -> dict[str, str]:
    """ "10 qty=40 date=2026-04-03" as fields."""
    number, *words = text.split()
    found = {"line": number}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in LINE_WORDS:
            raise PayloadRejected(
                f'--line: "{word}" is not understood.',
                code="bad_value",
                advice=f"After the number write NAME=VALUE; names are {', '.join(LINE_WORDS)}.",
            )
        found[name] = value
    return found


def _instant(text: str, zone_name: str, now: datetime) -> datetime:
    if not text:
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f'--heard-at: "{text}" is no time; write one like 2026-03-30T14:10.'
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone(zone_name))
