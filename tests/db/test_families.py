"""Rows of documents as they are written: every column has its place, every text comes back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import families, staging
from db.tables import document
from tower.documents import HEADER_OF
from tower.rows import COLUMNS, OF_HEADER, blank
from tower.timelines import stamp

_BACK = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def read(field: str) -> str | None:
    """A field of a COPY line as the server takes it."""
    if field == staging.NULL:
        return None
    return re.sub(r"\\.", lambda found: _BACK[found[0]], field)


def test_every_column_belongs_to_a_kind() -> None:
    told = {name for names in COLUMNS.values() for name in names}
    written = {"home_key", "rev", "state", "partner_id"}
    assert told | written == {column.name for column in document.c}
    for kind, names in OF_HEADER.items():
        assert set(names) <= set(COLUMNS[kind]) & set(COLUMNS[HEADER_OF[kind]])


@pytest.mark.parametrize("kind", sorted(COLUMNS))
def test_nothing_said_is_null(kind: str) -> None:
    fields = _written(kind, blank(kind, "main", "1"))
    assert {name: value for name, value in fields.items() if value is not None} == {
        "kind": kind, "scope": "main", "number": "1", "line": "", "known": "f", "reports": "{}",
    }  # fmt: skip


@given(text=st.text().map(staging.storable), at=st.integers(0, 1 << 50))
def test_what_is_said_comes_back(text: str, at: int) -> None:
    row = blank("po_line", text, "1") | {
        "item": text, "uom": "EA", "last_event_at": at, "closed": True, "price": "2.5",
        "reports": {"wms": {"received_qty": ["1", "x\\"]}, "erp": {}},
    }  # fmt: skip
    fields = _written("po_line", row)
    assert (fields["scope"], fields["item"], fields["uom"]) == (text, text, "EA")
    assert (fields["last_event_at"], fields["closed"]) == (stamp(at), "t")
    assert fields["price"] == "2.5"
    assert fields["reports"] == r'{"erp":{},"wms":{"received_qty":["1","x\\"]}}'


def _written(kind: str, row: dict[str, Any]) -> dict[str, str | None]:
    layout = families._LAYOUTS[kind]
    names = layout.columns.split(", ")[4:]
    fields = f"{layout.shared(row)}\t{layout.own(row)}".split("\t")
    return dict(zip(names, map(read, fields), strict=True))
