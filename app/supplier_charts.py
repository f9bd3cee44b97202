"""Pictures of one supplier and of fulfilment: rows in, plotly figures out, as in app/charts.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from app.charts import ACCENT, MUTED, SEVERITY_COLOUR, blank, whole_numbers
from app.parts.words import span
from db.reads.answering import Answering
from db.reads.figures import Told
from db.reads.supplier_page import STAGES, Answers, OpenAge, Step
from tower.kpi_definition import Definition
from tower.scorecards import Difference

BAD = SEVERITY_COLOUR["critical"]
WARM = SEVERITY_COLOUR["medium"]
WHOSE: Mapping[str, str] = {
    "ours": "our clock",
    "gateway": "gateway's clock",
    "partner": "supplier's clock",
    "erp": "ERP's clock",
}
_WHOSE_COLOUR = {"ours": "#2563EB", "gateway": MUTED, "partner": ACCENT, "erp": "#7C3AED"}
_GOOD_BAND = "rgba(15, 148, 136, 0.10)"
_STAYS: dict[str, Any] = {
    "selected": {"marker": {"opacity": 1}},
    "unselected": {"marker": {"opacity": 1}},
}
"""A click leads away; it must not dim the rest meanwhile."""


def funnel(steps: Sequence[Step]) -> go.Figure:
    """How many orders reached each rung; colour and word say whose clock ran before it."""
    figure = blank(60 + 42 * len(steps))
    names = [step.label for step in steps]
    for whose, words in WHOSE.items():
        mine = [step if step.whose == whose else None for step in steps]
        if not any(mine):
            continue
        figure.add_trace(
            go.Bar(
                y=names,
                x=[None if step is None else step.reached for step in mine],
                orientation="h",
                name=words,
                marker={"color": _WHOSE_COLOUR[whose]},
                text=["" if step is None else step_words(step) for step in mine],
                textposition="auto",
                insidetextanchor="start",
                customdata=[("", "") if step is None else (step.name, took(step)) for step in mine],
                hovertemplate="%{y}: %{x} orders%{customdata[1]}<extra></extra>",
                **_STAYS,
            )
        )
    figure.update_layout(
        barmode="overlay",
        bargap=0.3,
        yaxis={"autorange": "reversed", "title": None, "ticksuffix": "  "},
        xaxis=whole_numbers(max((step.reached for step in steps), default=0)),
        legend={"y": 1.02, "yanchor": "bottom"},
        margin={"t": 30},
    )
    return figure


def step_words(step: Step) -> str:
    """ "35 of 35, half within 8 min"."""
    words = f"{step.reached:,} of {step.of:,}"
    return words if step.p50_s is None else f"{words} · half within {_span(step.p50_s)}"


def took(step: Step) -> str:
    """How long a rung took, as the end of a sentence."""
    if step.p50_s is None or step.p90_s is None:
        return ""
    return (
        f"; half within {_span(step.p50_s)}, nine of ten within {_span(step.p90_s)} of the rung "
        "before"
    )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else span(seconds)


def answer_times(found: Answers) -> go.Figure:
    """Distribution of answer times; the line is the usual time that is allowed.

    The bins widen; the line stands within its bin in proportion to its hours.
    """
    figure = blank(280)
    shown = found.bins
    names = [b.name for b in shown]
    for label, values, colour in (
        ("in time", [b.in_time for b in shown], ACCENT),
        ("late or missing", [b.late for b in shown], BAD),
    ):
        figure.add_trace(
            go.Bar(
                x=list(range(len(shown))),
                y=values,
                name=label,
                marker={"color": colour},
                customdata=names,
                hovertemplate="%{customdata}: %{y} " + label + "<extra></extra>",
                **_STAYS,
            )
        )
    figure.update_layout(
        barmode="stack",
        xaxis={
            "tickvals": list(range(len(shown))),
            "ticktext": names,
            "title": None,
            "range": [-0.6, len(shown) - 0.4],
        },
        yaxis=whole_numbers(max((b.in_time + b.late for b in shown), default=0), "orders"),
        legend={"y": -0.3},
        margin={"t": 24},
    )
    if found.allowed_h is not None:
        at = _place(found, found.allowed_h)
        low, high = (
            _place(found, hours if hours is not None else found.allowed_h)
            for hours in (found.allowed_low_h, found.allowed_high_h)
        )
        if high > low:
            figure.add_vrect(
                x0=low, x1=high, fillcolor=WARM, opacity=0.18, line_width=0, layer="below"
            )
        figure.add_vline(
            x=at,
            line={"color": WARM, "width": 2, "dash": "dash"},
            annotation={
                "text": f"SLA, usually {_hours(found.allowed_h)}",
                "yanchor": "bottom",
                "font": {"size": 11},
            },
        )
    return figure


def _hours(hours: float) -> str:
    return span(hours * 3600)


def _place(found: Answers, hours: float) -> float:
    """Where an hour lies on the axis of bins, bars being centred on whole numbers."""
    for n, b in enumerate(found.bins):
        if b.low is None:
            continue
        if b.high is None or hours < b.high:
            width = (b.high - b.low) if b.high is not None else b.low
            return n - 0.5 + min(1.0, max(0.0, (hours - b.low) / width))
    return float(len(found.bins) - 1)


_STAGE_COLOUR = dict(zip(STAGES, (SEVERITY_COLOUR["high"], ACCENT, "#2563EB"), strict=True))


def open_orders(ages: Sequence[OpenAge]) -> go.Figure:
    """Open purchase orders by age since release and by how far they are."""
    figure = blank(270)
    bands = list(dict.fromkeys(a.band for a in ages))
    most = max((sum(a.orders for a in ages if a.band == band) for band in bands), default=0)
    for stage in STAGES:
        counts = {a.band: a.orders for a in ages if a.stage == stage}
        if not counts:
            continue
        figure.add_trace(
            go.Bar(
                x=bands,
                y=[counts.get(band, 0) for band in bands],
                name=stage,
                marker={"color": _STAGE_COLOUR[stage]},
                customdata=[stage] * len(bands),
                hovertemplate="%{x}: %{y} " + stage + "<extra></extra>",
                **_STAYS,
            )
        )
    figure.update_layout(
        barmode="stack",
        xaxis={"title": None, "type": "category"},
        yaxis=whole_numbers(most, "orders"),
        legend={"y": 1.02, "yanchor": "bottom"},
        margin={"t": 30},
    )
    return figure


def course(of: Definition, points: Sequence[Told], height: int = 190) -> go.Figure:
    """A figure week by week with its interval, and the band in which its target is met.

    A week with too few subjects is a gap. ``customdata`` is the first day of the week.
    """
    figure = blank(height)
    at = [told.key for told in points]
    values = [None if t.figure.value is None else float(t.figure.value) for t in points]
    bounds = [t.figure.interval for t in points]
    if any(bounds):
        shown = [(x, b) for x, b in zip(at, bounds, strict=True) if b is not None]
        figure.add_trace(
            go.Scatter(
                x=[x for x, _ in shown] + [x for x, _ in reversed(shown)],
                y=[b[1] for _, b in shown] + [b[0] for _, b in reversed(shown)],
                fill="toself",
                fillcolor="rgba(130,145,160,0.18)",
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                mode="lines",
            )
        )
    highest = _beside(points)
    if any(v is not None for v in highest):
        figure.add_trace(
            go.Scatter(
                x=at,
                y=highest,
                name="p90",
                mode="lines",
                line={"color": MUTED, "width": 1.2, "dash": "dot"},
                hovertemplate="nine of ten within %{y:.1f} " + of.unit + "<extra></extra>",
            )
        )
    share = of.unit == "%"
    missed = [_missed(of, v) for v in values]
    figure.add_trace(
        go.Scatter(
            x=at,
            y=values,
            name=of.short,
            mode="lines+markers",
            line={"color": ACCENT, "width": 2},
            marker={
                "size": 9,
                "color": [BAD if m else ACCENT for m in missed],
                "symbol": ["triangle-down" if m else "circle" for m in missed],
            },
            customdata=[(told.key, told.figure.n) for told in points],
            hovertemplate=("%{y:.1%}" if share else "%{y:.1f} " + of.unit)
            + " of %{customdata[1]}, week of %{x|%d %b}<extra></extra>",
            connectgaps=False,
            **_STAYS,
        )
    )
    target = of.target
    if target is not None and (share or of.better == "down"):
        low, high = (target, 1.0) if of.better == "up" else (0.0, target)
        figure.add_hrect(y0=low, y1=high, fillcolor=_GOOD_BAND, line_width=0, layer="below")
        figure.add_hline(y=target, line={"color": MUTED, "width": 1, "dash": "dash"})
    yaxis: dict[str, Any] = {"title": None, "nticks": 4}
    if share:
        known = [v for v in values if v is not None]
        floor = min([*known, *(b[0] for b in bounds if b is not None), target or 1.0], default=0.0)
        yaxis |= {"tickformat": ".0%", "range": [max(0.0, floor - 0.08), 1.015]}
    else:
        yaxis |= {"rangemode": "tozero"}
    figure.update_layout(
        showlegend=False,
        margin={"t": 4, "b": 4},
        yaxis=yaxis,
        xaxis={"title": None, "tickformat": "%d %b", "tickvals": at[:: 1 + len(at) // 7]},
    )
    return figure


def _missed(of: Definition, value: float | None) -> bool:
    if value is None or of.target is None:
        return False
    return value < of.target if of.better == "up" else value > of.target


def _beside(points: Sequence[Told]) -> list[float | None]:
    return [t.figure.beside.get("p90") for t in points]


def by_share(
    names: Sequence[str],
    keys: Sequence[str],
    values: Sequence[float | None],
    counts: Sequence[int],
    of: Definition,
    row_px: int = 26,
) -> go.Figure:
    """One bar per supplier, buyer, warehouse or category; missed targets are red.

    ``customdata`` is (key, subjects).
    """
    figure = blank(40 + row_px * max(1, len(names)))
    share = of.unit == "%"
    figure.add_trace(
        go.Bar(
            y=list(names),
            x=list(values),
            orientation="h",
            marker={"color": [BAD if _missed(of, v) else ACCENT for v in values]},
            text=[_words(of, v) for v in values],
            textposition="auto",
            customdata=list(zip(keys, counts, strict=True)),
            hovertemplate="%{y}: "
            + ("%{x:.1%}" if share else "%{x:,.1f} " + of.unit)
            + " of %{customdata[1]}<extra></extra>",
            **_STAYS,
        )
    )
    xaxis: dict[str, Any] = {"title": None, "rangemode": "tozero", "side": "top", "nticks": 5}
    if share:
        xaxis |= {"tickformat": ".0%", "range": [0, 1.02]}
        if of.target is not None:
            figure.add_vline(x=of.target, line={"color": MUTED, "width": 1, "dash": "dash"})
    figure.update_layout(
        showlegend=False,
        xaxis=xaxis,
        yaxis={"autorange": "reversed", "title": None, "ticksuffix": "  ", "type": "category"},
    )
    return figure


def _words(of: Definition, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f} %" if of.unit == "%" else f"{value:,.1f}"


def comparison(differences: Sequence[Difference], names: tuple[str, str]) -> go.Figure:
    """Two bars per figure, the targets as marks; the score as a share of 100."""
    figure = blank(80 + 46 * len(differences))
    labels = [d.name for d in differences]
    sides = ((names[0], [d.one for d in differences], ACCENT),
             (names[1], [d.other for d in differences], MUTED))  # fmt: skip
    for name, values, colour in sides:
        shares = [
            None if v is None else v / 100 if d.id == "score" else v
            for d, v in zip(differences, values, strict=True)
        ]
        figure.add_trace(
            go.Bar(
                y=labels,
                x=shares,
                orientation="h",
                name=name,
                marker={"color": colour},
                text=[_side(d, v) for d, v in zip(differences, values, strict=True)],
                textposition="auto",
                textangle=0,
                hovertemplate="%{y}: %{text}<extra>" + _bare(name) + "</extra>",
            )
        )
    aimed = [(d.name, d.target) for d in differences if d.target is not None]
    figure.add_trace(
        go.Scatter(
            y=[name for name, _ in aimed],
            x=[target for _, target in aimed],
            mode="markers",
            name="target",
            marker={"symbol": "line-ns-open", "size": 26, "color": WARM, "line": {"width": 2}},
            hovertemplate="%{y}: target %{x:.0%}<extra></extra>",
        )
    )
    figure.update_layout(
        barmode="group",
        bargap=0.3,
        xaxis={"range": [0, 1.02], "tickformat": ".0%", "title": None, "side": "top"},
        yaxis={"autorange": "reversed", "title": None, "ticksuffix": "  "},
    )
    return figure


def _side(difference: Difference, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if difference.id == "score" else f"{100 * value:.1f} %"


def _bare(name: str) -> str:
    """A name of others within a template of plotly, which would read marks of its own in it."""
    return name.replace("<", " ").replace("%{", " ")


def survival(found: Answering) -> go.Figure:
    """Share of orders answered by open hours since transmission; the line is the usual budget."""
    figure = blank(280)
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in found.points],
            y=[y for _, y in found.points],
            mode="lines",
            line={"color": ACCENT, "width": 2, "shape": "hv"},
            fill="tozeroy",
            fillcolor="rgba(15, 148, 136, 0.12)",
            hovertemplate="%{y:.0%} answered within %{x:.1f} open hours<extra></extra>",
        )
    )
    if found.budget is not None:
        figure.add_vline(
            x=found.budget,
            line={"color": WARM, "width": 2, "dash": "dash"},
            annotation={"text": "SLA, usual time", "yanchor": "bottom", "font": {"size": 11}},
        )
    figure.update_layout(
        showlegend=False,
        margin={"t": 22},
        yaxis={"tickformat": ".0%", "range": [0, 1.02], "title": None},
        xaxis={"title": "open hours since transmission", "rangemode": "tozero"},
    )
    return figure
