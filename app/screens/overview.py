"""Is supply under control today?"""

from __future__ import annotations

import streamlit as st

from app import charts, data
from app.links import (
    ExceptionsLink,
    HealthLink,
    OrdersAtRiskLink,
    OverviewLink,
    PurchaseOrdersLink,
)
from app.parts.decisions import decisions
from app.parts.empty import nothing_here
from app.parts.filters import PERIOD_NAMES, filter_of, filter_row, filters_of
from app.parts.header import header
from app.parts.heat import heat_map
from app.parts.kpi_row import kpi_row
from app.session import current_viewer
from tower.briefing import sentences

viewer = current_viewer()
link = OverviewLink.from_query(st.query_params)
fresh = header("Is supply under control today?", viewer)
filter_row(link, viewer)
narrowed = filter_of(link, data.this_minute())
asked = (viewer.scope, narrowed, fresh.version)
same = filters_of(link)

kpi_row(
    data.leader_figures(*asked),
    {
        "orders_affected": ("which orders", OrdersAtRiskLink(**same)),
        "value_at_risk": ("who waits", OrdersAtRiskLink(group="customer", **same)),
        "ack_on_time": ("the misses", PurchaseOrdersLink(view="ack_missed", **same)),
        "asn_on_time": ("the misses", PurchaseOrdersLink(view="asn_late", **same)),
        "asn_valid": ("the misses", PurchaseOrdersLink(view="asn_refused", **same)),
        "otif": ("the misses", PurchaseOrdersLink(view="otif_missed", **same)),
        "open_exceptions": ("the queue", ExceptionsLink(view="all", **same)),
        "coverage": ("the feeds", HealthLink()),
    },
)

wide, narrow = st.columns([7, 3])
with wide.container(border=True, height="stretch"):
    st.subheader("Needs a decision", anchor=False)
    causes = data.needs_decision(*asked)
    if causes:
        decisions(causes, narrowed.period.end)
    else:
        nothing_here(
            "No exception is open here.",
            next_step="Cases open when a rule of the rule book is broken; none stands broken now.",
        )
with narrow.container(border=True, height="stretch"):
    st.subheader("Exceptions opened and closed", anchor=False)
    st.plotly_chart(
        data.case_flow_picture(*asked),
        config=charts.CONFIG,
        key="case flow",
        alt=f"Exceptions opened and closed per day, last {PERIOD_NAMES[link.period]}",
    )
    st.subheader("Open, by age", anchor=False)
    st.plotly_chart(
        data.open_ages_picture(*asked),
        config=charts.CONFIG,
        key="open ages",
        alt="Open exceptions by age and severity",
    )

wide, narrow = st.columns([7, 3])
with wide.container(border=True, height="stretch"):
    heat_map(data.ack_by_week(*asked), lambda: data.ack_heat_picture(*asked), same)
with narrow.container(border=True, height="stretch"):
    st.subheader("What changed since yesterday", anchor=False)
    for sentence in sentences(data.changes(*asked)):
        st.markdown(f"- {sentence}")
