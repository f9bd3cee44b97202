"""Filters that travel: a page opened from the navigation starts with those of the page before."""

from __future__ import annotations

import streamlit as st

from app.links import FILTER_NAMES

_LAST = "filters of the last page"
_PAGE = "last page"


def keep_filters(path: str) -> None:
    """Carry the filters over when navigation opened another page with an empty address.

    An address that names a filter wins: it was mailed or clicked and means what it says.
    """
    moved = st.session_state.get(_PAGE) not in (None, path)
    last: dict[str, str] = st.session_state.get(_LAST, {})
    if moved and last and not len(st.query_params):
        st.query_params.update(last)
    st.session_state[_PAGE] = path
    st.session_state[_LAST] = {
        name: st.query_params[name] for name in FILTER_NAMES if st.query_params.get(name)
    }
