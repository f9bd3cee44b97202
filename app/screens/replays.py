"""Messages sent or read again: from the dry run to what took effect."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import ReplaysLink
from app.parts import replay_items, replay_list, replay_page
from app.parts.empty import nothing_here
from app.parts.header import header
from app.session import require
from db import replays
from db.reads import repairs

viewer = require("house.read")
link = ReplaysLink.from_query(st.query_params)
now = data.this_instant()
header("Replays" if link.id is None else f"Replay {link.id}", viewer)
if not viewer.scope.sees_all:
    nothing_here("Replays belong to those who see all partners.")
    st.stop()

if link.id is None:
    with data.connected() as conn:
        found = replays.listing(conn, limit=replay_list.MOST)
    replay_list.listed(found, now)
    st.stop()

with data.connected() as conn:
    one = replays.find(conn, link.id)
    said = repairs.verdicts(conn, link.id)
    states = repairs.item_states(conn, link.id)
    page = replays.items(
        conn,
        link.id,
        states=[link.items] if link.items else None,
        after=link.after or 0,
        limit=replay_items.PAGE_ROWS,
    )
    documents = repairs.documents_of(conn, viewer.scope, [item.ref for item in page])
    uncertain = replays.items(conn, link.id, states=["uncertain"], limit=50)
if one is None:
    nothing_here(f"There is no replay {link.id}.", back=ReplaysLink())
    st.stop()

replay_page.state_line(one)
left, right = st.columns([3, 2], gap="medium")
with left:
    replay_page.picked(one, viewer)
    replay_page.dry_run(one, said, viewer, now)
    replay_page.progress(one)
with right:
    replay_page.decisions(one, said, viewer, now)
    replay_page.uncertain_box(one, uncertain, viewer)
replay_items.item_table(one, page, states, documents, link, viewer)
replay_page.watch(one)
