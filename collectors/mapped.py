"""CSV, JSON and log lines read by a mapping of network.yaml (tower/mapping.py tells its language).

Three interpreters share one machine: they only differ in how records are found in the bytes. What
cannot be used becomes a dead letter with its place, and its neighbours are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import Any

from collectors.contract import PARTNER, RENDERED, is_full
from collectors.csv_rows import (
    CsvFile,
    CsvRecord,
    Dialect,
    Row,
    column_name,
    likely_delimiter,
)
from collectors.limits import parse_json
from collectors.mapped_program import program_of
from collectors.mapped_reading import MappedReading
from collectors.records import JsonRecord, walk
from tower.errors import PayloadRejected
from tower.network import Network, Source
from tower.raw import DeadLetter, Interpretation, Raw

SHOWN_BYTES = 60


class MappedInterpreter:
    """What all of them have in common: mapping, partner, and a result whatever happens."""

    name: str
    version: int

    def interpret(self, raw: Raw, net: Network, source: Source) -> Interpretation:
        reading = self._begin(raw, net, source)
        if isinstance(reading, Interpretation):
            return reading
        try:
            self._read(reading, raw)
        except PayloadRejected as error:
            reading.refuse(error, "")
        return reading.result(self.name, self.version)

    def _begin(self, raw: Raw, net: Network, source: Source) -> MappedReading | Interpretation:
        """What reads the message; else why nothing can."""
        partner = raw.headers.get(PARTNER) or source.partner
        if partner is not None and partner not in net.partners:
            return self._refuse(
                None,
                PayloadRejected(
                    f'"{partner}" is no partner of network.yaml.',
                    code="unknown_partner",
                    advice="Add a profile for it to network.yaml and interpret again.",
                ),
            )
        found = net.mapping_for(source, partner)
        if found is None:
            return self._refuse(
                partner,
                PayloadRejected(
                    f"No mapping says how {source.format} of this source is read.",
                    code="no_mapping",
                    advice="Name one in network.yaml, at the source or at the partner, and "
                    "interpret again.",
                ),
            )
        return MappedReading(raw, net, source, partner, program_of(found[1], found[0]))

    def _read(self, reading: MappedReading, raw: Raw) -> None:
        raise NotImplementedError

    def _refuse(self, partner: str | None, error: PayloadRejected) -> Interpretation:
        letter = DeadLetter(error.code, str(error), error.advice, partner=partner)
        return Interpretation(self.name, self.version, dead_letters=(letter,), partner=partner)


class SteppingInterpreter(MappedInterpreter):
    """One whose records are read one after the other, so that a large message is given in parts."""

    def parts(self, raw: Raw, net: Network, source: Source) -> Iterator[Interpretation]:
        """What ``interpret`` gives, holding no more than the events of one part."""
        reading = self._begin(raw, net, source)
        if isinstance(reading, Interpretation):
            yield reading
            return
        begins = 0
        try:
            for at in self._steps(reading, raw):
                if is_full(reading.held, at - begins):
                    begins = at
                    yield reading.part(self.name, self.version)
        except PayloadRejected as error:
            reading.refuse(error, "")
        yield reading.result(self.name, self.version)

    def _read(self, reading: MappedReading, raw: Raw) -> None:
        for _ in self._steps(reading, raw):
            pass

    def _steps(self, reading: MappedReading, raw: Raw) -> Iterator[int]:
        """Read record by record; gives the offset in the bytes after each."""
        raise NotImplementedError


class JsonInterpreter(MappedInterpreter):
    """One body: the record itself, or a list of records at the mapping's path."""

    name = "json"
    version = 1

    def _read(self, reading: MappedReading, raw: Raw) -> None:
        value = parse_json(raw.body)
        nulls = reading.program.nulls
        if raw.headers.get(RENDERED) == "json":
            reading.record(JsonRecord(value, "$", nulls), None, "item:0")
            return
        for n, (record, where) in enumerate(records_in(value, reading.program.mapping.records)):
            position = f"item:{n}"
            if isinstance(record, dict):
                reading.record(JsonRecord(record, where, nulls), None, position)
            else:
                reading.refuse(
                    PayloadRejected(
                        f"{where} is no object.",
                        code="bad_row",
                        advice="Correct it at its sender, or the mapping's path of records.",
                    ),
                    position,
                )


