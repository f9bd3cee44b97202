"""A picture with its title, the same as a table, and a click that leads to the rows behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from app import charts
from app.links import Link
from app.parts.empty import nothing_here
from app.parts.tables import go, height_of, table

Opens = Callable[[Mapping[str, Any]], Link | None]
"""Where a click on a point of plotly leads; None: nowhere."""


def picture(
    title: str,
    figure: Callable[[], Any],
    columns: Mapping[str, Sequence[Any]],
    *,
    key: str,
    alt: str,
    about: str = "",
    note: str = "",
    empty: str = "",
    opens: Opens | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Draw it; ``figure`` is asked for only when it is shown.

    columns  the same as a table, for those who cannot see or point
    about    help beside the title; ``note`` a line under it
    empty    why there is nothing to draw; said instead of axes where every number is zero
    opens    where a click on a bar or point leads
    """
    if empty and not any(any(numbers) for numbers in list(columns.values())[1:]):
        st.subheader(title, anchor=False, help=about or None)
        nothing_here(empty)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(title, anchor=False, help=about or None)
        st.space("stretch")
        as_table = st.toggle("as a table", key=f"{key} as table")
    if note:
        st.caption(note)
    if as_table:
        rows = len(next(iter(columns.values()), ()))
        table(columns, key=f"{key} rows", alt=alt, config=config, height=height_of(rows, 400))
        return
    if opens is None:
        st.plotly_chart(figure(), config=charts.CONFIG, key=key, alt=alt)
        return
    st.plotly_chart(
        figure(),
        config=charts.CONFIG,
        key=key,
        alt=alt,
        on_select=lambda: _follow(key, opens),
        selection_mode="points",
    )


def _follow(key: str, opens: Opens) -> None:
    points = st.session_state[key].selection.points
    if points:
        link = opens(points[0])
        if link is not None:
            go(link)
