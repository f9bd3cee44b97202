"""Ties that people make: what did not correlate belongs to this order, somebody says why.

A tie is a row that is never deleted: who, when, why, and who undid it. A wish is written at once; a
worker (or the command) fulfils it. What is tied:

an id, a shipment, an invoice, a receipt, a message   its events reach the order as if an id led
    there: a link of basis ``hand``, then the ordinary weaving
an order nobody released or placed (a mistyped number)   all that is said of it and its lines is
    said of the true order too; db/mirroring.py keeps this so when more of it comes

Rebuilding documents finds both among the rows they fold; interpreting a message again leaves links
of basis ``hand`` alone and mirrors anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Cursor
from sqlalchemy import Connection, and_, func, insert, or_, select, update

from db import audit, families, flows, staging, switches, weaving
from db.driver import Conflict, raw_cursor
from db.flows import Flow, FlowGain
from db.mirroring import HAND, mirror
from db.reads.filters import within_scope
from db.spreading import Spreading
from db.tables import document, flow, hand_tie
from tower.access import Scope
from tower.correlation import DOCUMENTS, Node, document_node
from tower.documents import Owners
from tower.errors import TowerError
from tower.event import ObjectRef
from tower.identity import ROOT_KINDS, document_home, id_home, item_key
from tower.network import Network

LONGEST_WHY = 500
TRIES = 5


class TieRefused(TowerError):
    """Such a tie cannot be made or undone: the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class HandTie:
    """A tie as it is kept. ``what`` is the unmatched thing, ``order`` the reference it is tied to.

    state  asked (a worker will fulfil it), standing, undoing, undone
    """

    id: int
    what: str
    kind: str
    order: str
    why: str
    made_by: str
    made_at: datetime
    undone_by: str | None
    undone_at: datetime | None
    undone_why: str | None
    state: str


_t = hand_tie.c


def _of_row(row: Any) -> HandTie:
    if row.undone_at is not None:
        state = "undone" if row.unfulfilled_at is not None else "undoing"
    else:
        state = "asked" if row.fulfilled_at is None else "standing"
    return HandTie(
        row.id,
        row.anchor,
        row.kind,
        f"{row.to_kind}:{row.to_scope}:{row.to_number}",
        row.why,
        row.made_by,
        row.made_at,
        row.undone_by,
        row.undone_at,
        row.undone_why,
        state,
    )


def ties(conn: Connection, scope: Scope, *, limit: int = 200) -> list[HandTie]:
    """Ties by hand, also undone ones, the newest first."""
    rows = conn.execute(
        select(hand_tie).where(*within_scope(hand_tie.c, scope)).order_by(_t.id.desc()).limit(limit)
    )
    return [_of_row(row) for row in rows]


# --- wishes ---------------------------------------------------------------------------------------


def ask(
    conn: Connection,
    scope: Scope,
    what: str,
    order: ObjectRef,
    *,
    why: str,
    who: str,
    now: datetime,
) -> HandTie:
    """Wish that an unmatched thing belongs to an order; TieRefused where that makes no sense.

    ``what`` is its anchor as the unmatched list names it.
    """
    switches.check_writable(conn)
    said = _said(why)
    one = _unmatched(conn, scope, what)
    target = _order(conn, scope, order)
    if one.kind in ROOT_KINDS and one.kind != order.kind:
        raise TieRefused(
            f"{what} is a {_WORDS[one.kind]}, {order} a {_WORDS[order.kind]}: what is said of one "
            "cannot be said of the other. Tie it to an order of its own kind."
        )
    if one.home_key == target.home:
        raise TieRefused(f"{what} and {order} are the same.")
    known = conn.execute(
        select(hand_tie).where(_t.home_key == one.home_key, _t.undone_at.is_(None))
    ).one_or_none()
    if known is not None:
        tied = _of_row(known)
        raise TieRefused(
            f"{what} is tied to {tied.order} already (by {tied.made_by}: {tied.why}). Undo that "
            f"first: tower untie {tied.what} --why ..."
        )
    row = conn.execute(
        insert(hand_tie)
        .values(
            home_key=one.home_key,
            anchor=one.anchor,
            kind=one.kind,
            to_home=target.home,
            to_kind=order.kind,
            to_scope=order.scope,
            to_number=order.number,
            why=said,
            made_by=who,
            made_at=now,
            partner_id=one.partner_id,
        )
        .returning(hand_tie)
    ).one()
    audit.record(conn, who, "tie.made", f"tie:{what}", {"order": str(order), "why": said}, now)
    return _of_row(row)


def ask_undo(
    conn: Connection, scope: Scope, what: str, *, why: str, who: str, now: datetime
) -> HandTie:
    """Wish that a standing tie is taken back; TieRefused if there is none."""
    switches.check_writable(conn)
    row = conn.execute(
        update(hand_tie)
        .where(_t.anchor == what, _t.undone_at.is_(None), *within_scope(hand_tie.c, scope))
        .values(undone_by=who, undone_at=now, undone_why=_said(why))
        .returning(hand_tie)
    ).one_or_none()
    if row is None:
        raise TieRefused(f'No standing tie of "{what}" is known. tower ties lists them.')
    audit.record(conn, who, "tie.undone", f"tie:{what}", {"why": row.undone_why}, now)
    return _of_row(row)


_WORDS = {"po": "purchase order", "order": "customer order"}


def _said(why: str) -> str:
    said = " ".join(why.split())[:LONGEST_WHY]
    if not said:
        raise TieRefused("Say why: those who come after must be able to judge it.")
    return said


