"""The rows of documents: which columns each kind has, and the row of which nobody spoke yet.

A projection starts from ``blank`` and fills in what is known, so that a row always has all columns
of its kind; None means that nobody said it. Columns are those of the table `document`: instants are
microseconds since 1970 UTC, days ISO texts, amounts decimal texts; `reports` is what each system
told: system -> field -> [value, since when].
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]

_NAME = ("kind", "scope", "number", "line")
_ALWAYS = (
    *_NAME,
    *("known", "status", "closed", "first_seen_at", "last_event_at", "released_at", "reports"),
)
_MONEY = ("value", "open_value")
_RECEIVED = ("received_qty", "rejected_qty", "goods_received_at", "actual_receipt_date")

_COUNTED_BY = ("qty_by_first", "qty_by_last", "qty_by_requested")

_PO_TERMS = ("supplier", "buyer", "warehouse", "currency", "channel", "type", "ship_by")
_PO_SENT = ("transmitted_at", "transport_acked_at", "func_acked_at")
_PO_BOTH = (
    *(*_ALWAYS, *_PO_TERMS, *_PO_SENT, *_MONEY, *_RECEIVED),
    *("uom", "ordered_qty", "confirmed_qty", "shipped_qty", "invoiced_qty"),
    *("answer", "asn_status", "agrees"),
    *("acknowledged_at", "applied_at", "shipped_at", "invoiced_at"),
    *("closed_at", "cancelled_at", "failed_at"),
    *("requested_date", "first_confirmed_date", "last_confirmed_date", "eta", "actual_ship_date"),
)
_ORDER_TERMS = ("customer", "customer_name", "warehouse", "currency", "priority")
_ORDER_BOTH = (
    *(*_ALWAYS, *_ORDER_TERMS, *_MONEY),
    *("closed_at", "cancelled_at", "shipped_at"),
    *("requested_date", "promised_date", "first_promised_date"),
)

COLUMNS: dict[str, tuple[str, ...]] = {
    "po": (*_PO_BOTH, "fa_status", "acknowledge_by", "cancel_after", "n_lines", "n_rejected"),
    "po_line": (
        *(*_PO_BOTH, "item", "description", "category", "price", "confirmed_date_kind"),
        *_COUNTED_BY,
        *("first_shipped_qty", "late_unit_days", "first_answer", "discrepancies"),
    ),
    "order": (*_ORDER_BOTH, "n_lines"),
    "order_line": (
        *(*_ORDER_BOTH, "item", "description", "category", "uom", "price"),
        *("ordered_qty", "shipped_qty"),
        *("received_qty", "goods_received_at", "actual_receipt_date", "actual_ship_date"),
        *_COUNTED_BY,
    ),
    "asn": (
        *(*_ALWAYS, *_RECEIVED, "supplier", "warehouse", "uom", "shipped_qty", "n_lines"),
        *("asn_status", "shipped_at", "cancelled_at", "failed_at", "eta", "actual_ship_date"),
    ),
    "receipt": (*_ALWAYS, *_RECEIVED, "supplier", "warehouse", "n_lines", "cancelled_at"),
    "invoice": (
        *(*_ALWAYS, "supplier", "type", "currency", "value", "n_lines"),
        *("invoiced_at", "failed_at"),
    ),
}
"""Kind of document -> its columns."""

OF_HEADER: dict[str, tuple[str, ...]] = {
    "po_line": (*_PO_TERMS, *_PO_SENT),
    "order_line": _ORDER_TERMS,
}
"""Kind of line -> columns that all lines of a header have from it."""

_BLANK: dict[str, Row] = {kind: dict.fromkeys(names) for kind, names in COLUMNS.items()}


def blank(kind: str, scope: str, number: str) -> Row:
    """The row of a header of which nothing is known but its name."""
    row = _BLANK[kind].copy()
    row["kind"] = kind
    row["scope"] = scope
    row["number"] = number
    row["line"] = ""
    row["known"] = False
    row["reports"] = {}
    return row


def blank_line(kind: str, header: Row) -> Row:
    """The row of a line without its number: what it has from its header.

    Who copies it for several lines gives each `reports` of its own.
    """
    row = blank(kind, header["scope"], header["number"])
    for column in OF_HEADER[kind]:
        row[column] = header[column]
    return row
