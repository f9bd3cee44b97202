"""``tower demo --once``: build the history, judge it, compare with what was planted, end."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine, func, select

from db import embedded, migrate
from db import engine as db_engine
from db.tables import (
    dead_letter,
    document,
    event,
    exception_case,
    flow,
    ingest_ledger,
    outbox,
    transition,
)
from tower.errors import ConfigError
from tower.root_causes import KIND
from tower.settings import Settings
from worker import configuration
from worker.demo import judging
from worker.demo.history import LATE_AFTER, History
from worker.demo.stage import (
    FIXED_AS_OF,
    HISTORY_RHYTHM,
    Doors,
    Options,
    free_port,
    mail_sink,
    make_world,
    serve_world,
)

if TYPE_CHECKING:
    from simulator.truth import Score
    from simulator.world import World


def run_once(chosen: Settings, options: Options) -> dict[str, Any]:
    """The answer of ``tower demo --once --json``, in a database and a folder of its own."""
    began = time.monotonic()
    as_of = options.as_of or FIXED_AS_OF
    home = chosen.home / "once"
    shutil.rmtree(home / "doors", ignore_errors=True)
    shutil.rmtree(home / "mailbox", ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    mine = chosen.model_copy(
        update={
            "home": home,
            "network": home / "network.yaml",
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "smtp_starttls": False,
            "smtp_user": None,
            "smtp_password": None,
        }
    )
    with _database(mine), mail_sink(home / "mailbox", port) as sink:
        engine = db_engine.connect(mine, hurried=True)
        try:
            _refuse_if_used(engine)
            world = make_world(options, as_of)
            with serve_world(world) as server:
                mine.network.write_text(
                    world.network_yaml(home, server.url, HISTORY_RHYTHM), encoding="utf-8"
                )
                config = configuration.activate(engine, mine.network, mine.rules, world.start)
                judge = judging.here(engine, mine, config, LATE_AFTER)
                history = History(engine, mine, config, world, Doors(home), judge)
                with progress(world.start, as_of) as told:
                    spent = history.play(world.start, as_of, told)
            return answer(engine, world, options, as_of, sink.count, time.monotonic() - began) | {
                "spent": asdict(spent)
            }
        finally:
            engine.dispose()


@contextlib.contextmanager
def _database(mine: Settings) -> Iterator[None]:
    """An empty database: the external one as it is, or an embedded one begun anew."""
    if mine.database_url is None:
        embedded.forget(mine.home)
        with embedded.running(mine.home):
            migrate.migrate(mine)
            yield
    else:
        migrate.migrate(mine)
        yield


def _refuse_if_used(engine: Engine) -> None:
    with engine.connect() as conn:
        used = conn.execute(select(ingest_ledger.c.source).limit(1)).first()
    if used is not None:
        raise ConfigError(
            "The database of TOWER_DATABASE_URL holds data already. Name an empty one: the demo "
            "does not mix its orders with yours."
        )


@contextlib.contextmanager
def progress(start: datetime, end: datetime) -> Iterator[Any]:
    """A bar on standard error over the days of the history."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        TextColumn("{task.completed:.0f} of {task.total:.0f} days"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("History", total=(end - start).total_seconds() / 86400)

        def told(now: datetime) -> None:
            bar.update(task, completed=(now - start).total_seconds() / 86400)

        yield told


def found_cases(engine: Engine) -> list[tuple[str, str]]:
    """(category, subject reference) of every case ever opened, resolved ones too; not of the
    causes that several share.
    """
    with engine.connect() as conn:
        rows = conn.execute(
            select(
                exception_case.c.category,
                exception_case.c.kind,
                exception_case.c.scope,
                exception_case.c.number,
                exception_case.c.line,
            )
            .where(exception_case.c.kind != KIND)
            .order_by(exception_case.c.id)
        ).all()
    return [
        (r.category, f"{r.kind}:{r.scope}:{r.number}" + (f":{r.line}" if r.line else ""))
        for r in rows
    ]


def answer(
    engine: Engine,
    world: World,
    options: Options,
    as_of: datetime,
    mails: int,
    seconds: float,
) -> dict[str, Any]:
    """What was planted, what was found, and how much there is of everything."""
    score: Score = world.score(found_cases(engine), as_of)
    with engine.connect() as conn:

        def count(table: Any, *conditions: Any) -> int:
            return int(
                conn.execute(
                    select(func.count()).select_from(table).where(*conditions)
                ).scalar_one()
            )

        counts = {
            "raw_messages": count(ingest_ledger),
            "events": count(event),
            "documents": count(document),
            "flows": count(flow),
            "unmatched": count(flow, ~flow.c.matched),
            "dead_letters": count(dead_letter),
            "transitions": count(transition),
            "cases": count(exception_case),
            "cases_open": count(exception_case, exception_case.c.state != "resolved"),
            "mails": mails,
            "mails_waiting": count(outbox, outbox.c.state == "waiting"),
        }
    return {
        "seed": options.seed,
        "as_of": as_of,
        "days": options.days,
        "planted": score.expected,
        "found": score.found,
        "precision": score.precision,
        "recall": score.recall,
        "by_category": score.by_category,
        "missed": [fault.as_json() for fault in score.missed[:50]],
        "false": [{"category": c, "subject": s} for c, s in score.false[:50]],
        "not_covered": score.not_covered,
        "counts": counts,
        "seconds": round(seconds, 1),
    }