def _unmatched(conn: Connection, scope: Scope, what: str) -> Any:
    f = flow.c
    found = conn.execute(
        select(f.home_key, f.anchor, f.anchor_kind.label("kind"), f.n_events, f.matched,
               f.partner_id)
        .where(f.home_key.in_(homes_of(what)), f.anchor == what, *within_scope(f, scope))
    ).all()  # fmt: skip
    waiting = [row for row in found if row.n_events and not row.matched]
    if waiting:
        return waiting[0]
    if found:
        raise TieRefused(
            f"{what} is not unmatched: its events belong to a known document. tower show {what}"
        )
    raise TieRefused(f'Nothing unmatched is called "{what}". tower unmatched lists what is.')


_CUT = re.compile(r"\.\.\. \((-?\d+)\)\Z")


def homes_of(anchor: str) -> list[int]:
    """Where a flow of this name may live: as an id, a document, a raw message."""
    found = {id_home(anchor)}
    kind, _, rest = anchor.partition(":")
    scope, colon, number = rest.partition(":")
    if colon and number:
        found.add(document_home(kind, scope, number))
    source, slash, key = anchor.partition("/")
    if slash:
        found.add(item_key(source, key))
    cut = _CUT.search(anchor)  # long ids carry their home in their name
    if cut is not None:
        found.add(int(cut[1]))
    return sorted(found)


def _order(conn: Connection, scope: Scope, order: ObjectRef) -> Node:
    d = document.c
    known = None
    if order.kind in ROOT_KINDS:
        node = document_node(order.kind, order.scope, order.number)
        known = conn.execute(
            select(d.known).where(
                d.home_key == node.home,
                d.kind == order.kind,
                d.scope == order.scope,
                d.number == order.number,
                d.line == "",
                *within_scope(d, scope),
            )
        ).scalar_one_or_none()
        if known:
            return node
    raise TieRefused(
        f"{order} is no known purchase or customer order. Name one as po:ERP:NUMBER or "
        "order:ERP:NUMBER."
    )


# --- fulfilling -----------------------------------------------------------------------------------


def waiting(conn: Connection) -> list[int]:
    """Wishes that nobody fulfilled yet, in the order in which they were made."""
    return list(
        conn.execute(
            select(_t.id)
            .where(
                or_(
                    and_(_t.fulfilled_at.is_(None), _t.undone_at.is_(None)),
                    and_(_t.undone_at.is_not(None), _t.unfulfilled_at.is_(None)),
                )
            )
            .order_by(func.coalesce(_t.undone_at, _t.made_at), _t.id)
        ).scalars()
    )


def fulfil(conn: Connection, number: int, *, net: Network, now: datetime) -> bool:
    """Fulfil one wish in the caller's transaction; False if somebody else did.

    Conflict means: roll back and try again.
    """
    row = conn.execute(
        select(hand_tie).where(_t.id == number).with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return False
    undo = row.undone_at is not None
    if (row.unfulfilled_at if undo else row.fulfilled_at) is not None:
        return False
    changed = {"unfulfilled_at": now} if undo else {"fulfilled_at": now}
    with raw_cursor(conn) as cursor:
        staging.prepare(cursor)
        spreading = Spreading(cursor, Owners.of(net), now)
        part = _lock(cursor, row.home_key)
        conn.execute(update(hand_tie).where(_t.id == number).values(changed))
        if row.kind in ROOT_KINDS:
            homes = mirror(cursor, [row.home_key], undone=[(row.home_key, row.to_home)])
        else:
            homes = _relink(cursor, row, part, undo=undo)
        folded = families.refold(cursor, homes)
        families.replace(cursor, folded, spreading.owners)
        spreading.wake({key.home for key in folded if key.kind in ("po", "asn")})
    return True


def _lock(cursor: Cursor[Any], home: int) -> flows.Component:
    """Lock a flow and all ids and documents around it, as every batch does that adds to them."""
    part = flows.component(cursor, [home])
    around = {home, *part.nodes}
    standing = flows.look_up(cursor, sorted(around))
    flows.gain(cursor, [FlowGain(_node(one)) for one in standing.values()], standing)
    again = flows.component(cursor, [home])
    if again.nodes != part.nodes:
        raise Conflict("Ids were tied to each other meanwhile")
    return again


def _node(one: Flow) -> Node:
    return Node(one.kind, one.anchor, one.home)


def _relink(cursor: Cursor[Any], row: Any, part: flows.Component, *, undo: bool) -> set[int]:
    before = part.roots
    ends = ((row.home_key, row.to_home, True), (row.to_home, row.home_key, False))
    for here, there, to_root in ends:
        if undo:
            cursor.execute(
                "DELETE FROM flow_link WHERE home_key = %s AND other_key = %s AND basis = %s",
                (here, there, HAND),
            )
        else:
            cursor.execute(
                "INSERT INTO flow_link (home_key, other_key, basis, evidence, to_root, since) "
                "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (here, there, HAND, row.anchor, to_root, row.made_at),
            )
    woven = weaving.weave(cursor, {row.home_key, *part.nodes}, before)
    for mark in (True, False):
        marked = [home for home, matched in woven.matched.items() if matched is mark]
        flows.set_matched(cursor, marked, mark)
    if row.kind in DOCUMENTS:
        left = flows.links(cursor, [row.home_key]).get(row.home_key, [])
        roots = flows.look_up(cursor, [one.other for one in left if one.to_root])
        flows.set_matched(cursor, [row.home_key], any(one.matched for one in roots.values()))
    homes = {one.home for one in (*woven.new, *woven.moved)} | {home for home, _ in woven.lost}
    weaving.apply(cursor, woven, weaving.orders_at(cursor, homes))
    return homes
