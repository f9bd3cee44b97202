"""What reached no known document, with what was tried, and the letters nobody could read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, exists, func, select

from db.reads.filters import within_scope
from db.reads.rows import record
from db.tables import dead_letter, document, event, flow, flow_link, hand_tie
from db.ties import homes_of
from tower.access import Scope
from tower.candidates import LEAST_SIGNS, Likeness, likeness, named_in, texts_of, variants
from tower.identity import ROOT_KINDS, id_home
from tower.vocabulary import objects_of

MOST_ROWS = 200
MOST_EVENTS = 3  # of one flow are looked into
MOST_CANDIDATES = 5
MOST_OPEN = 2000  # open orders of a partner that a mistyped number is compared with

TRIED = {
    "po": "names a purchase order that nobody released",
    "order": "names a customer order that nobody placed",
    "asn": "names a shipment whose purchase order is unknown",
    "id": "names only an id; no order carries that id",
    "item": "names neither a document nor an id",
    "receipt": "names a receipt, but no purchase order",
    "invoice": "names an invoice, but no purchase order",
}


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A flow without a known root document. ``tried`` says what it was looked up by."""

    home_key: int
    anchor: str
    kind: str
    n_events: int
    first_at: datetime
    last_at: datetime
    not_identifying: bool
    tried: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing an event was looked up by, and what came of it.

    basis  correlation, answers, carries, causation (ids); document (a reference it names)
    """

    basis: str
    value: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order that it may belong to, and why. ``score`` (0 to 1) only orders them."""

    ref: str
    score: float
    why: str
    supplier: str | None
    status: str
    released_at: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """One event of an unmatched flow."""

    type: str
    source: str
    system: str
    raw_key: str
    occurred_at: datetime
    received_at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Looked:
    """An unmatched flow with its newest events, what was tried, and what it may belong to."""

    flow: Unmatched
    events: tuple[Waiting, ...]
    attempts: tuple[Attempt, ...]
    candidates: tuple[Candidate, ...]


def waits() -> tuple[ColumnElement[bool], ...]:
    """Conditions on `flow`: it reached nothing, has events of its own, and nobody tied it."""
    tied = exists().where(
        hand_tie.c.home_key == flow.c.home_key,
        hand_tie.c.anchor == flow.c.anchor,
        hand_tie.c.undone_at.is_(None),
    )
    return (~flow.c.matched, flow.c.n_events > 0, ~tied)


_COLUMNS = (
    flow.c.home_key,
    flow.c.anchor,
    flow.c.anchor_kind,
    flow.c.n_events,
    flow.c.first_at,
    flow.c.last_at,
    flow.c.not_identifying,
)


def unmatched(
    conn: Connection, scope: Scope, *, limit: int = MOST_ROWS
) -> tuple[list[Unmatched], int]:
    """The newest unmatched flows and how many there are in all.

    An id without events of its own is only a name that a matched event carries: nothing waits. Nor
    does what somebody tied by hand.
    """
    conditions = (*waits(), *within_scope(flow.c, scope))
    total = conn.execute(select(func.count()).select_from(flow).where(*conditions)).scalar_one()
    rows = conn.execute(
        select(*_COLUMNS).where(*conditions).order_by(flow.c.last_at.desc()).limit(min(limit, 1000))
    )
    return [_of_row(row) for row in rows], total


def _of_row(row: Any) -> Unmatched:
    return Unmatched(
        home_key=row.home_key,
        anchor=row.anchor,
        kind=row.anchor_kind,
        n_events=row.n_events,
        first_at=row.first_at,
        last_at=row.last_at,
        not_identifying=row.not_identifying,
        tried="ties too many orders to identify one"
        if row.not_identifying
        else TRIED.get(row.anchor_kind, "names no order"),
    )


# --- one of them, looked into ---------------------------------------------------------------------


def looked_into(conn: Connection, scope: Scope, flows: Sequence[Unmatched]) -> list[Looked]:
    """These flows, with what was tried for each and which orders they may belong to."""
    homes = [one.home_key for one in flows]
    events = _events(conn, scope, homes)
    ids = _ids(conn, {i for rows in events.values() for row in rows for _, i in _identifiers(row)})
    known = _known(conn, {ref for rows in events.values() for row in rows for ref in _headers(row)})
    return [
        Looked(
            one,
            tuple(
                Waiting(
                    row.type,
                    row.source,
                    row.system,
                    row.raw_key,
                    row.occurred_at,
                    row.received_at,
                    row.data,
                )
                for row in events.get(one.home_key, ())
            ),
            tuple(_attempts(events.get(one.home_key, ()), ids, known)),
            tuple(_candidates(conn, scope, one, events.get(one.home_key, ()))),
        )
        for one in flows
    ]


