"""Everything that a figure counted, each in or out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app import data
from app.links import (
    CaseLink,
    FiguresLink,
    HealthLink,
    Link,
    OverviewLink,
    QueuesLink,
    SubjectsWord,
    TraceLink,
)
from app.parts.downloads import downloads
from app.parts.empty import nothing_here
from app.parts.filters import segments
from app.parts.pager import pager
from app.parts.tables import table
from app.parts.words import MISSING, count, day, day_clock
from app.session import Viewer
from db.reads.filters import Filter
from db.reads.paging import MOST_ROWS
from db.reads.subjects import Subject, SubjectPage
from tower.kpi_definition import Definition
from tower.kpis import HIT, MISS, Figure
from tower.numerals import natural

SIGN: Mapping[str, str] = {HIT: "✓ in, hit", MISS: "✕ in, miss"}


def subjects(
    of: Definition,
    figure: Figure,
    link: FiguresLink,
    viewer: Viewer,
    narrowed: Filter,
    chosen: data.Switches,
) -> None:
    """The list with the choice of which of them; the total is what the figure counted."""
    page = data.subjects(viewer.scope, narrowed, of.id, link.show, link.after, chosen)
    hits, misses = page.total.get(HIT, 0), page.total.get(MISS, 0)
    out = sum(page.total.values()) - hits - misses
    st.subheader("What it counted", anchor=False)
    if of.statistic in ("share", "weighted", "score"):
        names: dict[str, str] = {
            "all": "All",
            "hit": f"Hits {count(hits)}",
            "miss": f"Misses {count(misses)}",
            "out": f"Left out {count(out)}",
        }
    else:
        names = {
            "all": "All",
            "in": f"Counted {count(hits + misses)}",
            "out": f"Left out {count(out)}",
        }
    show: SubjectsWord = link.show if link.show in names else "all"
    segments("show", "Which", names, show, "all")
    left_out = ", ".join(
        f"{count(n)} {word.replace('_', ' ')}"
        for word, n in page.total.items()
        if word not in (HIT, MISS, "in", "out")
    )
    if left_out:
        st.caption(f"Left out: {left_out}.")
    if not page.rows:
        nothing_here(
            f"{page.reason[:1].upper()}{page.reason[1:]}."
            if page.reason
            else f"No {of.counts} of this kind in the period.",
            next_step="Take a filter away, or choose a longer period.",
        )
        return
    _table(of, page, viewer)
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads(
            lambda: _file(
                data.subjects(viewer.scope, narrowed, of.id, show, None, chosen, MOST_ROWS).rows
            ),
            f"{of.id}-subjects",
        )
        pager(
            len(page.rows),
            _shown_total(page, show),
            capped=False,
            after=link.after,
            following=page.following,
        )


def _shown_total(page: SubjectPage, show: SubjectsWord) -> int:
    inside = page.total.get(HIT, 0) + page.total.get(MISS, 0)
    whole = sum(page.total.values())
    found = {"all": whole, "in": inside, "out": whole - inside}
    return found.get(show, page.total.get(show, 0))


def _table(of: Definition, page: SubjectPage, viewer: Viewer) -> None:
    rows = page.rows
    offered = data.choices(viewer.scope)
    people, sites = dict(offered.buyers), dict(offered.warehouses)
    columns: dict[str, list[Any]] = {
        "Subject": [name_of(row) for row in rows],
        "Counted": [_counted(of, row) for row in rows],
        "Why": [row.why.partition(": ")[2] or row.why for row in rows],
        "When": [day(row.at.date()) if of.dated else day_clock(row.at, viewer.zone)
                 for row in rows],
    }  # fmt: skip
    if of.statistic not in ("share", "count"):
        columns["Amount"] = [None if row.amount is None else round(row.amount, 1) for row in rows]
    columns |= {
        "Supplier": [row.supplier_name for row in rows],
        "Buyer": [people.get(row.buyer or "", row.buyer) for row in rows],
        "Warehouse": [sites.get(row.warehouse or "", row.warehouse) for row in rows],
        "Goods": [row.category for row in rows],
        "Restated": ["became known later" if row.restated else None for row in rows],
    }
    table(
        {
            name: values
            for name, values in columns.items()
            if name in ("Subject", "Counted", "Why") or any(v is not None for v in values)
        },
        key=f"subjects of {of.id}",
        alt=f"What {of.name} counted, the newest first",
        opens="Subject",
        opens_width=170,
        links=[opened(row, page) for row in rows],
        config={
            "Counted": st.column_config.TextColumn(width=110),
            "Why": st.column_config.TextColumn(width=430),
            "When": st.column_config.TextColumn(width=120),
        },
    )


def _counted(of: Definition, row: Subject) -> str:
    """In as hit or miss, where the figure tells these apart, or the word under which it is out."""
    if not row.counted:
        return f"– {row.verdict.replace('_', ' ')}"
    return SIGN[row.verdict] if of.statistic in ("share", "weighted", "score") else "✓ in"


def name_of(row: Subject) -> str:
    """ "PO 4500001234 / 10", "case 12"."""
    words = {
        "po": "PO", "po_line": "PO", "order": "order", "order_line": "order", "asn": "ASN",
        "figure": "",
    }  # fmt: skip
    line = f" / {row.line}" if row.line else ""
    return f"{words.get(row.kind, row.kind)} {row.number}{line}".strip() or MISSING


def opened(row: Subject, page: SubjectPage) -> Link:
    """Where a subject is shown."""
    match row.kind:
        case "case":
            number = natural(row.number)
            return OverviewLink() if number is None else CaseLink(id=number)
        case "queue":
            return QueuesLink(queue=row.number)
        case "source" | "feed":
            return HealthLink(feed=row.number)
        case "figure":
            return FiguresLink(id=row.number, supplier=row.supplier)
        case "message" | "raw" | "item":
            return TraceLink(ref=f"raw:{row.scope}/{row.number}")
        case kind:
            return TraceLink(ref=f"{kind.removesuffix('_line')}:{row.scope}:{row.number}")


def _file(rows: Sequence[Subject]) -> dict[str, list[Any]]:
    facts = list(dict.fromkeys(name for row in rows for name in row.facts))
    return {
        "kind": [row.kind for row in rows],
        "system": [row.scope for row in rows],
        "number": [row.number for row in rows],
        "line": [row.line for row in rows],
        "counted": [row.counted for row in rows],
        "verdict": [row.verdict for row in rows],
        "why": [row.why for row in rows],
        "at (UTC)": [row.at for row in rows],
        "amount": [row.amount for row in rows],
        "supplier": [row.supplier for row in rows],
        "supplier name": [row.supplier_name for row in rows],
        "buyer": [row.buyer for row in rows],
        "warehouse": [row.warehouse for row in rows],
        "category of goods": [row.category for row in rows],
        "topic": [row.topic for row in rows],
        "restated": [row.restated for row in rows],
        **{name.replace("_", " "): [row.facts.get(name) for row in rows] for name in facts},
    }
