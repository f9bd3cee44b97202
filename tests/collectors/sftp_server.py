"""A real SFTP server on a free port of this machine, over a folder; paramiko's own server side."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Any

import paramiko
from paramiko import SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface

USER, PASSWORD = "tower", "seven-seals-of-sftp"


class _Door(paramiko.ServerInterface):
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"

    def check_auth_password(self, username: str, password: str) -> int:
        self._server.passwords.append(password)
        good = (username, password) == (USER, PASSWORD) and not self._server.is_locked
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == USER and key == self._server.client_key
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _Files(SFTPServerInterface):
    """A folder as an account sees it; a read-only account may neither make, rename nor remove."""

    def __init__(self, door: Any, server: SftpServer) -> None:
        super().__init__(door)
        self._server = server

    def _path(self, path: str) -> Path:
        return self._server.root / self.canonicalize(path).lstrip("/")

    def list_folder(self, path: str) -> Any:
        try:
            found = []
            for name in os.listdir(self._path(path)):  # noqa: PTH208  names as bytes would be
                entry = SFTPAttributes.from_stat(os.lstat(self._path(path) / name))
                entry.filename = name
                found.append(entry)
            return found
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)

    def stat(self, path: str) -> Any:
        return self._told(os.stat, path)

    def lstat(self, path: str) -> Any:
        return self._told(os.lstat, path)

    def _told(self, ask: Any, path: str) -> Any:
        try:
            return SFTPAttributes.from_stat(ask(self._path(path)))
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> Any:
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
        if writes and not self._server.is_writable:
            return paramiko.SFTP_PERMISSION_DENIED
        try:
            file = self._path(path).open("wb" if writes else "rb")
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)
        handle = SFTPHandle(flags)
        if writes:
            handle.writefile = file  # type: ignore[attr-defined]
            return handle
        handle.readfile = file  # type: ignore[attr-defined]
        self._server.opened.append(path)
        return handle

    def rename(self, oldpath: str, newpath: str) -> int:
        if self._server.loses_renames:
            os.rename(self._path(oldpath), self._path(newpath))  # noqa: PTH104
            threading.Thread(target=self._server.cut, daemon=True).start()
            threading.Event().wait(2)  # done, but nobody hears of it
        if self._path(newpath).exists():
            return paramiko.SFTP_FAILURE
        return self._changed(os.rename, self._path(oldpath), self._path(newpath))

    def mkdir(self, path: str, attr: SFTPAttributes) -> int:
        return self._changed(os.mkdir, self._path(path))

    def rmdir(self, path: str) -> int:
        return self._changed(os.rmdir, self._path(path))

    def remove(self, path: str) -> int:
        return self._changed(os.remove, self._path(path))

    def _changed(self, do: Any, *paths: Path) -> int:
        if self._server.is_read_only:
            return paramiko.SFTP_PERMISSION_DENIED
        try:
            do(*paths)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)
        return paramiko.SFTP_OK


class SftpServer:
    """Started on its making, stopped by ``close``. ``root`` is what the account sees as /."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_locked = False
        self.is_read_only = False
        self.is_writable = False  # files may be laid down, too
        self.loses_renames = False  # does them, and the line is cut before it says so
        self.client_key: paramiko.PKey | None = None
        self.host_key: paramiko.PKey = paramiko.ECDSAKey.generate()
        self.passwords: list[str] = []
        self.opened: list[str] = []
        self._transports: list[paramiko.Transport] = []
        self._port = 0
        self.start()

    @property
    def port(self) -> int:
        return self._port

    @property
    def pin(self) -> str:
        return f"{self.host_key.get_name()} {self.host_key.get_base64()}"

    def start(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self._port))
        self._port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(self._socket,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections, cut those that are open."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)
        self.cut()

    def cut(self) -> None:
        for transport in self._transports:
            transport.close()
        for transport in self._transports:
            transport.join(10)
        self._transports.clear()

    close = stop

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            transport.set_subsystem_handler("sftp", SFTPServer, _Files, self)
            self._transports.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(event=threading.Event(), server=_Door(self))
