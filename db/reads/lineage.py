"""The lineage of a story, from bytes to mails, in a fixed number of questions.

What a story knows already (events, clocks, cases) is not asked for again. Masked values stand
masked in the labels; places in the bytes stay true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_

from db.reads.payloads import FieldOrigin, events_of, payload
from db.reads.stories import Story, StoryEvent
from db.tables import event_object, ingest_ledger, interpretation, origin, outbox
from tower.access import Scope
from tower.documents import KINDS, LINE_OF, Owners
from tower.event import ObjectRef
from tower.identity import document_home, item_key
from tower.lineage import Decided, Edge, Graph, Node, decided, event_paths, unique
from tower.masking import class_of_name
from tower.registers import Record, instant, microseconds, short

MOST_MESSAGES = 200
_BAD = frozenset({"asn.rejected", "po.rejected", "message.failed", "message.dead_lettered"})


@dataclass(frozen=True, slots=True)
class _Read:
    """What is kept of how the messages of a story were read."""

    ledgers: Mapping[tuple[str, str], Any]
    readings: Mapping[tuple[str, str], Sequence[Any]]
    origins: Mapping[str, Sequence[FieldOrigin]]


def lineage(conn: Connection, scope: Scope, story: Story, owners: Owners) -> Graph:
    """All links of one document's chain: every event, field, clock, case and mail of its story."""
    keys = list(dict.fromkeys((e.source, e.raw_key) for e in story.events))[:MOST_MESSAGES]
    read = _read(conn, keys)
    nodes: list[Node] = []
    edges: list[Edge] = []
    for key in keys:
        _message(key, read, nodes, edges)
    for event in story.events:
        _event(event, read, nodes, edges)
    fields = _fields(conn, scope, story, owners)
    by_id = {str(event.event_id): event for event in story.events}
    for one in fields:
        _field(one, by_id, read, nodes, edges)
    _clocks(story, fields, nodes, edges)
    _cases(conn, story, nodes, edges)
    found = unique(nodes)
    kept = tuple(
        dict.fromkeys(e for e in edges if e.one in found and e.other in found and e.one != e.other)
    )
    return Graph(found, kept)


def of_message(conn: Connection, scope: Scope, source: str, key: str) -> Graph:
    """The first links of a message: its readings, events, and where their fields stand."""
    if payload(conn, scope, source, key) is None:
        return Graph({}, ())
    read = _read(conn, [(source, key)])
    nodes: list[Node] = []
    edges: list[Edge] = []
    _message((source, key), read, nodes, edges)
    for row in events_of(conn, source, key, scope)[:MOST_MESSAGES]:
        id_ = f"event:{row['event_id']}"
        nodes.append(_event_node(id_, row["type"], row["system"], row["occurred_at"]))
        edges.append(Edge(_reading_in_force((source, key), read), id_, row["position"]))
        for ref in row["objects"]:
            if ref[0] in KINDS:
                named = str(ObjectRef(*ref[:3]))
                nodes.append(Node(f"doc:{named}", "field", named, "document", "", named))
                edges.append(Edge(id_, f"doc:{named}", "tells of"))
    found = unique(nodes)
    return Graph(found, tuple(dict.fromkeys(e for e in edges if e.one in found)))


# --- bytes and readings --------------------------------------------------------------------------


def _read(conn: Connection, keys: Sequence[tuple[str, str]]) -> _Read:
    if not keys:
        return _Read({}, {}, {})
    named = [(item_key(source, key), source, key) for source, key in keys]
    ledgers = {(row.source, row.key): row for row in conn.execute(_of(ingest_ledger, named)).all()}
    readings: dict[tuple[str, str], list[Any]] = {}
    query = _of(interpretation, named).order_by(interpretation.c.at, interpretation.c.revision)
    for row in conn.execute(query):
        readings.setdefault((row.source, row.key), []).append(row)
    origins: dict[str, list[FieldOrigin]] = {}
    for row in conn.execute(_of(origin, named)):
        places = origins.setdefault(str(row.event_id), [])
        places += [FieldOrigin(row.event_id, *one) for one in row.fields]
    return _Read(ledgers, readings, origins)


def _of(table: Any, named: Sequence[tuple[int, str, str]]) -> Any:
    return select(table).where(tuple_(table.c.item_key, table.c.source, table.c.key).in_(named))


