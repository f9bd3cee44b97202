"""Paths into XML documents, as mappings of format xml write them: a small part of XPath.

    E1EDK01/BELNR                     an element below the record; the first that has a value
    E1EDKA1[PARVW='LF']/PARTN         the one whose child has this text; != for any other
    cbc:Quantity/@unitCode            an attribute
    DocumentReference[@type='order']  told apart by an attribute
    ItemDetail[2]                     the second of its kind, counted from 1
    ItemOut[Comments]                 one that has such a child
    */BELNR, cac:*                    any name; any name of a namespace
    ../OrderReference/@orderID        from the element around
    Request/*/local-name()            the name of the element itself, without its prefix
    join(Package/SSCC)                the values of all that are found, parted by ";"

Steps may be chained and predicates follow each other: ``Extrinsic[@name='a'][1]``. A name without a
prefix is in no namespace, unless ``namespaces`` of the mapping gives the prefix "" one. Attributes
without a prefix are in no namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

ANY = "*"
LONGEST_PATH = 500

_NAME = r"[^\W\d][\w.\-]*"
_TEST = re.compile(rf"(?:(?P<prefix>{_NAME}):)?(?P<name>{_NAME}|\*)")
_PREDICATE = re.compile(
    rf"\[\s*(?:(?P<place>[1-9]\d{{0,5}})|(?P<child>@?(?:{_NAME}:)?{_NAME})"
    rf"\s*(?:(?P<sign>!?=)\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<bare>[^\]'\"]*?)))?)"
    rf"\s*\]"
)


class Name(NamedTuple):
    """What a step looks for. ``uri`` None stands for every namespace, "" for none."""

    uri: str | None
    local: str

    def fits(self, uri: str, local: str) -> bool:
        return (self.uri is None or self.uri == uri) and self.local in (ANY, local)


class Predicate(NamedTuple):
    """``place`` from 1; or a child or attribute that is there, equal or unequal to ``value``."""

    place: int
    name: Name | None = None
    is_attribute: bool = False
    sign: str = ""
    value: str = ""


class Step(NamedTuple):
    """``kind``: child, attribute, parent, self, or name (the element's own name)."""

    kind: str
    name: Name | None = None
    predicates: tuple[Predicate, ...] = ()


class XmlPath(NamedTuple):
    steps: tuple[Step, ...]
    joined: bool = False


class BadPath(ValueError):
    """A path that is not written in this language; its text says what is wrong."""


def parse_path(text: str, namespaces: Mapping[str, str]) -> XmlPath:
    """The steps of a path. Raises BadPath if it is wrong or has a prefix that nobody declared."""
    return _parsed(text, tuple(sorted(namespaces.items())))


@lru_cache(maxsize=8192)
def _parsed(text: str, namespaces: tuple[tuple[str, str], ...]) -> XmlPath:
    known = dict(namespaces)
    path = text.strip()
    if not path or len(path) > LONGEST_PATH:
        raise BadPath("is empty" if not path else f"is longer than {LONGEST_PATH} signs")
    joined = path.startswith("join(") and path.endswith(")")
    if joined:
        path = path[5:-1].strip()
    steps = tuple(_step(part, known) for part in _parts(path))
    for step in steps[:-1]:
        if step.kind in ("attribute", "name"):
            raise BadPath("goes on behind an attribute or a name, where nothing is")
    return XmlPath(steps, joined)


def _parts(path: str) -> Iterator[str]:
    """The text cut at slashes that stand outside of predicates."""
    at = depth = 0
    quote = ""
    for n, sign in enumerate(path):
        if quote:
            quote = "" if sign == quote else quote
        elif depth and sign in "'\"":
            quote = sign
        elif sign == "[":
            depth += 1
        elif sign == "]":
            depth -= 1
        elif sign == "/" and not depth:
            yield path[at:n]
            at = n + 1
    yield path[at:]


def _step(text: str, namespaces: Mapping[str, str]) -> Step:
    text = text.strip()
    if text == "..":
        return Step("parent")
    if text == ".":
        return Step("self")
    if text == "local-name()":
        return Step("name")
    if text.startswith("@"):
        match = _TEST.fullmatch(text[1:])
        if match is None:
            raise BadPath(f'has "{text}", which is no name of an attribute')
        return Step("attribute", _name(match, namespaces, is_attribute=True))
    match = _TEST.match(text)
    if match is None:
        raise BadPath(f'has "{text}" where the name of an element should be')
    found: list[Predicate] = []
    at = match.end()
    while at < len(text):
        inner = _PREDICATE.match(text, at)
        if inner is None:
            raise BadPath(f"has \"{text[at:]}\", which is no condition like [PARVW='LF']")
        found.append(_predicate(inner, namespaces))
        at = inner.end()
    return Step("child", _name(match, namespaces), tuple(found))


def _predicate(match: re.Match[str], namespaces: Mapping[str, str]) -> Predicate:
    if match["place"]:
        return Predicate(int(match["place"]))
    child = match["child"]
    is_attribute = child.startswith("@")
    test = _TEST.fullmatch(child.removeprefix("@"))
    if test is None:  # the pattern of predicates has the same names
        raise BadPath(f'has "{child}" where a name should be')
    quoted = match["single"] if match["single"] is not None else match["double"]
    value = quoted if quoted is not None else (match["bare"] or "")
    return Predicate(
        0, _name(test, namespaces, is_attribute=is_attribute), is_attribute,
        match["sign"] or "", value.strip(),
    )  # fmt: skip


def _name(
    match: re.Match[str], namespaces: Mapping[str, str], *, is_attribute: bool = False
) -> Name:
    prefix, local = match["prefix"], match["name"]
    if prefix is None:
        if local == ANY:
            return Name(None, ANY)
        return Name("" if is_attribute else namespaces.get("", ""), local)
    uri = namespaces.get(prefix)
    if uri is None:
        declared = ", ".join(sorted(name for name in namespaces if name)) or "none"
        raise BadPath(f'has the prefix "{prefix}", which namespaces does not declare ({declared})')
    return Name(uri, local)
