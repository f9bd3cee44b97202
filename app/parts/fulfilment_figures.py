"""Figures of fulfilment: cards, the parts of a perfect order, and who they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import data, supplier_charts
from app.links import FiguresLink, FulfilmentLink, Link, SupplierLink
from app.parts.empty import nothing_here
from app.parts.filters import filters_of, segments
from app.parts.kpi_row import kpi_row, value_words
from app.parts.pictures import picture
from app.parts.scorecard_table import DATES, PER
from app.parts.tables import table
from app.parts.words import count, percent
from app.session import Viewer
from db.reads.figures import Told
from db.reads.filters import Filter
from db.reads.fulfilment import PARTS
from tower.kpi_catalogue import DEFINITIONS

CARDS = (
    "otif",
    "fill_line",
    "fill_value",
    "perfect_order",
    "asn_accurate",
    "invoice_match",
    "lead_time",
    "unit_days_late",
)
BY: Mapping[str, str] = {
    "supplier": "by supplier",
    "buyer": "by buyer",
    "warehouse": "by warehouse",
    "category": "by category",
}
_BY_FIGURES = ("otif", "fill_line", "fill_value", "perfect_order", "lead_time", "unit_days_late")
MOST_SHOWN = 100


def switches_of(link: FulfilmentLink, kpi: str) -> data.Switches:
    """The choices of the page that this figure has."""
    known = DEFINITIONS[kpi].switches
    chosen = {"date": link.date, "per": link.per}
    return tuple((name, word) for name, word in chosen.items() if word in known.get(name, ()))


def cards(link: FulfilmentLink, viewer: Viewer, narrowed: Filter) -> None:
    """The cards, counted by the date and unit chosen; each opens its subjects."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("due by the date", width="content")
        segments("date", "Due by", DATES, link.date, "first_confirmed")
        st.caption("OTIF", width="content")
        segments("per", "OTIF per", PER, link.per, "line")
    asked = tuple((kpi, switches_of(link, kpi)) for kpi in CARDS)
    found = data.several(viewer.scope, narrowed, asked)
    opens: dict[str, tuple[str, Link]] = {
        kpi: ("the rows", _figure_link(link, kpi)) for kpi in CARDS
    }
    kpi_row(found, opens)


def _figure_link(link: FulfilmentLink, kpi: str, **more: Any) -> FiguresLink:
    of = DEFINITIONS[kpi].switches
    switch = ",".join(
        f"{name}:{word}" for name, word in switches_of(link, kpi) if word != of[name][0]
    )
    return FiguresLink(**{**filters_of(link), "id": kpi, "switch": switch or None, **more})


def perfect_order(link: FulfilmentLink, viewer: Viewer, narrowed: Filter) -> None:
    """How many orders pass each part of a perfect one."""
    parts = data.perfect_parts(viewer.scope, narrowed)
    judged = max((of for _, of in parts.values()), default=0)
    if not judged:
        st.subheader("What keeps orders from being perfect", anchor=False)
        nothing_here("No order of which all parts are known fell due in this period.")
        return
    names = [PARTS[name] for name in parts]
    shares = [passed / of if of else None for passed, of in parts.values()]
    picture(
        "What keeps orders from being perfect",
        lambda: supplier_charts.by_share(
            names, list(parts), shares, [of for _, of in parts.values()],
            DEFINITIONS["perfect_order"],
            52,
        ),
        {
            "Part": names,
            "Passed": [passed for passed, _ in parts.values()],
            "Judged": [of for _, of in parts.values()],
            "Share": [percent(share) for share in shares],
        },
        key="perfect parts",
        alt="Share of orders that pass each part of a perfect order",
        about="Orders due in the period, of which every part is known. A perfect order passes all: "
        f"{DEFINITIONS['perfect_order'].formula}. Click a bar for the orders.",
        note=f"{count(judged)} orders judged",
        opens=lambda _: _figure_link(link, "perfect_order", show="miss"),
    )  # fmt: skip


def by(link: FulfilmentLink, viewer: Viewer, narrowed: Filter) -> None:
    """The figures told apart; a name opens the supplier, or narrows the page."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Told apart", anchor=False)
        st.space("stretch")
        segments("by", "Told apart", BY, link.by, "supplier")
    asked = tuple((kpi, switches_of(link, kpi)) for kpi in _BY_FIGURES)
    columns = data.several_by(viewer.scope, narrowed, asked, link.by)
    told = {
        kpi: {one.key: one for one in column}
        for kpi, column in zip(_BY_FIGURES, columns, strict=True)
    }
    first = {key: one.name for of in told.values() for key, one in of.items()}
    if not first:
        nothing_here("Nothing fell due in this period.")
        return
    keys = sorted(first, key=lambda key: _worst(told["otif"].get(key)))[:MOST_SHOWN]
    offered = data.choices(viewer.scope)
    sites = dict(offered.warehouses) | dict(offered.buyers) | dict(offered.categories)
    table(
        {
            link.by.title(): [sites.get(key, first[key]) or "none told" for key in keys],
            **{
                DEFINITIONS[kpi].short: [_words(told[kpi].get(key)) for key in keys]
                for kpi in _BY_FIGURES
            },
            "Lines due": [_n(told["otif"].get(key)) for key in keys],
        },
        key=f"fulfilment by {link.by}",
        alt=f"Fulfilment by {link.by}, the lowest OTIF first",
        opens=link.by.title(),
        opens_width=170,
        links=[_narrowed(link, key) for key in keys],
        height=360,
        config={
            DEFINITIONS[kpi].short: st.column_config.TextColumn(
                width=84,
                alignment="right",
                help=f"{DEFINITIONS[kpi].name}: {DEFINITIONS[kpi].formula}",
            )
            for kpi in _BY_FIGURES
        },
    )
    if link.by == "category":
        st.caption(
            "The category of goods is the ERP's. An order counts, as a whole, under each that one "
            "of its lines has."
        )


def _worst(told: Told | None) -> tuple[bool, float, int]:
    """By OTIF, the lowest ahead; without a figure last."""
    if told is None or told.figure.value is None:
        return (True, 0.0, 0)
    return (False, float(told.figure.value), -told.figure.n)


def _words(told: Told | None) -> str:
    if told is None:
        return ""
    if told.figure.value is None:
        return f"– ({told.figure.n} of {told.figure.definition.least})"
    return value_words(told.figure)


def _n(told: Told | None) -> int | None:
    return None if told is None else told.figure.n


def _narrowed(link: FulfilmentLink, key: str) -> Link:
    if link.by == "supplier":
        return SupplierLink(id=key, period=link.period)
    name = "goods" if link.by == "category" else link.by
    return FulfilmentLink(**{**filters_of(link), "date": link.date, "per": link.per, name: key})
