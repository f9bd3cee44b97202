"""A batch in memory: what each message and event adds to each table, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from db import staging, stock
from db.families import FamilyKey, partner_id
from db.flows import FlowGain, TieKey, tie_key
from tower.correlation import DOCUMENTS, Node, Place, Tie, document_home, leads_from, place
from tower.documents import HEADER_OF, Record
from tower.event import Event
from tower.identity import item_key
from tower.raw import Interpretation, Interpreted, Raw
from tower.registers import microseconds, record, short
from tower.touch import Facts
from tower.touches import touches

EVERY_ORDER = frozenset(("asn.replaced", "asn.cancelled", "asn.accepted", "asn.rejected"))

CREATES = frozenset(("po.released", "order.placed"))


Identity = tuple[str, str]
"""(source, key) of a raw message as the database holds it."""


@dataclass(slots=True, eq=False)
class Item:
    """A raw message at its first place in a batch.

    heard            its receipt in microseconds since 1970 UTC
    received         the same as a field of a binary row
    key              its key with item_key before it as fields of a binary row
    """

    index: int
    item_key: int
    identity: Identity
    raw: Raw
    reading: Interpretation
    sha256: bytes
    heard: int
    received: bytes
    key: bytes
    n_known: int = 0
    homes: set[int] = field(default_factory=set)

    @property
    def named(self) -> str:
        """The same as fields of a COPY line."""
        source, key = map(staging.text, self.identity)
        return f"{self.item_key}\t{source}\t{key}"


Found = Mapping[UUID, tuple[Event, Item]]
"""Events that may be new, each with its message."""


def unique(items: Sequence[Interpreted]) -> tuple[list[Item], list[tuple[Raw, Item]]]:
    """The first message of each (source, key), and the others with the first of theirs."""
    firsts: dict[Identity, Item] = {}
    others: list[tuple[Raw, Item]] = []
    received, heard, when = None, 0, b""
    for index, one in enumerate(items):
        raw = one.raw
        source, key = identity = (staging.storable(raw.source), staging.storable(raw.key))
        first = firsts.get(identity)
        if first is not None:
            others.append((raw, first))
            continue
        if raw.received_at is not received:  # mostly shared by all that was read at once
            received = raw.received_at
            heard = microseconds(received)
            when = staging.timestamp(heard)
        home = item_key(raw.source, raw.key)
        firsts[identity] = Item(
            index,
            home,
            identity,
            raw,
            one.reading,
            sha256(raw.body).digest(),
            heard,
            when,
            staging.bigint(home) + staging.word(source) + staging.octets(key.encode()),
        )
    return list(firsts.values()), others


def events_of(items: Iterable[Item]) -> dict[UUID, tuple[Event, Item]]:
    """The events of these messages, each id once; later ones count as known to their message."""
    found: dict[UUID, tuple[Event, Item]] = {}
    for item in items:
        for event in item.reading.events:
            if event.id in found:
                item.n_known += 1
            else:
                found[event.id] = (event, item)
    return found


NEVER = 1 << 62


@dataclass(slots=True)
class Subject:
    """A document with its lines, and what a batch says about it.

    at, named  its home, and its kind, scope and number, as fields of a binary row
    arrived  earliest receipt of these records
    """

    home: int
    key: FamilyKey
    at: bytes
    named: bytes
    records: list[Record] = field(default_factory=list)
    arrived: int = NEVER


@dataclass(slots=True)
class Gathered:
    """What new events add, by table; instants in microseconds since 1970 UTC.

    living   (home, id) of each event
    spoken   (home, id) of each document that an event names
    seeds    flows whose events may now reach orders
    orders   customer orders that changed: supply pegged to them is judged again
    """

    living: list[tuple[int, UUID]] = field(default_factory=list)
    spoken: list[tuple[int, UUID]] = field(default_factory=list)
    gains: dict[int, FlowGain] = field(default_factory=dict)
    ties: dict[TieKey, tuple[Tie, int]] = field(default_factory=dict)
    seeds: set[int] = field(default_factory=set)
    subjects: dict[tuple[str, str, str], Subject] = field(default_factory=dict)
    pegs: dict[tuple[str, ...], tuple[int, str, str]] = field(default_factory=dict)
    orders: dict[tuple[str, str], int] = field(default_factory=dict)
    levels: dict[stock.Place, stock.Level] = field(default_factory=dict)
    changes: dict[tuple[str, str, str], stock.Change] = field(default_factory=dict)
    event_rows: list[bytes] = field(default_factory=list)
    object_rows: list[bytes] = field(default_factory=list)


def homed(found: Found) -> Iterator[tuple[int, Event]]:
    """Each event with the home it lives in."""
    return ((place(event).node.home, event) for event, _ in found.values())


def gather(found: Found) -> Gathered:
    """Take the events of a batch apart."""
    result = Gathered()
    for event_id, (event, item) in found.items():
        partner = None if event.partner is None else partner_id(event.partner)
        spot = place(event)
        home = spot.node.home
        at = microseconds(event.occurred_at)
        told = _Told(
            event,
            item,
            spot,
            at,
            staging.octets(event_id.bytes),
            staging.bigint(home),
            staging.timestamp(at),
            staging.word(event.type),
            staging.word(event.system),
        )
        result.living.append((home, event_id))
        item.homes.add(home)
        take_flows(result, event, spot, at, item.heard, partner)
        _take_touches(result, told)
        result.event_rows.append(_event_row(told, partner))
        if event.type in ("peg.set", "peg.removed"):
            _take_pegs(result, told)
        elif event.type == stock.REPORTED:
            for place_, level in stock.levels_of(event, at).items():
                if place_ not in result.levels or result.levels[place_][:2] < level[:2]:
                    result.levels[place_] = level
        elif event.type == stock.ADJUSTED:
            result.changes.update(stock.changes_of(event, at))
    return result


class _Told(NamedTuple):
    """An event on its way into the tables, with the fields that its rows share.

    at  when it happened in microseconds since 1970 UTC; ``when`` the same as a field
    """

    event: Event
    item: Item
    spot: Place
    at: int
    ident: bytes
    home: bytes
    when: bytes
    type: bytes
    system: bytes


def take_flows(
    result: Gathered, event: Event, spot: Place, at: int, received: int, partner: int | None
) -> None:
    """What an event adds to flows and ties."""
    gains = result.gains
    node = spot.node
    own = gains.get(node.home) or _gain(gains, node)
    if node.kind == "item":
        # One event that names no order leaves the whole message unmatched.
        own.matched = bool(spot.roots) and (own.matched or not own.events)
    elif node.kind not in _LED or event.type in CREATES:
        own.matched = True
    own.events += 1
    own.take(at, received, partner)
    for root in spot.roots:
        if root is not node:
            _gain(gains, root).take(at, received, partner)
    for tie in spot.ties:
        for end, other in ((tie.one, tie.other), (tie.other, tie.one)):
            if end is node:
                continue
            gain = gains.get(end.home) or _gain(gains, end)
            gain.take(at, received, partner)
            if end.kind == "id" and (other.is_root or (spot.roots and other.kind in DOCUMENTS)):
                gain.matched = True  # the order itself, or a document tied to it here
        key = tie_key(tie.one.home, tie.other.home, tie.basis)
        known = result.ties.get(key)
        if known is None or received < known[1]:
            result.ties[key] = (tie, received)
    if not spot.roots:
        result.seeds.update(lead.home for lead in leads_from(event))
    elif event.type in EVERY_ORDER:
        result.seeds.update(tie.one.home for tie in spot.ties if tie.basis == "document")


_LED = frozenset(("po", "order", "id", "asn", "invoice", "receipt", "item"))


def _gain(gains: dict[int, FlowGain], node: Node) -> FlowGain:
    gain = gains.get(node.home)
    if gain is None:
        gain = gains[node.home] = FlowGain(node)
    return gain


def _take_touches(result: Gathered, told: _Told) -> None:
    """What an event says about each document it names: records to fold, and one row."""
    event, item, _, at, ident, home, when, type_field, system_field = told
    type_, system, name = event.type, event.system, short(event.id)
    spoken: dict[tuple[str, str, str], tuple[Subject, dict[str, Facts]]] = {}
    key: tuple[str, str, str] | None = None
    for kind, scope, number, line, _, facts in touches(event):
        named = (HEADER_OF.get(kind, kind), scope, number)
        if named != key:  # mostly the lines of the document just seen
            key = named
            known = spoken.get(key)
            if known is None:
                known = spoken[key] = (subject_of(result, *key), {})
            subject, words = known
            records = subject.records
        words[line] = facts
        records.append(record((name, kind, line, type_, system, at, facts)))
    if not spoken:
        return
    heard = item.heard
    shared = b"".join(
        (ident, _NAMED, home, staging.NO_VALUE, when, item.received, type_field, system_field)
    )
    for (header, scope, number), (subject, words) in spoken.items():
        here = subject.home
        item.homes.add(here)
        result.spoken.append((here, event.id))
        result.object_rows.append(
            b"".join(
                (
                    _OBJECT_FIELDS,
                    subject.at,
                    shared,
                    subject.named,
                    staging.octets(staging.dumped(words)),
                )
            )
        )
        if heard < subject.arrived:
            subject.arrived = heard
        if header == "order":
            order = (scope, number)
            result.orders[order] = min(heard, result.orders.get(order, heard))


def subject_of(result: Gathered, header: str, scope: str, number: str) -> Subject:
    """What a batch says about a document, nothing so far."""
    named = (header, scope, number)
    subject = result.subjects.get(named)
    if subject is None:
        home = document_home(header, scope, number)
        fields = staging.word(header) + staging.word(scope) + staging.octets_of(number)
        subject = result.subjects[named] = Subject(
            home, FamilyKey(home, *named), staging.bigint(home), fields
        )
    return subject


def _take_pegs(result: Gathered, told: _Told) -> None:
    event = told.event
    for peg in event.data.get("pegs") or ():
        home = document_home("po", peg["erp"], peg["po"])
        key = (
            str(home),
            peg["erp"],
            peg["po"],
            peg["line"],
            peg["order"],
            peg["order_line"],
        )
        qty = peg["qty"] if event.type == "peg.set" else staging.NULL
        word = (told.at, event.id.hex, qty)
        known = result.pegs.get(key)
        if known is None or known[:2] < word[:2]:
            result.pegs[key] = word


EVENT_COLUMNS = (
    "home_key, event_id, type, source, raw_key, position, occurred_at, recorded_at, received_at, "
    "time_quality, system, partner_id, channel, anchor, basis, correlation_id, causation_id, "
    "carries, answers, data"
)
OBJECT_COLUMNS = (
    "home_key, event_id, linked, event_home, via, occurred_at, arrived_at, type, system, kind, "
    "scope, number, words"
)
_EVENT_FIELDS = staging.fields(EVENT_COLUMNS)
_OBJECT_FIELDS = staging.fields(OBJECT_COLUMNS)
_NAMED = staging.octets(b"\0")  # not linked


def _event_row(told: _Told, partner: int | None) -> bytes:
    event, item, spot, _, ident, home, when, type_, system = told
    word, maybe, octets_of, none = (
        staging.word,
        staging.maybe_word,
        staging.octets_of,
        staging.NO_VALUE,
    )
    recorded, correlation, causation = event.recorded_at, event.correlation_id, event.causation_id
    return b"".join(
        (
            _EVENT_FIELDS,
            home,
            ident,
            type_,
            word(event.source),
            octets_of(event.raw_key),
            word(event.position),
            when,
            none if recorded is None else staging.timestamp(microseconds(recorded)),
            item.received,
            word(event.time_quality.value),
            system,
            none if partner is None else staging.bigint(partner),
            maybe(event.channel),
            octets_of(spot.node.text),
            word(spot.basis),
            none if correlation is None else octets_of(correlation),
            none if causation is None else octets_of(causation),
            staging.array(event.carries),
            staging.array(event.answers),
            staging.octets(staging.dumped(event.data)),
        )
    )
