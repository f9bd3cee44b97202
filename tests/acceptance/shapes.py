"""The JSON shapes that docs/command.md promises, read from the page itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command.md"

Shape = dict[str, "Shape | list[Shape] | None"]
"""Key -> shape of an object, [shape] of a list of objects, None for anything."""

_TOKEN = re.compile(r"[a-z_0-9]+|\.\.\.|[\[\]{},]")


def promised() -> dict[str, Shape]:
    """Command ("rules lint") -> shape of its answer."""
    block = PAGE.read_text(encoding="utf-8").split("## JSON")[1].split("```")[1]
    found: dict[str, Shape] = {}
    for part in re.split(r"\n(?=tower )", block.strip()):
        head = re.match(r"tower ((?:\S+ )+?) ", part)
        assert head is not None, part
        found[head[1].strip()] = _fields(_TOKEN.findall(part[head.end() :]))
    return found


def _fields(tokens: list[str]) -> Shape:
    shape: Shape = {}
    while tokens and tokens[0] not in "]}":
        name = tokens.pop(0)
        inner: Shape | list[Shape] | None = None
        if tokens and tokens[0] in "[{":
            inner = _inside(tokens)
        if name != "...":
            shape[name] = inner
        if tokens and tokens[0] == ",":
            tokens.pop(0)
    return shape


def _inside(tokens: list[str]) -> Shape | list[Shape] | None:
    opened = tokens.pop(0)
    if opened == "{":
        shape = _fields(tokens)
        assert tokens.pop(0) == "}"
        return shape
    inner = _inside(tokens) if tokens[0] == "{" else None
    assert tokens.pop(0) == "]"
    return [] if inner is None else [_object(inner)]


def _object(shape: Shape | list[Shape] | None) -> Shape:
    assert isinstance(shape, dict)
    return shape


def faults(answer: dict[str, Any], shape: Shape) -> list[str]:
    """Where an answer is not as promised; on the first level the keys must be exactly these."""
    odd = [f"{name} is not promised" for name in answer if name not in shape]
    return odd + _lacking(answer, shape, "")


def _lacking(value: Any, shape: Shape, where: str) -> list[str]:
    found: list[str] = []
    for name, inner in shape.items():
        place = f"{where}.{name}" if where else name
        if name not in value:
            found.append(f"{place} is missing")
        elif inner is None or value[name] is None:
            continue
        elif isinstance(inner, dict):
            found += _lacking(value[name], inner, place)
        elif not isinstance(value[name], list):
            found.append(f"{place} is no list")
        elif inner:
            for item in value[name]:
                found += _lacking(item, inner[0], place)
    return found


def empty_lists(value: dict[str, Any], shape: Shape, where: str = "") -> list[str]:
    """Promised lists and objects that an answer leaves empty: their fields were not seen."""
    found: list[str] = []
    for name, inner in shape.items():
        place = f"{where}.{name}" if where else name
        if isinstance(inner, dict):
            if not value[name]:
                found.append(place)
            else:
                found += empty_lists(value[name], inner, place)
        elif inner:
            if not value[name]:
                found.append(place)
            else:
                found += empty_lists(value[name][0], inner[0], place)
    return found
