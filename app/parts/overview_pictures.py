"""The pictures and sentences of the overview; each leads to what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import streamlit as st

from app import data
from app.links import (
    ExceptionsLink,
    HealthLink,
    Link,
    OrdersAtRiskLink,
    OverviewLink,
    PurchaseOrdersLink,
)
from app.parts.filters import PERIOD_NAMES, filters_of
from app.parts.pictures import picture
from app.parts.words import SEVERITIES, plain
from db.reads import cases
from db.reads.filters import Filter
from db.reads.overview import AGE_BANDS
from tower.access import Scope
from tower.briefing import Changes, told

Asked = tuple[Scope, Filter, str]


def case_flow(asked: Asked, link: OverviewLink) -> None:
    """Exceptions opened and closed per day."""
    days = data.case_flow(*asked)
    picture(
        "Opened and closed",
        lambda: data.case_flow_picture(*asked),
        {
            "Day": [d.day for d in days],
            "Opened": [d.opened for d in days],
            "Closed": [d.closed for d in days],
        },
        key="case flow",
        alt=f"Exceptions opened and closed per day, last {PERIOD_NAMES[link.period]}",
        about="Exceptions per day (UTC). Click a bar for those opened or closed on its day.",
        empty="No exception was opened or closed in this period.",
        opens=lambda point: cases_of(point, link),
    )


def cases_of(point: Mapping[str, Any], link: OverviewLink) -> ExceptionsLink:
    """The cases behind a bar: opened, or closed, on its day."""
    day = date.fromisoformat(str(point["x"])[:10])
    opened, closed = (None, day) if point.get("curve_number") == 1 else (day, None)
    return ExceptionsLink(
        state="all", view="all", sort="newest", opened=opened, closed=closed, **filters_of(link)
    )


_AGE_WORDS = dict(
    zip((band for band, _ in AGE_BANDS), (word for word, _, _ in cases.AGE_BANDS), strict=True)
)
"""Bands of the picture as the queue calls them."""


def open_ages(asked: Asked, link: OverviewLink) -> None:
    """Open exceptions by age and severity; a bar opens exactly its cases."""
    bands = data.open_ages(*asked)
    names = list(dict.fromkeys(b.band for b in bands))
    same = filters_of(link)
    shown = [word for word in SEVERITIES if any(b.cases for b in bands if b.severity == word)]

    def opens(point: Mapping[str, Any]) -> Link:
        trace = point.get("curve_number", 0)
        return ExceptionsLink(
            age=_AGE_WORDS.get(str(point.get("y"))),
            severity=shown[trace] if trace < len(shown) else None,
            view="all",
            **same,
        )

    picture(
        "Open, by age",
        lambda: data.open_ages_picture(*asked),
        {
            "Age": names,
            **{
                word: [
                    sum(b.cases for b in bands if b.band == name and b.severity == word)
                    for name in names
                ]
                for word in SEVERITIES
            },
        },
        key="open ages",
        alt="Open exceptions by age and severity",
        about="Clock hours since the fact was true. Click a bar for its cases.",
        empty="No exception is open here.",
        opens=opens,
    )


def changed(changes: Changes, same: Mapping[str, Any]) -> None:
    """The briefing; each sentence leads to what it speaks of."""
    leads: dict[str, Link] = {
        "customers": OrdersAtRiskLink(**same),
        "opened": ExceptionsLink(state="all", view="all", sort="newest", **same),
        "closed": ExceptionsLink(state="resolved", view="all", sort="newest", **same),
        "feeds": HealthLink(),
        "orders": PurchaseOrdersLink(**same),
    }
    for sentence in told(changes):
        link = leads.get(sentence.about)
        if link is None:
            st.markdown(plain(sentence.words))
            continue
        words, way = st.columns([11, 2], gap="small", vertical_alignment="top")
        words.markdown(plain(sentence.words))
        way.page_link(
            link.PAGE.file,
            label=":material/arrow_forward:",
            help="what it counts",
            query_params=link.to_query(),
        )
