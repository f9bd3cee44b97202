"""Documents put into a folder that a gateway empties: whole or not at all, never over another."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from collectors.amqp_sender import Copy, Sent


class OutletFolder:
    """One folder. A file appears under its name only when all of its bytes are on the disk."""

    def __init__(self, path: Path, suffix: str) -> None:
        self._path = path
        self._suffix = suffix

    def look(self, _: str) -> str:
        """Whether it can be written to: ok, missing or down. Nothing is changed."""
        if not self._path.is_dir():
            return "missing"
        return "ok" if os.access(self._path, os.W_OK | os.X_OK) else "down"

    def send(self, _: str, copy: Copy) -> Sent:
        """Put one document there; its name says of which replay and attempt it is."""
        name = f"tower-{copy.replay}-{copy.item}-{copy.attempt}{self._suffix}"
        part = self._path / f".{name}.tmp"
        try:
            with part.open("xb") as file:
                file.write(copy.body)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            return Sent("returned", f"the folder cannot be written to: {error.strerror}")
        try:
            os.link(part, self._path / name)  # unlike a rename it never replaces a file
        except FileExistsError:
            return Sent("returned", f"a file {name} is there already")
        except OSError as error:
            return Sent("returned", f"the file could not be given its name: {error.strerror}")
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
        try:
            folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            return Sent("uncertain", f"it is not known whether the disk has it: {error.strerror}")
        return Sent("routed")

    def close(self) -> None:
        """Nothing is held open."""
