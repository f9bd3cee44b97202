"""The acknowledgement ladder of one purchase order, rung by rung."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import streamlit as st

from app.components.asset import asset
from app.parts.words import day_clock, span
from tower.ladder import Rung

STATE_WORDS = {
    "done": "done",
    "done_with_errors": "done, with errors",
    "waiting": "waiting",
    "late": "late",
    "refused": "refused",
    "not_expected": "not expected",
    "unknown": "unknown",
}
SIGNS = {
    "done": "✓",
    "done_with_errors": "!",
    "waiting": "…",
    "late": "▲",
    "refused": "✕",
    "not_expected": "–",
    "unknown": "?",
}
WHOSE = {
    "ours": "our clock",
    "gateway": "gateway's clock",
    "partner": "supplier's clock",
    "erp": "ERP's clock",
}

_mount = st.components.v2.component(
    "tower_ladder",
    html='<ol class="ladder"></ol>',
    css=asset("ladder.css"),
    js=asset("ladder.js"),
)


def steps(rungs: Sequence[Rung], now: datetime, zone: ZoneInfo) -> list[dict[str, str]]:
    """What each rung shows: its words are ready, the script only places them."""
    shown = []
    before: datetime | None = None
    for rung in rungs:
        when = "" if rung.at is None else day_clock(rung.at, zone)
        took = ""
        if rung.at is not None and before is not None and rung.at >= before:
            took = f"after {span((rung.at - before).total_seconds())}"
        elif rung.state == "late" and rung.due is not None:
            took = f"{span((now - rung.due).total_seconds())} overdue"
        elif rung.state == "waiting" and rung.due is not None:
            left = (rung.due - now).total_seconds()
            took = f"due in {span(left)}" if left > 0 else f"due {day_clock(rung.due, zone)}"
        shown.append(
            {
                "name": rung.label,
                "state": rung.state,
                "sign": SIGNS.get(rung.state, "?"),
                "word": STATE_WORDS.get(rung.state, rung.state),
                "when": when,
                "took": took,
                "whose": WHOSE.get(rung.whose, rung.whose),
                "note": rung.note,
                "utc": "" if rung.at is None else f"{rung.at:%Y-%m-%d %H:%M:%S} UTC",
            }
        )
        before = rung.at or before
    return shown


def ladder(rungs: Sequence[Rung], now: datetime, zone: ZoneInfo, *, key: str) -> None:
    """Draw the ladder."""
    _mount(key=key, data={"steps": steps(rungs, now, zone)})
