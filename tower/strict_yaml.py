"""YAML that means what it says: few resolvers, no tricks, every mistake with its line and column.

A plain YAML loader reads ``17:00`` as 1020, ``NO`` as false and lets the second of two equal keys
win. Here a plain word is null, true, false, a plain decimal number, or a text. Anchors, aliases,
merges, tags, equal keys and second documents are refused, all of them in one go.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from tower.errors import ConfigError, Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_INT = re.compile(r"-?(?:0|[1-9]\d{0,17})\Z")
_FLOAT = re.compile(r"-?(?:0|[1-9]\d{0,17})\.\d{1,17}\Z")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
# The libyaml parser is ten times as fast; the pure one reads the same language.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Mark(NamedTuple):
    """A place in the text; both count from 1."""

    line: int
    col: int


@dataclass(frozen=True, slots=True)
class Marks:
    """Where each value and each key of a document stands, by its path from the root."""

    values: Mapping[Path, Mark]
    keys: Mapping[Path, Mark]
    names: Mapping[Path, str] = field(default_factory=dict)  # "id" or "name" of list items

    def nearest(self, path: Path) -> Mark | None:
        """The value at this path, else the nearest thing around it that exists."""
        for end in range(len(path), -1, -1):
            mark = self.values.get(path[:end])
            if mark is not None:
                return mark
        return None

    def say(self, path: Path) -> str:
        """``rules[po.unacknowledged].due.targets[2].within``: list items by their id if any."""
        text = ""
        for end, part in enumerate(path, start=1):
            if isinstance(part, int):
                text += f"[{self.names.get(path[:end], part)}]"
            else:
                text += f".{part}" if text else part
        return text


def mistake(message: str, next_step: str = "") -> PydanticCustomError:
    """The error that validators of configuration models raise: what is wrong, what to write."""
    return PydanticCustomError(
        "configuration", "{message}", {"message": message, "next_step": next_step}
    )


def load(text: str, name: str) -> tuple[Any, Marks]:
    """The data of one YAML document and the place of each of its values.

    ``name`` is the file name shown in errors. Raises ConfigError with every problem found.
    """
    text = text.removeprefix("\ufeff")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(
            [Problem(name, None, None, "", "the file is larger than 1 MB", "split or shorten it")]
        )
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        builder.problem(place, (), said or "not readable as YAML", _syntax_advice(said))
    except yaml.YAMLError as error:
        builder.problems.append(_unreadable(name, text, error))
    except RecursionError:
        builder.problem(None, (), "the file is nested too deeply", f"stay under {MAX_DEPTH} levels")
    if builder.problems:
        raise ConfigError(builder.problems)
    return builder.root, Marks(builder.values, builder.keys, builder.names)


def parse(text: str, model: type[Model], name: str) -> Model:
    """A configuration model from YAML text; raises ConfigError with every problem in its place."""
    data, marks = load(text, name)
    return validate(data, marks, model, name)


def validate(data: Any, marks: Marks, model: type[Model], name: str) -> Model:
    """The second half of ``parse``, for callers that also need the marks."""
    try:
        # As JSON, so that strict models still take a list for a tuple.
        return model.model_validate_json(json.dumps({} if data is None else data))
    except ValidationError as error:
        raise ConfigError(list(problems_of(error, marks, name))) from None


def problems_of(error: ValidationError, marks: Marks, name: str) -> Iterator[Problem]:
    """The errors of a model, each joined to its place in the text, in the order of the text."""
    found: list[tuple[Mark, Problem]] = []
    seen: set[tuple[Path, str]] = set()
    for detail in error.errors(include_url=False):
        path, rest = _locate(detail["loc"], marks)
        message, next_step = _explain(detail, rest)
        if detail["type"] == "missing" and rest:
            mark = marks.nearest(path)
            path = (*path, rest[-1])
        elif detail["type"] == "union_tag_invalid":
            path = (*path, str(detail.get("ctx", {}).get("discriminator", "")).strip("'"))
            mark = marks.nearest(path)
        elif detail["type"] == "extra_forbidden":
            mark = marks.keys.get(path) or marks.nearest(path)
        else:
            mark = marks.nearest(path)
        if (path, message) in seen:
            continue
        seen.add((path, message))
        place = mark or Mark(1, 1)
        found.append(
            (place, Problem(name, place.line, place.col, marks.say(path), message, next_step))
        )
    for _, problem in sorted(found, key=lambda item: item[0]):
        yield problem


def closest(word: str, known: Sequence[str] | frozenset[str]) -> str:
    """The known word that was probably meant, or ""."""
    matches = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.7)
    return matches[0] if matches else ""


def _locate(loc: tuple[int | str, ...], marks: Marks) -> tuple[Path, Path]:
    """Split an error location into the part that exists in the text and what remains.

    Names that pydantic adds for the branch of a union are skipped.
    """
    path: Path = ()
    rest: Path = ()
    for part in loc:
        if part == "[key]":
            continue
        if (*path, part) in marks.values:
            path, rest = (*path, part), ()
        else:
            rest = (*rest, part)
    return path, rest


def _explain(detail: ErrorDetails, rest: Path) -> tuple[str, str]:
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    shown = json.dumps(given, ensure_ascii=False, default=str)
    if len(shown) > 60:
        shown = shown[:57] + "..."
    if kind == "configuration":
        return str(context["message"]), str(context.get("next_step", ""))
    if kind == "missing":
        wanted = rest[-1] if rest else "a value"
        return "is missing", f"write {wanted}: ..."
    if kind == "extra_forbidden":
        return "is not known here", "remove it, or look for a misspelling"
    if kind in ("literal_error", "enum"):
        return f"{shown} is not a known word", f"write one of: {context['expected']}"
    if kind == "union_tag_invalid":
        known = str(context["expected_tags"]).replace("'", "")
        field_name = str(context["discriminator"]).strip("'")
        return (
            f"{field_name} {context['tag']} is not known to this version",
            f"write one of: {known}",
        )
    if kind == "union_tag_not_found":
        return f"{str(context['discriminator']).strip(chr(39))} is missing", "write it"
    if kind == "value_error":
        message, _, next_step = str(context.get("error", detail["msg"])).partition("; ")
        return message, next_step
    if kind == "string_pattern_mismatch":
        return f"{shown} is not written as expected", f"it must match {context['pattern']}"
    expected = _EXPECTED.get(kind)
    if expected:
        return f"{shown} is not {expected}", f"write {expected}"
    return f"{shown}: {detail['msg'][:1].lower()}{detail['msg'][1:]}", "write another value"


_EXPECTED = {
    "string_type": "a text (put it in quotes)",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "none_required": "empty",
}


@dataclass(slots=True)
class _Open:
    """A mapping or list under construction.

    detached  it stands under a refused key: read on for more mistakes, keep nothing
    refused   the value to come belongs to a refused key
    """

    value: dict[str, Any] | list[Any]
    path: Path
    detached: bool
    key: str | None = None
    refused: bool = False


class _Builder:
    """Builds data from YAML events: never recursive, so depth cannot hurt it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Any = None
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self.names: dict[Path, str] = {}
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._documents = 0
        self._too_deep = 0
        self._lost = False  # after a key that is not a word nothing can be placed

    def problem(self, mark: Any, path: Path, message: str, next_step: str) -> None:
        line, col = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
        said = Marks({}, {}, self.names).say(path)
        self.problems.append(Problem(self.name, line, col, said, message, next_step))

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents == 2:
                self.problem(event.start_mark, (), "a second document begins", 'remove the "---"')
        elif self._documents > 1 or self._lost:
            return
        elif isinstance(event, yaml.CollectionEndEvent):
            if self._too_deep:
                self._too_deep -= 1
            else:
                self._stack.pop()
                self._value_done()
        elif isinstance(event, yaml.NodeEvent):
            self._refuse_tricks(event)
            if isinstance(event, yaml.CollectionStartEvent):
                self._begin(event)
            elif not self._too_deep:
                self._scalar(event)

    def _refuse_tricks(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            trick = "an alias (*)"
        elif event.anchor is not None:
            trick = "an anchor (&)"
        elif event.tag is not None:
            trick = "a tag (!)"
        else:
            return
        self.problem(event.start_mark, self._path(), f"{trick} is not allowed", "write it out")

    def _begin(self, event: Any) -> None:
        if self._too_deep or len(self._stack) >= MAX_DEPTH:
            if not self._too_deep:
                advice = f"stay within {MAX_DEPTH} levels"
                self.problem(event.start_mark, self._path(), "is nested too deeply", advice)
            self._too_deep += 1
            return
        if self._at_key():
            where = self._stack[-1].path
            self.problem(event.start_mark, where, "a key must be a word", "write key: value")
            self._lost = True
            return
        path, detached = self._path(), self._detached()
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._attach(event, path, value)
        self._stack.append(_Open(value, path, detached))

    def _scalar(self, event: Any) -> None:
        alias = isinstance(event, yaml.AliasEvent)
        if self._at_key():
            self._key(self._stack[-1], "*" if alias else event.value, event)
            return
        path, value = self._path(), None if alias else _plain(event)
        if isinstance(value, str) and path and path[-1] in ("id", "name") and not self._detached():
            self.names.setdefault(path[:-1], value)
        self._attach(event, path, value)
        self._value_done()

    def _key(self, top: _Open, key: str, event: Any) -> None:
        path = (*top.path, key)
        if key == "<<":
            self.problem(event.start_mark, top.path, "a merge (<<) is not allowed", "write it out")
            top.refused = True
        elif not top.detached and path in self.keys:
            first = self.keys[path].line
            message = f"is written twice (first in line {first})"
            self.problem(event.start_mark, path, message, "keep one of them")
            top.refused = True
        elif not top.detached:
            self.keys[path] = _mark(event)
        top.key = key

    def _at_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].key is None and not self._in_list()

    def _in_list(self) -> bool:
        return isinstance(self._stack[-1].value, list)

    def _detached(self) -> bool:
        return bool(self._stack) and (self._stack[-1].detached or self._stack[-1].refused)

    def _attach(self, event: Any, path: Path, value: Any) -> None:
        if self._detached():
            return
        self.values[path] = _mark(event)
        if not self._stack:
            self.root = value
            return
        top = self._stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is not None:
            top.value[top.key] = value

    def _value_done(self) -> None:
        if self._stack:
            self._stack[-1].key, self._stack[-1].refused = None, False

    def _path(self) -> Path:
        if not self._stack:
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        return top.path if top.key is None else (*top.path, top.key)


def _plain(event: Any) -> Any:
    text: str = event.value
    if event.style:  # quoted or block: a text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _unreadable(name: str, text: str, error: yaml.YAMLError) -> Problem:
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return Problem(name, 1, 1, "", str(error).splitlines()[0], "save the file as UTF-8 text")
    before = text[:position]
    line = before.count("\n") + 1
    col = position - (before.rfind("\n") + 1) + 1
    return Problem(name, line, col, "", "holds a character that YAML does not allow", "delete it")


def _syntax_advice(said: str) -> str:
    if "\\t" in said or "tab" in said:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in said:
        return 'put a text that contains ": " in quotes'
    if "flow" in said or "expected ',' or" in said:
        return "close the bracket or brace"
    return "check indentation, quotes and brackets on this line and the one above"
