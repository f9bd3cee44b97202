"""From raw messages to stored facts: interpret, store in one transaction, isolate what breaks.

The only way in, for readers and for the HTTP door alike.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from collectors import registry
from db import ingest
from db.driver import no_garbage
from tower.network import Network
from tower.raw import DeadLetter, Heartbeat, Interpretation, Interpreted, Raw, Sample
from worker import large_messages
from worker.large_messages import Hold

log = logging.getLogger(__name__)

TRIES = 3
MOST_SHARED = 500  # raw messages of several pushes that may share one commit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the raw messages, in the order given."""

    items: tuple[ingest.ItemResult, ...]
    events: int

    @property
    def accepted(self) -> int:
        return sum(item.outcome == "accepted" for item in self.items)

    @property
    def repeated(self) -> int:
        return sum(item.outcome == "repeated" for item in self.items)

    @property
    def refused(self) -> tuple[tuple[int, ingest.ItemResult], ...]:
        return tuple((n, i) for n, i in enumerate(self.items) if i.outcome == "refused")


class Shared(NamedTuple):
    """Messages that are stored, but for what they say of their sources: that is still to be."""

    outcome: Outcome
    brought: Mapping[str, ingest.Brought]


class Helpers(Protocol):
    """Other processes that store a part of what is much (worker/lanes.py)."""

    def store(self, net: Network, raws: Sequence[Raw], now: datetime) -> Shared | None:
        """Store messages side by side; None if one process does better, and nothing was done."""
        ...


def interpret(net: Network, raws: Sequence[Raw]) -> list[Interpreted]:
    """Each raw message beside what its source's interpreter makes of it; never raises."""
    with no_garbage():
        return [Interpreted(raw, registry.interpret(raw, net)) for raw in raws]


