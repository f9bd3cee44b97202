"""A data set as a file: whole or not at all, its form told by its name."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from db.outward import csv_file
from db.outward.fields import Field
from db.reads.rows import Record
from tower.errors import ConfigError

FORMATS = ("csv", "xlsx", "parquet", "ocel")
_OF_ENDINGS = {".csv": "csv", ".xlsx": "xlsx", ".parquet": "parquet", ".json": "ocel",
               ".jsonocel": "ocel", ".ocel": "ocel"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """A file that waits for its name: where it lies, and what it holds."""

    waiting: Path
    size: int
    sha256: str


def format_of(file: Path) -> str:
    """The format that the name of a file means. Raises ConfigError where it means none."""
    found = _OF_ENDINGS.get(file.suffix.lower())
    if found is None:
        raise ConfigError(
            f'The name "{file.name}" does not say in which form. End it with .csv, .xlsx, '
            f".parquet or .ocel, or give --format, one of {', '.join(FORMATS)}."
        )
    return found


@contextlib.contextmanager
def beside(file: Path, write: Callable[[BinaryIO], None]) -> Iterator[Made]:
    """Write beside the place of a file; it gets its name when the block ends well, else it goes.

    Raises ConfigError if the place is taken or cannot be written.
    """
    waiting = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        if file.exists():
            raise ConfigError(f"{file} is there already; name another.")
        try:
            with waiting.open("xb") as target:
                write(target)
                target.flush()
                os.fsync(target.fileno())
        except OSError as error:
            raise ConfigError(f"{file} cannot be written: {error.strerror}.") from error
        with waiting.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
        yield Made(waiting, waiting.stat().st_size, digest)
        waiting.rename(file)
    finally:
        waiting.unlink(missing_ok=True)


def write_rows(
    target: BinaryIO, form: str, title: str, fields: tuple[Field, ...], rows: Iterable[Record]
) -> int:
    """Rows as CSV, Excel or Parquet; how many there were. Instants are UTC in each of them."""
    values = ([row[f.name] for f in fields] for row in rows)
    if form == "parquet":
        from db.outward import parquet_file  # loads pyarrow, which most commands never need

        return parquet_file.write(target, fields, values)
    names = [f"{f.name} (UTC)" if f.kind == "instant" else f.name for f in fields]
    if form == "xlsx":
        from db.outward import excel_file

        return excel_file.write(target, names, values, title)
    return csv_file.write(target, names, values)
