"""One order's words at another: what is said of a mistyped number, said of the true order too.

People tie the two (db/ties.py). Each row of `event_object` at the one has a linked row at the
other; here what should be there is compared with what is, whenever either heard something new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from psycopg import Cursor

from db import flows, staging
from tower.correlation import DOCUMENTS
from tower.identity import ROOT_KINDS

HAND = "hand"
"""Basis of links that people made."""

_STANDING = (
    "SELECT kind, home_key, to_home, to_kind, to_scope, to_number, made_at FROM hand_tie "
    "WHERE (home_key = ANY(%s::bigint[]) OR to_home = ANY(%s::bigint[])) "
    "AND fulfilled_at IS NOT NULL AND undone_at IS NULL"
)
# What stands under both numbers already (a message that names both) is not told twice.
_TELL = (
    "INSERT INTO event_object (home_key, event_id, linked, event_home, via, occurred_at, "
    "arrived_at, type, system, kind, scope, number, words) "
    "SELECT %(there)s, o.event_id, true, o.event_home, %(here)s, o.occurred_at, "
    "GREATEST(o.arrived_at, %(since)s), o.type, o.system, %(kind)s, %(scope)s, %(number)s, o.words "
    "FROM event_object o WHERE o.home_key = %(here)s AND o.kind = %(kind)s AND NOT EXISTS "
    "(SELECT FROM event_object k WHERE k.home_key = %(there)s AND k.event_id = o.event_id) "
    "ON CONFLICT DO NOTHING RETURNING event_id"
)
_FORGET = (
    "DELETE FROM event_object t WHERE t.home_key = %(there)s AND t.linked AND t.via = %(here)s "
    "AND NOT (%(stands)s AND EXISTS (SELECT FROM event_object o WHERE o.home_key = %(here)s "
    "AND o.event_id = t.event_id)) RETURNING event_id"
)


def mirror(
    cursor: Cursor[Any], homes: Collection[int], *, undone: Iterable[tuple[int, int]] = ()
) -> set[int]:
    """Say of true orders what is said of those tied to them; the homes of orders that changed.

    Shipments and invoices that are tied count as matched.

    ``homes`` are orders that may have heard something new or lost something; pairs in ``undone``
    (from, to) are looked at too, whether they still stand or not.
    """
    if not homes:
        return set()
    asked = staging.numbers(sorted(homes))
    cursor.execute(_STANDING, (asked, asked))
    found = cursor.fetchall()
    documents = [home for kind, home, *_ in found if kind in DOCUMENTS]
    if documents:
        # One that was taken back as a whole comes again as a new flow.
        flows.set_matched(cursor, documents, True)
    standing = [row for kind, *row in found if kind in ROOT_KINDS]
    changed: set[int] = set()
    kept = {(here, there) for here, there, *_ in standing}
    for here, there in {*kept, *undone}:
        stands = (here, there) in kept
        cursor.execute(_FORGET, {"here": here, "there": there, "stands": stands})
        if cursor.fetchone() is not None:
            changed.add(there)
    for here, there, kind, scope, number, since in standing:
        cursor.execute(
            _TELL,
            {
                "here": here,
                "there": there,
                "kind": kind,
                "scope": scope,
                "number": number,
                "since": since,
            },
        )
        if cursor.fetchone() is not None:
            changed.add(there)
    return changed
