"""Documents read, changed in memory and written back, many families at once.

A family is a header with its lines. Its registers lie with the header; rows are written only if
nobody changed the header meanwhile (`rev`), so a lost race is noticed and the batch repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from psycopg import Cursor
from sqlalchemy import JSON, Boolean, Date, DateTime, Integer, Numeric

from db import staging, week_marks
from db.driver import Conflict
from db.tables import document
from db.week_marks import week_of
from tower import identity
from tower.documents import HEADER_OF, LINE_OF, Owners, Record, State, merge, project
from tower.registers import short
from tower.rows import COLUMNS, OF_HEADER, Row

partner_id = lru_cache(maxsize=1 << 14)(identity.partner_id)


class FamilyKey(NamedTuple):
    """A header: its home, kind, scope and number."""

    home: int
    kind: str
    scope: str
    number: str


@dataclass(slots=True)
class Family:
    """A family as it is kept, with the records that are new to it.

    rev     of the header when it was read; 0 = not there yet
    marks   a digest of each line row as it is kept, so that lines that stay are not written
    week    of its release as it is kept (db/rollups.py)
    """

    rev: int = 0
    state: State = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    week: int | None = None


_LOAD = (
    "SELECT home_key, kind, scope, number, rev, state::text, "
    "extract(epoch FROM released_at)::float8 FROM document "
    "WHERE home_key = ANY(%s::bigint[]) AND line = ''"
)


def load(cursor: Cursor[Any], homes: Iterable[int]) -> dict[FamilyKey, Family]:
    """All families of these homes."""
    found: dict[FamilyKey, Family] = {}
    cursor.execute(_LOAD, (staging.numbers(sorted(homes)),))
    for home, kind, scope, number, rev, text, released in cursor.fetchall():
        state = orjson.loads(text)
        marks = state.pop("h", {})
        week = week_of(None if released is None else int(released * 1_000_000))
        found[FamilyKey(home, kind, scope, number)] = Family(rev, state, marks, week)
    return found


# --- rows of a binary COPY -----------------------------------------------------------------------

_LEADING = ("home_key", "rev", "state", "partner_id")
_NAMES = tuple(column.name for column in document.c)
_OWN = frozenset(("number", "description"))  # texts that few rows share


def _field(name: str) -> str:
    """The expression that writes a column of ``row`` as a field of a binary row."""
    type_ = document.c[name].type
    if isinstance(type_, JSON):
        return f"json(row[{name!r}])"  # in order: equal rows give one form
    if isinstance(type_, Boolean):
        return f"flags[row[{name!r}]]"
    if isinstance(type_, DateTime):
        written = f"bigint(8, v - {staging.Y2000})"  # as staging.timestamp, without the call
    elif isinstance(type_, Date):
        written = "day(v)"
    elif isinstance(type_, Numeric):
        written = "decimal(v)"
    elif isinstance(type_, Integer):
        written = "integer(v)"
    else:
        written = "text(v)" if name in _OWN else "word(v)"
    return f"null if (v := row[{name!r}]) is None else {written}"


def _writer(names: Sequence[str]) -> Callable[[Row], bytes]:
    """A function that writes these columns of a row as one piece of a binary row.

    It is made from source text, as one expression over all columns: rows are what ingest writes
    most of, and going through names and encoders in a loop costs twice as much.
    """
    fields = ", ".join(f"({_field(name)})" for name in names)
    means = {
        "null": staging.NO_VALUE,
        "flags": {
            None: staging.NO_VALUE,
            True: staging.boolean(True),
            False: staging.boolean(False),
        },
        "json": staging.sorted_octets,
        "text": staging.octets_of,
        "word": staging.word,
        "bigint": staging.BIGINT,
        "day": staging.day,
        "decimal": staging.decimal,
        "integer": staging.integer,
        "join": b"".join,
    }
    known = ", ".join(f"{name}={name}" for name in means)
    source = f"lambda row, {known}: join(({fields},))"
    made: Callable[[Row], bytes] = eval(source, means)  # noqa: S307  # of the table's columns alone
    return made


class _Layout:
    """How the rows of a kind are written: what lines have from their header once for all."""

    def __init__(self, kind: str) -> None:
        shared = ("kind", "scope", "number", *OF_HEADER.get(kind, ()))
        own = tuple(name for name in COLUMNS[kind] if name not in shared)
        self.shared, self.own = _writer(shared), _writer(own)
        self.columns = ", ".join((*_LEADING, *shared, *own))
        self.begin = staging.fields(self.columns)


_LAYOUTS = {kind: _Layout(kind) for kind in sorted(COLUMNS)}


_LINE_STARTS = staging.bigint(0) + staging.octets(b"{}")  # its revision and its state


def _mark(fields: bytes) -> str:
    return hashlib.blake2b(fields, digest_size=8).hexdigest()


_KEY = frozenset(("home_key", "kind", "scope", "number", "line"))
_CHANGE = staging.Change(
    "document",
    ", ".join(_NAMES),
    ", ".join(f"{name} = new.{name}" for name in _NAMES if name not in _KEY),
    # Lines follow their header, whose revision is the fence of the whole family.
    "document.line <> '' OR document.rev = new.rev - 1",
)


def write(cursor: Cursor[Any], families: Mapping[FamilyKey, Family], owners: Owners) -> int:
    """Compute and write the rows of these families; how many rows.

    Raises Conflict if somebody else changed one of them since it was read.
    """
    new: dict[str, list[bytes]] = {kind: [] for kind in _LAYOUTS}
    changed: dict[str, list[bytes]] = {kind: [] for kind in _LAYOUTS}
    weeks: set[int | None] = set()
    for key in sorted(families):
        family = families[key]
        header, *lines = project(key.kind, key.scope, key.number, family.state, owners)
        weeks.add(week_of(header.get("released_at")))
        if family.rev:
            weeks.add(family.week)
        supplier = header.get("supplier")
        partner = staging.NO_VALUE if supplier is None else staging.bigint(partner_id(supplier))
        home = staging.bigint(key.home)
        marks = _lines(home, family.marks, lines, partner, new, changed) if lines else None
        state = staging.dumped({**family.state, "h": marks} if marks else family.state)
        layout = _LAYOUTS[key.kind]
        (changed if family.rev else new)[key.kind].append(
            b"".join(
                (
                    layout.begin,
                    home,
                    staging.bigint(family.rev + 1),
                    staging.octets(state),
                    partner,
                    layout.shared(header),
                    layout.own(header),
                )
            )
        )
    for kind, rows in new.items():
        staging.copy_binary(cursor, "document", _LAYOUTS[kind].columns, rows)
    added = sum(map(len, new.values()))
    wanted = sum(map(len, changed.values()))
    written, _ = _CHANGE.by_columns(
        cursor, {_LAYOUTS[kind].columns: rows for kind, rows in changed.items()}
    )
    if written != wanted:
        raise Conflict(f"{wanted - written} documents were changed by another writer")
    week_marks.mark(cursor, weeks)
    return added + written


def _lines(
    home: bytes,
    kept: Mapping[str, str],
    lines: Sequence[Row],
    partner: bytes,
    new: Mapping[str, list[bytes]],
    changed: Mapping[str, list[bytes]],
) -> dict[str, str]:
    """Add the lines of a family that are new or not as they are kept; the marks of all."""
    kind = lines[0]["kind"]
    layout = _LAYOUTS[kind]
    start = b"".join((layout.begin, home, _LINE_STARTS, partner, layout.shared(lines[0])))
    marks: dict[str, str] = {}
    for row in lines:
        fields = start + layout.own(row)
        name = row["line"]
        mark = marks[name] = _mark(fields)
        known = kept.get(name)
        if known != mark:
            (new if known is None else changed)[kind].append(fields)
    return marks


# --- folding anew -------------------------------------------------------------------------------

_RECORDS = (
    "SELECT home_key, event_id, kind, scope, number, type, system, "
    "(extract(epoch FROM occurred_at) * 1000000)::bigint, words::text FROM event_object "
    "WHERE home_key = ANY(%s::bigint[])"
)


def refold(cursor: Cursor[Any], homes: Iterable[int]) -> dict[FamilyKey, Family]:
    """The families of these homes folded from their records alone, at the revisions they have.

    A family without records any more has an empty state.
    """
    homes = sorted(set(homes))
    kept = load(cursor, homes)
    folded = {key: Family(rev=family.rev, week=family.week) for key, family in kept.items()}
    cursor.execute(_RECORDS, (staging.numbers(homes),))
    for home, event, kind, scope, number, type_, system, at, words in cursor.fetchall():
        family = folded.setdefault(FamilyKey(home, kind, scope, number), Family())
        name = short(event)
        for line, facts in orjson.loads(words).items():
            of = LINE_OF[kind] if line else kind
            merge(family.state, Record(name, of, line, type_, system, at, facts))
    return folded


def replace(cursor: Cursor[Any], families: Mapping[FamilyKey, Family], owners: Owners) -> int:
    """Write folded families whole, and remove rows that their records do not yield."""
    for key, family in families.items():
        cursor.execute(
            "DELETE FROM document WHERE home_key = %s AND kind = ANY(%s) AND scope = %s "
            "AND number = %s AND (line <> '' OR %s)",
            (key.home, _kinds(key.kind), key.scope, key.number, not family.state),
        )
        week_marks.mark(cursor, {family.week})
    return write(cursor, {k: one for k, one in families.items() if one.state}, owners)


def _kinds(header: str) -> list[str]:
    return [header, *(line for line, kind in HEADER_OF.items() if kind == header)]


def known(state: State) -> bool:
    """Whether the event that creates the document was seen."""
    return "made" in state.get("t", {})


__all__: Sequence[str] = [
    "Family",
    "FamilyKey",
    "known",
    "load",
    "partner_id",
    "refold",
    "replace",
    "write",
]
