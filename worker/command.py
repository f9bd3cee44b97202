"""The ``tower`` command: doors to what the rooms can do.

A command checks its words, calls one function and prints. Every answer also comes as JSON with
``--json``; docs/command.md holds the shapes and the exit codes.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from tower import settings as settings_module
from tower.errors import ConfigError, DatabaseAway, SchemaOutOfDate, TowerError
from worker import logs
from worker.answers import (
    EXIT_CONFIG,
    EXIT_DATABASE,
    EXIT_FAULT,
    EXIT_STOPPED,
    EXIT_USAGE,
    AsJson,
    console,
    emit,
    shown,
)
from worker.commands import (
    answer,
    ask,
    audits,
    bring,
    broker,
    bundle,
    cases,
    export,
    find,
    house,
    impact,
    keys,
    kpi,
    lead,
    letters,
    mail,
    mappings,
    network,
    partners,
    reinterpret,
    replay,
    reports,
    rule_changes,
    rule_list,
    self_audit,
    silences,
    subscriptions,
    suppliers,
    ties,
    trace,
    users,
)
from worker.commands import rules as rule_words

app = typer.Typer(
    name="tower",
    help="A business observability control tower for distribution companies.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
rules = typer.Typer(help="The rule book sla_rules.yaml.", no_args_is_help=True)
app.add_typer(rules, name="rules")
network_words = typer.Typer(help="The network file network.yaml.", no_args_is_help=True)
app.add_typer(network_words, name="network")

partner_words = typer.Typer(help="Partners: add, check, list.", no_args_is_help=True)
app.add_typer(partner_words, name="partner")
mapping_words = typer.Typer(help="Mappings of files: try.", no_args_is_help=True)
app.add_typer(mapping_words, name="mapping")
mail_words = typer.Typer(help="Mails that came back: bounce, retry.", no_args_is_help=True)
app.add_typer(mail_words, name="mail")
silence_words = typer.Typer(help="Mails that nobody wants for a time.", no_args_is_help=True)
app.add_typer(silence_words, name="silence")
broker_words = typer.Typer(help="Message brokers: lint, capture.", no_args_is_help=True)
app.add_typer(broker_words, name="broker")
letter_words = typer.Typer(help="Dead letters: archive, restore, note.", no_args_is_help=True)
app.add_typer(letter_words, name="letter")
replay_words = typer.Typer(help="Send dead letters once more, and safely.", no_args_is_help=True)
app.add_typer(replay_words, name="replay")
audit_words = typer.Typer(help="Who did what: list, verify.", no_args_is_help=True)
app.add_typer(audit_words, name="audit")
key_words = typer.Typer(help="Keys of the machine door: add, list, revoke.", no_args_is_help=True)
app.add_typer(key_words, name="keys")
user_words = typer.Typer(help="Who may sign in to the screens.", no_args_is_help=True)
app.add_typer(user_words, name="users")
switch_words = typer.Typer(help="Let nobody change anything: on, off, show.", no_args_is_help=True)
app.add_typer(switch_words, name="read-only")

lead.register(app)
reports.register(app)
suppliers.register(app)
kpi.register(app)
impact.register(app)
ask.register(app)
cases.register(app)
bring.register(app)
house.register(app, rules)
rule_words.register(rules)
rule_list.register(rules)
rule_changes.register(rules)
network.register(app, network_words)
mappings.register(mapping_words)
partners.register(partner_words)
ties.register(app)
answer.register(app)
broker.register(broker_words)
silences.register(silence_words)
mail.register(mail_words)
audit_words.command("self")(self_audit.tell)
reinterpret.register(app)
find.register(app)
bundle.register(app)
trace.register(app)
letters.register(app, letter_words)
replay.register(replay_words)
keys.register(key_words)
audits.register(audit_words, switch_words)
export.register(app)
subscription_words = typer.Typer(
    help="Who is told of events by webhook: add, list, remove, test, retry.", no_args_is_help=True
)
app.add_typer(subscription_words, name="subscriptions")
subscriptions.register(subscription_words)
users.register(user_words)


@app.command()
def worker() -> None:
    """Read sources, judge clocks, send mails, until stopped. Example: tower worker"""
    from db import engine, migrate
    from worker.run import Worker

    logs.start()
    chosen = settings_module.load()
    with engine.connected(chosen) as database:
        with database.connect() as conn:
            migrate.check(conn)
        rounds = engine.for_rounds(chosen)
        try:
            Worker(database, chosen, rounds=rounds).run()
        finally:
            rounds.dispose()


@app.command()
def api() -> None:
    """Serve the machine door (HTTP) until stopped. Example: tower api"""
    os.execv(sys.executable, [sys.executable, "-m", "api.serve"])  # noqa: S606


@app.command()
def ui() -> None:
    """Serve the screens until stopped. Example: tower ui"""
    os.execv(sys.executable, [sys.executable, "-m", "app.serve"])  # noqa: S606


@app.command()
def version(as_json: AsJson = False) -> None:
    """The version of this program. Example: tower version"""
    from importlib.metadata import version as installed

    emit({"version": installed("tower")}, as_json, lambda c: c.print(installed("tower")))


@functools.cache
def _command() -> Callable[..., Any]:
    """All words made ready, a tenth of a second: tests ask many times in one process."""
    return typer.main.get_command(app)


def main(arguments: Annotated[list[str] | None, "for tests"] = None) -> int:
    """Run the command; errors become a sentence on standard error and an exit code."""
    try:
        result = _command()(arguments, standalone_mode=False)
    except typer.Exit as error:
        return int(error.exit_code)
    except Exception as error:
        return _failed(error)
    return result if isinstance(result, int) else 0


def _failed(error: Exception) -> int:
    """Say what went wrong and what to do; a bug of ours is raised on, with its trace."""
    if isinstance(error, typer.Abort):
        return _say(EXIT_STOPPED, "Stopped.")
    if isinstance(error, (ConfigError, SchemaOutOfDate)):
        return _say(EXIT_CONFIG, str(error))
    if isinstance(error, DatabaseAway):
        return _say(EXIT_DATABASE, str(error))
    if isinstance(error, OperationalError):
        return _say(
            EXIT_DATABASE,
            f"The database does not answer: {str(error.orig).strip()}",
            "next: check that it runs (tower doctor) and try again",
        )
    if isinstance(error, ProgrammingError):
        # A table that is missing is told as SchemaOutOfDate before; what is left are rights.
        return _say(
            EXIT_CONFIG,
            f"The database refuses: {str(error.orig).strip()}",
            "next: run tower migrate with the same settings; it lets the program's account in",
        )
    if isinstance(error, DBAPIError):
        return _say(EXIT_DATABASE, f"The database failed: {str(error.orig).strip()}")
    if isinstance(error, TowerError):
        return _say(EXIT_FAULT, str(error))
    usage = getattr(error, "format_message", None)
    if usage is None:
        raise error
    said = str(usage())
    asked = getattr(getattr(error, "ctx", None), "command_path", "tower")
    # Without any words the whole help is the message.
    lines = (said,) if said.startswith("Usage:") else (said, f"next: {asked} --help")
    return _say(int(getattr(error, "exit_code", EXIT_USAGE)), *lines)


def _say(code: int, *lines: str) -> int:
    err = console(errors=True)
    for line in lines:
        err.print(shown(line), soft_wrap=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