def _message(key: tuple[str, str], read: _Read, nodes: list[Node], edges: list[Edge]) -> None:
    ledger = read.ledgers.get(key)
    raw_id = f"raw:{key[0]}/{key[1]}"
    received = "" if ledger is None else f"received {ledger.received_at:%Y-%m-%d %H:%M:%S}Z"
    state = "bad" if ledger is not None and ledger.outcome == "quarantined" else "ok"
    nodes.append(Node(raw_id, "raw", f"{key[0]}/{key[1][:16]}", received, state, raw_id))
    in_force = _reading_in_force(key, read)
    for row in read.readings.get(key, ()):
        id_ = _reading_id(key, row.interpreter, row.version, row.revision)
        by = f", asked by {row.read_by}" if row.read_by else ""
        detail = f"{row.at:%Y-%m-%d %H:%M}Z, {row.n_events} events{by}"
        if id_ != in_force:
            detail = f"former: {detail}"
        label = f"{row.interpreter} v{row.version}" + f" r{row.revision}" * (row.revision > 1)
        nodes.append(Node(id_, "reading", label, detail, "" if id_ != in_force else "ok", raw_id))
        edges.append(Edge(raw_id, id_, "bytes read"))
    if ledger is not None:
        detail = f"{ledger.read_at:%Y-%m-%d %H:%M}Z, {ledger.n_events} events"
        label = f"{ledger.interpreter} v{ledger.version}"
        nodes.append(Node(in_force, "reading", label, detail, state, raw_id))
        edges.append(Edge(raw_id, in_force, "bytes read"))


def _reading_id(key: tuple[str, str], interpreter: str, version: int, revision: int) -> str:
    return f"reading:{key[0]}/{key[1]}@{interpreter}.{version}.{revision}"


def _reading_in_force(key: tuple[str, str], read: _Read) -> str:
    ledger = read.ledgers.get(key)
    if ledger is None:
        return f"raw:{key[0]}/{key[1]}"
    revisions = [
        row.revision
        for row in read.readings.get(key, ())
        if (row.interpreter, row.version) == (ledger.interpreter, ledger.version)
    ]
    return _reading_id(key, ledger.interpreter, ledger.version, max(revisions, default=1))


# --- events and fields ---------------------------------------------------------------------------


def _event_node(id_: str, type_: str, system: str, at: datetime) -> Node:
    state = "bad" if type_ in _BAD else "ok"
    return Node(id_, "event", type_, f"{system}, {at:%Y-%m-%d %H:%M}Z", state)


def _event(event: StoryEvent, read: _Read, nodes: list[Node], edges: list[Edge]) -> None:
    id_ = f"event:{event.event_id}"
    nodes.append(_event_node(id_, event.type, event.system, event.occurred_at))
    edges.append(
        Edge(_reading_in_force((event.source, event.raw_key), read), id_, event.position or "whole")
    )


def _fields(
    conn: Connection, scope: Scope, story: Story, owners: Owners
) -> list[tuple[str, Decided]]:
    """(reference of the document, field) for each family of the story's own home."""
    root = story.root
    if root is None:
        return []
    home = document_home(root["kind"], root["scope"], root["number"])
    o = event_object.c
    rows = conn.execute(
        select(o.event_id, o.kind, o.scope, o.number, o.type, o.system, o.occurred_at, o.words)
        .where(o.home_key == home)
        .order_by(o.occurred_at, o.event_id)
    )
    told: dict[tuple[str, str, str], list[tuple[str, Record]]] = {}
    for row in rows:
        records = told.setdefault((row.kind, row.scope, row.number), [])
        at = microseconds(row.occurred_at)
        for line, facts in row.words.items():
            kind = LINE_OF[row.kind] if line else row.kind
            record = Record(short(row.event_id), kind, line, row.type, row.system, at, facts)
            records.append((str(row.event_id), record))
    seen = {(row["kind"], row["line"]) for row in story.family}
    return [
        (str(ObjectRef(one.kind, scope_, number, one.line)), one)
        for (kind, scope_, number), records in told.items()
        if kind in KINDS
        for one in decided(kind, scope_, number, records, owners)
        if (one.kind, one.line) in seen and _may_see(scope, one.field)
    ]


def _may_see(scope: Scope, field: str) -> bool:
    kind = class_of_name(field)
    return kind not in ("price", "bank", "person", "address") or kind in scope.reveals


def _field(
    told: tuple[str, Decided],
    by_id: Mapping[str, StoryEvent],
    read: _Read,
    nodes: list[Node],
    edges: list[Edge],
) -> None:
    ref, one = told
    id_ = f"field:{ref}#{one.field}"
    label = f"{one.field.replace('_', ' ')} = {shown(one.field, one.value)}"
    nodes.append(Node(id_, "field", label, ref, "", ref))
    for event_id, basis in [(one.by, "decides"), *((e, "told before") for e in one.before[-3:])]:
        event = by_id.get(event_id)
        if event is None:
            continue
        came = f"event:{event_id}"
        place = _place(event, one, read)
        if place is None:
            edges.append(Edge(came, id_, basis))
            continue
        origin_id = f"origin:{event_id}#{place.field}"
        where = place.element or place.rule
        detail = (
            place.how
            if place.offset is None
            else f"bytes {place.offset:,} + {place.length}, {place.how}"
        )
        target = f"raw:{event.source}/{event.raw_key}"
        nodes.append(Node(origin_id, "origin", where or place.field, detail, "", target))
        edges.append(Edge(came, origin_id, place.field))
        edges.append(Edge(origin_id, id_, basis))


