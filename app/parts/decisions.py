"""What needs a decision: root causes by consequence, each leading to where it is handled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app.links import CaseLink, ExceptionsLink, Link
from app.parts.words import SEVERITY_SIGN, many, money, plain, span
from db.reads.overview import RootCause
from tower.categories import CATEGORIES


def category_meaning(word: str) -> str:
    """What a category means in the words of the glossary; an unknown one as it is."""
    found = CATEGORIES.get(word)
    return word if found is None else f"{found.meaning[:1].upper()}{found.meaning[1:]}"


def decisions(causes: Sequence[RootCause], now: datetime) -> None:
    """Two lines per root cause; its name opens its case, or the list of its cases.

    Lines, not a grid: the next step must be readable whole on any width.
    """
    with st.container(gap="xsmall"):
        for cause in causes:
            _line(cause, now)


def _line(cause: RootCause, now: datetime) -> None:
    link = _link(cause)
    with st.container(gap=None):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.page_link(
                link.PAGE.file,
                label=f"{_sign(cause)} **{category_meaning(cause.category)}** · "
                f"{plain(_who(cause))}",
                query_params=link.to_query(),
            )
            st.space("stretch")
            if cause.value_at_risk is not None:
                st.markdown(f"**{money(cause.value_at_risk, cause.currency)}**", width="content")
        with st.container(horizontal=True, gap="small"):
            st.space(8)
            st.caption(f"{_facts(cause, now)}  \n{plain(cause.next_step)}")


_COLOUR = {"critical": "red", "high": "red", "medium": "orange", "low": "gray"}


def _sign(cause: RootCause) -> str:
    word = cause.severity
    return f":{_COLOUR.get(word, 'gray')}[{SEVERITY_SIGN.get(word, '·')}]"


def _facts(cause: RootCause, now: datetime) -> str:
    parts = [f"{cause.severity}, since {span((now - cause.since).total_seconds())}"]
    if cause.purchase_orders:
        parts.append(many(cause.purchase_orders, "purchase order"))
    if cause.customer_orders:
        parts.append(many(cause.customer_orders, "customer order"))
    parts.append(_owner(cause))
    return " · ".join(parts)


def _who(cause: RootCause) -> str:
    return cause.supplier_name or cause.feed or cause.title


def _owner(cause: RootCause) -> str:
    name = plain(cause.owner_name)
    if not cause.taken:
        return name
    return f"{name} ({'taken' if cause.taken == cause.cases else f'{cause.taken:,} taken'})"


def _link(cause: RootCause) -> Link:
    if cause.cases == 1 or cause.supplier is None:
        return CaseLink(id=cause.top_case)
    return ExceptionsLink(category=cause.category, supplier=cause.supplier)
