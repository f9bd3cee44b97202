"""The parts of the page of people, roles and sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from app import data
from app.parts.acting import wish
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import day_clock, many, plain
from app.session import Viewer
from db import accounts, passwords, sessions
from db.reads.connection import Asking
from tower.access import GRANTABLE, MATRIX, PERMISSIONS, ROLES
from tower.accounts import Account, Session

VIEWS = {"people": "People", "roles": "Roles", "sessions": "Sessions", "keys": "API keys"}
METHODS = {"password": "password", "oidc": "identity provider"}
_SHOWN_ONCE = "password shown once"


def people_list(people: Sequence[Account], open_now: Sequence[Session], viewer: Viewer) -> None:
    """All accounts, and what an admin does with them."""
    if (made := st.session_state.pop(_SHOWN_ONCE, None)) is not None:
        st.success(f"Password of {plain(made[0])}: shown this once, kept nowhere.")
        st.code(made[1], language=None)
    here = Counter(one.account for one in open_now)
    table(
        {
            "Name": [one.name for one in people],
            "Who": [one.full_name for one in people],
            "Role": [one.role for one in people],
            "Sees": [_sees(one) for one in people],
            "Granted": [", ".join(one.grants) for one in people],
            "By": [METHODS[one.method] for one in people],
            "Signed in": [here[one.name] for one in people],
            "Last": [_when(one, viewer) for one in people],
            "State": ["– disabled" if one.disabled_at else "● may sign in" for one in people],
        },
        alt="Accounts by name",
        key="accounts",
        config={"Signed in": st.column_config.NumberColumn(width=80)},
    )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left:
        _add(viewer)
    with right:
        _change(people, viewer)


def _add(viewer: Viewer) -> None:
    with st.form("add account", clear_on_submit=False):
        st.markdown("**Let somebody in**")
        first, second = st.columns(2)
        name = first.text_input("Name", placeholder="to sign in with")
        full_name = second.text_input("Full name", placeholder="as people know it")
        role = first.selectbox("Role", ROLES)
        partners = second.multiselect(
            "Partners", partners_of(viewer), placeholder="all", key="new partners"
        )
        acts = st.checkbox("May ask for retransmit, force and edited copies (support)")
        if not st.form_submit_button("Add", icon=":material/person_add:"):
            return
        password = passwords.made()
        if wish(
            lambda conn: accounts.add(
                conn,
                name=name,
                password=password,
                role=role,
                partners=partners or None,
                grants=["replay.act"] if acts else (),
                full_name=full_name,
                by=viewer.name,
                now=data.this_instant(),
            ),
            "people.manage",
        ):
            st.session_state[_SHOWN_ONCE] = (name.strip().lower(), password)
            st.rerun()


def _change(people: Sequence[Account], viewer: Viewer) -> None:
    with st.container(border=True):
        st.markdown("**Change somebody**")
        known = {one.name: one for one in people}
        name = st.selectbox("Account", list(known), key="account to change")
        if name is None:
            return
        one = known[name]
        first, second = st.columns(2)
        role = first.selectbox("Role", ROLES, index=ROLES.index(one.role), key=f"role {name}")
        partners = second.multiselect(
            "Partners",
            sorted({*partners_of(viewer), *(one.partners or ())}),
            list(one.partners or ()),
            placeholder="all",
            key=f"partners {name}",
        )
        acts = st.checkbox(
            "May ask for retransmit, force and edited copies (support)",
            "replay.act" in one.grants,
            key=f"acts {name}",
        )
        st.caption("What they have open ends; they sign in anew.")
        now = data.this_instant()
        with st.container(horizontal=True):
            if st.button("Change rights", icon=":material/badge:") and wish(
                lambda conn: accounts.change(
                    conn,
                    name,
                    role=role,
                    partners=partners or None,
                    grants=["replay.act"] if acts else (),
                    by=viewer.name,
                    now=now,
                ),
                "people.manage",
            ):
                st.rerun()
            if one.method == "password" and st.button("New password", icon=":material/key:"):
                password = passwords.made()
                if wish(
                    lambda conn: accounts.reset(conn, name, password, by=viewer.name, now=now),
                    "people.manage",
                ):
                    st.session_state[_SHOWN_ONCE] = (name, password)
                    st.rerun()
            act, word = (
                (accounts.disable, "Disable") if one.disabled_at is None
                else (accounts.enable, "Enable")
            )  # fmt: skip
            if st.button(word, icon=":material/person_off:") and wish(
                lambda conn: act(conn, name, by=viewer.name, now=now), "people.manage"
            ):
                st.rerun()


def roles() -> None:
    """The matrix of roles and permissions, as it is asked."""
    table(
        {
            "Permission": list(PERMISSIONS),
            **{
                role: [
                    "●" if one in MATRIX[role]
                    else "○ if granted" if one in GRANTABLE.get(role, ()) else "–"
                    for one in PERMISSIONS
                ]
                for role in ROLES
            },
        },
        alt="What each role may do",
        key="roles",
    )  # fmt: skip
    st.caption("Partners: of their own rows alone. What is not in the table nobody may.")


def session_list(open_now: Sequence[Session], people: Sequence[Account], viewer: Viewer) -> None:
    """Who is signed in; ticked ones are ended."""
    if not open_now:
        nothing_here("Nobody is signed in.")
        return
    picked = table(
        {
            "Name": [one.account for one in open_now],
            "Since": [day_clock(one.created_at, viewer.zone) for one in open_now],
            "Last used": [day_clock(one.seen_at, viewer.zone) for one in open_now],
            "Ends": [day_clock(one.ends_at, viewer.zone) for one in open_now],
            "By": [METHODS.get(one.method, one.method) for one in open_now],
            "From": [one.address for one in open_now],
            "Browser": [one.browser for one in open_now],
            "No.": [one.id for one in open_now],
        },
        alt="Sessions, the last used first",
        key="sessions",
        picks=True,
        config={"No.": st.column_config.NumberColumn(width=70)},
    )
    ids = {one.name: one.id for one in people}
    if st.button(
        f"End {many(len(picked), 'session')}",
        icon=":material/logout:",
        disabled=not picked,
    ):
        now = data.this_instant()
        ended = [open_now[n] for n in picked]

        def end(conn: Asking) -> None:
            for one in ended:
                who = ids[one.account]
                sessions.sign_out(conn, who, one.account, by=viewer.name, now=now, only=one.id)

        if wish(end, "people.manage"):
            st.rerun()


def _sees(one: Account) -> str:
    return "all partners" if one.partners is None else ", ".join(one.partners)


def _when(one: Account, viewer: Viewer) -> str | None:
    return None if one.signed_in_at is None else day_clock(one.signed_in_at, viewer.zone)


def partners_of(viewer: Viewer) -> list[str]:
    """Keys of the partners of the network in force."""
    network = data.network(viewer.scope)
    return [] if network is None else sorted(network.partners)
