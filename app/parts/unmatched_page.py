"""The parts of the page of what did not correlate."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from app import data
from app.links import TraceLink, UnmatchedLink
from app.parts.tables import go, table
from app.parts.words import MISSING, ago, count, day_clock, many, plain
from app.session import Viewer
from db import ties
from db.reads.stories import parse_ref
from db.reads.unmatched import Candidate, Looked, Unmatched
from db.ties import HandTie
from tower.errors import TowerError

STATES = {
    "asked": "○ asked, a worker ties it",
    "standing": "● stands",
    "undoing": "○ a worker takes it back",
    "undone": "– undone",
}


def flow_table(rows: Sequence[Unmatched], total: int, now: datetime) -> None:
    """What waits, the newest first; a click looks into one."""
    st.subheader("Waiting", anchor=False)
    st.caption(f"showing {count(len(rows))} of {many(total, 'unmatched flow')}")
    table(
        {
            "What": [r.anchor for r in rows],
            "Tried": [r.tried for r in rows],
            "Events": [r.n_events for r in rows],
            "Newest": [ago(r.last_at, now) for r in rows],
        },
        alt="Unmatched flows, newest first",
        key="unmatched",
        opens="What",
        links=[UnmatchedLink(ref=r.anchor) for r in rows],
        config={"Tried": st.column_config.TextColumn(width="large")},
    )


def look(one: Looked, viewer: Viewer, now: datetime) -> None:
    """One of them: what was tried, its events, what it may belong to, and the tie."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(one.flow.anchor)}** · {plain(one.flow.tried)}", width="content")
            st.space("stretch")
            st.page_link(
                TraceLink.PAGE.file,
                label="Trace",
                icon=":material/account_tree:",
                query_params=TraceLink(ref=one.flow.anchor).to_query(),
            )
            st.page_link(
                UnmatchedLink.PAGE.file, label="Close", icon=":material/close:", query_params={}
            )
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _tried(one)
            _events(one, viewer)
        with right:
            _tie(one, viewer, now)


def _tried(one: Looked) -> None:
    st.markdown("**Tried**")
    table(
        {
            "By": [a.basis for a in one.attempts],
            "Value": [a.value or MISSING for a in one.attempts],
            "Outcome": [a.outcome for a in one.attempts],
        },
        alt="What it was looked up by, and what came of it",
        key="tried",
        config={"Outcome": st.column_config.TextColumn(width="medium")},
    )


def _events(one: Looked, viewer: Viewer) -> None:
    shown = len(one.events)
    what = "newest " if one.flow.n_events > shown else ""
    st.markdown(f"**{what.capitalize() or ''}{many(shown, 'event')}**")
    for n, event in enumerate(one.events):
        with st.expander(
            f"{day_clock(event.occurred_at, viewer.zone)} · {plain(event.type)} · "
            f"{plain(event.system)}",
            expanded=n == 0,
        ):
            st.code(
                json.dumps(event.data, indent=1, ensure_ascii=False),
                language="json",
                height=220,
                wrap_lines=True,
            )
            st.page_link(
                TraceLink.PAGE.file,
                label="The message as it came",
                icon=":material/description:",
                query_params=TraceLink(ref=f"{event.source}/{event.raw_key}").to_query(),
            )


def _tie(one: Looked, viewer: Viewer, now: datetime) -> None:
    st.markdown("**May belong to**")
    chosen = ""
    if one.candidates:
        scores = [c.score for c in one.candidates]
        picked = st.radio(
            "Orders it may belong to",
            [c.ref for c in one.candidates],
            # Of equals none is chosen beforehand: that would be guessing for the person.
            index=0 if scores.count(scores[0]) == 1 else None,
            captions=[_why(c) for c in one.candidates],
            label_visibility="collapsed",
            key=f"candidate {one.flow.home_key}",
        )
        chosen = picked or ""
    else:
        st.caption("No known order looks like it. Name one if you know it.")
    with st.form(f"tie {one.flow.home_key}", border=False):
        named = st.text_input(
            "Another order",
            placeholder=chosen or "po:ERP:NUMBER",
            help="Empty: the one chosen above. po:ERP:NUMBER or order:ERP:NUMBER.",
        )
        why = st.text_input("Why", placeholder="What you know; others must be able to judge it")
        if st.form_submit_button("Tie by hand", icon=":material/link:", type="primary"):
            target = parse_ref(named.strip() or chosen)
            if target is None:
                st.error("Name an order: po:ERP:NUMBER or order:ERP:NUMBER.")
            else:
                _wish(
                    lambda conn: ties.ask(
                        conn,
                        viewer.scope,
                        one.flow.anchor,
                        target,
                        why=why,
                        who=viewer.name,
                        now=now,
                    )
                )


def _why(candidate: Candidate) -> str:
    said = [plain(candidate.why), plain(candidate.status)]
    if candidate.supplier:
        said.append(plain(candidate.supplier))
    return " · ".join(said)


def _wish(wish: Callable[[Any], object]) -> None:
    """Write a wish and go back to the list; a refusal is shown as its sentence."""
    try:
        with data.writing("flow.tie") as conn:
            wish(conn)
    except TowerError as error:
        st.error(str(error))
        return
    go(UnmatchedLink())


def tie_table(made: Sequence[HandTie], viewer: Viewer, now: datetime) -> None:
    """What people tied, also what was taken back; a standing tie can be undone."""
    if not made:
        return
    st.subheader("Tied by hand", anchor=False)
    table(
        {
            "What": [t.what for t in made],
            "Order": [t.order for t in made],
            "State": [STATES[t.state] for t in made],
            "Who": [t.made_by for t in made],
            "When": [ago(t.made_at, now) for t in made],
            "Why": [t.why for t in made],
            "Undone by": [t.undone_by for t in made],
            "Why undone": [t.undone_why for t in made],
        },
        alt="Ties by hand, newest first",
        key="ties",
        opens="Order",
        links=[TraceLink(ref=t.order) for t in made],
        config={"Why": st.column_config.TextColumn(width="medium")},
    )
    standing = [t for t in made if t.state in ("asked", "standing")]
    if standing:
        _undo(standing, viewer, now)


def _undo(standing: Sequence[HandTie], viewer: Viewer, now: datetime) -> None:
    with st.popover("Undo a tie", icon=":material/link_off:"):
        what = st.selectbox("Tie", [t.what for t in standing], key="undo what")
        why = st.text_input("Why it is wrong", key="undo why")
        if st.button("Undo it", key="undo now", disabled=not why.strip()):
            _wish(
                lambda conn: ties.ask_undo(
                    conn, viewer.scope, what, why=why, who=viewer.name, now=now
                )
            )
