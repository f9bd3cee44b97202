"""Many rows at once, by COPY; rows that are changed come by way of a temporary stage.

psycopg turns lists of parameters into text value by value; writing the lines of a COPY ourselves
costs a fraction. This is the only module that knows how rows travel, so that another way (arrays on
Citus data nodes) is a change of one file.

A stage is a temporary table of a session. It is cleared after each use, before commit, and made
again where it is missing, so a pooler may hand each transaction another session. The server could
clear it at commit (ON COMMIT DELETE ROWS), but then truncates every stage and its overflow table at
each commit, used or not: 6 ms instead of 0.05 ms for the five.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from struct import Struct, pack
from typing import Any

import orjson
from psycopg import Cursor

from db.tables import metadata

NULL = "\\N"

# Deleted rows stay in the file of a stage until it is truncated, which takes a millisecond or two.
LARGE = 500
SWEEP_EVERY = 200

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

STAGED = ("flow", "flow_link", "document", "peg", "timer", "partner_count")
_PREPARE = (
    # Joins with a stage must go by index: the planner knows nothing of its size and would read
    # whole tables (performance.md).
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; "
    "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; "
    "SET LOCAL client_min_messages = warning; "
    + "; ".join(
        f"CREATE TEMP TABLE IF NOT EXISTS stage_{name} (LIKE {name}) ON COMMIT PRESERVE ROWS"
        for name in STAGED
    )
)


def prepare(cursor: Cursor[Any]) -> None:
    """Settings and stages of an ingest transaction."""
    cursor.execute(_PREPARE)


def text(value: str) -> str:
    """A text as a field of a COPY line; what Postgres cannot hold becomes a replacement sign."""
    if value.isprintable() and "\\" not in value:
        return value
    return storable(value).translate(_ESCAPES)


def storable(value: str) -> str:
    """A text as Postgres can hold it: no zero character, no half of a surrogate pair."""
    if value.isprintable():
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def maybe(value: str | None) -> str:
    return NULL if value is None else text(value)


def number(value: int | None) -> str:
    return NULL if value is None else str(value)


def flag(value: bool) -> str:
    return "t" if value else "f"


def instant(value: datetime | None) -> str:
    return NULL if value is None else str(value)


def json(value: Any) -> str:
    """A JSON value as a field of a COPY line."""
    try:
        data = orjson.dumps(value).decode()
    except TypeError:
        data = dumped(value).decode()
    return data.replace("\\", "\\\\") if "\\" in data else data


def dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # half of a surrogate pair, or a mapping that is no dict
        return orjson.dumps(_valid(value))


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_valid(k): _valid(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_valid(v) for v in value]
    return value


def literal(values: Iterable[str]) -> str:
    """A text[] as literal: a parameter of a query."""
    return "{" + ",".join(map(_quoted, values)) + "}"


def _quoted(value: str) -> str:
    value = storable(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def texts(values: Sequence[str]) -> str:
    """A text[] as a field of a COPY line."""
    return text(literal(values)) if values else "{}"


def numbers(values: Iterable[int]) -> str:
    """A bigint[] as literal: a parameter of a query, or a field of a COPY line."""
    return "{" + ",".join(map(str, values)) + "}"


def copy(cursor: Cursor[Any], table: str, columns: str, lines: Sequence[str]) -> None:
    """Add lines to a table or stage; each is tab-separated fields without the line's end."""
    if lines:
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as target:
            target.write("\n".join(lines).encode())


# The same in binary form, for the rows that every message brings: neither side turns instants,
# ids and bytes into digits and back, which is most of the work of a row.

_COUNT = Struct("!h").pack
_LENGTH = Struct("!i").pack
_INTEGER = Struct("!ii").pack
BIGINT = Struct("!iq").pack
_HEAD, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
Y2000 = 946_684_800_000_000  # the epoch of Postgres in microseconds since 1970

_ARRAY = Struct("!iiiii").pack
_TEXT, _BIGINT = 25, 20  # pg_type.oid of text and bigint

NO_VALUE = _LENGTH(-1)
_TRUE, _FALSE = _LENGTH(1) + b"\1", _LENGTH(1) + b"\0"
_DAY_2000 = date(2000, 1, 1).toordinal()
_NO_ELEMENTS = Struct("!iiii").pack(12, 0, 0, _TEXT)


def length(size: int) -> bytes:
    """What stands before the bytes of a field."""
    return _LENGTH(size)


def octets(value: bytes) -> bytes:
    """A bytea, uuid, json or text (in UTF-8) as a field of a binary row."""
    return _LENGTH(len(value)) + value


@lru_cache(maxsize=1 << 15)
def word(value: str) -> bytes:
    """A text that many rows share as a field of a binary row."""
    return octets(storable(value).encode())


def maybe_word(value: str | None) -> bytes:
    return NO_VALUE if value is None else word(value)


def octets_of(value: str) -> bytes:
    """A text that few rows share as a field of a binary row."""
    return octets(storable(value).encode())


def array(values: Sequence[str]) -> bytes:
    """A text[] as a field of a binary row: dimensions, flags, type; length and lower bound."""
    if not values:
        return _NO_ELEMENTS
    elements = b"".join([octets_of(value) for value in values])
    return octets(_ARRAY(1, 0, _TEXT, len(values), 1) + elements)


def bigints(values: Sequence[int]) -> bytes:
    """A bigint[] as a field of a binary row, in the same form."""
    head = (1, 0, _BIGINT, len(values), 1) if values else (0, 0, _BIGINT)
    elements = [word for value in values for word in (8, value)]
    return octets(pack(f"!{len(head)}i" + "iq" * len(values), *head, *elements))


