"""The vocabulary of what leaves the house: data sets, their fields, and where each comes from.

One description makes the view for BI tools with its comments, the columns of files, the shapes of
the machine door and the page docs/bi.md, so that a field is called and means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["text", "int", "number", "decimal", "date", "instant", "flag", "texts", "json"]
"""decimal: exact, as text in JSON; instant: UTC; texts: a list of texts."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a data set.

    sql      expression over the tables of the view
    meaning  what it says, with unit and zone; null is always "nobody said"
    example  for the machine door's description, as it stands in JSON
    ours     hidden from viewers who are bound to partners
    priced   hidden where prices are
    inner    only in the view, not in files and at the door
    """

    name: str
    sql: str
    kind: Kind
    meaning: str
    example: object = None
    ours: bool = False
    priced: bool = False
    inner: bool = False


@dataclass(frozen=True, slots=True)
class DataSet:
    """A kind of row that leaves the house.

    name     in commands and addresses ("purchase-orders"); ``view`` in the database
    tables   FROM and WHERE of the view
    at       the instant that a period narrows and by which rows are ordered, the newest first
    key      fields that make a row's place unique together with ``at``
    narrow   fields that a question may narrow by a value
    ours     the whole of it is hidden from viewers who are bound to partners
    """

    name: str
    view: str
    meaning: str
    tables: str
    at: str
    key: tuple[str, ...]
    narrow: tuple[str, ...]
    fields: tuple[Field, ...]
    ours: bool = False

    def field(self, name: str) -> Field:
        """The field of this name; KeyError if there is none."""
        return {one.name: one for one in self.fields}[name]

    @property
    def told(self) -> tuple[Field, ...]:
        """The fields of files and of the machine door."""
        return tuple(one for one in self.fields if not one.inner)


def of(alias: str, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Fields whose expression is a column of ``alias``, where it is not written out."""
    return tuple(
        one if not one.sql or "." in one.sql or "(" in one.sql
        else replace(one, sql=f"{alias}.{one.sql}")
        for one in fields
    )  # fmt: skip


def create_view(data: DataSet) -> str:
    """The statement that makes the view. It shows to each account what that account may see."""
    columns = ",\n  ".join(f"{one.sql} AS {one.name}" for one in data.fields)
    return (
        f"CREATE VIEW {data.view} WITH (security_invoker = true) AS\nSELECT\n  {columns}\n"
        f"{data.tables}"
    )


def comments(data: DataSet) -> list[str]:
    """The statements that write the documentation into the catalogue."""
    told = [f"COMMENT ON VIEW {data.view} IS {_quoted(data.meaning)}"]
    told += [
        f"COMMENT ON COLUMN {data.view}.{one.name} IS {_quoted(one.meaning)}" for one in data.fields
    ]
    return told


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
