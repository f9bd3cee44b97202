"""One document and all that is known of it: its family, events, clocks, cases, pegs and mails.

A story is the events that live with the document plus those of the ids and ASNs linked to it; the
walk never goes on through another purchase or customer order, so stories do not melt together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from db.reads import customers_hurt
from db.reads.filters import within_scope
from db.reads.payloads import objects_in
from db.reads.rows import record, records
from db.tables import (
    checkpoint,
    clock,
    document,
    event,
    event_object,
    exception_case,
    flow,
    flow_link,
    ingest_ledger,
    order_impact,
    peg,
    transition,
)
from tower.access import Scope
from tower.event import ObjectRef
from tower.identity import document_home, id_home, item_key
from tower.masking import PRICE, masked_data

WALK_DEPTH = 3  # id -> id -> document: a log line names a message, the message carries the order
MOST_EVENTS = 1000
MOST_FOUND = 50

_KINDS = ("po", "po_line", "asn", "receipt", "invoice", "order", "order_line")


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that a typed text may mean. ``ref`` opens it."""

    ref: str
    kind: str
    title: str
    status: str
    supplier: str | None
    last_event_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """One event of a story and the raw message it was read from."""

    event_id: UUID
    home_key: int
    type: str
    source: str
    system: str
    raw_key: str
    position: str
    occurred_at: datetime
    received_at: datetime
    recorded_at: datetime | None
    time_quality: str
    channel: str | None
    basis: str
    correlation_id: str | None
    objects: Sequence[Sequence[str]]
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of one document. Rows are mappings of table columns.

    linked   homes reached by ids and shipments, with the evidence that ties them
    """

    ref: str
    root: Mapping[str, Any] | None
    family: tuple[Mapping[str, Any], ...]
    related: tuple[Mapping[str, Any], ...]
    events: tuple[StoryEvent, ...]
    more_events: bool
    clocks: tuple[Mapping[str, Any], ...]
    journal: tuple[Mapping[str, Any], ...]
    cases: tuple[Mapping[str, Any], ...]
    pegs: tuple[Mapping[str, Any], ...]
    impacts: tuple[Mapping[str, Any], ...]
    linked: tuple[tuple[int, str, str], ...]


def parse_ref(text: str) -> ObjectRef | None:
    """ "po:main:4500001234" or "po_line:main:4500001234:10" as a reference, else None.

    The last part of a line reference is the line; numbers may hold colons of their own.
    """
    kind, _, rest = text.strip().partition(":")
    if kind not in _KINDS:
        return None
    scope, _, number = rest.partition(":")
    if not number:
        return None
    if kind in ("po_line", "order_line"):
        number, _, line = number.rpartition(":")
        return ObjectRef(kind, scope, number, line) if number else None
    return ObjectRef(kind, scope, number)


def search(conn: Connection, scope: Scope, text: str) -> list[Found]:
    """What a typed text may mean, exact matches only: references, numbers, ids, message keys."""
    wanted = text.strip()
    if not wanted:
        return []
    ref = parse_ref(wanted)
    if ref is not None:
        home = document_home(ref.kind, ref.scope, ref.number)
        condition = and_(
            document.c.home_key == home,
            document.c.kind == ref.kind,
            document.c.scope == ref.scope,
            document.c.number == ref.number,
            document.c.line == ref.line,
        )
    else:
        condition = and_(document.c.number == wanted, document.c.line == "")
    rows = conn.execute(
        select(
            document.c.kind,
            document.c.scope,
            document.c.number,
            document.c.line,
            document.c.status,
            document.c.supplier,
            document.c.last_event_at,
        )
        .where(condition, *within_scope(document.c, scope))
        .order_by(document.c.line, document.c.last_event_at.desc())
        .limit(MOST_FOUND)
    )
    found = [
        Found(str(ref_), row.kind, _title(ref_), row.status, row.supplier, row.last_event_at)
        for row in rows
        if ((ref_ := ObjectRef(row.kind, row.scope, row.number, row.line)) and not row.line)
        or ref is not None
    ]
    return found or _by_identifier(conn, scope, wanted)


def _title(ref: ObjectRef) -> str:
    words = {
        "po": "Purchase order",
        "po_line": "Purchase order line",
        "asn": "Shipment notice",
        "receipt": "Receipt",
        "invoice": "Invoice",
        "order": "Customer order",
        "order_line": "Customer order line",
    }
    line = f" line {ref.line}" if ref.line else ""
    return f"{words[ref.kind]} {ref.number}{line}"


def _by_identifier(conn: Connection, scope: Scope, wanted: str) -> list[Found]:
    """A correlation, message or control id, or the key of a raw message."""
    if wanted.startswith("raw:"):  # as an answer named it
        return raw_by_key(conn, scope, wanted.removeprefix("raw:"))
    wanted = wanted.removeprefix("id:")
    found: list[Found] = []
    row = conn.execute(
        select(flow.c.last_at, flow.c.matched, flow.c.not_identifying).where(
            flow.c.home_key == id_home(wanted),
            flow.c.anchor == wanted,
            *within_scope(flow.c, scope),
        )
    ).one_or_none()
    tied = conn.execute(
        select(flow_link.c.other_key).where(
            flow_link.c.home_key == id_home(wanted), flow_link.c.to_root
        )
    ).scalars()
    found += [
        Found(str(ref), d.kind, _title(ref), d.status, d.supplier, d.last_event_at)
        for d in _headers(conn, scope, tied)
        if (ref := ObjectRef(d.kind, d.scope, d.number))
    ]
    if row is not None:
        status = (
            "not identifying" if row.not_identifying else "tied" if row.matched else "unmatched"
        )
        found.append(Found(f"id:{wanted}", "id", f"Id {wanted}", status, None, row.last_at))
    return found + raw_by_key(conn, scope, wanted)


def raw_by_key(conn: Connection, scope: Scope, wanted: str) -> list[Found]:
    """Raw messages with this key, in any source ("source/key" names one)."""
    source, slash, key = wanted.partition("/")
    if slash and key:
        condition = and_(
            ingest_ledger.c.item_key == item_key(source, key),
            ingest_ledger.c.source == source,
            ingest_ledger.c.key == key,
        )
    else:
        names = conn.execute(select(checkpoint.c.source)).scalars().all()
        if not names:
            return []
        condition = or_(
            *(
                and_(
                    ingest_ledger.c.item_key == item_key(name, wanted),
                    ingest_ledger.c.source == name,
                    ingest_ledger.c.key == wanted,
                )
                for name in names
            )
        )
    if not scope.sees_all:
        return []
    rows = conn.execute(
        select(
            ingest_ledger.c.source,
            ingest_ledger.c.key,
            ingest_ledger.c.outcome,
            ingest_ledger.c.received_at,
        ).where(condition)
    )
    return [
        Found(
            f"raw:{r.source}/{r.key}",
            "raw",
            f"Message {r.source}/{r.key}",
            r.outcome,
            None,
            r.received_at,
        )
        for r in rows
    ]


def _headers(conn: Connection, scope: Scope, homes: Iterable[int]) -> list[Any]:
    wanted = list(homes)
    if not wanted:
        return []
    return list(
        conn.execute(
            select(document)
            .where(
                document.c.home_key.in_(wanted),
                document.c.line == "",
                *within_scope(document.c, scope),
            )
            .order_by(document.c.last_event_at.desc())
            .limit(MOST_FOUND)
        )
    )


def story(conn: Connection, scope: Scope, ref: str) -> Story | None:
    """Everything about the document (or id) that ``ref`` names; None if nobody ever spoke of it."""
    named = parse_ref(ref)
    if named is not None:
        home = document_home(named.kind, named.scope, named.number)
    elif ref.startswith("id:"):
        home = id_home(ref.removeprefix("id:"))
    else:
        return None
    family = [
        as_shown(record(row), scope)
        for row in conn.execute(
            select(document)
            .where(document.c.home_key == home, *within_scope(document.c, scope))
            .order_by(document.c.kind, document.c.number, document.c.line)
        )
    ]
    if named is not None:
        header = {"po_line": "po", "order_line": "order"}.get(named.kind, named.kind)
        root = next(
            (
                row
                for row in family
                if (row["kind"], row["scope"], row["number"]) == (header, named.scope, named.number)
                and not row["line"]
            ),
            None,
        )
        if root is None:
            return None
    else:
        root = None
    linked = _walk(conn, home)
    homes = [home, *(key for key, _, _ in linked)]
    events = _events(conn, scope, homes, home)
    if root is None and not events:
        return None
    by_home = (clock.c.home_key.in_(homes), *within_scope(clock.c, scope))
    return Story(
        ref=ref,
        root=root,
        family=tuple(family),
        related=tuple(_related(conn, scope, events, homes)),
        events=tuple(events[:MOST_EVENTS]),
        more_events=len(events) > MOST_EVENTS,
        clocks=records(conn, select(clock).where(*by_home).order_by(clock.c.started_at)),
        journal=records(
            conn,
            select(transition)
            .where(transition.c.home_key.in_(homes))
            .order_by(transition.c.detected_at, transition.c.rule, transition.c.n),
        ),
        cases=customers_hurt.cases(
            conn,
            select(exception_case)
            .where(exception_case.c.home_key.in_(homes), *within_scope(exception_case.c, scope))
            .order_by(exception_case.c.opened_at),
            scope,
        ),
        pegs=_pegs(conn, scope, root, home),
        impacts=_impacts(conn, scope, root, home),
        linked=tuple(linked),
    )


_MONEY = ("price", "value", "open_value")


def as_shown(row: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """A document without the money that this viewer may not see; None as if nobody had told it."""
    if PRICE in scope.reveals:
        return row
    reports = {
        system: {name: told for name, told in fields.items() if name not in _MONEY}
        for system, fields in (row["reports"] or {}).items()
    }
    return {**row, **dict.fromkeys(_MONEY), "reports": reports}


def _walk(conn: Connection, home: int) -> list[tuple[int, str, str]]:
    """(home, basis, evidence) of the ids and shipments tied to ``home``, nearest first."""
    seen = {home}
    frontier = [home]
    found: list[tuple[int, str, str]] = []
    for _ in range(WALK_DEPTH):
        rows = conn.execute(
            select(
                flow_link.c.other_key,
                flow_link.c.basis,
                flow_link.c.evidence,
            )
            .where(flow_link.c.home_key.in_(frontier), ~flow_link.c.to_root)
            .order_by(flow_link.c.since, flow_link.c.evidence)
        ).all()
        frontier = []
        for row in rows:
            if row.other_key not in seen:
                seen.add(row.other_key)
                frontier.append(row.other_key)
                found.append((row.other_key, row.basis, row.evidence))
        if not frontier:
            break
    if not found:
        return []
    useless = set(
        conn.execute(
            select(flow.c.home_key).where(
                flow.c.home_key.in_([key for key, _, _ in found]), flow.c.not_identifying
            )
        ).scalars()
    )
    return [row for row in found if row[0] not in useless]


def _events(conn: Connection, scope: Scope, homes: Sequence[int], home: int) -> list[StoryEvent]:
    """What lives in these homes, and what lives elsewhere and speaks of the document itself: a
    receipt is posted in the story of its order.
    """
    told = event_object.c
    elsewhere = conn.execute(
        select(told.event_home, told.event_id)
        .where(told.home_key == home, told.event_home.not_in(homes))
        .distinct()
        .limit(MOST_EVENTS + 1)
    ).all()
    here: ColumnElement[bool] = event.c.home_key.in_(homes)
    if elsewhere:
        here = or_(
            here,
            and_(
                event.c.home_key.in_({row.event_home for row in elsewhere}),
                event.c.event_id.in_([row.event_id for row in elsewhere]),
            ),
        )
    columns = [event.c[name] for name in StoryEvent.__dataclass_fields__ if name != "objects"]
    rows = conn.execute(
        select(*columns)
        .where(here, *within_scope(event.c, scope))
        .order_by(event.c.occurred_at, event.c.event_id)
        .limit(MOST_EVENTS + 1)
    )
    return [
        StoryEvent(
            **{**record(row), "data": masked_data(row.data, scope.reveals)},
            objects=objects_in(row),
        )
        for row in rows
    ]


def _related(
    conn: Connection, scope: Scope, events: Sequence[StoryEvent], homes: Sequence[int]
) -> list[Mapping[str, Any]]:
    """Documents that the story's events name and that live elsewhere: ASNs, receipts, invoices."""
    keys = {
        (kind, scope_, number)
        for e in events
        for kind, scope_, number, *_ in e.objects
        if kind in ("asn", "receipt", "invoice")
    }
    wanted = {document_home(*key) for key in keys} - {homes[0]}
    return [as_shown(record(row), scope) for row in _headers(conn, scope, sorted(wanted))]


def _pegs(
    conn: Connection, scope: Scope, root: Mapping[str, Any] | None, home: int
) -> tuple[Mapping[str, Any], ...]:
    if root is None or not scope.sees_customers:
        return ()
    if root["kind"] == "order":
        condition = and_(peg.c.scope == root["scope"], peg.c.order == root["number"])
    else:
        condition = peg.c.home_key == home
    return records(
        conn,
        select(peg)
        .where(condition, peg.c.qty.is_not(None))
        .order_by(peg.c.po, peg.c.po_line, peg.c.order, peg.c.order_line),
    )


def _impacts(
    conn: Connection, scope: Scope, root: Mapping[str, Any] | None, home: int
) -> tuple[Mapping[str, Any], ...]:
    if root is None or not scope.sees_customers:
        return ()
    column = order_impact.c.order_home if root["kind"] == "order" else order_impact.c.po_home
    return records(
        conn,
        select(order_impact)
        .where(column == home)
        .order_by(order_impact.c.promise_date, order_impact.c.order, order_impact.c.order_line),
    )
