"""Conditions of the rule book: a small typed tree, no expression language.

``{po.type: [standard, rush], supplier.tier: A}`` is true when all its lines are. A scalar means
equals, a list one of, a mapping one or more of ``ne gt ge lt le present missing any all not``.
A comparison with a missing value is false; ``not`` is the plain complement.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, core_schema

from tower.strict_yaml import mistake

Scalar = str | int | float | bool
Attributes = Mapping[str, Any]
Predicate = Callable[[Attributes], bool]
Errors = list[tuple[tuple[str | int, ...], str, str]]

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_WORDS = {
    "ne": "is not",
    "gt": "is over",
    "ge": "is at least",
    "lt": "is under",
    "le": "is at most",
}


@dataclass(frozen=True, slots=True)
class Compare:
    """``attribute op value``; op is eq, ne, gt, ge, lt or le."""

    attribute: str
    op: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class OneOf:
    attribute: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """The attribute has a value (``present``)."""

    attribute: str


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


Node = Compare | OneOf | Known | All | AnyOf | Not


class Condition:
    """A parsed condition: ``holds(attributes)``, ``sentence()``, the attributes it asks about."""

    __slots__ = ("_said", "holds", "node", "source")

    def __init__(self, node: Node, source: Any) -> None:
        self.node = node
        self.source = source
        self.holds: Predicate = compiled(node)
        self._said = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)

    def __repr__(self) -> str:
        return f"Condition({self.sentence()})"

    def sentence(self) -> str:
        """For people: "PO type is standard or rush, and supplier tier is A"."""
        if not self._said:
            self._said = sentence(self.node)
        return self._said

    def attributes(self) -> frozenset[str]:
        return frozenset(_attributes(self.node))

    @classmethod
    def parse(cls, value: Any) -> Condition:
        """From the mapping in the rule book; every mistake in it is reported with its place."""
        errors: Errors = []
        node = _tree(value, (), errors)
        if errors:
            raise ValidationError.from_exception_data(
                "condition",
                [
                    InitErrorDetails(type=mistake(message, advice), loc=loc, input=value)
                    for loc, message, advice in errors
                ],
            )
        return cls(node, value)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Condition) else cls.parse(value),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda c: c.source),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        # Not a reference yet: pydantic would look it up among its own definitions.
        return {"type": "object", "format": "condition"}


_SCALAR_SCHEMA: dict[str, Any] = {"type": ["string", "number", "boolean"]}
JSON_SCHEMAS: dict[str, Any] = {
    "Condition": {
        "type": "object",
        "minProperties": 1,
        "description": "attribute: value, attribute: [one, of], attribute: {ge: 1}; any, all, not",
        "properties": {
            "any": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/Condition"}},
            "all": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/Condition"}},
            "not": {"$ref": "#/definitions/Condition"},
        },
        "patternProperties": {
            r"^[a-z_]+\.[a-z_]+$": {"$ref": "#/definitions/Matcher"},
        },
        "additionalProperties": False,
    },
    "Matcher": {
        "anyOf": [
            _SCALAR_SCHEMA,
            {"type": "array", "minItems": 1, "items": _SCALAR_SCHEMA},
            {
                "type": "object",
                "minProperties": 1,
                "properties": {
                    "ne": _SCALAR_SCHEMA,
                    **{op: {"type": ["string", "number"]} for op in _ORDER},
                    "present": {"enum": [True]},
                    "missing": {"enum": [True]},
                    "any": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"$ref": "#/definitions/Matcher"},
                    },
                    "all": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"$ref": "#/definitions/Matcher"},
                    },
                    "not": {"$ref": "#/definitions/Matcher"},
                },
                "additionalProperties": False,
            },
        ]
    },
}

# --- reading ------------------------------------------------------------------------------------


def _tree(value: Any, loc: tuple[str | int, ...], errors: Errors) -> Node:
    if not isinstance(value, dict) or not value:
        errors.append((loc, "is not a condition", "write {po.type: rush}"))
        return All(())
    parts = []
    for key, given in value.items():
        here = (*loc, key)
        if key in ("any", "all"):
            parts.append(_list(key, given, here, errors, _tree))
        elif key == "not":
            parts.append(Not(_tree(given, here, errors)))
        elif "." not in key:
            errors.append((here, f'"{key}" names no attribute', "write po.type, supplier.tier ..."))
        else:
            parts.append(_matcher(key, given, here, errors))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _matcher(name: str, value: Any, loc: tuple[str | int, ...], errors: Errors) -> Node:
    if isinstance(value, Scalar):
        return Compare(name, "eq", value)
    if isinstance(value, list):
        if value and all(isinstance(v, Scalar) for v in value):
            return OneOf(name, tuple(value))
        errors.append((loc, "is not a list of values", "write [A, B]"))
        return All(())
    if not isinstance(value, dict) or not value:
        errors.append((loc, "has nothing to compare with", "write a value, a list or {ge: 1}"))
        return All(())
    parts = [_operator(name, op, given, (*loc, op), errors) for op, given in value.items()]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _operator(name: str, op: str, value: Any, loc: tuple[str | int, ...], errors: Errors) -> Node:
    def inner(part: Any, where: tuple[str | int, ...], found: Errors) -> Node:
        return _matcher(name, part, where, found)

    if op in ("any", "all"):
        return _list(op, value, loc, errors, inner)
    if op == "not":
        return Not(inner(value, loc, errors))
    if op in ("present", "missing"):
        if value is not True:
            errors.append((loc, "takes only true", f"write {{{op}: true}}"))
        return Known(name) if op == "present" else Not(Known(name))
    if op == "ne" and isinstance(value, Scalar):
        return Compare(name, "ne", value)
    if op in _ORDER and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return Compare(name, op, value)
    if op == "ne" or op in _ORDER:
        errors.append((loc, "needs one value to compare with", f"write {{{op}: 1}}"))
    else:
        words = "ne gt ge lt le present missing any all not"
        errors.append((loc, f'"{op}" is not a comparison', f"write one of: {words}"))
    return All(())


def _list(
    word: str,
    value: Any,
    loc: tuple[str | int, ...],
    errors: Errors,
    read: Callable[[Any, tuple[str | int, ...], Errors], Node],
) -> Node:
    if not isinstance(value, list) or not value:
        errors.append((loc, "needs a list", f"write {word}: [ ... , ... ]"))
        return All(())
    parts = tuple(read(part, (*loc, n), errors) for n, part in enumerate(value))
    return AnyOf(parts) if word == "any" else All(parts)


# --- judging ------------------------------------------------------------------------------------


def _family(value: Any) -> str:
    """What may be compared with what: a truth value is no number, a number no text."""
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, (int, float, Decimal)):
        return "number"
    return "text" if isinstance(value, str) else "other"


def _decimal(value: Any) -> Any:
    # 0.1 in the rule book means a tenth, also against the exact decimals of documents.
    return Decimal(str(value)) if isinstance(value, float) else value


def compiled(node: Node) -> Predicate:
    """One closure for a tree."""
    if isinstance(node, Compare):
        return _compiled_compare(node)
    if isinstance(node, OneOf):
        if all(isinstance(value, str) for value in node.values):
            return _one_of_texts(node.attribute, frozenset(node.values))
        name, wanted = node.attribute, frozenset((_family(v), _decimal(v)) for v in node.values)

        def one_of(attributes: Attributes) -> bool:
            value = attributes.get(name)
            family = _family(value)  # of what is missing: other
            return family != "other" and (family, _decimal(value)) in wanted

        return one_of
    if isinstance(node, Known):
        known = node.attribute
        return lambda attributes: attributes.get(known) is not None
    if isinstance(node, Not):
        inner = compiled(node.part)
        return lambda attributes: not inner(attributes)
    parts = [compiled(part) for part in node.parts]
    if isinstance(node, AnyOf):
        return lambda attributes: any(part(attributes) for part in parts)
    return lambda attributes: all(part(attributes) for part in parts)


def _one_of_texts(name: str, wanted: frozenset[Scalar]) -> Predicate:
    def one_of(attributes: Attributes) -> bool:
        value = attributes.get(name)
        return isinstance(value, str) and value in wanted

    return one_of


def _compiled_compare(node: Compare) -> Predicate:
    name, wanted, family = node.attribute, _decimal(node.value), _family(node.value)
    if node.op == "eq" and isinstance(wanted, bool):
        return lambda attributes: attributes.get(name) is wanted
    if node.op == "eq" and isinstance(wanted, str):
        return lambda attributes: bool(attributes.get(name) == wanted)
    if node.op in ("eq", "ne"):
        expected = node.op == "eq"

        def equal(attributes: Attributes) -> bool:
            value = attributes.get(name)
            if value is None:
                return False
            return (_family(value) == family and _decimal(value) == wanted) is expected

        return equal
    compare = _ORDER[node.op]

    def ordered(attributes: Attributes) -> bool:
        value = attributes.get(name)
        if value is None or _family(value) != family:
            return False
        return compare(_decimal(value), wanted)

    return ordered


# --- telling ------------------------------------------------------------------------------------


def sentence(node: Node) -> str:
    if isinstance(node, Compare):
        words = "is" if node.op == "eq" else _WORDS[node.op]
        if isinstance(node.value, bool) and node.op == "eq":
            return f"{_name(node.attribute)} is {'yes' if node.value else 'no'}"
        return f"{_name(node.attribute)} {words} {_said(node.value)}"
    if isinstance(node, OneOf):
        return f"{_name(node.attribute)} is {' or '.join(_said(v) for v in node.values)}"
    if isinstance(node, Known):
        return f"{_name(node.attribute)} is known"
    if isinstance(node, Not):
        if isinstance(node.part, Known):
            return f"{_name(node.part.attribute)} is not known"
        return f"not ({sentence(node.part)})"
    word = ", or " if isinstance(node, AnyOf) else ", and "
    parts = [
        f"({sentence(part)})" if isinstance(part, (All, AnyOf)) else sentence(part)
        for part in node.parts
    ]
    return word.join(parts)


def _name(attribute: str) -> str:
    family, _, name = attribute.partition(".")
    said = {"po": "PO", "po_line": "PO line", "asn": "ASN"}.get(family, family.replace("_", " "))
    return f"{said} {name.replace('_', ' ')}"


def _said(value: Scalar) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _attributes(node: Node) -> Iterator[str]:
    if isinstance(node, (Compare, OneOf, Known)):
        yield node.attribute
    elif isinstance(node, Not):
        yield from _attributes(node.part)
    else:
        for part in node.parts:
            yield from _attributes(part)


# --- comparing conditions -----------------------------------------------------------------------


def implies(narrow: Node | None, wide: Node | None) -> bool:
    """True if whoever matches ``narrow`` surely matches ``wide``; False when it is not sure.

    Conditions without alternatives are compared part by part; None always matches.
    """
    if wide is None or narrow == wide:
        return True
    if narrow is None:
        return False
    have = narrow.parts if isinstance(narrow, All) else (narrow,)
    need = wide.parts if isinstance(wide, All) else (wide,)
    return all(any(_covers(h, n) for h in have) for n in need)


def _covers(have: Node, need: Node) -> bool:
    if have == need:
        return True
    if isinstance(need, AnyOf):
        return any(implies(have, part) for part in need.parts)
    if isinstance(have, (Compare, OneOf)) and isinstance(need, (Compare, OneOf, Known)):
        if have.attribute != need.attribute:
            return False
        if isinstance(need, Known):
            return True
        if isinstance(have, Compare) and have.op != "eq":
            return False
        values = have.values if isinstance(have, OneOf) else (have.value,)
        predicate = compiled(need)
        return all(predicate({need.attribute: value}) for value in values)
    return False
