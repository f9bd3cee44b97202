"""Routes of API gateways. What a gateway did not say stays a dash, never zero."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app.parts.tables import ROW_PX, table
from app.parts.words import ago
from db.reads.gateway import RouteLoad


def route_table(rows: Sequence[RouteLoad], now: datetime) -> None:
    """Every route of the last day, those with most failures first."""
    st.subheader("API routes")
    table(
        {
            "Route": [r.route for r in rows],
            "Partner": [r.partner for r in rows],
            "Calls": [r.calls for r in rows],
            "Failed": [r.failed for r in rows],
            "Throttled": [r.throttled for r in rows],
            "Refused": [r.refused - r.throttled for r in rows],
            "Half within ms": [r.p50_ms for r in rows],
            "95 % within ms": [r.p95_ms for r in rows],
            "Least headroom": [None if r.headroom is None else 100 * r.headroom for r in rows],
            "Gateway log": [r.source for r in rows],
            "Last call": [ago(r.last_at, now) for r in rows],
        },
        alt="Routes of API gateways, those with most failures first",
        key="routes",
        config={"Least headroom": st.column_config.NumberColumn(format="%.0f %%")},
        height=min(460, ROW_PX * (len(rows) + 1) + 3),
    )
