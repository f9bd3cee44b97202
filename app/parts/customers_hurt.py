"""Columns that tell of customers hurt, for those viewers who may read of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.session import current_viewer

_OF_CUSTOMERS = frozenset(
    {
        *("At risk", "Customer orders", "Customers", "Orders"),
        *("customer orders at risk", "orders affected", "value at risk"),
    }
)


def told(columns: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The columns of a table or a file; empty ones would say that nobody is hurt."""
    if current_viewer().scope.sees_value_at_risk:
        return dict(columns)
    return {name: cells for name, cells in columns.items() if name not in _OF_CUSTOMERS}
