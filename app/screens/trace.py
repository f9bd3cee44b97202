"""One box takes any number or id and shows the whole story, down to the bytes."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import TraceLink
from app.parts import trace_known, trace_page, trace_search
from app.parts.empty import nothing_here
from app.parts.header import header
from app.session import require
from db.reads import stories

viewer = require("house.read")
link = TraceLink.from_query(st.query_params)
now = data.this_minute()
header("Trace", viewer)
trace_page.search_box(link)
if link.ref is None:
    nothing_here(
        "Type a purchase order, shipment notice, invoice, customer order, control number, "
        "correlation id, file name, or any text of a payload.",
        next_step="Links in mails and on other pages lead here too.",
    )
    st.stop()

answer = trace_search.answer_for(link, viewer, now)
ref = trace_page.chosen(answer.found, link)
with data.connected() as conn:
    story = None if ref is None or link.text else stories.story(conn, viewer.scope, ref)
if ref is not None and ref.startswith("raw:") and not link.text:
    trace_page.raw_page(ref, link, viewer)
    st.stop()
if story is None:
    trace_search.answered(answer, link, viewer)
    st.stop()

story, now = trace_known.as_known(story, link, now, viewer)
if story is None:
    st.stop()
trace_page.head(story, viewer)
trace_page.ladder_part(story, now, viewer)
event = trace_page.waterfall_part(story, link, now, viewer)
trace_page.payload_part(story, event, link, viewer)
trace_page.details(story, now, viewer, link, event)
trace_search.also_in_text(link)
