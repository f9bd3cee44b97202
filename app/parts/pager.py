"""Where a list stands and how it goes on; the database pages, not the browser."""

from __future__ import annotations

import streamlit as st

from app.parts.words import count


def pager(
    shown: int, total: int, *, capped: bool, after: str | None, following: str | None
) -> None:
    """ "Showing 200 of 18,412" with first and next page.

    ``after`` is where this page begins (None = the first), ``following`` where the next one does
    (None = this is the last). ``capped``: there are more than ``total``, not counted further.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        whole = f"more than {count(total)}" if capped else count(total)
        st.caption(f"showing {count(shown)} of {whole}", width="content")
        st.space("stretch")
        if after is not None:
            st.button(
                "First page",
                icon=":material/first_page:",
                type="tertiary",
                on_click=_go,
                args=(None,),
            )
        if following is not None:
            st.button(
                "Next page",
                icon=":material/chevron_right:",
                icon_position="right",
                type="tertiary",
                on_click=_go,
                args=(following,),
            )


def _go(place: str | None) -> None:
    if place is None:
        st.query_params.pop("after", None)
    else:
        st.query_params["after"] = place
