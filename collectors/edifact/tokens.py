"""Bytes to segments: service characters found, segments split, each element with its place.

Splitting is left to ``bytes.split`` over windows, because a loop over characters in Python is far
slower. What the release character protects is put together again; components and offsets are worked
out only when somebody asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

WINDOW = 1 << 16
"""Most bytes split at a time: quick enough, and small enough for an interchange of any size."""

FIRST_WINDOW = 1 << 11
"""It grows from here: whoever reads one message again, in a large file, stops soon."""

BLANK = b" \t\r\n\x0b\x0c\x00\x1a"
"""What may stand between segments: line ends, indentation, the end marks of old systems."""

LF, CR = 10, 13

BOM = b"\xef\xbb\xbf"

CHARACTER_SETS = {  # ISO 9735, 0001: the repertoire named in UNB
    b"UNOA": "ascii",
    b"UNOB": "ascii",
    b"UNOC": "iso8859-1",
    b"UNOD": "iso8859-2",
    b"UNOE": "iso8859-5",
    b"UNOF": "iso8859-7",
    b"UNOG": "iso8859-3",
    b"UNOH": "iso8859-4",
    b"UNOI": "iso8859-6",
    b"UNOJ": "iso8859-8",
    b"UNOK": "iso8859-9",
    b"UNOW": "utf-8",
    b"UNOX": "iso2022_jp_2",
    b"UNOY": "utf-8",
    b"KECA": "euc_kr",
    b"IATA": "ascii",
    b"IATB": "ascii",
}

_SHIFTING = "iso2022_jp_2"  # its bytes are ASCII and mean something else between escapes
_LEFT_OUT = {0: None, 10: None, 13: None}  # NUL, LF, CR

_REACH = 2048  # no UNB is longer; beyond lies another segment
_UNB = re.compile(rb"(?<![A-Za-z0-9])UN(?:A[^A-Za-z0-9]|B[^A-Za-z0-9\s])")
_CONTENT = re.compile(b"[^" + re.escape(BLANK) + b"]")
_LINE_ENDS = re.compile(rb"[\r\n]+")


@dataclass(frozen=True, slots=True)
class Signs:
    """The service characters and the character set of one interchange.

    release is b"" where there is none; repetition is None before syntax version 4. ``codec`` is
    that of the repertoire in UNB; text that it does not know is read as UTF-8, else as Latin-1.
    """

    component: bytes = b":"
    element: bytes = b"+"
    release: bytes = b"?"
    terminator: bytes = b"'"
    repetition: bytes | None = None
    codec: str = "utf-8"
    escape: int | None = field(init=False, repr=False)
    """The byte of ``release``: an int is sought in bytes eight times as quickly as bytes are."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "escape", self.release[0] if self.release else None)

    def split(self, raw: bytes, separator: bytes) -> list[bytes]:
        """The parts between separators; a released separator does not part."""
        parts = raw.split(separator)
        if self.escape is None or self.escape not in raw:
            return parts
        return list(_joined(parts, separator, self.release))

    def text(self, raw: bytes) -> str:
        """Text of a component: released, without line ends, NUL and padding; never refused."""
        if self.escape is not None and self.escape in raw:
            raw = _unreleased(raw, self.release)
        if raw.isascii() and self.codec != _SHIFTING:
            text = raw.decode()
        else:
            text = _decoded(raw, self.codec)
        # No repertoire has line ends: where one stands, the line was only wrapped.
        return text.strip() if text.isprintable() else text.translate(_LEFT_OUT).strip()

    def place(self, raw: bytes, offset: int) -> tuple[int, int]:
        """Place of the text without padding."""
        inner = raw.lstrip(BLANK)
        return offset + len(raw) - len(inner), len(inner.rstrip(BLANK))


def _joined(parts: list[bytes], separator: bytes, release: bytes) -> Iterator[bytes]:
    """Parts, those whose separator was released put together again."""
    pending: list[bytes] = []
    for part in parts:
        if part.endswith(release) and (len(part) - len(part.rstrip(release))) % 2:
            pending.append(part)
        elif pending:
            pending.append(part)
            yield separator.join(pending)
            pending = []
        else:
            yield part
    if pending:
        yield separator.join(pending)


