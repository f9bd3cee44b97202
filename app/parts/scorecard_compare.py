"""Two scorecards beside each other: two suppliers, or two periods of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from app import data, supplier_charts
from app.links import SuppliersLink
from app.parts.empty import nothing_here
from app.parts.filters import PERIOD_NAMES, choose
from app.parts.pictures import picture
from app.parts.scorecard_table import standing_words
from app.parts.words import MISSING, percent, plain
from app.session import Viewer
from db.reads.filters import Filter
from db.reads.scorecards import SupplierCard, compared
from tower.scorecards import Difference

BEFORE = "the same supplier, one period before"


def comparison(
    cards: Sequence[SupplierCard], link: SuppliersLink, viewer: Viewer, narrowed: Filter
) -> None:
    """Choose the two, then their score and figures with the differences."""
    offered = {card.supplier: card.name for card in sorted(cards, key=lambda c: c.name)}
    with st.container(horizontal=True, vertical_alignment="center"):
        choose("one", "Supplier", offered, link.one, "Choose a supplier", 260)
        st.caption("against", width="content")
        others = {key: name for key, name in offered.items() if key != link.one}
        choose("other", "Other supplier", others, link.other, BEFORE, 300)
    by_key = {card.supplier: card for card in cards}
    one = by_key.get(link.one or "")
    if one is None:
        nothing_here(
            "Choose a supplier.",
            next_step="Its score and figures then stand beside those of another one, or beside "
            "its own of the period before.",
        )
        return
    other, names = _other(one, by_key, link, viewer, narrowed)
    if other is None:
        nothing_here(f"Nothing is known of {plain(link.other or one.name)} in this period.")
        return
    differences = compared(one, other)
    with st.container(border=True):
        picture(
            " against ".join(plain(name) for name in names),
            lambda: supplier_charts.comparison(differences, names),
            {
                "Figure": [d.name for d in differences],
                names[0]: [_words(d, d.one) for d in differences],
                names[1]: [_words(d, d.other) for d in differences],
                "Difference": [_difference(d) for d in differences],
                "Target": [MISSING if d.target is None else percent(d.target, 0)
                           for d in differences],
                "Sample": [f"{d.n_one:,} / {d.n_other:,}" if d.n_one + d.n_other else ""
                           for d in differences],
            },
            key="comparison",
            alt=f"Scorecards of {names[0]} and {names[1]}",
            note=f"{names[0]}: {standing_words(one)}. {names[1]}: {standing_words(other)}.",
        )  # fmt: skip


def _other(
    one: SupplierCard,
    by_key: dict[str, SupplierCard],
    link: SuppliersLink,
    viewer: Viewer,
    narrowed: Filter,
) -> tuple[SupplierCard | None, tuple[str, str]]:
    if link.other is not None:
        other = by_key.get(link.other)
        return other, (one.name, link.other if other is None else other.name)
    before = replace(narrowed, period=narrowed.period.previous(), supplier=one.supplier)
    found = data.scorecards(viewer.scope, before)
    length = PERIOD_NAMES[link.period]
    names = (f"{one.name}, last {length}", f"{one.name}, {length} before")
    return (found[0] if found else None), names


def _words(difference: Difference, value: float | None) -> str:
    if value is None:
        return "no data"
    return f"{value:.0f}" if difference.id == "score" else percent(value)


def _difference(difference: Difference) -> str:
    by = difference.by
    if by is None:
        return MISSING
    return f"{by:+.0f}" if difference.id == "score" else f"{100 * by:+.1f} pp"
