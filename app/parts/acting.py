"""Who acts on a page of support, and how what they wish for is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from app import data
from app.session import Viewer
from db.replays import OwnReplay
from tower.errors import TowerError

_KEPT = "acting as"
_BOX = "acting as box"


def acting(viewer: Viewer) -> Viewer:
    """The viewer under the name they give. Screens answer this machine alone and ask nobody to sign
    in, so a second person says who they are; the name goes into the audit.
    """
    network = data.network(viewer.scope)
    names = [viewer.name, *(network.people if network is not None else ())]
    kept = st.session_state.get(_KEPT, viewer.name)
    if kept not in names:
        names.append(kept)
    st.session_state[_BOX] = kept
    st.selectbox(
        "You are",
        names,
        key=_BOX,
        format_func=lambda name: f"You are: {name}",
        accept_new_options=True,
        label_visibility="collapsed",
        width=200,
        on_change=_keep,
        help="Goes into the audit and on the replay. A second person must be another one.",
    )
    return replace(viewer, name=kept)


def _keep() -> None:
    name = str(st.session_state[_BOX] or "").strip()[:80]
    if name:
        st.session_state[_KEPT] = name


def wish(step: Callable[[Any], object]) -> bool:
    """Write a wish in one transaction; a refusal is shown as its sentence. True if it was taken."""
    refused = ""
    try:
        with data.writing() as conn:
            try:
                step(conn)
            except OwnReplay as error:
                refused = str(error)  # that it was tried is kept in the audit
    except TowerError as error:
        refused = str(error)
    if refused:
        st.error(refused, icon=":material/block:")
    return not refused
