"""Did what was ordered come: in full, in time, undamaged, and was it billed right?"""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import FulfilmentLink
from app.parts import fulfilment_figures, fulfilment_lists
from app.parts.filters import filter_of, filter_row, segments
from app.parts.header import header
from app.session import require

viewer = require("house.read")
link = FulfilmentLink.from_query(st.query_params)
header("Did what was ordered come, in full and in time?", viewer)
filter_row(link, viewer)
narrowed = filter_of(link, data.settled(data.this_minute()))

fulfilment_figures.cards(link, viewer, narrowed)
left, right = st.columns([5, 7])
with left.container(border=True, height="stretch"):
    fulfilment_figures.perfect_order(link, viewer, narrowed)
with right.container(border=True, height="stretch"):
    fulfilment_figures.by(link, viewer, narrowed)

segments("view", "Show", fulfilment_lists.VIEWS, link.view, "discrepancies")
fulfilment_lists.shown(link, viewer, narrowed)
