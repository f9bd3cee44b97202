"""What warehouses say that they have: of each item the latest report, and what counts and losses
changed since. Written in the transaction that keeps the events.

The report with the latest ``as_of`` stands, whenever it arrives. Quantities are summed over the
lines of one report (lots, places); what is on hand counts, else what is available. A report in
several units tells no quantity that can be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from psycopg import Cursor

from tower import amounts
from tower.event import Event
from tower.timelines import at_of, stamp

REPORTED, ADJUSTED = "inventory.reported", "inventory.adjusted"
TYPES = frozenset((REPORTED, ADJUSTED))

Place = tuple[str, str]
"""(warehouse, item)."""


class Level(NamedTuple):
    """One report of one item. ``as_of`` in microseconds since 1970 UTC; the greatest one stands."""

    as_of: int
    event_id: str
    on_hand: str | None
    uom: str | None
    source: str


class Change(NamedTuple):
    """By how much one event changed the stock of an item, and when."""

    at: int
    delta: str


def levels_of(event: Event, at: int) -> dict[Place, Level]:
    """What a report says of each item; ``at`` is when it happened."""
    data = event.data
    as_of = at_of(data["as_of"]) if data.get("as_of") else at
    quantities: dict[Place, list[str | None]] = {}
    units: dict[Place, set[str]] = {}
    for line in data.get("lines") or ():
        place = (data["warehouse"], line["item"])
        quantities.setdefault(place, []).append(line.get("on_hand", line.get("available")))
        units.setdefault(place, set()).update([line["uom"]] if line.get("uom") else ())
    return {
        place: Level(
            as_of,
            event.id.hex,
            amounts.total(told) if len(units[place]) < 2 and None not in told else None,
            min(units[place], default=None),
            event.source,
        )
        for place, told in quantities.items()
    }


def changes_of(event: Event, at: int) -> dict[tuple[str, str, str], Change]:
    """By how much an event changed the stock of each item, by place and event."""
    data = event.data
    found: dict[tuple[str, str, str], Change] = {}
    for line in data.get("lines") or ():
        key = (data["warehouse"], line["item"], event.id.hex)
        known = found.get(key)
        delta = amounts.total([known.delta if known else None, line["delta"]])
        found[key] = Change(at, delta or "0")
    return found


_LEVELS = """
    INSERT INTO stock_level (warehouse, item, on_hand, uom, as_of, event_id, source)
    SELECT g.warehouse, g.item, g.on_hand, g.uom, g.as_of, g.event_id, g.source
    FROM json_to_recordset(%s::json) AS g(warehouse text, item text, on_hand numeric, uom text,
                                          as_of timestamptz, event_id uuid, source text)
    ORDER BY g.warehouse, g.item
    ON CONFLICT (warehouse, item) DO UPDATE SET
        on_hand = excluded.on_hand, uom = excluded.uom, as_of = excluded.as_of,
        event_id = excluded.event_id, source = excluded.source
    WHERE (excluded.as_of, excluded.event_id) > (stock_level.as_of, stock_level.event_id)
"""
_CHANGES = """
    INSERT INTO stock_change (warehouse, item, event_id, at, delta)
    SELECT g.warehouse, g.item, g.event_id, g.at, g.delta
    FROM json_to_recordset(%s::json) AS g(warehouse text, item text, event_id uuid,
                                          at timestamptz, delta numeric)
    ORDER BY g.warehouse, g.item, g.event_id
    ON CONFLICT (warehouse, item, event_id) DO NOTHING
"""


def write(
    cursor: Cursor[Any],
    levels: Mapping[Place, Level],
    changes: Mapping[tuple[str, str, str], Change],
) -> None:
    """Keep reports and changes that are new."""
    if levels:
        rows: list[dict[str, Any]] = [
            {
                "warehouse": warehouse,
                "item": item,
                "on_hand": level.on_hand,
                "uom": level.uom,
                "as_of": stamp(level.as_of),
                "event_id": level.event_id,
                "source": level.source,
            }
            for (warehouse, item), level in sorted(levels.items())
        ]
        cursor.execute(_LEVELS, (_json(rows),))
    if changes:
        rows = [
            {
                "warehouse": warehouse,
                "item": item,
                "event_id": event_id,
                "at": stamp(change.at),
                "delta": change.delta,
            }
            for (warehouse, item, event_id), change in sorted(changes.items())
        ]
        cursor.execute(_CHANGES, (_json(rows),))


def take_back(cursor: Cursor[Any], events: Iterable[UUID]) -> set[Place]:
    """Forget what these events said; the places that they spoke of.

    A level that was taken back is not known until the next report: those before it are not kept.
    """
    gone = [str(event) for event in events]
    if not gone:
        return set()
    found: set[Place] = set()
    for table in ("stock_level", "stock_change"):
        cursor.execute(
            f"DELETE FROM {table} WHERE event_id = ANY(%s::uuid[]) "  # noqa: S608 - our own names
            "RETURNING warehouse, item",
            (gone,),
        )
        found.update((row[0], row[1]) for row in cursor.fetchall())
    return found


# --- who must be netted anew ---------------------------------------------------------------------

_KNOWN = "SELECT EXISTS (SELECT 1 FROM stock_level)"
_WAIT = "SELECT pg_advisory_xact_lock{}(hashtextextended('tower.netting', 0))"


def anything_known(cursor: Cursor[Any], *, reporting: bool) -> bool:
    """Whether any stock was ever reported; while none is, nothing is netted and nobody is marked.

    ``reporting``: this transaction is about to keep a report. The first one waits for everybody who
    saw none, so that it finds their documents.
    """
    cursor.execute(_KNOWN)
    if _first(cursor):
        return True
    cursor.execute(_WAIT.format("" if reporting else "_shared"))
    if reporting:
        return True
    cursor.execute(_KNOWN)
    return _first(cursor)


def _first(cursor: Cursor[Any]) -> bool:
    row = cursor.fetchone()
    return bool(row and row[0])


def _json(rows: list[dict[str, Any]]) -> str:
    return orjson.dumps(rows).decode().replace("\\u0000", "")
