"""Calls of a gateway counted by route, partner and minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from collectors.access_log import AccessLine
from tower.gateway import LATENCY_BOUNDS_MS, GatewayMinute, bucket

MOST_ROUTES = 400
OTHER = "(other routes)"
"""Stands for what is beyond ``MOST_ROUTES`` in one part, so that no caller can make them many."""


@dataclass(slots=True)
class _Count:
    """What was counted of one route, partner and minute."""

    classes: list[int] = field(default_factory=lambda: [0] * 5)
    throttled: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_MS) + 1))
    least: tuple[float, int, int] | None = None  # share left, limit, remaining

    def add(self, call: AccessLine) -> None:
        status = call.status
        if status is None:
            return
        self.classes[status // 100 - 1] += 1
        self.throttled += status == 429
        if call.latency_ms is not None:
            self.latency[bucket(call.latency_ms)] += 1
        if call.limit and call.remaining is not None:
            left = (call.remaining / call.limit, call.limit, call.remaining)
            self.least = left if self.least is None else min(self.least, left)


class Counts:
    """The calls of one part of a log: a block of a file, or the body of a push."""

    def __init__(self) -> None:
        self._counts: dict[tuple[datetime, str, str], _Count] = {}

    def add(self, call: AccessLine) -> None:
        minute = call.moment.replace(second=0, microsecond=0)
        partner = call.value["partner"] or ""
        key = (minute, call.value["route"], partner)
        if key not in self._counts and len(self._counts) >= MOST_ROUTES:
            key = (minute, OTHER, partner)
        self._counts.setdefault(key, _Count()).add(call)

    def minutes(self, source: str, part: str, upto: int) -> list[GatewayMinute]:
        """The counts so far; ``upto`` bytes of the part were read for them."""
        return [
            GatewayMinute(
                source=source,
                part=part,
                upto=upto,
                minute=minute,
                route=route,
                partner=partner,
                classes=tuple(count.classes),  # type: ignore[arg-type]
                throttled=count.throttled,
                latency=tuple(count.latency),
                limit=None if count.least is None else count.least[1],
                remaining=None if count.least is None else count.least[2],
            )
            for (minute, route, partner), count in sorted(self._counts.items())
        ]
