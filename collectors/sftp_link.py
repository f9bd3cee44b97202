"""One connection to an SFTP server: pinned key, one proof of who we are, errors as families.

paramiko comes with the extra ``sftp``; it is only loaded when such a source is read.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from collectors.contract import secret
from tower.errors import AccessDenied, ConfigError, SourceUnavailable, TowerError
from tower.feeds import SftpOptions

if TYPE_CHECKING:
    from paramiko import PKey, SFTPClient, Transport


class SftpLink:
    """Opened when it is needed, closed when a read is done."""

    def __init__(self, name: str, options: SftpOptions, secrets: Mapping[str, str]) -> None:
        try:
            import paramiko
        except ImportError as error:
            raise ConfigError(
                f'Source "{name}" is read over SFTP, which needs the package paramiko. '
                "Install it: pip install 'tower[sftp]'."
            ) from error
        self._paramiko = paramiko
        self._name = name
        self._options = options
        self._password = (
            None
            if options.password_variable is None
            else secret(options.password_variable, secrets, name)
        )
        self._key = None if options.key_variable is None else self._private_key(secrets)
        self._transport: Transport | None = None
        self._client: SFTPClient | None = None

    @property
    def address(self) -> str:
        return f"sftp://{self._options.host}:{self._options.port}"

    @contextlib.contextmanager
    def opened(self) -> Iterator[SFTPClient]:
        """The client; whatever goes wrong with the connection inside is one of the families."""
        ssh_errors = (self._paramiko.SSHException, EOFError)
        try:
            yield self._connected()
        except TowerError:
            self.close()
            raise
        except self._paramiko.AuthenticationException as error:
            self.close()
            raise AccessDenied(
                f'Source "{self._name}": {self.address} does not let "{self._options.user}" in. '
                "Check the user, its password or key, and what the server allows."
            ) from error
        except (*ssh_errors, ConnectionError, TimeoutError, socket.gaierror) as error:
            self.close()
            raise self.unavailable(error) from error
        except OSError as error:
            lost = not self.is_open
            self.close()
            if isinstance(error, PermissionError) and not lost:
                raise AccessDenied(
                    f'Source "{self._name}": {self.address} does not let "{self._options.user}" '
                    f'read "{self._options.path}". Ask for the right to list and read it.'
                ) from error
            raise self.unavailable(error) from error

    @property
    def is_open(self) -> bool:
        return self._transport is not None and self._transport.is_active()

    def unavailable(self, error: BaseException) -> SourceUnavailable:
        said = str(getattr(error, "strerror", None) or error) or type(error).__name__
        return SourceUnavailable(
            f'Source "{self._name}": the folder "{self._options.path}" at {self.address} cannot be '
            f"read now: {said}. It is tried again; check that the server runs and has the folder."
        )

    def close(self) -> None:
        client, transport = self._client, self._transport
        self._client = self._transport = None
        for part in (client, transport):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()

    # --- opening ----------------------------------------------------------------------------------

    def _connected(self) -> SFTPClient:
        if self._client is not None and self.is_open:
            return self._client
        self.close()
        options = self._options
        timeout = options.timeout.total_seconds()
        sock = socket.create_connection((options.host, options.port), timeout)
        try:
            transport = self._paramiko.Transport(sock)
        except BaseException:
            sock.close()
            raise
        self._transport = transport
        transport.banner_timeout = transport.auth_timeout = timeout
        self._prefer_pinned(transport)
        transport.start_client(timeout=timeout)
        # Before anything of ours is shown: the server must be the one that was meant.
        self._check_key(transport.get_remote_server_key())
        if self._key is not None:
            left = transport.auth_publickey(options.user, self._key)
        else:
            left = transport.auth_password(options.user, self._password or "", fallback=False)
        if left:
            raise self._paramiko.AuthenticationException("the server wants a further proof")
        client = self._paramiko.SFTPClient.from_transport(transport)
        if client is None:
            raise self._paramiko.SSHException("the server opened no SFTP session")
        channel = client.get_channel()
        if channel is not None:
            channel.settimeout(timeout)
        self._client = client
        return client

    def _prefer_pinned(self, transport: Transport) -> None:
        """Ask for a kind of key that is pinned, where whole keys are."""
        kinds = {pin.split(" ")[0] for pin in self._options.host_key if " " in pin}
        if kinds and not any(pin.startswith("SHA256:") for pin in self._options.host_key):
            options = transport.get_security_options()
            known = tuple(options.key_types)
            wanted = tuple(
                kind for kind in known
                if kind in kinds or ("ssh-rsa" in kinds and kind.startswith("rsa-sha2-"))
            )  # fmt: skip
            if wanted:
                options.key_types = wanted

    def _check_key(self, key: PKey) -> None:
        body = key.asbytes()
        shown = "SHA256:" + base64.b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")
        for pin in self._options.host_key:
            if pin.startswith("SHA256:"):
                if pin.rstrip("=") == shown:
                    return
            elif _decoded(pin.split(" ")[1]) == body:
                return
        raise AccessDenied(
            f'Source "{self._name}": {self.address} shows the key {key.get_name()} {shown}, which '
            "is not the one in host_key. Ask its administrator whether the key was exchanged; if "
            "so, write the new one into host_key. Nothing was sent."
        )

    def _private_key(self, secrets: Mapping[str, str]) -> PKey:
        options = self._options
        variable = options.key_variable or ""
        text = secret(variable, secrets, self._name, lines=True)
        locked = options.passphrase_variable
        passphrase = None if locked is None else secret(locked, secrets, self._name)
        kinds: tuple[Any, ...] = (
            self._paramiko.Ed25519Key,
            self._paramiko.ECDSAKey,
            self._paramiko.RSAKey,
        )
        for kind in kinds:
            with contextlib.suppress(self._paramiko.SSHException, ValueError, IndexError):
                found: PKey = kind.from_private_key(io.StringIO(text + "\n"), passphrase)
                return found
        raise ConfigError(
            f'Source "{self._name}": {variable} holds no private key that can be read, or '
            "passphrase_variable does not open it. Keys of kind Ed25519, ECDSA and RSA are read, "
            "as ssh-keygen writes them."
        )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
