"""The stored past judged by two processes side by side, each of them every other document.

Judging is arithmetic: a second process takes the second core. Few documents are judged sooner than
another process starts.
"""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from db.driver import no_garbage
from db.reads import connection
from db.reads import hindsight as past
from tower.court import Code
from tower.documents import HEADER_OF
from tower.errors import TowerError
from worker.hindsight import Hindsight, Parcel, judge_past

PARTS = 2
SMALL = 4_000  # documents
LOOK_S = 0.5
TIMEOUT_S = 60.0  # of one statement

_HERE = select(1)

Books = list[tuple[Code, Hindsight]]
Make = Callable[[Connection], Books]
"""Makes the books that judge, each empty; it is called in every process, so it must be a function
of a module or a partial of one."""


def judge_in_parts(
    conn: Connection,
    address: str,
    make: Make,
    end: datetime,
    told: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    small: int = SMALL,
) -> tuple[Books, int, int]:
    """(books, documents, events): what ``judge_past`` gives, by so many processes as pay off.

    ``address`` is the database that ``conn`` is connected to.
    """
    books = make(conn)
    codes, seen = [code for code, _ in books], [book for _, book in books]
    kinds = {HEADER_OF.get(kind, kind) for code in codes for kind in code.by_subject}
    total = past.count_homes(conn, kinds, end)
    if total < small:
        documents, events = judge_past(conn, seen, codes, end, told, total=total)
        return books, documents, events
    context = multiprocessing.get_context("spawn")
    said: Any = context.Queue()
    other = context.Process(target=_work, args=(address, make, end, total, said), daemon=True)
    other.start()
    beside = _Beside(other, said)
    try:
        documents, events = judge_past(
            conn,
            seen,
            codes,
            end,
            lambda done, n: told(done + beside.done, n),
            parts=PARTS,
            total=total,
        )
        while not beside.finished:
            conn.execute(_HERE)  # a connection that says nothing for long is cut
            told(documents + beside.done, documents + beside.done)
        parcels, more_documents, more_events = beside.result
    finally:
        other.terminate()
        other.join()
    for book, parcel in zip(seen, parcels, strict=True):
        book.absorb(parcel)
    return books, documents + more_documents, events + more_events


class _Beside:
    """What is heard from the other process.

    done    documents it has judged so far
    result  what it found, and of how many documents and events
    """

    def __init__(self, process: Any, said: Any) -> None:
        self._process, self._said = process, said
        self._done = 0
        self.result: tuple[list[Parcel], int, int] = ([], 0, 0)

    @property
    def done(self) -> int:
        while self._hear(0):
            pass
        return self._done

    @property
    def finished(self) -> bool:
        """Whether the result is here, after a moment. Raises TowerError if it never comes."""
        if not self.result[0] and not self._hear(LOOK_S) and not self._process.is_alive():
            raise TowerError(
                f"The second process ended early with code {self._process.exitcode}; what it said "
                "stands above. Ask again, or for a shorter time."
            )
        return bool(self.result[0])

    def _hear(self, wait: float) -> bool:
        try:
            # Not one collection after the other while a large result is unpacked.
            with no_garbage():
                word = self._said.get(timeout=wait) if wait else self._said.get_nowait()
        except queue.Empty:
            return False
        if isinstance(word, int):
            self._done = word
        else:
            self.result = word
            self._done = word[1]
        return True


def _work(address: str, make: Make, end: datetime, total: int, said: Any) -> None:
    database = connection.database(address, timeout_s=TIMEOUT_S)
    with connection.reading(database) as conn:
        books = make(conn)
        codes, seen = [code for code, _ in books], [book for _, book in books]
        documents, events = judge_past(
            conn,
            seen,
            codes,
            end,
            lambda done, _: said.put(done),
            part=1,
            parts=PARTS,
            total=total,
        )
    database.dispose()
    said.put(([book.parcel() for book in seen], documents, events))
