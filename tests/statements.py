"""What is said to the database, whichever way it goes: noted where the driver takes it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from db import roles, trips

_OF_A_CONNECTION = (";", roles.SEPARATED)
"""Of the pool, before it hands one out, and of its first transaction: work of no round."""


@dataclass
class Said:
    """The statements of a stretch of work, in order.

    trips  times that the statements of a round were sent and waited for
    """

    cursors: list[tuple[str, psycopg.Cursor[Any]]] = field(default_factory=list)
    trips: int = 0

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.cursors]

    @property
    def rows(self) -> int:
        """Rows read or written."""
        return sum(max(cursor.rowcount, 0) for _, cursor in self.cursors)


@contextlib.contextmanager
def listening(*, pool: bool = False) -> Iterator[Said]:
    """All that this thread says meanwhile; another one looks after the embedded server. With
    ``pool`` also what is said of a connection before it is used."""
    said, mine = Said(), threading.get_ident()
    execute, sent = psycopg.Cursor.execute, trips._sent

    def note(cursor: Any, query: Any, *given: Any, **options: Any) -> Any:
        if (pool or query not in _OF_A_CONNECTION) and threading.get_ident() == mine:
            said.cursors.append((str(query), cursor))
        return execute(cursor, query, *given, **options)

    def send(*given: Any, **options: Any) -> Any:
        said.trips += 1
        return sent(*given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", note)
        patch.setattr(trips, "_sent", send)
        yield said
