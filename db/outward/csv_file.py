"""Rows as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from tower.spreadsheets import cell, safe


def write(target: BinaryIO, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """UTF-8 with a mark that makes Excel read it as such; every cell quoted. How many rows."""
    target.write(b"\xef\xbb\xbf")
    out = io.TextIOWrapper(target, encoding="utf-8", errors="replace", newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([safe(name) for name in names])
    count = 0
    for row in rows:
        writer.writerow([cell(value) for value in row])
        count += 1
    out.flush()
    out.detach()
    return count
