"""Two messages side by side, segment by segment, with the letters that differ."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

import streamlit as st

from app.components.asset import asset
from app.components.payload import readable
from tower.comparison import PartRow

MOST_ROWS = 600
LONGEST = 2000  # letters of one part that are compared

Parts = list[tuple[bool, str]]

_mount = st.components.v2.component(
    "tower_sides",
    html='<div class="sides" tabindex="0" role="group" aria-label="Two messages compared"></div>',
    css=asset("sides.css"),
    js=asset("sides.js"),
)


def marked(one: str, other: str) -> tuple[Parts, Parts]:
    """Both texts cut into what is the same and what is not."""
    left: Parts = []
    right: Parts = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if i2 > i1:
            left.append((tag != "equal", one[i1:i2]))
        if j2 > j1:
            right.append((tag != "equal", other[j1:j2]))
    return left, right


def rows_of(found: Sequence[PartRow]) -> list[dict[str, Any]]:
    """What the script draws: equal parts far from any difference are left out.

    Letters are compared only where some part is the same: two formats differ in every letter.
    """
    alike = any(row.change == "same" for row in found) or len(found) == 1
    near = {m for n, row in enumerate(found) if row.change != "same" for m in range(n - 3, n + 4)}
    rows: list[dict[str, Any]] = []
    for n, row in enumerate(found):
        if n not in near and near and len(found) > 40:
            continue
        one = None if row.one is None else readable(row.one[2][:LONGEST].encode())
        other = None if row.other is None else readable(row.other[2][:LONGEST].encode())
        left = right = None
        if one is not None and other is not None and one != other and alike:
            left, right = marked(one, other)
        else:
            left = None if one is None else [(False, one)]
            right = None if other is None else [(False, other)]
        rows.append(
            {
                "ln": None if row.one is None else str(row.one[0]),
                "rn": None if row.other is None else str(row.other[0]),
                "l": left,
                "r": right,
                "same": row.change == "same",
            }
        )
    return rows[:MOST_ROWS]


def sides(found: Sequence[PartRow], left: str, right: str, *, key: str) -> None:
    """Draw them."""
    _mount(key=key, data={"rows": rows_of(found), "left": left, "right": right})