def store(
    engine: Engine,
    net: Network,
    items: Sequence[Interpreted],
    *,
    now: datetime,
    samples: Sequence[Sample] = (),
    heartbeat: Heartbeat | None = None,
    bookmark: ingest.Bookmark | None = None,
    also: Sequence[ingest.Told] = (),
    brought: Mapping[str, ingest.Brought] | None = None,
) -> Outcome:
    """Store interpreted messages with their bookmark in one transaction.

    ``brought`` as in ``db.ingest.store``.

    A bug that only one message triggers must not hold up the others: after three tries the batch is
    halved until the culprit stands alone, and that message becomes a dead letter. Then facts and
    bookmark commit in several transactions, the bookmark in the last. A database that is away and a
    lost lease are no bugs and are raised.
    """
    failure: Exception | None = None
    for attempt in range(TRIES):
        try:
            stored = ingest.store_retrying(
                engine,
                items,
                net=net,
                now=now,
                samples=samples,
                heartbeat=heartbeat,
                bookmark=bookmark,
                also=also,
                brought=brought,
            )
            return Outcome(stored.items, stored.events)
        except (OperationalError, ingest.LeaseLost):
            raise
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            failure = error
        except Exception as error:
            failure = error
        log.warning(
            "Storing a batch failed",
            extra={"action": "ingest.failed", "attempt": attempt + 1, "messages": len(items)},
            exc_info=failure,
        )
    if failure is None:
        raise AssertionError("three tries ended without result and without error")
    if not items:
        raise failure
    if len(items) == 1 and not samples:
        crashed = _crashed(items[0], failure)
        stored = ingest.store_retrying(
            engine,
            [crashed],
            net=net,
            now=now,
            heartbeat=heartbeat,
            bookmark=bookmark,
            also=also,
            brought=brought,
        )
        return Outcome(stored.items, stored.events)
    half = max(1, len(items) // 2)
    first = store(engine, net, items[:half], now=now, brought=brought)
    rest = store(
        engine,
        net,
        items[half:],
        now=now,
        samples=samples,
        heartbeat=heartbeat,
        bookmark=bookmark,
        also=also,
        brought=brought,
    )
    return Outcome(first.items + rest.items, first.events + rest.events)


def _crashed(item: Interpreted, error: Exception) -> Interpreted:
    letter = DeadLetter(
        code="crash",
        cause=f"The tower failed while storing this message: {type(error).__name__}: "
        f"{str(error).splitlines()[0][:300] if str(error) else ''}",
        advice="The bytes are kept. Report the cause to the maintainers; interpret again after an "
        "update.",
        partner=item.reading.partner,
    )
    return Interpreted(
        item.raw,
        Interpretation(
            interpreter=item.reading.interpreter,
            version=item.reading.version,
            dead_letters=(letter,),
            partner=item.reading.partner,
        ),
    )


def ingest_raws(
    engine: Engine,
    net: Network,
    raws: Sequence[Raw],
    *,
    now: datetime,
    samples: Sequence[Sample] = (),
    heartbeat: Heartbeat | None = None,
    bookmark: ingest.Bookmark | None = None,
    hold: Hold = large_messages.hold_nothing,
    lanes: Helpers | None = None,
) -> Outcome:
    """Interpret and store, with the help of ``lanes`` if it is much.

    What is large together is stored in several transactions, so that its events are never held at
    once; the last one has the bookmark. ``hold`` renews the lease in the parts of a large message,
    and raises LeaseLost where it is gone.
    """
    *earlier, last = shares(raws)
    outcomes: list[Outcome] = []
    for share in earlier:
        fence = None if bookmark is None else replace(bookmark, mark=None, next_at=None)
        told = ingest.Told(None, fence)
        outcomes.append(_ingest_share(engine, net, share, now, told, hold, lanes))
    told = ingest.Told(heartbeat, bookmark)
    outcomes.append(_ingest_share(engine, net, last, now, told, hold, lanes, samples))
    return Outcome(
        tuple(item for outcome in outcomes for item in outcome.items),
        sum(outcome.events for outcome in outcomes),
    )


def _ingest_share(
    engine: Engine,
    net: Network,
    share: Sequence[Raw],
    now: datetime,
    told: ingest.Told,
    hold: Hold,
    lanes: Helpers | None,
    samples: Sequence[Sample] = (),
) -> Outcome:
    if len(share) == 1 and not samples:
        item = large_messages.store(engine, net, share[0], now=now, told=told, hold=hold)
        if item is not None:
            return Outcome((item,), item.events)
    shared = None if lanes is None else lanes.store(net, share, now)
    # Until all that was interpreted is gone again: a collection would look at all of it.
    with no_garbage():
        outcome = store(
            engine,
            net,
            interpret(net, share) if shared is None else (),
            now=now,
            samples=samples,
            heartbeat=told.heartbeat,
            bookmark=told.bookmark,
            brought=None if shared is None else shared.brought,
        )
    return outcome if shared is None else shared.outcome


SHARE_BYTES = 1 << 22
"""Bytes of messages that are interpreted together: their events take some forty times as much."""


def shares(raws: Sequence[Raw]) -> list[Sequence[Raw]]:
    """The messages in their order, a large one by itself; at least one share, be it empty."""
    found: list[list[Raw]] = [[]]
    size = 0
    for raw in raws:
        if found[-1] and size + len(raw.body) > SHARE_BYTES:
            found.append([])
            size = 0
        found[-1].append(raw)
        size += len(raw.body)
    return list(found)


@dataclass(frozen=True, slots=True)
class _Waiting:
    items: tuple[Interpreted, ...]
    source: str
    received_at: datetime
    samples: Sequence[Sample]
    answer: Future[Outcome]


class Intake:
    """The way in for pushes: those that arrive within a few milliseconds share one commit.

    The first caller leads: it waits ``gather_s`` for company, takes all that waits and stores it;
    the others only wait for their part of the result. An error reaches every caller of that commit,
    and their senders try again.
    """

    def __init__(
        self,
        engine: Engine,
        network: Callable[[], Network],
        *,
        gather_s: float = 0.002,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._network = network
        self._gather_s = gather_s
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._guard = threading.Lock()
        self._leading = threading.Lock()

    def accept(
        self,
        source: str,
        raws: Sequence[Raw],
        *,
        admit: Callable[[Sequence[Interpreted]], None] = lambda _: None,
        samples: Sequence[Sample] = (),
    ) -> Outcome:
        """Store what was pushed; returns after commit. A push is also a beat of its source.

        ``samples`` are stored in the same transaction. ``admit`` looks at what came before anything
        of it is stored, and raises to keep it out.
        """
        items = tuple(interpret(self._network(), raws))
        admit(items)
        received = max((raw.received_at for raw in raws), default=self._clock())
        mine = _Waiting(items, source, received, samples, Future())
        with self._guard:
            self._waiting.append(mine)
        while not mine.answer.done():
            if self._leading.acquire(timeout=0.05):
                try:
                    if not mine.answer.done():
                        self._lead()
                finally:
                    self._leading.release()
        return mine.answer.result()

    def beat(self, source: str, at: datetime) -> None:
        """A sender says that it lives and has nothing to tell."""
        ingest.store_retrying(
            self._engine,
            (),
            net=self._network(),
            now=at,
            heartbeat=Heartbeat(source, complete_to=at, seen_at=at),
        )

    def _lead(self) -> None:
        if self._gather_s:
            time.sleep(self._gather_s)
        with self._guard:
            batch: list[_Waiting] = []
            size = 0
            while self._waiting and (not batch or size < MOST_SHARED):
                batch.append(self._waiting.pop(0))
                size += len(batch[-1].items)
        try:
            by_source: dict[str, list[_Waiting]] = {}
            for waiting in batch:
                by_source.setdefault(waiting.source, []).append(waiting)
            for source, group in by_source.items():
                self._store(source, group)
        except Exception as error:
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)

    def _store(self, source: str, group: Sequence[_Waiting]) -> None:
        now = max(waiting.received_at for waiting in group)
        items = [item for waiting in group for item in waiting.items]
        outcome = store(
            self._engine,
            self._network(),
            items,
            now=now,
            samples=[sample for waiting in group for sample in waiting.samples],
            heartbeat=Heartbeat(source, complete_to=now, seen_at=now),
        )
        at = 0
        for waiting in group:
            part = outcome.items[at : at + len(waiting.items)]
            at += len(waiting.items)
            waiting.answer.set_result(replace(outcome, items=part))
