"""Large batches are stored by several processes at once, each with a connection of its own.

Python runs on one core; a backlog should use them all. A batch is parted so that messages which
seem to tell of one order stay together (collectors/stories.py). Each part is a transaction of its
own; bookmark, heartbeat and samples follow in the last one, once every part is committed. Whoever
is killed in between has stored facts without a bookmark: they are read again, and are known then.

Small batches go as before. So does everything while no lane is ready, or if one fails: lanes make
it faster, nothing depends on them.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from operator import attrgetter
from types import TracebackType
from zlib import crc32

from sqlalchemy import Engine

from collectors.stories import story
from db import ingest, partitions
from tower.network import Network
from tower.raw import Raw
from worker import pipeline
from worker.lane import Opening, Part, receive, send, store_part
from worker.pipeline import Shared

log = logging.getLogger(__name__)

MOST = 4
"""Lanes that are used if nothing else is said: by then the database has most of the work."""

LEAST_MESSAGES = 200
LEAST_BYTES = 262_144
"""A batch with fewer messages and fewer bytes is not parted: a transaction more costs more."""

MOST_BYTES = 8 * 1024 * 1024
"""Nor is a larger one: all events of a part are held at once, and take some forty times as much."""

PATIENCE_S = 30.0  # longer than a part takes
_PROGRAM = "from worker.lane import main; main()"  # run as a module, its classes had other names
_BUCKETS = 256
_fields = attrgetter("source", "key", "body", "received_at", "media_type", "headers", "name")


def usual() -> int:
    """How many lanes a machine has by itself: one per core that this process may use."""
    return min(MOST, len(os.sched_getaffinity(0)))


class Lanes:
    """This process and those that help it; ``count`` with this one, so 1 means no help.

    Others are started with the first large batch and end with ``close``, with this process however
    it ends, or when they are idle. May be used by several threads: one batch at a time is parted,
    others go meanwhile as they would without lanes.
    """

    def __init__(self, engine: Engine, count: int | None = None, *, hurried: bool = False) -> None:
        self._engine = engine
        self._count = usual() if count is None else count
        self._hurried = hurried
        self._lanes: list[_Lane] = []
        self._busy = threading.Lock()

    def __enter__(self) -> Lanes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the other processes; each finishes what it holds."""
        with self._busy:
            lanes, self._lanes = self._lanes, []
            for lane in lanes:
                lane.hang_up()
            for lane in lanes:
                lane.end()

    def start(self, wait_s: float = 0.0) -> int:
        """Start the others now, instead of with the first large batch; how many are ready."""
        with self._busy:
            return len(self._ready(wait_s))

    @property
    def processes(self) -> list[int]:
        """The ids of the other processes."""
        return [lane.pid for lane in self._lanes]

    def store(self, net: Network, raws: Sequence[Raw], now: datetime) -> Shared | None:
        """Store messages side by side; None if they are few, or far too many, or belong together,
        or nobody is ready, and nothing was done."""
        if self._count < 2 or not _is_large(raws) or not self._busy.acquire(blocking=False):
            return None
        try:
            return self._in_parts(net, raws, now)
        finally:
            self._busy.release()

    def _in_parts(self, net: Network, raws: Sequence[Raw], now: datetime) -> Shared | None:
        lanes = self._ready(0.0)
        mine, *others = part(raws, 1 + len(lanes)) if lanes else [[]]
        handed = [(lane, one) for lane, one in zip(lanes, others, strict=True) if one]
        if not handed or (not mine and len(handed) == 1):
            return None
        # In a transaction of its own: who adds a month holds up all others until it commits.
        with self._engine.begin() as conn:
            partitions.ensure_all(conn, "raw_message", {raw.received_at for raw in raws})
        try:
            sent = [
                (lane, one, lane.hand_over(net, [raws[n] for n in one], now))
                for lane, one in handed
            ]
            found: list[tuple[Sequence[int], Shared]] = []
            if mine:
                found.append((mine, self._store(net, [raws[n] for n in mine], now)))
            for lane, one, went in sent:
                done = lane.answer() if went else None
                if done is None:
                    self._drop(lane)
                    done = self._store(net, [raws[n] for n in one], now)
                found.append((one, done))
        except BaseException:
            for lane, _ in handed:
                self._drop(lane)  # an answer that nobody waits for must not be taken for the next
            raise
        return _joined(len(raws), found)

    def _store(self, net: Network, raws: list[Raw], now: datetime) -> Shared:
        return store_part(self._engine, net, raws, now)

    def _ready(self, wait_s: float) -> list[_Lane]:
        for lane in list(self._lanes):
            if lane.ended:
                self._drop(lane)
        while len(self._lanes) < self._count - 1:
            url = self._engine.url.render_as_string(hide_password=False)
            self._lanes.append(_Lane(Opening(url, self._hurried, log.getEffectiveLevel())))
        return [lane for lane in self._lanes if lane.is_ready(wait_s)]

    def _drop(self, lane: _Lane) -> None:
        if lane in self._lanes:
            self._lanes.remove(lane)
            lane.hang_up()
            lane.end()


