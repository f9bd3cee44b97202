"""An edited copy of a message beside its original: its key, and what differs."""

from __future__ import annotations

import difflib
from hashlib import sha256

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
