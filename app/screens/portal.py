"""For suppliers: what waits for their answer, what was rejected, how they do."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import PortalLink
from app.parts import portal_answer, portal_page
from app.session import require

viewer = require("portal.see")
link = PortalLink.from_query(st.query_params)
now = data.this_minute()
portal_page.top(viewer)
portal_page.orders(viewer, link, now)
if link.order is not None:
    portal_answer.form(link.order, viewer)
portal_page.rejected(viewer)
portal_page.card(viewer, now)
