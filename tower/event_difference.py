"""How the events of two readings of one message differ, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field with its two values; None where one side does not have it."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class EventDifference:
    """An event that came, left, or says something else under the same id."""

    id: str
    type: str
    position: str
    change: Literal["added", "withdrawn", "changed"]
    fields: tuple[FieldChange, ...]


def event_differences(
    withdrawn: Sequence[Mapping[str, Any]], added: Sequence[Mapping[str, Any]]
) -> tuple[EventDifference, ...]:
    """Events as {id, type, occurred_at, position, data}; by position, then type."""
    before = {one["id"]: one for one in withdrawn}
    after = {one["id"]: one for one in added}
    found = []
    for id_ in before.keys() | after.keys():
        one, other = before.get(id_), after.get(id_)
        shown = other or one or {}
        found.append(
            EventDifference(
                id=id_,
                type=shown["type"],
                position=shown["position"],
                change="added" if one is None else "withdrawn" if other is None else "changed",
                fields=field_changes(_fields(one), _fields(other)),
            )
        )
    return tuple(sorted(found, key=lambda d: (d.position, d.type, d.id)))


def field_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[FieldChange, ...]:
    """The fields whose values differ, in the order of their names."""
    return tuple(
        FieldChange(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def _fields(event: Mapping[str, Any] | None) -> dict[str, str]:
    if event is None:
        return {}
    return {"occurred_at": event["occurred_at"], **dict(leaves(event["data"]))}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of every value in event data: ("lines[0].qty", "5")."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for n, part in enumerate(value):
            yield from leaves(part, f"{path}[{n}]")
    elif value is not None:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)
