"""A newer interpretation of messages that are kept takes the place of the former one.

What the former one told and the newer does not is taken back everywhere: events, what they said of
documents, ties, counts; the newer one's events are then added as any others. An event that stays
keeps its id, and one that stays as it was is not touched at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor
from sqlalchemy import Connection, and_, select, tuple_

from db import (
    arrivals,
    families,
    flows,
    messages,
    mirroring,
    netting_marks,
    staging,
    stock,
    subscriptions,
    weaving,
)
from db.arrivals import Gathered, Item
from db.driver import no_garbage, raw_cursor
from db.flows import Flow, FlowGain, TieKey, tie_key
from db.ingest import ItemResult, Stored, body_of, result_of
from db.mirroring import HAND
from db.spreading import Spreading
from db.tables import ingest_ledger, raw_message
from db.tallies import Tally
from tower.correlation import DOCUMENTS, Node, Tie, document_home, identifies, place
from tower.documents import HEADER_OF, Owners
from tower.event import Event
from tower.identity import item_key
from tower.network import Network
from tower.raw import DeadLetter, Interpreted, Raw
from tower.registers import microseconds
from tower.timelines import stamp
from tower.touches import touches


@dataclass(frozen=True, slots=True)
class _Kept:
    """An event as it is kept."""

    event: Event
    home: int
    received: datetime
    partner: int | None


@dataclass(slots=True)
class _Recount:
    """Flows and ties as the events that are left tell them."""

    gains: dict[int, FlowGain] = field(default_factory=dict)
    ties: dict[TieKey, tuple[Tie, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reread:
    """What reading one message again did.

    changed     False: it told the same as before, so nothing was written
    events      how many it tells now, also those that another message told before it
    withdrawn, added   events as {id, type, occurred_at, position, data}; one that says something
                else than before is in both, under the same id
    letters     what could not be read, now and ``former_letters`` before: {position, code, cause}
    homes       homes whose documents may have changed
    """

    source: str
    key: str
    changed: bool
    result: ItemResult
    events: int
    withdrawn: tuple[Mapping[str, Any], ...] = ()
    added: tuple[Mapping[str, Any], ...] = ()
    letters: tuple[Mapping[str, Any], ...] = ()
    former_letters: tuple[Mapping[str, Any], ...] = ()
    homes: frozenset[int] = frozenset()
    new_events: int = 0
    known: int = 0
    documents: int = 0


def reinterpret(
    conn: Connection, items: Sequence[Interpreted], *, net: Network, now: datetime, by: str = ""
) -> Stored:
    """Replace what these messages yielded, in the caller's transaction.

    Each raw message must be kept; the bytes given are those that were read again. A message of
    which a newer version has been in force is left as it is, and so is one that tells what it told
    before ("repeated"). An event that another message told too comes back with that one's own
    reinterpretation.
    """
    done = [*reread(conn, items, net=net, now=now, by=by)]
    return Stored(
        items=tuple(one.result for one in done),
        events=sum(one.new_events for one in done),
        known_events=sum(one.known for one in done),
        dead_letters=sum(len(one.letters) for one in done if one.changed),
        documents=sum(one.documents for one in done),
        homes=frozenset().union(*(one.homes for one in done)),
    )


def reread(
    conn: Connection, items: Sequence[Interpreted], *, net: Network, now: datetime, by: str = ""
) -> list[Reread]:
    """The same, and what it changed, message by message."""
    with raw_cursor(conn) as cursor, no_garbage():
        staging.prepare(cursor)
        spreading, tally = Spreading(cursor, Owners.of(net), now), Tally()
        firsts = (arrivals.unique([one])[0][0] for one in items)
        done = [_reread(cursor, spreading, tally, item, now, by) for item in firsts]
        tally.write(cursor)
        return done


def _reread(
    cursor: Cursor[Any], spreading: Spreading, tally: Tally, item: Item, now: datetime, by: str
) -> Reread:
    reading, (source, key) = item.reading, item.identity
    standing = _standing(cursor, item)
    former = _letters(cursor, item)
    if standing.outdone:
        return Reread(source, key, False, ItemResult("repeated"), standing.events, letters=former)
    gone, found = _compare(cursor, item, standing.received, standing.homes)
    letters = tuple(
        {letter.position: _letter(letter) for letter in reversed(reading.dead_letters)}.values()
    )
    if not gone and standing.same_version:
        news = dict(found)
        known = item.n_known
        messages.gather_unknown(cursor, news, careful=True)
        item.n_known = known
        if not news and _alike(former, letters) and _same_findings(cursor, item):
            result = ItemResult("repeated")
            events = len(reading.events)
            return Reread(source, key, False, result, events, letters=former)
    withdrawn = [_told(one.event) for one in gone]
    kept = _with_origins(cursor, item, withdrawn)
    homes = _take_back(spreading, gone)
    for one in gone:
        tally.drop(one.event, one.received, one.partner)
    gathered = messages.gather_unknown(cursor, found, careful=True)
    # What names nothing leads nowhere, but it may be tied by hand.
    gathered.seeds |= {h for h, g in gathered.gains.items() if g.node.kind == "item"}
    messages.write_events(cursor, gathered)
    written, touched = spreading.spread(gathered)
    for event, _ in found.values():
        tally.take(event, microseconds(event.occurred_at), item.heard)
    subscriptions.tell_events(cursor, arrivals.homed(found), now)
    messages.read_again(cursor, item, now, by=by, taken_back=kept)
    return Reread(
        source=source,
        key=key,
        changed=True,
        result=result_of(reading),
        events=len(reading.events),
        withdrawn=tuple(withdrawn),
        added=tuple(_told(event) for event, _ in found.values()),
        letters=letters,
        former_letters=former,
        homes=frozenset(homes | touched),
        new_events=len(found),
        known=item.n_known,
        documents=written,
    )


def _told(event: Event) -> dict[str, Any]:
    return {
        "id": str(event.id),
        "type": event.type,
        "occurred_at": event.occurred_at.isoformat(),
        "position": event.position,
        "data": event.data,
    }


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {"position": letter.position, "code": letter.code, "cause": letter.cause}


def _alike(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> bool:
    def said(letters: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
        return {(found["position"], found["code"], found["cause"]) for found in letters}

    return said(one) == said(other)


def _letters(cursor: Cursor[Any], item: Item) -> tuple[dict[str, Any], ...]:
    """What the reading in force could not read."""
    here = (item.item_key, *item.identity)
    cursor.execute(
        "SELECT position, code, cause FROM dead_letter WHERE item_key = %s AND source = %s "
        "AND key = %s AND kind = 'interpret' AND state <> 'superseded' AND attempt = "
        "(SELECT max(attempt) FROM dead_letter WHERE item_key = %s AND source = %s AND key = %s "
        "AND kind = 'interpret') ORDER BY position",
        (*here, *here),
    )
    return tuple(
        {"position": position, "code": code, "cause": cause}
        for position, code, cause in cursor.fetchall()
    )


def _same_findings(cursor: Cursor[Any], item: Item) -> bool:
    cursor.execute(
        "SELECT findings::text FROM interpretation WHERE item_key = %s AND source = %s "
        "AND key = %s AND interpreter = %s AND version = %s ORDER BY revision DESC LIMIT 1",
        (item.item_key, *item.identity, item.reading.interpreter, item.reading.version),
    )
    row = cursor.fetchone()
    former = orjson.loads(row[0]) if row else []
    # That the key came again with other bytes is a finding of ingest, not of the interpreter.
    own = [one for one in former if one.get("code") != "other_bytes"]
    new = orjson.loads(staging.dumped([messages.told(f) for f in item.reading.findings]))
    return bool(own == new)


def _with_origins(
    cursor: Cursor[Any], item: Item, withdrawn: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Events that leave, each with the places its fields were read from."""
    if not withdrawn:
        return []
    cursor.execute(
        "SELECT event_id, fields::text FROM origin "
        "WHERE item_key = %s AND source = %s AND key = %s",
        (item.item_key, *item.identity),
    )
    places = {str(event_id): orjson.loads(text) for event_id, text in cursor.fetchall()}
    return [{**one, "origins": places.get(one["id"], [])} for one in withdrawn]


