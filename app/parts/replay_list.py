"""The list of replays, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app.links import DeadLettersLink, ReplaysLink
from app.parts.dead_letters_page import ACTION_NAMES
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import ago, many
from db.replays import Replay

MOST = 200

STATE_WORDS = {
    "drafted": "○ draft",
    "awaiting_approval": "▲ needs approval",
    "running": "◐ running",
    "paused": "‖ paused",
    "done": "● done",
    "refused": "– refused",
    "cancelled": "– cancelled",
}


def state_of(one: Replay) -> str:
    """Its state in words; what runs out after a cancel still waits for its effects."""
    word = STATE_WORDS.get(one.state, one.state)
    if one.state == "cancelled" and (one.counters.in_flight or one.counters.uncertain):
        return f"{word}, some under way"
    return word


def listed(found: Sequence[Replay], now: datetime) -> None:
    """Every replay with its progress; a click opens it."""
    if not found:
        nothing_here(
            "Nothing was ever replayed.",
            next_step="Open a kind of failure under Dead letters, tick letters and choose Replay.",
            back=DeadLettersLink(),
        )
        return
    waiting = [one for one in found if one.state == "awaiting_approval"]
    unsigned = [one for one in found if one.state in ("done", "cancelled") and not one.signed_by
                and one.confirmed_at]  # fmt: skip
    said = []
    if waiting:
        said.append(f"{many(len(waiting), 'replay')} waiting for a second person")
    if unsigned:
        said.append(f"{len(unsigned)} ended, not signed off")
    st.caption(" · ".join(said) or f"showing {many(len(found), 'replay')}, newest first")
    table(
        {
            "Replay": [f"{one.id}" for one in found],
            "State": [state_of(one) for one in found],
            "How": [ACTION_NAMES[one.action] for one in found],
            "Target": [one.target for one in found],
            "Letters": [one.n_items for one in found],
            "Resolved": [one.counters.resolved / max(1, one.n_items) for one in found],
            "Failed": [one.counters.failed or None for one in found],
            "Uncertain": [one.counters.uncertain or None for one in found],
            "Asked by": [one.requested_by for one in found],
            "Approved by": [one.approved_by for one in found],
            "Drafted": [ago(one.drafted_at, now) for one in found],
            "Signed off": [one.signed_by for one in found],
            "Reason": [one.reason or one.remark for one in found],
        },
        alt="Replays, newest first",
        key="replays",
        opens="Replay",
        opens_width=70,
        links=[ReplaysLink(id=one.id) for one in found],
        config={
            "State": st.column_config.TextColumn(width=196),
            "How": st.column_config.TextColumn(width=156),
            "Target": st.column_config.TextColumn(width=100),
            "Letters": st.column_config.NumberColumn(width=70),
            "Resolved": st.column_config.ProgressColumn(
                width=112, min_value=0, max_value=1, format="percent"
            ),
            "Failed": st.column_config.NumberColumn(width=64),
            "Uncertain": st.column_config.NumberColumn(width=84),
            "Asked by": st.column_config.TextColumn(width=96),
            "Approved by": st.column_config.TextColumn(width=100),
            "Drafted": st.column_config.TextColumn(width=110),
            "Signed off": st.column_config.TextColumn(width=88),
            "Reason": st.column_config.TextColumn(width=280),
        },
    )
