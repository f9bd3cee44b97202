"""Whose clock ran: one strip of the whole time, a part for each who held the document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import streamlit as st

from app.components.asset import asset
from app.parts.words import span
from tower.holders import HOLDERS, Share

_mount = st.components.v2.component(
    "tower_whose",
    html='<div class="whose" role="img"></div>',
    css=asset("whose.css"),
    js=asset("whose.js"),
)


def parts(found: Sequence[Share]) -> list[dict[str, Any]]:
    """What the strip shows of each holder."""
    colours = {holder: f"c{n}" for n, holder in enumerate(HOLDERS)}
    return [
        {
            "who": HOLDERS[one.holder],
            "part": max(one.wall / timedelta(seconds=1), 0.001),
            "wall": _span(one.wall),
            "open": "" if one.open_time is None else _span(one.open_time),
            "colour": colours[one.holder],
        }
        for one in found
    ]


def _span(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{seconds:.0f} s" if abs(seconds) < 60 else span(seconds)


def whose(found: Sequence[Share], *, key: str) -> None:
    """Draw the strip."""
    shown = parts(found)
    words = "Whose clock: " + ", ".join(f"{one['who']} {one['wall']}" for one in shown)
    _mount(key=key, data={"shares": shown, "words": words})
