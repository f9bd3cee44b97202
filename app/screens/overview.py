"""Is supply under control today?"""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import (
    ExceptionsLink,
    FiguresLink,
    OrdersAtRiskLink,
    OverviewLink,
)
from app.parts import overview_pictures
from app.parts.decisions import decisions
from app.parts.empty import nothing_here
from app.parts.filters import filter_of, filter_row, filters_of
from app.parts.header import header
from app.parts.heat import heat_map
from app.parts.kpi_row import kpi_row
from app.session import require

viewer = require("house.read")
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
        "ack_on_time": ("the misses", FiguresLink(id="ack_on_time", show="miss", **same)),
        "asn_on_time": ("the misses", FiguresLink(id="asn_on_time", show="miss", **same)),
        "asn_valid": ("the misses", FiguresLink(id="asn_valid", show="miss", **same)),
        "otif": ("the misses", FiguresLink(id="otif", show="miss", **same)),
        "open_exceptions": ("the queue", ExceptionsLink(view="all", **same)),
        "coverage": ("not judged", FiguresLink(id="coverage", show="miss", **same)),
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
    overview_pictures.case_flow(asked, link)
    overview_pictures.open_ages(asked, link)

wide, narrow = st.columns([7, 3])
with wide.container(border=True, height="stretch"):
    heat_map(data.ack_by_week(*asked), lambda: data.ack_heat_picture(*asked), link.period)
with narrow.container(border=True, height="stretch"):
    st.subheader("What changed since yesterday", anchor=False)
    overview_pictures.changed(data.changes(*asked), same)
