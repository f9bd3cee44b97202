"""Rows as mappings of their columns, for answers that are shown as they stand in a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Executable, Row

Record = Mapping[str, Any]


def record(row: Row[*tuple[Any, ...]]) -> Record:
    """One row by column name."""
    return dict(row._asdict())


def records(conn: Connection, statement: Executable) -> tuple[Record, ...]:
    """Every row of a statement by column name."""
    return tuple(record(row) for row in conn.execute(statement))
