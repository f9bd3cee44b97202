"""The keys of the machine door: which there are, a new one shown once, one taken out of force."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import data
from app.parts.access_page import partners_of
from app.parts.acting import wish
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import day_clock, plain
from app.session import Viewer
from db import keys as key_store
from tower.keys import LONGEST_DAYS, READ, SCOPES, Key

STATES = {"active": "● in force", "revoked": "✕ revoked", "ended": "– ended"}
_SHOWN_ONCE = "key shown once"


def key_list(held: Sequence[Key], viewer: Viewer) -> None:
    """All keys, those in force first, and what an admin does with them."""
    if (made := st.session_state.pop(_SHOWN_ONCE, None)) is not None:
        st.success(
            f"Key of {plain(made[0])}: shown this once, kept nowhere. Its user sends it in a "
            "header: Authorization: Bearer ..."
        )
        st.code(made[1], language=None)
    now = data.this_instant()
    rows = sorted(held, key=lambda one: (not one.active(now), one.name, one.made_at))
    if rows:
        table(
            {
                "Name": [one.name for one in rows],
                "Key": [f"tower_{one.id}_…" for one in rows],
                "State": [STATES[one.state(now)] for one in rows],
                "May": [", ".join(one.scopes) for one in rows],
                "Partner": [one.partner or "ours" for one in rows],
                "From": [", ".join(one.networks) or "anywhere" for one in rows],
                "A minute": [one.per_minute for one in rows],
                "Used": [
                    None if one.used_at is None else day_clock(one.used_at, viewer.zone)
                    for one in rows
                ],
                "Ends": [day_clock(one.ends_at, viewer.zone) for one in rows],
                "Made by": [one.made_by for one in rows],
            },
            alt="API keys, those in force first",
            key="keys",
            config={
                "Key": st.column_config.TextColumn(width=150, help="its public part"),
                "A minute": st.column_config.NumberColumn(width=80),
            },
        )
    else:
        nothing_here("No machine has a key yet.", next_step="Make one below.")
    left, right = st.columns(2, gap="medium")
    with left:
        _add(viewer)
    with right:
        _revoke([one for one in rows if one.active(now)], viewer)


def _add(viewer: Viewer) -> None:
    with st.form("add key", clear_on_submit=False):
        st.markdown("**Make a key**")
        first, second = st.columns(2)
        name = first.text_input("Name", placeholder="what will use it", key="name of key")
        partner = second.selectbox(
            "Partner", partners_of(viewer), index=None, placeholder="ours", key="partner of key",
            help="Bound to a partner it reads and brings what is of that partner alone.",
        )  # fmt: skip
        scopes = first.multiselect("May", SCOPES, [READ], key="scopes of key")
        networks = second.text_input(
            "From networks", placeholder="anywhere", help="192.0.2.0/24, several with commas",
            key="networks of key",
        )  # fmt: skip
        days = first.number_input("Days until it ends", 1, LONGEST_DAYS, 90, key="days of key")
        rate = second.number_input("A minute", 1, 1_000_000, 600, key="rate of key")
        if not st.form_submit_button("Make", icon=":material/key:"):
            return
        made: list[tuple[Key, str]] = []
        if wish(
            lambda conn: made.append(
                key_store.add(
                    conn,
                    name=name.strip(),
                    scopes=scopes,
                    partner_key=partner,
                    networks=[one for one in networks.replace(",", " ").split() if one],
                    days=int(days),
                    per_minute=int(rate),
                    by=viewer.name,
                    now=data.this_instant(),
                )
            ),
            "people.manage",
        ):
            st.session_state[_SHOWN_ONCE] = (made[0][0].name, made[0][1])
            st.rerun()


def _revoke(standing: Sequence[Key], viewer: Viewer) -> None:
    with st.container(border=True):
        st.markdown("**Take one out of force**")
        if not standing:
            st.caption("None is in force.")
            return
        named = {one.id: f"{one.name} (tower_{one.id}_…)" for one in standing}
        chosen = st.selectbox(
            "Key", list(named), format_func=lambda one: named[one], key="key to revoke"
        )
        why = st.text_input("Reason", placeholder="kept in the audit", key="why revoke")
        st.caption("It holds from the next request on.")
        if st.button("Revoke", icon=":material/key_off:") and wish(
            lambda conn: key_store.revoke(
                conn, chosen, by=viewer.name, why=why, now=data.this_instant()
            ),
            "people.manage",
        ):
            st.rerun()
