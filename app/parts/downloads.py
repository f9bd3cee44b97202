"""A table as files, made when they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from app import data
from app.export import csv_bytes, excel_bytes

Columns = Mapping[str, Sequence[Any]]


def downloads(columns: Callable[[], Columns], name: str, *, empty: bool = False) -> None:
    """CSV and Excel of what ``columns`` answers; ``name`` is that of the files."""
    about = "The first 1,000 rows of this list, in this order"
    st.download_button(
        "CSV",
        data=data.later(lambda: csv_bytes(columns())),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        disabled=empty,
        help=about,
        key=f"{name} csv",
    )
    st.download_button(
        "Excel",
        data=data.later(lambda: excel_bytes(columns(), name)),
        file_name=f"{name}.xlsx",
        mime="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        icon=":material/table_view:",
        type="tertiary",
        on_click="ignore",
        disabled=empty,
        help=about,
        key=f"{name} excel",
    )
