"""Time zones, the same on every machine, and local times that do not exist or come twice."""

from __future__ import annotations

import importlib.resources
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from tower.strict_yaml import mistake


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """A time zone from the pinned tzdata package, so that every machine counts alike.

    The host's own copy is used only where the package does not know the name.
    """
    if re.fullmatch(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*", name):
        place = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
        if place.is_file():
            with place.open("rb") as data:
                return ZoneInfo.from_file(data, key=name)
    return ZoneInfo(name)


def _known_zone(name: str) -> str:
    try:
        zone(name)
    except (KeyError, OSError, ValueError):
        raise mistake(
            f'"{name}" is not a time zone', "write a name like Europe/Berlin or UTC"
        ) from None
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]


def resolve(local: ZoneInfo, naive: datetime) -> datetime:
    """A naive local time in UTC: in a gap the gap's end, doubled its first occurrence."""
    first = naive.replace(tzinfo=local, fold=0)
    # A ZoneInfo always knows its offset; "or" is for the type checker.
    before = first.utcoffset() or timedelta(0)
    after = first.replace(fold=1).utcoffset() or timedelta(0)
    if before < after:  # a gap: fold=0 names the offset before it, fold=1 the one after
        return _gap_end(local, naive - after, naive - before)
    return (naive - before).replace(tzinfo=UTC)


def _gap_end(local: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The instant of the clock change between two UTC times, by halving down to the second."""
    begin, end = low.replace(tzinfo=UTC), high.replace(tzinfo=UTC)
    offset = begin.astimezone(local).utcoffset()
    if end.astimezone(local).utcoffset() == offset:
        return end
    while end - begin > timedelta(seconds=1):
        middle = begin + timedelta(seconds=(end - begin) // timedelta(seconds=2))
        if middle.astimezone(local).utcoffset() == offset:
            begin = middle
        else:
            end = middle
    return end
