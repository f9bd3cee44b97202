"""Order lines on which systems tell different values."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import ReconciliationLink
from app.parts import reconciliation_page
from app.parts.empty import nothing_here
from app.parts.header import header
from app.session import require

viewer = require("house.read")
link = ReconciliationLink.from_query(st.query_params)
now = data.this_minute()
fresh = header("Reconciliation", viewer)
net = data.network(viewer.scope)
if net is None:
    nothing_here("Whose word counts is said by the network in force; none is, or not for you.")
    st.stop()
rows, more = data.disagreements(viewer.scope, now, fresh.version, bool(link.done))
reconciliation_page.filters(link, rows, viewer)
chosen = reconciliation_page.chosen(rows, link)
if not chosen:
    nothing_here(
        "All systems tell the same of every line.",
        next_step="Compared are quantities, dates and prices that two systems or more have told.",
    )
    st.stop()
reconciliation_page.cards(chosen, more)
reconciliation_page.lines(chosen, net)
