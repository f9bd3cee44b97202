"""Queues as cards, table and picture. What a broker did not say stays a dash, never zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from app import charts
from app.links import QueuesLink
from app.parts.tables import ROW_PX, table
from app.parts.words import MISSING, ago, count, span
from app.session import Viewer
from db.reads.queues import QueueNow


def cards(rows: Sequence[QueueNow], now: datetime) -> None:
    """Four figures over all queues."""
    waiting = [q.ready for q in rows if q.ready is not None]
    dead = [q for q in rows if q.dlq_of is not None]
    dead_total = [q.total for q in dead if q.total is not None]
    idle = [q for q in rows if q.consumers == 0 and q.dlq_of is None]
    newest = max(q.at for q in rows)
    with st.container(horizontal=True):
        st.metric("Messages waiting", count(sum(waiting)) if waiting else MISSING, border=True)
        st.metric(
            "In dead-letter queues",
            count(sum(dead_total)) if dead_total else MISSING,
            _growth(dead),
            delta_color="inverse",
            border=True,
        )
        st.metric("Queues without consumer", count(len(idle)), border=True)
        st.metric("Newest sample", ago(newest, now), border=True)


def _growth(dead: Sequence[QueueNow]) -> str | None:
    pairs = [
        (q.total, q.total_before)
        for q in dead
        if q.total is not None and q.total_before is not None
    ]
    if not pairs:
        return None
    change = sum(now - before for now, before in pairs)
    return f"{change:+,} in a day" if change else None


def queue_table(rows: Sequence[QueueNow], now: datetime) -> None:
    """Every queue; its name shows its picture below."""
    table(
        {
            "Queue": [q.queue for q in rows],
            "Holds": ["dead letters" if q.dlq_of else "messages" for q in rows],
            "Waiting": [q.ready for q in rows],
            "In flight": [q.in_flight for q in rows],
            "Highest in a day": [q.highest for q in rows],
            "Consumers": [q.consumers for q in rows],
            "In per s": [q.in_rate for q in rows],
            "Out per s": [q.out_rate for q in rows],
            "Oldest": [None if q.oldest_age_s is None else span(q.oldest_age_s) for q in rows],
            "Broker": [q.broker for q in rows],
            "Sampled": [ago(q.at, now) for q in rows],
        },
        alt="Queues, dead-letter queues first, then by depth",
        key="queues",
        opens="Queue",
        links=[QueuesLink(queue=q.queue) for q in rows],
        config={
            "In per s": st.column_config.NumberColumn(format="%.2f"),
            "Out per s": st.column_config.NumberColumn(format="%.2f"),
        },
        height=min(460, ROW_PX * (len(rows) + 1) + 3),
    )


def named(rows: Sequence[QueueNow], name: str | None) -> QueueNow:
    """The queue of that name, else the deepest one."""
    for row in rows:
        if row.queue == name:
            return row
    return max(rows, key=lambda q: q.total or 0)


def picture(shown: QueueNow, points: Sequence[Mapping[str, Any]], viewer: Viewer) -> None:
    """Depth and rates of one queue over the day."""
    with st.container(border=True):
        st.markdown(f"**{shown.queue}** :gray[{shown.broker}, deepest of each slice of time]")
        st.plotly_chart(
            charts.queue_depth(points, viewer.zone), key="queue depth", config=charts.CONFIG
        )
