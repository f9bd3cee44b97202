"""What the mere passing of time does to an open clock, told from its kept state alone.

A warning needs no evidence and waits for nobody: which one comes next was worked out when the clock
was judged last (``Cycle.ahead``). While nobody has told anything and no source was silent, the
state after it follows without the events of the document. Whatever else an instant may bring, a
breach above all, is judged from the events (tower/clocks.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tower.cycles import Verdict


class Passed(NamedTuple):
    """A clock after warnings.

    warnings  (level, instant) of each, in order
    state     the cycle as it is kept (``Cycle.to_json``)
    next      when time alone changes it again
    wait      how long a miss waits, as the clock was judged: where it is another now, judge anew
    """

    warnings: tuple[tuple[str, datetime], ...]
    state: dict[str, Any]
    next: datetime
    wait: timedelta


def passed(state: Mapping[str, Any], now: datetime) -> Passed | None:
    """The clock of this kept state at ``now``; None if warnings are not all that came."""
    body = state.get("ahead")
    if body is None:
        return None
    told = body["warnings"]  # in order, as ``Ahead.to_json`` writes it
    reached: list[tuple[str, datetime]] = []
    for name, at in told:
        instant = datetime.fromisoformat(at)
        if instant > now:
            break
        reached.append((name, instant))
    if not reached:
        return None
    left = told[len(reached) :]
    following = left[0][1] if left else body["then"]
    next_at = datetime.fromisoformat(following)
    if next_at <= now:
        return None
    after = {
        **state,
        "verdict": Verdict.AT_RISK.value,
        "next": following,
        "facts": [*state["facts"], *[[name, at, {}] for name, at in told[: len(reached)]]],
        "ahead": {**body, "warnings": left} if left else None,
    }
    return Passed(tuple(reached), after, next_at, timedelta(seconds=body["wait"]))
