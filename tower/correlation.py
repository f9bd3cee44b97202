"""Which events belong together: where an event lives, what its ids tie, and what ties lead to.

An event lives in the flow of its anchor, a function of the event alone. The ids it names tie that
flow to others; a tie is kept with its evidence and never moves an event. Ties lead from ids and
shipments to orders, never onward through an order, so flows cannot melt into one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from tower import identity
from tower.event import Event
from tower.identity import ROOT_KINDS

# Homes are hashes; a batch asks for the same few thousand again and again.
document_home = lru_cache(maxsize=1 << 16)(identity.document_home)
id_home = lru_cache(maxsize=1 << 16)(identity.id_home)


def forget() -> None:
    """Empty what is remembered of documents and ids: those of a part do not come again."""
    for remembered in (document_home, id_home, document_node, id_node):
        remembered.cache_clear()


ROOTS_PER_ID = 25
"""A correlation id that ties more orders than this identifies none of them ("0", "test")."""

IDS_PER_ID = 200
"""Nor does one that ties more other ids than this."""

WIDEST = 500
"""Ids tied to each other beyond this number lead nowhere: such a heap is no journey."""

DOCUMENTS = frozenset({"asn", "invoice", "receipt"})
_HEADER = {"po_line": "po", "order_line": "order"}


class Node(NamedTuple):
    """A flow: its kind (po, order, asn, invoice, receipt, id, item, ...), its anchor, its home."""

    kind: str
    text: str
    home: int

    @property
    def is_root(self) -> bool:
        return self.kind in ROOT_KINDS


class Tie(NamedTuple):
    """Two flows that one event ties together; ``evidence`` is the id or document that does it."""

    one: Node
    other: Node
    basis: str
    evidence: str


class Place(NamedTuple):
    """Where an event lives, why there, and what it ties."""

    node: Node
    basis: str
    roots: tuple[Node, ...]
    ties: tuple[Tie, ...]


@lru_cache(maxsize=1 << 15)
def document_node(kind: str, scope: str, number: str) -> Node:
    return Node(kind, f"{kind}:{scope}:{number}", document_home(kind, scope, number))


LONGEST_ID = 400
"""A longer id is named by its beginning and its home: names of flows are keys of an index."""


@lru_cache(maxsize=1 << 15)
def id_node(identifier: str) -> Node:
    home = id_home(identifier)
    if len(identifier) > LONGEST_ID:
        identifier = f"{identifier[:LONGEST_ID]}... ({home})"
    return Node("id", identifier, home)


def place(event: Event) -> Place:
    """The flow an event lives in, by the strongest evidence it carries, and its ties.

    An event of one order ties its ids, its ASN and its invoice to that order. An event of several
    orders ties only its own document to them, never the orders to one another. An event of no order
    ties what it names to its own flow. So each tie begins or ends where its event lives.
    """
    root: Node | None = None
    root_key = ("", "", "")
    roots: dict[Node, None] = {}
    documents: list[Node] = []
    own: Node | None = None
    for ref in event.objects:
        kind = ref.kind
        key = (_HEADER.get(kind, kind), ref.scope, ref.number)
        if key == root_key:
            continue  # mostly the lines of the order just seen
        node = document_node(*key)
        if node.kind in ROOT_KINDS:
            root, root_key = node, key
            roots[node] = None
            continue
        if own is None:
            own = node
        if kind in DOCUMENTS and node not in documents:
            documents.append(node)
    named = _identifiers(event)
    if root is not None and len(roots) == 1:
        ties = [_tie(i, root, basis) for basis, i in named]
        ties += [Tie(d, root, "document", d.text) for d in documents if d.kind != "receipt"]
        return Place(root, "document", (root,), tuple(ties))
    if root is not None:
        found = tuple(roots)
        if own is None:
            home = identity.item_key(event.source, event.raw_key)
            heap = Node("item", f"{event.source}/{event.raw_key}", home)
            return Place(heap, "item", found, ())
        ties = [Tie(own, r, "document", own.text) for r in found if own.kind in DOCUMENTS]
        ties += [_tie(i, own, basis) for basis, i in _about(event, named)]
        return Place(own, "own", found, tuple(ties))
    return _rootless(event, named, documents, own)


def _identifiers(event: Event) -> list[tuple[str, str]]:
    """As ``event.identifiers()``, with less ado: most events name one id or none."""
    named: list[tuple[str, str]] = []
    if event.correlation_id:
        named.append(("correlation", event.correlation_id))
    for identifier in event.answers:
        named.append(("answers", identifier))
    for identifier in event.carries:
        named.append(("carries", identifier))
    if event.causation_id:
        named.append(("causation", event.causation_id))
    return named


def _tie(identifier: str, other: Node, basis: str) -> Tie:
    one = id_node(identifier)
    # Two ids tie each other from either side: their evidence is the same whoever tells it.
    evidence = min(one.text, other.text) if other.kind == "id" else one.text
    return Tie(one, other, basis, evidence)


def _rootless(
    event: Event,
    named: Sequence[tuple[str, str]],
    documents: Sequence[Node],
    own: Node | None,
) -> Place:
    about = _about(event, named)
    if named:
        basis, identifier = named[0]
        node = id_node(identifier)
    elif own is not None:
        basis, node = "own", own
    else:
        home = identity.item_key(event.source, event.raw_key)
        return Place(Node("item", f"{event.source}/{event.raw_key}", home), "item", (), ())
    ties = [_tie(i, node, b) for b, i in about if id_node(i) != node]
    ties += [
        Tie(d, node, "document", d.text)
        for d in documents
        if d.home != node.home and d.kind != "receipt"
    ]
    return Place(node, basis, (), tuple(ties))


def _about(event: Event, named: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Ids that say what a message is about.

    What answers another message travels in an envelope of its own, which tells nothing about
    the order: a 997 for fifty orders would tie all of them together.
    """
    if event.answers:
        return [(basis, i) for basis, i in named if basis != "carries"]
    return list(named)


