"""Rows of a delimited file with the bytes each field came from.

Rows are cut out of the bytes themselves, not out of decoded text, so that every field keeps its
offset. Fields are decoded when they are read. A file in an encoding whose delimiters cannot be
found byte by byte (UTF-16) is written anew in UTF-8 first and has no offsets.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from collectors.limits import BOM
from collectors.records import Place
from tower.errors import PayloadRejected

LIKELY_DELIMITERS = (",", ";", "\t", "|", "~", "^")
MAX_COLUMNS = 2000
# Every byte below 128 stands for itself in these, also inside a longer character.
_BYTEWISE = re.compile(r"(utf-8|ascii|iso8859|cp125|cp437|cp85|cp86|koi8|mac-|latin)")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written. ``encoding`` is a name that Python knows."""

    encoding: str
    errors: str
    delimiter: str
    quote: str
    nulls: frozenset[str]


class Row(NamedTuple):
    """One row: its number as a spreadsheet counts (the header row is 1), its place, its pieces.

    ``broken`` says what is wrong with it, "" for a good one.
    """

    number: int
    offset: int
    pieces: list[bytes]
    broken: str = ""


class CsvFile:
    """The rows of one file."""

    def __init__(self, body: bytes, dialect: Dialect) -> None:
        self.dialect = dialect
        name = codecs.lookup(dialect.encoding).name
        self.has_offsets = bool(_BYTEWISE.match(name))
        start = 0
        if self.has_offsets:
            self.encoding = name.replace("-sig", "")
            start = len(BOM) if body.startswith(BOM) and name.startswith("utf-8") else 0
        else:
            body = _transcoded(body, dialect)
            self.encoding = "utf-8"
        self.body = body
        self._start = start
        self._delimiter = dialect.delimiter.encode(self.encoding)
        self._quote = dialect.quote.encode(self.encoding)
        self._newline = b"\r" if b"\n" not in body and b"\r" in body else b"\n"
        ends = re.escape(self._delimiter) + b"|" + re.escape(self._newline)
        self._field_end = re.compile(ends)
        blanks = b"[ ]*" if self._delimiter == b"\t" else b"[ \t]*"
        self._opening = re.compile(blanks + re.escape(self._quote)) if self._quote else None

    @property
    def is_empty(self) -> bool:
        return not self.body[self._start :].strip()

    def rows(self) -> Iterator[Row]:
        """All rows that hold anything, in order."""
        body, at, number = self.body, self._start, 0
        end = len(body)
        while at < end:
            number += 1
            line_end = body.find(self._newline, at)
            if line_end < 0:
                line_end = end
            line = body[at:line_end]
            if self._quote and self._quote in line:
                pieces, following, broken = self._quoted(at, line_end)
                yield Row(number, at, pieces, broken)
                at = following
                continue
            if line.strip():
                pieces = line.rstrip(b"\r").split(self._delimiter, MAX_COLUMNS)
                broken = _too_wide() if len(pieces) > MAX_COLUMNS else ""
                yield Row(number, at, pieces, broken)
            at = line_end + 1

    def _quoted(self, start: int, line_end: int) -> tuple[list[bytes], int, str]:
        """Pieces of a row with quotes, where the next row starts, what is wrong."""
        body, at, pieces = self.body, start, []
        while True:
            opening = self._opening.match(body, at) if self._opening else None
            search_from = at
            if opening is not None:
                closing = self._closing(opening.end())
                if closing < 0:
                    broken = f"a quote opened at byte {opening.end() - 1} is never closed"
                    return [body[start:line_end]], line_end + 1, broken
                search_from = closing + len(self._quote)
            ending = self._field_end.search(body, search_from)
            stop = len(body) if ending is None else ending.start()
            pieces.append(body[at:stop])
            if ending is None or ending[0] == self._newline:
                pieces[-1] = pieces[-1].rstrip(b"\r")
                return pieces, stop + 1, ""
            if len(pieces) > MAX_COLUMNS:
                return pieces, line_end + 1, _too_wide()
            at = ending.end()

    def _closing(self, at: int) -> int:
        """Where the quote closes that opened just before ``at``; doubled quotes are content."""
        quote, size = self._quote, len(self._quote)
        found = self.body.find(quote, at)
        while found >= 0 and self.body.startswith(quote, found + size):
            found = self.body.find(quote, found + 2 * size)
        return found

    def field(self, row: Row, index: int) -> tuple[bytes, int, bool]:
        """Bytes of a field without blanks and outer quotes, their offset, whether quotes inside
        are doubled.
        """
        piece = row.pieces[index]
        offset = row.offset + sum(map(len, row.pieces[:index])) + index * len(self._delimiter)
        text = piece.lstrip()
        offset += len(piece) - len(text)
        text = text.rstrip()
        quote = self._quote
        if quote and len(text) >= 2 * len(quote) and text.startswith(quote):
            closing = text.rfind(quote)
            if closing >= len(quote) and not text[closing + len(quote) :].strip():
                inner = text[len(quote) : closing]
                bare = inner.strip()
                offset += len(quote) + len(inner) - len(inner.lstrip())
                return bare, offset, quote + quote in bare
        return text, offset, False

    def text(self, row: Row, index: int) -> str:
        """The field as text; raises PayloadRejected ``undecodable`` naming byte and encoding."""
        plain = row.pieces[index].strip()
        if not (self._quote and plain.startswith(self._quote)):
            try:  # most fields: no quotes to take off, no offset to work out
                return plain.decode(self.encoding, self.dialect.errors)
            except UnicodeDecodeError:
                pass
        content, offset, doubled = self.field(row, index)
        try:
            value = content.decode(self.encoding, self.dialect.errors)
        except UnicodeDecodeError as error:
            raise PayloadRejected(
                f"byte 0x{content[error.start]:02x} at {offset + error.start} cannot be read as "
                f"{self.dialect.encoding}",
                code="undecodable",
                advice="Set encoding in the mapping to the one the file is written in (cp1252?).",
                offset=offset + error.start,
            ) from None
        return value.replace(self.dialect.quote * 2, self.dialect.quote) if doubled else value


