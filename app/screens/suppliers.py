"""Which suppliers keep their word?"""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import SuppliersLink
from app.parts import scorecard_compare, scorecard_table
from app.parts.empty import nothing_here
from app.parts.filters import filter_of, filter_row, segments
from app.parts.header import header
from app.session import require

viewer = require("house.read")
link = SuppliersLink.from_query(st.query_params)
header("Which suppliers keep their word?", viewer)
filter_row(link, viewer)
with st.container(horizontal=True, vertical_alignment="center"):
    segments("show", "Show", scorecard_table.SHOWN, link.show, "table")
    if link.show == "table":
        st.space("small")
        scorecard_table.switches(link)

narrowed = filter_of(link, data.settled(data.this_minute()))
cards = data.scorecards(viewer.scope, narrowed, scorecard_table.TREND)
if not cards:
    nothing_here(
        "No supplier is known here.",
        next_step="Suppliers stand in network.yaml; tower partner add brings one.",
        back=SuppliersLink() if link.to_query() else None,
    )
elif link.show == "compare":
    scorecard_compare.comparison(cards, link, viewer, narrowed)
else:
    scorecard_table.scorecard_table(cards, link, viewer, narrowed)
