"""Events that name no order, brought to the orders that their ids and shipments lead to.

Such an event has one row in `event_object` at each order it reaches, marked as linked. Which rows
there should be follows from the set of events and links alone; here that set is compared with the
rows that are there, both when an event comes after its link and when a link comes after its events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from psycopg import Cursor

from db import flows, staging
from db.arrivals import OBJECT_COLUMNS
from tower.correlation import document_home, leads_from
from tower.event import Event, TimeQuality
from tower.registers import instant, microseconds
from tower.touches import told
from tower.vocabulary import objects_of

_OF_EVERY_ORDER = frozenset(("asn.replaced", "asn.cancelled", "asn.accepted", "asn.rejected"))
"""What is said of an ASN concerns every order in it, also one that it no longer names."""

_DOCUMENTS_OWN = frozenset(
    ("pos", "n_lines", "digest", "n_packs", "qty", "uom", "entries", "ships")
)


class Reached(NamedTuple):
    """An event at an order it does not name. Instants in microseconds since 1970 UTC."""

    home: int
    event_id: UUID
    type: str
    system: str
    at: int
    arrived: int
    event_home: int
    via: int
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Woven:
    """What weaving changed: rows that are new, homes that lost some, and marks of flows."""

    new: list[Reached] = field(default_factory=list)
    moved: list[Reached] = field(default_factory=list)
    lost: list[tuple[int, UUID]] = field(default_factory=list)
    matched: dict[int, bool] = field(default_factory=dict)
    nodes: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Candidate:
    event_id: UUID
    type: str
    system: str
    at: int
    received: int
    event_home: int
    leads: tuple[int, ...]
    facts: Mapping[str, Any]
    named: frozenset[int] = frozenset()


def weave(cursor: Cursor[Any], seeds: Iterable[int], lost: Iterable[int] = ()) -> Woven:
    """Compare what the flows around ``seeds`` should reach with what is kept. Writes nothing.

    ``lost`` are orders that were tied to them before.
    """
    part = flows.component(cursor, seeds)
    woven = Woven(nodes=part.nodes, matched=flows.settled(part))
    candidates = _candidates(cursor, part)
    wanted: dict[tuple[int, UUID], Reached] = {}
    for one in candidates:
        for root, (arrived, via) in part.web.reach(one.leads, one.received).items():
            if root in one.named:
                continue
            wanted[(root, one.event_id)] = Reached(
                root,
                one.event_id,
                one.type,
                one.system,
                one.at,
                arrived,
                one.event_home,
                via,
                one.facts,
            )
    kept = _kept(cursor, part.roots | set(lost), {one.event_id for one in candidates})
    for key, row in wanted.items():
        standing = kept.get(key)
        if standing is None:
            woven.new.append(row)
        elif standing != (row.arrived, row.via):
            woven.moved.append(row)
    woven.lost = sorted(set(kept) - set(wanted))
    return woven


_KEPT = (
    "SELECT home_key, event_id, (extract(epoch FROM arrived_at) * 1000000)::bigint, via "
    "FROM event_object WHERE home_key = ANY(%s::bigint[]) AND linked"
)


def _kept(
    cursor: Cursor[Any], roots: set[int], events: set[UUID]
) -> dict[tuple[int, UUID], tuple[int, int]]:
    if not roots or not events:
        return {}
    cursor.execute(_KEPT, (staging.numbers(sorted(roots)),))
    return {
        (home, event): (arrived, via)
        for home, event, arrived, via in cursor.fetchall()
        if event in events
    }


# --- which events might reach an order ----------------------------------------------------------

_EVENT = (
    "home_key, event_id, type, source, raw_key, position, occurred_at, received_at, system, "
    "partner_id, correlation_id, causation_id, carries, answers, data::text, "
    "time_quality, recorded_at, channel"
)
_AT_IDS = f"SELECT {_EVENT} FROM event WHERE home_key = ANY(%s::bigint[])"  # noqa: S608
# At an id that identifies nothing only those events are asked for that also name another one.
_BESIDE = (
    _AT_IDS + " AND (correlation_id = ANY(%s::text[]) OR causation_id = ANY(%s::text[]) "
    "OR carries && %s::text[] OR answers && %s::text[])"
)
_AT_DOCUMENTS = (
    "SELECT home_key, event_id, type, system, occurred_at, arrived_at, event_home, words::text "
    "FROM event_object WHERE home_key = ANY(%s::bigint[]) AND kind IN ('asn', 'invoice')"
)


def _candidates(cursor: Cursor[Any], part: flows.Component) -> list[_Candidate]:
    found: dict[UUID, _Candidate] = {}
    homes = sorted(home for home in part.nodes if (one := part.flows.get(home)) and one.n_events)
    rows: list[Any] = []
    if homes:
        rows = rows_at(cursor, homes)
    beside = sorted(home for home in part.beside if part.flows[home].n_events)
    if beside:
        texts = [
            part.flows[home].anchor
            for home in part.nodes
            if home in part.flows and part.flows[home].kind == "id"
        ]
        given = staging.literal(texts)
        cursor.execute(_BESIDE, (staging.numbers(beside), given, given, given, given))
        rows += cursor.fetchall()
    for row in rows:
        event = event_of(row)
        if event.roots():
            continue
        found[event.id] = _Candidate(
            event.id,
            event.type,
            event.system,
            microseconds(event.occurred_at),
            microseconds(row[7]),
            row[0],
            # What names nothing at all can still be tied by hand, where it lives.
            tuple(node.home for node in leads_from(event)) or (row[0],),
            told(event),
        )
    documents = sorted(
        home
        for home in part.nodes
        if (flow := part.flows.get(home)) and flow.kind in ("asn", "invoice")
    )
    if documents:
        roots = part.roots
        cursor.execute(_AT_DOCUMENTS, (staging.numbers(documents),))
        for home, event_id, type_, system, at, arrived, event_home, text in cursor.fetchall():
            facts = orjson.loads(text)[""]
            pos = facts.get("pos") or ()
            # An event of one order lives there, one of several names them; any other names none.
            names_none = event_home not in roots and not pos
            if event_id not in found and (type_ in _OF_EVERY_ORDER or names_none):
                found[event_id] = _Candidate(
                    event_id,
                    type_,
                    system,
                    microseconds(at),
                    microseconds(arrived),
                    event_home,
                    (home,),
                    {k: v for k, v in facts.items() if k not in _DOCUMENTS_OWN},
                    frozenset(document_home("po", erp, po) for erp, po in pos),
                )
    return list(found.values())


def rows_at(cursor: Cursor[Any], homes: Iterable[int]) -> list[Any]:
    """All events that live at these homes, for ``event_of``."""
    cursor.execute(_AT_IDS, (staging.numbers(sorted(homes)),))
    return cursor.fetchall()


def event_of(row: Any) -> Event:
    """The event of a row of `event`; its partner's key is not kept, only the number (row[9])."""
    data = orjson.loads(row[14])
    return Event(
        id=row[1],
        type=row[2],
        source=row[3],
        raw_key=row[4],
        position=row[5],
        occurred_at=row[6],
        objects=objects_of(row[2], data),
        data=data,
        system=row[8],
        time_quality=TimeQuality(row[15]),
        recorded_at=row[16],
        channel=row[17],
        correlation_id=row[10],
        causation_id=row[11],
        carries=tuple(row[12]),
        answers=tuple(row[13]),
    )


