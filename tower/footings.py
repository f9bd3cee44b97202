"""Which states of a fold over readings are kept, so that a late reading can be judged rightly.

A fold goes on from the latest state before the first new reading. Usually that state lies a few
hours back; a reading that comes later than that is judged from an older state, up to two days
back. What comes later still is kept and shown, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tower.overruns import Footing

State = Mapping[str, Any]

BEHIND = timedelta(hours=2)  # a state is taken so far behind the newest reading
STEP = timedelta(hours=1)  # and anew after so long
APART = timedelta(hours=12)  # older ones are kept so far apart
KEPT = timedelta(days=2)


def chosen(states: Sequence[State], new_from: datetime | None) -> int:
    """Index of the state to go on from: the latest before the first new reading, else the first."""
    for n in range(len(states) - 1, 0, -1):
        if new_from is None or datetime.fromisoformat(states[n]["at"]) < new_from:
            return n
    return 0


def is_stale(footing: Footing, newest: datetime) -> bool:
    """Whether a later state should be taken."""
    return newest - footing.at > BEHIND + STEP


def kept(states: Sequence[State], footing: Footing, newest: datetime) -> list[State]:
    """The states to keep once ``footing`` is the latest of them."""
    old = [s for s in states if datetime.fromisoformat(s["at"]) < footing.at]
    if len(old) > 1 and _at(old[-1]) - _at(old[-2]) < APART:
        old.pop()
    while len(old) > 1 and newest - _at(old[1]) > KEPT:
        old.pop(0)
    return [*old, footing.to_json()]


def _at(state: State) -> datetime:
    return datetime.fromisoformat(state["at"])
