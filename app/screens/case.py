"""One exception case: what, by which rule, whom it hurts, what was said, what to do."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import CaseLink, ExceptionsLink
from app.parts import case_acts, case_page
from app.parts.empty import nothing_here
from app.parts.header import header
from app.session import require
from db.reads import cases

viewer = require("house.read")
link = CaseLink.from_query(st.query_params)
now = data.this_minute()
found = None
if link.id is not None:
    with data.connected() as conn:
        found = cases.detail(conn, viewer.scope, link.id)
if found is None:
    header("Case", viewer)
    nothing_here(
        "No case was named." if link.id is None else f"There is no case {link.id} in your area.",
        back=ExceptionsLink(),
    )
    st.stop()

hours = data.hours(viewer.scope)
header(case_page.title(found), viewer)
case_page.banner(found, now, viewer.zone, hours)
case_page.parent(found)
left, right = st.columns([3, 2], gap="medium")
with left:
    case_page.why(found, now, viewer.zone)
    case_page.impact(found, viewer.scope)
    case_page.ladder(found, data.rulebook(viewer.scope), viewer.zone)
    if viewer.scope.sees_value_at_risk:
        case_page.consequence(found)
    case_page.history(found, viewer.zone)
with right:
    case_page.next_step(found)
    case_acts.acts(found, viewer, now)
    case_acts.feedback(found, viewer, now)
    case_page.mails(found, viewer.zone)
    case_page.related(found, now)
case_page.children(found, now, hours)