# --- writing ------------------------------------------------------------------------------------


def apply(cursor: Cursor[Any], woven: Woven, subjects: Mapping[int, tuple[str, str, str]]) -> None:
    """Write what weaving found; ``subjects`` names the order (kind, scope, number) of each home."""
    lines = []
    for row in woven.new:
        kind, scope, number = subjects[row.home]
        lines.append(
            f"{row.home}\t{row.event_id}\tt\t{row.event_home}\t{row.via}\t"
            f"{instant(row.at)}\t{instant(row.arrived)}\t{row.type}\t{staging.text(row.system)}\t"
            f"{kind}\t{staging.text(scope)}\t{staging.text(number)}\t"
            f"{staging.json({'': row.facts})}"
        )
    staging.copy(cursor, "event_object", OBJECT_COLUMNS, lines)
    for row in woven.moved:
        cursor.execute(
            "UPDATE event_object SET arrived_at = %s, via = %s "
            "WHERE home_key = %s AND event_id = %s AND linked",
            (instant(row.arrived), row.via, row.home, row.event_id),
        )
    for home, event_id in woven.lost:
        cursor.execute(
            "DELETE FROM event_object WHERE home_key = %s AND event_id = %s AND linked",
            (home, event_id),
        )


def orders_at(cursor: Cursor[Any], homes: Iterable[int]) -> dict[int, tuple[str, str, str]]:
    """(kind, scope, number) of the orders that live at these homes.

    One that events only name, without a word about it, has no document yet: its flow is asked.
    """
    found: dict[int, tuple[str, str, str]] = {}
    cursor.execute(
        "SELECT home_key, kind, scope, number FROM document "
        "WHERE home_key = ANY(%s::bigint[]) AND line = '' AND kind IN ('po', 'order')",
        (staging.numbers(sorted(homes)),),
    )
    for home, kind, scope, number in cursor.fetchall():
        found[home] = (kind, scope, number)
    for home, flow in flows.look_up(cursor, sorted(set(homes) - found.keys())).items():
        named = _named(flow) if flow.kind in ("po", "order") else None
        if named is not None:
            found[home] = named
    return found


def _named(flow: flows.Flow) -> tuple[str, str, str] | None:
    """The order that an anchor names ("po:main:4711"); its home tells where the scope ends."""
    words = flow.anchor.split(":")[1:]
    for n in range(1, len(words)):
        scope, number = ":".join(words[:n]), ":".join(words[n:])
        if document_home(flow.kind, scope, number) == flow.home:
            return flow.kind, scope, number
    return None
