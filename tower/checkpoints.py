"""Signed checkpoints of the audit: how many entries there were at an instant, and the last hash.

A chain of hashes shows what was altered inside it; that its end was cut off, or all of it computed
anew, only shows against something that no role of the database can write. Each line is signed with
a key that is not in the database.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """At ``at`` the audit had ``n`` entries, and the last one had this hash."""

    n: int
    hash: bytes
    at: datetime


def line(point: Checkpoint, key: bytes) -> str:
    """The checkpoint as one signed line of JSON."""
    told = {"n": point.n, "hash": point.hash.hex(), "at": point.at.astimezone(UTC).isoformat()}
    return json.dumps({**told, "signature": _signature(told, key)})


def read(text: str, key: bytes) -> Checkpoint:
    """The checkpoint of a line; ValueError says what is wrong with it."""
    try:
        told = json.loads(text)
        signature = str(told.pop("signature"))
        point = Checkpoint(
            int(told["n"]), bytes.fromhex(told["hash"]), datetime.fromisoformat(told["at"])
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("it cannot be read") from error
    if not hmac.compare_digest(_signature(told, key), signature):
        raise ValueError("its signature does not fit: it was altered, or the key was changed")
    return point


def contradictions(
    points: Iterable[Checkpoint], entries: int, hashes: Mapping[int, bytes]
) -> list[str]:
    """Where checkpoints say otherwise than the entries there are; ``hashes`` by number."""
    found = []
    for point in points:
        when = f"{point.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if point.n > entries:
            found.append(
                f"There were {point.n} entries at {when}, now there are {entries}: the end was "
                "cut off."
            )
        elif point.n and hashes.get(point.n) != point.hash:
            found.append(f"Entry {point.n} is not the one of {when}: the chain was made anew.")
    return found


def _signature(told: Mapping[str, Any], key: bytes) -> str:
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, b"tower audit checkpoint\n" + text.encode(), "sha256").hexdigest()
