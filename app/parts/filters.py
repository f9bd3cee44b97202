"""The filter row. The address is the truth: a widget shows what it says and writes into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

import streamlit as st

from app import data
from app.links import FILTER_NAMES, Filtered, PeriodWord
from app.session import Viewer
from db.reads.filters import Filter, Period

PERIOD_NAMES = {"7d": "7 days", "30d": "30 days", "90d": "90 days"}
PERIOD_DAYS = {"7d": 7, "30d": 30, "90d": 90}

Width = int | Literal["stretch"]

# Choices that make a place in a list meaningless.
_RESET = ("after",)


def filter_row(link: Filtered, viewer: Viewer, *, with_period: bool = True) -> None:
    """Draw the row. A choice changes the address, and the run that follows reads it from there.

    ``with_period`` is False on pages about what is so now: a period would hide what is old.
    """
    offered = data.choices(viewer.scope)
    with st.container(horizontal=True, vertical_alignment="center"):
        if with_period:
            segments("period", "Period", PERIOD_NAMES, link.period, get_args(PeriodWord)[1])
        # They share what is left of the row: with fixed widths a narrow window has two rows.
        suppliers, sites = dict(offered.suppliers), dict(offered.warehouses)
        choose("supplier", "Supplier", suppliers, link.supplier, "All suppliers", "stretch")
        choose("buyer", "Buyer", dict(offered.buyers), link.buyer, "All buyers", "stretch")
        choose("warehouse", "Warehouse", sites, link.warehouse, "All warehouses", "stretch")
        goods_box(link.goods, offered.categories, "stretch")


def goods_box(chosen: str | None, offered: Sequence[tuple[str, str]], width: Width = 160) -> None:
    """The categories of goods; no box where no feed tells any."""
    if offered or chosen is not None:
        choose("goods", "Category of goods", dict(offered), chosen, "All goods", width)


def filter_of(link: Filtered, now: datetime) -> Filter:
    """The question's narrowing that this address means at ``now``."""
    return Filter(
        period=Period.last(PERIOD_DAYS[link.period], now),
        supplier=link.supplier,
        buyer=link.buyer,
        warehouse=link.warehouse,
        category=link.goods,
    )


def filters_of(link: Filtered) -> dict[str, Any]:
    """The filters of this address, for the addresses that a page leads to."""
    return {name: getattr(link, name) for name in FILTER_NAMES}


def choose(
    name: str,
    label: str,
    options: Mapping[str, str],
    chosen: str | None,
    everything: str,
    width: Width = 200,
) -> None:
    """A box bound to the parameter ``name``; ``options`` are values of the address and names.

    A value of the address that is not offered is offered too, as it stands: the address may be
    older than the list, and must not silently mean something else.
    """
    names = dict(options)
    if chosen is not None:
        names.setdefault(chosen, chosen)
    key = _seed(name, chosen)
    st.selectbox(
        label,
        list(names),
        index=None,
        format_func=lambda value: names.get(value, value),
        key=key,
        placeholder=everything,
        label_visibility="collapsed",
        width=width,
        on_change=_write,
        args=(name, key, None),
    )


def segments(name: str, label: str, options: Mapping[str, str], chosen: str, default: str) -> None:
    """Visible choices bound to the parameter ``name``; the default is left out of the address."""
    key = _seed(name, chosen)
    st.segmented_control(
        label,
        list(options),
        format_func=lambda value: options[value],
        required=True,
        key=key,
        label_visibility="collapsed",
        on_change=_write,
        args=(name, key, default),
    )


def _seed(name: str, value: Any) -> str:
    """Give the widget the address's value at each run: what a page kept of it is not trusted."""
    key = f"filter {name}"
    st.session_state[key] = value
    return key


def _write(name: str, key: str, default: str | None) -> None:
    value = st.session_state[key]
    for other in _RESET:
        st.query_params.pop(other, None)
    if value is None or value == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value
