"""Log files that only grow: one raw message per complete line.

A file is known by the hash of its first line, so that rotation by renaming or copying does not make
it a new one; the bookmark holds how far each was read. A file that was cut or written anew is read
from its start: lines that were known are not stored twice, because the key of a line follows from
its file, its place and its content (or from an id of its own, where the mapping names one).
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from collectors.contract import Spending, bounded_key, position_in, refused, unreachable
from collectors.limits import parse_json
from collectors.mapped_program import program_of
from collectors.records import JsonRecord
from tower.errors import ConfigError, PayloadRejected
from tower.feeds import LogFileOptions
from tower.network import Network, Source
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw

VERSION = 1
MOST_FILES = 80  # what a bookmark of 8 KB holds
CHUNK = 4 << 20
TAIL = 64  # bytes before the place reached that must still be there
MEDIA_TYPE = "application/jsonl"


@dataclass(slots=True)
class _File:
    """One file: first line's hash, device and inode, how far read, hash of the bytes before."""

    first: str
    inode: str
    at: int = 0
    tail: str = ""
    path: Path = Path()
    mtime_ns: int = 0


class LogFiles:
    """Reader of all files of one pattern."""

    def __init__(
        self, name: str, source: Source, options: LogFileOptions, net: Network, base: Path
    ) -> None:
        self._name = name
        self._options = options
        self._is_ours = not Path(options.path).is_absolute()
        whole = base / options.path
        self._folder, self._pattern = whole.parent, whole.name
        self._own_key = _own_key(source, net)

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One batch of complete lines, the oldest file first."""
        known = [_File(*entry) for entry in position_in(mark, VERSION, self._name).get("files", ())]
        spending = Spending(budget)
        raws: list[Raw] = []
        more = False
        try:
            files = self._files(known)
            for file in files:
                if spending.is_spent:
                    more = True
                    break
                more = self._read_file(file, spending, now, raws)
        except OSError as error:
            raise unreachable(self._name, f'the log "{self._folder / self._pattern}"', error) from (
                error
            )
        yield Batch(
            source=self._name,
            raws=tuple(raws),
            heartbeat=None if more else Heartbeat(self._name, complete_to=now, seen_at=now),
            mark=Mark(VERSION, {"files": _remembered(files, known)}),
            more=more,
        )

    def settle(self, batch: Batch) -> None:
        """A log is not changed by being read."""

    # --- files ------------------------------------------------------------------------------------

    def _files(self, known: list[_File]) -> list[_File]:
        """The files of the pattern, each at the place it was read to, the oldest first."""
        if self._is_ours:
            self._folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, _File] = {}
        with os.scandir(self._folder) as entries:
            listed = [e for e in entries if fnmatch.fnmatch(e.name, self._pattern)]
        for entry in listed:
            try:
                with Path(entry.path).open("rb") as handle:
                    seen = os.fstat(handle.fileno())
                    first = self._first_line(handle)
            except (FileNotFoundError, IsADirectoryError):
                continue
            inode = f"{seen.st_dev:x}:{seen.st_ino:x}"
            if first is not None:
                found.setdefault(
                    inode,
                    _File(first, inode, path=Path(entry.path), mtime_ns=seen.st_mtime_ns),
                )
        if len(found) > MOST_FILES:
            raise ConfigError(
                f'Source "{self._name}": {len(found)} files match "{self._pattern}", more than the '
                f"{MOST_FILES} that are followed. Narrow the pattern in network.yaml, or move "
                "finished files away."
            )
        files = sorted(found.values(), key=lambda f: (f.mtime_ns, f.path.name))
        present = {(file.first, file.inode) for file in files}
        for file in files:
            alike = [k for k in known if k.first == file.first]
            same = [k for k in alike if k.inode == file.inode]
            # The same content under another inode: a copy, whose original has been cut.
            copied = [k for k in alike if (k.first, k.inode) not in present]
            for reached in (same or copied)[:1]:
                file.at, file.tail = reached.at, reached.tail
        return files

    def _first_line(self, handle: BinaryIO) -> str | None:
        """Hash of the first line; None while it is not complete."""
        line = handle.readline(self._options.max_line_bytes)
        if not line.endswith(b"\n") and len(line) < self._options.max_line_bytes:
            return None
        return blake2b(line, digest_size=8).hexdigest()

    # --- lines ------------------------------------------------------------------------------------

    def _read_file(self, file: _File, spending: Spending, now: datetime, raws: list[Raw]) -> bool:
        """Append the complete lines behind the place reached; True if the budget ended first."""
        with file.path.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            if file.at > size or _tail(handle, file.at) != file.tail:
                file.at = 0
            while True:
                handle.seek(file.at)
                data = handle.read(max(CHUNK, self._options.max_line_bytes + 1))
                if b"\n" not in data:
                    is_long = len(data) > self._options.max_line_bytes
                    if not is_long or not self._skip_long_line(file, handle, now, raws):
                        break
                elif not self._take_lines(file, data, spending, now, raws):
                    file.tail = _tail(handle, file.at)
                    return True
            file.tail = _tail(handle, file.at)
        return False

    def _take_lines(
        self, file: _File, data: bytes, spending: Spending, now: datetime, raws: list[Raw]
    ) -> bool:
        """Make messages of the complete lines in ``data``; False if the budget ended before."""
        name = file.path.name
        source, first, own_key = self._name, file.first, self._own_key
        longest = self._options.max_line_bytes
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            line = data[at:end]
            size = end - at
            if not spending.allows(size):
                return False
            if size > longest:
                raws.append(self._too_long(file, size, now))
                spending.add(0)
            elif line.strip():
                key = own_key(line) if own_key is not None else None
                if key is None:
                    digest = blake2b(line, digest_size=6).hexdigest()
                    key = f"{first}:{file.at:x}:{digest}"
                raws.append(Raw(source, key, line, now, MEDIA_TYPE, name=name))
                spending.add(size)
            at = end + 1
            file.at += size + 1
        return True

    def _skip_long_line(
        self, file: _File, handle: BinaryIO, now: datetime, raws: list[Raw]
    ) -> bool:
        """Step over a line that is too long; False while its end is not there."""
        handle.seek(file.at)
        size = 0
        while chunk := handle.read(CHUNK):
            end = chunk.find(b"\n")
            if end >= 0:
                raws.append(self._too_long(file, size + end, now))
                file.at += size + end + 1
                return True
            size += len(chunk)
        return False

    def _too_long(self, file: _File, size: int, now: datetime) -> Raw:
        return refused(
            self._name,
            f"{file.path.name} from byte {file.at}",
            "line_too_long",
            f"{file.first}:{file.at:x}:{size}",
            now,
        )


def _tail(handle: BinaryIO, at: int) -> str:
    """Hash of the last bytes before ``at``; "" at the start."""
    if at == 0:
        return ""
    handle.seek(max(0, at - TAIL))
    return blake2b(handle.read(min(TAIL, at)), digest_size=4).hexdigest()


def _remembered(files: list[_File], known: list[_File]) -> list[list[Any]]:
    """Entries of the bookmark: the files that are there, then vanished ones as far as they fit, so
    that a folder that was away for a moment is not read anew.
    """
    present = {(file.first, file.inode) for file in files}
    gone = [file for file in known if (file.first, file.inode) not in present]
    kept = [*files, *gone][:MOST_FILES]
    return [[file.first, file.inode, file.at, file.tail] for file in kept]


def _own_key(source: Source, net: Network) -> Callable[[bytes], str | None] | None:
    """The function that reads a line's own id, where the mapping names one."""
    found = net.mapping_for(source, source.partner)
    if found is None:
        return None
    program = program_of(found[1], found[0])
    template = program.key
    if template is None:
        return None

    def own_key(line: bytes) -> str | None:
        try:
            value = parse_json(line)
        except PayloadRejected:
            return None
        text = template(JsonRecord(value, "$", program.nulls), None)
        return None if text is None else bounded_key(text)

    return own_key
