"""Facts that came after a period and change what is told of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select

from db.reads.counting import Counted
from db.tables import event_object
from tower.identity import document_home
from tower.kpis import HIT, MISS

DOCUMENTS = frozenset(("po", "po_line", "order", "order_line", "asn", "invoice"))
"""Kinds of subjects that are documents: only of them it is known when we learnt of what."""


def late_homes(conn: Connection, homes: Iterable[int], end: datetime) -> Collection[int]:
    """Those of these documents of which something was learnt from ``end`` on that had happened
    before."""
    o = event_object.c
    wanted = sorted(set(homes))
    if not wanted:
        return frozenset()
    return frozenset(
        conn.execute(
            select(o.home_key)
            .where(o.home_key.in_(wanted), o.occurred_at < end, o.arrived_at >= end)
            .distinct()
        ).scalars()
    )


def restated(conn: Connection, counted: Counted, end: datetime) -> int:
    """How many of the subjects that count (each with its reference) were restated after ``end``."""
    rows = counted.rows.subquery().c
    found = conn.execute(
        select(rows.kind, rows.scope, rows.number, func.count())
        .where(rows.verdict.in_((HIT, MISS)), rows.kind.in_(sorted(DOCUMENTS)))
        .group_by(rows.kind, rows.scope, rows.number)
    ).all()
    homes = [document_home(kind, scope, number) for kind, scope, number, _ in found]
    late = late_homes(conn, homes, end)
    return sum(row[3] for row, home in zip(found, homes, strict=True) if home in late)
