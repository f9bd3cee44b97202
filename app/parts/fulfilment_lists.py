"""Lists of fulfilment: differences at receipt, invoices and returns, weeks of orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app import data
from app.links import FiguresLink, FulfilmentLink, TraceLink
from app.parts.downloads import downloads
from app.parts.empty import nothing_here
from app.parts.filters import filters_of
from app.parts.pager import pager
from app.parts.tables import table
from app.parts.words import count, day_clock, many, money, percent
from app.session import Viewer
from db.reads.filters import Filter
from db.reads.fulfilment import Cohort, DiscrepancyRow
from db.reads.paging import MOST_ROWS
from db.reads.receipts import KINDS

VIEWS: Mapping[str, str] = {
    "discrepancies": "Differences at receipt",
    "invoices": "Invoices and returns",
    "cohorts": "By week of order",
}
SHORT: Mapping[str, str] = {
    "short": "short",
    "over": "over",
    "refused": "damaged or refused",
    "unannounced": "no notice",
}


def shown(link: FulfilmentLink, viewer: Viewer, narrowed: Filter) -> None:
    """The list that the address names."""
    match link.view:
        case "invoices":
            _invoices(link, viewer, narrowed)
        case "cohorts":
            _cohorts(viewer, narrowed)
        case _:
            _discrepancies(link, viewer, narrowed)


# --- differences at receipt -----------------------------------------------------------------------


def _discrepancies(link: FulfilmentLink, viewer: Viewer, narrowed: Filter) -> None:
    counts = data.discrepancies(viewer.scope, narrowed)
    received = counts[0].of if counts else 0
    told = " · ".join(
        f"**{count(c.lines)}** {KINDS[c.kind]} ({percent(c.lines / c.of)})"
        for c in counts
        if c.lines and c.of
    )
    st.caption(f"{many(received, 'order line')} first received in the period. {told}")
    page = data.discrepancy_page(viewer.scope, narrowed, link.after)
    if not page.rows:
        nothing_here(
            "Nothing that was received in this period differs from what was announced."
            if received
            else "Nothing was received in this period.",
        )
        return
    table(
        {
            "Order line": [f"{r.number} / {r.line}" for r in page.rows],
            "Supplier": [r.supplier_name for r in page.rows],
            "What": [", ".join(SHORT[kind] for kind in r.kinds) for r in page.rows],
            "Announced": [_number(r.announced) for r in page.rows],
            "Received": [_number(r.received) for r in page.rows],
            "Refused": [_number(r.refused) or None for r in page.rows],
            "Difference": [_number(r.difference) for r in page.rows],
            "Worth": [money(r.value, r.currency) for r in page.rows],
            "Item": [r.item for r in page.rows],
            "First received": [day_clock(r.received_at, viewer.zone) for r in page.rows],
        },
        key="discrepancies",
        alt="Order lines received otherwise than announced, the costliest first",
        opens="Order line",
        opens_width=150,
        links=[TraceLink(ref=r.ref, tab="lines") for r in page.rows],
        config={
            "What": st.column_config.TextColumn(width=180),
            "Worth": st.column_config.TextColumn(
                alignment="right", help="of the difference and of what was refused, at order price"
            ),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads(
            lambda: _file(data.discrepancy_page(viewer.scope, narrowed, None, MOST_ROWS).rows),
            "differences-at-receipt",
        )
        pager(
            len(page.rows),
            page.total.rows,
            capped=page.total.capped,
            after=link.after,
            following=page.following,
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _file(rows: Sequence[DiscrepancyRow]) -> dict[str, list[Any]]:
    return {
        "order": [r.number for r in rows],
        "line": [r.line for r in rows],
        "supplier": [r.supplier for r in rows],
        "supplier name": [r.supplier_name for r in rows],
        "item": [r.item for r in rows],
        "what": [", ".join(r.kinds) for r in rows],
        "announced": [r.announced for r in rows],
        "received": [r.received for r in rows],
        "refused": [r.refused for r in rows],
        "difference": [r.difference for r in rows],
        "worth": [r.value for r in rows],
        "currency": [r.currency for r in rows],
        "first received (UTC)": [r.received_at for r in rows],
    }


# --- invoices and returns -------------------------------------------------------------------------

STATES: Mapping[str, str] = {
    "matched": "matched",
    "mismatched": "blocked: price or quantity differ",
    "announced": "not checked yet",
    "credit note": "credit notes",
}


def _invoices(link: FulfilmentLink, viewer: Viewer, narrowed: Filter) -> None:
    found = data.invoices(viewer.scope, narrowed)
    total = sum(n for _, n in found.states)
    if not total:
        nothing_here("No invoice came in this period.")
        return
    told = " · ".join(f"**{count(n)}** {STATES.get(state, state)}" for state, n in found.states)
    st.caption(f"{many(total, 'invoice')} came in the period: {told}")
    if found.blocked:
        table(
            {
                "Invoice": [r.number for r in found.blocked],
                "Supplier": [r.supplier_name for r in found.blocked],
                "Value": [money(r.value, r.currency) for r in found.blocked],
                "Came": [day_clock(r.received_at, viewer.zone) for r in found.blocked],
                "Blocked": [
                    "" if r.since is None else day_clock(r.since, viewer.zone)
                    for r in found.blocked
                ],
            },
            key="blocked invoices",
            alt="Invoices that stand blocked, the highest first",
            opens="Invoice",
            opens_width=180,
            links=[TraceLink(ref=r.ref) for r in found.blocked],
            config={"Value": st.column_config.TextColumn(alignment="right")},
        )
    else:
        nothing_here("No invoice of this period stands blocked.")
    to = FiguresLink(id="invoice_match", **filters_of(link))
    st.page_link(
        to.PAGE.file,
        label="Every invoice, matched first time or not",
        icon=":material/arrow_forward:",
        query_params=to.to_query(),
    )
    back = ", ".join(f"{count(n)} {word.partition('.')[2]}" for word, n in found.returns)
    st.caption(f"Goods sent back, messages of the period: {back or 'none'}.")


# --- weeks of orders ------------------------------------------------------------------------------


def _cohorts(viewer: Viewer, narrowed: Filter) -> None:
    rows = data.cohorts(viewer.scope, narrowed)
    if not rows:
        nothing_here("No purchase order was released in these weeks.")
        return
    st.caption(
        "Orders by the week of their release (from Monday, UTC), and which share of them was "
        "received complete within so many weeks. A dash: that time has not passed for all of them. "
        "Cancelled orders are left out."
    )
    ages = len(rows[0].complete)
    columns: dict[str, list[Any]] = {
        "Week of": [row.week for row in rows],
        "Orders": [row.orders for row in rows],
        "Answered": [_share(row.answered, row) for row in rows],
        "Shipped": [_share(row.shipped, row) for row in rows],
        "By now": [_share(row.complete_now, row) for row in rows],
    }
    columns |= {
        f"{age + 1} w": [_share(row.complete[age], row) for row in rows] for age in range(ages)
    }
    bar = st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100, width=80)
    table(
        columns,
        key="cohorts",
        alt="Share of orders received complete, by week of release and weeks since",
        config={
            "Week of": st.column_config.DateColumn(format="DD MMM YYYY", width=100),
            **{name: bar for name in columns if name not in ("Week of", "Orders")},
        },
    )
    with st.container(horizontal=True):
        downloads(lambda: columns, "orders-by-week")


def _share(n: int | None, row: Cohort) -> float | None:
    return None if n is None or not row.orders else 100 * n / row.orders
