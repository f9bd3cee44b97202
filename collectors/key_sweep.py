"""What an ERP deletes without a word, and what was missed: once a day all its keys are compared.

A record of a swept source has the key ``<entity>@<digest of its content>``: one entity, each of its
contents once. The reader stores nothing, so whoever runs it lends it what the tower knows
(``Known``). What the tower knows and the source no longer has becomes a record of its own, whose
"@removed" a mapping can ask for; what the source has and the tower never saw is read as if it had
changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from typing import Any, Protocol
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import orjson

from collectors.contract import RENDERED
from tower.errors import ConfigError
from tower.raw import Raw

REMOVED = "@removed"
"""Field of the record that stands for something gone; OData calls it so in its deltas."""

FEW = 20
"""So many may always be gone, however few are known."""

_PLAIN = " :/.,+()-_"
_LONGEST = 240
_CUT = "%%"  # no quoted value holds it


class Known(Protocol):
    """The keys of a source's messages since an instant, the oldest first."""

    def __call__(self, source: str, since: datetime) -> Iterable[str]: ...


def entity_of(values: Sequence[str]) -> str:
    """One name for the values of a key; ``values_of`` takes it apart again if it is not cut."""
    name = "|".join(quote(value, safe=_PLAIN) for value in values)
    if len(name) <= _LONGEST:
        return name
    return f"{name[:100]}{_CUT}{blake2b(name.encode(), digest_size=16).hexdigest()}"


def values_of(entity: str) -> tuple[str, ...]:
    return tuple(unquote(part) for part in entity.split("|"))


def key_of(entity: str, body: bytes) -> str:
    """The key of one content of an entity."""
    return f"{entity}@{blake2b(body, digest_size=12).hexdigest()}"


def living(keys: Iterable[str]) -> set[str]:
    """The entities that the tower believes to be there, of keys with the oldest first."""
    found: set[str] = set()
    for key in keys:
        entity, at, version = key.rpartition("@")
        if not at or _CUT in entity:
            continue
        if version.startswith("removed"):
            found.discard(entity)
        else:
            found.add(entity)
    return found


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """When a source is swept, and what may come of it.

    at      time of day in ``zone``; None = never
    within  only entities heard of in this time can be gone
    most    share of them that may be
    """

    at: str | None
    zone: ZoneInfo
    within: timedelta
    most: float

    def due(self, last: str | None, now: datetime) -> str | None:
        """The day to be swept now, as ISO text; None if it was, or is not yet."""
        if self.at is None:
            return None
        hour, minute = map(int, self.at.split(":"))
        here = now.astimezone(self.zone)
        day = here.date()
        if here.time() < time(hour, minute):
            day -= timedelta(days=1)
        wanted = day.isoformat()
        # What was never swept was never read before either: tonight is early enough.
        return wanted if last is not None and last < wanted else None

    def first_day(self, now: datetime) -> str:
        """What the bookmark says before the first sweep."""
        return now.astimezone(self.zone).date().isoformat()

    def check(self, source: str, known: int, gone: int) -> None:
        """Raise ConfigError if so many are gone that the source must be broken."""
        if gone > FEW and gone > known * self.most:
            raise ConfigError(
                f'Source "{source}" no longer has {gone:,} of {known:,} documents that the tower '
                "knows. That looks like a broken view or a lost right, so none was taken as "
                "deleted. Check what the tower's account may see there; if they really are gone, "
                "raise sweep_most in the options of the source in network.yaml."
            )


def tombstone(
    source: str, entity: str, names: Sequence[str], day: str, now: datetime, name: str
) -> Raw:
    """The record of something gone: its key, and the day on which it was missed."""
    record: dict[str, Any] = dict(zip(names, values_of(entity), strict=True))
    record[REMOVED] = {"reason": "deleted", "day": day}
    return Raw(
        source=source,
        key=f"{entity}@removed:{day}",
        body=rendered(record),
        received_at=now,
        media_type="application/json",
        headers={RENDERED: "json"},
        name=name,
    )


def rendered(record: Mapping[str, Any]) -> bytes:
    """A record as JSON, the same bytes for the same content."""
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
