"""One lane: a process that stores parts of large batches for the process that started it.

It is told what to do through a socket that it inherits (worker/lanes.py) and ends when that closes,
or when it had nothing to do for a while. Signals are left to the one who started it: what it holds
is finished first.
"""

from __future__ import annotations

import logging
import pickle
import signal
import sys
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from sqlalchemy import Engine

from db import engine as db_engine
from db import ingest
from db.driver import no_garbage
from tower.network import Network
from tower.raw import Raw
from worker import logs, pipeline

log = logging.getLogger(__name__)

IDLE_S = 120.0
KEPT_BACK: dict[str, ingest.Brought] = {}
"""What a part says of its sources: nothing, until the whole batch is stored."""


class Opening(NamedTuple):
    """The first that a lane is told: the database, and how it commits (``db.engine.create``)."""

    url: str
    hurried: bool
    level: int


class Part(NamedTuple):
    """Messages to store, as tuples of the fields of ``Raw``. ``net`` is None if it is as before."""

    net: Network | None
    now: datetime
    raws: list[tuple[Any, ...]]


@no_garbage()  # until all that was interpreted is gone again: a collection would look at all of it
def store_part(engine: Engine, net: Network, raws: list[Raw], now: datetime) -> pipeline.Shared:
    """Interpret and store messages; what they say of their sources is left to who has them all."""
    items = pipeline.interpret(net, raws)
    outcome = pipeline.store(engine, net, items, now=now, brought=KEPT_BACK)
    return pipeline.Shared(outcome, ingest.brought_by(items))


def send(line: Connection, value: object) -> None:
    line.send_bytes(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))


def receive(line: Connection) -> Any:
    """What the other end sent. Raises EOFError or OSError if it is gone.

    Both ends are ours: nobody else holds the socket.
    """
    return pickle.loads(line.recv_bytes())  # noqa: S301  # see above


def serve(line: Connection) -> None:
    """Store parts until there are none for a while, or the other end is gone."""
    opening: Opening = receive(line)
    logs.start(opening.level)
    engine = db_engine.create(opening.url, hurried=opening.hurried, pool_size=1)
    net: Network | None = None
    try:
        with engine.connect():
            send(line, "ready")
        while line.poll(IDLE_S):
            part: Part = receive(line)
            net = part.net or net
            send(line, _answer(engine, net, part))
    except (EOFError, OSError):
        pass  # who started us has stopped; what was handed over is stored or handed over again
    finally:
        engine.dispose()


def _answer(engine: Engine, net: Network | None, part: Part) -> pipeline.Shared | None:
    """None if it could not be stored: the other end does it then, and tells what is wrong."""
    if net is None:
        return None
    try:
        return store_part(engine, net, [Raw(*fields) for fields in part.raws], part.now)
    except Exception:  # whatever it is, it comes again at the other end, where it is handled
        log.warning(
            "A lane could not store its part",
            extra={"action": "lane.failed", "messages": len(part.raws)},
            exc_info=True,
        )
        return None


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with Connection(int(sys.argv[1])) as line:
        serve(line)
