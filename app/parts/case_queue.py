"""Tables of exception cases, and the choices above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from app.links import CaseLink, ExceptionsLink
from app.parts.pager import pager
from app.parts.tables import ROW_PX, table
from app.parts.words import SEVERITIES, ago, many, money, severity
from db.reads.cases import CaseGroup, CasePage
from tower.categories import CATEGORIES

MOST_GROUPS_PX = 300


def severities(counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    found = counts["severity"]
    names = {"": f"All {sum(found.values()):,}"}
    names |= {word: f"{severity(word)} {found[word]:,}" for word in SEVERITIES if word in found}
    return names


def categories(counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    return {word: f"{category_words(word)} ({n:,})" for word, n in counts["category"].items()}


def numbered(counts: Mapping[str, int]) -> dict[str, str]:
    return {word: f"{word} ({n:,})" for word, n in counts.items()}


def category_words(word: str) -> str:
    """What the category means, in the words of the glossary; unknown ones as they are."""
    found = CATEGORIES.get(word)
    return word if found is None else found.meaning


def group_table(groups: Sequence[CaseGroup], now: datetime) -> None:
    """Cases by cause, where a cause has several; each leads to its own cases."""
    several = [g for g in groups if g.n > 1]
    if not several:
        return
    st.subheader("By cause", anchor=False)
    table(
        {
            "What": [category_words(g.category) for g in several],
            "Severity": [severity(g.severity) for g in several],
            "Who": [g.subject for g in several],
            "Cases": [g.n for g in several],
            "Customer orders": [g.orders_affected or None for g in several],
            "At risk": [money(g.value_at_risk, g.currency) for g in several],
            "Since": [ago(g.opened_at, now) for g in several],
            "Owner": [g.owner for g in several],
        },
        alt="Open cases by cause",
        key="case groups",
        opens="What",
        links=[ExceptionsLink(category=g.category, supplier=g.supplier) for g in several],
        config={
            "At risk": st.column_config.TextColumn(width=96, alignment="right"),
            "Cases": st.column_config.NumberColumn(width=64),
            "Customer orders": st.column_config.NumberColumn(width=120),
            "Severity": st.column_config.TextColumn(width=92),
        },
        height=min(MOST_GROUPS_PX, ROW_PX * (len(several) + 1) + 3),
    )


def case_table(page: CasePage, after: str | None, now: datetime) -> None:
    """Cases by consequence, paged; each title leads to its case."""
    st.subheader("Cases", anchor=False)
    rows_table(page.rows, now, key="cases")
    pager(len(page.rows), page.total, capped=False, after=after, following=page.following)


def rows_table(rows: Sequence[Mapping[str, Any]], now: datetime, *, key: str) -> None:
    """The table of cases alone."""
    table(
        {
            "Title": [r["title"] for r in rows],
            "Severity": [severity(r["severity"]) for r in rows],
            "State": [_state(r) for r in rows],
            "Owner": [r["owner"] for r in rows],
            "Opened": [ago(r["opened_at"], now) for r in rows],
            "Customer orders": [r["orders_affected"] or None for r in rows],
            "At risk": [
                money(r["value_at_risk"], r["currency"]) if r["orders_affected"] else None
                for r in rows
            ],
            "Case": [r["id"] for r in rows],
        },
        alt="Exception cases by consequence",
        key=key,
        opens="Title",
        opens_width=450,
        links=[CaseLink(id=r["id"]) for r in rows],
        config={
            "Owner": st.column_config.TextColumn(width=130),
            "Severity": st.column_config.TextColumn(width=92),
            "State": st.column_config.TextColumn(width=90),
            "Opened": st.column_config.TextColumn(width=104),
            "At risk": st.column_config.TextColumn(width=96, alignment="right"),
            "Customer orders": st.column_config.NumberColumn(width=120),
            "Case": st.column_config.NumberColumn(width=64, format="%d"),
        },
    )


def _state(row: Mapping[str, Any]) -> str:
    return str(row["resolution"] or row["state"]).replace("_", " ")


def affected(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on how many customer orders a list of affected lines touches."""
    orders = {(r["scope"], r["order"]) for r in rows}
    return f"{many(len(orders), 'customer order')}, {many(len(rows), 'line')}"
