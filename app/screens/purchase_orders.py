"""Purchase orders with their acknowledgement ladder; saved views of what is stuck."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import PurchaseOrdersLink
from app.parts import po_list
from app.parts.empty import nothing_here
from app.parts.filters import filter_of, filter_row
from app.parts.header import header
from app.parts.pager import pager
from app.session import require
from db.reads.paging import MOST_ROWS

viewer = require("house.read")
link = PurchaseOrdersLink.from_query(st.query_params)
fresh = header("Purchase orders", viewer)
filter_row(link, viewer, with_period=link.view not in po_list.NOW_VIEWS)
po_list.views(link)
narrowed = filter_of(link, data.this_minute())
asked = (viewer.scope, narrowed, fresh.version, link.view)

page = data.po_page(*asked, link.after)
if not page.rows:
    nothing_here(
        po_list.WHY_EMPTY[link.view],
        next_step="Take a filter away, or choose a longer period." if link.to_query() else "",
        back=PurchaseOrdersLink() if link.to_query() else None,
    )
    st.stop()
po_list.po_table(page, viewer)
with st.container(horizontal=True, vertical_alignment="center"):
    po_list.download(page, lambda: data.po_page(*asked, None, MOST_ROWS), link.view)
    pager(
        len(page.rows),
        page.total.rows,
        capped=page.total.capped,
        after=link.after,
        following=page.following,
    )
