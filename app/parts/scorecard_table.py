"""The scorecards of all suppliers as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app import data
from app.links import SupplierLink, SuppliersLink
from app.parts import customers_hurt
from app.parts.downloads import downloads
from app.parts.filters import segments
from app.parts.tables import table
from app.parts.words import many, money
from app.session import Viewer
from db.reads.figures import Told
from db.reads.filters import Filter
from db.reads.scorecards import SupplierCard
from tower.scorecards import Component

TREND = 4
"""Periods of the line of scores, this one included."""

SHOWN: Mapping[str, str] = {"table": "Scorecards", "compare": "Compare"}
DATES: Mapping[str, str] = {
    "first_confirmed": "first confirmed",
    "last_confirmed": "last confirmed",
    "requested": "requested",
}
PER: Mapping[str, str] = {"line": "per line", "order": "per order", "value": "by value"}

STANDING_SIGN = {"critical": "◆", "weak": "▲", "steady": "●", "strong": "✓"}
"""A shape for each standing: colour alone is lost on many readers."""

_BESIDE = ("ack_cycle_clock", "ack_cycle_business", "asn_accurate", "fill_line")
"""Figures of the table that are no part of the score; OTIF is asked for by the switches."""


def switches(link: SuppliersLink) -> None:
    """By which date and unit OTIF is counted; the score keeps its own definition."""
    segments("date", "OTIF by", DATES, link.date, "first_confirmed")
    segments("per", "OTIF per", PER, link.per, "line")


def standing_words(card: SupplierCard) -> str:
    """Standing with its shape, or why there is none."""
    word = card.score.standing
    return "no data" if word is None else f"{STANDING_SIGN[word]} {word}"


def otif_switches(link: SuppliersLink) -> data.Switches:
    return (("date", link.date), ("per", link.per))


def scorecard_table(
    cards: Sequence[SupplierCard], link: SuppliersLink, viewer: Viewer, narrowed: Filter
) -> None:
    """One row per supplier, the worst score first; its name opens its page."""
    scored = [c for c in cards if c.score.value is not None]
    counts = {
        word: sum(c.score.standing == word for c in cards)
        for word in ("critical", "weak", "steady", "strong")
    }
    told = ", ".join(f"{STANDING_SIGN[w]} {n} {w}" for w, n in counts.items() if n)
    st.caption(
        f"{many(len(cards), 'supplier')}; {len(scored)} with enough data for a score"
        + (f": {told}." if told else ".")
        + " Standings only advise. A dash is no data: fewer than five subjects."
    )
    columns = _columns(cards, link, viewer, narrowed)
    table(
        customers_hurt.told(columns),
        key="scorecards",
        alt="Scorecards of suppliers, the worst score first",
        opens="Supplier",
        opens_width=168,
        links=[SupplierLink(id=c.supplier, period=link.period) for c in cards],
        config=_CONFIG,
    )
    with st.container(horizontal=True):
        downloads(lambda: customers_hurt.told(_file(cards, columns)), "suppliers")


def _columns(
    cards: Sequence[SupplierCard], link: SuppliersLink, viewer: Viewer, narrowed: Filter
) -> dict[str, list[Any]]:
    asked = (*((kpi, ()) for kpi in _BESIDE), ("otif", otif_switches(link)))
    *columns, of_otif = data.several_by(viewer.scope, narrowed, asked, "supplier")
    beside = {kpi: _by_key(told) for kpi, told in zip(_BESIDE, columns, strict=True)}
    otif = _by_key(of_otif)

    def part(name: str) -> list[float | None]:
        return [_percent(_component(card, name)) for card in cards]

    def figure(kpi: str) -> list[float | None]:
        return [_value(beside[kpi].get(card.supplier)) for card in cards]

    return {
        "Supplier": [card.name for card in cards],
        "Score": [card.score.value for card in cards],
        "Standing": [standing_words(card) for card in cards],
        "Trend": [_course(card) for card in cards],
        "Ack": part("ack_on_time"),
        "Ack h": [_hours(beside["ack_cycle_clock"].get(card.supplier)) for card in cards],
        "Open h": [_hours(beside["ack_cycle_business"].get(card.supplier)) for card in cards],
        "First": part("first_confirm"),
        "Kept": part("commit_reliability"),
        "ASN": part("asn_on_time"),
        "ASN ok": figure("asn_accurate"),
        "OTIF": [_value(otif.get(card.supplier)) for card in cards],
        "Filled": figure("fill_line"),
        "Drift": [card.drift.days for card in cards],
        "Cases": [card.open_exceptions or None for card in cards],
        "At risk": [money(card.value_at_risk, card.currency) for card in cards],
        "n": [_sample(card) for card in cards],
    }


def _by_key(told: Sequence[Told]) -> dict[str, Told]:
    return {one.key: one for one in told}


def _course(card: SupplierCard) -> list[float] | None:
    """Scores of the last periods; one alone is no course."""
    known = [at.score for at in card.trend if at.score is not None]
    return known if len(known) > 1 else None


def _component(card: SupplierCard, name: str) -> Component | None:
    return next((c for c in card.score.components if c.id == name), None)


def _percent(component: Component | None) -> float | None:
    return None if component is None or component.value is None else 100 * component.value


def _sample(card: SupplierCard) -> str:
    """Answers and lines due: what the shares beside rest on."""
    due = [_component(card, name) for name in ("ack_on_time", "otif")]
    return " / ".join("0" if one is None else f"{one.n:,}" for one in due)


def _value(told: Told | None) -> float | None:
    if told is None or told.figure.value is None:
        return None
    return 100 * float(told.figure.value)


def _hours(told: Told | None) -> str | None:
    """ "15.1 / 42.9": half and nine of ten answers; "> " where orders still wait."""
    if told is None or told.figure.value is None:
        return None
    figure = told.figure
    p90 = figure.beside.get("p90")
    half = f"{'> ' if figure.over else ''}{float(figure.value or 0):.1f}"
    return half if p90 is None else f"{half} / {p90:.1f}"


def _share(name: str, help_: str) -> Any:
    return st.column_config.NumberColumn(width=64, format="%.1f %%", help=f"{name}: {help_}")


def _text(width: int, help_: str) -> Any:
    return st.column_config.TextColumn(width=width, alignment="right", help=help_)


_CONFIG: Mapping[str, Any] = {
    "Score": st.column_config.ProgressColumn(
        width=88,
        format="%.0f",
        min_value=0,
        max_value=100,
        help="100 x sum of weight x min(1, value / target) / weights with data; parts and weights "
        "stand on the supplier's page",
    ),
    "Standing": st.column_config.TextColumn(
        width=76, help="below 50 critical, 50 weak, 70 steady, 90 strong, unless the rule book says"
    ),
    "Trend": st.column_config.LineChartColumn(
        width=70, y_min=0, y_max=100, help=f"score of the last {TREND} periods of this length"
    ),
    "Ack": _share("Ack on time", "orders answered by their due instant"),
    "Ack h": _text(
        92, "clock hours from transmission to the first answer: half of the orders, nine of ten"
    ),
    "Open h": _text(82, "the same in open hours of the supplier's calendar"),
    "First": _share("First confirmation", "lines whose first answer keeps quantity, price, date"),
    "Kept": _share("Commitments kept", "confirmed lines received in full by the first date told"),
    "ASN": _share("ASN on time", "shipments announced by ship time + 1 h and before the goods"),
    "ASN ok": _share("ASN accurate", "announced lines received exactly as announced"),
    "OTIF": _share("OTIF", "in full by the due day, by the date and unit chosen above"),
    "Filled": _share("Lines filled", "lines received in full by their due day"),
    "Drift": st.column_config.NumberColumn(
        width=58,
        format="%+.1f d",
        help="median lead time against what was agreed (or asked for), days",
    ),
    "Cases": st.column_config.NumberColumn(width=54, help="exceptions open now"),
    "At risk": _text(82, "open value of the customer order lines that it leaves short"),
    "n": _text(72, "sample: answers due / order lines due"),
}


def _file(cards: Sequence[SupplierCard], columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    file: dict[str, Any] = {"key": [card.supplier for card in cards]}
    file |= {name: values for name, values in columns.items() if name not in ("Trend", "At risk")}
    file["value at risk"] = [card.value_at_risk for card in cards]
    file["currency"] = [card.currency for card in cards]
    return file
