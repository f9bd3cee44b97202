"""Customer orders that their supply does not cover in time, and what is to blame."""

from __future__ import annotations

import streamlit as st

from app import charts, data
from app.links import OrdersAtRiskLink
from app.parts import risk_list
from app.parts.decisions import category_meaning
from app.parts.empty import nothing_here
from app.parts.filters import choose, filter_of, filter_row, segments
from app.parts.header import header
from app.parts.pager import pager
from app.parts.words import many, money
from app.session import current_viewer
from db.reads.paging import MOST_ROWS

viewer = current_viewer()
link = OrdersAtRiskLink.from_query(st.query_params)
fresh = header("Which customer orders are at risk?", viewer)
narrowed = filter_of(link, data.this_minute())
asked = (viewer.scope, narrowed, fresh.version)
filter_row(link, viewer, with_period=False)
with st.container(horizontal=True, vertical_alignment="center"):
    segments("group", "Show", risk_list.GROUPS, link.group, "line")
    causes = {word: category_meaning(word) for word in data.risk_causes(*asked)}
    choose("cause", "Cause", causes, link.cause, "All causes", 230)

streams = data.risk_streams(*asked, link.cause)
if not streams:
    nothing_here(
        "No customer order is at risk here.",
        next_step="An order comes here when the purchase order lines it is pegged to will not "
        "cover it by its promise; without pegs from the ERP nothing can be said.",
        back=OrdersAtRiskLink() if link.to_query() else None,
    )
    st.stop()

figures = {f.definition.id: f for f in data.leader_figures(*asked)}
orders, value = figures["orders_affected"], figures["value_at_risk"]
st.markdown(
    f"**{many(orders.n, 'customer order')}** with {money(value.value, value.currency)} still to "
    "deliver will not be covered in time."
)
if link.group == "line":
    page = data.risk_page(*asked, link.cause, link.after)
    risk_list.risk_table(page)
    with st.container(horizontal=True, vertical_alignment="center"):
        risk_list.download(page, lambda: data.risk_page(*asked, link.cause, None, MOST_ROWS))
        pager(
            len(page.rows),
            page.total.rows,
            capped=page.total.capped,
            after=link.after,
            following=page.following,
        )
else:
    risk_list.group_table(
        data.risk_groups(*asked, link.group, link.cause), link.group, link
    )

with st.container(border=True):
    st.subheader("From cause to customer", anchor=False)
    st.plotly_chart(
        charts.risk_streams(streams, {s.cause: category_meaning(s.cause) for s in streams}),
        config=charts.CONFIG,
        key="risk streams",
        alt="Affected order lines from cause over supplier to customer",
    )
