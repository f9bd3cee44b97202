"""What the pretend systems put out: files, log lines, pushes, records behind web services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class FileDrop:
    """A finished file that a partner or a system puts into the folder of ``door``.

    name  path inside that folder; ``at`` is the instant it is complete there, aware UTC
    """

    at: datetime
    door: str
    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, with its line end, appended to file ``name`` of ``door``."""

    at: datetime
    door: str
    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Push:
    """An HTTP POST that a system sends to the tower."""

    at: datetime
    door: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A record that appears behind the web service of ``door`` at ``at``."""

    at: datetime
    door: str
    body: Mapping[str, Any]


Emission = FileDrop | LogLine | Push | Record


@dataclass(slots=True)
class Emissions:
    """All that came out since the last call, each list in order of time."""

    files: list[FileDrop] = field(default_factory=list)
    lines: list[LogLine] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def add(self, item: Emission) -> None:
        if isinstance(item, FileDrop):
            self.files.append(item)
        elif isinstance(item, LogLine):
            self.lines.append(item)
        elif isinstance(item, Push):
            self.pushes.append(item)
        else:
            self.records.append(item)

    def __len__(self) -> int:
        return len(self.files) + len(self.lines) + len(self.pushes) + len(self.records)
