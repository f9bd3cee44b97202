"""One masked value shown to one person, who says why; the audit keeps who, why and which bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from app import data
from app.parts.acting import wish
from app.parts.words import plain
from app.session import Viewer
from db import reveals
from db.reads.payloads import Payload
from tower.masking import Hidden
from tower.structure import structure

MOST_CHOICES = 300


def reveal_box(found: Payload, viewer: Viewer) -> None:
    """Ask for one hidden value of a message; nothing where nothing is hidden or nobody may ask."""
    hidden = [one for one in found.hidden if one.length <= reveals.MOST_BYTES][:MOST_CHOICES]
    if not hidden or not viewer.scope.may("payload.reveal"):
        return
    names = _names(found)
    with st.popover("Reveal one value …", icon=":material/visibility:"):
        place = st.selectbox(
            "Which", hidden, format_func=lambda one: _label(one, names), key="reveal which"
        )
        why = st.text_input("Why", key="reveal why", placeholder="It is kept in the audit")
        if place is not None and st.button(
            "Show it", key="reveal now", icon=":material/visibility:", disabled=not why.strip()
        ):
            value = _revealed(found, place, why, viewer, data.this_instant())
            if value is not None:
                # Drawn once: the next run of the page has forgotten it.
                st.code(value.decode("utf-8", "backslashreplace"), language=None, wrap_lines=True)
                st.caption("Written down: who saw it, when and why. The next click hides it.")


def _revealed(
    found: Payload, place: Hidden, why: str, viewer: Viewer, now: datetime
) -> bytes | None:
    """The value, once its entry in the audit is committed."""
    seen: list[bytes] = []

    def ask(conn: Any) -> None:
        where = (found.source, found.key, place.offset)
        seen.append(reveals.reveal(conn, viewer.scope, viewer.name, where, why, now))

    return seen[0] if wish(ask, "payload.reveal") else None


def _names(found: Payload) -> dict[int, str]:
    """What stands at a byte: the field that was read there, else its element."""
    told = {leaf.offset: leaf.path for leaf in structure(found.body).leaves}
    return told | {one.offset: one.field for one in found.origins if one.offset is not None}


def _label(one: Hidden, names: dict[int, str]) -> str:
    name = names.get(one.offset)
    said = f"bytes {one.offset}-{one.offset + one.length - 1}, {one.kind}"
    return f"{plain(name)} ({said})" if name else said
