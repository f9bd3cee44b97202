"""One supplier: how it does, how it answers, what is open, what we told it."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import SupplierLink, SuppliersLink
from app.parts import supplier_page, supplier_tabs
from app.parts.empty import nothing_here
from app.parts.header import header
from app.session import require

viewer = require("house.read")
link = SupplierLink.from_query(st.query_params)
narrowed = supplier_page.filter_of(link, data.settled(data.this_minute()))
page = None if link.id is None else data.supplier(viewer.scope, narrowed, link.id)
fresh = header("Supplier" if page is None else page.card.name, viewer)
supplier_page.choices(link, viewer)
if page is None:
    nothing_here(
        "No supplier with this key in your area." if link.id else "Choose a supplier.",
        next_step="Its page tells how it answers and delivers, and what is open.",
        back=SuppliersLink(),
    )
    st.stop()

supplier_page.identity(page.card, viewer, narrowed)
supplier_page.figures(page.card, link, viewer, narrowed)
left, right = st.columns(2)
with left.container(border=True, height="stretch"):
    supplier_page.ladder(page, link)
with right.container(border=True, height="stretch"):
    supplier_page.answer_times(page, link)
supplier_tabs.tabs(page, link, viewer, narrowed)