def kept(conn: Connection, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Raw]:
    """Raw messages by (source, key), as received; one whose bytes are gone is not among them."""
    found: dict[tuple[str, str], Raw] = {}
    wanted = {(item_key(source, key), source, key) for source, key in asked}
    if not wanted:
        return found
    held = tuple_(raw_message.c.item_key, raw_message.c.source, raw_message.c.key)
    rows = conn.execute(
        select(raw_message)
        .join(
            ingest_ledger,
            and_(
                ingest_ledger.c.item_key == raw_message.c.item_key,
                ingest_ledger.c.source == raw_message.c.source,
                ingest_ledger.c.key == raw_message.c.key,
                ingest_ledger.c.received_at == raw_message.c.received_at,
            ),
        )
        .where(held.in_(sorted(wanted)))
    )
    for row in rows:
        found[(row.source, row.key)] = Raw(
            source=row.source,
            key=row.key,
            body=body_of(row),
            received_at=row.received_at,
            media_type=row.media_type,
            headers=row.headers,
            name=row.name,
        )
    return found


@dataclass(frozen=True, slots=True)
class _Standing:
    """A message as the ledger has it; ``outdone``: a newer version has read it already."""

    received: datetime
    homes: list[int]
    events: int
    same_version: bool
    outdone: bool


