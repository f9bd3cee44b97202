"""Rows as an Excel workbook. Texts are typed as texts: none of them is ever a formula or a link.

Excel holds numbers with 15 digits and knows no time zones: longer numbers become texts, instants
are written in UTC. What one sheet cannot hold goes on in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from tower.spreadsheets import plain

MOST_ROWS = 1_048_575  # below the line of names
LONGEST_TEXT = 32_767
MOST_DIGITS = 15
FIRST_DAY = date(1900, 3, 1)  # before it, Excel counts days wrongly
CUT = " [cut]"

_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd hh:mm:ss",
}


def write(target: BinaryIO, names: Sequence[str], rows: Iterable[Sequence[Any]], title: str) -> int:
    """Write a workbook and close it; how many rows it holds."""
    book = Workbook(target, _OPTIONS)
    head = book.add_format({"bold": True})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    sheet: Worksheet | None = None
    count = 0
    for row in rows:
        at = count % MOST_ROWS
        if at == 0:
            sheet = _sheet(book, title, count // MOST_ROWS, names, head)
        if sheet is None:
            raise AssertionError("the first row makes a sheet")
        for place, value in enumerate(row):
            _cell(sheet, at + 1, place, value, day)
        count += 1
    if sheet is None:
        _sheet(book, title, 0, names, head)
    book.close()
    return count


def _sheet(book: Workbook, title: str, number: int, names: Sequence[str], head: Any) -> Worksheet:
    name = "".join(" " if c in "[]:*?/\\" else c for c in title)[:25]
    sheet = book.add_worksheet(name if number == 0 else f"{name} {number + 1}")
    sheet.freeze_panes(1, 0)
    for place, text in enumerate(names):
        sheet.set_column(place, place, min(max(len(text) + 2, 12), 32))
        sheet.write_string(0, place, text, head)
    return sheet


def _cell(sheet: Worksheet, row: int, place: int, value: Any, day: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, place, value)
    elif isinstance(value, (int, float, Decimal)) and _holds(value):
        sheet.write_number(row, place, value)
    elif isinstance(value, datetime) and value.date() >= FIRST_DAY:
        moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        sheet.write_datetime(row, place, moment.replace(microsecond=0))
    elif isinstance(value, date) and not isinstance(value, datetime) and value >= FIRST_DAY:
        sheet.write_datetime(row, place, datetime.combine(value, time()), day)
    else:
        text = plain(value.isoformat() if isinstance(value, date) else value)
        if len(text) > LONGEST_TEXT:
            text = text[: LONGEST_TEXT - len(CUT)] + CUT
        sheet.write_string(row, place, text)


def _holds(value: float | Decimal) -> bool:
    """Whether Excel keeps all digits of a number."""
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    return number.is_finite() and len(number.normalize().as_tuple().digits) <= MOST_DIGITS
