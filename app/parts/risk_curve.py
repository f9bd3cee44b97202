"""Supply and demand of one item in one warehouse: the curve, and the documents it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import streamlit as st

from app import charts
from app.links import TraceLink
from app.parts.empty import nothing_here
from app.parts.tables import table
from app.parts.words import day_clock, many, plain
from db.reads.item_curve import Incoming, ItemCurve, Wanted
from tower.impact import CAUSES

SHORT = "rgba(228, 87, 46, 0.20)"


def cause_words(word: str) -> str:
    """What is to blame, as people say it."""
    meaning = CAUSES.get(word, word)
    return f"{meaning[:1].upper()}{meaning[1:]}"


def figure(found: ItemCurve) -> go.Figure:
    """Demand and supply summed up by day; supply as it was planned and as it now looks. Where
    demand lies above the supply that is left, orders wait."""
    points = found.points
    # One more day, so that the last step can be seen.
    days = [p.day for p in points] + [points[-1].day + timedelta(days=max(2, len(points) // 4))]

    def steps(values: Sequence[Decimal]) -> list[float]:
        return [float(v) for v in [*values, values[-1]]]

    shape = {"shape": "hv"}
    plot = go.Figure()
    unit = found.uom or "pieces"
    hover = "%{x|%a %d %b}: %{y:,.0f} " + unit
    after, wanted = steps([p.after for p in points]), steps([p.wanted for p in points])
    plot.add_trace(
        go.Scatter(
            x=days, y=after, name="Supply as it now looks", mode="lines",
            line={**shape, "color": charts.ACCENT, "width": 2.4},
            hovertemplate=hover + " there<extra></extra>",
        )
    )  # fmt: skip
    plot.add_trace(
        go.Scatter(
            x=days, y=[max(a, w) for a, w in zip(after, wanted, strict=True)], name="Short",
            mode="lines", line={**shape, "width": 0}, fill="tonexty", fillcolor=SHORT,
            hoverinfo="skip",
        )
    )  # fmt: skip
    plot.add_trace(
        go.Scatter(
            x=days, y=steps([p.before for p in points]), name="Supply as planned", mode="lines",
            line={**shape, "color": charts.MUTED, "width": 1.8, "dash": "dot"},
            hovertemplate=hover + " planned<extra></extra>",
        )
    )  # fmt: skip
    plot.add_trace(
        go.Scatter(
            x=days, y=wanted, name="Wanted by customers", mode="lines",
            line={**shape, "color": charts.SEVERITY_COLOUR["high"], "width": 2.2},
            hovertemplate=hover + " wanted<extra></extra>",
        )
    )  # fmt: skip
    plot.update_layout(
        height=320,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        hovermode="x unified",
        hoverlabel={"font": {"family": "Inter"}},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        yaxis={"title": unit, "rangemode": "tozero", "tickformat": ",d", "nticks": 6},
        xaxis={"title": None, "tickformat": "%d %b", "nticks": 8},
    )
    return plot


def choice(named: Mapping[str, str], chosen: str) -> None:
    """The box that says which item and warehouse are drawn; ``named``: "item<tab>warehouse" ->
    words. A choice goes into the address."""
    options = dict(named)
    options.setdefault(chosen, " in ".join(chosen.split("\t")))
    st.session_state["curve item"] = chosen
    st.selectbox(
        "Item and warehouse", list(options), format_func=lambda key: options.get(key, key),
        key="curve item", label_visibility="collapsed", width=520, on_change=_chosen,
    )  # fmt: skip


def _chosen() -> None:
    item, _, site = st.session_state["curve item"].partition("\t")
    st.query_params["item"] = item
    st.query_params["site"] = site


def curve(found: ItemCurve | None, item: str, site: str, zone: ZoneInfo) -> None:
    """The curve with what it says in words, and its documents below it."""
    if found is None:
        nothing_here(
            f"Nothing is known of item {item} in warehouse {site}.",
            next_step="A purchase line, a customer order line or a stock report brings it here.",
        )
        return
    st.markdown(verdict(found))
    st.caption(_stock(found, zone))
    words = ("Curve", "Day by day", "Purchase lines", "Customer order lines")
    chosen = st.segmented_control(
        "Show", words, default=words[0], required=True, key="curve view",
        label_visibility="collapsed",
    )  # fmt: skip
    if chosen == words[1]:
        _days(found)
    elif chosen == words[2]:
        _incoming(found.incoming)
    elif chosen == words[3]:
        _wanted(found.wanted)
    else:
        st.plotly_chart(
            figure(found), config=charts.CONFIG, key="item curve",
            alt=f"Supply and demand of {item} in {site}, by day",
        )  # fmt: skip


def verdict(found: ItemCurve) -> str:
    """One sentence: from when on how much is short, and how it would have been."""
    unit = found.uom or "pieces"
    short = [p for p in found.points if p.wanted > p.after]
    plan = [p for p in found.points if p.wanted > p.before]
    if not short:
        return "**Supply covers demand** on every day that is known."
    first, worst = short[0], max(short, key=lambda p: p.wanted - p.after)
    again = next((p for p in found.points if p.day > short[-1].day), None)
    until = f", until {again.day:%a %d %b}" if again is not None else ", with no end in sight"
    planned = (
        "as planned nothing would have been short"
        if not plan
        else f"as planned {max(p.wanted - p.before for p in plan):,.0f} would have been"
    )
    return (
        f"**Short by up to {worst.wanted - worst.after:,.0f} {plain(unit)}** from "
        f"{first.day:%a %d %b} on{until}; {planned}."
    )


def _stock(found: ItemCurve, zone: ZoneInfo) -> str:
    if found.on_hand is None or found.as_of is None:
        return (
            "No warehouse reported its stock: the curve begins with nothing on hand, and order "
            "lines without a peg are not judged."
        )
    told = f"{found.on_hand:,.0f} on hand, reported {day_clock(found.as_of, zone)}"
    if found.silent:
        told += "; that feed is silent now"
    if found.problem:
        told += f"; not netted, as {plain(found.problem)}"
    return told + "."


def _days(found: ItemCurve) -> None:
    points = found.points
    table(
        {
            "By the end of": [p.day for p in points],
            "Wanted": [float(p.wanted) for p in points],
            "Supply as planned": [float(p.before) for p in points],
            "Supply as it now looks": [float(p.after) for p in points],
            "Short": [float(max(p.wanted - p.after, Decimal(0))) for p in points],
        },
        key="curve days",
        alt="Supply and demand by day",
        config={
            "By the end of": st.column_config.DateColumn(format="ddd DD MMM YYYY"),
            **{
                name: st.column_config.NumberColumn(format="localized")
                for name in ("Wanted", "Supply as planned", "Supply as it now looks", "Short")
            },
        },
        height=320,
    )


def _incoming(rows: Sequence[Incoming]) -> None:
    if not rows:
        nothing_here("Nothing is on order for this item and warehouse.")
        return
    rows = sorted(rows, key=lambda r: (not r.cause, str(r.planned), r.po, r.line))
    table(
        {
            "PO line": [f"{r.po} / {r.line}" for r in rows],
            "Supplier": [r.supplier_name for r in rows],
            "Planned": [r.planned for r in rows],
            "Quantity planned": [float(r.planned_qty) for r in rows],
            "Now": [r.projected for r in rows],
            "Quantity now": [float(r.projected_qty) for r in rows],
            "Because": [cause_words(r.cause) if r.cause else "Runs to plan" for r in rows],
        },
        key="curve incoming",
        alt="Purchase lines that bring this item",
        opens="PO line",
        links=[TraceLink(ref=f"po:{r.scope}:{r.po}") for r in rows],
        config={
            "Planned": st.column_config.DateColumn(format="DD MMM YYYY"),
            "Now": st.column_config.DateColumn(
                format="DD MMM YYYY", help="a dash: nothing will come, or nobody says when"
            ),
            "Quantity planned": st.column_config.NumberColumn(format="localized"),
            "Quantity now": st.column_config.NumberColumn(format="localized"),
        },
        height=320,
    )


def _wanted(rows: Sequence[Wanted]) -> None:
    if not rows:
        nothing_here("No customer waits for this item from this warehouse.")
        return
    table(
        {
            "Order": [f"{r.order} / {r.line}" for r in rows],
            "Customer": [r.customer_name for r in rows],
            "Promise": [r.promise for r in rows],
            "Open": [float(r.qty) for r in rows],
            "Pegged": [float(r.pegged) for r in rows],
            "Uncovered by netting": [float(r.uncovered) for r in rows],
        },
        key="curve wanted",
        alt=f"{many(len(rows), 'customer order line')} that wait for this item",
        opens="Order",
        links=[TraceLink(ref=f"order:{r.scope}:{r.order}") for r in rows],
        config={
            "Promise": st.column_config.DateColumn(format="DD MMM YYYY"),
            **{
                name: st.column_config.NumberColumn(format="localized")
                for name in ("Open", "Pegged", "Uncovered by netting")
            },
        },
        height=320,
    )
