"""Runs of numbers: which of them never came.

A sender numbers its interchanges one after the other for each receiver. What is missing follows
from the set of numbers that came, so neither their order nor their repetition changes it, and a
late number closes its gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

JUMP = 1000
"""More numbers than this are not lost at once: the sender began to count somewhere else."""


class Island(NamedTuple):
    """Numbers that follow each other; ``first_at`` is the earliest receipt of any of them, by
    ``source``.
    """

    first: int
    last: int
    first_at: datetime
    source: str


class Gap(NamedTuple):
    """Numbers ``first`` to ``last`` did not come.

    seen_at  earliest receipt of a later number, by ``source``: late numbers never move it
    """

    first: int
    last: int
    seen_at: datetime
    source: str

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def gaps(islands: Sequence[Island]) -> list[Gap]:
    """What is missing between islands, given from the lowest to the highest.

    Behind a jump another run begins. A run of which fewer than half came is not numbered for this
    receiver alone: nothing can be said of it.
    """
    found: list[Gap] = []
    for run in _runs(islands):
        came = sum(one.last - one.first + 1 for one in run)
        if 2 * came < run[-1].last - run[0].first + 1:
            continue
        behind = [Gap(0, 0, run[-1].first_at, run[-1].source)]
        for low, high in reversed([*pairwise(run)]):
            seen_at, source = min((high.first_at, high.source), behind[-1][2:])
            behind.append(Gap(low.last + 1, high.first - 1, seen_at, source))
        found += reversed(behind[1:])
    return found


def _runs(islands: Sequence[Island]) -> Iterator[list[Island]]:
    run: list[Island] = []
    for one in islands:
        if run and one.first - run[-1].last > JUMP:
            yield run
            run = []
        run.append(one)
    if run:
        yield run
