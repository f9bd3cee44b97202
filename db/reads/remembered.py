"""What several questions of one page ask anew: asked once in a transaction that sees one state."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

T = TypeVar("T")

_known: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()


def once(conn: Connection, name: Hashable, ask: Callable[[], T]) -> T:
    """What ``ask`` answers; ``name`` says what that is and all that it depends on.

    Only transactions to read with (db/reads/connection.py) see one state in all their statements:
    elsewhere it is asked each time.
    """
    if not conn.get_execution_options().get("postgresql_readonly"):
        return ask()
    if not conn.in_transaction():
        conn.begin()
    known = _known.setdefault(conn.get_transaction(), {})
    if name not in known:
        known[name] = ask()
    found: T = known[name]
    return found
