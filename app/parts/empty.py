"""Nothing to show is said in words: why it is empty and what would fill it."""

from __future__ import annotations

import streamlit as st

from app.links import Link


def nothing_here(why: str, *, next_step: str = "", back: Link | None = None) -> None:
    """A quiet box instead of an empty table or picture."""
    with st.container(border=True):
        st.caption(f":material/inbox: {why}")
        if next_step:
            st.caption(next_step)
        if back is not None:
            st.page_link(
                back.PAGE.file,
                label=f"Back to {back.PAGE.title.lower()}",
                icon=":material/arrow_back:",
                query_params=back.to_query(),
            )
