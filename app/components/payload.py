"""The bytes as received beside the values read from them; choosing one lights the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app.components.asset import asset
from db.reads.payloads import FieldOrigin
from tower.event_difference import leaves
from tower.masking import Hidden, overlaps
from tower.numerals import natural
from tower.segments import segment_words
from tower.structure import structure

MOST_BYTES = 200_000  # of one view; a larger message is shown around its first field
MOST_FIELDS = 600
MOST_ELEMENTS = 3000

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


def placed(
    origins: Sequence[FieldOrigin], body: bytes, data: Mapping[str, Any] | None
) -> list[FieldOrigin]:
    """Origins with their bytes, also where only the path of an element is known (JSON, XML)."""
    if not any(one.offset is None and not one.rule for one in origins):
        return list(origins)
    where = {leaf.path: leaf for leaf in structure(body).leaves}
    found = []
    for one in origins:
        names = [one.field]
        if one.field == "*" and data is not None:
            names = [path for path, _ in leaves(data)]
        for name in names:
            element = one.element.replace("*", name) if one.field == "*" else one.element
            leaf = where.get(element) if one.offset is None and not one.rule else None
            if leaf is None:
                found.append(replace(one, field=name, element=element))
            else:
                at = replace(one, field=name, element=element)
                found.append(replace(at, offset=leaf.offset, length=leaf.length))
    return found


def elements(body: bytes) -> list[Mark]:
    """Every element of a payload, read or not, with the segment or row it stands in."""
    found = structure(body)
    marks: list[Mark] = []
    for leaf in found.leaves:
        end = leaf.offset + leaf.length
        if end > MOST_BYTES or len(marks) >= MOST_ELEMENTS:
            break
        value = readable(body[leaf.offset : end])
        name = leaf.name if found.format in ("x12", "edifact") else leaf.path
        marks.append(Mark(leaf.offset, leaf.length, "", (name,), value, "copied"))
    return marks


def headings(body: bytes) -> dict[int, str]:
    """Offset of the first element of each segment -> its number, tag and meaning."""
    found = structure(body)
    if found.format not in ("x12", "edifact"):
        return {}
    told: dict[int, str] = {}
    seen: set[int] = set()
    for leaf in found.leaves:
        if leaf.part not in seen:
            seen.add(leaf.part)
            tag = leaf.path.split(" ", 2)[1]
            meaning = segment_words(found.format, tag)
            told[leaf.offset] = f"{leaf.part + 1} {tag}" + (f" · {meaning}" if meaning else "")
    return told


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
    view: str = "fields",
    hidden: Sequence[Hidden] = (),
    lit: tuple[int, int] | None = None,
) -> bool:
    """Draw the payload and, beside it, what was read from it; True if it was shortened.

    ``data`` is the event's own data: fields that a rule gave are listed without bytes. ``view``:
    fields (read values), elements (all there are), canonical (the event as it is kept). ``lit`` is
    a byte range that an address points to.
    """
    known = placed(origins, body, data)
    marks = elements(body) if view == "elements" else marks_of(known, body)
    lit_mark = None
    if lit is not None:
        marks, lit_mark = _with(marks, lit, body)
    pieces, shortened = pieces_of(body, marks, media_type)
    over = headings(body) if view == "elements" else {}
    rows: list[dict[str, Any]] = [
        {
            "field": ", ".join(m.fields),
            "value": m.value
            if view == "elements" or overlaps(hidden, m.offset, m.length)
            else _said(data, m.fields[0], m.value),
            "element": m.element or f"byte {m.offset:,} + {m.length}",
            "mark": n,
            "how": m.how,
            "head": over.get(m.offset, ""),
        }
        for n, m in enumerate(marks)
    ]
    if view != "elements":
        rows += [
            {
                "field": o.field,
                "value": _said(data, o.field, ""),
                "element": o.rule or o.element,
                "mark": None,
                "how": o.how,
                "head": "",
            }
            for o in [one for one in known if one.offset is None][:MOST_FIELDS]
        ]
    _mount(
        key=key,
        data={
            "pieces": [[p.text, p.mark] for p in pieces],
            "fields": rows,
            "lit": lit_mark,
            "text": _canonical(data) if view == "canonical" else None,
        },
    )
    return shortened


def _with(marks: list[Mark], lit: tuple[int, int], body: bytes) -> tuple[list[Mark], int | None]:
    """The marks with the one that an address points to, made where no mark is there."""
    offset, length = lit
    for n, mark in enumerate(marks):
        if mark.offset <= offset < mark.offset + mark.length:
            return marks, n
    end = min(offset + length, len(body))
    if offset >= end:
        return marks, None
    kept = [m for m in marks if m.offset + m.length <= offset or m.offset >= end]
    found = Mark(offset, end - offset, "", ("found text",), readable(body[offset:end]), "copied")
    kept = sorted([*kept, found], key=lambda m: m.offset)
    return kept, kept.index(found)


def _canonical(data: Mapping[str, Any] | None) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, default=str) if data else ""


def _said(data: Mapping[str, Any] | None, path: str, otherwise: str) -> str:
    """The value at a path like ``lines[0].qty`` of the event's data."""
    value: Any = data
    for part in path.replace("]", "").replace("[", ".").split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and (place := natural(part)) is not None:
            value = value[place] if place < len(value) else None
        else:
            return otherwise
    return otherwise if value is None or isinstance(value, (Mapping, list)) else str(value)
