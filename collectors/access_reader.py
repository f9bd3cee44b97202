"""Reading access logs: calls are counted by minute, failed ones are brought one by one.

A log is counted in blocks of fixed size, each line with the block it begins in. A read counts the
block it is in from its beginning and says how far it got. Counts of a block replace those of an
earlier read that got less far, so that a read that is repeated, or a bookmark that is lost, changes
no sum.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from collectors.access_counts import Counts
from collectors.access_log import AccessLine, Layout
from collectors.contract import Spending
from collectors.log_file import CHUNK, MEDIA_TYPE, LogFiles, _File, _tail
from tower.feeds import AccessLogOptions
from tower.gateway import GatewayMinute
from tower.network import Network, Source
from tower.raw import Batch, Budget, Mark, Raw

BLOCK = 1 << 20
"""Bytes of a block. Never to be changed: stored counts are named by it."""


class AccessLogs(LogFiles):
    """Reader of the access logs of one gateway."""

    def __init__(
        self, name: str, source: Source, options: AccessLogOptions, net: Network, base: Path
    ) -> None:
        super().__init__(name, source, options, net, base)
        self._layout = Layout(source, options, net)
        self._minutes: list[GatewayMinute] = []

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One batch: failed calls as messages, all calls as minutes."""
        self._minutes = []
        for batch in super().read(mark, budget, now):
            yield replace(batch, samples=tuple(self._minutes))

    def _read_file(self, file: _File, spending: Spending, now: datetime, raws: list[Raw]) -> bool:
        """Count the blocks from the one reached on; True if the budget ended first."""
        with file.path.open("rb") as handle:
            if file.at > os.fstat(handle.fileno()).st_size or _tail(handle, file.at) != file.tail:
                file.at = 0
            try:
                while True:
                    before = file.at
                    if not self._count_block(file, handle, spending, now, raws):
                        return True
                    if file.at == before:
                        return False
            finally:
                file.tail = _tail(handle, file.at)

    def _count_block(
        self, file: _File, handle: BinaryIO, spending: Spending, now: datetime, raws: list[Raw]
    ) -> bool:
        """Count the block in which the place reached lies, and go on to its end or to that of the
        complete lines; False if the budget ended before.
        """
        number = file.at // BLOCK
        at = _first_line(handle, number * BLOCK)
        if at is None:
            return True
        counts = Counts()
        before, fits = file.at, True
        longest = self._options.max_line_bytes
        handle.seek(at)
        data = handle.read(BLOCK + longest + 1)
        base = at
        while at < (number + 1) * BLOCK and fits:
            end = data.find(b"\n", at - base)
            if end < 0:
                if at >= file.at and len(data) - (at - base) > longest:
                    self._skip_long_line(file, handle, now, raws)
                break
            line = data[at - base : end]
            call = self._call(line)
            if at >= file.at:
                fits = self._take(file, line, call, spending, now, raws)
                if not fits:
                    break
                file.at = at + len(line) + 1
            if call is not None:
                counts.add(call)
            at += len(line) + 1
        if file.at != before:
            self._minutes += counts.minutes(self._name, f"{file.first}:{number:x}", file.at)
        return fits

    def _call(self, line: bytes) -> AccessLine | None:
        """The call that a line tells; None for one that cannot be read."""
        if not line.strip() or len(line) > self._options.max_line_bytes:
            return None
        return self._layout.call(line)

    def _take(
        self,
        file: _File,
        line: bytes,
        call: AccessLine | None,
        spending: Spending,
        now: datetime,
        raws: list[Raw],
    ) -> bool:
        """Bring a line that is new if it tells a failure or cannot be read; False if the budget
        has no room for it.
        """
        if not line.strip():
            return True
        if not spending.allows(len(line)):
            return False
        is_told = call is None or call.value["outcome"] != "ok"
        # The first counts as a message in any case: from then on the budget holds for all lines.
        spending.add(len(line), messages=int(is_told or spending.messages == 0))
        if len(line) > self._options.max_line_bytes:
            raws.append(self._too_long(file, len(line), now))
        elif is_told:
            digest = blake2b(line, digest_size=6).hexdigest()
            key = f"{file.first}:{file.at:x}:{digest}"
            raws.append(Raw(self._name, key, line, now, MEDIA_TYPE, name=file.path.name))
        return True


def _first_line(handle: BinaryIO, offset: int) -> int | None:
    """Where the first line begins at or behind ``offset``; None if none does."""
    if offset == 0:
        return 0
    at = offset - 1
    handle.seek(at)
    while chunk := handle.read(CHUNK):
        end = chunk.find(b"\n")
        if end >= 0:
            return at + end + 1
        at += len(chunk)
    return None
