"""A large message on its way into the store: part by part, so that its size costs no memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from collectors import registry
from db import ingest, parts, staging
from db.beats import NOTHING
from db.parts import Pending
from tower import correlation
from tower.network import Network
from tower.raw import DeadLetter, Interpretation, Interpreted, Raw

log = logging.getLogger(__name__)

TRIES = 3

Hold = Callable[[Connection], None]
"""Renews the lease of whoever reads, in the transaction of a part; raises LeaseLost."""

Probe = Callable[[str], None]
"""Called with the name of each step after its commit; tests kill there."""


def hold_nothing(_: Connection) -> None:
    pass


def store(
    engine: Engine,
    net: Network,
    raw: Raw,
    *,
    now: datetime,
    told: ingest.Told = NOTHING,
    hold: Hold = hold_nothing,
    probe: Probe = lambda _: None,
) -> ingest.ItemResult | None:
    """Interpret and store a large message; None if it is none: nothing was done then.

    Facts commit in several transactions, ``told`` with its bookmark in the last. A database that is
    away and a lost lease are raised; who brings the message again goes on where this ended.
    """
    readings = registry.parts(raw, net)
    if readings is None:
        return None
    interpreter = registry.interpreter_for(net.sources[raw.source])
    if interpreter is None:
        return None
    name, version = interpreter.name, interpreter.version
    pending = parts.retrying(engine, lambda conn, _: parts.begin(conn, raw, name, version, now))
    if pending is None:
        known = Interpreted(raw, Interpretation(name, version))
        stored = ingest.store_retrying(engine, [known], net=net, now=now, also=(told,))
        return stored.items[0]
    probe("begun")
    if pending.raw is not raw:
        readings = registry.parts(pending.raw, net) or iter(())
    letters: list[DeadLetter] = []
    last = Interpretation(name, version)
    while (reading := next(readings, None)) is not None:
        if reading.events:
            _add(engine, net, pending, reading, now, hold, letters)
            correlation.forget()
            staging.forget()
            probe("part")
        # The next part is read when this one's events are gone: only one is held.
        last = replace(reading, events=(), origins={})
        del reading

    def finish(conn: Connection, _: bool) -> Interpretation:
        return parts.finish(conn, pending, last, letters=letters, net=net, now=now, told=(told,))

    whole = parts.retrying(engine, finish)
    probe("finished")
    if pending.raw.body != raw.body:
        ingest.store_retrying(engine, [Interpreted(raw, whole)], net=net, now=now)
    log.info(
        "Large message stored",
        extra={
            "action": "ingest.large",
            "source": raw.source,
            "key": raw.key,
            "bytes": len(raw.body),
            "events": pending.events,
        },
    )
    return parts.result_of(whole, pending.events)


def _add(
    engine: Engine,
    net: Network,
    pending: Pending,
    part: Interpretation,
    now: datetime,
    hold: Hold,
    letters: list[DeadLetter],
) -> None:
    """Store a part; an event that a bug of ours does not let in becomes a dead letter.

    As for small messages (worker/pipeline.py): three tries, then halves, down to the culprit.
    """

    def add(conn: Connection, careful: bool) -> None:
        hold(conn)
        parts.add(conn, pending, part, net=net, now=now, careful=careful)

    failure: Exception | None = None
    for attempt in range(TRIES):
        try:
            parts.retrying(engine, add)
        except (OperationalError, ingest.LeaseLost):
            raise
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            failure = error
        except Exception as error:
            failure = error
        else:
            return
        log.warning(
            "Storing a part failed",
            extra={"action": "ingest.failed", "attempt": attempt + 1, "events": len(part.events)},
            exc_info=failure,
        )
    count = len(part.events)
    if count == 1:
        letters.append(_crashed(part, failure))
        return
    for begin, end in ((0, count // 2), (count // 2, count)):
        half = Interpretation(
            part.interpreter,
            part.version,
            part.events[begin:end],
            {n - begin: part.origins.get(n, ()) for n in range(begin, end)},
        )
        _add(engine, net, pending, half, now, hold, letters)


def _crashed(part: Interpretation, error: Exception | None) -> DeadLetter:
    said = str(error).splitlines()
    return DeadLetter(
        code="crash",
        cause=f"The tower failed while storing this event: {type(error).__name__}: "
        f"{said[0][:300] if said else ''}",
        advice="The bytes are kept. Report the cause to the maintainers; interpret again after an "
        "update.",
        position=part.events[0].position,
        partner=part.events[0].partner,
    )