def _unreleased(raw: bytes, release: bytes) -> bytes:
    """Without release characters; a doubled one stands for itself."""
    return release.join([part.replace(release, b"") for part in raw.split(release * 2)])


def _decoded(raw: bytes, codec: str) -> str:
    for name in (codec, "utf-8"):
        try:
            return raw.decode(name)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


_CODES: dict[bytes, str] = {}
"""Short codes as text, so that the same bytes need not be decoded again and again."""


class Segment:
    """One segment: its tag, its elements as bytes, the offset of its tag in the whole payload.

    ``shift`` is how many bytes of a wrapped tag were left out of ``fields[0]``.
    """

    __slots__ = ("_split", "_taken", "fields", "offset", "shift", "signs")

    def __init__(self, fields: list[bytes], offset: int, signs: Signs, shift: int = 0) -> None:
        self.fields = fields
        self.offset = offset
        self.signs = signs
        self.shift = shift
        self._taken = -1  # the element whose components were asked for last

    def __repr__(self) -> str:
        return f"Segment({b'+'.join(self.fields)!r} at {self.offset})"

    @property
    def tag(self) -> str:
        return self.signs.text(self.fields[0])

    @property
    def end(self) -> int:
        """Offset just behind its last byte, where the terminator stands."""
        return self.offset + self.shift + sum(map(len, self.fields)) + len(self.fields) - 1

    def text(self, element: int, component: int = 1) -> str:
        """Component of an element by their numbers (1 = first), "" if not sent.

        Of a repeated element the first one.
        """
        fields = self.fields
        if element >= len(fields):
            return ""
        raw = fields[element]
        # A plain element is nearly always meant; asked for so often that the way round shows.
        if raw.isalnum() and component == 1:
            return raw.decode()
        if not raw:
            return ""
        parts = self._split if element == self._taken else self._taking(element, raw)
        if component > len(parts):
            return ""
        raw = parts[component - 1]
        if raw.isalnum():
            return raw.decode()
        return self.signs.text(raw) if raw else ""

    def code(self, element: int) -> str:
        """A qualifier or other code: the first component of an element."""
        fields = self.fields
        if element >= len(fields):
            return ""
        raw = fields[element].partition(self.signs.component)[0]
        return _CODES.get(raw) or self._remembered(raw, element)

    def _remembered(self, raw: bytes, element: int) -> str:
        text = self.text(element)
        if len(raw) <= 3 and raw.isalnum() and len(_CODES) < 4096:
            _CODES[raw] = text
        return text

    def _taking(self, element: int, raw: bytes) -> list[bytes]:
        """The components of an element, kept until another element is asked for."""
        signs = self.signs
        if signs.repetition is None and (signs.escape is None or signs.escape not in raw):
            parts = raw.split(signs.component)
        else:
            parts = self._parts(element)
        self._split = parts
        self._taken = element
        return parts

    def raw(self, element: int, component: int) -> bytes:
        """The bytes of a component as sent, b"" if not sent."""
        fields = self.fields
        if element >= len(fields) or not fields[element]:
            return b""
        kept = element == self._taken
        parts = self._split if kept else self._taking(element, fields[element])
        return parts[component - 1] if component <= len(parts) else b""

    def count(self, element: int) -> int:
        """How many components an element has; 0 if it was not sent."""
        if element >= len(self.fields) or not self.fields[element]:
            return 0
        return len(self._parts(element))

    def place(self, element: int, component: int = 0) -> tuple[int, int]:
        """(offset, length) of the bytes that ``text`` gives; component 0 is the whole element."""
        if element >= len(self.fields):
            return self.end, 0
        offset = self._start(element)
        if not component:
            return self.signs.place(self.fields[element], offset)
        parts = self._parts(element)
        if component > len(parts):
            return offset + len(self.fields[element]), 0
        offset += sum(map(len, parts[: component - 1])) + component - 1
        return self.signs.place(parts[component - 1], offset)

    def _start(self, element: int) -> int:
        before = sum(map(len, self.fields[:element])) + element
        return self.offset + (self.shift if element else 0) + before

    def _parts(self, element: int) -> list[bytes]:
        signs, raw = self.signs, self.fields[element]
        if signs.repetition is not None and signs.repetition in raw:
            raw = signs.split(raw, signs.repetition)[0]
        parts = raw.split(signs.component)
        if signs.escape is None or signs.escape not in raw:
            return parts
        return list(_joined(parts, signs.component, signs.release))