def leads_from(event: Event) -> tuple[Node, ...]:
    """The flows from which an event without an order may reach one: its ids, ASN and invoice.

    A receipt is tied to nothing but the orders it names: only an event that lives there is led.
    """
    nodes = [id_node(i) for _, i in _about(event, event.identifiers())]
    for ref in event.objects:
        if ref.kind in DOCUMENTS:
            node = document_node(ref.kind, ref.scope, ref.number)
            if ref.kind != "receipt" or node == place(event).node:
                nodes.append(node)
    return tuple(nodes)


class Link(NamedTuple):
    """One end of a tie as it is kept: where it leads, and the earliest receipt that told it."""

    other: int
    basis: str
    to_root: bool
    since: int


@dataclass(slots=True)
class Web:
    """The ties around some flows: links by home, kind of each flow, ids that identify nothing.

    Instants are microseconds since 1970 UTC.
    """

    links: dict[int, list[Link]] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    useless: set[int] = field(default_factory=set)

    def leads(self, home: int) -> dict[int, int]:
        """Orders that a flow leads to at once, or through a document of its own, and since when."""
        found: dict[int, int] = {}
        if home in self.useless:
            return found
        for link in self.links.get(home, ()):
            if link.to_root:
                _least(found, link.other, link.since)
            elif self.kinds.get(link.other) in DOCUMENTS and self.kinds.get(home) == "id":
                for onward in self.links.get(link.other, ()):
                    if onward.to_root:
                        _least(found, onward.other, max(link.since, onward.since))
        return found

    def through_others(self, homes: Iterable[int]) -> dict[int, int]:
        """The one order that other ids lead to; nothing if they lead to several: never guessed."""
        best = {home: 0 for home in homes if home not in self.useless}
        waiting = sorted(best)
        found: dict[int, int] = {}
        while waiting:
            if len(best) > WIDEST:
                return {}
            home = waiting.pop()
            since = best[home]
            roots = self.leads(home)
            for root, told in roots.items():
                _least(found, root, max(since, told))
            if roots:
                continue  # an id that has its order is not asked for those of its neighbours
            for link in self.links.get(home, ()):
                if link.to_root or link.other in self.useless:
                    continue
                told = max(since, link.since)
                if told < best.get(link.other, told + 1):
                    best[link.other] = told
                    waiting.append(link.other)
        return found if len(found) == 1 else {}

    def reach(self, homes: Sequence[int], received: int) -> dict[int, tuple[int, int]]:
        """Orders that an event naming these flows reaches: order -> (known there since, via)."""
        found: dict[int, tuple[int, int]] = {}
        for home in sorted(set(homes)):
            for root, since in self.leads(home).items():
                known = found.get(root)
                if known is None or since < known[0]:
                    found[root] = (since, home)
        if not found:
            asked = [home for home in homes if home not in self.useless]
            found = {root: (at, asked[0]) for root, at in self.through_others(asked).items()}
        return {root: (max(received, since), via) for root, (since, via) in found.items()}


def _least(found: dict[int, int], key: int, value: int) -> None:
    known = found.get(key)
    if known is None or value < known:
        found[key] = value


def identifies(links: Iterable[Link]) -> bool:
    """Whether a correlation id still tells something: it ties few orders and few other ids."""
    roots: set[int] = set()
    others: set[int] = set()
    for link in links:
        if link.basis == "correlation":
            (roots if link.to_root else others).add(link.other)
    return len(roots) <= ROOTS_PER_ID and len(others) <= IDS_PER_ID


__all__ = [
    "DOCUMENTS",
    "IDS_PER_ID",
    "ROOTS_PER_ID",
    "WIDEST",
    "Link",
    "Node",
    "Place",
    "Tie",
    "Web",
    "document_home",
    "document_node",
    "id_home",
    "id_node",
    "identifies",
    "leads_from",
    "place",
]
