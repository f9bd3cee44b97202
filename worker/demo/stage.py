"""The simulated distributor at our doors: files, web services, pushes, and a mailbox for all."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

from collectors import cloudevents
from tower.raw import Raw

if TYPE_CHECKING:
    from simulator.emissions import Emissions, Push
    from simulator.server import Server
    from simulator.world import World

FIXED_AS_OF = datetime(2026, 10, 30, 16, 0, tzinfo=UTC)
"""End of the history of ``tower demo --once``: a fixed day, so that the answer is the same on every
day it is asked."""

HISTORY_RHYTHM = "2h"  # how often pulled sources are read while history is built
LIVE_RHYTHM = "20s"
KEPT_LOGS = 30  # finished log files that the pretend systems keep, as log rotation does


@dataclass(frozen=True, slots=True)
class Options:
    """What a demo is made from; the same options give the same distributor."""

    seed: int = 7
    days: int = 90
    suppliers: int = 300
    pos_per_day: int = 24  # 90 days of it are judged while a newcomer waits
    as_of: datetime | None = None
    fresh: bool = False


class Doors:
    """The folders under one home through which files and log lines come in."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "doors"

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def put(self, emissions: Emissions) -> None:
        """Put files where a partner would, finished and with the time they came; append lines.

        Log files that were finished long ago are moved away first, as their owners would.
        """
        self._rotate({line.door for line in emissions.lines})
        for drop in emissions.files:
            path = self.folder / drop.door / drop.name
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_name(path.name + ".tmp")
            half.write_bytes(drop.body)
            os.utime(half, (drop.at.timestamp(), drop.at.timestamp()))
            half.rename(path)
        lines: dict[Path, list[bytes]] = {}
        for line in emissions.lines:
            lines.setdefault(self.folder / line.door / line.name, []).append(line.body)
        for path, bodies in lines.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(b"".join(bodies))

    def _rotate(self, doors: set[str]) -> None:
        for door in sorted(doors):
            # Named by day: the last ones are those that are still written and read.
            for path in sorted((self.folder / door).glob("*.jsonl"))[:-KEPT_LOGS]:
                path.unlink()

    def prepare(self, sources: dict[str, Any]) -> None:
        """The folders that the sources read, so that an empty one is empty and not missing."""
        for door in sources:
            (self.folder / door).mkdir(parents=True, exist_ok=True)


def pushed(push: Push) -> tuple[str, tuple[Raw, ...]]:
    """(source, raw messages) of one push, made by what the HTTP door uses; none for a beat."""
    headers = {name.lower(): value for name, value in push.headers.items()}
    if push.path == "/v1/events":
        source = headers["x-tower-source"]
        return source, cloudevents.unpack(source, push.body, headers, push.at).raws
    kind, source = push.path.removeprefix("/v1/").split("/", 1)
    if kind == "documents":
        return source, (cloudevents.document(source, push.body, headers, push.at),)
    return source, ()


class _Letters:
    """Keeps every mail as a file of its own, named in order of arrival."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.count = sum(1 for _ in folder.glob("*.eml"))

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.count += 1
        (self._folder / f"{self.count:06d}.eml").write_bytes(envelope.content)
        return "250 kept"


class MailSink:
    """A real mail server on this machine that delivers into a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self._letters = _Letters(folder)
        self._controller = Controller(self._letters, hostname="127.0.0.1", port=port)
        self._controller.start()
        self.port = port

    @property
    def count(self) -> int:
        return self._letters.count

    def close(self) -> None:
        self._controller.stop()


@contextlib.contextmanager
def mail_sink(folder: Path, port: int) -> Iterator[MailSink]:
    sink = MailSink(folder, port)
    try:
        yield sink
    finally:
        sink.close()


def make_world(options: Options, as_of: datetime) -> World:
    """The distributor whose history ends at ``as_of``."""
    from simulator.world import build

    return build(
        options.seed, as_of, options.days, options.suppliers, pos_per_day=options.pos_per_day
    )


def serve_world(world: World, port: int = 0) -> Server:
    """Its web services, answering as of the world's own now."""
    from simulator.server import serve

    return serve(world, port)


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
