"""Reading one source once: lease, read, store, settle, and what each kind of failure means."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from collectors.contract import Reader
from db import ingest, sources
from tower.errors import AccessDenied, ConfigError, SourceThrottled, SourceUnavailable
from tower.network import Network, Source
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw
from worker import pipeline

log = logging.getLogger(__name__)

FAILURES = (SourceThrottled, SourceUnavailable, AccessDenied, ConfigError)
"""The families of errors by which a reader says that it cannot bring what there is."""


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What one read brought. ``state`` as in ``checkpoint.state``; None: somebody else reads it."""

    source: str
    state: str | None
    messages: int = 0
    events: int = 0
    repeated: int = 0
    dead: int = 0
    more: bool = False
    message: str = ""


def read_source(
    engine: Engine,
    net: Network,
    name: str,
    reader: Reader,
    *,
    holder: str,
    now: datetime,
    budget: Budget | None = None,
    probe: Callable[[str], None] = lambda _: None,
    lanes: pipeline.Helpers | None = None,
) -> ReadResult:
    """Read ``name`` within ``budget`` if it is due and free, and store what came.

    ``lanes`` help with what is much.
    ``probe`` is called with the name of each step, so that tests can cut the power there.
    """
    source = net.sources[name]
    began = time.monotonic()
    with engine.begin() as conn:
        lease = sources.claim(conn, name, holder, now)
    if lease is None:
        return ReadResult(name, None)

    def hold(conn: Connection) -> None:
        """Renew the lease: what is large takes longer to store than a lease lasts."""
        passed = timedelta(seconds=time.monotonic() - began)
        if not sources.renew(conn, lease, now + passed):
            raise ingest.LeaseLost(name)

    messages = events = repeated = dead = 0
    more = given_back = False
    try:
        for batch in reader.read(_mark(lease), budget or Budget(), now):
            probe("read")
            outcome = pipeline.ingest_raws(
                engine,
                net,
                batch.raws,
                lanes=lanes,
                now=now,
                samples=batch.samples,
                heartbeat=batch.heartbeat,
                bookmark=ingest.Bookmark(
                    name,
                    lease.holder,
                    lease.epoch,
                    batch.mark,
                    next_at=_next(source, batch, now) if is_last(batch) else None,
                ),
                hold=hold,
            )
            given_back = is_last(batch)
            probe("stored")
            reader.settle(batch)
            probe("settled")
            messages += len(batch.raws)
            events += outcome.events
            repeated += outcome.repeated
            dead += len(outcome.refused)
            more = batch.more
            if not given_back:
                with engine.begin() as conn:
                    hold(conn)
    except ingest.LeaseLost:
        log.warning("Lease lost", extra={"action": "source.lease_lost", "source": name})
        return ReadResult(name, None, messages, events, repeated, dead)
    except FAILURES as error:
        return _failure(engine, lease, now, error, messages, events)
    if not given_back:
        with engine.begin() as conn:
            sources.release(conn, lease, now if more else now + source.every)
    return ReadResult(name, "up", messages, events, repeated, dead, more)


def read_together(
    engine: Engine,
    net: Network,
    readers: Mapping[str, Reader],
    *,
    holder: str,
    now: datetime,
    budget: Budget,
    pushed: Sequence[Raw] = (),
    beats: Sequence[Heartbeat] = (),
) -> list[ReadResult]:
    """Read every free source once, and store what all of them brought, and what was pushed
    meanwhile, in one transaction: many small reads then cost little more than one.

    For a single reader that nobody waits for, such as the history of a demo: a source whose read
    takes long holds up the others here. A source that fails is noted and leaves the others alone.
    """
    with engine.begin() as conn:
        leases = [sources.claim(conn, name, holder, now) for name in readers]
    results: list[ReadResult] = []
    brought: list[tuple[sources.Lease, Batch]] = []
    for lease in leases:
        if lease is None:
            continue
        try:
            batch = next(readers[lease.source].read(_mark(lease), budget, now), None)
        except FAILURES as error:
            results.append(_failure(engine, lease, now, error))
            continue
        if batch is None:
            with engine.begin() as conn:
                sources.release(conn, lease, now)
        else:
            brought.append((lease, batch))
    outcome = pipeline.store(
        engine,
        net,
        pipeline.interpret(net, [*(raw for _, batch in brought for raw in batch.raws), *pushed]),
        now=now,
        samples=[sample for _, batch in brought for sample in batch.samples],
        also=[
            ingest.Told(
                batch.heartbeat,
                ingest.Bookmark(
                    lease.source,
                    lease.holder,
                    lease.epoch,
                    batch.mark,
                    next_at=now,  # the caller keeps the rhythm
                ),
            )
            for lease, batch in brought
        ]
        + [ingest.Told(beat) for beat in beats],
    )
    at = 0
    for lease, batch in brought:
        readers[lease.source].settle(batch)
        items = outcome.items[at : at + len(batch.raws)]
        at += len(batch.raws)
        results.append(
            ReadResult(
                lease.source,
                "up",
                messages=len(items),
                events=sum(item.events for item in items),
                repeated=sum(item.outcome == "repeated" for item in items),
                dead=sum(item.outcome == "refused" for item in items),
                more=batch.more or not is_last(batch),
            )
        )
    return results


def is_last(batch: Batch) -> bool:
    """The last batch of a read carries the heartbeat; the lease goes back with its bookmark."""
    return batch.heartbeat is not None


def _next(source: Source, batch: Batch, now: datetime) -> datetime:
    return now if batch.more else now + source.every


def _mark(lease: sources.Lease) -> Mark | None:
    return None if lease.mark is None else Mark(lease.mark["version"], lease.mark["value"])


def _failure(
    engine: Engine,
    lease: sources.Lease,
    now: datetime,
    error: Exception,
    messages: int = 0,
    events: int = 0,
) -> ReadResult:
    """Note a failure by its family: wait as told, stop the source, or back off."""
    wait = None
    if isinstance(error, SourceThrottled):
        state, wait = "throttled", timedelta(seconds=error.retry_after_s)
    elif isinstance(error, SourceUnavailable):
        state = "down"
    else:
        state = "stopped"
    log.warning(
        "Source not read",
        extra={"action": f"source.{state}", "source": lease.source, "cause": str(error)},
    )
    with engine.begin() as conn:
        sources.record_failure(
            conn,
            lease,
            now,
            state=state,
            message=str(error),
            wait=wait,
            jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
        )
    return ReadResult(lease.source, state, messages, events, message=str(error))
