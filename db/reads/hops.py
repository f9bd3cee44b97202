"""The messages of a story as hops, and any two of them side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select, tuple_

from db.reads.payloads import FieldOrigin, Payload, payload
from db.reads.stories import Story, StoryEvent
from db.tables import ingest_ledger, raw_message
from tower.access import Scope
from tower.comparison import (
    CARRIES,
    ON_ITS_WAY,
    FieldDifference,
    Hop,
    Link,
    PartRow,
    Told,
    content_hash,
    differences,
    fields_of,
    first_difference,
    group_of,
    links,
    parts_compared,
)
from tower.identity import item_key
from tower.masking import OPEN, class_of_name, overlaps
from tower.search_words import decoded

MOST_HOPS = 300


@dataclass(frozen=True, slots=True)
class Way:
    """The hops of a story in the order they happened, and how each follows the one before."""

    hops: tuple[Hop, ...]
    links: tuple[Link, ...]


def way(conn: Connection, scope: Scope, story: Story) -> Way:
    """The hops of a story. Content with values that are masked for the viewer proves nothing:
    values of one length would look alike.
    """
    events = story.events[:MOST_HOPS]
    ledgers = _ledgers(conn, {(e.source, e.raw_key) for e in events})
    by_message: dict[tuple[str, str], list[StoryEvent]] = {}
    for event in events:
        by_message.setdefault((event.source, event.raw_key), []).append(event)
    hops = []
    for (source, key), told in by_message.items():
        ledger = ledgers.get((source, key))
        lead = next((e for e in told if e.type in CARRIES), told[0])
        group = group_of(lead.type)
        content = [fields_of(e.data) for e in told if e.type in CARRIES]
        if any(_is_hidden(scope, name) for one in content for name in one):
            content = []
        hops.append(
            Hop(
                source=source,
                key=key,
                system=lead.system,
                step=lead.type,
                group=group,
                at=lead.occurred_at,
                received_at=lead.received_at,
                format="" if ledger is None else ledger[1],
                bytes_hash="" if ledger is None else ledger[0],
                content_hash=content_hash(group, content) if content else None,
                ids=_ids(told),
                type=lead.type,
                event_id=str(lead.event_id),
                chain=f"{group} {lead.correlation_id or ''}" if group == ON_ITS_WAY else group,
            )
        )
    hops.sort(key=lambda hop: (hop.at, hop.received_at, hop.source, hop.key))
    return Way(tuple(hops), tuple(links(hops)))


def _is_hidden(scope: Scope, field: str) -> bool:
    kind = class_of_name(field.rpartition(" · ")[2])
    return kind != OPEN and kind not in scope.reveals


def _ids(events: Iterable[StoryEvent]) -> frozenset[str]:
    found: set[str] = set()
    for event in events:
        found.update(ref[2] for ref in event.objects if ref[0] in ("po", "order", "asn", "invoice"))
        if event.correlation_id:
            found.add(event.correlation_id)
        found.update(
            str(event.data[name]) for name in ("message", "control") if event.data.get(name)
        )
    return frozenset(found)


def _ledgers(
    conn: Connection, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, str]]:
    """(source, key) -> (sha-256 of the bytes, media type)."""
    named = [(item_key(source, key), source, key) for source, key in keys]
    if not named:
        return {}
    i, r = ingest_ledger.c, raw_message.c
    rows = conn.execute(
        select(i.source, i.key, i.sha256, r.media_type)
        .outerjoin(
            raw_message,
            (r.item_key == i.item_key)
            & (r.source == i.source)
            & (r.key == i.key)
            & (r.received_at == i.received_at),
        )
        .where(tuple_(i.item_key, i.source, i.key).in_(named))
    )
    return {(row.source, row.key): (bytes(row.sha256).hex(), row.media_type or "") for row in rows}


# --- two of them ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two messages compared."""

    source: str
    key: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two messages side by side.

    same_bytes, first_difference  of the bytes as this viewer may see them
    parts      segments, rows or lines
    fields     what both say of their documents
    """

    one: Side
    other: Side
    same_bytes: bool
    first_difference: int | None
    parts: tuple[PartRow, ...]
    fields: tuple[FieldDifference, ...]


def compare(
    conn: Connection,
    scope: Scope,
    one: tuple[str, str],
    other: tuple[str, str],
    events: Sequence[StoryEvent],
) -> Comparison | None:
    """Two messages of which ``events`` tell; None if one of them is not there or not the viewer's.

    What is masked for the viewer is masked before it is compared.
    """
    left, right = payload(conn, scope, *one), payload(conn, scope, *other)
    if left is None or right is None:
        return None
    return Comparison(
        one=_side(left),
        other=_side(right),
        same_bytes=left.sha256 == right.sha256,
        first_difference=first_difference(left.body, right.body),
        parts=tuple(parts_compared(left.body, right.body)),
        fields=tuple(differences(_told(left, events), _told(right, events))),
    )


def _side(found: Payload) -> Side:
    return Side(found.source, found.key, found.name, len(found.body), found.sha256)


def _told(found: Payload, events: Sequence[StoryEvent]) -> dict[str, Told]:
    """The fields that a message tells, each with its bytes where they are known."""
    result: dict[str, Told] = {}
    by_event: dict[str, dict[str, FieldOrigin]] = {}
    for place in found.origins:
        by_event.setdefault(str(place.event_id), {})[place.field] = place
    mine = [e for e in events if (e.source, e.raw_key) == (found.source, found.key)]
    for event in mine:
        places = by_event.get(str(event.event_id), {})
        for name, told in fields_of(event.data).items():
            result[name] = _placed(told, places, found)
    return result


def _placed(told: Told, places: Mapping[str, FieldOrigin], found: Payload) -> Told:
    place = places.get(told.path)
    if place is None or place.offset is None or not place.length:
        return told if place is None else replace(told, element=place.element or place.rule)
    bytes_ = found.body[place.offset : place.offset + place.length]
    hidden = overlaps(found.hidden, place.offset, place.length)
    return replace(
        told,
        raw=None if hidden else decoded(bytes_),
        offset=place.offset,
        length=place.length,
        element=place.element,
    )