class LogInterpreter(SteppingInterpreter):
    """Lines of text, each a JSON object; usually a message is one line."""

    name = "log"
    version = 1

    def _steps(self, reading: MappedReading, raw: Raw) -> Iterator[int]:
        nulls = reading.program.nulls
        alone = len([*islice(_lines(raw.body), 2)]) == 1
        for n, (line, ends) in enumerate(_lines(raw.body), start=1):
            if not line.strip() and not alone:
                continue
            try:
                value = parse_json(line)
                if not isinstance(value, dict):
                    raise PayloadRejected(
                        "The line is no JSON object.",
                        code="invalid_json",
                        advice="Let the log write one JSON object per line, or set other_lines: "
                        "ignore in the mapping.",
                    )
            except PayloadRejected as error:
                if reading.program.mapping.other_lines == "refuse":
                    reading.refuse(error, f"line:{n}")
                continue
            where = "$" if alone else f"line {n} $"
            reading.record(JsonRecord(value, where, nulls), None, f"line:{n}")
            yield ends


class CsvInterpreter(SteppingInterpreter):
    """A delimited file: rows, or rows grouped into documents."""

    name = "csv"
    version = 1

    def _steps(self, reading: MappedReading, raw: Raw) -> Iterator[int]:
        program = reading.program
        mapping = program.mapping
        file = CsvFile(
            raw.body,
            Dialect(
                mapping.encoding, mapping.errors, mapping.delimiter, mapping.quote, program.nulls
            ),
        )
        if file.is_empty:
            raise PayloadRejected(
                "The file is empty.", code="empty", advice="Ask the sender for its content."
            )
        rows = file.rows()
        for _ in range(mapping.skip_rows):
            next(rows, None)
        names = mapping.columns
        if mapping.header:
            header = next(rows, None)
            if header is None:
                raise PayloadRejected(
                    "The file has no header row.",
                    code="empty",
                    advice="Ask the sender for its content, or correct skip_rows in the mapping.",
                )
            names = [file.text(header, n).strip() for n in range(len(header.pieces))]
            _check_header(reading, file, header, names)
        columns: dict[str, int] = {}
        for n, name in enumerate(names):
            columns.setdefault(column_name(name), n)
        good = self._good_rows(reading, file, rows, columns, len(names))
        if not mapping.group_by:
            for record in good:
                reading.record(record, (record,), f"row:{record.row.number}")
                yield record.row.offset
            return
        held = 0
        for group in _grouped(reading, good, mapping.group_by):
            reading.record(group[0], group, f"row:{group[0].row.number}")
            held += sum(sum(map(len, record.row.pieces)) for record in group)
            yield held

    def _good_rows(
        self,
        reading: MappedReading,
        file: CsvFile,
        rows: Iterator[Row],
        columns: dict[str, int],
        width: int,
    ) -> Iterator[CsvRecord]:
        """The rows that have the right shape; the others become dead letters."""
        for row in rows:
            fault = _fault_of(file, row, width)
            if fault is None:
                yield CsvRecord(file, row, columns)
                continue
            code, said = fault
            reading.refuse(
                PayloadRejected(
                    f"Row {row.number}: {said}.",
                    code=code,
                    advice=_advice(file, row, width),
                    offset=row.offset if file.has_offsets else None,
                ),
                f"row:{row.number}",
            )


