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
from sqlalchemy import JSON, Boolean, Date, DateTime, Integer, Numeric, Text
from sqlalchemy.types import TypeEngine

from db import staging
from db.driver import Conflict
from db.tables import document
from tower import identity
from tower.documents import HEADER_OF, LINE_OF, Owners, Record, State, merge, project
from tower.registers import short
from tower.timelines import stamp

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
    """

    rev: int = 0
    state: State = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)


_LOAD = (
    "SELECT home_key, kind, scope, number, rev, state::text FROM document "
    "WHERE home_key = ANY(%s::bigint[]) AND line = ''"
)


def load(cursor: Cursor[Any], homes: Iterable[int]) -> dict[FamilyKey, Family]:
    """All families of these homes."""
    found: dict[FamilyKey, Family] = {}
    cursor.execute(_LOAD, (staging.numbers(sorted(homes)),))
    for home, kind, scope, number, rev, text in cursor.fetchall():
        state = orjson.loads(text)
        marks = state.pop("h", {})
        found[FamilyKey(home, kind, scope, number)] = Family(rev, state, marks)
    return found


# --- rows as COPY lines -------------------------------------------------------------------------

_NAMES = [column.name for column in document.c]
_POSITION = {name: n for n, name in enumerate(_NAMES)}
_EMPTY = [staging.NULL] * len(_NAMES)
_EMPTY[_POSITION["rev"]] = "0"
_EMPTY[_POSITION["reports"]] = _EMPTY[_POSITION["state"]] = "{}"


_PLAIN = frozenset(("kind", "status", "answer", "fa_status", "asn_status", "confirmed_date_kind"))


def _encoders() -> dict[str, tuple[int, Callable[[Any], str] | None]]:
    """Place of each column, and how its values are written; None = they are texts as they are."""
    by_type: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], str] | None], ...] = (
        (DateTime, stamp),
        (Text, staging.text),
        (Boolean, staging.flag),
        (JSON, staging.sorted_json),  # rows are compared by their text
        (Date, None),
        (Integer, str),  # also BigInteger
        (Numeric, None),
    )
    return {
        column.name: (
            n,
            None
            if column.name in _PLAIN
            else next(encode for type_, encode in by_type if isinstance(column.type, type_)),
        )
        for n, column in enumerate(document.c)
    }


_ENCODE = _encoders()
_HOME, _REV, _STATE = (_POSITION[name] for name in ("home_key", "rev", "state"))
_PARTNER = _POSITION["partner_id"]


def _cells(home: int, row: Mapping[str, Any]) -> list[str]:
    cells = _EMPTY.copy()
    cells[_HOME] = str(home)
    for name, value in row.items():
        if value is not None:
            n, encode = _ENCODE[name]
            cells[n] = value if encode is None else encode(value)
    supplier = row.get("supplier")
    if supplier is not None:
        cells[_PARTNER] = str(partner_id(supplier))
    return cells


def _mark(line: str) -> str:
    return hashlib.blake2b(line.encode(), digest_size=8).hexdigest()


_KEY = frozenset(("home_key", "kind", "scope", "number", "line"))
_COLUMNS = ", ".join(_NAMES)
_CHANGE = staging.Change(
    "document",
    _COLUMNS,
    ", ".join(f"{name} = new.{name}" for name in _NAMES if name not in _KEY),
    # Lines follow their header, whose revision is the fence of the whole family.
    "document.line <> '' OR document.rev = new.rev - 1",
)


def write(cursor: Cursor[Any], families: Mapping[FamilyKey, Family], owners: Owners) -> int:
    """Compute and write the rows of these families; how many rows.

    Raises Conflict if somebody else changed one of them since it was read.
    """
    new: list[str] = []
    changed: list[str] = []
    for key in sorted(families):
        family = families[key]
        rows = project(key.kind, key.scope, key.number, family.state, owners)
        kept = family.marks
        marks: dict[str, str] = {}
        lines: list[str] = []
        for row in rows[1:]:
            line = "\t".join(_cells(key.home, row))
            name = row["line"]
            mark = marks[name] = _mark(line)
            known = kept.get(name)
            if known is None:
                new.append(line)
            elif known != mark:
                lines.append(line)
        header = _cells(key.home, rows[0])
        header[_REV] = str(family.rev + 1)
        header[_STATE] = staging.json({**family.state, "h": marks} if marks else family.state)
        (changed if family.rev else new).append("\t".join(header))
        changed += lines
    staging.copy(cursor, "document", _COLUMNS, new)
    written, _ = _CHANGE(cursor, changed)
    if written != len(changed):
        raise Conflict(f"{len(changed) - written} documents were changed by another writer")
    return len(new) + written


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
    folded = {key: Family(rev=family.rev) for key, family in kept.items()}
    cursor.execute(_RECORDS, (staging.numbers(homes),))
    for home, event, kind, scope, number, type_, system, at, words in cursor.fetchall():
        family = folded.setdefault(FamilyKey(home, kind, scope, number), Family())
        name = short(event)
        for line, facts in orjson.loads(words).items():
            of = LINE_OF[kind] if line else kind
            merge(family.state, Record(name, of, line, type_, system, at, facts))
    return folded


def replace(
    cursor: Cursor[Any], families: Mapping[FamilyKey, Family], owners: Owners
) -> int:
    """Write folded families whole, and remove rows that their records do not yield."""
    for key, family in families.items():
        cursor.execute(
            "DELETE FROM document WHERE home_key = %s AND kind = ANY(%s) AND scope = %s "
            "AND number = %s AND (line <> '' OR %s)",
            (key.home, _kinds(key.kind), key.scope, key.number, not family.state),
        )
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
