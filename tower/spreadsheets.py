"""Values as cells that a spreadsheet opens without running anything.

A spreadsheet takes a text that begins with = + - @ as a formula, also after a line break or a
separator within the cell. Such texts get an apostrophe in front; numbers stay numbers.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

_DANGEROUS = "=+-@\t\r\uff1d\uff0b\uff0d\uff20"  # the last four are their full-width twins
_BEGINS = re.compile(rf'(^|[,;|\t\r\n"\'])(?=[{re.escape(_DANGEROUS)}])')


def safe(text: str) -> str:
    """The text with an apostrophe wherever a formula could begin."""
    stripped = text.lstrip(" \u00a0")
    if stripped != text and stripped[:1] in _DANGEROUS and stripped:
        text = f"'{text}"
    return _BEGINS.sub(r"\1'", text)


def cell(value: Any) -> str:
    """A value as the text of a cell in a file of separated values."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return safe(plain(value))


def plain(value: Any) -> str:
    """A text as it is; lists and mappings as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value)
