"""What a change would make of documents: their values before and after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from db.tables import document
from tower.event import ObjectRef
from tower.event_difference import FieldChange, field_changes

# Bookkeeping of the tower; the registers (state) and reports show in the values themselves.
_INNER = frozenset({"home_key", "rev", "state", "reports", "partner_id", "last_event_at"})
_NAMED = frozenset({"kind", "scope", "number", "line"})


@dataclass(frozen=True, slots=True)
class DocumentDifference:
    """A document or line with the values that change; ``change``: added, removed or changed."""

    ref: str
    change: str
    fields: tuple[FieldChange, ...]


def foretold(conn: Connection, change: Callable[[], frozenset[int]]) -> list[DocumentDifference]:
    """What ``change`` would make of documents; it is done and rolled back.

    It returns the homes it touched. The values before are read after the rollback, for only the
    change itself knows where to look.
    """
    point = conn.begin_nested()
    try:
        homes = change()
        after = _documents(conn, homes)
    finally:
        point.rollback()
    return _compare(_documents(conn, homes), after)


def _documents(conn: Connection, homes: frozenset[int]) -> dict[str, dict[str, str]]:
    if not homes:
        return {}
    rows = conn.execute(select(document).where(document.c.home_key.in_(sorted(homes))))
    found = {}
    for row in rows:
        values: Mapping[str, Any] = row._asdict()
        ref = ObjectRef(row.kind, row.scope, row.number, row.line)
        found[str(ref)] = {
            name: _shown(value)
            for name, value in values.items()
            if name not in _INNER and name not in _NAMED and value is not None
        }
    return found


def _shown(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _compare(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> list[DocumentDifference]:
    found = []
    for ref in sorted(before.keys() | after.keys()):
        fields = field_changes(before.get(ref, {}), after.get(ref, {}))
        if fields:
            change = "added" if ref not in before else "removed" if ref not in after else "changed"
            found.append(DocumentDifference(ref, change, fields))
    return found
