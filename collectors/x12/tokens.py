"""Bytes to segments: delimiters found, segments split, every element with its place in the bytes.

Splitting is left to ``bytes.split`` over windows, because a loop over characters in Python is ten
times slower; offsets of elements are worked out only when somebody asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

WINDOW = 1 << 16
"""Most bytes split at a time: large enough to be quick, small enough for a file of any size."""

FIRST_WINDOW = 1 << 11
"""It grows from here: whoever reads one set again, in a large file, stops soon."""

BLANK = b" \t\r\n\x0b\x0c\x00\x1a"
"""What may stand between segments: line ends, indentation, the end marks of old systems."""

# Offsets of the sixteen element separators in an ISA of the lengths the standard fixes.
_FIXED = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)

_ISA_REACH = 400  # no ISA is longer, however its blanks were mangled; beyond lies another segment


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The separators of one interchange.

    component is empty where ISA16 is, or where there is no ISA; repetition is None unless ISA11
    is one: from version 00402 on, and then only if it is no letter, digit or blank.
    """

    element: bytes
    terminator: bytes
    component: bytes = b""
    repetition: bytes | None = None
    fixed_width: bool = True
    odd_isa16: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A component or a repetition of an element: its bytes and where they are."""

    raw: bytes
    offset: int

    @property
    def text(self) -> str:
        return text_of(self.raw)

    @property
    def place(self) -> tuple[int, int]:
        """(offset, length) of the bytes that ``text`` gives."""
        return _inner(self.raw, self.offset)


class Segment:
    """One segment: its tag, its elements as bytes, the offset of its tag in the whole payload."""

    __slots__ = ("fields", "offset")

    def __init__(self, fields: list[bytes], offset: int) -> None:
        self.fields = fields
        self.offset = offset

    def __repr__(self) -> str:
        return f"Segment({b'|'.join(self.fields)!r} at {self.offset})"

    @property
    def tag(self) -> str:
        return text_of(self.fields[0])

    @property
    def end(self) -> int:
        """Offset just behind its last byte, where the terminator stands."""
        return self.offset + sum(map(len, self.fields)) + len(self.fields) - 1

    def text(self, element: int) -> str:
        """Element by its number in the standard (1 = first after the tag), "" if not sent."""
        fields = self.fields
        if element >= len(fields):
            return ""
        raw = fields[element]
        # Nearly all of them; asked for so often that the way round shows in the clock.
        if raw.isalnum():
            return raw.decode()
        return text_of(raw)

    def code(self, element: int) -> bytes:
        """A qualifier or other code as bytes, for comparing; b"" if not sent."""
        fields = self.fields
        return fields[element].strip() if element < len(fields) else b""

    def start(self, element: int) -> int:
        """Offset of an element; of the place where it would stand if it was not sent."""
        return self.offset + sum(map(len, self.fields[:element])) + min(element, len(self.fields))

    def place(self, element: int) -> tuple[int, int]:
        """(offset, length) of the bytes that ``text`` gives: padding is outside."""
        if element >= len(self.fields):
            return self.end, 0
        return _inner(self.fields[element], self.start(element))

    def pieces(self, element: int, separator: bytes | None) -> list[Piece]:
        """Components or repetitions of an element; the whole as one if there is no separator."""
        if element >= len(self.fields):
            return []
        raw = self.fields[element]
        offset = self.start(element)
        found = []
        for part in raw.split(separator) if separator else [raw]:
            found.append(Piece(part, offset))
            offset += len(part) + 1
        return found


def text_of(raw: bytes) -> str:
    """Text of an element without padding: UTF-8, else Latin-1 (never refused, NUL left out)."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    # A database text cannot hold NUL, and no partner means one.
    return (text if "\0" not in text else text.replace("\0", "")).strip()


def _inner(raw: bytes, offset: int) -> tuple[int, int]:
    """Place of the text without padding; of all bytes if the text left out some between."""
    if raw.isalnum():
        return offset, len(raw)
    text = text_of(raw)
    try:
        raw.decode()
        inner = text.encode()
    except UnicodeDecodeError:
        inner = text.encode("latin-1")
    at = raw.find(inner)
    return (offset + at, len(inner)) if at >= 0 else (offset, len(raw))


_CONTENT = re.compile(b"[^" + re.escape(BLANK) + b"]")
_ISA = re.compile(rb"(?<![A-Za-z0-9])ISA(?=[^A-Za-z0-9\s])")


def content(body: bytes, start: int) -> int:
    """Offset of the first byte that is not blank, or -1."""
    match = _CONTENT.search(body, start)
    return match.start() if match else -1


def find_isa(body: bytes, start: int) -> int:
    """Offset of the next thing that looks like the beginning of an interchange, or -1."""
    match = _ISA.search(body, start)
    return match.start() if match else -1


def read_isa(body: bytes, at: int) -> Delimiters | None:
    """Delimiters of the interchange that begins at ``at``; None if they cannot be found."""
    element = body[at + 3 : at + 4]
    if not element or element.isalnum() or element.isspace():
        return None
    places = _separators(body, at, element)
    fixed = places == [at + p for p in _FIXED]
    found = _after_isa16(body, places[15] + 1, element) if len(places) == 16 else None
    if found is None:
        found = _before_gs(body, at, element, places)
    if found is None:
        return None
    component, terminator, odd, behind = found
    # A terminator that never comes back was a separator of a file without terminators.
    if body.find(terminator, behind) < 0 and body[behind : behind + _ISA_REACH].strip(BLANK):
        return None
    repetition = None
    if len(places) == 16:
        version = body[places[11] + 1 : places[12]].strip()
        sign = body[places[10] + 1 : places[11]]
        if (
            version.isdigit()
            and int(version) >= 402
            and len(sign) == 1
            and not sign.isalnum()
            and not sign.isspace()
            and sign not in (element, component, terminator)
        ):
            repetition = sign
    return Delimiters(element, terminator, component, repetition, fixed, odd)