# --- where an interchange begins ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beginning:
    """Service characters at the head of an interchange.

    at         offset of UNB, or of what stands in its place
    una        the six characters as sent, b"" if there is no UNA
    odd        the UNA is not nine bytes long, or other signs are used without one
    """

    at: int
    signs: Signs
    una: bytes = b""
    odd: bool = False


def content(body: bytes, start: int) -> int:
    """Offset of the first byte that is not blank, or -1."""
    match = _CONTENT.search(body, start)
    return match.start() if match else -1


def find_interchange(body: bytes, start: int) -> int:
    """Offset of the next thing that looks like UNA or UNB, or -1."""
    match = _UNB.search(body, start)
    return match.start() if match else -1


def read_beginning(body: bytes, at: int) -> Beginning | None:
    """Signs of the interchange that begins at ``at`` with UNA, UNB, UNG or UNH.

    None if they cannot be found.
    """
    una, odd, begin = b"", False, at
    if body.startswith(b"UNA", at):
        found = _read_una(body, at)
        if found is None:
            return None
        una, begin, odd = found
        component, element, release = una[0:1], una[1:2], una[3:4]
        signs = Signs(component, element, release.strip(), una[5:6])
    else:
        signs = Signs()
        element = body[at + 3 : at + 4]
        if element != b"+":
            other = _without_una(body, at, element)
            if other is None:
                return None
            signs, odd = other, element != b"\x1d"
    if not _distinct(signs):
        return None
    return Beginning(begin, _named_in_unb(body, begin, signs, una), una, odd)


def _read_una(body: bytes, at: int) -> tuple[bytes, int, bool] | None:
    """(six characters, offset of the next segment, is it odd)."""
    for size in (6, 5):  # some leave out the reserved blank
        begin = content(body, at + 3 + size)
        signs = body[at + 3 : at + 3 + size]
        if len(signs) == size and begin >= 0 and re.match(rb"UN[BGH]", body[begin : begin + 3]):
            if size == 5:
                signs = signs[:4] + b" " + signs[4:]
            return signs, begin, size == 5
    return None


def _without_una(body: bytes, at: int, element: bytes) -> Signs | None:
    """Signs of an interchange that uses others than the default without saying so in a UNA."""
    if element == b"\x1d":  # the separators of level B in the first versions of the syntax
        return Signs(b"\x1f", b"\x1d", b"", b"\x1c")
    if not element or element.isalnum() or element.isspace() or not body.startswith(b"UNB", at):
        return None
    component = body[at + 8 : at + 9]  # behind the four letters of the repertoire
    head = re.compile(rb"UN[GH]" + re.escape(element)).search(body, at + 4, at + _REACH)
    if head is None or component.isalnum():
        return None
    terminator = body[at : head.start()].rstrip(BLANK)[-1:]
    return Signs(component, element, b"?", terminator)


def _distinct(signs: Signs) -> bool:
    used = [signs.component, signs.element, signs.terminator]
    if signs.release:
        used.append(signs.release)
    return all(len(sign) == 1 and not sign.isalnum() for sign in used) and len(set(used)) == len(
        used
    )


