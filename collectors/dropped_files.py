"""What a file in a folder is to the tower, wherever the folder lies: whole, wanted, whose.

Readers of folders share it; only how files are listed, claimed and put away is their own.
"""

from __future__ import annotations

import base64
import fnmatch
import os
from collections.abc import Container
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any

from collectors.contract import PARTNER
from collectors.folder_handles import Look
from tower.feeds import FileOptions
from tower.network import Source
from tower.raw import Raw

UNFINISHED = (".tmp", ".part", ".filepart", ".crdownload")
MOST_LOOKS = 800  # what a bookmark of 8 KB holds; more files wait for their turn
MOST_INSTANTS = 40
DIGEST = 6

MEDIA_TYPES = {
    "x12": "application/edi-x12",
    "edifact": "application/edifact",
    "csv": "text/csv",
    "json": "application/json",
    "xml": "application/xml",
    "log": "application/jsonl",
    "cloudevents": "application/cloudevents+json",
}


class DroppedFiles:
    """How the files of one source are told apart and what they become."""

    def __init__(
        self, name: str, source: Source, options: FileOptions, partners: Container[str]
    ) -> None:
        self._name = name
        self._source = source
        self._options = options
        self._partners = partners

    def is_marker(self, seen: Look) -> bool:
        """Whether this is the sign that another file is whole, and no file of its own."""
        return self._options.ready == "marker" and seen.name.endswith(self._options.marker)

    def is_wanted(self, seen: Look) -> bool:
        """Whether its name is one that is taken."""
        if seen.name.lower().endswith(UNFINISHED):
            return False
        return any(fnmatch.fnmatch(seen.name, pattern) for pattern in self._options.pattern)

    def is_whole(self, seen: Look, markers: dict[str, int], looks: Looks, now: datetime) -> bool:
        """Whether its sender is done with it; ``markers`` are those beside it with their times."""
        # A file that is put in place by linking has two names for a moment: look twice.
        if self._options.ready == "stable" or seen.refusal == "many_links":
            return looks.are_equal(seen, now, self._options.stable_for)
        if self._options.ready == "marker":
            # A marker older than the file belongs to an earlier file of that name.
            return markers.get(seen.path + self._options.marker, -1) >= seen.mtime_ns
        return True

    def raw(self, seen: Look, body: bytes, now: datetime) -> Raw:
        """The message that a file is."""
        key = sha256(body).hexdigest()
        if self._options.identity == "name_and_bytes":
            key = f"{key}:{seen.shown}"
        received = now
        if self._options.received == "mtime":
            own = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=seen.mtime_ns // 1000)
            received = min(own, now)
        partner = self._partner_of(seen)
        return Raw(
            source=self._name,
            key=key,
            body=body,
            received_at=received,
            media_type=MEDIA_TYPES.get(self._source.format, "application/octet-stream"),
            headers={PARTNER: partner} if partner else {},
            name=seen.shown,
        )

    def _partner_of(self, seen: Look) -> str:
        """The partner that folder or name tells; one that no profile knows is told as it is."""
        if self._options.partner_from == "folder":
            return os.fsencode(seen.folder).decode("utf-8", "replace")
        if self._options.partner_from == "source":
            return ""
        parts = seen.name.split(self._options.separator)
        for end in range(len(parts) - 1, 0, -1):
            key = self._options.separator.join(parts[:end])
            if key in self._partners:
                return key
        return parts[0] if len(parts) > 1 else ""


class Looks:
    """When each waiting file was first seen in its present state; kept in the bookmark.

    A state is kept as a short hash of path, size, time and inode: losing one, or two being alike by
    chance, costs or saves ten seconds.
    """

    def __init__(self, known: dict[bytes, float], now: datetime) -> None:
        self._known = known
        self._next: dict[bytes, float] = {}
        self._now = now.timestamp()

    @classmethod
    def load(cls, value: Any, now: datetime) -> Looks:
        known: dict[bytes, float] = {}
        for instant, packed in value.get("looks", ()):
            digests = base64.b64decode(packed)
            for at in range(0, len(digests), DIGEST):
                known[digests[at : at + DIGEST]] = float(instant)
        return cls(known, now)

    def are_equal(self, seen: Look, now: datetime, apart: timedelta) -> bool:
        """Whether the file was seen in this very state at least ``apart`` ago."""
        digest = digest_of(seen)
        first = self._known.get(digest)
        if first is None or first > now.timestamp():
            first = now.timestamp()
        if now.timestamp() - first >= apart.total_seconds():
            return True
        self._next[digest] = first
        return False

    def keep(self, seen: Look) -> None:
        """Remember a look that is not used up, because the budget ended."""
        digest = digest_of(seen)
        self._next[digest] = self._known.get(digest, self._now)

    def dump(self, most: int = MOST_LOOKS) -> dict[str, Any]:
        oldest = sorted(self._next.items(), key=lambda item: (item[1], item[0]))[:most]
        groups: dict[float, bytearray] = {}
        for digest, first in oldest:
            groups.setdefault(first, bytearray()).extend(digest)
        instants = sorted(groups)
        # Too many instants: the oldest count as seen later, which only makes their files wait.
        while len(instants) > MOST_INSTANTS:
            first = instants.pop(0)
            groups[instants[0]].extend(groups.pop(first))
        return {
            "looks": [
                [instant, base64.b64encode(bytes(groups[instant])).decode()] for instant in instants
            ]
        }


def digest_of(seen: Look) -> bytes:
    """A short hash of a file's path and present state."""
    text = f"{seen.path}\0{seen.state}\0{seen.refusal}".encode("utf-8", "surrogateescape")
    return blake2b(text, digest_size=DIGEST).digest()