def _lines(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Each line with the offset behind it. Bytes without a line feed are one line."""
    if b"\n" not in body:
        yield body, len(body)
        return
    ends = 0
    for physical in BytesIO(body):
        ends += len(physical)
        for line in physical.splitlines():  # a carriage return ends a line as well
            yield line, ends


def records_in(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The records of a parsed body with the path of each; raises PayloadRejected ``missing_key``
    if nothing stands at ``path``.
    """
    where = "$"
    if path:
        where = f"$.{path}"
        value = walk(value, path)
        if value is None:
            raise PayloadRejected(
                f'The body has nothing at "{path}", where its records should be.',
                code="missing_key",
                advice="Correct the mapping's path of records, or ask the sender.",
            )
    if isinstance(value, list):
        for n, record in enumerate(value):
            yield record, f"{where}[{n}]"
    else:
        yield value, where


def _check_header(reading: MappedReading, file: CsvFile, header: Row, names: Sequence[str]) -> None:
    """A file that lacks a key column is refused as a whole; other missing columns are findings."""
    program = reading.program
    present = {column_name(name) for name in names}
    offset = header.offset if file.has_offsets else None
    lacking = min(
        (
            [choice for choice in rule.key_columns if not present & set(map(column_name, choice))]
            for rule in program.rules
        ),
        key=len,
    )
    if lacking:
        line = file.dialect.delimiter.join(names)
        other = likely_delimiter(line, program.column_names, file.dialect.delimiter)
        if other is not None:
            raise _wrong_delimiter(file, other, offset)
        said = ", ".join(" or ".join(f'"{name}"' for name in choice) for choice in lacking)
        raise PayloadRejected(
            f"The file has no column {said}; its columns are: {', '.join(names)[:300]}.",
            code="missing_column",
            advice="Ask the sender for the column, or name the new one in the mapping.",
            offset=offset,
        )
    for name in program.other_columns:
        if column_name(name) not in present:
            reading.find("missing_column", f'the file has no column "{name}"', offset=offset)
    doubled = {
        name for name in program.column_names if [column_name(n) for n in names].count(name) > 1
    }
    for name in sorted(doubled):
        reading.find("doubled_column", f'column "{name}" is there twice; the first is read')


def _wrong_delimiter(file: CsvFile, likely: str, offset: int | None) -> PayloadRejected:
    said = {"\t": "a tab"}.get(likely, f'"{likely}"')
    now = {"\t": "a tab"}.get(file.dialect.delimiter, f'"{file.dialect.delimiter}"')
    return PayloadRejected(
        f"The columns of the file are separated by {said}, not by {now}.",
        code="wrong_delimiter",
        advice=f"Set delimiter in the mapping to {said}, or ask the sender to write {now}; "
        "then interpret again.",
        offset=offset,
    )


def _fault_of(file: CsvFile, row: Row, width: int) -> tuple[str, str] | None:
    """Code and words for what is wrong with the shape of a row; empty columns at its end pass."""
    if row.broken:
        return "bad_row", row.broken
    count = len(row.pieces)
    if count == width or (count > width and not any(p.strip() for p in row.pieces[width:])):
        if any(b"\0" in piece for piece in row.pieces):
            return "undecodable", "holds NUL bytes; is the file written in UTF-16?"
        return None
    said = f"has {count} columns, the file has {width}"
    end = row.offset + sum(map(len, row.pieces)) + (count - 1) * len(file.dialect.delimiter)
    if count < width and end >= len(file.body):
        return "truncated", f"{said}, and the file ends in the middle of it"
    return "bad_row", said


def _advice(file: CsvFile, row: Row, width: int) -> str:
    if len(row.pieces) == 1 and width > 1:
        line = row.pieces[0][:1000].decode(file.encoding, "replace")
        other = likely_delimiter(line, frozenset(), file.dialect.delimiter)
        if other is not None and line.count(other) == width - 1:
            said = "a tab" if other == "\t" else f'"{other}"'
            return f"Its columns seem to be separated by {said}: correct delimiter in the mapping."
    return "Correct the row and send it again; the other rows were read."


def _grouped(
    reading: MappedReading, rows: Iterator[CsvRecord], group_by: Sequence[str]
) -> list[list[CsvRecord]]:
    """Rows with equal values in the grouping columns, in the order of their first row."""
    groups: dict[tuple[str | None, ...], list[CsvRecord]] = {}
    for record in rows:
        try:
            key = tuple(record.get(name) for name in group_by)
        except PayloadRejected as error:
            reading.refuse(error, f"row:{record.row.number}")
            continue
        if not any(key):
            # A row that belongs to no document stands alone, so that it is judged by itself.
            key = (f"row {record.row.number}", *key)
        groups.setdefault(key, []).append(record)
    return list(groups.values())