class CsvRecord:
    """A row read by column names."""

    __slots__ = ("_columns", "_file", "row")

    def __init__(self, file: CsvFile, row: Row, columns: Mapping[str, int]) -> None:
        self._file = file
        self._columns = columns
        self.row = row

    def get(self, path: str) -> str | None:
        index = self._columns.get(column_name(path))
        if index is None or index >= len(self.row.pieces):
            return None
        value = self._file.text(self.row, index).strip()
        return None if not value or value in self._file.dialect.nulls else value

    def place(self, path: str) -> Place:
        element = f"row {self.row.number} {path}"
        index = self._columns.get(column_name(path))
        if index is None or index >= len(self.row.pieces) or not self._file.has_offsets:
            return Place(element)
        content, offset, doubled = self._file.field(self.row, index)
        return Place(element, offset, len(content), is_literal=not doubled)


@lru_cache(maxsize=4096)
def column_name(text: str) -> str:
    """How columns are told apart: capitals and doubled blanks do not matter."""
    return " ".join(text.split()).casefold()


def likely_delimiter(line: str, wanted: frozenset[str], now: str) -> str | None:
    """Another delimiter under which ``line`` holds more of the wanted columns than under ``now``;
    without wanted names, one that cuts it into more pieces.
    """

    def score(delimiter: str) -> tuple[int, int]:
        names = {column_name(part.strip().strip('"')) for part in line.split(delimiter)}
        return len(names & wanted), line.count(delimiter)

    best = max((d for d in LIKELY_DELIMITERS if d != now), key=score)
    return best if score(best) > score(now) else None


def _too_wide() -> str:
    return f"the row has more than {MAX_COLUMNS} columns"


def _transcoded(body: bytes, dialect: Dialect) -> bytes:
    try:
        return body.decode(dialect.encoding, dialect.errors).lstrip("\ufeff").encode("utf-8")
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else None
        raise PayloadRejected(
            f"The file cannot be read as {dialect.encoding}.",
            code="undecodable",
            advice="Set encoding in the mapping to the one the file is written in.",
            offset=start,
        ) from None