def find(conn: Connection, scope: Scope, anchor: str) -> Looked | None:
    """One unmatched flow by its name, looked into; None if nothing of that name waits."""
    row = conn.execute(
        select(*_COLUMNS).where(
            *waits(),
            flow.c.home_key.in_(homes_of(anchor)),
            flow.c.anchor == anchor,
            *within_scope(flow.c, scope),
        )
    ).first()
    return None if row is None else looked_into(conn, scope, [_of_row(row)])[0]


def _events(conn: Connection, scope: Scope, homes: Sequence[int]) -> dict[int, list[Any]]:
    """The newest events of each of these homes."""
    e = event.c
    place = func.row_number().over(
        partition_by=e.home_key, order_by=(e.occurred_at.desc(), e.event_id)
    )
    ranked = (
        select(
            e.home_key, e.type, e.source, e.system, e.raw_key, e.occurred_at, e.received_at,
            e.partner_id, e.correlation_id, e.causation_id, e.carries, e.answers, e.data,
            place.label("place"),
        )
        .where(e.home_key.in_(homes), *within_scope(e, scope))
        .subquery()
    )  # fmt: skip
    found: dict[int, list[Any]] = {}
    for row in conn.execute(
        select(ranked).where(ranked.c.place <= MOST_EVENTS).order_by(ranked.c.place)
    ):
        found.setdefault(row.home_key, []).append(row)
    return found


def _identifiers(row: Any) -> list[tuple[str, str]]:
    found = [("correlation", row.correlation_id)] if row.correlation_id else []
    found += [("answers", i) for i in row.answers]
    found += [("carries", i) for i in row.carries]
    if row.causation_id:
        found.append(("causation", row.causation_id))
    return found


_HEADER = {"po_line": "po", "order_line": "order"}


def _headers(row: Any) -> list[tuple[str, str, str]]:
    refs = objects_of(row.type, row.data)
    found = [(_HEADER.get(ref.kind, ref.kind), ref.scope, ref.number) for ref in refs]
    return list(dict.fromkeys(found))


class _Id(NamedTuple):
    """What is known of an id: orders it leads to, those of them that are known, its events."""

    orders: int
    known: int
    n_events: int
    useless: bool


def _ids(conn: Connection, ids: Iterable[str]) -> dict[str, _Id]:
    homes = {id_home(one): one for one in ids}
    if not homes:
        return {}
    order = flow.alias()
    roots: dict[int, tuple[int, int]] = {
        home: (n, known)
        for home, n, known in conn.execute(
            select(
                flow_link.c.home_key,
                func.count(flow_link.c.other_key.distinct()),
                func.count(flow_link.c.other_key.distinct()).filter(order.c.matched),
            )
            .join_from(flow_link, order, order.c.home_key == flow_link.c.other_key)
            .where(flow_link.c.home_key.in_(homes), flow_link.c.to_root)
            .group_by(flow_link.c.home_key)
        )
    }
    rows = conn.execute(
        select(flow.c.home_key, flow.c.n_events, flow.c.not_identifying).where(
            flow.c.home_key.in_(homes)
        )
    )
    return {
        homes[row.home_key]: _Id(
            *roots.get(row.home_key, (0, 0)), row.n_events, row.not_identifying
        )
        for row in rows
    }


def _known(
    conn: Connection, refs: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], bool]:
    d = document.c
    numbers = {ref[2] for ref in refs}
    if not numbers:
        return {}
    rows = conn.execute(
        select(d.kind, d.scope, d.number, d.known).where(d.number.in_(numbers), d.line == "")
    )
    return {(row.kind, row.scope, row.number): row.known for row in rows}


_NOBODY = {
    "po": "nobody released it",
    "order": "nobody placed it",
    "asn": "its purchase order is unknown",
    "invoice": "its purchase order is unknown",
    "receipt": "it names no known purchase order",
}


