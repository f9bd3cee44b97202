"""Flows and the links between them.

The row of a flow is also the lock of its home: every writer of a story first writes the rows of all
flows it will touch, sorted by key. What it reads after that, nobody else is changing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import Cursor

from db import staging
from db.driver import Conflict
from tower.correlation import IDS_PER_ID, ROOTS_PER_ID, Link, Node, Tie, Web

TieKey = tuple[int, int, str]
"""A tie from whichever end: the homes, the lower one first, and the basis."""


def tie_key(one: int, other: int, basis: str) -> TieKey:
    return (one, other, basis) if one < other else (other, one, basis)


class Flow(NamedTuple):
    """A flow as it is kept."""

    home: int
    anchor: str
    kind: str
    n_events: int
    matched: bool
    not_identifying: bool


@dataclass(slots=True)
class FlowGain:
    """What a batch adds to one flow; instants in microseconds since 1970 UTC.

    Without ``first`` it adds nothing and only locks a flow that is there.
    """

    node: Node
    first: int | None = None
    last: int = 0
    arrived: int = 0
    events: int = 0
    matched: bool = False
    partner: int | None = None

    def take(self, at: int, arrived: int, partner: int | None) -> None:
        if self.first is None:
            self.first, self.last, self.arrived = at, at, arrived
        else:
            if at < self.first:
                self.first = at
            if at > self.last:
                self.last = at
            if arrived < self.arrived:
                self.arrived = arrived
        if partner is not None and (self.partner is None or partner < self.partner):
            self.partner = partner


_FLOW = "home_key, anchor, anchor_kind, n_events, matched, not_identifying"
_FLOWS = f"SELECT {_FLOW} FROM flow WHERE home_key = ANY(%s::bigint[])"  # noqa: S608


def look_up(cursor: Cursor[Any], homes: Iterable[int]) -> dict[int, Flow]:
    """Flows of these homes as they are now."""
    cursor.execute(_FLOWS, (staging.numbers(homes),))
    return {row[0]: Flow(*row) for row in cursor.fetchall()}


_GAIN = staging.Change(
    "flow",
    "home_key, anchor, anchor_kind, first_at, last_at, arrived_at, n_events, matched, "
    "not_identifying, partner_id",
    "first_at = LEAST(flow.first_at, new.first_at), "
    "last_at = GREATEST(flow.last_at, new.last_at), "
    "arrived_at = LEAST(flow.arrived_at, new.arrived_at), "
    "n_events = flow.n_events + new.n_events, "
    "matched = CASE WHEN flow.anchor_kind = 'item' THEN flow.matched AND new.matched "
    "ELSE flow.matched OR (new.matched AND NOT flow.not_identifying) END, "
    "partner_id = LEAST(flow.partner_id, new.partner_id)",
    returning="flow.home_key, flow.anchor, flow.anchor_kind, flow.n_events, flow.matched, "
    "flow.not_identifying",
)
_NEW = (
    "home_key, anchor, anchor_kind, first_at, last_at, arrived_at, n_events, matched, "
    "not_identifying, partner_id"
)


def gain(
    cursor: Cursor[Any], gains: Iterable[FlowGain], standing: Mapping[int, Flow]
) -> dict[int, Flow]:
    """Add to flows, and so lock their homes; their state after that.

    ``standing`` are the flows that were seen to be there. A flow that somebody else makes meanwhile
    ends in a conflict.
    """
    new: list[bytes] = []
    known: list[bytes] = []
    found: dict[int, Flow] = {}
    for g in sorted(gains, key=lambda g: g.node.home):
        node = g.node
        row = _flow_row(g)
        if node.home in standing:
            known.append(row)
        else:
            new.append(row)
            found[node.home] = Flow(node.home, node.text, node.kind, g.events, g.matched, False)
    staging.copy_binary(cursor, "flow", _NEW, new)
    changed, rows = _GAIN.by_columns(cursor, {_NEW: known})
    if changed != len(known):
        raise Conflict("A flow is gone that was there a moment ago")
    found.update((row[0], Flow(*row)) for row in rows)
    return found


_FLOW_FIELDS = staging.fields(_NEW)
_NO_TIMES = staging.LATEST + staging.EARLIEST + staging.LATEST  # neither first nor last


def _flow_row(gain: FlowGain) -> bytes:
    node, instant = gain.node, staging.timestamp
    return b"".join(
        (
            _FLOW_FIELDS,
            staging.bigint(node.home),
            staging.octets_of(node.text),
            staging.word(node.kind),
            _NO_TIMES
            if gain.first is None
            else instant(gain.first) + instant(gain.last) + instant(gain.arrived),
            staging.integer(gain.events),
            staging.boolean(gain.matched),
            _FALSE,
            staging.NO_VALUE if gain.partner is None else staging.bigint(gain.partner),
        )
    )


_FALSE = staging.boolean(False)

_LINK_COLUMNS = "home_key, other_key, basis, evidence, to_root, since"
_LINK_FIELDS = staging.fields(_LINK_COLUMNS)
_EARLIER = staging.Change(
    "flow_link", _LINK_COLUMNS, "since = new.since", "new.since < flow_link.since"
)


def link(
    cursor: Cursor[Any],
    ties: Mapping[TieKey, tuple[Tie, int]],
    known: Collection[TieKey],
) -> None:
    """Keep ties at both ends, each with the earliest receipt that told it.

    ``known`` are those that are kept already.
    """
    new: list[tuple[int, int, bytes]] = []
    earlier: list[tuple[int, int, bytes]] = []
    bigint = staging.bigint
    for key, (tie, since) in ties.items():
        told = staging.word(tie.basis) + staging.octets_of(tie.evidence)
        at = staging.timestamp(since)
        rows = earlier if key in known else new
        for here, there in ((tie.one, tie.other), (tie.other, tie.one)):
            ends = _LINK_FIELDS + bigint(here.home) + bigint(there.home)
            row = b"".join((ends, told, staging.boolean(there.is_root), at))
            rows.append((here.home, there.home, row))
    staging.copy_binary(cursor, "flow_link", _LINK_COLUMNS, [row for *_, row in sorted(new)])
    _EARLIER.by_columns(cursor, {_LINK_COLUMNS: [row for *_, row in sorted(earlier)]})


_LINKS = (
    "SELECT home_key, other_key, basis, to_root, "
    "(extract(epoch FROM since) * 1000000)::bigint FROM flow_link "
    "WHERE home_key = ANY(%s::bigint[])"
)


def links(cursor: Cursor[Any], homes: Iterable[int]) -> dict[int, list[Link]]:
    """All links that begin at these homes."""
    found: dict[int, list[Link]] = {}
    cursor.execute(_LINKS, (staging.numbers(sorted(homes)),))
    for home, other, basis, to_root, since in cursor.fetchall():
        found.setdefault(home, []).append(Link(other, basis, to_root, since))
    return found


_KEPT = (
    "SELECT l.home_key, l.other_key, l.basis, (extract(epoch FROM l.since) * 1000000)::bigint "
    "FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS asked (home_key, other_key, basis) "
    "JOIN flow_link l ON l.home_key = asked.home_key AND l.other_key = asked.other_key "
    "AND l.basis = asked.basis"
)


def kept_ties(
    cursor: Cursor[Any], ties: Iterable[Tie], standing: Mapping[int, Flow]
) -> dict[TieKey, int]:
    """Those of the ties that are kept already, and since when.

    Each is asked for by itself: the number of an interchange ties as many orders as a file holds.
    """
    asked = [
        (tie.one.home, tie.other.home, tie.basis)
        for tie in ties
        if tie.one.home in standing and tie.other.home in standing
    ]
    if not asked:
        return {}
    ones, others, bases = zip(*asked, strict=True)
    cursor.execute(_KEPT, (staging.numbers(ones), staging.numbers(others), staging.literal(bases)))
    return {tie_key(home, other, basis): since for home, other, basis, since in cursor.fetchall()}


_BETWEEN = (
    "SELECT DISTINCT home_key FROM flow_link WHERE home_key = ANY(%s::bigint[]) AND NOT to_root"
)


def lonely(cursor: Cursor[Any], homes: Collection[int]) -> set[int]:
    """Those of the ids at these homes that are tied to orders alone."""
    if not homes:
        return set()
    cursor.execute(_BETWEEN, (staging.numbers(sorted(homes)),))
    return set(homes) - {row[0] for row in cursor.fetchall()}


_WIDE = (
    "SELECT home_key FROM flow_link WHERE home_key = ANY(%s::bigint[]) "
    "AND basis = 'correlation' GROUP BY home_key "
    "HAVING count(*) FILTER (WHERE to_root) > %s OR count(*) FILTER (WHERE NOT to_root) > %s"
)


def newly_useless(cursor: Cursor[Any], homes: Iterable[int]) -> set[int]:
    """Of these correlation ids those that tie too much to identify anything; they are marked so."""
    cursor.execute(_WIDE, (staging.numbers(sorted(homes)), ROOTS_PER_ID, IDS_PER_ID))
    wide = {row[0] for row in cursor.fetchall()}
    if wide:
        cursor.execute(
            "UPDATE flow SET not_identifying = true, matched = false "
            "WHERE home_key = ANY(%s::bigint[]) AND anchor_kind = 'id' AND NOT not_identifying "
            "RETURNING home_key",
            (staging.numbers(sorted(wide)),),
        )
        return {row[0] for row in cursor.fetchall()}
    return set()


def set_matched(cursor: Cursor[Any], homes: Iterable[int], matched: bool) -> None:
    """Correct the mark of flows whose ties decide it."""
    wanted = sorted(homes)
    if wanted:
        cursor.execute(
            "UPDATE flow SET matched = %s WHERE home_key = ANY(%s::bigint[]) "
            "AND anchor_kind IN ('id', 'asn', 'invoice', 'receipt') AND matched <> %s",
            (matched, staging.numbers(wanted), matched),
        )


@dataclass(slots=True)
class Component:
    """Ids and documents tied to each other, and all that is known of them.

    beside  ids that identify nothing and border on it; what they tie is not asked for
    """

    web: Web
    nodes: set[int]
    flows: dict[int, Flow]
    beside: set[int]

    @property
    def roots(self) -> set[int]:
        return {
            one.other for home in self.nodes for one in self.web.links.get(home, ()) if one.to_root
        }


def component(cursor: Cursor[Any], seeds: Iterable[int]) -> Component:
    """Everything that the ids and documents in ``seeds`` are tied to, up to the orders."""
    part = Component(Web(), set(), {}, set())
    web = part.web
    given = set(seeds)
    seen: set[int] = set()
    frontier = set(given)
    while frontier:
        seen |= frontier
        flows = look_up(cursor, sorted(frontier))
        part.flows.update(flows)
        for home, one in flows.items():
            web.kinds[home] = one.kind
            if one.not_identifying:
                web.useless.add(home)
        asked = {home for home in frontier if home not in web.useless or home in given}
        part.beside |= frontier - asked
        part.nodes |= asked
        web.links.update(links(cursor, asked))
        frontier = {
            one.other
            for home in asked - web.useless
            for one in web.links.get(home, ())
            if not one.to_root
        } - seen
    return part


def settled(part: Component) -> dict[int, bool]:
    """For the ids of a component, whether they lead to an order."""
    return {
        home: home not in part.web.useless and bool(part.web.reach((home,), 0))
        for home, one in part.flows.items()
        if one.kind == "id" and home in part.nodes
    }
