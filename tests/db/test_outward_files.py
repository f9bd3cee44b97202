"""Rows as files, read back by parsers that are not ours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest

from db.outward import excel_file, parquet_file
from db.outward.fields import Field
from tower.errors import ConfigError

ATTACKS = ["=1+1", "+1", "-2+3", "@SUM(A1)", '=HYPERLINK("http://x.example","y")', "\t=1",
           "http://x.example", "12.50", "x\x07y", "{=1}"]  # fmt: skip


def opened(rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> Any:
    out = io.BytesIO()
    assert excel_file.write(out, names, rows, "a/b: c") == len(rows)
    return openpyxl.load_workbook(io.BytesIO(out.getvalue()))


def test_texts_are_texts_in_a_workbook_and_never_formulas_or_links() -> None:
    sheet = opened([(text,) for text in ATTACKS], ("note",)).active
    found = [sheet.cell(row, 1) for row in range(2, len(ATTACKS) + 2)]
    assert {cell.data_type for cell in found} == {"s"}
    assert not any(cell.hyperlink for cell in found)
    assert [cell.value for cell in found][:7] == ATTACKS[:7]


def test_numbers_days_and_instants_are_typed_in_a_workbook() -> None:
    at = datetime(2026, 3, 1, 9, 30, 5, 999, tzinfo=UTC)
    row = (Decimal("-12.50"), 3, date(2026, 3, 1), at, True, None,
           Decimal("12345678901234567.89"), date(1800, 1, 1), {"a": [1]}, "y" * 40_000)  # fmt: skip
    book = opened([row], tuple("abcdefghij"))
    cells = [book.active.cell(2, n + 1).value for n in range(len(row))]
    assert cells[:6] == [-12.5, 3, datetime(2026, 3, 1), datetime(2026, 3, 1, 9, 30, 5), True, None]  # noqa: DTZ001
    assert cells[6:9] == ["12345678901234567.89", "1800-01-01", '{"a":[1]}']
    assert len(cells[9]) == 32_767
    assert cells[9].endswith("[cut]")
    assert book.sheetnames == ["a b  c"]


def test_what_one_sheet_cannot_hold_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_file, "MOST_ROWS", 2)
    book = opened([(n,) for n in range(5)], ("n",))
    assert book.sheetnames == ["a b  c", "a b  c 2", "a b  c 3"]
    values = [[c.value for c in sheet["A"]] for sheet in book.worksheets]
    assert values == [["n", 0, 1], ["n", 2, 3], ["n", 4]]


def test_parquet_keeps_types_meanings_and_every_digit() -> None:
    fields = (
        Field("qty", "", "decimal", "how many"),
        Field("at", "", "instant", "when"),
        Field("words", "", "json", "what"),
        Field("flag", "", "flag", "whether"),
    )
    at = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [(Decimal("12345678901234567.000000001"), at, {"a": 1}, None), (None,) * 4]
    fetched: list[int] = []

    def told() -> Iterator[Any]:
        for row in rows:
            fetched.append(1)
            yield row

    out = io.BytesIO()
    assert parquet_file.write(out, fields, told()) == len(fetched) == 2
    table = pq.read_table(io.BytesIO(out.getvalue()))
    assert table.column("qty")[0].as_py() == rows[0][0]
    assert table.column("at")[0].as_py() == at
    assert table.to_pylist()[0]["words"] == '{"a":1}'
    assert table.to_pylist()[1] == dict.fromkeys(("qty", "at", "words", "flag"))
    assert table.schema.field("qty").metadata == {b"meaning": b"how many"}
    empty = io.BytesIO()
    parquet_file.write(empty, fields, [])
    assert pq.read_table(io.BytesIO(empty.getvalue())).column_names == [f.name for f in fields]
    with pytest.raises(ConfigError, match="too large"):
        parquet_file.write(io.BytesIO(), fields, [(Decimal(10) ** 30, at, None, None)])
