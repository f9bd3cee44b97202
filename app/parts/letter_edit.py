"""Copy, edit, send: the bytes of a dead letter mended by hand, with the difference before eyes."""

from __future__ import annotations

import streamlit as st

from app import data
from app.links import ReplaysLink
from app.parts.acting import wish
from app.parts.tables import go
from app.session import Viewer
from db import edited_copies
from db.letters import Letter
from db.replays import Replay
from tower import edits
from tower.errors import TowerError

HIGH_PX = 170


def edit_box(one: Letter, viewer: Viewer) -> None:
    """An entry field with the bytes of an open letter, what was changed, and the way to a draft."""
    if one.kind != "deliver" or one.state != "open" or not viewer.scope.may("replay.act"):
        return
    if not st.toggle("Copy, edit, send", key=f"edit {one.ref}"):
        return
    with st.container(border=True):
        try:
            with data.connected() as conn:
                original = edited_copies.original(conn, viewer.scope, one.ref)
        except TowerError as error:
            st.caption(str(error))
            return
        text = edits.editable(original.body)
        if text is None:
            st.caption(
                "These bytes are no text that an entry field gives back unchanged. Save the "
                "message as it came, mend the file and run: tower replay edit FILE --ids one.csv"
            )
            return
        st.caption(
            "Document numbers, correlation, partner and type are locked: the dry run refuses a "
            "copy that changes them. The original stays as it is; of the two only one is ever sent."
        )
        said = st.text_area(
            "The copy", text, height=HIGH_PX, key=f"copy of {one.ref}", label_visibility="collapsed"
        )
        body = edits.edited(original.body, said or "")
        if body == original.body:
            st.caption("Nothing was changed yet.")
            return
        st.markdown("**What you changed**")
        lines = edits.difference(original.body, body)
        st.code("\n".join(lines), language="diff", wrap_lines=True)
        if len(lines) == edits.MOST_LINES:
            st.caption(f"The first {edits.MOST_LINES} lines of the difference.")
        why = st.text_input("Why", key="why the copy", placeholder="What was wrong in it")
        if st.button(
            "Freeze this copy and try it dry",
            icon=":material/lock:",
            type="primary",
            disabled=not why.strip(),
            help="Another person must approve it before it is sent",
        ):
            _draft(one, original.body, body, why, viewer)


def _draft(one: Letter, before: bytes, body: bytes, why: str, viewer: Viewer) -> None:
    network = data.network(viewer.scope)
    if network is None:
        st.error("No network is in force yet: tower up takes network.yaml in.")
        return
    now = data.this_instant()
    seen = edits.seen_mark(before, body)
    made: list[Replay] = []
    if wish(
        lambda conn: made.append(
            edited_copies.draft(
                conn, network, viewer.scope, one.ref, body, viewer.name, now, seen=seen, remark=why
            )
        ),
        "replay.act",
    ):
        go(ReplaysLink(id=made[0].id))
