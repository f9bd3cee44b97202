"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

LONGEST_WAIT_MIN = 30
BREAKER = 5  # failures to connect in a row: then only probes
PROBE = timedelta(minutes=1)


def pause(attempts: int, chance: Callable[[], float] = random.random) -> timedelta:
    """1, 2, 4 ... 30 minutes, a fifth shorter or longer so that many rows do not return at once."""
    minutes = min(LONGEST_WAIT_MIN, 2.0 ** min(attempts, 10))
    return timedelta(minutes=minutes * (0.8 + 0.4 * chance()))