def _standing(cursor: Cursor[Any], item: Item) -> _Standing:
    """How a message stands; one that is not kept is a mistake of the caller."""
    here = (item.item_key, *item.identity)
    # Locked: two that read the same message again take turns.
    cursor.execute(
        "SELECT received_at, homes, n_events, interpreter, version FROM ingest_ledger "
        "WHERE item_key = %s AND source = %s AND key = %s FOR UPDATE",
        here,
    )
    row = cursor.fetchone()
    if row is None:
        raise ValueError(
            f"Message {item.identity[0]}/{item.identity[1]} is not kept; store it first."
        )
    received, homes, events, interpreter, version = row
    reading = item.reading
    cursor.execute(
        "SELECT 1 FROM interpretation WHERE item_key = %s AND source = %s AND key = %s "
        "AND interpreter = %s AND version > %s",
        (*here, reading.interpreter, reading.version),
    )
    newer = interpreter == reading.interpreter and version > reading.version
    return _Standing(
        received,
        homes,
        events,
        (interpreter, version) == (reading.interpreter, reading.version),
        newer or cursor.fetchone() is not None,
    )


def _compare(
    cursor: Cursor[Any], item: Item, received: datetime, homes: Sequence[int]
) -> tuple[list[_Kept], dict[UUID, tuple[Event, Item]]]:
    """(events to take back, events to add); an event that stays as it was is in neither."""
    item.raw = replace(item.raw, received_at=received)
    item.heard = microseconds(received)
    item.received = staging.timestamp(item.heard)
    found = arrivals.events_of([item])
    former = {
        one.event.id: one
        for one in _events_at(cursor, homes)
        if (one.event.source, one.event.raw_key) == item.identity
    }
    for event, _ in found.values():
        item.homes.add(place(event).node.home)
        item.homes |= _homes_of(event)
    gone = []
    for event_id, one in former.items():
        if event_id in found and _same(one, found[event_id][0]):
            del found[event_id]
        else:
            gone.append(one)
    return gone, found


def _homes_of(event: Event) -> set[int]:
    """Homes of the documents that an event names."""
    return {document_home(HEADER_OF.get(t.kind, t.kind), t.scope, t.number) for t in touches(event)}


def _same(kept: _Kept, new: Event) -> bool:
    partner = None if new.partner is None else families.partner_id(new.partner)
    return kept.partner == partner and all(
        getattr(kept.event, name) == getattr(new, name)
        for name in (
            *("type", "occurred_at", "data", "system", "correlation_id"),
            *("causation_id", "carries", "answers", "position", "time_quality"),
            *("recorded_at", "channel"),
        )
    )


def _events_at(cursor: Cursor[Any], homes: Iterable[int]) -> list[_Kept]:
    return [
        _Kept(weaving.event_of(row), row[0], row[7], row[9])
        for row in weaving.rows_at(cursor, homes)
    ]


