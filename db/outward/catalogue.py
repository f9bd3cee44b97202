"""All data sets that leave the house, by their name."""

from __future__ import annotations

from collections.abc import Mapping

from db.outward.documents import CUSTOMER_ORDERS, LINES, PURCHASE_ORDERS, SHIPMENTS
from db.outward.fields import DataSet
from db.outward.happenings import AT_RISK, CASES, CLOCKS, EVENTS

DATA_SETS: Mapping[str, DataSet] = {
    one.name: one
    for one in (
        PURCHASE_ORDERS,
        LINES,
        CUSTOMER_ORDERS,
        SHIPMENTS,
        CASES,
        AT_RISK,
        CLOCKS,
        EVENTS,
    )
}

VIEWS: tuple[str, ...] = tuple(one.view for one in DATA_SETS.values())
"""Views that BI tools read."""
