"""Conditions of the rule book as SQL over attributes that are kept as JSON.

The same tree gives the closure that judges (tower/conditions.py); a property test holds both to the
same answer. Every part is plainly true or false: a comparison with what is missing is false.
"""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Numeric,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from tower.conditions import AnyOf, Compare, Known, Node, Not, OneOf, Scalar

_ORDER = {"gt": "__gt__", "ge": "__ge__", "lt": "__lt__", "le": "__le__"}


def predicate(node: Node, attributes: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a condition holds for a jsonb object of attributes by their flat names."""
    if isinstance(node, Compare):
        return _compare(node, attributes)
    if isinstance(node, OneOf):
        value = attributes.op("->", return_type=JSONB())(node.attribute)
        return func.coalesce(value.in_([_json(wanted) for wanted in node.values]), false())
    if isinstance(node, Known):
        return _known(attributes.op("->")(node.attribute))
    if isinstance(node, Not):
        return not_(predicate(node.part, attributes))
    parts = [predicate(part, attributes) for part in node.parts]
    return or_(false(), *parts) if isinstance(node, AnyOf) else and_(true(), *parts)


def _compare(node: Compare, attributes: ColumnElement[Any]) -> ColumnElement[bool]:
    value = attributes.op("->", return_type=JSONB())(node.attribute)
    if node.op in ("eq", "ne"):
        # Numbers are compared as decimals, and a number is never equal to a text.
        equal = func.coalesce(value.bool_op("=")(_json(node.value)), false())
        return equal if node.op == "eq" else and_(_known(value), not_(equal))
    told = attributes.op("->>", return_type=Text())(node.attribute)
    wanted = node.value
    if isinstance(wanted, str):
        # Code point by code point, as Python does, whatever the database sorts by.
        found = getattr(told.collate("C"), _ORDER[node.op])(wanted)
        family = "string"
    else:
        found = getattr(cast(told, Numeric), _ORDER[node.op])(cast(str(wanted), Numeric))
        family = "number"
    return case((func.jsonb_typeof(value) == family, found), else_=false())


def _known(value: ColumnElement[Any]) -> ColumnElement[bool]:
    return func.coalesce(func.jsonb_typeof(value) != "null", false())


def _json(value: Scalar) -> ColumnElement[Any]:
    return cast(literal(orjson.dumps(value).decode(), Text), JSONB)
