"""All events of a story in time, by the system that told them, with waiting between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from app.components.asset import asset
from app.parts.words import day_clock, span
from db.reads.stories import StoryEvent

GAP_SHARE = 0.08  # a silence longer than this share of the whole is called out
MOST_ROWS = 120
BAD = frozenset(
    {"asn.rejected", "po.rejected", "message.failed", "message.dead_lettered", "invoice.blocked"}
)
WARN = frozenset({"message.retried", "receipt.discrepancy", "order.backordered", "po.held"})

_mount = st.components.v2.component(
    "tower_waterfall",
    html='<div class="fall" role="list"></div>',
    css=asset("waterfall.css"),
    js=asset("waterfall.js"),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a wait (from the event before) ending in an event. Shares of the whole, 0 to 1."""

    label: str
    system: str
    begin: float
    width: float
    state: str
    when: str
    wait: str
    hint: str
    index: int


def bars(events: Sequence[StoryEvent], zone: ZoneInfo) -> tuple[list[Bar], str]:
    """Rows in order of happening and a sentence on the span they cover.

    Each bar begins where the event before ended, so that the bars add up to the whole. An event
    that claims to be older than the one before it cannot be: events come sorted by occurred_at.
    """
    shown = list(events[:MOST_ROWS])
    if not shown:
        return [], ""
    first, last = shown[0].occurred_at, shown[-1].occurred_at
    whole = max((last - first) / timedelta(seconds=1), 1.0)
    rows = []
    before = first
    for n, event in enumerate(shown):
        begin = (before - first) / timedelta(seconds=1) / whole
        took = (event.occurred_at - before) / timedelta(seconds=1)
        late = (event.received_at - event.occurred_at) / timedelta(seconds=1)
        hint = f"{event.occurred_at:%Y-%m-%d %H:%M:%S} UTC by {event.system}"
        if late > 3600:
            hint += f"; reached us {span(late)} later"
        elif late < -60:
            hint += f"; told {span(-late)} before it reached us: that clock is ahead"
        rows.append(
            Bar(
                label=event.type,
                system=event.system,
                begin=begin,
                width=took / whole,
                state="bad"
                if event.type in BAD
                else "warn"
                if event.type in WARN
                else "gap"
                if took / whole > GAP_SHARE and took > 3600
                else "ok",
                when=day_clock(event.occurred_at, zone),
                wait="" if n == 0 else f"+{span(took)}" if took >= 60 else f"+{took:.0f} s",
                hint=hint,
                index=n,
            )
        )
        before = event.occurred_at
    text = f"{len(events)} events over {span(whole)}"
    return rows, text if len(shown) == len(events) else f"{text}; the first {MOST_ROWS} drawn"


def waterfall(
    events: Sequence[StoryEvent], zone: ZoneInfo, *, key: str, chosen: int | None = None
) -> int | None:
    """Draw it with one event marked; the index of the event clicked in this run, else None."""
    rows, _ = bars(events, zone)
    result = _mount(
        key=key,
        data={
            "rows": [
                {name: getattr(row, name) for name in Bar.__dataclass_fields__} for row in rows
            ],
            "chosen": chosen,
        },
        on_clicked_change=_noticed,
    )
    return None if result.clicked is None else int(result.clicked)


def _noticed() -> None:
    """The run that the click starts reads it; nothing to do before."""
