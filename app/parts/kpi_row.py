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

HALF = 4  # most cards in it
HALF_PX = 600  # of four cards; two halves side by side where there is room, else below each other
LEAST_POINTS = 4  # of a sparkline: fewer are specks, not a course
LINE_PX = 58  # what a sparkline adds to a card, without the gap above it
CARD_PX = 130  # below, a card has no room for its figure


def kpi_row(figures: Sequence[Figure], opens: Mapping[str, tuple[str, Link]]) -> None:
    """One card per figure. ``opens``: id of the figure -> words and address of what it counted."""
    halves = st.grid(2, min_column_width=HALF_PX)
    # A grid in a grid does not take the height of its row: a half without lines gets their room.
    lines = any(_course(figure) for figure in figures)
    half = min(HALF, -(-len(figures) // 2)) or HALF
    for start in range(0, len(figures), half):
        with (
            halves.cell(),
            st.container(height="stretch"),
            st.grid(half, min_column_width=CARD_PX, height="stretch"),
        ):
            for figure in figures[start : start + half]:
                with st.container(border=True, height="stretch", gap="xsmall"):
                    show_card(figure)
                    if lines and not _course(figure):
                        st.space(LINE_PX)
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


UNCHANGED = "unchanged"


def show_card(figure: Figure) -> None:
    """Name, value, difference and course of a figure, with all that it rests on as help."""
    definition = figure.definition
    colour: Colour = "red" if figure.missed else "gray"
    change = _change(figure)
    pill = change if change or not figure.missed else f"target {target_words(figure)}"
    st.metric(
        definition.short,
        value_words(figure),
        pill,
        delta_color=colour,
        delta_description=None if pill else _beside(figure),
        delta_arrow="auto" if change and change != UNCHANGED else "off",
        help=explained(figure),
        chart_data=_course(figure),
        chart_type="area",
    )


def _course(figure: Figure) -> list[float] | None:
    """The points of the sparkline, gaps where there is too little; None if there is no line."""
    if figure.value is None or sum(v is not None for v in figure.series) < LEAST_POINTS:
        return None
    return [nan if v is None else v for v in figure.series]


def value_words(figure: Figure) -> str:
    """The figure as its card says it; a dash where there is none."""
    if figure.value is None:
        return MISSING
    return f"{'> ' if figure.over else ''}{unit_words(figure, float(figure.value))}"


def unit_words(figure: Figure, value: float) -> str:
    """A number in the unit of a figure."""
    unit = figure.definition.unit
    if unit == "%":
        return percent(value)
    if unit == "money":
        return money(value, figure.currency)
    if unit in ("h", "s", "min"):
        return _time(value * {"h": 3600, "s": 1, "min": 60}[unit])
    if unit == "days":
        return f"{value:.1f}".removesuffix(".0") + " d"
    if unit == "points":
        return f"{value:.0f}"
    if unit == "unit-days":
        return f"{count(round(value))} {figure.currency or ''}".strip()
    return count(round(value))


def _time(seconds: float) -> str:
    """ "14.2 h", from two days on "3.1 d"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    number, unit = (seconds / 86400, "d") if seconds >= 48 * 3600 else (seconds / 3600, "h")
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"


def target_words(figure: Figure) -> str:
    """What is aimed at, in the unit of the figure."""
    of = figure.definition
    if of.target is None:
        return MISSING
    words = percent(of.target, 0) if of.unit == "%" else unit_words(figure, of.target)
    return words if of.better == "up" or not of.target else f"at most {words}"


def _change(figure: Figure) -> str | None:
    change = figure.change
    if change is None:
        return None
    if figure.definition.unit == "%":
        points = 100 * change
        return f"{points:+.1f} pp" if abs(points) >= 0.05 else UNCHANGED
    if figure.definition.unit in ("h", "days", "points"):
        unit = {"days": " d", "h": " h"}.get(figure.definition.unit, "")
        return f"{change:+.1f}{unit}" if abs(change) >= 0.05 else UNCHANGED
    return f"{change:+,.0f}" if abs(change) >= 0.5 else UNCHANGED


def _beside(figure: Figure) -> str | None:
    """What stands where the difference would be: the reason of "no data", or a second figure."""
    if figure.value is None:
        return figure.reason
    if figure.definition.unit == "points":
        return "of 100"
    beside = ", ".join(f"{value} {name}" for name, value in list(figure.parts.items())[:2])
    return beside or ("" if figure.definition.snapshot else "nothing before") or None


def beside_words(figure: Figure) -> str:
    """The further statistics of a figure: "p90 31 h"."""
    told = []
    for name, value in figure.beside.items():
        if value is None:
            continue
        words = f"{value:.2f}" if name.startswith("coeff") else unit_words(figure, value)
        told.append(f"{name.replace('_', ' ')} {words}")
    return ", ".join(told)


def explained(figure: Figure) -> str:
    """Formula, target, sample, certainty, exclusions and version, for the help of a card."""
    d = figure.definition
    parts = [f"**{d.name}**: {d.formula}.", f"Left out: {d.outside}."]
    if d.target is not None:
        parts.append(f"Target {target_words(figure)}.")
    if figure.numerator is not None:
        parts.append(f"{figure.numerator:,} of {figure.n:,}.")
    if figure.interval is not None:
        low, high = figure.interval
        parts.append(f"95 % certain between {percent(low)} and {percent(high)} (Wilson).")
    if figure.beside:
        parts.append(beside_words(figure) + ".")
    if figure.over:
        parts.append("At least so much: the subject in question still goes on.")
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
    if figure.coverage is not None:
        parts.append(f"Coverage {percent(figure.coverage)}: so much could be judged.")
    if figure.restated:
        parts.append(f"{figure.restated:,} became known after the period: the past has moved.")
    if figure.switches:
        parts.append(
            "Counted by "
            + ", ".join(f"{k} {v.replace('_', ' ')}" for k, v in figure.switches.items())
            + "."
        )
    stamp = "" if figure.as_of is None else f", as of {figure.as_of:%d %b %H:%M} UTC"
    parts.append(f"Definition {d.version}{stamp}.")
    return "  \n".join(parts)
