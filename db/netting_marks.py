"""Marks that supply and demand must be netted anew: timers with keys of their own.

Who marks never waits for who nets: each mark is a row of its own, so that rounds which judge
orders and rounds which net can wake each other without ever waiting in a circle. A mark names a
document (its lines may stand in several buckets), a bucket, or a bucket on a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

import orjson
from psycopg import Cursor

KIND = "netting"
"""Kind of timer (db/timers.py)."""


def home(document_home: int) -> str:
    """Lines of this purchase or customer order may need or bring something else now."""
    return _key("home", document_home, uuid4().hex)


def place(warehouse: str, item: str) -> str:
    """This bucket may have changed."""
    return _key("bucket", warehouse, item, uuid4().hex)


def on(day: date, warehouse: str, item: str) -> str:
    """From this day on time alone may change this bucket. One mark per day: the second says no
    more than the first."""
    return _key("day", day.isoformat(), warehouse, item)


@dataclass(slots=True)
class Marked:
    """What marks speak of."""

    homes: set[int] = field(default_factory=set)
    places: set[tuple[str, str]] = field(default_factory=set)


def read(keys: Iterable[str]) -> Marked:
    """The documents and buckets that marks name."""
    found = Marked()
    for key in keys:
        word, *rest = orjson.loads(key)
        if word == "home":
            found.homes.add(rest[0])
        elif word == "bucket":
            found.places.add((rest[0], rest[1]))
        else:
            found.places.add((rest[1], rest[2]))
    return found


_PLACES = """
    SELECT DISTINCT warehouse, item FROM document
    WHERE home_key = ANY(%s::bigint[]) AND item IS NOT NULL AND warehouse IS NOT NULL
"""


def places_now(cursor: Cursor[Any], homes: Iterable[int]) -> set[tuple[str, str]]:
    """The buckets in which lines of these orders stand, before they may be moved elsewhere."""
    cursor.execute(_PLACES, (sorted(set(homes)),))
    return {(row[0], row[1]) for row in cursor.fetchall()}


def _key(*words: str | int) -> str:
    return orjson.dumps(words).decode()