class _Lane:
    """The near end of a lane."""

    def __init__(self, opening: Opening) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = subprocess.Popen(
                # -P: a folder of the user's that is called like one of our rooms is not taken.
                [sys.executable, "-P", "-c", _PROGRAM, str(there.fileno())],
                pass_fds=(there.fileno(),),
                stdin=subprocess.DEVNULL,
            )
        self._line = Connection(here.detach())
        self._greeted = False
        self._net: Network | None = None
        send(self._line, opening)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def is_ready(self, wait_s: float) -> bool:
        """Whether it is up; waits so long for it the first time."""
        try:
            if not self._greeted and self._line.poll(wait_s):
                self._greeted = receive(self._line) == "ready"
        except (EOFError, OSError):
            return False
        return self._greeted

    def hand_over(self, net: Network, raws: list[Raw], now: datetime) -> bool:
        """Send it a part; False if it is gone."""
        try:
            send(self._line, Part(None if net is self._net else net, now, [*map(_fields, raws)]))
        except OSError:
            return False
        self._net = net
        return True

    def answer(self) -> Shared | None:
        """What became of the part; None if it was not stored as far as we know."""
        try:
            done: Shared | None = receive(self._line)
        except (EOFError, OSError):
            return None
        return done

    def hang_up(self) -> None:
        """It ends once it has finished what it holds."""
        self._line.close()

    def end(self) -> None:
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _is_large(raws: Sequence[Raw]) -> bool:
    if len(raws) < 2:
        return False
    size = sum([len(raw.body) for raw in raws])
    return size <= MOST_BYTES and (len(raws) >= LEAST_MESSAGES or size >= LEAST_BYTES)


def part(raws: Sequence[Raw], count: int) -> list[list[int]]:
    """The places of messages, parted into so many lists of about equal bytes.

    Messages of one story stay together, and so do those with one key; those of which nothing can be
    guessed are all in the first list.
    """
    unknown: list[int] = []
    buckets: list[list[int]] = [[] for _ in range(_BUCKETS)]
    where: dict[tuple[str, str], list[int]] = {}
    for n, raw in enumerate(raws):
        named = story(raw)
        bucket = unknown if named is None else buckets[crc32(named) % _BUCKETS]
        where.setdefault((raw.source, raw.key), bucket).append(n)
    parts: list[list[int]] = [unknown, *([] for _ in range(count - 1))]
    sizes = [_size(raws, unknown)] + [0] * (count - 1)
    weighed = [(_size(raws, bucket), n) for n, bucket in enumerate(buckets) if bucket]
    for size, n in sorted(weighed, reverse=True):
        least = sizes.index(min(sizes))
        parts[least] += buckets[n]
        sizes[least] += size
    return [sorted(one) for one in parts]


def _size(raws: Sequence[Raw], places: list[int]) -> int:
    return sum([len(raws[n].body) for n in places])


def _joined(count: int, found: Sequence[tuple[Sequence[int], Shared]]) -> Shared:
    """The parts of a batch as one, its results in the order in which the messages were given."""
    items: list[ingest.ItemResult | None] = [None] * count
    events = 0
    brought: dict[str, ingest.Brought] = {}
    for places, (outcome, told) in found:
        events += outcome.events
        for n, item in zip(places, outcome.items, strict=True):
            items[n] = item
        for source, one in told.items():
            known = brought.get(source)
            brought[source] = one if known is None else known.with_later(one)
    return Shared(pipeline.Outcome(tuple(item for item in items if item), events), brought)
