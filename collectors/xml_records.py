"""Elements of an XML document as records of a mapping; tower/xml_paths.py tells the paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from collectors.records import Place
from collectors.xml_tree import Node, XmlBody
from tower.xml_paths import ANY, Name, Predicate, Step, XmlPath, parse_path

JOIN = ";"


class Spot(NamedTuple):
    """An element and those around it; ``n`` is its place from 1 among those of its name."""

    node: Node
    above: Spot | None
    n: int = 1

    @property
    def where(self) -> str:
        """Its path from the root: "/Order/Line[2]"."""
        parts: list[str] = []
        spot: Spot | None = self
        while spot is not None:
            parts.append(spot.node.local if spot.n == 1 else f"{spot.node.local}[{spot.n}]")
            spot = spot.above
        return "/" + "/".join(reversed(parts))


class Found(NamedTuple):
    """A value at a spot; ``attribute`` is its local name, "" for the text of the element."""

    value: str
    spot: Spot
    attribute: str = ""


class XmlRecord:
    """An element read by paths."""

    __slots__ = ("_body", "_namespaces", "_nulls", "spot")

    def __init__(
        self, spot: Spot, body: XmlBody, namespaces: Mapping[str, str], nulls: frozenset[str]
    ) -> None:
        self.spot = spot
        self._body = body
        self._namespaces = namespaces
        self._nulls = nulls

    def renamed(self, namespaces: Mapping[str, str]) -> XmlRecord:
        """The same element under other prefixes."""
        return XmlRecord(self.spot, self._body, namespaces, self._nulls)

    def get(self, path: str) -> str | None:
        parsed = parse_path(path, self._namespaces)
        if parsed.joined:
            values = [found.value for found in self._found(parsed)]
            return JOIN.join(values) or None
        first = next(self._found(parsed), None)
        return None if first is None else first.value

    def place(self, path: str) -> Place:
        parsed = parse_path(path, self._namespaces)
        first = next(self._found(parsed), None)
        if first is None or parsed.joined:
            return Place(f"{self.spot.where}/{path}", is_literal=False)
        node = first.spot.node
        if parsed.steps[-1].kind == "name":
            return Place(f"{first.spot.where}/local-name()", is_literal=False)
        if first.attribute:
            element = f"{first.spot.where}/@{first.attribute}"
            place = self._body.attribute_place(node, first.attribute, first.value)
        else:
            element, place = first.spot.where, self._body.text_place(node)
        if place is None:
            return Place(element, is_literal=False)
        return Place(element, *place)

    def items(self, path: str) -> Iterator[XmlRecord]:
        """The elements at a path, each a record of its own."""
        for spot in select(self.spot, parse_path(path, self._namespaces).steps):
            yield XmlRecord(spot, self._body, self._namespaces, self._nulls)

    def _found(self, path: XmlPath) -> Iterator[Found]:
        """Every value at a path that is none of those that mean no value."""
        *steps, last = path.steps
        ends = (*steps, last) if last.kind not in ("attribute", "name") else tuple(steps)
        for spot in select(self.spot, ends):
            for value, attribute in _values(spot.node, last):
                text = value.strip()
                if text not in self._nulls:
                    yield Found(text, spot, attribute)


def select(spot: Spot, steps: tuple[Step, ...]) -> Iterator[Spot]:
    """The elements that a path leads to, in the order of the document."""
    if not steps:
        yield spot
        return
    first, rest = steps[0], steps[1:]
    for found in _stepped(spot, first):
        yield from select(found, rest)


def fits(node: Node, step: Step) -> bool:
    """Whether an element has the name that a step looks for."""
    return step.name is not None and step.name.fits(node.uri, node.local)


def children(spot: Spot, name: Name) -> Iterator[Spot]:
    """The elements right inside that have this name."""
    if name.local == ANY:
        counts: dict[str, int] = {}
        for node in spot.node.children:
            n = counts[node.local] = counts.get(node.local, 0) + 1
            if name.fits(node.uri, node.local):
                yield Spot(node, spot, n)
        return
    for n, node in enumerate(spot.node.named(name.local), start=1):
        if name.fits(node.uri, node.local):
            yield Spot(node, spot, n)


def _stepped(spot: Spot, step: Step) -> Iterator[Spot]:
    if step.kind == "self":
        yield spot
    elif step.kind == "parent":
        if spot.above is not None:
            yield spot.above
    elif step.name is not None:
        found = children(spot, step.name)
        for predicate in step.predicates:
            found = _filtered(found, predicate)
        yield from found


def _filtered(spots: Iterator[Spot], predicate: Predicate) -> Iterator[Spot]:
    for n, spot in enumerate(spots, start=1):
        if predicate.place:
            if n == predicate.place:
                yield spot
                return
        elif _holds(spot.node, predicate):
            yield spot


def _holds(node: Node, predicate: Predicate) -> bool:
    name = predicate.name
    if name is None:
        return False
    if predicate.is_attribute:
        value = node.attribute(name.uri or "", name.local)
        values = [] if value is None else [value.strip()]
    else:
        named = node.named(name.local)
        values = [child.text for child in named if name.fits(child.uri, child.local)]
    if not predicate.sign:
        return bool(values)
    if predicate.sign == "=":
        return predicate.value in values
    return predicate.value not in values


def _values(node: Node, last: Step) -> Iterator[tuple[str, str]]:
    if last.kind == "name":
        yield node.local, ""
    elif last.kind != "attribute":
        yield node.text, ""
    elif last.name is not None:
        value = node.attribute(last.name.uri or "", last.name.local)
        if value is not None:
            yield value, last.name.local
