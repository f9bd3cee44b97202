"""``tower silence add|list|end``: mails that nobody wants for a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Connection

from db import configuration, migrate, silences
from db import engine as db_engine
from db.reads import silences as reads
from tower import settings as settings_module
from tower.access import EVERYTHING
from tower.categories import CATEGORIES
from tower.durations import Span, Unit
from tower.errors import ConfigError
from tower.network import Network, load_network
from tower.rulebook import load_rulebook
from tower.silences import NotASilence, Silence
from tower.strict_yaml import closest
from tower.zones import zone
from worker.answers import EXIT_NOT_FOUND, AsJson, emit, shown, table
from worker.commands.ask import asking
from worker.commands.who import By, user


def register(words: typer.Typer) -> None:
    """Add the commands to the group ``silence``."""
    words.command()(add)
    words.command("list")(tell)
    words.command()(end)


def add(
    reason: Annotated[str, typer.Option(help="Why: whoever misses a mail will ask.")],
    rule: Annotated[str | None, typer.Option(help="Rule of sla_rules.yaml.")] = None,
    category: Annotated[str | None, typer.Option(help="Category of cases.")] = None,
    partner: Annotated[str | None, typer.Option(help="Partner of network.yaml.")] = None,
    source: Annotated[str | None, typer.Option(help="Source of network.yaml.")] = None,
    po: Annotated[str | None, typer.Option(help="Number of a purchase order.")] = None,
    length: Annotated[str | None, typer.Option("--for", help="So long: 90m, 48h.")] = None,
    until: Annotated[
        str | None, typer.Option(help="Or until then; the company's zone unless it names one.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="Default now.")] = None,
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """No mails for a time. Example: tower silence add --partner ACME --for 4h --reason upkeep

    Every word that is given must fit a case. Clocks and cases go on; what is still open at the end
    is told then, and who was told of a case hears of its end.
    """
    now = datetime.now(UTC)
    given = {"rule": rule, "category": category, "partner": partner, "source": source, "po": po}
    with db_engine.connected(settings_module.load()) as engine, engine.begin() as conn:
        migrate.check(conn)
        net = _known(conn, given)
        local = net.company.zone
        begin = _instant("--from", since, local) if since else now
        made = silences.add(
            conn,
            matchers=given,
            from_at=begin,
            to_at=_end(begin, length, until, local),
            reason=reason,
            author=by or user(),
            now=now,
        )
    emit({"silence": made}, as_json, lambda console: _say(console, "Silence", made))
    return 0


def tell(as_json: AsJson = False) -> int:
    """Silences in force, to come, and of the last thirty days. Example: tower silence list"""
    with asking() as (conn, now):
        found = reads.listing(conn, EVERYTHING, now)

    def show(console: Console) -> None:
        console.print(
            table(
                f"{len(found)} silences",
                ("#", "state", "what", "from", "until", "open cases #", "who", "why"),
                [
                    (
                        one.silence.id,
                        one.state,
                        matched(one.silence),
                        one.silence.from_at,
                        one.silence.until,
                        one.open_cases,
                        one.silence.author,
                        one.silence.reason,
                    )
                    for one in found
                ],
            )
        )

    emit({"silences": found}, as_json, show)
    return 0


def end(
    silence: Annotated[int, typer.Argument(help="Its number, as tower silence list names it.")],
    by: By = "",
    as_json: AsJson = False,
) -> int:
    """End a silence before its time. Example: tower silence end 3

    What waited for its end is told now. Exit code 3 if there is none, or it is over.
    """
    now = datetime.now(UTC)
    with db_engine.connected(settings_module.load()) as engine:
        try:
            with engine.begin() as conn:
                migrate.check(conn)
                ended = silences.end(conn, silence, author=by or user(), now=now)
        except NotASilence as error:
            typer.echo(str(error), err=True)
            return EXIT_NOT_FOUND
    emit({"silence": ended}, as_json, lambda console: _say(console, "Ended: silence", ended))
    return 0


def matched(known: Silence) -> str:
    """ "partner ACME, rule po.unacknowledged": what a silence is about."""
    named = (
        ("rule", known.rule),
        ("category", known.category),
        ("partner", known.partner),
        ("source", known.source),
        ("PO", known.po),
    )
    return ", ".join(f"{word} {value}" for word, value in named if value is not None)


def _say(console: Console, word: str, one: Silence) -> None:
    text = f"{word} {one.id}: {matched(one)}, {one.from_at:%Y-%m-%d %H:%M} to "
    console.print(shown(f"{text}{one.until:%Y-%m-%d %H:%M} UTC."), soft_wrap=True)


def _known(conn: Connection, given: dict[str, str | None]) -> Network:
    """The network in force, in which all the names that are given must be."""
    found = configuration.active(conn, configuration.NETWORK)
    if found is None:
        raise ConfigError("No network is in force yet: tower up takes network.yaml in.")
    net = load_network(found.body, configuration.NETWORK)
    rules = configuration.active(conn, configuration.RULES)
    book = load_rulebook(rules.body) if rules is not None else None
    _one_of("--rule", given["rule"], [r.id for r in book.rules] if book is not None else ())
    _one_of("--category", given["category"], CATEGORIES)
    _one_of("--partner", given["partner"], net.partners)
    _one_of("--source", given["source"], net.sources)
    return net


def _one_of(option: str, value: str | None, known: Iterable[str]) -> None:
    names = frozenset(known)
    if value is None or value in names:
        return
    near = closest(value, names)
    advice = f"Write {near}." if near else f"Known: {', '.join(sorted(names)) or 'none'}."
    raise ConfigError(f'{option}: "{value}" is not known. {advice}')


def _end(begin: datetime, length: str | None, until: str | None, local: str) -> datetime:
    if (length is None) == (until is None):
        raise ConfigError("A silence has an end: give either --for 4h or --until 2026-04-01T18:00.")
    if until is not None:
        return _instant("--until", until, local)
    try:
        span = Span.parse(length, Unit.CLOCK)
    except ValueError as error:
        raise ConfigError(f'--for: "{length}" is no time; write one like 90m or 48h.') from error
    return begin + span.length


def _instant(option: str, text: str, local: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f'{option}: "{text}" is no time; write one like 2026-03-30T14:10.'
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone(local))
