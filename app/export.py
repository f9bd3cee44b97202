"""Tables of screens as files that a spreadsheet opens without running anything."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from db.outward import csv_file, excel_file
from tower.spreadsheets import safe


def csv_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """UTF-8 with a mark that makes Excel read it as such; every cell quoted."""
    out = io.BytesIO()
    csv_file.write(out, tuple(columns), zip(*columns.values(), strict=True))
    return out.getvalue()


def excel_bytes(columns: Mapping[str, Sequence[Any]], title: str) -> bytes:
    """A workbook with one sheet; texts are typed as texts, numbers and days as such."""
    out = io.BytesIO()
    excel_file.write(out, tuple(columns), zip(*columns.values(), strict=True), title)
    return out.getvalue()


__all__ = ["csv_bytes", "excel_bytes", "safe"]
