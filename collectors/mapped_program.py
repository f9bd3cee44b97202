"""A mapping made ready to run: every expression compiled, every column it needs known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

from collectors.csv_rows import column_name
from collectors.records import (
    Expression,
    Record,
    compile_condition,
    compile_expression,
    compile_template,
    paths_of,
)
from tower.mapping import Emit
from tower.mapping import Mapping as PartnerMapping
from tower.vocabulary import EVENT_TYPES, EventSpec, FieldSpec

Template = Callable[[Record, Record | None], str | None]


@dataclass(frozen=True, slots=True)
class Field:
    """A canonical field, how it is read, and what the sender's words for it mean."""

    spec: FieldSpec
    read: Expression
    codes: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``emit`` rule. ``key_columns``: of each tuple the file must have one column."""

    event: EventSpec
    when: Callable[[Record], bool] | None
    id: Template | None
    time: Expression | None
    recorded: Expression | None
    system: Expression | None
    header: tuple[Field, ...]
    lines_from: str | None
    lines_when: Callable[[Record], bool] | None
    lines: tuple[Field, ...]
    supplier: Expression | None
    correlation: Template | None
    causation: Template | None
    carries: tuple[Template, ...]
    answers: tuple[Template, ...]
    key_columns: tuple[tuple[str, ...], ...]

    @property
    def has_lines(self) -> bool:
        return bool(self.lines) and bool(self.event.list_name)


@dataclass(frozen=True, slots=True)
class Program:
    """A whole mapping. ``key`` makes the key of a polled record or log line."""

    name: str
    mapping: PartnerMapping
    nulls: frozenset[str]
    rules: tuple[Rule, ...]
    key: Template | None
    column_names: frozenset[str]
    other_columns: tuple[str, ...]


_CACHE: dict[int, Program] = {}
_CACHE_LIMIT = 2000  # more mappings than any network has; reached only by many reloads
_GUARD = Lock()


def program_of(mapping: PartnerMapping, name: str) -> Program:
    """The compiled form of a mapping, made once: a program keeps its mapping alive, so that the
    object's number cannot come to mean another.
    """
    found = _CACHE.get(id(mapping))
    if found is None or found.mapping is not mapping:
        found = _compile(mapping, name)
        with _GUARD:
            if len(_CACHE) >= _CACHE_LIMIT:
                _CACHE.clear()
            _CACHE[id(mapping)] = found
    return found


def _compile(mapping: PartnerMapping, name: str) -> Program:
    rules = tuple(_rule(emit, mapping) for emit in mapping.rules)
    used = [path for emit in mapping.rules for path in _columns_of(emit)] + mapping.group_by
    key = {path for rule in rules for choice in rule.key_columns for path in choice}
    return Program(
        name=name,
        mapping=mapping,
        nulls=frozenset(text.strip() for text in mapping.nulls) | {""},
        rules=rules,
        key=_template(mapping.key),
        column_names=frozenset(column_name(path) for path in used),
        other_columns=tuple(dict.fromkeys(path for path in used if path not in key)),
    )


def _rule(emit: Emit, mapping: PartnerMapping) -> Rule:
    spec = EVENT_TYPES[emit.event]
    header = _fields(spec.header, emit.fields, emit, "")
    lines = _fields(spec.lines, emit.lines, emit, "lines.")
    supplier = emit.supplier or emit.fields.get("supplier")
    return Rule(
        event=spec,
        when=compile_condition(emit.when),
        id=_template(emit.id),
        time=_expression(emit.time),
        recorded=_expression(emit.recorded),
        system=_expression(emit.system),
        header=tuple(field for field in header if field.spec.name != "supplier"),
        lines_from=emit.lines_from,
        lines_when=compile_condition(emit.lines_when),
        lines=lines,
        supplier=_expression(supplier),
        correlation=_template(emit.correlation),
        causation=_template(emit.causation),
        carries=tuple(compile_template(text) for text in emit.carries),
        answers=tuple(compile_template(text) for text in emit.answers),
        key_columns=tuple(dict.fromkeys(_key_columns(emit, spec, mapping))),
    )


def _fields(
    specs: tuple[FieldSpec, ...], expressions: Mapping[str, str], emit: Emit, prefix: str
) -> tuple[Field, ...]:
    """In the order of the vocabulary, so that the order in the file changes nothing."""
    return tuple(
        Field(spec, compile_expression(expressions[spec.name]), _codes(emit, spec.name, prefix))
        for spec in specs
        if spec.name in expressions
    )


def _codes(emit: Emit, field: str, prefix: str) -> Mapping[str, str] | None:
    table = emit.codes.get(prefix + field) or emit.codes.get(field)
    return None if table is None else folded(table)


def folded(table: Mapping[str, str]) -> dict[str, str]:
    """A table of codes under which capitals and blanks at the ends do not matter."""
    return {sent.strip().casefold(): word for sent, word in table.items()}


def _expression(text: str | None) -> Expression | None:
    return None if text is None else compile_expression(text)


def _template(text: str | None) -> Template | None:
    return None if text is None else compile_template(text)


def _columns_of(emit: Emit) -> list[str]:
    found = [*emit.when, *emit.lines_when]
    named = [emit.time, emit.recorded, emit.system, emit.supplier]
    texts = [*named, *emit.fields.values(), *emit.lines.values()]
    templates = [emit.id, emit.correlation, emit.causation, *emit.carries, *emit.answers]
    for text in [*texts, *templates]:
        if text is not None:
            found.extend(paths_of(text))
    return list(dict.fromkeys(found))


def _key_columns(emit: Emit, spec: EventSpec, mapping: PartnerMapping) -> list[tuple[str, ...]]:
    """Columns without which no event of this rule can come; of a tuple one is enough."""
    found: list[tuple[str, ...]] = [(name,) for name in mapping.group_by]
    for path, wanted in emit.when.items():
        words = [wanted] if isinstance(wanted, str) else wanted
        if not any(word == "-" or word.startswith("!") for word in words):
            found.append((path,))
    if emit.id:
        found.extend((path,) for path in paths_of(emit.id))
    needed = [emit.supplier] if emit.supplier else []
    needed += [emit.fields[f.name] for f in spec.header if f.required and f.name in emit.fields]
    needed += [emit.lines[f.name] for f in spec.lines if f.required and f.name in emit.lines]
    for text in needed:
        paths = paths_of(text)
        if " | " in text:
            # A constant among the alternatives always has a value.
            if len(paths) == text.count(" | ") + 1:
                found.append(tuple(paths))
        else:
            found.extend((path,) for path in paths)
    return found
