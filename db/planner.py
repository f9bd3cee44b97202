"""How the planner is to find rows where its guesses go wrong; holds for the rest of a transaction.

What a round asks and writes is found by key, row by row. The planner, who guesses how many rows a
list of keys will match, would read whole tables instead. Where a list has few keys, the server may
also keep the plan: no other would come of new values. That is for statements of db/trips.py, whose
conditions stand in them as they are; those of SQLAlchemy give constants as values, and a plan for
any value cannot use a partial index. So before the first of them all is as the planner sees fit.
"""

from __future__ import annotations

from sqlalchemy import Connection

from db import trips
from db.trips import Setting


def _told(*, joins: str, sort: str, scans: str, plans: str) -> Setting:
    return Setting(
        {
            "enable_hashjoin": joins,
            "enable_mergejoin": joins,
            "enable_seqscan": joins,
            "enable_sort": sort,
            "enable_bitmapscan": scans,
            "plan_cache_mode": plans,
            # The statements of a round are small: compiling them would cost more than running them.
            "jit": "off",
        }
    )


# After a burst the planner, whose statistics are stale, would sort every due timer to claim some.
# Elsewhere it must be free to sort: else it reads all of an index that has the order wanted.
_BY_KEY = _told(joins="off", sort="off", scans="off", plans="force_generic_plan")
_BY_MANY_KEYS = _told(joins="off", sort="on", scans="off", plans="force_custom_plan")
_BY_SOME_KEY = _told(joins="off", sort="on", scans="on", plans="force_generic_plan")
_ANY_WAY = _told(joins="on", sort="on", scans="on", plans="force_custom_plan")


def by_key(conn: Connection) -> None:
    """By the one key that rows are asked for with; timers in the order in which they are due."""
    trips.tell(conn, _BY_KEY, {})
    trips.before_others(conn, _ANY_WAY)


def by_many_keys(conn: Connection) -> None:
    """The same for hundreds of keys, which a plan made for a few serves badly."""
    trips.tell(conn, _BY_MANY_KEYS, {})


def by_some_key(conn: Connection) -> None:
    """By one key or another, of a few."""
    trips.tell(conn, _BY_SOME_KEY, {})
    trips.before_others(conn, _ANY_WAY)


def any_way(conn: Connection) -> None:
    """As the planner sees fit, for the values given."""
    trips.tell(conn, _ANY_WAY, {})
    trips.before_others(conn, None)
