"""Customer orders that their supply does not cover in time, and what is to blame."""

from __future__ import annotations

import streamlit as st

from app import data
from app.components.streams import streams as picture
from app.links import OrdersAtRiskLink
from app.parts import risk_curve, risk_list
from app.parts.empty import nothing_here
from app.parts.filters import choose, filter_of, filter_row, segments
from app.parts.header import header
from app.parts.pager import pager
from app.parts.risk_curve import cause_words
from app.parts.tables import go
from app.parts.words import day, many, money
from app.session import require
from db.reads.orders_at_risk import Only
from db.reads.paging import MOST_ROWS

viewer = require("customers.read")
link = OrdersAtRiskLink.from_query(st.query_params)
fresh = header("Which customer orders are at risk?", viewer)
now = data.this_minute()
narrowed = filter_of(link, now)
asked = (viewer.scope, narrowed, fresh.version)
only = Only(link.cause, None if link.told is None else link.told == "yes", link.customer)
filter_row(link, viewer, with_period=False)
streams = data.risk_streams(*asked, only)
with st.container(horizontal=True, vertical_alignment="center"):
    segments("group", "Show", risk_list.GROUPS, link.group, "line")
    causes = {word: cause_words(word) for word in data.risk_causes(*asked)}
    choose("cause", "Cause", causes, link.cause, "All causes", 210)
    customers = {s.customer_key: s.customer for s in streams if s.customer_key}
    choose("customer", "Customer", customers, link.customer, "All customers", 200)
    choose("told", "Told", risk_list.TOLD, link.told, "Told or not", 190)

if not streams:
    nothing_here(
        "No customer order is at risk here.",
        next_step="An order comes here when its supply will not cover it by its promise: the "
        "purchase order lines it is pegged to or, once a warehouse reports its stock, what is left "
        "after the needs before it. Without pegs and stock reports nothing can be said.",
        back=OrdersAtRiskLink() if link.to_query() else None,
    )
    st.stop()

both = (("orders_affected", ()), ("value_at_risk", ()))
orders, value = data.several(viewer.scope, narrowed, both, fresh.version)
st.markdown(
    f"**{many(orders.n, 'customer order')}** with {money(value.value, value.currency)} still to "
    "deliver will not be covered in time."
    + (
        ""
        if only == Only()
        else f" {many(sum(s.lines for s in streams), 'entry', 'entries')} of "
        "the list fit the choice above."
    )
)
if link.group == "line":
    page = data.risk_page(*asked, only, link.after)
    risk_list.risk_table(page)
    with st.container(horizontal=True, vertical_alignment="center"):
        risk_list.download(page, lambda: data.risk_page(*asked, only, None, MOST_ROWS))
        pager(
            len(page.rows),
            page.total.rows,
            capped=page.total.capped,
            after=link.after,
            following=page.following,
        )
else:
    risk_list.group_table(data.risk_groups(*asked, link.group, only), link.group, link)

with st.container(border=True):
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("From cause to customer", anchor=False, width="content")
        st.caption("width: order lines; a name narrows the list", width="content")
        st.space("stretch")
        as_table = st.toggle("As a table", key="streams as table")
    if as_table:
        risk_list.stream_table(streams)
    else:
        clicked = picture(streams, cause_words, key="risk streams")
        if clicked is not None:
            go(risk_list.followed(link, *clicked))

items = data.risk_items(*asked, only)
with st.container(border=True):
    st.subheader("Supply and demand of one item", anchor=False)
    named = {
        f"{one.item}\t{one.warehouse}": f"{one.item} in {one.warehouse}: "
        f"{many(one.lines, 'order line')}, first promised {day(one.earliest_promise)}"
        for one in items
    }
    item, site = link.item, link.site
    if item is None or site is None:
        item, site = (items[0].item, items[0].warehouse) if items else (None, None)
    if item is None or site is None:
        nothing_here("None of these order lines names an item and a warehouse.")
        st.stop()
    risk_curve.choice(named, f"{item}\t{site}")
    risk_curve.curve(
        data.item_curve(viewer.scope, item, site, now, fresh.version), item, site, viewer.zone
    )