def _separators(body: bytes, at: int, element: bytes) -> list[int]:
    places: list[int] = []
    place = at + 3
    while len(places) < 16 and 0 <= place < at + _ISA_REACH:
        places.append(place)
        place = body.find(element, place + 1)
    return places


_Found = tuple[bytes, bytes, bool, int]
"""Component separator, terminator, is ISA16 odd, offset behind the terminator."""


def _after_isa16(body: bytes, at: int, element: bytes) -> _Found | None:
    """From the bytes behind separator 16, where the standard puts both signs."""
    component = body[at : at + 1]
    terminator = _sign(body, at + 1)
    if terminator and _starts_segment(body, at + 1 + len(terminator), element):
        # "...*P*~" and a line end: ISA16 was left out, and every line ends with that byte again.
        if terminator in (b"\r", b"\n"):
            line_end = body.find(terminator, at + 2)
            line = body[at + 2 : line_end if line_end >= 0 else len(body)].rstrip(b"\r\n")
            if line.endswith(component) and not component.isalnum():
                return b"", component, True, at + 1
        return component, terminator, False, at + 1 + len(terminator)
    terminator = _sign(body, at)
    if terminator and _starts_segment(body, at + len(terminator), element):
        return b"", terminator, True, at + len(terminator)
    return None


def _before_gs(body: bytes, at: int, element: bytes, places: list[int]) -> _Found | None:
    """Where the ISA does not help: the last byte that is not blank before the first GS."""
    head = re.compile(rb"(?<![A-Za-z0-9])GS" + re.escape(element)).search(body, at + 4)
    if head is None or head.start() > at + _ISA_REACH:
        return None
    before = body[at : head.start()]
    inner = before.rstrip(BLANK)
    terminator = inner[-1:] if inner and not inner[-1:].isalnum() else before[len(inner) :][:1]
    if not terminator or terminator.isalnum() or terminator == element:
        return None
    component = b""
    if len(places) == 16 and places[15] < head.start():
        component = body[places[15] + 1 : places[15] + 2]
        if component == terminator:
            component = b""
    return component, terminator, True, head.start()


def read_bare(body: bytes, at: int) -> Delimiters | None:
    """Delimiters of a file that begins with GS or ST: no ISA names them, so the segment must."""
    tag, element = body[at : at + 2], body[at + 2 : at + 3]
    if tag not in (b"GS", b"ST") or not element or element.isalnum() or element.isspace():
        return None
    last, place = (8, at) if tag == b"GS" else (2, at)
    for _ in range(last):
        place = body.find(element, place + 1, at + _ISA_REACH)
        if place < 0:
            return None
    word = re.compile(rb"[A-Za-z0-9 ]*(?:" + re.escape(element) + rb"[A-Za-z0-9 ]*)?")
    behind = word.match(body, place + 1)
    end = behind.end() if behind else place + 1
    terminator = _sign(body, end)
    return Delimiters(element, terminator) if terminator and terminator != element else None


def _sign(body: bytes, at: int) -> bytes:
    """The terminator at this place: one byte, or all bytes of one UTF-8 character; b"" if none."""
    first = body[at : at + 1]
    if not first or first.isalnum() or first == b" ":
        return b""
    if first >= b"\xc2":
        for length in (2, 3, 4):
            sign = body[at : at + length]
            try:
                if len(sign.decode()) == 1:
                    return sign
            except UnicodeDecodeError:
                continue
    return first


def _starts_segment(body: bytes, at: int, element: bytes) -> bool:
    """Does a segment begin here, behind blanks? The end of the payload counts as one."""
    rest = body[at : at + 64].lstrip(BLANK)
    return not rest or bool(re.match(rb"[A-Z][A-Z0-9]{1,2}" + re.escape(element), rest))


class Tokens:
    """The segments from ``start`` on. ``tail`` is what stood behind the last terminator, if any."""

    def __init__(self, body: bytes, start: int, delimiters: Delimiters) -> None:
        self._body = body
        self._start = start
        self._delimiters = delimiters
        self.tail: Segment | None = None

    def __iter__(self) -> Iterator[Segment]:
        body, size = self._body, len(self._body)
        element, terminator = self._delimiters.element, self._delimiters.terminator
        step = len(terminator)
        new: Callable[[type[Segment]], Segment] = object.__new__
        position, window_size = self._start, FIRST_WINDOW
        while position < size:
            cut = body.rfind(terminator, position, position + window_size)
            window_size = min(2 * window_size, WINDOW)
            if cut < 0:
                cut = body.find(terminator, position)
            if cut < 0:
                self.tail = _segment(body[position:].rstrip(BLANK), position, element)
                return
            offset, window = position, body[position:cut]
            returns = b"\r" in window
            for piece in window.split(terminator):
                if piece and piece[0] > 32 and not (returns and piece[-1] == 13):
                    # Filled from here: a call of its __init__ costs a fifth of the splitting.
                    segment = new(Segment)
                    segment.fields = piece.split(element)
                    segment.offset = offset
                    yield segment
                else:
                    odd = _segment(piece, offset, element)
                    if odd is not None:
                        yield odd
                offset += len(piece) + step
            position = cut + step


def _segment(piece: bytes, offset: int, element: bytes) -> Segment | None:
    inner = piece.lstrip(BLANK)
    if not inner:
        return None
    return Segment(inner.removesuffix(b"\r").split(element), offset + len(piece) - len(inner))
