"""The cards of the key figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Literal

import streamlit as st

from app.links import Link
from app.parts.words import MISSING, count, money, percent
from tower.kpis import Figure

Colour = Literal["red", "gray"]

HALF_PX = 600  # of four cards; two halves side by side where there is room, else below each other
CARD_PX = 130  # below, a card has no room for its figure


def kpi_row(figures: Sequence[Figure], opens: Mapping[str, tuple[str, Link]]) -> None:
    """One card per figure. ``opens``: id of the figure -> words and address of what it counted."""
    halves = st.grid(2, min_column_width=HALF_PX)
    for start in range(0, len(figures), 4):
        with (
            halves.cell(),
            st.container(height="stretch"),
            st.grid(4, min_column_width=CARD_PX, height="stretch"),
        ):
            for figure in figures[start : start + 4]:
                with st.container(border=True, height="stretch", gap="xsmall"):
                    _card(figure)
                    found = opens.get(figure.definition.id)
                    if found is not None:
                        _way(*found)


def _way(words: str, link: Link) -> None:
    """Where the rows are that the figure counted, at the foot of its card."""
    st.space("stretch")
    st.page_link(
        link.PAGE.file,
        label=words,
        icon=":material/arrow_forward:",
        icon_position="right",
        query_params=link.to_query(),
    )


def _card(figure: Figure) -> None:
    definition = figure.definition
    colour: Colour = "red" if figure.missed else "gray"
    change = _change(figure)
    pill = change if change or not figure.missed else f"target {percent(definition.target, 0)}"
    st.metric(
        definition.short,
        value_words(figure),
        pill,
        delta_color=colour,
        delta_description=None if pill else _beside(figure),
        delta_arrow="auto" if change else "off",
        help=explained(figure),
        chart_data=_course(figure),
        chart_type="area",
    )


def _course(figure: Figure) -> list[float] | None:
    """The points of the sparkline, gaps where there is too little; None if there is no line."""
    if figure.value is None or sum(v is not None for v in figure.series) < 2:
        return None
    return [nan if v is None else v for v in figure.series]


def value_words(figure: Figure) -> str:
    """The figure as its card says it; a dash where there is none."""
    if figure.value is None:
        return MISSING
    if figure.definition.unit == "%":
        return percent(float(figure.value))
    if figure.definition.unit == "money":
        return money(figure.value, figure.currency)
    return count(round(float(figure.value)))


def _change(figure: Figure) -> str | None:
    change = figure.change
    if change is None:
        return None
    if figure.definition.unit == "%":
        points = 100 * change
        return f"{points:+.1f} pp" if abs(points) >= 0.05 else "0"
    return f"{change:+,.0f}" if change else "0"


def _beside(figure: Figure) -> str | None:
    """What stands where the difference would be: the reason of "no data", or a second figure."""
    if figure.value is None:
        return figure.reason
    beside = ", ".join(f"{value} {name}" for name, value in list(figure.parts.items())[:2])
    return beside or ("" if figure.definition.snapshot else "nothing before") or None


def explained(figure: Figure) -> str:
    """Formula, target, sample, certainty, exclusions and version, for the help of a card."""
    d = figure.definition
    parts = [f"**{d.name}**: {d.formula}.", f"Left out: {d.outside}."]
    if d.target is not None and d.unit == "%":
        parts.append(f"Target {percent(d.target, 0)}.")
    if figure.numerator is not None:
        parts.append(f"{figure.numerator:,} of {figure.n:,}.")
    if figure.interval is not None:
        low, high = figure.interval
        parts.append(f"95 % certain between {percent(low)} and {percent(high)} (Wilson).")
    if figure.outside:
        left = ", ".join(f"{n:,} {word.replace('_', ' ')}" for word, n in figure.outside.items())
        parts.append(f"Beside: {left}.")
    if figure.parts:
        parts.append("; ".join(f"{name} {value}" for name, value in figure.parts.items()) + ".")
    if figure.reason:
        parts.append(f"{figure.reason[0].upper()}{figure.reason[1:]}.")
    if figure.change is not None:
        parts.append("The small figure is the difference to the period before.")
    if "weighed" in figure.parts:
        parts.append("Weighed: each value times how sure its lateness is.")
    parts.append("Now." if d.snapshot else "What fell due in the period.")
    parts.append(f"Definition {d.version}.")
    return "  \n".join(parts)