def _place(event: StoryEvent, one: Decided, read: _Read) -> FieldOrigin | None:
    """Where the value of a document's field stands in the message of an event."""
    places = read.origins.get(str(event.event_id), ())
    by_field = {place.field: place for place in places}
    paths = event_paths(event.data, one.field, one.line)
    for name in [*paths, *(["occurred_at"] if one.field.endswith("_at") else [])]:
        if name in by_field:
            return by_field[name]
    everywhere = by_field.get("*")
    ledger = read.ledgers.get((event.source, event.raw_key))
    element = everywhere.element if everywhere else getattr(ledger, "fields_at", None)
    if element and paths:
        return FieldOrigin(
            event.event_id, paths[0], element.replace("*", paths[0]), None, None, "copied", ""
        )
    return None


def shown(field: str, value: Any) -> str:
    """A value of a document as people read it; instants in UTC."""
    if isinstance(value, int) and (field.endswith("_at") or field == "acknowledge_by"):
        return f"{instant(value).astimezone(UTC):%Y-%m-%d %H:%M}Z"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


# --- clocks, cases, mails ------------------------------------------------------------------------

_VERDICT_STATES = {"breached": "bad", "at_risk": "warn", "unknown": "warn", "met": "ok"}


def _clocks(
    story: Story, fields: Sequence[tuple[str, Decided]], nodes: list[Node], edges: list[Edge]
) -> None:
    moments: dict[int, list[str]] = {}
    for ref, one in fields:
        if isinstance(one.value, int) and one.field.endswith("_at"):
            moments.setdefault(one.value, []).append(f"field:{ref}#{one.field}")
    dates = {(ref, one.field): f"field:{ref}#{one.field}" for ref, one in fields}
    events: dict[datetime, list[str]] = {}
    for event in story.events:
        events.setdefault(event.occurred_at, []).append(f"event:{event.event_id}")
    for row in story.clocks:
        id_ = clock_id(row)
        verdict = str(row["verdict"])
        due = row["due_at"]
        detail = verdict.replace("_", " ") + (f", due {due:%Y-%m-%d %H:%M}Z" if due else "")
        ref = _subject(row)
        state = _VERDICT_STATES.get(verdict, "")
        nodes.append(Node(id_, "clock", f"{row['rule']} of {ref}", detail, state, ref))
        for at, basis in ((row["started_at"], "starts"), (row["ended_at"], "ends")):
            if at is None:
                continue
            mine = [f for f in moments.get(microseconds(at), []) if _of_family(f, ref)]
            causes = mine or events.get(at, [])
            edges += [Edge(cause, id_, basis) for cause in causes]
        anchor = str((row["state"] or {}).get("receipt", {}).get("anchor", ""))
        dated = dates.get((ref, anchor.rpartition(".")[2]))
        if dated is not None:
            edges.append(Edge(dated, id_, "counted from"))


def _of_family(field_id: str, ref: str) -> bool:
    """A field of the clock's own document, or of the header its line belongs to."""
    of = field_id.removeprefix("field:").partition("#")[0]
    header = ref.rpartition(":")[0].replace("_line:", ":", 1) if "_line:" in ref else ref
    return of in (ref, header)


def clock_id(row: Mapping[str, Any]) -> str:
    """The node of a row of `clock`."""
    return f"clock:{row['rule']}|{_subject(row)}|{row['cycle']}"


def _subject(row: Mapping[str, Any]) -> str:
    return str(ObjectRef(row["kind"], row["scope"], row["number"], row["line"]))


def _cases(conn: Connection, story: Story, nodes: list[Node], edges: list[Edge]) -> None:
    for case in story.cases:
        id_ = f"case:{case['id']}"
        state = "" if case["state"] == "resolved" else "bad"
        detail = f"{case['severity']}, {case['state']}, {case['owner']}"
        nodes.append(Node(id_, "case", f"{case['category']} {case['id']}", detail, state, id_))
        cycle = case["clock_cycle"]
        edges.append(Edge(f"clock:{case['rule']}|{_subject(case)}|{cycle}", id_, "opens"))
    ids = [case["id"] for case in story.cases]
    for mail in _mails(conn, ids):
        id_ = f"mail:{mail.id}"
        state = {"failed": "bad", "waiting": "warn", "sent": "ok"}.get(mail.state, "")
        detail = f"{mail.recipient}, {mail.state}, {mail.created_at:%Y-%m-%d %H:%M}Z"
        nodes.append(Node(id_, "mail", mail.subject, detail, state, id_))
        for case_id in mail.cases:
            if case_id in ids:
                edges.append(Edge(f"case:{case_id}", id_, mail.reason))


def _mails(conn: Connection, cases: Iterable[int]) -> Sequence[Any]:
    wanted = list(cases)
    if not wanted:
        return ()
    o = outbox.c
    return conn.execute(
        select(o.id, o.subject, o.recipient, o.state, o.created_at, o.reason, o.cases)
        .where(o.cases.overlap(wanted))
        .order_by(o.created_at)
        .limit(MOST_MESSAGES)
    ).all()


__all__ = ["clock_id", "lineage", "of_message", "shown"]
