"""Ninety days in minutes: the same collectors, clocks and mails under a clock that jumps.

Nothing is written past the rooms' own functions: sources are read by their readers, pushes go
through what the HTTP door calls, and every step is given its instant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from collectors import registry
from collectors.contract import Reader
from tower.raw import Budget, Heartbeat, Raw
from tower.settings import Settings
from tower.zones import zone
from worker import reading
from worker.configuration import Configuration
from worker.demo.judging import Judge
from worker.demo.stage import Doors, pushed

if TYPE_CHECKING:
    from simulator.emissions import Push
    from simulator.world import World

STEP = timedelta(hours=2)
QUIET_STEP = timedelta(minutes=220)  # shorter than the four hours after which a feed counts silent
QUIET_FROM, QUIET_TO = 20, 6  # hours of the day at headquarters in which hardly anything happens
SAMPLED = timedelta(minutes=5)
DRAINS = timedelta(minutes=45)  # until a queue that was in trouble is empty again
LATE_AFTER = 2 * STEP  # what a mail of the history calls late
BEATS_APART = timedelta(hours=1)
HOLDER = "history"
BIG = Budget(messages=20_000, bytes=256 * 1024 * 1024, seconds=120.0)


@dataclass(slots=True)
class Spent:
    """Seconds by kind of work, to see where the time goes."""

    tell: float = 0.0
    read: float = 0.0
    judge: float = 0.0
    steps: int = 0
    messages: int = 0
    mails: int = 0


@dataclass
class History:
    """Plays a world into a database, step by step."""

    engine: Engine
    settings: Settings
    config: Configuration
    world: World
    doors: Doors
    judge: Judge
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        net = self.config.network
        self._zone = zone(net.company.zone)
        self.doors.prepare(dict(net.sources))
        self.readers: dict[str, Reader] = {
            name: registry.reader_for(name, source, net, base=self.doors.home)
            for name, source in net.sources.items()
            if source.is_pull
        }

    def play(
        self,
        start: datetime,
        end: datetime,
        progress: Callable[[datetime], None] = lambda _: None,
    ) -> Spent:
        """From ``start`` to ``end`` in steps; ``progress`` is told how far it got."""
        now = start
        while now < end:
            now = min(now + self._step(now), end)
            self.one_step(now)
            progress(now)
        return self.spent

    def _step(self, now: datetime) -> timedelta:
        """How far to go from here: further by night and at weekends, in small steps while a queue
        is in trouble."""
        local = now.astimezone(self._zone)
        quiet = local.weekday() > 4 or local.hour >= QUIET_FROM or local.hour < QUIET_TO
        step = QUIET_STEP if quiet else STEP
        for trouble in self.world.watched:
            if trouble.start <= now < trouble.end + DRAINS:
                return SAMPLED
            if now < trouble.start:
                step = min(step, trouble.start - now)
        return step

    def one_step(self, now: datetime) -> None:
        """Everything that happens up to ``now``: arrivals, reads, judgements, mails."""
        began = time.perf_counter()
        emissions = self.world.advance(now)
        self.doors.put(emissions)
        began = self._spend("tell", began)
        self._read(emissions.pushes, now)
        began = self._spend("read", began)
        self.spent.mails = self.judge(now)
        self._spend("judge", began)
        self.spent.steps += 1

    def _read(self, pushes: Sequence[Push], now: datetime) -> None:
        """Read what there is to read, together with what was pushed; each push is a beat too."""
        raws: list[Raw] = []
        beats: list[Heartbeat] = []
        for push in pushes:
            source, brought = pushed(push)
            raws += brought
            beats.append(Heartbeat(source, complete_to=push.at, seen_at=push.at))
        waiting = self.readers
        while waiting:
            results = reading.read_together(
                self.engine,
                self.config.network,
                waiting,
                holder=HOLDER,
                now=now,
                budget=BIG,
                pushed=raws,
                beats=_thinned(beats),
            )
            self.spent.messages += len(raws) + sum(result.messages for result in results)
            raws, beats = [], []
            waiting = {r.source: self.readers[r.source] for r in results if r.more}

    def _spend(self, kind: str, began: float) -> float:
        now = time.perf_counter()
        setattr(self.spent, kind, getattr(self.spent, kind) + now - began)
        return now


def _thinned(beats: Sequence[Heartbeat]) -> list[Heartbeat]:
    """The last beat of each source, and those before it that lie an hour apart."""
    kept: dict[str, list[Heartbeat]] = {}
    for beat in beats:
        known = kept.setdefault(beat.source, [])
        if len(known) > 1 and beat.complete_to - known[-2].complete_to < BEATS_APART:
            known.pop()
        known.append(beat)
    return [beat for known in kept.values() for beat in known]
