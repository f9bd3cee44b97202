"""What correlates with nothing, what was tried, and the tie that a person makes."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import UnmatchedLink
from app.parts import unmatched_page
from app.parts.empty import nothing_here
from app.parts.header import header
from app.session import require
from db import ties
from db.reads import unmatched

viewer = require("house.read")
link = UnmatchedLink.from_query(st.query_params)
now = data.this_minute()
header("Unmatched", viewer)
with data.connected() as conn:
    flows, total = unmatched.unmatched(conn, viewer.scope, limit=100)
    chosen = None if link.ref is None else unmatched.find(conn, viewer.scope, link.ref)
    made = ties.ties(conn, viewer.scope, limit=50)

if link.ref is not None and chosen is None:
    nothing_here(
        f'Nothing unmatched is called "{link.ref}" any more: it was tied, or its order came.',
        back=UnmatchedLink(),
    )
if chosen is not None:
    unmatched_page.look(chosen, viewer, now)
if flows:
    unmatched_page.flow_table(flows, total, now)
elif link.ref is None:
    nothing_here(
        "Every event reached a known document.",
        next_step="What names no known order, shipment or id will wait here, never guessed.",
    )
unmatched_page.tie_table(made, viewer, now)
