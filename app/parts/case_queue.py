"""Tables of exception cases, and the choices above them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from app.links import CaseLink, ExceptionsLink
from app.parts import customers_hurt
from app.parts.downloads import downloads
from app.parts.filters import choose, goods_box
from app.parts.pager import pager
from app.parts.tables import height_of, table
from app.parts.words import SEVERITIES, ago, day, many, money, severity, span
from db.reads.cases import CaseGroup, CasePage
from db.reads.lookup import Choices
from tower.calendars import Calendar
from tower.categories import CATEGORIES
from tower.errors import TowerError
from tower.root_causes import KIND

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
    st.subheader("Alike", anchor=False)
    st.caption("cases of one category and supplier")
    table(
        customers_hurt.told(
            {
                "What": [category_words(g.category) for g in several],
                "Severity": [severity(g.severity) for g in several],
                "Who": [g.subject for g in several],
                "Cases": [g.n for g in several],
                "Customer orders": [g.orders_affected or None for g in several],
                "At risk": [money(g.value_at_risk, g.currency) for g in several],
                "Since": [ago(g.opened_at, now) for g in several],
                "Owner": [g.owner for g in several],
            }
        ),
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
        height=height_of(len(several), MOST_GROUPS_PX),
    )


def narrowed(link: ExceptionsLink, offered: Choices) -> None:
    """What an address narrows besides the choices that are always there, each to be dropped."""
    for name, label, value in (
        ("opened", "Opened", link.opened),
        ("closed", "Closed", link.closed),
    ):
        if value is not None:
            word = value.isoformat()
            choose(name, label, {word: f"{label} {day(value)} (UTC)"}, word, "Any day", 230)
    if link.buyer is not None:
        choose("buyer", "Buyer", dict(offered.buyers), link.buyer, "All buyers", 170)
    if link.warehouse is not None:
        sites = dict(offered.warehouses)
        choose("warehouse", "Warehouse", sites, link.warehouse, "All warehouses", 180)
    if link.goods is not None:
        goods_box(link.goods, offered.categories)


STATES = {
    "new": "new",
    "taken": "taken",
    "waiting": "waiting",
    "snoozed": "snoozed",
}
SORTS = {
    "consequence": "By consequence",
    "severity": "By severity",
    "age": "Oldest first",
    "newest": "Newest first",
}
VIEWS = {"causes": "By cause", "all": "Every case"}


def summary(counts: Mapping[str, Mapping[str, int]]) -> str:
    """How many cases there are, and how many lines of work that makes."""
    shown = counts["shown"]
    if not shown["causes"]:
        return many(shown["cases"], "open case")
    return (
        f"{many(shown['cases'], 'open case')}, some under {many(shown['causes'], 'shared cause')}: "
        f"{many(shown['lines'], 'line')} of work"
    )


def case_table(
    page: CasePage,
    after: str | None,
    now: datetime,
    hours: Calendar | None,
    ask: Callable[[], CasePage],
) -> list[Mapping[str, Any]]:
    """Cases in the order chosen, paged; each title leads to its case. Those that were ticked.

    ``ask`` gives the first thousand, for the files.
    """
    st.subheader("Cases", anchor=False)
    ticked = rows_table(page.rows, now, key=f"cases {after or ''}", hours=hours, picks=True)
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads(
            lambda: customers_hurt.told(_columns(ask().rows)), "exceptions", empty=not page.rows
        )
        pager(len(page.rows), page.total, capped=False, after=after, following=page.following)
    return ticked


_IN_FILES = (
    "id", "title", "category", "severity", "state", "resolution", "owner", "supplier", "kind",
    "scope", "number", "line", "rule", "cause", "opened_at", "due_at", "first_taken_at",
    "resolved_at", "orders_affected", "value_at_risk", "currency", "priority",
)  # fmt: skip


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {
        f"{name.replace('_at', '')} (UTC)" if name.endswith("_at") else name.replace("_", " "): [
            row[name] for row in rows
        ]
        for name in _IN_FILES
    }


def open_hours(row: Mapping[str, Any], now: datetime, hours: Calendar | None) -> timedelta | None:
    """Age of a case in the owner's open hours; None where no calendar tells."""
    if hours is None:
        return None
    try:
        return hours.between(row["opened_at"], row["resolved_at"] or now)
    except TowerError:  # beyond the years of the calendar
        return None


def _age(row: Mapping[str, Any], now: datetime) -> str:
    return span(((row["resolved_at"] or now) - row["opened_at"]).total_seconds())


def rows_table(
    rows: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    key: str,
    hours: Calendar | None = None,
    picks: bool = False,
) -> list[Mapping[str, Any]]:
    """The table of cases alone; those that were ticked, where that is possible.

    Ages run in clock hours and in the owner's open hours.
    """
    ages = [open_hours(r, now, hours) for r in rows]
    ticked = table(
        customers_hurt.told(
            {
                "Title": [_title(r) for r in rows],
                "Severity": [severity(r["severity"]) for r in rows],
                "At risk": [
                    money(r["value_at_risk"], r["currency"]) if r["orders_affected"] else None
                    for r in rows
                ],
                "Orders": [r["orders_affected"] or None for r in rows],
                "Age": [_age(r, now) for r in rows],
                "Open h": [None if a is None else round(a / timedelta(hours=1), 1) for a in ages],
                "State": [_state(r) for r in rows],
                "Owner": [r["owner"] for r in rows],
                "Priority": [None if r["priority"] is None else round(r["priority"]) for r in rows],
                "Case": [r["id"] for r in rows],
            }
        ),
        alt="Exception cases by consequence",
        key=key,
        opens="Title",
        opens_width=370,
        links=[CaseLink(id=r["id"]) for r in rows],
        config={
            "Owner": st.column_config.TextColumn(width=130),
            "Severity": st.column_config.TextColumn(width=92),
            "State": st.column_config.TextColumn(width=90),
            "Age": st.column_config.TextColumn(
                width=84, alignment="right", help="clock hours since it was true"
            ),
            "Open h": st.column_config.NumberColumn(
                width=76, format="%.1f", help="age in the owner's open hours"
            ),
            "At risk": st.column_config.TextColumn(width=92, alignment="right"),
            "Orders": st.column_config.NumberColumn(width=72, help="customer orders affected"),
            "Priority": st.column_config.NumberColumn(
                width=84, format="localized", help="value at risk x urgency x confidence"
            ),
            "Case": st.column_config.NumberColumn(width=64, format="%d"),
        },
        picks=picks,
    )
    return [rows[n] for n in ticked]


def _title(row: Mapping[str, Any]) -> str:
    return f"▸ {row['title']}" if row["kind"] == KIND else str(row["title"])


def _state(row: Mapping[str, Any]) -> str:
    return str(row["resolution"] or row["state"]).replace("_", " ")


def affected(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on how many customer orders a list of affected lines touches."""
    orders = {(r["scope"], r["order"]) for r in rows}
    return f"{many(len(orders), 'customer order')}, {many(len(rows), 'line')}"
