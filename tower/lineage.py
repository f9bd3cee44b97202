"""The chain from bytes to mail as a graph, and the part of it around one node.

raw message -> interpretation -> event -> field origin -> document field -> clock -> case -> mail

Every edge says on what it rests. The graph of a story is built once; walking it never asks again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tower.documents import LINE_OF, Owners, project
from tower.registers import Record, State, merge

Step = Literal["raw", "reading", "event", "origin", "field", "clock", "case", "mail"]
STEPS: tuple[Step, ...] = (
    "raw", "reading", "event", "origin", "field", "clock", "case", "mail",
)  # fmt: skip
STEP_WORDS: Mapping[str, str] = {
    "raw": "Raw message",
    "reading": "Interpretation",
    "event": "Event",
    "origin": "Field origin",
    "field": "Document field",
    "clock": "Clock",
    "case": "Case",
    "mail": "Mail",
}
MOST_NODES = 500
MOST_EVENTS = 300  # of one document that are folded one by one


@dataclass(frozen=True, slots=True)
class Node:
    """One link of the chain. ``id`` is stable, so that an address may carry it.

    state   ok, warn, bad or "" (nothing to say)
    target  what opens it: a reference, "case:12", "mail:4"
    """

    id: str
    step: Step
    label: str
    detail: str = ""
    state: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """From cause to effect; ``basis`` says what it rests on."""

    one: str
    other: str
    basis: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by id and the edges between them; ``left_out`` nodes did not fit."""

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    left_out: int = 0


def around(graph: Graph, start: str, depth: int = 2, most: int = MOST_NODES) -> Graph:
    """The nodes within ``depth`` edges of one, in both directions, nearest first."""
    if start not in graph.nodes:
        return Graph({}, ())
    beside: dict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        beside[edge.one].append(edge.other)
        beside[edge.other].append(edge.one)
    reached = {start: 0}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        if reached[here] == depth:
            continue
        for other in beside[here]:
            if other not in reached and other in graph.nodes:
                reached[other] = reached[here] + 1
                queue.append(other)
    kept = dict.fromkeys(list(reached)[:most])
    return Graph(
        {id_: graph.nodes[id_] for id_ in kept},
        tuple(edge for edge in graph.edges if edge.one in kept and edge.other in kept),
        left_out=graph.left_out + max(0, len(reached) - most),
    )


def path(graph: Graph, one: str, other: str) -> list[str]:
    """The shortest way from a cause to an effect, along the edges; empty if there is none."""
    after: dict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        after[edge.one].append(edge.other)
    came: dict[str, str] = {one: ""}
    queue = deque([one])
    while queue:
        here = queue.popleft()
        if here == other:
            way = [here]
            while came[way[-1]]:
                way.append(came[way[-1]])
            return way[::-1]
        for following in after[here]:
            if following not in came:
                came[following] = here
                queue.append(following)
    return []


def columns(graph: Graph) -> list[tuple[Step, list[Node]]]:
    """The nodes by step of the chain, in the order they were given: one column each."""
    by_step: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes.values():
        by_step[node.step].append(node)
    return [(step, by_step[step]) for step in STEPS if by_step[step]]


# --- which event decided a field -----------------------------------------------------------------

_BOOKKEEPING = frozenset(
    {"kind", "scope", "number", "line", "known", "reports", "first_seen_at", "last_event_at"}
)


@dataclass(frozen=True, slots=True)
class Decided:
    """One field of a document, the event that gave it its value, and those that did before.

    ``value`` is as the document keeps it: instants in microseconds since 1970.
    """

    kind: str
    line: str
    field: str
    value: Any
    by: str
    before: tuple[str, ...]


def decided(
    kind: str, scope: str, number: str, records: Sequence[tuple[str, Record]], owners: Owners
) -> list[Decided]:
    """What each field of a document is, and since which event.

    ``records`` are (event id, record) in the order of happening. The document is folded event by
    event: the one after which a field has its last value has decided it. That is true by
    construction, whatever the field's own rule is (earliest, latest, sum, owner's word).
    """
    state: State = {}
    values: dict[tuple[str, str, str], Any] = {}
    changers: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    told: dict[str, list[Record]] = {}
    for event_id, record in records[-MOST_EVENTS:]:
        told.setdefault(event_id, []).append(record)
    for event_id, parts in told.items():
        for record in parts:
            merge(state, record)
        now = _values(kind, scope, number, state, owners)
        for key, value in now.items():
            if values.get(key) != value:
                changers[key].append(event_id)
        for key in values.keys() - now.keys():
            changers[key].append(event_id)
        values = now
    return [
        Decided(key[0], key[1], key[2], value, changers[key][-1], tuple(changers[key][:-1]))
        for key, value in values.items()
    ]


def _values(
    kind: str, scope: str, number: str, state: State, owners: Owners
) -> dict[tuple[str, str, str], Any]:
    return {
        (row["kind"], row["line"], name): value
        for row in project(kind, scope, number, state, owners)
        for name, value in row.items()
        if name not in _BOOKKEEPING and value is not None
    }


def line_kind(kind: str) -> str:
    """Kind of the lines of a header; its own where it has none."""
    return LINE_OF.get(kind, kind)


# --- from a document's field to the event's own --------------------------------------------------

_NAMES: Mapping[str, tuple[str, ...]] = {
    "ordered_qty": ("qty",),
    "confirmed_qty": ("qty",),
    "shipped_qty": ("qty",),
    "received_qty": ("qty",),
    "rejected_qty": ("rejected_qty", "qty"),
    "invoiced_qty": ("qty",),
    "last_confirmed_date": ("date",),
    "first_confirmed_date": ("date",),
    "confirmed_date_kind": ("date_kind",),
    "promised_date": ("promise_date",),
    "first_promised_date": ("promise_date",),
    "actual_ship_date": ("ship_date", "shipped_at"),
    "shipped_at": ("shipped_at", "ship_date"),
    "fa_status": ("verdict",),
    "asn_status": ("rule", "reason"),
}


def event_paths(data: Mapping[str, Any], field: str, line: str) -> list[str]:
    """Where in an event's data a document's field may stand: its line's own first."""
    names = _NAMES.get(field, (field,))
    found = []
    if line:
        for list_name, items in data.items():
            if isinstance(items, list):
                for n, item in enumerate(items):
                    if isinstance(item, Mapping) and str(item.get("line", "")) == line:
                        found += [f"{list_name}[{n}].{name}" for name in names if name in item]
    return found + [name for name in names if name in data]


def unique(nodes: Iterable[Node]) -> dict[str, Node]:
    """Nodes by id, the first of each."""
    found: dict[str, Node] = {}
    for node in nodes:
        found.setdefault(node.id, node)
    return found
