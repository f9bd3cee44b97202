"""Records and the expressions that read them: columns, dotted paths, constants, templates.

tower/mapping.py describes the language; this is its machine. An expression is compiled once per
mapping and then read from thousands of records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tower.mapping import SCALES
from tower.numerals import natural

ORDINAL = "#"
PARENT = "^"
CONSTANT = "="
CONTROL = ":control"
"""Ends a part of a template whose value is a control number: zeros in front are dropped, as in the
names of X12 messages, since some translators keep them and some do not."""

_PART = re.compile(r"\{([^{}]+)\}")


class Place(NamedTuple):
    """Where a value stands: its path in the source's terms and, where known, its bytes.

    ``is_literal``: the bytes are the value itself, not an escaped form of it.
    """

    element: str
    offset: int | None = None
    length: int | None = None
    is_literal: bool = True


class Record(Protocol):
    """One row, object or line."""

    def get(self, path: str) -> Any:
        """The value, None if it is missing or one of the texts that mean no value."""
        ...

    def place(self, path: str) -> Place: ...


class Seen(NamedTuple):
    """A value and how it was come by: ``record`` and ``path`` for one that was read, else None.

    ``scales``: by which numbers it is divided ("//") and multiplied ("*"), in this order.
    """

    value: Any
    record: Record | None = None
    path: str = ""
    rule: str = ""
    is_constant: bool = False
    scales: tuple[tuple[str, Any], ...] = ()


Expression = Callable[[Record, Record | None, int], Seen | None]
"""(record, line or None, number of the line from 1) -> what is there, None if nothing is."""


class JsonRecord:
    """An object of a JSON body. ``where`` is its path from the root, "$.items[3]"."""

    __slots__ = ("_nulls", "_where", "value")

    def __init__(self, value: Any, where: str, nulls: frozenset[str]) -> None:
        self.value = value
        self._where = where
        self._nulls = nulls

    def get(self, path: str) -> Any:
        value = self.value
        found = value.get(path) if isinstance(value, dict) else None
        if found is None:
            found = walk(value, path)
        if isinstance(found, str):
            found = found.strip()
            return None if found in self._nulls else found
        return found

    def place(self, path: str) -> Place:
        return Place(f"{self._where}.{path}")

    def item(self, path: str, n: int, value: Any) -> JsonRecord:
        """The n-th object of the list at ``path``, a record of its own."""
        return JsonRecord(value, f"{self.place(path).element}[{n}]", self._nulls)


def walk(value: Any, path: str) -> Any:
    """The value at a dotted path. A key that itself contains dots is found too; None if absent."""
    rest = path
    while True:
        if isinstance(value, dict):
            if rest in value:
                return value[rest]
            head, dot, tail = rest.partition(".")
            while dot and head not in value:
                more, dot, tail = tail.partition(".")
                head = f"{head}.{more}"
            if not dot:
                return None
            value, rest = value[head], tail
        elif isinstance(value, list):
            head, dot, tail = rest.partition(".")
            place = natural(head)
            if place is None or place >= len(value):
                return None
            value = value[place]
            if not dot:
                return value
            rest = tail
        else:
            return None


def as_text(value: Any) -> str | None:
    """A value inside a template; None for what has no plain text."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
    return None


def compile_expression(text: str, columns: Sequence[str] = ()) -> Expression:
    """The function that reads ``text``. What is named in ``columns`` is a column, however odd."""
    text = text.strip()
    if text in columns:
        return _path(text)
    if text == ORDINAL:
        return lambda record, line, number: Seen(str(number), rule="number of the line")
    if text.startswith(CONSTANT):
        constant = Seen(text[1:], rule="constant of the mapping", is_constant=True)
        return lambda record, line, number: constant
    if " | " in text:
        return _first([compile_expression(part, columns) for part in text.split(" | ")])
    if "{" not in text and SCALES.search(text):
        return _scaled(text)
    if "{" in text and _PART.search(text):
        return _template(text)
    return _path(text)


def paths_of(text: str, columns: Sequence[str] = ()) -> list[str]:
    """The columns or paths that an expression may read; a leading ^ is taken off."""
    text = text.strip()
    if text in columns:
        return [text]
    if not text or text == ORDINAL or text.startswith(CONSTANT):
        return []
    if " | " in text:
        return [path for part in text.split(" | ") for path in paths_of(part, columns)]
    if "{" not in text and SCALES.search(text):
        return [part.strip().removeprefix(PARENT) for part in SCALES.split(text)[::2]]
    if "{" in text and _PART.search(text):
        return [_part_name(name)[0] for name in _PART.findall(text)]
    return [text.removeprefix(PARENT)]


