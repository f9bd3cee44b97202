"""Commands that run and keep the house: up, demo, migrate, status, doctor, rules lint."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError, OperationalError

from db import configuration as db_configuration
from db import embedded, health, migrate, sources
from db import engine as db_engine
from tower import settings as settings_module
from tower.errors import ConfigError, Problem, SchemaOutOfDate, TowerError
from tower.settings import Settings
from tower.weak_settings import weaknesses
from worker import configuration, logs
from worker.answers import EXIT_CONFIG, EXIT_FAULT, AsJson, emit, shown, table
from worker.commands.ask import asking
from worker.supervisor import Supervisor, end_as_by_ctrl_c

SAFE_PYTHON = (3, 11, 15)  # before it, mail headers decode hostile encoded words
LOW_DISK_BYTES = 5 * 1024**3


def register(app: typer.Typer, rules: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(up)
    app.command()(demo)
    app.command("migrate")(migrate_schema)
    app.command()(status)
    app.command()(doctor)
    rules.command("lint")(lint)


@contextlib.contextmanager
def database(chosen: Settings) -> Iterator[None]:
    """The database of these settings, running: the external one, or the embedded server."""
    if chosen.database_url is not None:
        yield
    else:
        with embedded.running(chosen.home):
            yield


def up() -> int:
    """Run the whole tower on this machine until Ctrl-C. Example: tower up"""
    logs.start()
    end_as_by_ctrl_c()
    chosen = settings_module.load()
    configuration.read(chosen.network, chosen.rules)
    console = Console(stderr=True, highlight=False)
    with database(chosen):
        done = migrate.migrate(chosen)
        console.print(f"Database at revision {done.after}.")
        supervisor = Supervisor()
        add_processes(supervisor)
        console.print(f"Tower: {chosen.base_url}   machine door: {_api_address(chosen)}")
        return supervisor.run()


def add_processes(supervisor: Supervisor, environment: Mapping[str, str] | None = None) -> None:
    """The three processes of a tower, in the order in which they stop."""
    for name, module in (("ui", "app.serve"), ("api", "api.serve")):
        supervisor.add(name, [sys.executable, "-m", module], environment)
    supervisor.add("worker", [sys.executable, "-m", "worker.command", "worker"], environment)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Build the history, judge it, print a summary, end.")
    ] = False,
    as_json: AsJson = False,
    seed: Annotated[int, typer.Option(help="Another seed, another distributor.")] = 7,
    days: Annotated[int, typer.Option(min=7, max=365, help="Days of history.")] = 90,
    suppliers: Annotated[int, typer.Option(min=10, max=2000, help="Number of suppliers.")] = 300,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="End of the history (UTC). With --once a fixed day, else now."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier demo first.")] = False,
) -> int:
    """The tower over a simulated distributor. Example: tower demo --once --json

    With --once the same seed gives the same answer; exit code 1 if a planted fault that the rules
    cover was missed, or something was found that nobody planted.
    """
    from worker.demo import Options, run_live, run_once

    options = Options(
        seed=seed,
        days=days,
        suppliers=suppliers,
        as_of=as_of.replace(tzinfo=UTC) if as_of is not None else None,
        fresh=fresh,
    )
    chosen = settings_module.load()
    logs.start(30)
    end_as_by_ctrl_c()
    if not once:
        return run_live(chosen, options)
    answer = run_once(chosen, options)

    def show(console: Console) -> None:
        console.print(
            table(
                f"precision {answer['precision']:.3f}, recall {answer['recall']:.3f}, "
                f"{answer['counts']['events']} events in {answer['seconds']:.0f} s",
                ("category", "planted #", "found #", "missed #", "false #"),
                [
                    (name, c["planted"], c["found"], c["missed"], c["false"])
                    for name, c in answer["by_category"].items()
                ],
            )
        )

    emit(answer, as_json, show)
    return 0 if answer["precision"] == 1.0 and answer["recall"] == 1.0 else EXIT_FAULT


def migrate_schema(as_json: AsJson = False) -> int:
    """Bring the database to this program's schema. Example: tower migrate"""
    chosen = settings_module.load()
    with database(chosen):
        done = migrate.migrate(chosen)

    def show(console: Console) -> None:
        console.print(f"Schema {done.before or 'empty'} -> {done.after}.")
        if done.missing:
            console.print(
                "The database keeps no partners apart yet: its owner may not make roles. An "
                "administrator of the server runs this, then tower migrate once more:"
            )
            for statement in done.missing:
                console.print(f"{statement};", soft_wrap=True)

    emit(
        {"before": done.before, "after": done.after, "administrator_sql": done.missing},
        as_json,
        show,
    )
    return 0


