"""The page of one supplier: who it is, its figures, its ladder, how long it takes to answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

import streamlit as st

from app import data, supplier_charts
from app.links import FiguresLink, Link, PeriodWord, PurchaseOrdersLink, SupplierLink, ViewWord
from app.parts.empty import nothing_here
from app.parts.evidence_pack import pack_button
from app.parts.filters import PERIOD_DAYS, PERIOD_NAMES, choose, segments
from app.parts.kpi_row import kpi_row
from app.parts.pictures import picture
from app.parts.words import MISSING, plain, span
from app.session import Viewer
from db.reads.filters import Filter, Period
from db.reads.supplier_page import Card, SupplierPage
from tower.kpi_catalogue import DEFINITIONS

FIGURES = (
    "supplier_score",
    "ack_on_time",
    "ack_cycle_clock",
    "first_confirm",
    "commit_reliability",
    "asn_on_time",
    "otif",
    "lead_time",
)
"""The cards of a supplier, in their order."""

TEMPLATES: Mapping[str, str] = {
    "edi_x12": "EDI X12",
    "edi_edifact": "EDIFACT",
    "api": "API",
    "file": "files",
    "portal": "portal",
}


def filter_of(link: SupplierLink, now: datetime) -> Filter:
    """The question's narrowing that this address means at ``now``."""
    return Filter(period=Period.last(PERIOD_DAYS[link.period], now), supplier=link.id)


def choices(link: SupplierLink, viewer: Viewer) -> None:
    """Period and supplier; both stand in the address."""
    offered = data.choices(viewer.scope)
    with st.container(horizontal=True, vertical_alignment="center"):
        segments("period", "Period", PERIOD_NAMES, link.period, get_args(PeriodWord)[1])
        choose("id", "Supplier", dict(offered.suppliers), link.id, "Choose a supplier", 300)


def identity(card: Card, viewer: Viewer, narrowed: Filter) -> None:
    """Who it is, in one line, and the evidence pack."""
    parts = [f"**{plain(card.key)}**"]
    if card.tier:
        parts.append(f"tier {plain(card.tier)}")
    parts.append(TEMPLATES.get(card.template, card.template))
    parts += [plain(part) for part in (card.country, card.zone) if part]
    if card.stage != "live":
        parts.append(f":orange[{card.stage}]")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(" · ".join(parts), width="content")
        st.space("stretch")
        pack_button(card, viewer, narrowed)


def figures(card: Card, link: SupplierLink, viewer: Viewer, narrowed: Filter) -> None:
    """The cards; each opens the subjects that it counted."""
    same: dict[str, Any] = {"period": link.period, "supplier": card.key}
    found = data.several(viewer.scope, narrowed, tuple((kpi, ()) for kpi in FIGURES))
    opens: dict[str, tuple[str, Link]] = {
        kpi: ("the rows", FiguresLink(id=kpi, **same)) for kpi in FIGURES
    }
    opens["supplier_score"] = (
        "its parts",
        SupplierLink(id=card.key, period=link.period, tab="figures"),
    )
    kpi_row(found, opens)


# --- the ladder -----------------------------------------------------------------------------------

_VIEW_OF: Mapping[str, ViewWord] = {
    "answer": "awaiting_ack",
    "applied": "answered_not_in_erp",
}
"""Where those are found that stand below a rung; the others are in the list of all."""


def ladder(page: SupplierPage, link: SupplierLink) -> None:
    """How many orders reached each rung, how long each took, on whose clock."""
    steps = page.funnel
    if not steps:
        st.subheader("Acknowledgement ladder", anchor=False)
        nothing_here("No purchase order was released to this supplier in the period.")
        return
    same: dict[str, Any] = {"period": link.period, "supplier": page.card.key}

    def opens(point: Mapping[str, Any]) -> Link | None:
        name = (point.get("customdata") or ("",))[0]
        return PurchaseOrdersLink(view=_VIEW_OF.get(name, "all"), **same)

    picture(
        "Acknowledgement ladder",
        lambda: supplier_charts.funnel(steps),
        {
            "Rung": [step.label for step in steps],
            "Orders": [step.reached for step in steps],
            "Of": [step.of for step in steps],
            "Reported": [step.told for step in steps],
            "Half within": [_took(step.p50_s) for step in steps],
            "9 of 10 within": [_took(step.p90_s) for step in steps],
            "Whose clock": [supplier_charts.WHOSE[step.whose] for step in steps],
        },
        key="supplier ladder",
        alt="Purchase orders of the period by the rung of the ladder that they reached",
        about="Purchase orders released in the period. A rung that nobody reported counts once a "
        "later one was; times are from the newest rung below that was reported, so that each "
        "stretch is of one clock. Click a bar for the orders.",
        opens=opens,
    )


def _took(seconds: float | None) -> str:
    if seconds is None:
        return MISSING
    return f"{seconds:.0f} s" if seconds < 60 else span(seconds)


# --- answers --------------------------------------------------------------------------------------


def answer_times(page: SupplierPage, link: SupplierLink) -> None:
    """Distribution of answer times against what is allowed."""
    found = page.answers
    if not found.bins:
        st.subheader("Time to answer", anchor=False)
        nothing_here(
            "No answer of this supplier fell due in the period.",
            next_step=""
            if page.card.acknowledges
            else "It is asked for none: acknowledges is off in its profile.",
        )
        return
    same: dict[str, Any] = {"period": link.period, "supplier": page.card.key}
    late = sum(b.late for b in found.bins)
    allowed = "" if found.allowed_h is None else _allowed(page)
    picture(
        "Time to answer, against the SLA",
        lambda: supplier_charts.answer_times(found),
        {
            "Answered within": [b.name for b in found.bins],
            "In time": [b.in_time for b in found.bins],
            "Late or missing": [b.late for b in found.bins],
        },
        key="supplier answers",
        alt="Purchase orders by hours from transmission to the first answer",
        about="Clock hours from transmission to the first answer, of orders whose answer fell due "
        f"in the period. {allowed} The time allowed differs by order, as working hours do: the "
        f"shade holds eight of ten. {DEFINITIONS['ack_on_time'].formula}. Click a bar for them.",
        note=f"{late:,} late or missing of {sum(b.in_time + b.late for b in found.bins):,} due",
        opens=lambda _: FiguresLink(id="ack_on_time", **same),
    )


def _allowed(page: SupplierPage) -> str:
    hours = page.answers.allowed_h
    return "" if hours is None else f"Usually {span(hours * 3600)} are allowed."