def compile_template(text: str) -> Callable[[Record, Record | None], str | None]:
    """The text with its parts filled in; None as soon as one part is missing."""
    read = _template(text)

    def fill(record: Record, line: Record | None = None) -> str | None:
        seen = read(record, line, 0)
        return None if seen is None else str(seen.value)

    return fill


def compile_condition(
    conditions: Mapping[str, list[str] | str],
) -> Callable[[Record], bool] | None:
    """Whether all conditions hold for a record; None when there are none."""
    tests = [_condition(path, wanted) for path, wanted in conditions.items()]
    if not tests:
        return None

    def holds(record: Record) -> bool:
        return all(test(record) for test in tests)

    return holds


def _condition(path: str, wanted: list[str] | str) -> Callable[[Record], bool]:
    words = [wanted] if isinstance(wanted, str) else wanted
    equal = frozenset(w.strip().casefold() for w in words if not w.startswith("!") or len(w) == 1)
    unequal = [w[1:].strip().casefold() for w in words if w.startswith("!") and len(w) > 1]
    any_value, missing = "*" in equal, "-" in equal

    def test(record: Record) -> bool:
        value = record.get(path)
        if value is None:
            return missing or bool(unequal)
        if any_value:
            return True
        text = (as_text(value) or "").casefold()
        return text in equal or (bool(unequal) and text not in unequal)

    return test


def _path(text: str) -> Expression:
    if text.startswith(PARENT):
        path = text[1:].strip()

        def read_record(record: Record, line: Record | None, number: int) -> Seen | None:
            value = record.get(path)
            return None if value is None else Seen(value, record, path)

        return read_record

    def read(record: Record, line: Record | None, number: int) -> Seen | None:
        source = record if line is None else line
        value = source.get(text)
        return None if value is None else Seen(value, source, text)

    return read


def _first(options: Sequence[Expression]) -> Expression:
    def read(record: Record, line: Record | None, number: int) -> Seen | None:
        for option in options:
            seen = option(record, line, number)
            if seen is not None:
                return seen
        return None

    return read


def _scaled(text: str) -> Expression:
    """A price and for how many it is; what nothing says counts as one."""
    first, *others = SCALES.split(text)
    base = _path(first.strip())
    by = [(sign, _path(part.strip())) for sign, part in zip(others[::2], others[1::2], strict=True)]

    def read(record: Record, line: Record | None, number: int) -> Seen | None:
        seen = base(record, line, number)
        found = [(sign, scale(record, line, number)) for sign, scale in by]
        told = [(sign, one) for sign, one in found if one is not None]
        if seen is None or not told:
            return seen
        words = [f"{_SAID[sign]} {one.path}" for sign, one in told]
        return seen._replace(
            scales=tuple((sign, one.value) for sign, one in told), rule=", ".join(words)
        )

    return read


_SAID = {"//": "divided by", "*": "multiplied by"}


def _part_name(text: str) -> tuple[str, bool]:
    name = text.strip()
    is_control = name.endswith(CONTROL)
    return name.removesuffix(CONTROL).removeprefix(PARENT).strip(), is_control


def _template(text: str) -> Expression:
    pieces: list[str | tuple[Expression, bool]] = []
    at = 0
    for match in _PART.finditer(text):
        pieces.append(text[at : match.start()])
        inner = match[1].strip()
        is_control = inner.endswith(CONTROL)
        pieces.append((compile_expression(inner.removesuffix(CONTROL)), is_control))
        at = match.end()
    pieces.append(text[at:])
    rule = f"template {text}"

    def read(record: Record, line: Record | None, number: int) -> Seen | None:
        out = []
        for piece in pieces:
            if isinstance(piece, str):
                out.append(piece)
                continue
            expression, is_control = piece
            seen = expression(record, line, number)
            part = None if seen is None else as_text(seen.value)
            if part is None:
                return None
            out.append(part.lstrip("0") or part[:1] if is_control else part)
        return Seen("".join(out), rule=rule)

    return read
