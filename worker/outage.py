"""A database that is away: told once when it goes and once when it is back, not by every step.

A worker has a dozen steps that need it; a stack trace from each, every second, would hide the one
line that somebody who is called at night must see.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import psycopg
from sqlalchemy.exc import DBAPIError

log = logging.getLogger(__name__)

SAID_EVERY_S = 60.0
_GOING_OR_COMING = frozenset({"57P01", "57P02", "57P03"})  # shut down, crashed, not up yet


def is_away(error: BaseException) -> bool:
    """Whether this says that the database is away, and nothing of what was asked of it."""
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    cause = error.orig
    if not isinstance(cause, psycopg.OperationalError):
        return False
    state = cause.sqlstate
    return state is None or state.startswith("08") or state in _GOING_OR_COMING


class Outage:
    """What the steps of a worker together know of it; any thread may tell."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._since: float | None = None
        self._said_at = 0.0

    def begins(self, error: BaseException) -> float:
        """A step found it away; seconds until it is tried again."""
        now = self._clock()
        with self._guard:
            first = self._since is None
            since = self._since = now if self._since is None else self._since
            say = first or now - self._said_at >= SAID_EVERY_S
            if say:
                self._said_at = now
        if say:
            log.warning(
                "The database is away. It is tried again until it answers; nothing is lost",
                extra={
                    "action": "database.away",
                    "cause": _first_line(error),
                    "seconds": round(now - since),
                },
            )
        return 1.0 if now - since < 10.0 else 5.0

    def ends(self) -> None:
        """A step that had found it away was answered."""
        with self._guard:
            since, self._since = self._since, None
        if since is not None:
            log.info(
                "The database answers again",
                extra={"action": "database.back", "seconds": round(self._clock() - since)},
            )


def _first_line(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)[:300]
