"""Pictures: rows in, plotly figures out. No Streamlit here, nothing is read or kept.

A figure carries no colours of light or dark: Streamlit's theme gives it those of the page. What has
a meaning (a severity, a missed target) has its own colour, readable on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from app.parts.words import SEVERITIES, severity
from db.reads.kpis import WeekShare
from db.reads.overview import AgeBand, DayCount

ACCENT = "#0F9488"
MUTED = "#8A97A6"
SEVERITY_COLOUR = {
    "critical": "#B42318",
    "high": "#E4572E",
    "medium": "#E3A008",
    "low": "#7A8CA3",
}
CONFIG: dict[str, Any] = {"displayModeBar": False, "responsive": True}
"""What ``st.plotly_chart`` hands to plotly for every picture."""


def blank(height: int) -> go.Figure:
    """A figure without anything on it, as all pictures begin."""
    return go.Figure(
        layout=go.Layout(
            height=height,
            margin={"l": 8, "r": 8, "t": 8, "b": 8},
            hoverlabel={"font": {"family": "Inter"}},
            legend={"orientation": "h", "y": -0.12, "yanchor": "top", "x": 0},
            bargap=0.25,
        )
    )


def days_of_hop(
    days: Sequence[date], events: Mapping[date, int], failed: Mapping[date, int]
) -> go.Figure:
    """Events per day, those that failed on top."""
    figure = blank(240)
    well = [events[day] - failed.get(day, 0) for day in days]
    figure.add_trace(go.Bar(x=list(days), y=well, name="well", marker={"color": ACCENT}))
    figure.add_trace(
        go.Bar(
            x=list(days),
            y=[failed.get(day, 0) for day in days],
            name="failed",
            marker={"color": SEVERITY_COLOUR["critical"]},
        )
    )
    figure.update_layout(barmode="stack", yaxis={"title": "events", "rangemode": "tozero"})
    return figure


def queue_depth(points: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> go.Figure:
    """Depth of one queue over time, and what comes in and goes out per second.

    A sample without a value leaves a gap: what the broker did not say is not zero. Rates that are
    nothing all the time are left out.
    """
    at = [p["at"].astimezone(zone) for p in points]
    figure = blank(300)
    figure.add_trace(
        go.Scatter(
            x=at,
            y=[p["total"] for p in points],
            name="messages",
            mode="lines",
            fill="tozeroy",
            fillcolor="rgba(15, 148, 136, 0.14)",
            line={"color": ACCENT, "width": 2},
        )
    )
    rates = {"in_rate": ("in per s", "#2563EB"), "out_rate": ("out per s", MUTED)}
    shown = {name for name in rates if any(p[name] for p in points)}
    for name in sorted(shown):
        label, colour = rates[name]
        figure.add_trace(
            go.Scatter(
                x=at,
                y=[p[name] for p in points],
                name=label,
                mode="lines",
                line={"color": colour, "width": 1.2},
                yaxis="y2",
            )
        )
    figure.update_layout(
        yaxis={"title": "messages", "rangemode": "tozero"},
        legend={"y": 1.02, "yanchor": "bottom"},
        margin={"t": 32},
    )
    if shown:
        figure.update_layout(
            yaxis2={
                "title": "per s",
                "overlaying": "y",
                "side": "right",
                "rangemode": "tozero",
                "showgrid": False,
            }
        )
    return figure


def case_flow(days: Sequence[DayCount]) -> go.Figure:
    """Exceptions opened (up) and closed (down) per day."""
    figure = blank(230)
    at = [d.day for d in days]
    figure.add_trace(
        go.Bar(
            x=at,
            y=[d.opened for d in days],
            name="opened",
            marker={"color": SEVERITY_COLOUR["high"]},
            hovertemplate="%{x|%a %d %b}: %{y} opened<extra></extra>",
        )
    )
    figure.add_trace(
        go.Bar(
            x=at,
            y=[-d.closed for d in days],
            customdata=[d.closed for d in days],
            name="closed",
            marker={"color": ACCENT},
            hovertemplate="%{x|%a %d %b}: %{customdata} closed<extra></extra>",
        )
    )
    most = max((max(d.opened, d.closed) for d in days), default=0) or 1
    step = max(1, round(most / 2))
    ticks = [n * step for n in range(-2, 3) if abs(n * step) <= most * 1.2]
    figure.update_layout(
        barmode="relative",
        yaxis={"tickvals": ticks, "ticktext": [f"{abs(t):,}" for t in ticks], "title": None},
        xaxis={"title": None, "tickformat": "%d %b", "nticks": 6},
    )
    return figure


def whole_numbers(most: int, title: str | None = None) -> dict[str, Any]:
    """An axis of counts up to ``most`` from zero: no half cases, hence no label twice."""
    axis: dict[str, Any] = {"title": title, "rangemode": "tozero", "tickformat": ",d"}
    return axis | ({"tick0": 0, "dtick": 1} if most <= 5 else {"nticks": 5})


def open_ages(bands: Sequence[AgeBand]) -> go.Figure:
    """Open exceptions by age, split by severity; the sign before the name is not colour alone."""
    figure = blank(250)
    names = list(dict.fromkeys(b.band for b in bands))
    most = max((sum(b.cases for b in bands if b.band == name) for name in names), default=0)
    for word in SEVERITIES:
        counts = {b.band: b.cases for b in bands if b.severity == word}
        if not any(counts.values()):
            continue
        figure.add_trace(
            go.Bar(
                y=names,
                x=[counts.get(name, 0) for name in names],
                orientation="h",
                name=severity(word),
                marker={"color": SEVERITY_COLOUR[word]},
                hovertemplate="%{y}: %{x} " + word + "<extra></extra>",
            )
        )
    figure.update_layout(
        barmode="stack",
        yaxis={"autorange": "reversed", "title": None, "ticksuffix": "  "},
        xaxis=whole_numbers(most),
    )
    return figure


HEAT = (
    (0.0, "#B42318"),
    (0.7, "#E4572E"),
    (0.85, "#E3A008"),
    (0.95, "#58B5A6"),
    (1.0, "#0F766E"),
)
"""Shares from bad to good; amber ends and green begins at the 95 % target."""

ROW_PX = 26


def ack_heat(cells: Sequence[WeekShare]) -> go.Figure:
    """Supplier x week of on-time acknowledgement, one square a cell, the worst supplier on top.

    Squares, not a heat map: only points tell which of them was clicked. Too few orders to judge
    are small and grey. ``customdata`` is (supplier key, text of the cell).
    """
    suppliers = list(dict.fromkeys(c.supplier_name for c in cells))
    weeks = sorted({c.week for c in cells})
    figure = blank(54 + ROW_PX * len(suppliers))
    known = [c for c in cells if c.share is not None]
    few = [c for c in cells if c.share is None]
    if few:
        figure.add_trace(
            go.Scatter(
                x=[_week(c.week) for c in few],
                y=[c.supplier_name for c in few],
                mode="markers",
                marker={"symbol": "square", "size": 8, "color": MUTED, "opacity": 0.45},
                customdata=[(c.supplier, f"no data ({c.n} of 5)") for c in few],
                hovertemplate=_HEAT_HOVER,
                **_STAYS,
            )
        )
    figure.add_trace(
        go.Scatter(
            x=[_week(c.week) for c in known],
            y=[c.supplier_name for c in known],
            mode="markers",
            marker={
                "symbol": "square",
                "size": ROW_PX - 4,
                "color": [c.share for c in known],
                "colorscale": HEAT,
                "cmin": 0.0,
                "cmax": 1.0,
                "line": {"width": 0},
                "colorbar": {
                    "thickness": 8,
                    "len": 0.9,
                    "tickformat": ".0%",
                    "tickvals": [0, 0.5, 0.7, 0.85, 0.95],
                    "outlinewidth": 0,
                },
            },
            customdata=[
                (c.supplier, f"{100 * (c.share or 0):.0f} % ({c.hits} of {c.n})") for c in known
            ],
            hovertemplate=_HEAT_HOVER,
            **_STAYS,
        )
    )
    figure.update_layout(
        showlegend=False,
        dragmode=False,
        xaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [_week(w) for w in weeks],
            "range": [-0.6, len(weeks) - 0.4],
            "side": "top",
            "showgrid": False,
            "title": None,
        },
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": suppliers,
            "range": [len(suppliers) - 0.4, -0.6],
            "showgrid": False,
            "title": None,
            "ticksuffix": "  ",
        },
    )
    return figure


_HEAT_HOVER = "%{y}, week of %{x}: %{customdata[1]}<extra></extra>"
_STAYS: dict[str, Any] = {
    "selected": {"marker": {"opacity": 1}},
    "unselected": {"marker": {"opacity": 1}},
}
"""A click leads away; it must not dim the other squares meanwhile."""


def _week(monday: date) -> str:
    return f"{monday:%d %b}"
