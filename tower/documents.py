"""Documents as folds: records in any order become a state, a state becomes rows.

A family is a header with its lines; it has one state, kept with the header. The rows are a function
of the state and of what the network says about its systems, so a document rebuilt from its records
equals the one that grew with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tower import customer_orders, purchase_orders, shipments
from tower.owners import Owners
from tower.registers import Record, State, merge
from tower.rows import Row

HEADER_OF = {"po_line": "po", "order_line": "order"}
"""Kind of the header that a line belongs to."""

LINE_OF = {header: line for line, header in HEADER_OF.items()}
"""Kind of the lines that a header has."""

_PROJECT: dict[str, Callable[[str, str, State, Owners], list[Row]]] = {
    "po": purchase_orders.project,
    "order": customer_orders.project,
    "asn": shipments.project_asn,
    "receipt": shipments.project_receipt,
    "invoice": shipments.project_invoice,
}

KINDS = frozenset(_PROJECT)
"""Kinds of families."""


def fold(records: Iterable[Record], state: State | None = None) -> State:
    """The state after these records, in whatever order they come."""
    result: State = {} if state is None else state
    for record in records:
        merge(result, record)
    return result


def project(kind: str, scope: str, number: str, state: State, owners: Owners) -> list[Row]:
    """The rows of a family, its header first (tower.rows)."""
    return _PROJECT[kind](scope, number, state, owners)


__all__ = [
    "HEADER_OF",
    "KINDS",
    "LINE_OF",
    "Owners",
    "Record",
    "Row",
    "State",
    "fold",
    "merge",
    "project",
]
