"""Streams from cause over supplier to customer: a Sankey whose names and bands can be clicked.

Where everything stands is computed here; the script only draws. Widths are numbers of order lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components.asset import asset
from app.parts.words import many
from db.reads.orders_at_risk import Stream

_mount = st.components.v2.component(
    "tower_streams",
    html='<div class="streams"></div>',
    css=asset("streams.css"),
    js=asset("streams.js"),
)

COLUMNS = ("Cause", "Supplier", "Customer")
WIDE = 1000  # units of the drawing; the page scales it
BAR = 10
GAP = 14
LEAST = 6  # height of the smallest name, so that it can be hit
ROOM = 236  # for names left of the first and right of the last column


@dataclass(frozen=True, slots=True)
class Node:
    """A name: its column (0 to 2), its key for a filter, None where it cannot be narrowed to."""

    column: int
    name: str
    key: str | None
    lines: int
    top: float
    high: float


@dataclass(frozen=True, slots=True)
class Band:
    """What flows between two nodes (by index); ``left`` and ``right`` are its upper ends."""

    one: int
    other: int
    lines: int
    left: float
    right: float
    high: float


def laid_out(
    found: Sequence[Stream], named: Callable[[str], str]
) -> tuple[list[Node], list[Band], float]:
    """Nodes, bands between them, and the height of the drawing; the largest of a column on top."""
    totals: list[dict[tuple[str, str | None], int]] = [{}, {}, {}]
    flows: dict[tuple[int, tuple[str, str | None], tuple[str, str | None]], int] = {}
    for one in found:
        ends = (
            (named(one.cause), one.cause),
            (one.supplier, one.supplier_key),
            (one.customer, one.customer_key),
        )
        for total, end in zip(totals, ends, strict=True):
            total[end] = total.get(end, 0) + one.lines
        for n in (0, 1):
            step = (n, ends[n], ends[n + 1])
            flows[step] = flows.get(step, 0) + one.lines
    whole = max(sum(totals[0].values()), 1)
    most = max((len(total) for total in totals), default=1)
    high = max(220.0, 34.0 * most)
    unit = (high - GAP * (most - 1) - LEAST * most) / whole
    nodes: list[Node] = []
    place: dict[tuple[int, tuple[str, str | None]], int] = {}
    for column, total in enumerate(totals):
        sizes = {end: LEAST + lines * unit for end, lines in total.items()}
        top = (high - sum(sizes.values()) - GAP * (len(sizes) - 1)) / 2
        for end, lines in sorted(total.items(), key=lambda pair: (-pair[1], pair[0][0])):
            place[column, end] = len(nodes)
            nodes.append(Node(column, end[0], end[1], lines, top, sizes[end]))
            top += sizes[end] + GAP
    return nodes, _bands(nodes, place, flows), high


def _bands(
    nodes: Sequence[Node],
    place: Mapping[tuple[int, tuple[str, str | None]], int],
    flows: Mapping[tuple[int, tuple[str, str | None], tuple[str, str | None]], int],
) -> list[Band]:
    """Bands leave and reach a node in the order in which their other ends stand."""
    steps = sorted(
        (place[n, one], place[n + 1, other], lines) for (n, one, other), lines in flows.items()
    )
    left = {n: node.top for n, node in enumerate(nodes)}
    right = dict(left)
    found = []
    for one, other, lines in steps:
        # A node is as high as its lines and a little more: each band takes its share of that.
        out = nodes[one].high * lines / nodes[one].lines
        into = nodes[other].high * lines / nodes[other].lines
        found.append(Band(one, other, lines, left[one], right[other], min(out, into)))
        left[one] += out
        right[other] += into
    return found


def streams(
    found: Sequence[Stream], named: Callable[[str], str], *, key: str
) -> tuple[int, str] | None:
    """Draw the picture; (column, key) of the name that was clicked in this run."""
    nodes, bands, high = laid_out(found, named)
    data: dict[str, Any] = {
        "columns": COLUMNS,
        "wide": WIDE,
        "high": high,
        "bar": BAR,
        "room": ROOM,
        "nodes": [
            {
                "column": node.column,
                "name": node.name,
                "lines": many(node.lines, "line"),
                "top": node.top,
                "high": node.high,
                "open": node.key is not None,
            }
            for node in nodes
        ],
        "bands": [
            {
                "one": band.one,
                "other": band.other,
                "lines": many(band.lines, "order line"),
                "left": band.left,
                "right": band.right,
                "high": max(band.high, 1.0),
            }
            for band in bands
        ],
        "words": "Affected order lines from cause over supplier to customer",
    }
    result = _mount(key=key, data=data, on_clicked_change=_noticed)
    if result.clicked is None:
        return None
    index = int(result.clicked)
    if not 0 <= index < len(nodes):
        return None
    chosen = nodes[index]
    return None if chosen.key is None else (chosen.column, chosen.key)


def _noticed() -> None:
    """The run that the click starts reads it; nothing to do before."""
