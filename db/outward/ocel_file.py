"""Events and the objects they touch as an object-centric event log: OCEL 2.0, in its JSON form.

Events come first in the file, fetched piece by piece; then the objects they touched with what is
known of them now, and at the end the types. Only the names of objects are held in memory (about
150 bytes each). What a viewer may not see is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

import orjson
from sqlalchemy import Connection, Select, select, text

from db.outward.rows import STREAMED
from db.reads.filters import Period, of_supplier, within_scope
from db.tables import event, partner
from tower.access import Scope
from tower.documents import HEADER_OF
from tower.event import ObjectRef
from tower.identity import document_home
from tower.masking import ALL, PRICE, class_of_name
from tower.vocabulary import EVENT_TYPES, objects_of

_TYPES = {
    "text": "string", "code": "string", "date": "string", "list": "string", "qty": "float",
    "money": "float", "when": "time", "int": "integer", "flag": "boolean",
}  # fmt: skip

_ENVELOPE = (
    ("source", "string"), ("system", "string"), ("supplier", "string"), ("received_at", "time"),
    ("time_quality", "string"), ("message", "string"),
)  # fmt: skip

_OF_OBJECTS = {
    "status": "string", "answer": "string", "supplier": "string", "buyer": "string",
    "warehouse": "string", "customer": "string", "item": "string", "uom": "string",
    "category": "string",
    "currency": "string", "requested_date": "string", "last_confirmed_date": "string",
    "promised_date": "string", "ordered_qty": "float", "confirmed_qty": "float",
    "shipped_qty": "float", "received_qty": "float", "price": "float", "value": "float",
    "open_value": "float",
}  # fmt: skip
_PRICED = frozenset({"price", "value", "open_value"})
_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Written:
    """How much an event log holds."""

    events: int
    objects: int


def write(
    target: BinaryIO, conn: Connection, scope: Scope, period: Period, supplier: str | None = None
) -> Written:
    """Write the events received in a period, with the objects they touch."""
    seen: dict[ObjectRef, None] = {}
    types: set[str] = set()
    target.write(b'{"events":[')
    events = _list(target, _events(conn, scope, period, supplier, seen, types))
    target.write(b'],"objects":[')
    objects = _list(target, _objects(conn, scope, seen))
    kinds = sorted({ref.kind for ref in seen})
    target.write(b'],"eventTypes":')
    target.write(orjson.dumps([_event_type(name, scope) for name in sorted(types)]))
    target.write(b',"objectTypes":')
    target.write(orjson.dumps([_object_type(kind) for kind in kinds]))
    target.write(b"}\n")
    return Written(events, objects)


def object_id(ref: ObjectRef) -> str:
    """The id of an object: as ``tower show`` takes it."""
    return ":".join(part for part in (ref.kind, ref.scope, ref.number, ref.line) if part)


def _list(target: BinaryIO, items: Iterator[Mapping[str, Any]]) -> int:
    count = 0
    for item in items:
        target.write(b",\n" if count else b"\n")
        target.write(orjson.dumps(item))
        count += 1
    return count


# --- events ---------------------------------------------------------------------------------------


def _events(
    conn: Connection,
    scope: Scope,
    period: Period,
    supplier: str | None,
    seen: dict[ObjectRef, None],
    types: set[str],
) -> Iterator[Mapping[str, Any]]:
    with conn.execute(_asked(scope, period, supplier)) as rows:
        for row in rows:
            refs = [
                ref for ref in objects_of(row.type, row.data)
                if scope.sees_all or ref.kind not in ("order", "order_line")
            ]  # fmt: skip
            types.add(row.type)
            for ref in refs:
                seen.setdefault(ref._replace(qualifier=""))
            yield {
                "id": str(row.event_id),
                "type": row.type,
                "time": _time(row.occurred_at),
                "attributes": _attributes(row, scope),
                "relationships": [
                    {"objectId": object_id(ref), "qualifier": ref.qualifier or "touches"}
                    for ref in refs
                ],
            }


def _asked(scope: Scope, period: Period, supplier: str | None) -> Select[Any]:
    e = event.c
    return (
        select(e.event_id, e.type, e.source, e.raw_key, e.system, e.occurred_at, e.received_at,
               e.time_quality, e.data, partner.c.key.label("supplier"))
        .join(partner, partner.c.partner_id == e.partner_id, isouter=True)
        .where(
            e.received_at >= period.start,
            e.received_at < period.end,
            *within_scope(e, scope),
            *of_supplier(e, supplier),
        )
        .order_by(e.received_at, e.event_id)
        .execution_options(yield_per=STREAMED)
    )  # fmt: skip


def _attributes(row: Any, scope: Scope) -> list[dict[str, Any]]:
    told = {
        "source": row.source,
        "system": row.system,
        "supplier": row.supplier,
        "received_at": _time(row.received_at),
        "time_quality": row.time_quality,
        "message": f"{row.source}/{row.raw_key}",
    }
    for name, kind in _of_event(row.type, scope):
        if name not in told and row.data.get(name) is not None:
            told[name] = _value(kind, row.data[name])
    return [{"name": name, "value": value} for name, value in told.items() if value is not None]


def _of_event(type_: str, scope: Scope) -> Iterator[tuple[str, str]]:
    spec = EVENT_TYPES.get(type_)
    for field in spec.header if spec is not None else ():
        kind = class_of_name(field.name)
        if scope.reveals >= ALL or not kind or kind in scope.reveals:
            yield field.name, _TYPES[field.kind]


def _event_type(name: str, scope: Scope) -> dict[str, Any]:
    named = dict(_of_event(name, scope)) | dict(_ENVELOPE)
    return {"name": name, "attributes": [{"name": n, "type": t} for n, t in named.items()]}


# --- objects --------------------------------------------------------------------------------------

_KNOWN = text(  # the names are our own
    "SELECT d.kind, d.scope, d.number, d.line, d.last_event_at, "  # noqa: S608
    + ", ".join(f"d.{name}" for name in _OF_OBJECTS)
    + " FROM unnest(CAST(:homes AS bigint[]), CAST(:kinds AS text[]), CAST(:scopes AS text[]),"
    " CAST(:numbers AS text[]), CAST(:lines AS text[])) AS w(home_key, kind, scope, number, line)"
    " JOIN document d USING (home_key, kind, scope, number, line)"
)
_PEGS = text(
    'SELECT g.scope, g.po, g.po_line, g."order", g.order_line'
    " FROM unnest(CAST(:homes AS bigint[]), CAST(:scopes AS text[]), CAST(:numbers AS text[]),"
    " CAST(:lines AS text[])) AS w(home_key, scope, po, po_line)"
    " JOIN peg g USING (home_key, scope, po, po_line) WHERE g.qty IS NOT NULL"
    ' ORDER BY g.scope, g.po, g.po_line, g."order", g.order_line'
)


def _objects(
    conn: Connection, scope: Scope, seen: dict[ObjectRef, None]
) -> Iterator[Mapping[str, Any]]:
    # A line hangs on its header, also where no event named the header itself.
    for ref in list(seen):
        if ref.kind in HEADER_OF:
            seen.setdefault(_header(ref))
    left = iter(seen)
    while refs := tuple(islice(left, _BATCH)):
        known = _known(conn, refs)
        covers = _pegged(conn, refs, seen) if scope.sees_all else {}
        for ref in refs:
            yield {
                "id": object_id(ref),
                "type": ref.kind,
                "attributes": _state(known.get(ref), scope),
                "relationships": [
                    *([{"objectId": object_id(_header(ref)), "qualifier": "line of"}]
                      if ref.kind in HEADER_OF else []),
                    *({"objectId": object_id(one), "qualifier": "covers"}
                      for one in covers.get(ref, ())),
                ],
            }  # fmt: skip


def _header(ref: ObjectRef) -> ObjectRef:
    return ObjectRef(HEADER_OF[ref.kind], ref.scope, ref.number)


def _home(ref: ObjectRef) -> int:
    return document_home(HEADER_OF.get(ref.kind, ref.kind), ref.scope, ref.number)


def _known(conn: Connection, refs: tuple[ObjectRef, ...]) -> dict[ObjectRef, Any]:
    rows = conn.execute(_KNOWN, {"homes": [_home(r) for r in refs], **_names(refs)})
    return {ObjectRef(*row[:4]): row for row in rows}


def _names(refs: tuple[ObjectRef, ...]) -> dict[str, list[str]]:
    return {
        "kinds": [r.kind for r in refs],
        "scopes": [r.scope for r in refs],
        "numbers": [r.number for r in refs],
        "lines": [r.line for r in refs],
    }


def _pegged(
    conn: Connection, refs: tuple[ObjectRef, ...], seen: Mapping[ObjectRef, None]
) -> dict[ObjectRef, list[ObjectRef]]:
    """Customer order lines that purchase order lines cover, of those that are in the log."""
    lines = tuple(r for r in refs if r.kind == "po_line")
    asked = {"homes": [_home(r) for r in lines], **_names(lines)}
    del asked["kinds"]
    found: dict[ObjectRef, list[ObjectRef]] = {}
    for erp, po, po_line, order, order_line in conn.execute(_PEGS, asked):
        covered = ObjectRef("order_line", erp, order, order_line)
        if covered in seen:
            found.setdefault(ObjectRef("po_line", erp, po, po_line), []).append(covered)
    return found


def _state(row: Any, scope: Scope) -> list[dict[str, Any]]:
    """Attributes as they stand now, each as of the last event."""
    if row is None:
        return []
    hidden = frozenset() if PRICE in scope.reveals else _PRICED
    at = _time(row.last_event_at)
    return [
        {"name": name, "time": at, "value": _value(kind, value)}
        for name, kind in _OF_OBJECTS.items()
        if name not in hidden and (value := getattr(row, name)) is not None
    ]


def _object_type(kind: str) -> dict[str, Any]:
    return {
        "name": kind,
        "attributes": [{"name": n, "type": t} for n, t in _OF_OBJECTS.items()],
    }


# --- values ---------------------------------------------------------------------------------------


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _value(kind: str, value: Any) -> Any:
    if kind == "float":
        return float(value)
    if kind == "string" and not isinstance(value, str):
        return value.isoformat() if hasattr(value, "isoformat") else orjson.dumps(value).decode()
    if kind == "time" and isinstance(value, str):
        return _time(datetime.fromisoformat(value))
    return value
