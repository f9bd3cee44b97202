"""What is told of customers hurt to viewers who may not read of customers: nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, false

from db.reads.rows import records
from tower.access import Scope

_UNTOLD: Mapping[str, Any] = {"orders_affected": 0, "lines_affected": 0, "value_at_risk": None}


def of_case(row: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    """A row of exception_case as this viewer may see it; its priority stays, its factors do not."""
    if scope.sees_value_at_risk:
        return row
    why = {name: told for name, told in (row["why"] or {}).items() if name != "priority"}
    return {**row, **_UNTOLD, "need_date": None, "why": why}


def cases(conn: Connection, statement: Executable, scope: Scope) -> tuple[Mapping[str, Any], ...]:
    """The same of every row of a statement that selects exception_case."""
    return tuple(of_case(row, scope) for row in records(conn, statement))


def told_to(scope: Scope) -> list[ColumnElement[bool]]:
    """Conditions on affected lines of customer orders: whether this viewer is told of any."""
    return [] if scope.sees_value_at_risk else [false()]
