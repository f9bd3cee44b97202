"""Documents put into a folder of an SFTP server: whole or not at all, never over another."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping
from stat import S_ISDIR

from collectors.amqp_sender import Copy, Sent
from collectors.sftp_link import SftpLink
from tower.errors import TowerError
from tower.feeds import SftpOptions


class OutletSftp:
    """One folder, by the server and account of a source of kind sftp.

    A file is written under another name and renamed when the server has all of it: whoever empties
    the folder never sees a part. A plain rename replaces no file (SFTP 3).
    """

    def __init__(
        self, source: str, options: SftpOptions, secrets: Mapping[str, str], path: str, suffix: str
    ) -> None:
        self._link = SftpLink(source, options, secrets)
        self._path = path.rstrip("/") or "/"
        self._suffix = suffix

    def look(self, _: str) -> str:
        """Whether it can be sent to: ok, missing or down. Nothing is changed."""
        try:
            with self._link.opened() as client:
                try:
                    mode = client.stat(self._path).st_mode
                except FileNotFoundError:
                    return "missing"
                return "ok" if mode is not None and S_ISDIR(mode) else "missing"
        except TowerError:
            return "down"

    def send(self, _: str, copy: Copy) -> Sent:
        """Put one document there; its name says of which replay and attempt it is."""
        name = f"tower-{copy.replay}-{copy.item}-{copy.attempt}{self._suffix}"
        part, whole = f"{self._path}/.{name}.tmp", f"{self._path}/{name}"
        try:
            problem = self._write(part, whole, copy.body)
        except TowerError as error:  # nothing has its name yet
            return Sent("returned", str(error))
        if problem:
            return Sent("returned", problem)
        try:
            with self._link.opened() as client:
                try:
                    client.rename(part, whole)
                except OSError as error:
                    if error.errno is None and not self._link.is_open:
                        raise
                    with contextlib.suppress(OSError):
                        client.remove(part)
                    return Sent("returned", f"the file could not be given its name: {error}")
        except TowerError as error:  # the server may have done it, only its answer is missing
            return Sent("uncertain", str(error))
        return Sent("routed")

    def _write(self, part: str, whole: str, body: bytes) -> str:
        """Lay the bytes down under their passing name; what hinders it, "" if nothing does."""
        with self._link.opened() as client:
            try:
                with contextlib.suppress(FileNotFoundError):
                    client.stat(whole)
                    return f"a file {whole} is there already"
                with client.open(part, "wb") as file:
                    file.set_pipelined(True)
                    file.write(body)
                size = client.stat(part).st_size
            except OSError as error:
                if not self._link.is_open:
                    raise
                with contextlib.suppress(OSError):
                    client.remove(part)
                return f"the folder cannot be written to: {_said(error)}"
            if size != len(body):
                client.remove(part)
                return f"the server kept {size} of {len(body)} bytes"
        return ""

    def close(self) -> None:
        """Hang up."""
        self._link.close()


def _said(error: OSError) -> str:
    if isinstance(error, PermissionError) or error.errno == errno.EACCES:
        return "the account has no right to write there"
    return str(error.strerror or error)
