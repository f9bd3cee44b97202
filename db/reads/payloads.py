"""Raw messages: the bytes as received, how they were read, and which bytes each value came from."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from db.reads.filters import within_scope
from db.reads.rows import record, records
from db.tables import (
    dead_letter,
    event,
    ingest_ledger,
    interpretation,
    origin,
    raw_message,
    sighting,
)
from tower.access import EVERYTHING, Scope
from tower.identity import item_key
from tower.masking import Hidden, hidden_ranges, masked, masked_data, masked_headers
from tower.vocabulary import objects_of


@dataclass(frozen=True, slots=True)
class FieldOrigin:
    """One value of one event and its bytes. ``offset`` None: a rule gave it, not the payload."""

    event_id: UUID
    field: str
    element: str
    offset: int | None
    length: int | None
    how: str
    rule: str


@dataclass(frozen=True, slots=True)
class Payload:
    """A raw message with everything the tower knows of it.

    ``body`` and ``headers`` are as the viewer may see them: ``hidden`` bytes are replaced, and the
    length stays. ``sha256`` is of the bytes as received.
    """

    source: str
    key: str
    name: str
    received_at: datetime
    media_type: str
    headers: Mapping[str, str]
    body: bytes
    sha256: str
    outcome: str
    n_events: int
    readings: tuple[Mapping[str, Any], ...]
    sightings: tuple[Mapping[str, Any], ...]
    dead_letters: tuple[Mapping[str, Any], ...]
    origins: tuple[FieldOrigin, ...]
    hidden: tuple[Hidden, ...] = ()


def body_bytes(encoding: str, body: bytes) -> bytes:
    """The bytes as received from the form in which they are stored."""
    return zlib.decompress(body) if encoding == "zlib" else bytes(body)


def payload(conn: Connection, scope: Scope, source: str, key: str) -> Payload | None:
    """One raw message; None if there is none, it expired, or it is not the viewer's.

    Raises AccessDenied for a role that reads no bytes.
    """
    scope.demand("payload.read")
    home = item_key(source, key)

    def of(table: Any) -> Sequence[Any]:
        return (table.c.item_key == home, table.c.source == source, table.c.key == key)

    ledger = conn.execute(select(ingest_ledger).where(*of(ingest_ledger))).one_or_none()
    if ledger is None:
        return None
    conditions = [*of(raw_message), raw_message.c.received_at == ledger.received_at]
    ids = scope.partner_ids
    if ids is not None:
        conditions.append(raw_message.c.partner_id.in_(ids))
    raw = conn.execute(select(raw_message).where(*conditions)).one_or_none()
    if raw is None:
        return None
    origins = _origins(conn, ledger, of(origin))
    body, hidden = as_shown(body_bytes(raw.encoding, raw.body), scope, origins)
    return Payload(
        source=source,
        key=key,
        name=raw.name,
        received_at=raw.received_at,
        media_type=raw.media_type,
        headers=masked_headers(raw.headers, scope.reveals),
        body=body,
        sha256=bytes(ledger.sha256).hex(),
        outcome=ledger.outcome,
        n_events=ledger.n_events,
        readings=_readings(conn, ledger, of(interpretation)),
        sightings=records(conn, select(sighting).where(*of(sighting)).order_by(sighting.c.seen_at)),
        dead_letters=records(
            conn,
            select(dead_letter)
            .where(*of(dead_letter))
            .order_by(dead_letter.c.attempt, dead_letter.c.position),
        ),
        origins=origins,
        hidden=tuple(hidden),
    )


def as_shown(
    body: bytes, scope: Scope, origins: Iterable[FieldOrigin]
) -> tuple[bytes, list[Hidden]]:
    """The bytes as this viewer may see them, and what of them is hidden."""
    origins = tuple(origins)
    read = [(o.field, o.offset, o.length or 0) for o in origins if o.offset is not None]
    named = {o.element: o.field for o in origins if o.offset is None and o.element}
    hidden = hidden_ranges(body, scope.reveals, read, named)
    return masked(body, hidden), hidden


def _readings(conn: Connection, ledger: Any, here: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
    """How a message was read, earliest first; one that left no findings is in the ledger alone."""
    kept = records(conn, select(interpretation).where(*here).order_by(interpretation.c.at))
    in_force = (ledger.interpreter, ledger.version)
    if any((row["interpreter"], row["version"]) == in_force for row in kept):
        return kept
    read = {name: getattr(ledger, name) for name in ("item_key", "source", "key")}
    read |= {"interpreter": ledger.interpreter, "version": ledger.version, "mapping": ""}
    read |= {"at": ledger.read_at, "outcome": ledger.outcome, "n_events": ledger.n_events}
    return (*kept, read | {"findings": []})


def _origins(conn: Connection, ledger: Any, here: Sequence[Any]) -> tuple[FieldOrigin, ...]:
    if ledger.fields_at is None:
        return tuple(
            FieldOrigin(row.event_id, *field)
            for row in conn.execute(select(origin.c.event_id, origin.c.fields).where(*here))
            for field in row.fields
        )
    told = conn.execute(
        select(event.c.event_id).where(
            event.c.home_key.in_(ledger.homes),
            event.c.source == ledger.source,
            event.c.raw_key == ledger.key,
        )
    )
    return tuple(
        FieldOrigin(event_id, "*", ledger.fields_at, None, None, "copied", "")
        for event_id in told.scalars()
    )


def events_of(
    conn: Connection, source: str, key: str, scope: Scope = EVERYTHING
) -> list[Mapping[str, Any]]:
    """The events that a raw message yielded, by position."""
    homes = conn.execute(
        select(ingest_ledger.c.homes).where(
            ingest_ledger.c.item_key == item_key(source, key),
            ingest_ledger.c.source == source,
            ingest_ledger.c.key == key,
        )
    ).scalar_one_or_none()
    if not homes:
        return []
    return [
        {
            **record(row),
            "objects": objects_in(row),
            "data": masked_data(row.data, scope.reveals),
        }
        for row in conn.execute(
            select(event)
            .where(
                event.c.home_key.in_(homes),
                event.c.source == source,
                event.c.raw_key == key,
                *within_scope(event.c, scope),
            )
            .order_by(event.c.position, event.c.type)
        )
    ]


def objects_in(row: Any) -> list[list[str]]:
    """[kind, scope, number, line, qualifier] of each object that a row of `event` touches."""
    return [list(ref) for ref in objects_of(row.type, row.data)]
