"""The bytes as received beside the values read from them; choosing one lights the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components.asset import asset
from db.reads.payloads import FieldOrigin

MOST_BYTES = 200_000  # of one view; a larger message is shown around its first field
MOST_FIELDS = 600

_mount = st.components.v2.component(
    "tower_payload",
    html='<div class="grid"><pre class="raw" tabindex="0"></pre><div class="fields"></div></div>',
    css=asset("payload.css"),
    js=asset("payload.js"),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the payload: its text, and the number of the value it holds (None: no value)."""

    text: str
    mark: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """One byte range and every field that was read from it."""

    offset: int
    length: int
    element: str
    fields: tuple[str, ...]
    value: str
    how: str


def marks_of(origins: Sequence[FieldOrigin], body: bytes) -> list[Mark]:
    """Byte ranges in the order of the payload; fields of the same range together.

    Ranges that overlap without being equal cannot both be lit: the one that begins first, and of
    those the shortest, is kept.
    """
    ranges: dict[tuple[int, int], list[FieldOrigin]] = {}
    for found in origins:
        if found.offset is not None and found.length:
            ranges.setdefault((found.offset, found.length), []).append(found)
    kept: list[Mark] = []
    end = 0
    for (offset, length), group in sorted(ranges.items()):
        if offset < end or offset + length > len(body) or len(kept) >= MOST_FIELDS:
            continue
        end = offset + length
        kept.append(
            Mark(
                offset,
                length,
                group[0].element,
                tuple(dict.fromkeys(o.field for o in group)),
                readable(body[offset:end]),
                group[0].how,
            )
        )
    return kept


def pieces_of(body: bytes, marks: Sequence[Mark], media_type: str) -> tuple[list[Piece], bool]:
    """The payload cut at its marks, and whether it was shortened.

    EDI without line ends gets one after each segment, in the view only: offsets are untouched.
    """
    limit = min(len(body), MOST_BYTES)
    terminator = _segment_end(body, media_type)
    pieces: list[Piece] = []
    at = 0
    for number, mark in enumerate(marks):
        if mark.offset + mark.length > limit:
            break
        if mark.offset > at:
            pieces.append(Piece(_broken(body[at : mark.offset], terminator), None))
        pieces.append(Piece(readable(body[mark.offset : mark.offset + mark.length]), number))
        at = mark.offset + mark.length
    if at < limit:
        pieces.append(Piece(_broken(body[at:limit], terminator), None))
    return pieces, limit < len(body)


def readable(raw: bytes) -> str:
    """Text for people: UTF-8, else Latin-1; control characters as pictures of themselves."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(
        c if c in "\n\r\t" or (ord(c) >= 32 and ord(c) != 127) else chr(0x2400 + ord(c) % 0x21)
        for c in text
    )


def _segment_end(body: bytes, media_type: str) -> bytes | None:
    """The segment terminator to break lines after, if the payload is EDI without line ends."""
    if body[:3] == b"ISA" and len(body) > 106:
        end = body[105:106]
        return None if end in b"\r\n" or body[106:107] in (b"\r", b"\n") else end
    if body[:3] in (b"UNA", b"UNB"):
        end = body[8:9] if body[:3] == b"UNA" else b"'"
        return None if body.find(end + b"\n") >= 0 or body.find(end + b"\r") >= 0 else end
    return None


def _broken(raw: bytes, terminator: bytes | None) -> str:
    text = readable(raw)
    if terminator is None:
        return text
    end = readable(terminator)
    return text.replace(end, end + "\n")


def payload(
    body: bytes,
    origins: Sequence[FieldOrigin],
    data: Mapping[str, Any] | None,
    media_type: str,
    *,
    key: str,
) -> bool:
    """Draw payload and fields side by side; True if the payload was shortened.

    ``data`` is the event's own data: fields that a rule gave are listed without bytes.
    """
    marks = marks_of(origins, body)
    pieces, shortened = pieces_of(body, marks, media_type)
    ruled = [o for o in origins if o.offset is None]
    rows: list[dict[str, Any]] = [
        {
            "field": ", ".join(m.fields),
            "value": _said(data, m.fields[0], m.value),
            "element": m.element,
            "mark": n,
            "how": m.how,
        }
        for n, m in enumerate(marks)
    ]
    rows += [
        {
            "field": o.field,
            "value": _said(data, o.field, ""),
            "element": o.rule or o.element,
            "mark": None,
            "how": o.how,
        }
        for o in ruled[:MOST_FIELDS]
    ]
    _mount(
        key=key,
        data={"pieces": [[p.text, p.mark] for p in pieces], "fields": rows},
    )
    return shortened


def _said(data: Mapping[str, Any] | None, path: str, otherwise: str) -> str:
    """The value at a path like ``lines[0].qty`` of the event's data."""
    value: Any = data
    for part in path.replace("]", "").replace("[", ".").split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return otherwise
    return otherwise if value is None or isinstance(value, (Mapping, list)) else str(value)
