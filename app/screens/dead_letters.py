"""Messages that could not be read or delivered, by kind of failure."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import DeadLettersLink
from app.parts import dead_letters_page as parts
from app.parts.empty import nothing_here
from app.parts.filters import segments
from app.parts.header import header
from app.session import require
from db import letters
from db.reads import repairs
from tower.replays import parse_letter

viewer = require("house.read")
link = DeadLettersLink.from_query(st.query_params)
now = data.this_minute()
header("Dead letters", viewer)
with st.container(horizontal=True, vertical_alignment="center"):
    segments("states", "State", parts.STATES, link.states, "waiting")
states = parts.MEANS[link.states]

if link.fingerprint is None:
    with data.connected() as conn:
        groups = letters.groups(conn, viewer.scope, now, states=states)
    if groups:
        parts.group_table(groups, link, now)
    else:
        parts.no_groups(link)
    st.stop()

with data.connected() as conn:
    found = letters.groups(
        conn, viewer.scope, now, states=letters.STATES, fingerprint=link.fingerprint
    )
    counts = repairs.states_of(conn, viewer.scope, link.fingerprint)
    notes = letters.notes(conn, [link.fingerprint]).get(link.fingerprint, [])
if not found:
    nothing_here(
        "There is no such kind of failure in your area.", back=DeadLettersLink(states=link.states)
    )
    st.stop()
group = found[0]
with data.connected() as conn:
    before = parse_letter(link.after or "")
    start = letters.by_refs(conn, viewer.scope, [before]) if before is not None else []
    page = letters.letters(
        conn,
        viewer.scope,
        fingerprint=group.fingerprint,
        states=states,
        before=start[0] if start else None,
        limit=parts.PAGE_ROWS,
    )
    documents = repairs.documents_of(conn, viewer.scope, [one.ref for one in page])

parts.group_head(group, counts, link, viewer)
left, right = st.columns([5, 2], gap="medium")
with left:
    picked = parts.letter_table(page, documents, counts, link, now)
    parts.actions(group, picked, counts, link, viewer)
with right:
    parts.notes_box(group, notes, viewer)
opened = parse_letter(link.letter or "")
if opened is not None:
    parts.letter_box(opened, link, viewer)
