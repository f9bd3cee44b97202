"""An edited copy of a message beside its original: its key, and what differs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

EDIT_OF = "edit-of"
"""Header of a copy that names the raw message it was made of."""

MOST_BYTES = 1_000_000
MOST_LINES = 400


def copy_key(key: str, body: bytes) -> str:
    """Key of a copy with these bytes: the same bytes are the same copy."""
    return f"{key[:400]} edit {sha256(body).hexdigest()[:16]}"


def difference(before: bytes, after: bytes) -> tuple[str, ...]:
    """What was changed, line by line (unified diff); bytes that are no text are shown as such."""
    lines = difflib.unified_diff(
        _lines(before), _lines(after), "original", "copy", lineterm="", n=2
    )
    return tuple(line for line, _ in zip(lines, range(MOST_LINES), strict=False))


def _lines(raw: bytes) -> list[str]:
    text = raw.decode("utf-8", "backslashreplace")
    if b"\n" not in raw and raw[:3] in (b"UNA", b"UNB"):  # EDIFACT in one line
        text = text.replace("'", "'\n")
    elif b"\n" not in raw and raw[:3] == b"ISA":
        text = text.replace("~", "~\n")
    elif b"\n" not in raw and raw[:1] in (b"{", b"["):
        text = text.replace(",", ",\n")
    return text.splitlines()


def seen_mark(before: bytes, after: bytes) -> str:
    """What shows that somebody was shown exactly this difference."""
    return sha256("\n".join(difference(before, after)).encode("utf-8", "replace")).hexdigest()


_NUMBERS = (
    "erp", "supplier", "po", "purchaseOrder", "order", "asn", "receipt", "warehouse", "invoice",
    "return", "transfer", "payment",
)  # fmt: skip
_OF_A_LINE = (
    "erp", "po", "purchaseOrder", "line", "receipt", "receipt_line", "invoice", "invoice_line",
    "order", "order_line",
)  # fmt: skip


def numbers_of(told: Any) -> dict[str, str]:
    """Which documents the fields of a message speak of, by the words of the vocabulary: those of
    its head and, for each list of lines, those of its lines in any order. Also of a message whose
    fields lie under ``data``.
    """
    found: dict[str, str] = {}
    for path, part in _parts(told):
        found |= {path + name: said for name in _NUMBERS if (said := _said(part.get(name)))}
        for name, lines in part.items():
            if isinstance(lines, list | tuple) and (said := _said_of(lines)):
                found[f"the document of {path}{name}"] = said
    return found


def _parts(told: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(told, Mapping):
        yield "", told
        if isinstance(told.get("data"), Mapping):
            yield "data.", told["data"]


def _said_of(lines: Iterable[Any]) -> str:
    """The numbers of lines: "po 4500 line 10; po 4500 line 20"."""
    named = (
        " ".join(f"{name} {said}" for name in _OF_A_LINE if (said := _said(line.get(name))))
        for line in lines
        if isinstance(line, Mapping)
    )
    return "; ".join(sorted(words for words in named if words))


def _said(value: Any) -> str:
    """A number as people write it; "" for what is none."""
    return str(value).strip() if isinstance(value, str | int) else ""


def editable(body: bytes) -> str | None:
    """A payload as text that an entry field gives back byte by byte; None where it would not.

    Entry fields know one end of line alone: mixed ones would be changed unseen.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    plain = text.replace("\r\n", "\n")
    return None if "\r" in plain or ("\r\n" in text and _mixed(text)) else plain


def _mixed(text: str) -> bool:
    return text.count("\r\n") != text.count("\n")


def edited(original: bytes, text: str) -> bytes:
    """The bytes of an edited text, with the original's ends of lines."""
    plain = text.replace("\r\n", "\n")
    return (plain.replace("\n", "\r\n") if b"\r\n" in original else plain).encode("utf-8")
