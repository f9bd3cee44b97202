"""Files that a spreadsheet opens without running anything that a partner wrote."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.export import csv_bytes, safe

ATTACKS = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    '=HYPERLINK("http://x.example","y")',
    "\t=1",
    "\r=1",
    " =1",
    "\u00a0=1",
    "\uff1d1+1",
    'a,"=1',
    "a;=1",
    "line\n=1",
    "x\t@y",
    "=",
]


def read(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", ATTACKS)
def test_an_attack_becomes_text(text: str) -> None:
    (_, (cell,)) = read(csv_bytes({"note": [text]}))
    assert cell.lstrip(" \u00a0").startswith("'") or cell[:1] not in "=+-@\t\r"
    for before, begin in pairwise(cell):
        if begin in "=+-@" and before in ',;|\t\r\n"':
            pytest.fail(f"a formula begins within {cell!r}")
    assert cell.replace("'", "") == text


@given(st.text(max_size=60))
def test_no_text_begins_as_a_formula(text: str) -> None:
    found = safe(text)
    assert found[:1] not in tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20") or not found
    assert found.replace("'", "") == text.replace("'", "")


@given(st.lists(st.text(max_size=20), max_size=6))
def test_a_parser_reads_back_as_many_cells_as_went_in(texts: list[str]) -> None:
    rows = read(csv_bytes({"a": texts, "b": texts}))
    assert len(rows) == len(texts) + 1
    assert all(len(row) == 2 for row in rows)


def test_numbers_stay_numbers_and_dates_are_iso() -> None:
    (_, row) = read(
        csv_bytes(
            {
                "money": [Decimal("-12.50")],
                "count": [-3],
                "day": [date(2026, 3, 1)],
                "at": [datetime(2026, 3, 1, 9, 30, tzinfo=UTC)],
                "none": [None],
                "flag": [True],
            }
        )
    )
    assert row == ["-12.50", "-3", "2026-03-01", "2026-03-01T09:30:00+00:00", "", "yes"]


def test_harmless_texts_are_left_alone() -> None:
    for text in ("Acme Ltd", "PO 4500001", "a-b", "5 = 5", "mail@example.com", "O'Neil"):
        assert safe(text) == text
