"""One key figure: what it means, how it moves, who it is about; and the catalogue of all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from app import data, supplier_charts
from app.links import FiguresLink, Link
from app.parts.empty import nothing_here
from app.parts.filters import choose, filters_of, segments
from app.parts.kpi_row import explained, show_card, target_words, value_words
from app.parts.pictures import picture
from app.parts.tables import table
from app.parts.words import MISSING, percent
from app.session import Viewer
from db.reads.figures import Told
from db.reads.filters import Filter
from tower.kpi_catalogue import DEFINITIONS, told_to
from tower.kpi_definition import Definition
from tower.kpis import Figure

BY: Mapping[str, str] = {
    "week": "by week",
    "month": "by month",
    "supplier": "by supplier",
    "buyer": "by buyer",
    "warehouse": "by warehouse",
    "category": "by category of goods",
    "topic": "by topic",
}
MOST_BARS = 25


def _known(viewer: Viewer) -> list[Definition]:
    """The figures that this viewer is told, in the order of the catalogue."""
    known = told_to(viewer.scope)
    return [one for one in DEFINITIONS.values() if one.id in known]


def chooser(link: FiguresLink, viewer: Viewer) -> None:
    """Every figure of the catalogue by its name."""
    choose("id", "Figure", {d.id: d.name for d in _known(viewer)}, link.id,
           "All figures", 340)  # fmt: skip


def catalogue(link: FiguresLink, viewer: Viewer) -> None:
    """All figures with what they mean; a name opens one."""
    rows = sorted(_known(viewer), key=lambda d: (_audience(d), d.name))
    st.caption("What each figure means. A name opens its value, its course and what it counted.")
    table(
        {
            "Figure": [d.name for d in rows],
            "For": [_audience(d) for d in rows],
            "Formula": [d.formula for d in rows],
            "Target": [target_words(Figure(d, None, 0)) for d in rows],
            "Sample": [d.least for d in rows],
            "Version": [d.version for d in rows],
        },
        key="catalogue",
        alt="Key figures with their formula, target and minimum sample",
        opens="Figure",
        opens_width=230,
        links=[FiguresLink(**{**filters_of(link), "id": d.id}) for d in rows],
        config={
            "Formula": st.column_config.TextColumn(width="large"),
            "Sample": st.column_config.NumberColumn(help="below, there is no figure", width=70),
            "Version": st.column_config.NumberColumn(width=70),
        },
        height=660,
    )


def _audience(of: Definition) -> str:
    return "leaders" if "L" in of.audience else "support"


# --- one figure -----------------------------------------------------------------------------------


def switches(of: Definition, link: FiguresLink) -> data.Switches:
    """The choices of the definition; those that differ from the defaults stand in the address."""
    told = dict(part.split(":", 1) for part in (link.switch or "").split(",") if ":" in part)
    chosen = {
        name: told[name] if told.get(name) in words else words[0]
        for name, words in of.switches.items()
    }
    if not of.switches:
        return ()
    with st.container(horizontal=True, vertical_alignment="center"):
        for name, words in _offered(of, chosen).items():
            st.caption(name, width="content")
            key = f"switch {of.id} {name}"
            if chosen[name] not in words:
                chosen[name] = words[0]
            st.session_state[key] = chosen[name]
            st.segmented_control(
                name,
                words,
                format_func=lambda word: word.replace("_", " "),
                required=True,
                key=key,
                label_visibility="collapsed",
                on_change=_write,
                args=(of, dict(chosen), name, key),
            )
    return tuple(chosen.items())


def _offered(of: Definition, chosen: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Words that fit together: a promised date is of the customers' side, a confirmed one of
    supply."""
    found = dict(of.switches)
    if "side" in found:
        customers = chosen["side"] == "customer"
        found["date"] = tuple(
            word
            for word in found["date"]
            if word == "requested" or ("promised" in word) == customers
        )
        if customers:
            found["date"] = tuple(sorted(found["date"], key=lambda w: w == "requested"))
    return found


def _write(of: Definition, chosen: dict[str, str], name: str, key: str) -> None:
    chosen[name] = st.session_state[key]
    if name == "side":
        chosen["date"] = _offered(of, chosen)["date"][0]
    differs = [f"{n}:{w}" for n, w in chosen.items() if w != of.switches[n][0]]
    st.query_params.pop("after", None)
    if differs:
        st.query_params["switch"] = ",".join(differs)
    else:
        st.query_params.pop("switch", None)


def card(figure: Figure) -> None:
    """The value with its course, and under it everything that the value rests on."""
    show_card(figure)
    st.markdown(explained(figure))


def told_apart(
    of: Definition, link: FiguresLink, viewer: Viewer, narrowed: Filter, chosen: data.Switches
) -> None:
    """The figure by week or month as a line, by parties as bars; a click narrows to them."""
    known = {name: BY[name] for name in (*_courses(of), *of.by) if name in BY}
    if not known:
        nothing_here("This figure is told of the whole house only.")
        return
    first = next(iter(known))
    by = link.by if link.by in known else first
    segments("by", "Told apart", known, by, first)
    told = data.several_by(viewer.scope, narrowed, ((of.id, chosen),), by)[0]
    if not told:
        nothing_here("Nothing fell due in this period.")
        return
    if by in ("week", "month"):
        shown = told
        draw = partial(supplier_charts.course, of, shown, 420)
    else:
        shown = _worst_first(of, told)[:MOST_BARS]
        names = _names(viewer, shown)
        draw = partial(
            supplier_charts.by_share,
            names,
            [one.key for one in shown],
            [None if o.figure.value is None else float(o.figure.value) for o in shown],
            [one.figure.n for one in shown],
            of,
        )
    picture(
        f"{of.name}, {BY[by]}",
        draw,
        {
            by.title(): [one.name for one in told],
            of.short: [
                one.figure.reason if one.figure.value is None else value_words(one.figure)
                for one in told
            ],
            "Sample": [one.figure.n for one in told],
            "95 % interval": [
                MISSING
                if one.figure.interval is None
                else f"{percent(one.figure.interval[0])} to {percent(one.figure.interval[1])}"
                for one in told
            ],
        },
        key=f"figure by {by}",
        alt=f"{of.name} {BY[by]}",
        note=""
        if len(told) == len(shown)
        else f"the {len(shown)} worst of {len(told)}; all of them as a table",
        opens=lambda point: _narrowed(link, by, point),
    )


def _courses(of: Definition) -> tuple[str, ...]:
    return tuple(name for name in ("week", "month") if name in of.dimensions)


def _worst_first(of: Definition, told: tuple[Told, ...]) -> tuple[Told, ...]:
    sign = 1 if of.better == "up" else -1
    return tuple(
        sorted(
            told,
            key=lambda o: (o.figure.value is None, sign * float(o.figure.value or 0), -o.figure.n),
        )
    )


def _names(viewer: Viewer, told: tuple[Told, ...]) -> list[str]:
    offered = data.choices(viewer.scope)
    named = dict(offered.warehouses) | dict(offered.buyers) | dict(offered.categories)
    return [named.get(one.key, one.name) for one in told]


def _narrowed(link: FiguresLink, by: str, point: Mapping[str, Any]) -> Link | None:
    """The subjects of one bar; a point of a course has no filter of its own."""
    data_ = point.get("customdata")
    if by in ("week", "month") or not data_:
        return None
    key = str(data_[0])
    if not key:
        return None
    name = "goods" if by == "category" else by
    return FiguresLink.from_query({**link.to_query(), name: key, "after": ""})
