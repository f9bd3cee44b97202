"""Tables: columns in, one of them opening what its row is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pyarrow as pa
import streamlit as st

from app.links import Link
from app.parts.words import MISSING

ROW_PX = 31  # of the grid at the font size of our theme; given to it, so that heights fit
MOST_PX = 640


def go(link: Link) -> None:
    """Open another page; also for callbacks."""
    st.switch_page(link.PAGE.file, query_params=link.to_query())


def table(
    columns: Mapping[str, Sequence[Any]],
    *,
    alt: str,
    key: str,
    config: Mapping[str, Any] | None = None,
    opens: str | None = None,
    opens_width: int | None = None,
    links: Sequence[Link] = (),
    height: int | None = None,
    picks: bool = False,
) -> list[int]:
    """A table of these columns; with ``picks`` rows can be ticked, and their places are returned.

    The cells of the column ``opens`` are buttons that lead to ``links``, one per row. Sorting and
    searching by hand work within the page shown; the order it comes in is by consequence.
    """
    shown = {name: one for name, one in (config or {}).items() if name in columns}
    if opens is not None:
        click = f"{key} click"
        shown[opens] = st.column_config.ButtonColumn(
            opens,
            width=opens_width,
            type="tertiary",
            alignment="left",
            key=click,
            on_click=_open,
            args=(click, tuple(links)),
            pinned=True,
        )
    rows = len(next(iter(columns.values()), ()))
    chosen = st.dataframe(
        pa.table({name: _column(values) for name, values in columns.items()}),
        hide_index=True,
        column_config=shown,
        height=height or height_of(rows),
        row_height=ROW_PX,
        placeholder=MISSING,
        key=key,
        alt=alt,
        on_select="rerun" if picks else "ignore",
        selection_mode="multi-row",
    )
    if not picks:
        return []
    places: list[int] = cast(Any, chosen)["selection"]["rows"]
    return [n for n in places if n < rows]


def height_of(rows: int, most: int = MOST_PX) -> int:
    """Height of a table of so many rows: all of them, or as many as fit into ``most``."""
    return min((rows + 1) * ROW_PX + 3, most)


def _column(values: Sequence[Any]) -> Any:
    """An Arrow column; one without any value stays text, so that it shows dashes."""
    if all(value is None for value in values):
        return pa.array(values, pa.string())
    return pa.array(values)


def _open(click: str, links: Sequence[Link]) -> None:
    row = st.session_state[click].row
    if 0 <= row < len(links):
        go(links[row])
