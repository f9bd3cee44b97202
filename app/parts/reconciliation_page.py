"""The parts of the reconciliation page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from app import data
from app.links import ReconciliationLink, TraceLink
from app.parts.filters import choose, segments
from app.parts.tables import table
from app.parts.words import MISSING, span
from app.session import Viewer
from db.reads.disagreements import Disagreement
from tower.network import Network

KINDS = {"all": "All", "quantity": "Quantity", "date": "Date", "price": "Price"}
SYSTEM_WORDS = {"erp": "ERP", "portal": "Portal", "edi": "EDI", "wms": "Warehouse"}


def filters(link: ReconciliationLink, rows: Sequence[Disagreement], viewer: Viewer) -> None:
    """Type of break, supplier, and whether lines that are complete count too."""
    with st.container(horizontal=True, vertical_alignment="center"):
        segments("kind", "Type of break", KINDS, link.kind or "all", "all")
        suppliers = dict(data.choices(viewer.scope).suppliers)
        choose("supplier", "Supplier", suppliers, link.supplier, "All suppliers", 220)
        done = st.toggle("Also complete lines", value=bool(link.done), key="reconciliation done")
    if done != bool(link.done):
        if done:
            st.query_params["done"] = "yes"
        else:
            st.query_params.pop("done", None)
        st.rerun()


def chosen(rows: Sequence[Disagreement], link: ReconciliationLink) -> list[Disagreement]:
    """Those that the address asks for."""
    return [
        row
        for row in rows
        if link.kind in (None, row.break_type) and link.supplier in (None, row.supplier)
    ]


def cards(rows: Sequence[Disagreement], more: bool) -> None:
    """How many lines, by type of break, and the oldest."""
    kinds = Counter[str](row.break_type for row in rows)
    lines = {(row.kind, row.scope, row.number, row.line) for row in rows}
    columns = st.columns(5)
    columns[0].metric("Lines", f"{len(lines)}{'+' if more else ''}", border=True)
    for column, kind in zip(columns[1:4], ("quantity", "date", "price"), strict=True):
        column.metric(f"{KINDS[kind]} breaks", kinds.get(kind, 0), border=True)
    oldest = max((row.age_s or 0 for row in rows), default=0)
    columns[4].metric("Oldest", span(oldest) if oldest else MISSING, border=True)


def lines(rows: Sequence[Disagreement], net: Network) -> None:
    """One row per line and field: what each kind of system tells, and whose word counts."""
    kinds = {name: system.kind for name, system in net.systems.items()}
    columns: dict[str, list[str]] = {word: [] for word in SYSTEM_WORDS.values()}
    columns["Others"] = []
    for row in rows:
        told: dict[str, list[str]] = {name: [] for name in columns}
        for system, said in sorted(row.values.items()):
            column = SYSTEM_WORDS.get(kinds.get(system, ""), "Others")
            sign = " ✓" if system in row.counts else ""
            named = f"{system}: " if column == "Others" else ""
            told[column].append(f"{named}{said.value}{sign}")
        for name, values in told.items():
            columns[name].append(", ".join(values) or MISSING)
    st.caption("✓ marks the source of truth: the word that the document follows.")
    table(
        {
            "Line": [f"{row.number} · {row.line}" for row in rows],
            "Supplier": [row.supplier or MISSING for row in rows],
            "Item": [row.item or MISSING for row in rows],
            "Field": [row.field.replace("_", " ") for row in rows],
            "Break": [row.break_type for row in rows],
            **columns,
            "Gap": [_gap(row) for row in rows],
            "Age": [MISSING if row.age_s is None else span(row.age_s) for row in rows],
            "Since": [
                MISSING if row.since is None else f"{row.since:%Y-%m-%d %H:%M}Z" for row in rows
            ],
        },
        alt="Lines on which systems differ",
        key="reconciliation lines",
        opens="Line",
        links=[TraceLink(ref=row.ref, tab="agreement") for row in rows],
    )


def _gap(row: Disagreement) -> str:
    return f"{row.gap} d" if row.break_type == "date" else row.gap
