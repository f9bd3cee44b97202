"""The letters of one replay: state, reason and effect of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import streamlit as st

from app.links import ReplaysLink, TraceLink
from app.parts.tables import ROW_PX, go
from app.parts.words import MISSING, count, day_clock
from app.session import Viewer
from db.replays import Item, Replay
from tower.replays import REINTERPRET, LetterRef

PAGE_ROWS = 100

ITEM_WORDS = {
    "drafted": "○ drafted",
    "ready": "○ waiting",
    "claimed": "◐ claimed",
    "sending": "◐ sending",
    "awaiting_effect": "◐ sent, awaits its effect",
    "resolved": "● resolved",
    "failed_again": "▲ failed again",
    "returned": "▲ returned",
    "uncertain": "◆ uncertain",
    "duplicate": "– duplicate",
    "blocked": "– blocked",
    "skipped": "– skipped",
    "cancelled": "– cancelled",
}


def item_table(
    one: Replay,
    page: Sequence[Item],
    states: Mapping[str, int],
    documents: Mapping[LetterRef, str],
    link: ReplaysLink,
    viewer: Viewer,
) -> None:
    """Every letter of it with its state and reason; what it is about opens on Trace."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Letters", anchor=False)
        st.space("stretch")
        if len(states) > 1 or link.items:
            _state_choice(states, link)
    message, about = "items message", "items about"
    shown = pa.table(
        {
            "Item": [item.n for item in page],
            "Message": [item.ref.key for item in page],
            "State": [_state(item) for item in page],
            "Reason": [item.cause for item in page],
            "Speaks of": [documents.get(item.ref, "") for item in page],
            "Effect": pa.array(
                [None if i.effect_at is None else day_clock(i.effect_at, viewer.zone)
                 for i in page], pa.string(),
            ),
            "Sent": pa.array(
                [None if i.sent_at is None else day_clock(i.sent_at, viewer.zone) for i in page],
                pa.string(),
            ),
            "Attempt": pa.array([item.new_attempt for item in page], pa.int64()),
            "Queue": [item.queue for item in page],
        }
    )  # fmt: skip
    st.dataframe(
        shown,
        hide_index=True,
        key="items",
        row_height=ROW_PX,
        height=min(520, ROW_PX * (len(page) + 1) + 3),
        placeholder=MISSING,
        alt="Letters of this replay in the order in which they are sent",
        column_order=_COLUMNS[: 6 if one.action == REINTERPRET else None],
        column_config={
            "Item": st.column_config.NumberColumn(width=56),
            "Message": st.column_config.ButtonColumn(
                "Message", width=190, type="tertiary", alignment="left", key=message,
                on_click=_open, args=(message, tuple(_letter(item) for item in page)),
            ),
            "State": st.column_config.TextColumn(width=166),
            "Reason": st.column_config.TextColumn(
                width=560 if one.action == REINTERPRET else 270
            ),
            "Speaks of": st.column_config.ButtonColumn(
                "Speaks of", width=152, type="tertiary", alignment="left", key=about,
                on_click=_open,
                args=(about, tuple(_about(item, documents) for item in page)),
            ),
            "Effect": st.column_config.TextColumn(
                width=142, help="when the business document moved after the message was sent"
            ),
            "Sent": st.column_config.TextColumn(
                "Read again" if one.action == REINTERPRET else "Sent", width=142
            ),
            "Attempt": st.column_config.NumberColumn(width=72),
            "Queue": st.column_config.TextColumn(width=120),
        },
    )  # fmt: skip
    _pages(one, page, states, link)


_COLUMNS = (
    "Item", "Message", "State", "Reason", "Sent", "Attempt", "Speaks of", "Effect", "Queue",
)  # fmt: skip


def _state(item: Item) -> str:
    if item.state == "drafted" and item.verdict:
        return {"ready": "○ ready"}.get(item.verdict, f"– {item.verdict}")
    return ITEM_WORDS.get(item.state, item.state)


def _letter(item: Item) -> TraceLink:
    return TraceLink(ref=f"{item.ref.source}/{item.ref.key}")


def _about(item: Item, documents: Mapping[LetterRef, str]) -> TraceLink:
    return TraceLink(ref=documents.get(item.ref) or f"{item.ref.source}/{item.ref.key}")


def _open(click: str, links: Sequence[TraceLink]) -> None:
    row = st.session_state[click].row
    if 0 <= row < len(links):
        go(links[row])


def _state_choice(states: Mapping[str, int], link: ReplaysLink) -> None:
    names = {state: f"{ITEM_WORDS.get(state, state)} ({n:,})" for state, n in states.items()}
    if link.items:
        names.setdefault(link.items, link.items)
    key = "items state"
    st.session_state[key] = link.items
    st.selectbox(
        "State",
        sorted(names),
        index=None,
        format_func=lambda state: names.get(state, state),
        key=key,
        placeholder="Every state",
        label_visibility="collapsed",
        width=230,
        on_change=_choose_state,
        args=(key,),
    )


def _choose_state(key: str) -> None:
    st.query_params.pop("after", None)
    chosen = st.session_state[key]
    if chosen is None:
        st.query_params.pop("items", None)
    else:
        st.query_params["items"] = chosen


def _pages(one: Replay, page: Sequence[Item], states: Mapping[str, int], link: ReplaysLink) -> None:
    total = states.get(link.items, 0) if link.items else one.n_items
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"showing {count(len(page))} of {count(total)}", width="content")
        st.space("stretch")
        if link.after is not None and st.button(
            "First page", icon=":material/first_page:", type="tertiary"
        ):
            go(replace(link, after=None))
        if len(page) == PAGE_ROWS and st.button(
            "Next page", icon=":material/chevron_right:", icon_position="right", type="tertiary"
        ):
            go(replace(link, after=page[-1].n))
