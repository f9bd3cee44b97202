"""The lineage graph: columns are the steps of the chain, a click walks on from there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components.asset import asset
from tower.lineage import STEP_WORDS, Graph, Node, columns

WIDE, HIGH = 200, 42  # of a node, in pixels
GAP_X, GAP_Y = 64, 10
TOP, LEFT = 34, 14

_mount = st.components.v2.component(
    "tower_lineage",
    html='<div class="chain" role="group" aria-label="Lineage graph"></div>',
    css=asset("lineage.css"),
    js=asset("lineage.js"),
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A node and the upper left corner of its box."""

    node: Node
    x: int
    y: int


def layout(graph: Graph) -> list[Placed]:
    """One column for each step that there is; inside it, beside what leads there.

    A node stands at the mean height of the nodes before it, so that edges cross little.
    """
    before: dict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        before[edge.other].append(edge.one)
    placed: dict[str, Placed] = {}
    for number, (_, nodes) in enumerate(columns(graph)):
        wanted = []
        for order, node in enumerate(nodes):
            heights = [placed[one].y for one in before[node.id] if one in placed]
            wanted.append((sum(heights) / len(heights) if heights else 0.0, order, node))
        for row, (_, _, node) in enumerate(sorted(wanted, key=lambda w: w[:2])):
            x, y = LEFT + number * (WIDE + GAP_X), TOP + row * (HIGH + GAP_Y)
            placed[node.id] = Placed(node, x, y)
    return list(placed.values())


def lineage(graph: Graph, *, chosen: str | None, key: str) -> str | None:
    """Draw the graph; the id of the node clicked in this run, else None."""
    placed = layout(graph)
    steps = [
        {"label": STEP_WORDS[step], "x": LEFT + n * (WIDE + GAP_X)}
        for n, (step, _) in enumerate(columns(graph))
    ]
    data: dict[str, Any] = {
        "nodes": [
            {
                "id": one.node.id,
                "label": one.node.label,
                "detail": one.node.detail,
                "state": one.node.state,
                "step": STEP_WORDS[one.node.step],
                "x": one.x,
                "y": one.y,
            }
            for one in placed
        ],
        "edges": [{"one": e.one, "other": e.other, "basis": e.basis} for e in graph.edges],
        "steps": steps,
        "w": WIDE,
        "h": HIGH,
        "width": max((one.x for one in placed), default=0) + WIDE + LEFT,
        "height": max((one.y for one in placed), default=0) + HIGH + LEFT,
        "chosen": chosen,
    }
    result = _mount(key=key, data=data, on_clicked_change=_noticed)
    return None if result.clicked is None else str(result.clicked)


def _noticed() -> None:
    """The run that the click starts reads it; nothing to do before."""