def status(as_json: AsJson = False) -> int:
    """Sources, processes, work that waits: the answer of the Health page. Example: tower status"""
    with asking() as (conn, now):
        migrate.check(conn)
        files = {
            name: db_configuration.active(conn, name)
            for name in (db_configuration.NETWORK, db_configuration.RULES)
        }
        answer: dict[str, Any] = {
            "as_of": now,
            "server": health.server_version(conn),
            "database_bytes": health.database_size(conn),
            "revision": migrate.current(conn),
            "sources": sources.states(conn),
            "processes": [{**_fields(p), "alive": p.alive(now)} for p in health.processes(conn)],
            "backlog": health.backlog(conn, now),
            "configuration": {
                name: None
                if found is None
                else {
                    "hash": found.hash,
                    "activated_at": found.activated_at,
                    "problem": found.problem,
                }
                for name, found in files.items()
            },
        }

    def show(console: Console) -> None:
        waiting = answer["backlog"]
        console.print(
            f"Postgres {answer['server']}, schema {answer['revision']}, "
            f"{answer['database_bytes'] / 1e6:,.0f} MB; timers due {waiting.timers_due}, "
            f"mails waiting {waiting.mails_waiting}, dead letters {waiting.dead_letters_open}, "
            f"unmatched {waiting.flows_unmatched}"
        )
        for name, found in files.items():
            if found is None:
                console.print(f"{name}: nothing is in force yet (tower up takes the file in)")
            elif found.problem:
                console.print(
                    f"{name}: the file was refused; what was taken in on "
                    f"{found.activated_at:%Y-%m-%d %H:%MZ} stays in force"
                )
                console.print(shown(found.problem), soft_wrap=True)
        console.print(
            table(
                "Sources",
                ("source", "state", "complete to", "newest event", "failures #", "message"),
                [
                    (s.source, s.state, s.complete_to, s.newest_at, s.failures, s.message)
                    for s in answer["sources"]
                ],
            )
        )
        console.print(
            table(
                "Processes",
                ("process", "role", "alive", "last beat"),
                [(p["process"], p["role"], p["alive"], p["at"]) for p in answer["processes"]],
            )
        )

    emit(answer, as_json, show)
    return 0


