"""Messages read again by the interpreter and the network that are in force now.

Each message is a transaction of its own: one that cannot be stored does not hold up the others.
The plan does the same and rolls it back, so what it foretells is what happens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from collectors import registry
from db import differences, reinterpret
from db.driver import Conflict
from tower.event_difference import EventDifference, event_differences
from tower.network import Network
from tower.raw import Interpreted, Raw

log = logging.getLogger(__name__)

TRIES = 5
Key = tuple[str, str]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Again:
    """What reading one message again came to.

    outcome       changed; unchanged (it tells what it told before); gone (its bytes are not kept)
    events        how many events it tells now
    dead_letters  {position, code, cause} of what cannot be read now
    event_differences     what changes, or changed
    document_differences  the same of documents; only a plan tells it
    """

    source: str
    key: str
    outcome: str
    events: int = 0
    dead_letters: tuple[Mapping[str, Any], ...] = ()
    former_dead_letters: tuple[Mapping[str, Any], ...] = ()
    event_differences: tuple[EventDifference, ...] = ()
    document_differences: tuple[differences.DocumentDifference, ...] = ()

    @property
    def changed(self) -> bool:
        return self.outcome == "changed"


def again(
    engine: Engine, net: Network, asked: Sequence[Key], now: datetime, by: str
) -> list[Again]:
    """Read these messages again and keep the result; ``by`` is who asked for it."""
    return [_one(engine, net, key, raw, now, by, keep=True) for key, raw in _held(engine, asked)]


def plan(engine: Engine, net: Network, asked: Sequence[Key], now: datetime) -> list[Again]:
    """What ``again`` would change; nothing is kept of it."""
    return [_one(engine, net, key, raw, now, "", keep=False) for key, raw in _held(engine, asked)]


def _held(engine: Engine, asked: Sequence[Key]) -> list[tuple[Key, Raw | None]]:
    with engine.connect() as conn:
        raws = reinterpret.kept(conn, asked)
    return [(key, raws.get(key)) for key in dict.fromkeys(asked)]


def _one(
    engine: Engine, net: Network, key: Key, raw: Raw | None, now: datetime, by: str, *, keep: bool
) -> Again:
    if raw is None:
        return Again(*key, outcome="gone")
    item = Interpreted(raw, registry.interpret(raw, net))

    def read(conn: Connection) -> Again:
        return _read(conn, item, net, now, by, keep=keep)

    found = _retried(engine, read)
    if keep and found.changed:
        log.info(
            "Message read again",
            extra={
                "action": "reinterpret.done",
                "source": key[0],
                "key": key[1],
                "by": by,
                "events": found.events,
            },
        )
    return found


def _read(
    conn: Connection, item: Interpreted, net: Network, now: datetime, by: str, *, keep: bool
) -> Again:
    done: list[reinterpret.Reread] = []

    def change() -> frozenset[int]:
        done.extend(reinterpret.reread(conn, [item], net=net, now=now, by=by))
        return done[-1].homes

    documents: list[differences.DocumentDifference] = []
    if keep:
        change()
    else:
        documents = differences.foretold(conn, change)
    one = done[-1]
    return Again(
        source=one.source,
        key=one.key,
        outcome="changed" if one.changed else "unchanged",
        events=one.events,
        dead_letters=one.letters,
        former_dead_letters=one.former_letters,
        event_differences=event_differences(one.withdrawn, one.added),
        document_differences=tuple(documents),
    )


def _retried(engine: Engine, step: Callable[[Connection], Answer]) -> Answer:
    """A step in a transaction of its own; repeated when another writer was faster."""
    for attempt in range(TRIES):
        try:
            with engine.begin() as conn:
                return step(conn)
        except Conflict:
            if attempt == TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


__all__ = ["Again", "again", "plan"]