# --- taking back --------------------------------------------------------------------------------


def _take_back(spreading: Spreading, gone: Sequence[_Kept]) -> set[int]:
    """Remove events and all that followed from them; the homes whose documents changed."""
    if not gone:
        return set()
    cursor = spreading.cursor
    nodes: dict[int, Node] = {}
    for one in gone:
        spot = place(one.event)
        ends = [end for tie in spot.ties for end in (tie.one, tie.other)]
        for node in (spot.node, *spot.roots, *ends):
            nodes[node.home] = node
    standing = flows.look_up(cursor, sorted(nodes))
    gains = [FlowGain(node) for home, node in nodes.items() if home in standing]
    flows.gain(cursor, gains, standing)  # locks them
    ids = "{" + ",".join(str(one.event.id) for one in gone) + "}"
    part = flows.component(cursor, [h for h, node in nodes.items() if not node.is_root])
    spoken_at = {h for one in gone for h in _homes_of(one.event)} | part.roots
    cursor.execute(
        "DELETE FROM event_object WHERE home_key = ANY(%s::bigint[]) AND event_id = ANY(%s::uuid[])"
        " RETURNING home_key",
        (staging.numbers(sorted(spoken_at)), ids),
    )
    homes = {row[0] for row in cursor.fetchall()}
    cursor.execute(
        "DELETE FROM event WHERE home_key = ANY(%s::bigint[]) AND event_id = ANY(%s::uuid[])",
        (staging.numbers(sorted({one.home for one in gone})), ids),
    )
    _settle_flows(cursor, standing)
    woven = weaving.weave(cursor, part.nodes, part.roots)
    for mark in (True, False):
        changed = [home for home, matched in woven.matched.items() if matched is mark]
        flows.set_matched(cursor, changed, mark)
    homes |= {row.home for row in woven.new} | {home for home, _ in woven.lost}
    weaving.apply(cursor, woven, weaving.orders_at(cursor, homes))
    homes |= mirroring.mirror(cursor, homes)
    if any(one.event.type in ("peg.set", "peg.removed") for one in gone):
        _settle_pegs(cursor, homes)
    places = netting_marks.places_now(cursor, homes) if spreading.nets() else set()
    places |= stock.take_back(
        cursor, (one.event.id for one in gone if one.event.type in stock.TYPES)
    )
    folded = families.refold(cursor, homes)
    families.replace(cursor, folded, spreading.owners)
    spreading.wake({k.home for k in folded if k.kind in ("po", "asn")})
    _judge_again(cursor, homes, spreading.now)
    spreading.mark({k.home for k in folded if k.kind in ("po", "order")}, places)
    return homes


def _judge_again(cursor: Cursor[Any], homes: Iterable[int], now: datetime) -> None:
    """Have clocks judged without what they took; after waking, which waits for who judges now."""
    cursor.execute(
        "UPDATE judged_unit SET reread_at = %s, impact_at = %s WHERE home_key = ANY(%s::bigint[])",
        (now, now, staging.numbers(sorted(homes))),
    )


