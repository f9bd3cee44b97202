"""The stage: what is to come out when, the control numbers, and who is silent at which time.

Things are planned ahead and rendered when their time comes, in order of time, so that control
numbers and versions rise the way they do in a real house.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulator.emissions import Emission, Emissions, Push, Record

Render = Callable[[datetime], Emission | None]

PUSH_DOORS = ("supplier_api", "platform", "wms_east")
BEAT_EVERY = timedelta(hours=2)
"""A pushing system that has nothing to tell beats in this rhythm."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A door is closed from ``start`` to ``end``: 503 for web services, nothing sent by pushers."""

    door: str
    start: datetime
    end: datetime

    def covers(self, at: datetime) -> bool:
        return self.start <= at < self.end


class Stage:
    """Planned emissions in order of time."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self.outages: list[Outage] = []
        self.feeds: dict[str, list[Record]] = {"erp": [], "portal": []}
        self._heap: list[tuple[datetime, int, Render]] = []
        self._serial = itertools.count()
        self._numbers: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._last_push = dict.fromkeys(PUSH_DOORS, start)

    def at(self, when: datetime, render: Render) -> None:
        """Plan one emission. What a silent pusher would send waits until it speaks again."""
        heapq.heappush(self._heap, (when, next(self._serial), render))

    def push_at(self, door: str, when: datetime, render: Render) -> None:
        for outage in self.outages:
            if outage.door == door and outage.covers(when):
                # Sent in their old order within a quarter of an hour.
                share = (when - outage.start) / (outage.end - outage.start)
                when = outage.end + share * timedelta(minutes=15)
        self.at(when, render)

    def number(self, *series: str) -> int:
        """The next number of a series, from 1."""
        self._numbers[series] += 1
        return self._numbers[series]

    def play(self, until: datetime) -> Emissions:
        """Everything due up to and including ``until``."""
        out = Emissions()
        while self._heap and self._heap[0][0] <= until:
            when, _, render = heapq.heappop(self._heap)
            self._beat(when, out)
            self.now = max(self.now, when)
            item = render(when)
            if item is None:
                continue
            if isinstance(item, Push):
                self._last_push[item.door] = item.at
            elif isinstance(item, Record):
                self.feeds[item.door].append(item)
            out.add(item)
        self._beat(until, out)
        self.now = max(self.now, until)
        return out

    def _beat(self, until: datetime, out: Emissions) -> None:
        due: list[Push] = []
        for door in PUSH_DOORS:
            while self._last_push[door] + BEAT_EVERY <= until:
                at = self._last_push[door] + BEAT_EVERY
                self._last_push[door] = at
                if not any(o.door == door and o.covers(at) for o in self.outages):
                    due.append(
                        Push(at, door, f"/v1/heartbeats/{door}", {"X-Tower-Source": door}, b"")
                    )
        out.pushes.extend(sorted(due, key=lambda push: push.at))

    def records(self, door: str, now: datetime) -> list[Record]:
        """What the web service of ``door`` holds at ``now``, oldest change first."""
        feed = self.feeds[door]
        return feed[: bisect_right(feed, now, key=lambda record: record.at)]

    def is_down(self, door: str, at: datetime) -> bool:
        return any(o.door == door and o.covers(at) for o in self.outages)
