"""``tower demo``: history first, then the distributor goes on in real time until Ctrl-C.

What the demo must remember to go on after a stop stands in one small file: the options and how far
the world was told. The world itself follows from these.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from rich.console import Console
from sqlalchemy import func, select

from db import demo_people, embedded, migrate
from db import engine as db_engine
from db.tables import document, ingest_ledger
from tower.access import Role
from tower.errors import ConfigError
from tower.settings import Settings
from worker import configuration
from worker.commands.house import add_processes
from worker.demo import judging, mishaps
from worker.demo.history import LATE_AFTER, History
from worker.demo.once import progress
from worker.demo.stage import (
    HISTORY_RHYTHM,
    LIVE_RHYTHM,
    Doors,
    Options,
    free_port,
    mail_sink,
    make_world,
    serve_world,
)
from worker.supervisor import Supervisor

if TYPE_CHECKING:
    from simulator.world import World

log = logging.getLogger(__name__)

PAUSE_S = 1.0
CAUGHT_UP = timedelta(seconds=5)
NOTE = "demo.json"
PEOPLE: list[tuple[str, str, Role]] = [
    ("lea", "Lea, procurement leader", "leader"),
    ("sam", "Sam, support", "support"),
    ("ada", "Ada, administrator", "admin"),
    ("pat", "Pat, at a supplier", "partner"),
    ("rob", "Rob, reader", "read-only"),
]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a second start must know: the options, the end of history, how far it was told, the
    spans in which it was live, and whether its history was built to the end."""

    options: Options
    as_of: datetime
    told_until: datetime
    spans: tuple[tuple[datetime, datetime], ...] = ()
    built: bool = True

    def save(self, folder: Path) -> None:
        text = json.dumps(
            {
                "options": asdict(self.options) | {"as_of": None},
                "as_of": self.as_of.isoformat(),
                "told_until": self.told_until.isoformat(),
                "spans": [[a.isoformat(), b.isoformat()] for a, b in self.spans],
                "built": self.built,
            }
        )
        half = folder / (NOTE + ".tmp")
        half.write_text(text, encoding="utf-8")
        half.rename(folder / NOTE)

    @classmethod
    def load(cls, folder: Path) -> Memory | None:
        try:
            found = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{folder / NOTE} cannot be read: {error}. Start anew with tower demo --fresh."
            ) from error
        return cls(
            Options(**found["options"]),
            datetime.fromisoformat(found["as_of"]),
            datetime.fromisoformat(found["told_until"]),
            tuple(
                (datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in found["spans"]
            ),
            found["built"],
        )


def run_live(chosen: Settings, options: Options) -> int:
    """Run until Ctrl-C; the exit code of the processes."""
    console = Console(stderr=True, highlight=False)
    folder = chosen.home / "demo"
    left = Memory.load(folder)
    if options.fresh or (left is not None and not left.built and chosen.database_url is None):
        _forget(chosen, folder)
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    mine = chosen.model_copy(
        update={
            "network": folder / "network.yaml",
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "smtp_starttls": False,
            "smtp_user": None,
            "smtp_password": None,
        }
    )
    with _database(mine, console), mail_sink(folder / "mailbox", port):
        memory = Memory.load(folder)
        _refuse_foreign(mine, memory)
        now = datetime.now(UTC).replace(microsecond=0)
        fresh = memory is None or not memory.built
        if memory is None or not memory.built:
            as_of = options.as_of or now
            memory = Memory(options, as_of, as_of)
        elif replace(options, fresh=False, as_of=None) != memory.options and options != Options():
            console.print(
                "An earlier demo goes on with its own options; --fresh begins a new one.",
                style="yellow",
            )
        world = make_world(memory.options, memory.as_of)
        with serve_world(world) as server:
            _write_network(world, mine, server.url, HISTORY_RHYTHM if fresh else LIVE_RHYTHM)
            if fresh:
                replace(memory, built=False).save(folder)
                _build(mine, world, memory, console)
                memory.save(folder)
                _write_network(world, mine, server.url, LIVE_RHYTHM)
            else:
                for start, end in memory.spans:
                    world.go_live(start, end)
                with console.status("Recalling the distributor ..."):
                    world.advance(memory.told_until)
            return _go_on(mine, world, memory, folder, console, fresh=fresh)


def _build(mine: Settings, world: World, memory: Memory, console: Console) -> None:
    console.print(
        f"Building {memory.options.days} days of history of a distributor with "
        f"{memory.options.suppliers} suppliers ... Faults are planted in it: a warning that "
        "a source was not read is one of them."
    )
    engine = db_engine.connect(mine, hurried=True)
    try:
        config = configuration.activate(engine, mine.network, mine.rules, world.start)
        doors = Doors(mine.home / "demo")
        with judging.beside(mine, LATE_AFTER) as judge:
            history = History(engine, mine, config, world, doors, judge)
            with progress(world.start, memory.as_of) as told:
                spent = history.play(world.start, memory.as_of, told)
            reached = memory.as_of
            # Building took a while: catch up, so that no feed seems to have been silent meanwhile.
            while (now := datetime.now(UTC)) - reached > CAUGHT_UP:
                spent = history.play(reached, now)
                reached = now
    finally:
        engine.dispose()
    console.print(f"{spent.messages:,} messages ingested, {spent.mails:,} mails sent.")


def _go_on(
    mine: Settings, world: World, memory: Memory, folder: Path, console: Console, *, fresh: bool
) -> int:
    """Processes and the living distributor side by side."""
    supervisor = Supervisor()
    environment = {
        "TOWER_HOME": str(mine.home),
        "TOWER_NETWORK": str(mine.network),
        "TOWER_RULES": str(mine.rules),
        "TOWER_BASE_URL": mine.base_url,
        "TOWER_SMTP_HOST": str(mine.smtp_host),
        "TOWER_SMTP_PORT": str(mine.smtp_port),
        "TOWER_SMTP_STARTTLS": "false",
    }
    add_processes(supervisor, environment)
    stop = threading.Event()
    began = datetime.now(UTC).replace(microsecond=0)
    world.go_live(began)
    if fresh:
        mishaps.play(Doors(folder), began)
    life = threading.Thread(
        target=_live,
        args=(mine, world, memory, folder, began, stop),
        name="distributor",
        daemon=True,
    )
    life.start()
    people = "".join(
        f"  {one.role:<11}{one.name:<8}{one.password}\n" for one in _people(mine, folder)
    )
    console.print(
        f"\n  Tower      {mine.base_url}\n"
        f"  Mailbox    {mine.base_url}/mailbox\n"
        f"  Door       http://{mine.api_host}:{mine.api_port}\n\n"
        "  Sign in as (the page shows the same):\n"
        f"{people}\n"
        "  The distributor goes on live. Ctrl-C stops everything; a second start continues.\n"
    )
    try:
        return supervisor.run()
    finally:
        stop.set()
        life.join(timeout=15)
        console.print("Stopped.")


def _people(mine: Settings, folder: Path) -> list[demo_people.DemoPerson]:
    """One account per role, with random passwords of this demo's own."""
    engine = db_engine.connect(mine)
    try:
        with engine.begin() as conn:
            partner = conn.execute(  # the supplier with most orders
                select(document.c.supplier)
                .where(document.c.kind == "po", document.c.supplier.is_not(None))
                .group_by(document.c.supplier)
                .order_by(func.count().desc(), document.c.supplier)
                .limit(1)
            ).scalar_one_or_none()
            return demo_people.prepare(conn, folder, PEOPLE, partner or "none", datetime.now(UTC))
    finally:
        engine.dispose()


def _live(
    mine: Settings,
    world: World,
    memory: Memory,
    folder: Path,
    began: datetime,
    stop: threading.Event,
) -> None:
    """Let the world go on second by second; what a door refuses is sent again."""
    doors = Doors(folder)
    base = f"http://{mine.api_host}:{mine.api_port}"
    unsent = []
    with httpx.Client(base_url=base, timeout=10, trust_env=False) as client:
        while not stop.is_set():
            now = datetime.now(UTC)
            emissions = world.advance(now)
            doors.put(emissions)
            unsent += emissions.pushes
            while unsent and not stop.is_set():
                push = unsent[0]
                try:
                    answer = client.post(push.path, content=push.body, headers=dict(push.headers))
                except httpx.HTTPError:
                    break
                if answer.status_code in (429, 503):
                    break
                if answer.status_code >= 400:
                    log.warning(
                        "A push was refused",
                        extra={"action": "demo.push_refused", "status": answer.status_code},
                    )
                unsent.pop(0)
            until = unsent[0].at if unsent else now
            replace(memory, told_until=until, spans=(*memory.spans, (began, now))).save(folder)
            stop.wait(PAUSE_S)


def _write_network(world: World, mine: Settings, url: str, every: str) -> None:
    text = world.network_yaml(mine.home / "demo", url, every)
    half = mine.network.with_name(mine.network.name + ".tmp")
    half.write_text(text, encoding="utf-8")
    half.rename(mine.network)


@contextlib.contextmanager
def _database(mine: Settings, console: Console) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if mine.database_url is None:
            console.print("Starting the embedded Postgres ...")
            stack.enter_context(embedded.running(mine.home))
        done = migrate.migrate(mine)
        console.print(f"Database at revision {done.after}.")
        yield


def _refuse_foreign(mine: Settings, memory: Memory | None) -> None:
    """A database with somebody's own data is not mixed with invented orders."""
    if memory is not None and memory.built:
        return
    engine = db_engine.connect(mine)
    try:
        with engine.connect() as conn:
            used = conn.execute(select(ingest_ledger.c.source).limit(1)).first()
    finally:
        engine.dispose()
    if used is not None:
        raise ConfigError(
            "This database holds data that no demo wrote. Name another TOWER_HOME (or an empty "
            "database): the demo does not mix its orders with yours."
        )


def _forget(chosen: Settings, folder: Path) -> None:
    """Forget an earlier demo: its folder, and its embedded database with everything in it."""
    if chosen.database_url is not None:
        raise ConfigError(
            "--fresh only forgets embedded databases. Empty the one of TOWER_DATABASE_URL "
            "yourself, then start again."
        )
    embedded.forget(chosen.home)
    shutil.rmtree(folder, ignore_errors=True)
