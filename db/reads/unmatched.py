"""What reached no known document, with what was tried, and the letters nobody could read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from db.reads.filters import within_scope
from db.reads.rows import record
from db.tables import dead_letter, flow
from tower.access import Scope

MOST_ROWS = 200

TRIED = {
    "po": "names a purchase order that nobody released",
    "order": "names a customer order that nobody placed",
    "asn": "names a shipment whose purchase order is unknown",
    "id": "names only an id; no order carries that id",
    "item": "names neither a document nor an id",
    "receipt": "names a receipt, but no purchase order",
    "invoice": "names an invoice, but no purchase order",
}


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A flow without a known root document. ``tried`` says what it was looked up by."""

    home_key: int
    anchor: str
    kind: str
    n_events: int
    first_at: datetime
    last_at: datetime
    not_identifying: bool
    tried: str


def unmatched(
    conn: Connection, scope: Scope, *, limit: int = MOST_ROWS
) -> tuple[list[Unmatched], int]:
    """The newest unmatched flows and how many there are in all.

    An id without events of its own is only a name that a matched event carries: nothing waits.
    """
    conditions = (~flow.c.matched, flow.c.n_events > 0, *within_scope(flow.c, scope))
    total = conn.execute(select(func.count()).select_from(flow).where(*conditions)).scalar_one()
    rows = conn.execute(
        select(
            flow.c.home_key,
            flow.c.anchor,
            flow.c.anchor_kind,
            flow.c.n_events,
            flow.c.first_at,
            flow.c.last_at,
            flow.c.not_identifying,
        )
        .where(*conditions)
        .order_by(flow.c.last_at.desc())
        .limit(min(limit, 1000))
    )
    return [
        Unmatched(
            *row,
            "ties too many orders to identify one"
            if row.not_identifying
            else TRIED.get(row.anchor_kind, "names no order"),
        )
        for row in rows
    ], total


def dead_letters(
    conn: Connection, scope: Scope, *, state: str = "open", limit: int = MOST_ROWS
) -> tuple[list[Mapping[str, Any]], int]:
    """The newest dead letters in a state and how many there are in all."""
    conditions = (dead_letter.c.state == state, *within_scope(dead_letter.c, scope))
    total = conn.execute(
        select(func.count()).select_from(dead_letter).where(*conditions)
    ).scalar_one()
    rows = conn.execute(
        select(dead_letter)
        .where(*conditions)
        .order_by(dead_letter.c.received_at.desc(), dead_letter.c.position)
        .limit(min(limit, 1000))
    )
    return [record(row) for row in rows], total
