"""Files that somebody drops into a folder.

A file is read when it is whole, claimed by renaming it into ``.claimed/<lease>/`` so that nobody
else takes it, and moved to ``done/YYYY/MM/DD/`` after its content is stored. Whatever a dead
process left among the claims is read again: known content is not stored twice.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from collectors import folder_handles as handles
from collectors.contract import (
    REFUSED,
    Spending,
    position_in,
    refused,
    unreachable,
)
from collectors.dropped_files import DroppedFiles, Looks
from collectors.folder_handles import Look
from tower.feeds import DropFolderOptions
from tower.network import Network, Source
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw

VERSION = 1
CLAIMED, DONE, REFUSED_FOLDER = ".claimed", "done", ".refused"
TOP, BELOW = "top", "below"  # claims of the folder itself, and of its subfolders


class DropFolder:
    """Reader of one folder."""

    def __init__(
        self,
        name: str,
        source: Source,
        options: DropFolderOptions,
        net: Network,
        base: Path,
    ) -> None:
        self._name = name
        self._options = options
        self._files = DroppedFiles(name, source, options, net.partners)
        self._is_ours = not Path(options.path).is_absolute()
        self._path = base / options.path
        self._lease = f"{os.getpid():x}-{secrets.token_hex(4)}"

    # --- reading ----------------------------------------------------------------------------------

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """One batch: what dead claims left, then what lies ready, oldest first."""
        looks = Looks.load(position_in(mark, VERSION, self._name), now)
        spending = Spending(budget)
        raws: list[Raw] = []
        claims: list[str] = []
        try:
            with self._opened() as folder:
                more = self._take_claims(folder, spending, now, raws, claims)
                if not more:
                    more = self._take_ready(folder, looks, spending, now, raws, claims)
        except OSError as error:
            raise unreachable(self._name, f'the folder "{self._path}"', error) from error
        beat = None if more else Heartbeat(self._name, complete_to=now, seen_at=now)
        yield Batch(
            source=self._name,
            raws=tuple(raws),
            heartbeat=beat,
            mark=Mark(VERSION, looks.dump()),
            claims=tuple(claims),
            more=more,
        )

    def settle(self, batch: Batch) -> None:
        """Move what is stored out of the claims; a claim that has gone is settled already."""
        try:
            with self._opened() as folder:
                for raw, claim in zip(batch.raws, batch.claims, strict=True):
                    shelf = REFUSED_FOLDER if REFUSED in raw.headers else DONE
                    self._put_away(folder, claim, shelf, raw.received_at)
        except OSError as error:
            raise unreachable(self._name, f'the folder "{self._path}"', error) from error

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        # A folder under TOWER_HOME is ours to make; elsewhere a missing one may be a share that is
        # not mounted, and making it would hide that.
        if self._is_ours:
            self._path.mkdir(parents=True, exist_ok=True)
        with handles.opened(self._path) as folder:
            yield folder

    # --- claims -----------------------------------------------------------------------------------

    def _take_claims(
        self,
        folder: int,
        spending: Spending,
        now: datetime,
        raws: list[Raw],
        claims: list[str],
    ) -> bool:
        """Read what was claimed and never settled. Whoever holds the source's lease may: the one
        who claimed it has lost it, or is us.
        """
        try:
            for claim in self._claimed(folder):
                if spending.is_spent:
                    return True
                self._take(folder, claim, None, spending, now, raws, claims)
        except FileNotFoundError:
            return False  # nothing was ever claimed here
        return False

    def _claimed(self, folder: int) -> list[tuple[str, ...]]:
        """(lease, top, name) or (lease, below, subfolder, name) of every claim."""
        found: list[tuple[str, ...]] = []
        with handles.inside(folder, CLAIMED) as claimed:
            for lease in handles.names(claimed):
                for kind, *rest in _walk(claimed, lease):
                    found.append((lease, kind, *rest))
                for path in ((lease, TOP), (lease, BELOW), (lease,)):
                    _remove_empty(claimed, path)
        return found

    def _claim(self, folder: int, seen: Look) -> tuple[str, ...] | None:
        """Take a file by renaming it; None if somebody was faster or its name is still claimed."""
        place = (BELOW, seen.folder) if seen.folder else (TOP,)
        origin = (seen.folder,) if seen.folder else ()
        with (
            handles.inside(folder, *origin) as incoming,
            handles.inside(folder, CLAIMED, self._lease, *place, create=True) as claimed,
        ):
            if handles.exists(claimed, seen.name):
                return None
            try:
                os.rename(seen.name, seen.name, src_dir_fd=incoming, dst_dir_fd=claimed)
            except FileNotFoundError:
                return None
            if self._options.ready == "marker":
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(seen.name + self._options.marker, dir_fd=incoming)
        return (self._lease, *place, seen.name)

    def _put_back(self, folder: int, claim: tuple[str, ...]) -> None:
        origin = claim[2:-1]
        with (
            handles.inside(folder, *origin) as incoming,
            handles.inside(folder, CLAIMED, *claim[:-1]) as claimed,
        ):
            if not handles.exists(incoming, claim[-1]):
                os.rename(claim[-1], claim[-1], src_dir_fd=claimed, dst_dir_fd=incoming)

    def _put_away(self, folder: int, claim: str, shelf: str, at: datetime) -> None:
        parts = claim.split("/")
        day = at.astimezone(UTC)
        place = (shelf, f"{day:%Y}", f"{day:%m}", f"{day:%d}")
        try:
            with (
                handles.inside(folder, CLAIMED, *parts[:-1]) as claimed,
                handles.inside(folder, *place, *parts[2:-1], create=True) as kept,
            ):
                name = _free_name(kept, parts[-1])
                os.rename(parts[-1], name, src_dir_fd=claimed, dst_dir_fd=kept)
        except FileNotFoundError:
            return
        with contextlib.suppress(OSError), handles.inside(folder, CLAIMED) as claimed:
            for end in range(len(parts) - 1, 0, -1):
                _remove_empty(claimed, tuple(parts[:end]))

    # --- files ------------------------------------------------------------------------------------

    def _take_ready(
        self,
        folder: int,
        looks: Looks,
        spending: Spending,
        now: datetime,
        raws: list[Raw],
        claims: list[str],
    ) -> bool:
        """Claim and read what is whole; True if the budget left something behind."""
        found = sorted(self._entries(folder), key=lambda seen: (seen.mtime_ns, seen.path))
        markers = {seen.path: seen.mtime_ns for seen in found if self._files.is_marker(seen)}
        spent = False
        for seen in found:
            if self._files.is_marker(seen) or not self._files.is_wanted(seen):
                continue
            if not self._files.is_whole(seen, markers, looks, now):
                continue
            if spent or not spending.allows(seen.size):
                spent = True
                looks.keep(seen)
                continue
            claim = self._claim(folder, seen)
            if claim is not None:
                self._take(folder, claim, seen, spending, now, raws, claims)
        return spent

    def _entries(self, folder: int) -> Iterator[Look]:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            if entry.name.startswith(".") or entry.name == DONE:
                continue
            if not entry.is_dir(follow_symlinks=False):
                seen = handles.look("", entry)
                if seen is not None:
                    yield seen
            elif self._options.partner_from == "folder":
                with handles.inside(folder, entry.name) as below, os.scandir(below) as inner:
                    for one in inner:
                        seen = handles.look(entry.name, one)
                        if seen is not None and not one.name.startswith("."):
                            yield seen

    def _take(
        self,
        folder: int,
        claim: tuple[str, ...],
        looked: Look | None,
        spending: Spending,
        now: datetime,
        raws: list[Raw],
        claims: list[str],
    ) -> None:
        """Read a claimed file; one that turns out to be still written to is put back."""
        with handles.inside(folder, CLAIMED, *claim[:-1]) as claimed:
            try:
                seen, body, why = handles.read(claimed, claim[-1], self._options.max_bytes)
            except FileNotFoundError:
                return
        if (
            body is not None
            and looked is not None
            and (seen.st_size, seen.st_mtime_ns)
            != (
                looked.size,
                looked.mtime_ns,
            )
        ):
            self._put_back(folder, claim)
            return
        now_seen = Look("/".join(claim[2:-1]), claim[-1], seen.st_size, seen.st_mtime_ns, 0)
        if body is None:
            raw = refused(self._name, now_seen.shown, why, now_seen.state, now)
        else:
            raw = self._files.raw(now_seen, body, now)
        raws.append(raw)
        claims.append("/".join(claim))
        spending.add(len(raw.body))


def _walk(claimed: int, lease: str) -> Iterator[tuple[str, ...]]:
    """Claims of one lease: (top, name) and (below, subfolder, name)."""
    with contextlib.suppress(FileNotFoundError), handles.inside(claimed, lease, TOP) as top:
        for name in handles.names(top):
            yield TOP, name
    with contextlib.suppress(FileNotFoundError), handles.inside(claimed, lease, BELOW) as below:
        for folder in handles.names(below):
            with handles.inside(below, folder) as inner:
                for name in handles.names(inner):
                    yield BELOW, folder, name


def _remove_empty(parent: int, path: Iterable[str]) -> None:
    """Remove a folder if nothing is in it."""
    *above, name = path
    with contextlib.suppress(OSError), handles.inside(parent, *above) as folder:
        os.rmdir(name, dir_fd=folder)


def _free_name(folder: int, name: str) -> str:
    """The name, or the name with a number if something of that name is kept already."""
    if not handles.exists(folder, name):
        return name
    stem, dot, end = name.rpartition(".")
    if not stem:
        stem, dot, end = name, "", ""
    stem = os.fsdecode(os.fsencode(stem)[:200])
    end = end[:40]
    number = 2
    while handles.exists(folder, f"{stem}~{number}{dot}{end}"):
        number += 1
    return f"{stem}~{number}{dot}{end}"
