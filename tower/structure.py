"""The parts of a payload with their byte ranges, whatever its format: for showing, comparing and
masking, never for meaning.

Interpreters read what the business needs; here every value of the bytes has a place, read or not.
Broken input gives the parts up to where it broke and never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Format = Literal["x12", "edifact", "json", "xml", "csv", "text"]

MOST_BYTES = 2_000_000  # looked into; what lies behind has no parts
MOST_LEAVES = 50_000


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value: where it stands and what it is called there.

    path    its place ("3 PO1 PO104", "$.lines[0].qty", "row 3 price", "/Order/Line[2]/@id")
    name    what tells its meaning: segment and element ("PO104"), key, column, tag
    part    number of the segment, row or line that it stands in, from 0
    """

    path: str
    name: str
    part: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Structure:
    """A payload as parts: ``parts`` are (tag, offset, length) of its segments, rows or lines."""

    format: Format
    parts: tuple[tuple[str, int, int], ...]
    leaves: tuple[Leaf, ...]


def structure(body: bytes) -> Structure:
    """The parts of a payload; the format is told by its first signs."""
    head = body[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    found: Format
    looked = body[:MOST_BYTES]
    if head.startswith(b"ISA") and len(body) > 106:
        found, read = "x12", _x12(looked)
    elif head.startswith((b"UNA", b"UNB")):
        found, read = "edifact", _edifact(looked)
    elif head.startswith((b"{", b"[")):
        found, read = "json", _json(looked)
    elif head.startswith(b"<"):
        found, read = "xml", _xml(looked)
    elif (separator := _separator(head)) is not None:
        found, read = "csv", _csv(looked, separator)
    else:
        found, read = "text", iter(())
    parts: list[tuple[str, int, int]] = []
    leaves: list[Leaf] = []
    for one in read:
        if isinstance(one, Leaf):
            leaves.append(one)
            if len(leaves) >= MOST_LEAVES:
                break
        else:
            parts.append(one)
    if not parts:
        parts = [*_lines(looked)]
    return Structure(found, tuple(parts), tuple(leaves))


_Read = Iterator[tuple[str, int, int] | Leaf]


def _lines(body: bytes) -> Iterator[tuple[str, int, int]]:
    at = 0
    for line in body.splitlines(keepends=True):
        yield "", at, len(line.rstrip(b"\r\n"))
        at += len(line)


def _x12(body: bytes) -> _Read:
    start = body.find(b"ISA")
    element, component, end = body[start + 3 : start + 4], body[start + 104 : start + 105], b""
    end = body[start + 105 : start + 106]
    number, at = 0, start
    while at < len(body):
        stop = body.find(end, at)
        stop = len(body) if stop < 0 else stop
        begin = at + (len(body[at:stop]) - len(body[at:stop].lstrip(b"\r\n \t")))
        segment = body[begin:stop]
        at = stop + 1
        if not segment:
            continue
        tag, place = "", begin
        for n, value in enumerate(segment.split(element)):
            if n == 0:
                tag = value.decode("latin-1")[:3]
                yield tag, begin, len(segment)
            elif value.strip():
                name = f"{tag}{n:02d}"
                if component in value and tag != "ISA":
                    yield from _components(value, component, name, number, place, tag)
                else:
                    yield Leaf(f"{number + 1} {tag} {name}", name, number, place, len(value))
            place += len(value) + 1
        number += 1


def _components(
    value: bytes, separator: bytes, name: str, number: int, place: int, tag: str
) -> Iterator[Leaf]:
    for m, part in enumerate(value.split(separator)):
        if part:
            inner = f"{name}-{m + 1}"
            yield Leaf(f"{number + 1} {tag} {inner}", inner, number, place, len(part))
        place += len(part) + 1


def _edifact(body: bytes) -> _Read:
    start = max(body.find(b"UN"), 0)
    component, element, release, end = b":", b"+", b"?", b"'"
    if body[start : start + 3] == b"UNA":
        signs = body[start + 3 : start + 9]
        component, element, release, end = signs[0:1], signs[1:2], signs[3:4], signs[5:6]
        yield "UNA", start, 9
        start += 9
    if len({component, element, release, end}) < 4 or b"" in (component, element, end):
        return
    release = release if release.strip() else b"\x00"  # a blank means that there is none
    any_ = rb"(?:[^" + re.escape(release + end) + rb"]|" + re.escape(release) + rb".)*"
    piece = rb"(?:[^" + re.escape(release + element) + rb"]|" + re.escape(release) + rb".)*"
    inner = rb"(?:[^" + re.escape(release + component) + rb"]|" + re.escape(release) + rb".)*"
    number = 0
    for found in re.finditer(any_, body[start:], re.DOTALL):
        text = found.group()
        segment = text.lstrip(b"\r\n \t")
        begin = start + found.start() + len(text) - len(segment)
        if not segment:
            continue
        tag = ""
        n = 0
        for one in re.finditer(piece, segment, re.DOTALL):
            if one.start() and segment[one.start() - 1 : one.start()] != element:
                continue
            value, place = one.group(), begin + one.start()
            if n == 0:
                tag = value.split(component)[0].decode("latin-1")[:3]
                yield tag, begin, len(segment)
            else:
                name = f"{tag}{n:02d}"
                m = 0
                for two in re.finditer(inner, value, re.DOTALL):
                    if two.start() and value[two.start() - 1 : two.start()] != component:
                        continue
                    m += 1
                    if two.group():
                        full = f"{name}-{m}"
                        yield Leaf(
                            f"{number + 1} {tag} {full}",
                            full,
                            number,
                            place + two.start(),
                            len(two.group()),
                        )
            n += 1
        number += 1


_JSON = re.compile(rb'"((?:[^"\\]|\\.)*)"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)


_BARE = re.compile(rb"-?[0-9.eE+-]+|true|false|null")


def _json(body: bytes) -> _Read:
    """Every value that is no object or list; strings without their quotes."""
    stack: list[list[str | int | None]] = []  # [kind, key or index]
    key: str | None = None
    line_starts = _line_starts(body)
    line = 0
    ready = True  # a value may come; what follows a value without a comma is no JSON any more
    for found in _JSON.finditer(body):
        sign = found.group()
        if sign in (b"{", b"["):
            stack.append(["o", None] if sign == b"{" else ["a", 0])
            key = None
            ready = True
        elif sign in (b"}", b"]"):
            if stack:
                stack.pop()
            key = None
            ready = not stack  # JSON lines: the next object stands by itself
        elif sign == b",":
            ready = True
            if stack and stack[-1][0] == "a":
                index = stack[-1][1]
                stack[-1][1] = (index if isinstance(index, int) else 0) + 1
            elif stack:
                stack[-1][1] = None
        elif sign == b":":
            if stack and stack[-1][0] == "o":
                stack[-1][1] = key
        else:
            string = sign.startswith(b'"')
            if not ready or not (string or _BARE.fullmatch(sign)):
                return
            if string and stack and stack[-1][0] == "o" and stack[-1][1] is None:
                key = found.group(1).decode("utf-8", "replace")
                continue
            ready = False
            offset = found.start() + 1 if string else found.start()
            length = len(sign) - 2 if string else len(sign)
            if length <= 0:
                continue
            while line + 1 < len(line_starts) and line_starts[line + 1] <= offset:
                line += 1
            yield Leaf(_json_path(stack), _last_key(stack), line, offset, length)


def _json_path(stack: Sequence[Sequence[str | int | None]]) -> str:
    return "$" + "".join(
        f"[{one[1]}]" if one[0] == "a" else f".{one[1]}" for one in stack if one[1] is not None
    )


def _last_key(stack: Sequence[Sequence[str | int | None]]) -> str:
    return next((str(one[1]) for one in reversed(stack) if one[0] == "o" and one[1]), "")


def _line_starts(body: bytes) -> list[int]:
    return [0, *(m.end() for m in re.finditer(rb"\n", body))]


_XML = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[(?P<cdata>.*?)\]\]>|<\?.*?\?>|<![^>]*>|</(?P<close>[^\s>]+)\s*>|"
    rb"<(?P<open>[^\s/>!?]+)(?P<attrs>(?:[^>\"']|\"[^\"]*\"|'[^']*')*?)(?P<empty>/?)>|(?P<text>[^<]+)",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(rb"([^\s=\"'<>/]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


def _xml(body: bytes) -> _Read:
    path: list[str] = []
    counts: list[dict[str, int]] = [{}]
    line_starts = _line_starts(body)
    line = 0
    for found in _XML.finditer(body):
        while line + 1 < len(line_starts) and line_starts[line + 1] <= found.start():
            line += 1
        if found["open"] is not None:
            tag = found["open"].decode("utf-8", "replace")
            counts[-1][tag] = counts[-1].get(tag, 0) + 1
            nth = counts[-1][tag]
            path.append(tag if nth == 1 else f"{tag}[{nth}]")
            for one in _ATTRIBUTE.finditer(found["attrs"]):
                group = 2 if one[2] is not None else 3
                name = one[1].decode("utf-8", "replace")
                if one[group] and not name.startswith("xmlns"):
                    offset = found.start("attrs") + one.start(group)
                    yield Leaf(f"/{'/'.join(path)}/@{name}", name, line, offset, len(one[group]))
            if found["empty"]:
                path.pop()
            else:
                counts.append({})
        elif found["close"] is not None:
            if path:
                path.pop()
                counts.pop()
        else:
            name_of = "cdata" if found["cdata"] is not None else "text"
            value = found[name_of]
            if value is not None and value.strip() and path:
                begin = found.start(name_of) + len(value) - len(value.lstrip())
                last = path[-1].partition("[")[0].rpartition(":")[2]
                yield Leaf(f"/{'/'.join(path)}", last, line, begin, len(value.strip()))


_QUOTED = re.compile(rb'"[^"]*"')


def _separator(head: bytes) -> bytes | None:
    """The separator of a table: the sign that the first two lines have as often, at least once."""
    lines = [_QUOTED.sub(b"", line) for line in head.splitlines() if line.strip()][:2]
    if len(lines) < 2:
        return None
    for sign in (b";", b",", b"\t", b"|"):
        if lines[0].count(sign) and lines[0].count(sign) == lines[1].count(sign):
            return sign
    return None


def _csv(body: bytes, separator: bytes) -> _Read:
    s = re.escape(separator)
    cell = re.compile(
        rb'[ ]*"((?:[^"]|"")*)"[ ]*(' + s + rb"|\r?\n|$)|([^" + s + rb"\r\n]*)(" + s + rb"|\r?\n|$)"
    )
    columns: list[str] = []
    row, column, at, begin = 0, 0, 0, 0
    while at < len(body):
        found = cell.match(body, at)
        if found is None or found.end() == at:
            return
        group = 1 if found[1] is not None else 3
        value = found[group]
        if row == 0:
            columns.append(value.decode("utf-8", "replace").strip('\ufeff "'))
        elif value:
            name = columns[column] if column < len(columns) else f"column {column + 1}"
            yield Leaf(f"row {row + 1} {name}", name, row, found.start(group), len(value))
        at = found.end()
        stop = found[group + 1]
        column += 1
        if stop != separator:
            yield "header" if row == 0 else "row", begin, at - len(stop) - begin
            row, column, begin = row + 1, 0, at
