"""Entries of a register in the order they happened, and how their instants are written."""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any

from tower.owners import Owners
from tower.registers import State, instant, microseconds

Timeline = list[tuple[int, str, list[Any]]]


def in_order(register: State) -> Timeline:
    """(at, event, entry) of a register by event, by instant and then by event."""
    if len(register) == 1:
        ((event, entry),) = register.items()
        return [(entry[0], event, entry)]
    return sorted((entry[0], event, entry) for event, entry in register.items())


def owned(register: State, field: str, owners: Owners, *, whole: bool = False) -> Timeline:
    """The entries of the systems that own the field; each entry names its system second.

    ``whole``: entries are words of a header, never taken apart by field.
    """
    entries = in_order(register)
    if len(entries) > 1:
        if field in owners.split and not whole:
            return owners.field_by_field(field, entries)
        counting = owners.of_field(field, {entry[1] for _, _, entry in entries})
        entries = [e for e in entries if e[2][1] in counting]
    return entries


@lru_cache(maxsize=1 << 16)
def stamp(at: int) -> str:
    """An instant as databases write it: 2026-03-02 08:00:00+00:00."""
    return str(instant(at))


@lru_cache(maxsize=1 << 14)
def iso(at: int) -> str:
    """ISO text of an instant to the second, for JSON columns."""
    text = stamp(at)
    return f"{text[:10]}T{text[11:19]}+00:00"


@lru_cache(maxsize=1 << 14)
def at_of(text: str) -> int:
    """Microseconds since 1970 of an ISO text with zone."""
    return microseconds(datetime.fromisoformat(text))


@lru_cache(maxsize=1 << 14)
def day_of(at: int, zone: tzinfo | None = None) -> str:
    """Calendar day of an instant, in the zone of the site it belongs to, else in UTC."""
    return stamp(at)[:10] if zone is None else str(instant(at).astimezone(zone).date())


def by_number(name: str) -> tuple[int, str]:
    """Sort key of line numbers: 2 before 10, and names after none of them."""
    return (int(name), name) if name.isascii() and name.isdigit() and len(name) < 19 else (0, name)