def _attempts(
    rows: Sequence[Any],
    ids: Mapping[str, _Id],
    known: Mapping[tuple[str, str, str], bool],
) -> list[Attempt]:
    found: dict[tuple[str, str], Attempt] = {}
    for row in rows:
        for basis, value in _identifiers(row):
            told = _outcome(ids.get(value, _Id(0, 0, 0, False)))
            found.setdefault((basis, value), Attempt(basis, value, told))
        for ref in _headers(row):
            value = ":".join(ref)
            outcome = _NOBODY.get(ref[0], "leads to no order")
            if known.get(ref) and ref[0] in ROOT_KINDS:
                outcome = "known"
            found.setdefault(("document", value), Attempt("document", value, outcome))
    if not found:
        found["", ""] = Attempt("nothing", "", "it names neither a document nor an id")
    return list(found.values())


def _outcome(one: _Id) -> str:
    if one.useless:
        return "ties too many orders to identify one"
    if one.known > 1:
        return f"leads to {one.known} orders: never guessed"
    if one.known:
        return "leads to a known order, this event names another"
    if one.orders:
        return "leads only to an order that nobody knows"
    more = f"; {one.n_events} events name only it" if one.n_events > 1 else ""
    return f"no order carries this id{more}"


# --- candidates -----------------------------------------------------------------------------------


def _candidates(
    conn: Connection, scope: Scope, one: Unmatched, rows: Sequence[Any]
) -> list[Candidate]:
    """Orders of like numbers, of numbers that stand in texts, most alike first."""
    found: dict[str, Candidate] = {}
    partners = {row.partner_id for row in rows if row.partner_id is not None}
    kinds = [one.kind] if one.kind in ROOT_KINDS else sorted(ROOT_KINDS)
    numbers = {ref[2]: ref for row in rows for ref in _headers(row) if ref[0] in ROOT_KINDS}
    words: dict[str, str] = {}
    for row in rows:
        words |= named_in(texts_of(row.data)) | named_in(_identifiers(row))
    asked = {variant for number in numbers for variant in variants(number)} | set(words)
    for variant in [v for word in words for v in variants(word)]:
        asked.add(variant)
    for order in _orders(conn, scope, kinds, numbers=sorted(asked)):
        if order.number in numbers:
            continue
        for number in numbers:
            _note(found, order, likeness(number, order.number))
        for word, field in words.items():
            if word == order.number:
                _note(found, order, Likeness(0.9, f"named in {field}"))
            elif order.number in variants(word):
                _note(found, order, Likeness(0.7, f"much like a number in {field}"))
    if numbers and partners:
        for order in _orders(conn, scope, kinds, partners=sorted(partners)):
            for number in numbers:
                like = likeness(number, order.number)
                if like is not None:
                    _note(found, order, Likeness(like.score, f"{like.why}; the same partner"))
    return sorted(found.values(), key=lambda c: (-c.score, c.ref))[:MOST_CANDIDATES]


def _note(found: dict[str, Candidate], order: Any, like: Likeness | None) -> None:
    if like is None:
        return
    ref = f"{order.kind}:{order.scope}:{order.number}"
    known = found.get(ref)
    if known is None or (known.score, len(known.why)) < (like.score, len(like.why)):
        found[ref] = Candidate(
            ref, like.score, like.why, order.supplier, order.status, order.released_at
        )


def _orders(
    conn: Connection,
    scope: Scope,
    kinds: Sequence[str],
    *,
    numbers: Sequence[str] | None = None,
    partners: Sequence[int] | None = None,
) -> list[Any]:
    d = document.c
    conditions: list[ColumnElement[bool]] = [d.line == "", d.known, d.kind.in_(kinds)]
    if numbers is not None:
        usable = [number for number in numbers if len(number) >= LEAST_SIGNS]
        if not usable:
            return []
        conditions.append(d.number.in_(usable))
    if partners is not None:
        conditions += [d.partner_id.in_(partners), ~d.closed]
    return list(
        conn.execute(
            select(d.kind, d.scope, d.number, d.supplier, d.status, d.released_at)
            .where(*conditions, *within_scope(d, scope))
            .order_by(d.released_at.desc().nulls_last())
            .limit(MOST_OPEN)
        )
    )


def dead_letters(
    conn: Connection, scope: Scope, *, state: str = "open", limit: int = MOST_ROWS
) -> tuple[list[Mapping[str, Any]], int]:
    """The newest dead letters in a state and how many there are in all."""
    conditions = (dead_letter.c.state == state, *within_scope(dead_letter.c, scope))
    total = conn.execute(
        select(func.count()).select_from(dead_letter).where(*conditions)
    ).scalar_one()
    rows = conn.execute(
        select(dead_letter)
        .where(*conditions)
        .order_by(dead_letter.c.received_at.desc(), dead_letter.c.position)
        .limit(min(limit, 1000))
    )
    return [record(row) for row in rows], total
