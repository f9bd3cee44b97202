"""Supplier x week of on-time acknowledgement; a square leads to that supplier's orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app import charts
from app.links import PeriodWord, SupplierLink
from app.parts.empty import nothing_here
from app.parts.tables import go
from app.parts.words import percent
from db.reads.kpis import WeekShare

_KEY = "ack heat"


def heat_map(cells: Sequence[WeekShare], picture: Callable[[], Any], period: PeriodWord) -> None:
    """The picture, or the same as a table for those who cannot see or point at it.

    ``period`` goes along when a square is clicked.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(
            "On-time acknowledgement, supplier by week",
            anchor=False,
            help="The suppliers with most late or missing answers. A square is the share of orders "
            "answered in time, of those whose answer fell due then (weeks from Monday, UTC); small "
            "grey ones have fewer than five orders. Click a square for the supplier.",
        )
        st.space("stretch")
        as_table = st.toggle("as a table", key="heat as table")
    if not cells:
        nothing_here("No acknowledgement fell due in this period.")
        return
    if cells[0].weeks > 1:
        st.caption(
            f"Each square tells of the {cells[0].weeks} weeks up to its own: most single weeks "
            "hold too few orders to judge."
        )
    if as_table:
        _as_table(cells)
    else:
        st.plotly_chart(
            picture(),
            config=charts.CONFIG,
            key=_KEY,
            on_select=lambda: _open(period),
            selection_mode="points",
            alt="Share of purchase orders acknowledged in time, by supplier and week",
        )


def _open(period: PeriodWord) -> None:
    points = st.session_state[_KEY].selection.points
    if points and points[0].get("customdata"):
        go(SupplierLink(id=points[0]["customdata"][0], period=period))


def _as_table(cells: Sequence[WeekShare]) -> None:
    weeks = sorted({c.week for c in cells})
    names = list(dict.fromkeys(c.supplier_name for c in cells))
    found = {(c.supplier_name, c.week): c for c in cells}
    columns: dict[str, list[str]] = {"Supplier": names}
    for week in weeks:
        columns[f"{week:%d %b}"] = [_words(found.get((name, week))) for name in names]
    st.dataframe(columns, hide_index=True, alt="On-time acknowledgement by supplier and week")


def _words(cell: WeekShare | None) -> str:
    if cell is None:
        return ""
    return f"no data ({cell.n})" if cell.share is None else f"{percent(cell.share, 0)} of {cell.n}"