def _named_in_unb(body: bytes, at: int, signs: Signs, una: bytes) -> Signs:
    """The same signs with the repertoire of UNB 0001 and the repetition sign of version 4."""
    codec, repetition = signs.codec, signs.repetition
    if body.startswith(b"UNB", at):
        syntax = body[at + 4 : at + 12].split(signs.element)[0].split(signs.terminator)[0]
        name, _, version = syntax.partition(signs.component)
        codec = CHARACTER_SETS.get(name.strip(), "utf-8")
        if version[:1] >= b"4" and version[:1].isdigit():
            sign = una[4:5] if una else b"*"
            taken = (signs.component, signs.element, signs.release, signs.terminator)
            if sign.strip() and not sign.isalnum() and sign not in taken:
                repetition = sign
    if body.startswith(BOM):
        codec = "utf-8"  # whoever wrote this mark wrote UTF-8, whatever UNB says
    return Signs(signs.component, signs.element, signs.release, signs.terminator, repetition, codec)


# --- segments -------------------------------------------------------------------------------------


class Tokens:
    """The segments from ``start`` on.

    tail     what stood behind the last terminator, if anything
    foreign  offset of the first bytes that the character set does not have, -1 if there are none
    """

    def __init__(self, body: bytes, start: int, signs: Signs) -> None:
        self._body = body
        self._start = start
        self._signs = signs
        self.tail: Segment | None = None
        self.foreign = -1

    def __iter__(self) -> Iterator[Segment]:
        body, size, signs = self._body, len(self._body), self._signs
        element, terminator, release = signs.element, signs.terminator, signs.release
        escape = signs.escape
        new: Callable[[type[Segment]], Segment] = object.__new__
        position = begun = self._start
        window_size = FIRST_WINDOW
        pending: list[bytes] = []  # what was split at a released terminator
        while position < size:
            cut = body.rfind(terminator, position, position + window_size)
            window_size = min(2 * window_size, WINDOW)
            if cut < 0:
                cut = body.find(terminator, position)
            if cut < 0:
                break
            window = body[position:cut]
            if self.foreign < 0 and not window.isascii():
                self._check(window, position)
            offset = position
            for piece in window.split(terminator):
                offset += len(piece) + 1
                if not pending and (escape is None or escape not in piece):
                    inner = piece.lstrip(BLANK)
                    if not inner:
                        continue
                    if LF in inner or CR in inner:
                        yield _wrapped(inner, offset - 1 - len(inner), signs)
                        continue
                    # Filled from here: a call of its __init__ takes as long as the splitting.
                    segment = new(Segment)
                    segment.fields = inner.split(element)
                    segment.offset = offset - 1 - len(inner)
                    segment.signs = signs
                    segment.shift = 0
                    segment._taken = -1
                    yield segment
                    continue
                start = offset - 1 - len(piece)
                if pending or piece.endswith(release):
                    begun = start if not pending else begun
                    pending.append(piece)
                    if _is_released(piece, release):
                        continue
                    piece, start, pending = terminator.join(pending), begun, []
                inner = piece.lstrip(BLANK)
                if not inner:
                    continue
                start += len(piece) - len(inner)
                if LF in inner or CR in inner:
                    yield _wrapped(inner, start, signs)
                else:
                    yield Segment(signs.split(inner, element), start, signs)
            position = cut + 1
        rest = body[position:]
        if pending:
            rest, position = terminator.join([*pending, rest]), begun
        inner = rest.lstrip(BLANK)
        if inner:
            position += len(rest) - len(inner)
            self.tail = _wrapped(inner.rstrip(BLANK), position, signs)

    def _check(self, window: bytes, position: int) -> None:
        try:
            window.decode(self._signs.codec)
        except UnicodeDecodeError as error:
            self.foreign = position + error.start


def _is_released(piece: bytes, release: bytes) -> bool:
    """Does a release character protect the terminator behind these bytes?"""
    return bool(release) and (len(piece) - len(piece.rstrip(release))) % 2 == 1


def _wrapped(inner: bytes, offset: int, signs: Signs) -> Segment:
    """A segment that a line end may run through."""
    fields = signs.split(inner, signs.element)
    tag = _LINE_ENDS.sub(b"", fields[0])
    shift = len(fields[0]) - len(tag)
    fields[0] = tag
    return Segment(fields, offset, signs, shift)