def _settle_flows(cursor: Cursor[Any], standing: Mapping[int, Flow]) -> None:
    """Set flows and their ties to what the events that are left tell."""
    homes = set(standing)
    kept = flows.links(cursor, homes)
    around = homes | {one.other for ends in kept.values() for one in ends}
    cursor.execute(
        "SELECT DISTINCT event_home FROM event_object "
        "WHERE home_key = ANY(%s::bigint[]) AND NOT linked",
        (staging.numbers(sorted(homes)),),
    )
    around |= {row[0] for row in cursor.fetchall()}
    left = _recount(_events_at(cursor, around), homes)
    dropped = {
        tie_key(home, one.other, one.basis)
        for home, ends in kept.items()
        for one in ends
        if one.basis != HAND  # no event tells of it, so none takes it back
    } - left.ties.keys()
    for one, other, basis in sorted(dropped):
        cursor.execute(
            "DELETE FROM flow_link WHERE basis = %s AND ((home_key = %s AND other_key = %s) "
            "OR (home_key = %s AND other_key = %s))",
            (basis, one, other, other, one),
        )
    for key, (_, since) in left.ties.items():
        for home, other in (key[:2], key[1::-1]):
            cursor.execute(
                "UPDATE flow_link SET since = %s "
                "WHERE home_key = %s AND other_key = %s AND basis = %s",
                (stamp(since), home, other, key[2]),
            )
    for home, flow in standing.items():
        _settle_flow(cursor, flow, left.gains.get(home))
    # Shipments and invoices at hand, and those of orders that may not be known any more.
    tied = flows.links(cursor, homes)
    by = ("document", HAND)
    homes |= {one.other for ends in tied.values() for one in ends if one.basis in by}
    tied = flows.links(cursor, homes)
    known = flows.look_up(cursor, {one.other for ends in tied.values() for one in ends} | homes)
    for home in sorted(homes & known.keys()):
        flow, ends = known[home], tied.get(home, [])
        if flow.kind in DOCUMENTS:
            named = [known[one.other] for one in ends if one.to_root]
            flows.set_matched(cursor, [home], any(root.matched for root in named))
        elif flow.kind == "id":
            cursor.execute(
                "UPDATE flow SET not_identifying = %s WHERE home_key = %s AND anchor = %s",
                (not identifies(ends), home, flow.anchor),
            )


def _recount(found: Iterable[_Kept], homes: set[int]) -> _Recount:
    """What events tell of the flows at ``homes`` and of ties that end there."""
    result = _Recount()
    for one in found:
        gathered = Gathered()
        at, received = microseconds(one.event.occurred_at), microseconds(one.received)
        arrivals.take_flows(gathered, one.event, place(one.event), at, received, one.partner)
        for home, gain in gathered.gains.items():
            if home in homes:
                total = result.gains.setdefault(home, FlowGain(gain.node))
                if gain.node.kind == "item" and gain.events:
                    total.matched = gain.matched and (total.matched or not total.events)
                else:
                    total.matched = total.matched or gain.matched
                total.events += gain.events
                if gain.first is not None:
                    total.take(gain.first, gain.arrived, gain.partner)
        for key, tied in gathered.ties.items():
            if (key[0] in homes or key[1] in homes) and tied[1] < result.ties.get(
                key, (None, tied[1] + 1)
            )[1]:
                result.ties[key] = tied
    return result


def _settle_flow(cursor: Cursor[Any], flow: Flow, left: FlowGain | None) -> None:
    if left is None or left.first is None:
        cursor.execute(
            "DELETE FROM flow WHERE home_key = %s AND anchor = %s", (flow.home, flow.anchor)
        )
        return
    cursor.execute(
        "UPDATE flow SET first_at = %s, last_at = %s, arrived_at = %s, n_events = %s, "
        "matched = %s, partner_id = %s WHERE home_key = %s AND anchor = %s",
        (
            stamp(left.first),
            stamp(left.last),
            stamp(left.arrived),
            left.events,
            left.matched,
            left.partner,
            flow.home,
            flow.anchor,
        ),
    )


def _settle_pegs(cursor: Cursor[Any], homes: Iterable[int]) -> None:
    """Set the pegs of these purchase orders to the latest word that is left."""
    asked = staging.numbers(sorted(homes))
    cursor.execute("DELETE FROM peg WHERE home_key = ANY(%s::bigint[])", (asked,))
    cursor.execute(
        "SELECT home_key, scope, number, type, occurred_at, event_id, words "
        "FROM event_object WHERE home_key = ANY(%s::bigint[]) AND kind = 'po' "
        "AND type IN ('peg.set', 'peg.removed') ORDER BY occurred_at, event_id",
        (asked,),
    )
    latest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for home, scope, number, type_, at, event_id, words in cursor.fetchall():
        for name, facts in words.items():
            for order, order_line, qty in facts["pegs"]:
                told = qty if type_ == "peg.set" else None
                latest[(home, scope, number, name, order, order_line)] = (told, at, event_id)
    for key in sorted(latest):
        cursor.execute(
            'INSERT INTO peg (home_key, scope, po, po_line, "order", order_line, qty, at, event_id)'
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (*key, *latest[key]),
        )