def _fields(beat: health.ProcessBeat) -> dict[str, Any]:
    return {name: getattr(beat, name) for name in beat.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor: ok, warn or fail, and what to do about it."""

    name: str
    state: str
    message: str
    next_step: str = ""


def doctor(as_json: AsJson = False) -> int:
    """Is this installation fit to run? Example: tower doctor. Exit code 1 if a check fails."""
    checks = list(_checks())

    def show(console: Console) -> None:
        console.print(
            table(
                "Doctor",
                ("check", "state", "what", "next"),
                [(c.name, c.state, c.message, c.next_step) for c in checks],
            )
        )

    emit({"checks": checks, "fit": not any(c.state == "fail" for c in checks)}, as_json, show)
    return EXIT_FAULT if any(c.state == "fail" for c in checks) else 0


def _checks() -> Iterator[Check]:
    running = sys.version_info[:3]
    said = ".".join(map(str, running))
    if running >= SAFE_PYTHON:
        yield Check("python", "ok", said)
    else:
        yield Check(
            "python",
            "warn",
            f"{said}: its mail library decodes hostile words in headers; Tower guards against it",
            "Use Python 3.11.15 or newer when you can.",
        )
    try:
        chosen = settings_module.load()
    except ConfigError as error:
        yield Check("settings", "fail", str(error), "Mend the variable named.")
        return
    yield Check("settings", "ok", f"home {chosen.home}")
    yield _try("files", lambda: _files_fit(chosen))
    existing = next(p for p in (chosen.home, *chosen.home.resolve().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    yield Check(
        "disk",
        "ok" if free > LOW_DISK_BYTES else "warn",
        f"{free / 1e9:,.0f} GB free",
        "" if free > LOW_DISK_BYTES else "Free some space: below 1 GiB nothing is taken in.",
    )
    yield _try("database", lambda: _database_fits(chosen))
    yield _roles(chosen)
    yield from _weak(chosen)
    yield from _mail(chosen)


def _try(name: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", ask())
    except OperationalError as error:
        return Check(name, "fail", str(error.orig).strip(), "Start it, or mend its address.")
    except DBAPIError as error:
        return Check(name, "fail", str(error.orig).strip(), "Run tower migrate.")
    except SchemaOutOfDate as error:
        return Check(name, "fail", str(error), "Run tower migrate.")
    except TowerError as error:
        return Check(name, "fail", str(error), "Mend what is named and ask again.")


def _files_fit(chosen: Settings) -> str:
    config = configuration.read(chosen.network, chosen.rules)
    return (
        f"{len(config.network.sources)} sources, {len(config.network.partners)} partners, "
        f"{len(config.rulebook.rules)} rules"
    )


def _database_fits(chosen: Settings) -> str:
    if chosen.database_url is None and embedded.find(chosen.home) is None:
        return "embedded, not running (tower up starts it)"
    with db_engine.connected(chosen) as engine, engine.connect() as conn:
        migrate.check(conn)
        return f"Postgres {health.server_version(conn)}, schema {migrate.current(conn)}"


def _weak(chosen: Settings) -> Iterator[Check]:
    found = weaknesses(chosen)
    for what, advice in found:
        yield Check("safety", "warn", what, advice)
    if not found:
        yield Check("safety", "ok", "no weak setting")


def _roles(chosen: Settings) -> Check:
    name = "database roles"
    if chosen.database_url is None and embedded.find(chosen.home) is None:
        return Check(name, "ok", "made when the embedded database starts")
    try:
        missing = migrate.missing_for_roles(chosen)
    except (TowerError, DBAPIError):
        return Check(name, "warn", "not known while the database cannot be asked")
    if not missing:
        return Check(name, "ok", "service, staff and partners are kept apart by the database")
    return Check(
        name,
        "warn",
        "one account for all: the database itself does not keep partners apart",
        "As administrator of the server: " + "; ".join(missing) + "; then tower migrate, and "
        "restart what runs.",
    )


def _mail(chosen: Settings) -> Iterator[Check]:
    if chosen.smtp_host is None:
        yield Check(
            "mail",
            "warn",
            "no mail server: alert mails wait in the outbox",
            "Set TOWER_SMTP_HOST.",
        )
        return
    try:
        socket.create_connection((chosen.smtp_host, chosen.smtp_port), timeout=5).close()
    except OSError as error:
        yield Check(
            "mail",
            "fail",
            f"{chosen.smtp_host}:{chosen.smtp_port}: {error}",
            "Mend TOWER_SMTP_HOST and TOWER_SMTP_PORT, or the server.",
        )
        return
    yield Check("mail", "ok", f"{chosen.smtp_host}:{chosen.smtp_port} answers")


def lint(
    path: Annotated[Path | None, typer.Argument(help="Default: the rule book in use.")] = None,
    as_json: AsJson = False,
) -> int:
    """Check the rule book against itself and the network. Example: tower rules lint

    Exit code 5 with file:line:col for mistakes; warnings alone exit with 0.
    """
    from tower.lint import lint as lint_rules

    chosen = settings_module.load()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    count = 0
    try:
        config = configuration.read(chosen.network, path or chosen.rules)
        count = len(config.rulebook.rules)
        warnings = tuple(found.problem for found in lint_rules(config.rulebook, config.network))
    except ConfigError as error:
        problems = error.problems or (Problem("", None, None, "", str(error)),)

    def show(console: Console) -> None:
        for problem in problems:
            console.print(shown(str(problem)), soft_wrap=True)
        for warning in warnings:
            console.print(shown(f"warning: {warning}"), soft_wrap=True)
        if not problems:
            console.print(f"{count} rules, no mistakes.")

    emit({"rules": count, "problems": problems, "warnings": warnings}, as_json, show)
    return EXIT_CONFIG if problems else 0


def _api_address(chosen: Settings) -> str:
    return f"http://{chosen.api_host}:{chosen.api_port}"
