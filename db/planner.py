"""How the planner is to find rows where its guesses go wrong; holds for the rest of a transaction.

What a round asks and writes is found by key, row by row. The planner, who guesses how many rows a
list of keys will match, would read whole tables instead. Found so, a statement that the server
keeps parsed may also keep its plan: no other would come of new values or of more rows.
"""

from __future__ import annotations

from sqlalchemy import Connection

from db import trips
from db.trips import Setting

# After a burst the planner, whose statistics are stale, would also sort every due timer to claim
# some.
_BY_GUESS = ("enable_hashjoin", "enable_mergejoin", "enable_seqscan", "enable_sort")
_SCANS = "enable_bitmapscan"
_PLANS = "plan_cache_mode"


def _told(others: str, scans: str, plans: str) -> Setting:
    # The statements of a round are small: compiling them would cost more than running them.
    return Setting({**dict.fromkeys(_BY_GUESS, others), _SCANS: scans, _PLANS: plans, "jit": "off"})


_BY_KEY = _told("off", "off", "force_generic_plan")
_BY_MANY_KEYS = _told("off", "off", "force_custom_plan")
_BY_SOME_KEY = _told("off", "on", "force_generic_plan")
_ANY_WAY = _told("on", "on", "force_custom_plan")


def by_key(conn: Connection) -> None:
    """By the one key that rows are asked for with."""
    trips.tell(conn, _BY_KEY, {})


def by_many_keys(conn: Connection) -> None:
    """The same for hundreds of keys, which a plan made for a few serves badly."""
    trips.tell(conn, _BY_MANY_KEYS, {})


def by_some_key(conn: Connection) -> None:
    """By one key or another."""
    trips.tell(conn, _BY_SOME_KEY, {})


def any_way(conn: Connection) -> None:
    """As the planner sees fit, for the values given."""
    trips.tell(conn, _ANY_WAY, {})
