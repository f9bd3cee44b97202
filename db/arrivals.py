"""A batch in memory: what each message and event adds to each table, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from db import staging
from db.families import FamilyKey, partner_id
from db.flows import FlowGain, TieKey, tie_key
from tower.correlation import Node, Place, Tie, document_home, leads_from, place
from tower.documents import HEADER_OF, Record
from tower.event import Event
from tower.identity import item_key
from tower.raw import Interpretation, Interpreted, Raw
from tower.registers import microseconds, record
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
    received, named  its receipt, and its key with item_key before it, as fields of a COPY line
    """

    index: int
    item_key: int
    identity: Identity
    raw: Raw
    reading: Interpretation
    sha256: bytes
    heard: int
    received: str
    named: str
    n_known: int = 0
    homes: set[int] = field(default_factory=set)


Found = Mapping[UUID, tuple[Event, Item]]
"""Events that may be new, each with its message."""


def unique(items: Sequence[Interpreted]) -> tuple[list[Item], list[tuple[Raw, Item]]]:
    """The first message of each (source, key), and the others with the first of theirs."""
    firsts: dict[Identity, Item] = {}
    others: list[tuple[Raw, Item]] = []
    received, heard, when = None, 0, ""
    for index, one in enumerate(items):
        raw = one.raw
        source, key = raw.source, raw.key
        identity = (staging.storable(source), staging.storable(key))
        first = firsts.get(identity)
        if first is not None:
            others.append((raw, first))
            continue
        if raw.received_at is not received:  # mostly shared by all that was read at once
            received = raw.received_at
            heard, when = microseconds(received), str(received)
        home = item_key(source, key)
        firsts[identity] = Item(
            index,
            home,
            identity,
            raw,
            one.reading,
            sha256(raw.body).digest(),
            heard,
            when,
            f"{home}\t{staging.text(source)}\t{staging.text(key)}",
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

    named    its kind, scope and number as fields of a COPY line
    arrived  earliest receipt of these records
    """

    home: int
    key: FamilyKey
    named: str
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
    event_lines: list[str] = field(default_factory=list)
    object_lines: list[str] = field(default_factory=list)


def gather(found: Found) -> Gathered:
    """Take the events of a batch apart."""
    result = Gathered()
    for event_id, (event, item) in found.items():
        partner = None if event.partner is None else partner_id(event.partner)
        happened = event.occurred_at
        spot = place(event)
        told = _Told(
            event, item, spot, event_id.hex, microseconds(happened), str(happened), partner
        )
        home = spot.node.home
        result.living.append((home, event_id))
        item.homes.add(home)
        take_flows(result, event, spot, told.at, item.heard, partner)
        _take_touches(result, told)
        result.event_lines.append(_event_line(told))
        if event.type in ("peg.set", "peg.removed"):
            _take_pegs(result, told)
    return result


class _Told(NamedTuple):
    """An event on its way into the tables.

    ident     its id in hexadecimal digits
    at, when  when it happened: microseconds since 1970 UTC, and as a field of a COPY line
    """

    event: Event
    item: Item
    spot: Place
    ident: str
    at: int
    when: str
    partner: int | None


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
            if end.kind == "id" and other.is_root:
                gain.matched = True
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
    event, item, spot, ident, at, when, _ = told
    type_, system, name = event.type, event.system, ident[:16]
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
    shared = (
        f"{ident}\tf\t{spot.node.home}\t\\N\t{when}\t{item.received}\t{type_}\t"
        f"{staging.text(system)}"
    )
    for (header, scope, number), (subject, words) in spoken.items():
        here = subject.home
        item.homes.add(here)
        result.spoken.append((here, event.id))
        result.object_lines.append(
            f"{here}\t{shared}\t{subject.named}\t{staging.json(words)}"
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
        fields = f"{header}\t{staging.text(scope)}\t{staging.text(number)}"
        subject = result.subjects[named] = Subject(home, FamilyKey(home, *named), fields)
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
        word = (told.at, told.ident, qty)
        known = result.pegs.get(key)
        if known is None or known[:2] < word[:2]:
            result.pegs[key] = word


EVENT_COLUMNS = (
    "home_key, event_id, type, source, raw_key, position, occurred_at, recorded_at, received_at, "
    "time_quality, system, partner_id, channel, anchor, basis, correlation_id, causation_id, "
    "carries, answers, data"
)


def _event_line(told: _Told) -> str:
    event, item, spot, ident, _, when, partner = told
    text, maybe = staging.text, staging.maybe
    recorded = event.recorded_at
    return (
        f"{spot.node.home}\t{ident}\t{event.type}\t{text(event.source)}\t"
        f"{text(event.raw_key)}\t{text(event.position)}\t{when}\t"
        f"{staging.NULL if recorded is None else recorded}\t{item.received}\t"
        f"{event.time_quality.value}\t{text(event.system)}\t{staging.number(partner)}\t"
        f"{maybe(event.channel)}\t{text(spot.node.text)}\t{spot.basis}\t"
        f"{maybe(event.correlation_id)}\t{maybe(event.causation_id)}\t"
        f"{staging.texts(event.carries) if event.carries else '{}'}\t"
        f"{staging.texts(event.answers) if event.answers else '{}'}\t{staging.json(event.data)}"
    )
