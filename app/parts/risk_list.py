"""Customer orders at risk: lines, groups, and the picture of what is to blame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from app.links import CaseLink, GroupWord, OrdersAtRiskLink, TraceLink
from app.parts.downloads import downloads
from app.parts.risk_curve import cause_words
from app.parts.tables import height_of, table
from app.parts.words import money, percent, severity
from db.reads.orders_at_risk import AtRiskPage, AtRiskRow, GroupRow, Stream

GROUPS: Mapping[str, str] = {
    "line": "Order lines",
    "customer": "By customer",
    "cause": "By cause",
    "buyer": "By buyer",
}

BASIS = {
    "stock": "stock report",
    "receipt": "received",
    "asn": "shipment notice",
    "confirmed": "confirmed date",
    "assumed": "assumed delay",
}
"""What a projected date rests on, as people say it."""

MATCH = {"peg": "pegged", "netting": "netted"}
"""How an order line got its supply."""

TOLD: Mapping[str, str] = {"yes": "Customer told", "unknown": "Not known whether told"}


def risk_table(page: AtRiskPage) -> None:
    """One row per affected line and the purchase order line to blame."""
    rows = page.rows
    table(
        {
            "Order": [f"{row.order} / {row.order_line}" for row in rows],
            "Customer": [row.customer_name for row in rows],
            "Promise": [row.promise_date for row in rows],
            "Projected": [row.projected for row in rows],
            "Days late": [row.days_late if row.projected else None for row in rows],
            "Offer": [row.proposed for row in rows],
            "Open value": [money(row.open_value, row.currency) for row in rows],
            "Sure": [percent(row.confidence, 0) for row in rows],
            "Because": [cause_words(row.cause) for row in rows],
            "Told": [told(row) for row in rows],
            "Supplier": [row.supplier_name for row in rows],
            "PO line": [f"{row.po} / {row.po_line}" if row.po else None for row in rows],
            "Case": [_case(row) for row in rows],
            "Buyer": [row.buyer_name for row in rows],
            "Item": [row.item for row in rows],
        },
        key="orders at risk",
        alt="Customer order lines at risk, the greatest value first",
        opens="Order",
        links=[CaseLink(id=r.case_id) if r.case_id else TraceLink(ref=r.po_ref) for r in rows],
        config={
            "Customer": st.column_config.TextColumn(width=132),
            "Promise": st.column_config.DateColumn(width=78, format="DD MMM YY"),
            "Projected": st.column_config.DateColumn(
                width=78,
                format="DD MMM YY",
                help="first day on which the whole line can be served; a dash: nothing says when",
            ),
            "Days late": st.column_config.NumberColumn(width=66),
            "Offer": st.column_config.DateColumn(
                width=78,
                format="DD MMM YY",
                help="first working day on which the whole line can be promised anew; a dash: "
                "nothing says when the last of it comes",
            ),
            "Open value": st.column_config.TextColumn(width=84, alignment="right"),
            "Sure": st.column_config.TextColumn(
                width=56,
                alignment="right",
                help="how sure the lateness is: a shipment notice 100 %, a confirmed date 90 %, an "
                "assumed delay 60 %; seven tenths of it where supply was netted and not pegged, "
                "half of it while a feed is silent",
            ),
            "Because": st.column_config.TextColumn(width=138),
            "Told": st.column_config.TextColumn(
                width=112,
                help="the day that the customer was told, as the house reported it; a dash: nobody "
                "said whether the customer knows",
            ),
            "Supplier": st.column_config.TextColumn(width=118),
            "PO line": st.column_config.TextColumn(width=116),
            "Item": st.column_config.TextColumn(width=90),
            "Case": st.column_config.TextColumn(width=120),
            "Buyer": st.column_config.TextColumn(width=90),
        },
    )


def group_table(rows: Sequence[GroupRow], group: GroupWord, link: OrdersAtRiskLink) -> None:
    """One row per customer, cause or buyer; its name narrows the list where that is a filter."""
    names = [cause_words(r.name) if group == "cause" else r.name for r in rows]
    title = {"customer": "Customer", "cause": "Cause", "buyer": "Buyer"}[group]
    table(
        {
            title: names,
            "Orders": [r.orders for r in rows],
            "Lines": [r.lines for r in rows],
            "Purchase orders": [r.purchase_orders for r in rows],
            "Open value": [money(r.open_value, r.currency) for r in rows],
            "Worst, days late": [r.worst_days_late for r in rows],
            "Earliest promise": [r.earliest_promise for r in rows],
            "Lines told": [r.told for r in rows],
        },
        key=f"risk by {group}",
        alt=f"Customer orders at risk by {group}",
        opens=title,
        links=[_narrowed(link, group, r) for r in rows],
        config={
            "Open value": st.column_config.TextColumn(alignment="right"),
            "Earliest promise": st.column_config.DateColumn(format="DD MMM YY"),
            "Lines told": st.column_config.NumberColumn(
                help="lines of which the house reported that the customer was told"
            ),
        },
    )


def _narrowed(link: OrdersAtRiskLink, group: GroupWord, row: GroupRow) -> OrdersAtRiskLink:
    return replace(
        link,
        group="line",
        after=None,
        buyer=row.key if group == "buyer" else link.buyer,
        cause=row.key if group == "cause" else link.cause,
        customer=(row.key or None) if group == "customer" else link.customer,
    )


def stream_table(found: Sequence[Stream]) -> None:
    """The picture as rows."""
    rows = sorted(found, key=lambda s: -s.lines)
    table(
        {
            "Cause": [cause_words(r.cause) for r in rows],
            "Supplier": [r.supplier for r in rows],
            "Customer": [r.customer for r in rows],
            "Order lines": [r.lines for r in rows],
            "Open value": [None if r.open_value is None else float(r.open_value) for r in rows],
        },
        key="risk streams table",
        alt="Affected order lines by cause, supplier and customer",
        config={"Open value": st.column_config.NumberColumn(format="localized")},
        height=height_of(len(rows), 420),
    )


def followed(link: OrdersAtRiskLink, column: int, key: str) -> OrdersAtRiskLink:
    """The list narrowed to a name of the picture."""
    return replace(
        link,
        group="line",
        after=None,
        cause=key if column == 0 else link.cause,
        supplier=key if column == 1 else link.supplier,
        customer=key if column == 2 else link.customer,
    )


def told(row: AtRiskRow) -> str | None:
    """Whether the customer was told, None where nobody said so."""
    if row.told_at is None:
        return None
    if row.told_date is None:
        return "yes"
    late = row.projected is None or row.projected > row.told_date
    told_day = f"{row.told_date:%d %b}"
    return f"{told_day}, now later" if late else told_day


def download(page: AtRiskPage, ask: Callable[[], AtRiskPage]) -> None:
    """The first thousand lines as files; asked for when they are wanted."""
    downloads(lambda: _columns(ask().rows), "orders-at-risk", empty=not page.rows)


def _columns(rows: Sequence[AtRiskRow]) -> dict[str, list[Any]]:
    return {
        "order": [r.order for r in rows],
        "line": [r.order_line for r in rows],
        "customer": [r.customer for r in rows],
        "customer name": [r.customer_name for r in rows],
        "item": [r.item for r in rows],
        "promise": [r.promise_date for r in rows],
        "projected": [r.projected for r in rows],
        "days late": [r.days_late if r.projected else None for r in rows],
        "uncovered quantity": [r.uncovered_qty for r in rows],
        "promise to offer": [r.proposed for r in rows],
        "supply found by": [MATCH.get(r.matched_by, r.matched_by) for r in rows],
        "customer told at": [r.told_at for r in rows],
        "day told": [r.told_date for r in rows],
        "open value": [r.open_value for r in rows],
        "currency": [r.currency for r in rows],
        "confidence": [r.confidence for r in rows],
        "rests on": [BASIS.get(r.basis, r.basis) for r in rows],
        "cause": [r.cause for r in rows],
        "purchase order": [r.po for r in rows],
        "purchase order line": [r.po_line for r in rows],
        "supplier": [r.supplier for r in rows],
        "supplier name": [r.supplier_name for r in rows],
        "buyer": [r.buyer for r in rows],
        "warehouse": [r.warehouse for r in rows],
        "case": [r.case_id for r in rows],
        "case owner": [r.case_owner for r in rows],
    }


def _case(row: AtRiskRow) -> str | None:
    if row.case_id is None or row.case_severity is None:
        return None
    return f"{severity(row.case_severity)}, {row.case_owner}"
