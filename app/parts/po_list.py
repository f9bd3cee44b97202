"""The list of purchase orders: its views, its table, its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import streamlit as st

from app import data
from app.links import PurchaseOrdersLink, TraceLink, ViewWord
from app.parts import customers_hurt
from app.parts.decisions import category_meaning
from app.parts.downloads import downloads
from app.parts.filters import segments
from app.parts.tables import table
from app.parts.words import money, severity
from app.session import Viewer
from db.reads.purchase_orders import PoPage, PoRow
from tower.ladder import Rung

VIEWS: Mapping[str, str] = {
    "all": "All",
    "awaiting_ack": "Awaiting acknowledgement",
    "answered_not_in_erp": "Answered, not in ERP",
    "asn_failed": "ASN failed",
    "no_asn_due_soon": "No ASN and due in 3 days",
    "rejected_lines": "Rejected lines",
    "short_confirmed": "Short confirmed",
    "date_moved": "Confirmed later",
}
"""The saved views, in their order."""

COUNTED: Mapping[str, str] = {
    "ack_missed": "Late or missing answers that fell due in the period",
    "asn_late": "Shipments of the period announced late or not at all",
    "asn_refused": "Shipment notices of the period that failed a check",
    "otif_missed": "Orders with a line due in the period that was not received in full by then",
}
"""What a key figure counted; reached from its card, not from the row of views."""

NOW_VIEWS = frozenset(VIEWS) - {"all"}
"""Views of what stands open now, however old: the period does not narrow them."""

WHY_EMPTY: Mapping[str, str] = {
    "all": "No purchase order was released in this period.",
    "awaiting_ack": "Every open purchase order has an answer.",
    "answered_not_in_erp": "Every answer of an open purchase order is in the ERP.",
    "asn_failed": "No open purchase order has a failed shipment notice.",
    "no_asn_due_soon": "Nothing is due within three days without a shipment notice.",
    "rejected_lines": "No supplier refuses a line of an open purchase order.",
    "short_confirmed": "Every open line was confirmed in the quantity ordered.",
    "date_moved": "Every open line was confirmed by the day that was asked for.",
    "ack_missed": "Every answer that fell due in this period came in time.",
    "asn_late": "Every shipment of this period was announced in time.",
    "asn_refused": "Every shipment notice of this period passed all checks.",
    "otif_missed": "Every line due in this period was received in full by its day.",
}

GLYPHS: Mapping[str, str] = {
    "done": "●",
    "done_with_errors": "◐",
    "waiting": "○",
    "late": "▲",
    "refused": "✕",
    "not_expected": "–",
    "unknown": "?",
}

LADDER_HELP = (
    "sent, transport receipt, functional acknowledgement, business answer, in the ERP, agrees line "
    "by line.  \n● done  ◐ done with errors  ○ waiting  ▲ late  ✕ refused  – not expected  "
    "? cannot tell"
)


def views(link: PurchaseOrdersLink) -> None:
    """The saved views; what a card counted is said in words beside them."""
    names: dict[str, str] = dict(VIEWS)
    if link.view in COUNTED:
        names[link.view] = COUNTED[link.view]
    segments("view", "View", names, link.view, get_args(ViewWord)[0])


def glyphs(ladder: Sequence[Rung]) -> str:
    return " ".join(GLYPHS.get(rung.state, "?") for rung in ladder)


def po_table(page: PoPage, viewer: Viewer) -> None:
    """One row per order; its number leads to its trace."""
    rows, sites = page.rows, dict(data.choices(viewer.scope).warehouses)
    table(
        customers_hurt.told(
            {
                "Order": [row.number for row in rows],
                "Supplier": [row.supplier_name for row in rows],
                "Ladder": [glyphs(row.ladder) for row in rows],
                "Exception": [_trouble(row) for row in rows],
                "Expected": [row.expected for row in rows],
                "Open value": [money(row.open_value, row.currency) for row in rows],
                "Customers": [row.customer_orders or None for row in rows],
                "Status": [_status(row) for row in rows],
                "Buyer": [row.buyer_name for row in rows],
                "Warehouse": [sites.get(row.warehouse or "", row.warehouse) for row in rows],
                "Released": [_local(row, viewer) for row in rows],
            }
        ),
        key="purchase orders",
        alt="Purchase orders by consequence",
        opens="Order",
        links=[TraceLink(ref=row.ref) for row in rows],
        config={
            "Supplier": st.column_config.TextColumn(width=150),
            "Status": st.column_config.TextColumn(width=106),
            "Ladder": st.column_config.TextColumn(width=104, help=LADDER_HELP),
            "Exception": st.column_config.TextColumn(
                width=226, help="the worst open exception, and how many more there are"
            ),
            "Customers": st.column_config.NumberColumn(
                width=72, help="customer orders at risk through this order"
            ),
            "Expected": st.column_config.DateColumn(
                width=94, format="DD MMM YYYY", help="last confirmed date, else the requested one"
            ),
            "Open value": st.column_config.TextColumn(width=92, alignment="right"),
            "Buyer": st.column_config.TextColumn(width=108),
            "Warehouse": st.column_config.TextColumn(width=80),
            "Released": st.column_config.DatetimeColumn(width=104, format="DD MMM HH:mm"),
        },
    )


def download(page: PoPage, ask: Callable[[], PoPage], view: str) -> None:
    """The first thousand rows of the list as files; asked for when they are wanted."""
    downloads(
        lambda: customers_hurt.told(_columns(ask().rows)),
        f"purchase-orders-{view.replace('_', '-')}",
        empty=not page.rows,
    )


def _columns(rows: Sequence[PoRow]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "order": [r.number for r in rows],
        "erp": [r.scope for r in rows],
        "supplier": [r.supplier for r in rows],
        "supplier name": [r.supplier_name for r in rows],
        "buyer": [r.buyer for r in rows],
        "warehouse": [r.warehouse for r in rows],
        "status": [r.status for r in rows],
        "answer": [r.answer for r in rows],
        "released (UTC)": [r.released_at for r in rows],
        "requested": [r.requested_date for r in rows],
        "expected": [r.expected for r in rows],
        "value": [r.value for r in rows],
        "open value": [r.open_value for r in rows],
        "currency": [r.currency for r in rows],
        "open exceptions": [r.open_cases for r in rows],
        "worst severity": [r.severity for r in rows],
        "exception": [r.trouble for r in rows],
        "customer orders at risk": [r.customer_orders for r in rows],
        "value at risk": [r.value_at_risk for r in rows],
    }
    labels = [rung.label for rung in rows[0].ladder] if rows else []
    for place, label in enumerate(labels):
        columns[label] = [r.ladder[place].state for r in rows]
    return columns


def _status(row: PoRow) -> str:
    if not row.known:
        return "only referred to"
    return row.status.replace("_", " ")


def _trouble(row: PoRow) -> str | None:
    if row.severity is None:
        return None
    more = f" (+{row.open_cases - 1})" if row.open_cases > 1 else ""
    return f"{severity(row.severity)}: {category_meaning(row.category or '')}{more}"


def _local(row: PoRow, viewer: Viewer) -> Any:
    return None if row.released_at is None else row.released_at.astimezone(viewer.zone)