def integer(value: int) -> bytes:
    return _INTEGER(4, value)


def bigint(value: int) -> bytes:
    return BIGINT(8, value)


def timestamp(value: int) -> bytes:
    """An instant in microseconds since 1970 UTC."""
    return BIGINT(8, value - Y2000)


LATEST, EARLIEST = BIGINT(8, (1 << 63) - 1), BIGINT(8, -(1 << 63))
"""The instants "infinity", which nothing is later than, and "-infinity"."""


@lru_cache(maxsize=1 << 14)
def decimal(value: str) -> bytes:
    """A plain decimal text ("-12.5") as a field of a binary row: a numeric.

    Groups of four decimal digits, where the first of them stands, the sign, places after the point.
    """
    whole, _, part = value.lstrip("-").partition(".")
    sign = 0x4000 if value.startswith("-") else 0
    whole = whole.lstrip("0")
    digits = whole.rjust(-(-len(whole) // 4) * 4, "0") + part.ljust(-(-len(part) // 4) * 4, "0")
    groups = [int(digits[n : n + 4]) for n in range(0, len(digits), 4)]
    weight = -(-len(whole) // 4) - 1
    while groups and not groups[-1]:
        groups.pop()
    while groups and not groups[0]:
        groups.pop(0)
        weight -= 1
    if not groups:
        weight, sign = 0, 0
    return octets(pack(f"!hhHH{len(groups)}h", len(groups), weight, sign, len(part), *groups))


@lru_cache(maxsize=1 << 14)
def day(value: str) -> bytes:
    """An ISO day as a field of a binary row."""
    return integer(date.fromisoformat(value).toordinal() - _DAY_2000)


def forget() -> None:
    """Empty what is remembered of values: those of a part of a large message do not come again."""
    for remembered in (word, decimal, day):
        remembered.cache_clear()


def boolean(value: bool) -> bytes:
    return _TRUE if value else _FALSE


def sorted_octets(value: Any) -> bytes:
    """A JSON value as a field of a binary row, the keys of objects in order: equal values have one
    form."""
    return octets(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def fields(columns: str) -> bytes:
    """What a binary row begins with: how many fields it has."""
    return _COUNT(columns.count(",") + 1)


def copy_binary(cursor: Cursor[Any], table: str, columns: str, rows: Sequence[bytes]) -> None:
    """Add rows to a table; each is ``fields(columns)`` and a field per column."""
    if rows:
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)") as target:
            target.write(b"".join((_HEAD, *rows, _END)))


def stream_binary(cursor: Cursor[Any], table: str, columns: str, row: Iterable[bytes]) -> None:
    """Add one row to a table, given in pieces that are never held together."""
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)") as target:
        target.write(_HEAD)
        for piece in row:
            target.write(piece)
        target.write(_END)


class _Staged:
    """A statement that takes the rows of one table from its stage."""

    def __init__(self, table: str, columns: str, statement: str, returning: str) -> None:
        self._stage = f"stage_{table}"
        self._columns = columns
        self._statement = f"{statement} RETURNING {returning}" if returning else statement
        self._returns = bool(returning)
        self._delete = f"DELETE FROM {self._stage}"  # noqa: S608
        self._truncate = f"TRUNCATE {self._stage}"
        self._uses = itertools.count(1)

    def __call__(self, cursor: Cursor[Any], lines: Sequence[str]) -> tuple[int, list[Any]]:
        """How many rows were written, and what they return."""
        copy(cursor, self._stage, self._columns, lines)
        return self._finish(cursor, len(lines))

    def by_columns(
        self, cursor: Cursor[Any], given: Mapping[str, Sequence[bytes]]
    ) -> tuple[int, list[Any]]:
        """The same for binary rows that give some columns, the others being null."""
        for columns, rows in given.items():
            copy_binary(cursor, self._stage, columns, rows)
        return self._finish(cursor, sum(map(len, given.values())))

    def _finish(self, cursor: Cursor[Any], staged: int) -> tuple[int, list[Any]]:
        if not staged:
            return 0, []
        cursor.execute(self._statement)
        written = cursor.rowcount
        rows = cursor.fetchall() if self._returns else []
        large = staged >= LARGE or next(self._uses) % SWEEP_EVERY == 0
        cursor.execute(self._truncate if large else self._delete)
        return written, rows


class Change(_Staged):
    """Updates of rows that are there.

    The stage is read in the order in which it was written: give the lines sorted by key, so that
    writers queue behind each other and do not deadlock.

    columns    of the stage, the key among them
    changes    what is set; the stage is called ``new``
    condition  a row that fails it is left as it is and not counted
    """

    def __init__(
        self, table: str, columns: str, changes: str, condition: str = "", returning: str = ""
    ) -> None:
        match = " AND ".join(
            f'{table}."{c.name}" = new."{c.name}"' for c in metadata.tables[table].primary_key
        )
        if condition:
            match += f" AND ({condition})"
        statement = f"UPDATE {table} SET {changes} FROM stage_{table} AS new WHERE {match}"  # noqa: S608
        super().__init__(table, columns, statement, returning)


class Upsert(_Staged):
    """Rows of which nobody knows whether they are there, sorted by key.

    Where that is known, COPY and Change cost half of it.

    then  what to do with a row that exists, after ON CONFLICT (key)
    """

    def __init__(self, table: str, columns: str, then: str, returning: str = "") -> None:
        key = ", ".join(f'"{c.name}"' for c in metadata.tables[table].primary_key)
        statement = (
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM stage_{table} "  # noqa: S608
            f"ORDER BY {key} ON CONFLICT ({key}) {then}"
        )
        super().__init__(table, columns, statement, returning)
