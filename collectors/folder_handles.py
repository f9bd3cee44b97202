"""Folders that strangers may write into, handled without ever following a link.

Every step goes through an open handle of the folder above, so that nobody can put a link where a
folder was between the look and the deed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from tower.errors import ConfigError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Look:
    """What a directory entry is, seen once. ``refusal`` names why it is not read, "" if it may."""

    folder: str
    name: str
    size: int
    mtime_ns: int
    inode: int
    refusal: str = ""

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def shown(self) -> str:
        """The path as text that can be stored, whatever bytes the name has."""
        return os.fsencode(self.path).decode("utf-8", "replace")

    @property
    def state(self) -> str:
        return f"{self.size}/{self.mtime_ns}/{self.inode}"


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[int]:
    """A handle of a folder that the configuration names; it may be reached through a link."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def inside(parent: int, *names: str, create: bool = False) -> Iterator[int]:
    """A handle of a folder below ``parent``. With ``create`` missing ones are made, for us alone.

    Raises FileNotFoundError if one is missing, ConfigError if one is a link or no folder.
    """
    handle = os.dup(parent)
    try:
        for name in names:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=handle)
            try:
                below = os.open(name, _DIRECTORY, dir_fd=handle)
            except (NotADirectoryError, OSError) as error:
                if isinstance(error, FileNotFoundError):
                    raise
                if _is_link_or_file(name, handle):
                    raise ConfigError(
                        f'"{name}" in a drop folder is no folder of its own; the tower keeps what '
                        "it has read there. Remove it."
                    ) from error
                raise
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def look(folder: str, entry: os.DirEntry[str]) -> Look | None:
    """What an entry is; None for a folder and for one that has gone meanwhile."""
    try:
        seen = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(seen.st_mode):
        return None
    return Look(
        folder, entry.name, seen.st_size, seen.st_mtime_ns, seen.st_ino, _refusal(entry.name, seen)
    )


def read(parent: int, name: str, most: int) -> tuple[os.stat_result, bytes | None, str]:
    """State, bytes and refusal of a file below ``parent``; bytes only if it may be read.

    Raises FileNotFoundError if it has gone.
    """
    try:
        handle = os.open(name, _FILE, dir_fd=parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
        refusal = _refusal(name, seen)
        if not refusal and isinstance(error, PermissionError):
            refusal = "no_permission"
        if not refusal:
            raise
        return seen, None, refusal
    try:
        seen = os.fstat(handle)
        refusal = _refusal(name, seen) or ("too_large" if seen.st_size > most else "")
        if refusal:
            return seen, None, refusal
        # All of it by one call: pieces, put together, would hold a large file twice.
        body = os.read(handle, min(seen.st_size, most) + 1)
        parts = [body]
        left = most + 1 - len(body)
        while left > 0 and (part := os.read(handle, min(_CHUNK, left))):
            parts.append(part)
            left -= len(part)
        if left <= 0:
            return seen, None, "too_large"
        return os.fstat(handle), body if len(parts) == 1 else b"".join(parts), ""
    finally:
        os.close(handle)


def exists(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def names(parent: int) -> list[str]:
    """Names in a folder, in order."""
    return sorted(os.listdir(parent))


def _refusal(name: str, seen: os.stat_result) -> str:
    if stat.S_ISLNK(seen.st_mode):
        return "link"
    if not stat.S_ISREG(seen.st_mode):
        return "not_a_file"
    if seen.st_nlink > 1:
        return "many_links"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "bad_name"
    return ""


def _is_link_or_file(name: str, parent: int) -> bool:
    try:
        seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return False
    return not stat.S_ISDIR(seen.st_mode)
