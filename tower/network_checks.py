"""Names in network.yaml that lead nowhere, and identifiers that two partners claim.

A model sees one value; these checks see the whole file. Each mistake comes with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tower.errors import Problem
from tower.feeds import OPTIONS
from tower.owners import field_named, kinds_with_fields
from tower.shipped_mappings import shipped
from tower.strict_yaml import Mark, Marks, Path, closest, problems_of

if TYPE_CHECKING:
    from tower.network import Network, Partner, Source

OWNER_LETTERS = {
    "B": "buyer",
    "D": "supplier desk",
    "S": "supplier",
    "I": "integration",
    "W": "warehouse",
    "P": "payables",
    "C": "customer service",
    "T": "tower operator",
}
"""Letters of the category table and whom they mean."""

ADDRESS = r"^[^@\s<>\"',;:]+@[^@\s<>\"',;:]+$"
"""Mail addresses that a header takes as they are."""

FORMATS_OF = {
    "drop_folder": ("x12", "edifact", "mdn", "csv", "json", "xml", "log", "cloudevents"),
    "log_file": ("log", "cloudevents"),
    "access_log": ("access_log",),
    "rest": ("json", "cloudevents"),
    "odata": ("json",),
    "sql_view": ("json",),
    "rabbitmq": ("queue",),
    "nats": ("queue",),
    "kafka": ("queue",),
    "push": (
        "x12",
        "edifact",
        "mdn",
        "csv",
        "json",
        "xml",
        "log",
        "cloudevents",
        "otlp",
        "access_log",
    ),
}
FORMATS_OF["sftp"] = FORMATS_OF["drop_folder"]
FORMATS_OF["amqp"] = tuple(
    name for name in FORMATS_OF["push"] if name not in ("otlp", "access_log")
)
MAPPED = ("csv", "json", "xml", "log")
MAPPING_FORMAT = {"otlp": "log", "access_log": "log", "queue": "log"}
"""Formats whose records are read by mappings of another, by default by the shipped one that has
their name.
"""

Found = tuple[Path, str, str]


def problems(network: Network, marks: Marks, name: str) -> list[Problem]:
    """Every mistake that only the whole file shows, in the order of the file."""
    found: list[Problem] = []
    for key in network.sources:
        found.extend(_option_problems(network, key, marks, name))
    for path, message, next_step in _all(network):
        place = marks.nearest(path) or Mark(1, 1)
        found.append(Problem(name, place.line, place.col, marks.say(path), message, next_step))
    return sorted(found, key=lambda p: (p.line or 0, p.col or 0))


def _all(network: Network) -> Iterator[Found]:
    yield from _company(network)
    for key, source in network.sources.items():
        yield from _source(network, ("sources", key), source)
    for key, partner in network.partners.items():
        yield from _partner(network, ("partners", key), partner)
    yield from _identifiers(network)
    yield from _owners(network)
    for name, group in network.sign_in.groups.items():
        for n, key in enumerate(group.partners):
            path = ("sign_in", "groups", name, "partners", n)
            yield from _name(path, key, network.partners, "partners")
    yield from _channels(network)
    yield from _outlets(network)
    yield from _source_of_truth(network)


def _source_of_truth(network: Network) -> Iterator[Found]:
    fields_of = kinds_with_fields()
    for word, choice in network.source_of_truth.items():
        path: Path = ("source_of_truth", word)
        if not isinstance(choice, Mapping):
            every = frozenset[str]().union(*fields_of.values())
            yield from _owned_field(network, path, word, choice, every)
        elif word not in fields_of:
            yield path, f'"{word}" is no kind of line', f"write one of: {', '.join(fields_of)}"
        else:
            for name, systems in choice.items():
                yield from _owned_field(network, (*path, name), name, systems, fields_of[word])


def _owned_field(
    network: Network, path: Path, name: str, systems: Iterable[str], known: frozenset[str]
) -> Iterator[Found]:
    if field_named(name) not in known:
        near = closest(name, known)
        yield (
            path,
            f'"{name}" is no field that can have an owner',
            f"write {near}" if near else f"write one of: {', '.join(sorted(known))}",
        )
    kinds = {system.kind for system in network.systems.values()}
    for system in systems:
        if system not in kinds and system not in network.systems:
            yield (
                path,
                f"no system of kind {system} is described, nor one of that name",
                f"write one of: {', '.join(sorted(kinds | set(network.systems))) or 'none'}",
            )


def _company(network: Network) -> Iterator[Found]:
    yield from _name(
        ("company", "calendar"), network.company.calendar, network.calendars, "calendars"
    )


def _source(network: Network, path: Path, source: Source) -> Iterator[Found]:
    yield from _name((*path, "system"), source.system, network.systems, "systems")
    yield from _name((*path, "calendar"), source.calendar, network.calendars, "calendars")
    yield from _name((*path, "maintenance"), source.maintenance, network.calendars, "calendars")
    yield from _name((*path, "partner"), source.partner, network.partners, "partners")
    yield from _name((*path, "outlet"), source.outlet, network.outlets, "outlets")
    yield from _mapping((*path, "mapping"), source.mapping, source.format, network)
    if source.format not in FORMATS_OF[source.kind]:
        yield (
            (*path, "format"),
            f"a {source.kind} does not bring {source.format}",
            f"write one of: {', '.join(FORMATS_OF[source.kind])}",
        )
    if source.format in MAPPED and source.mapping is None and not _partners_map(network, source):
        yield (
            path,
            f"format {source.format} needs a mapping",
            "write mapping: and the name of one in mappings",
        )
    if source.kind == "push" and ((source.format == "access_log") != ("access" in source.options)):
        yield (
            (*path, "options"),
            "format access_log and options.access belong together in a push source",
            "write both (access: {layout: kong}), or neither",
        )
    if source.silent_after <= source.every:
        yield (
            (*path, "silent_after"),
            "is not longer than every: the source would be called silent between two reads",
            "write several times the rhythm",
        )


def _partners_map(network: Network, source: Source) -> bool:
    """Whether partners bring their own mappings to this feed."""
    return any(
        mapping.format == source.format
        for partner in network.partners.values()
        if (mapping := network.mappings.get(partner.mapping or "")) is not None
    )


def _partner(network: Network, path: Path, partner: Partner) -> Iterator[Found]:
    for n, feed in enumerate(partner.feeds):
        yield from _name((*path, "feeds", n), feed, network.sources, "sources")
    yield from _name((*path, "calendar"), partner.calendar, network.calendars, "calendars")
    yield from _mapping((*path, "mapping"), partner.mapping, None, network)
    for role, who in partner.contacts.items():
        if "@" not in who:
            yield from _name((*path, "contacts", role), who, network.people, "people")
        elif not re.fullmatch(ADDRESS, who, re.ASCII) or len(who) > 254:
            yield (
                (*path, "contacts", role),
                f'"{who}" is not a mail address',
                "write one address, like orders@acme.example",
            )


def _identifiers(network: Network) -> Iterator[Found]:
    """Each identifier leads to one partner, or to us."""
    owner: dict[tuple[str, str], str] = {}
    for isa in network.company.isa:
        owner[("isa", isa)] = "company"
    for unb in network.company.unb:
        owner[("unb", unb)] = "company"
    for key, partner in network.partners.items():
        ids = partner.ids
        base: Path = ("partners", key, "ids")
        claimed: list[tuple[Path, str, str]] = [
            ((*base, "isa", n), "isa", value) for n, value in enumerate(ids.isa)
        ]
        claimed += [((*base, "gs", n), "gs", value) for n, value in enumerate(ids.gs)]
        claimed += [((*base, "unb", n), "unb", value) for n, value in enumerate(ids.unb)]
        claimed += [
            ((*base, kind), kind, value)
            for kind, value in (("gln", ids.gln), ("duns", ids.duns))
            if value
        ]
        claimed += [
            ((*base, "erp_vendor", erp), f"vendor number of {erp}", value)
            for erp, value in ids.erp_vendor.items()
        ]
        for path, kind, value in claimed:
            first = owner.setdefault((kind, value), key)
            if first != key:
                yield (
                    path,
                    f'"{value}" already belongs to {first}',
                    "an identifier belongs to one partner: correct one of the two",
                )


def _owners(network: Network) -> Iterator[Found]:
    for letter, who in network.owners.items():
        if letter not in OWNER_LETTERS:
            yield (
                ("owners", letter),
                "is not a letter of the category table",
                "write one of: "
                + ", ".join(f"{known} ({whom})" for known, whom in OWNER_LETTERS.items()),
            )
        yield from _name(("owners", letter), who, network.people, "people")
    missing = [letter for letter in OWNER_LETTERS if letter not in network.owners]
    if missing:
        said = ", ".join(f"{letter} ({OWNER_LETTERS[letter]})" for letter in missing)
        yield (
            ("owners",),
            f"nobody is named for {said}: their cases would reach no one",
            "name a person for every letter; one person may have several",
        )


def _channels(network: Network) -> Iterator[Found]:
    yield from _name(("second_channel",), network.second_channel, network.channels, "channels")
    for key, person in network.people.items():
        yield from _name(("people", key, "channel"), person.channel, network.channels, "channels")


def _outlets(network: Network) -> Iterator[Found]:
    for key, outlet in network.outlets.items():
        path: Path = ("outlets", key)
        kind = {"queue": "rabbitmq", "sftp": "sftp"}.get(outlet.kind)
        described = network.sources.get(outlet.source or "")
        if kind is not None and (described is None or described.kind != kind):
            of_kind = [name for name, one in network.sources.items() if one.kind == kind]
            yield (
                (*path, "source"),
                f'"{outlet.source}" is no source of kind {kind}',
                f"write one of: {', '.join(of_kind) or 'none is described'}",
            )
        for n, partner in enumerate(outlet.partners):
            yield from _name((*path, "partners", n), partner, network.partners, "partners")


def _mapping(path: Path, name: str | None, wanted: str | None, network: Network) -> Iterator[Found]:
    known = {**shipped(), **network.mappings}
    yield from _name(path, name, known, "mappings")
    mapping = known.get(name or "")
    wanted = MAPPING_FORMAT.get(wanted or "", wanted)
    if mapping is not None and wanted is not None and mapping.format != wanted:
        yield (
            path,
            f"mapping {name} is for {mapping.format}, the source brings {wanted}",
            f"name a mapping for {wanted}",
        )


def _name(path: Path, name: str | None, known: Iterable[str], where: str) -> Iterator[Found]:
    names = list(known)
    if name is None or name in names:
        return
    near = closest(name, names)
    yield (
        path,
        f'"{name}" is not in {where}',
        f"write {near}" if near else f"describe it in {where}, or write one that is there",
    )


def _option_problems(network: Network, key: str, marks: Marks, name: str) -> Iterator[Problem]:
    """Mistakes in the options of one source, which its kind decides."""
    source = network.sources[key]
    base: Path = ("sources", key, "options")
    try:
        OPTIONS[source.kind].model_validate(source.options)
    except ValidationError as error:
        inside = Marks(_below(base, marks.values), _below(base, marks.keys))
        around = marks.nearest(base) or Mark(1, 1)
        for problem in problems_of(error, inside, name):
            known = problem.line is not None and bool(inside.values)
            path = ".".join(part for part in (marks.say(base), problem.path) if part)
            yield replace(
                problem,
                line=problem.line if known else around.line,
                col=problem.col if known else around.col,
                path=path,
            )


def _below(base: Path, places: Mapping[Path, Mark]) -> dict[Path, Mark]:
    """The places under ``base``, with paths counted from there."""
    return {path[len(base) :]: mark for path, mark in places.items() if path[: len(base)] == base}
