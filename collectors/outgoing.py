"""Calls to other systems, kept on a short lead.

One origin per source (scheme, host, port), nothing else; the address is resolved here, checked and
then used, so that a name cannot lead inside after it was checked; no redirect is followed, no proxy
is taken from the environment; time and size are bounded.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import httpcore

from tower.errors import AccessDenied, ConfigError, SourceThrottled, SourceUnavailable

USER_AGENT = "tower-collector"
DEFAULT_WAIT_S = 60.0
LONGEST_WAIT_S = 24 * 3600.0
PORTS = {"http": 80, "https": 443}

# Addresses that a name from outside has no business leading to. Python's own lists differ between
# versions and miss forms that carry an inner IPv4 address.
_INNER = [
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/127", "100::/64", "2001:db8::/32", "2001::/32", "2002::/16", "64:ff9b:1::/48",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
]  # fmt: skip
_NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


def is_inner(address: Address) -> bool:
    """Loopback, private, link-local, shared, reserved or multicast, in whatever disguise."""
    if isinstance(address, IPv6Address):
        carried = address.ipv4_mapped
        if carried is None and address in _NAT64:
            carried = IPv4Address(int(address) & 0xFFFFFFFF)
        if carried is not None:
            return is_inner(carried)
    return any(address in network for network in _INNER if network.version == address.version)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Outgoing:
    """Calls of one source to its one origin."""

    def __init__(
        self,
        source: str,
        url: str,
        *,
        timeout_s: float,
        max_bytes: int,
        networks: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, str] | None = None,
        numbers_are_meant: bool = True,
    ) -> None:
        """``numbers_are_meant``: an address written in numbers may lie inside; else every inner one
        must lie in one of ``networks``.
        """
        self._source = source
        self._origin = origin_of(url)
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._headers = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": USER_AGENT,
            **{name.lower(): value for name, value in (headers or {}).items()},
        }
        self._secret_headers = dict(secret_headers or {})
        self._backend = _Guarded(
            self._origin[1], [ip_network(text) for text in networks], numbers_are_meant
        )
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=2,
            keepalive_expiry=30,
            network_backend=self._backend,
        )

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer, whatever its status. Raises SourceUnavailable, AccessDenied, ConfigError."""
        return self._call("GET", url, headers or {})

    def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to a form: how tokens are asked for. Errors as of ``get``."""
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self._call("POST", url, {**kind, **(headers or {})}, urlencode(form).encode("ascii"))

    def post_json(
        self, url: str, document: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to a JSON document. Errors as of ``get``."""
        kind = {"content-type": "application/json"}
        return self._call("POST", url, {**kind, **(headers or {})}, document)

    def _call(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        if origin_of(url) != self._origin:
            raise AccessDenied(
                f'Source "{self._source}" leads to {_shown(url)}, which is not the address in '
                "network.yaml. Only that scheme, host and port are called: correct the address, or "
                "the links that the source gives."
            )
        sent = {**self._headers, **headers, **self._secret_headers}
        self._backend.deadline = time.monotonic() + self._timeout_s
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            with self._pool.stream(
                method,
                _ascii(url),
                headers=[(k.encode("ascii"), v.encode("latin-1")) for k, v in sent.items()],
                content=content,
                extensions={"timeout": timeout},
            ) as response:
                received = {
                    k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers
                }
                body = self._body(response, received)
                return Answer(response.status, received, body, url)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise self._failure(error, url) from error

    @contextlib.contextmanager
    def talking(self) -> Iterator[None]:
        """Keep the connection between calls, and hang up at the end."""
        try:
            yield
        finally:
            self._pool.close()

    def _body(self, response: httpcore.Response, headers: Mapping[str, str]) -> bytes:
        coding = headers.get("content-encoding", "identity").lower()
        if coding not in ("identity", "gzip", "x-gzip", ""):
            raise ConfigError(
                f'Source "{self._source}" answers in the coding "{coding[:20]}" although none was '
                "asked for. Switch it off at the source."
            )
        unpack = zlib.decompressobj(wbits=31) if "gzip" in coding else None
        parts: list[bytes] = []
        size = 0
        for chunk in response.iter_stream():
            part = chunk if unpack is None else self._unpacked(unpack, chunk, size)
            size += len(part)
            if size > self._max_bytes:
                raise ConfigError(
                    f'Source "{self._source}" sends more than {self._max_bytes:,} bytes in one '
                    "answer. Lower page_size, or raise max_bytes, in its options in network.yaml."
                )
            parts.append(part)
        return b"".join(parts)

    def _unpacked(self, unpack: Any, chunk: bytes, size: int) -> bytes:
        try:
            # One byte more than allowed is enough to know; a bomb never unfolds.
            part: bytes = unpack.decompress(chunk, self._max_bytes - size + 1)
        except zlib.error as error:
            raise SourceUnavailable(
                f'Source "{self._source}" sent a broken gzip body. It is tried again.'
            ) from error
        return part

    def _failure(self, error: Exception, url: str) -> Exception:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return AccessDenied(
                    f'Source "{self._source}": the certificate of {_shown(url)} is not trusted: '
                    f"{cause.verify_message}. Correct it there, or let this machine trust its "
                    "issuer (SSL_CERT_FILE)."
                )
            if isinstance(cause, _Inside):
                return ConfigError(
                    f'Source "{self._source}": {self._origin[1]} is {cause.address}, an address '
                    "inside a private network. If that is meant, list the network in its options: "
                    f'networks: ["{cause.address}/{cause.address.max_prefixlen}"].'
                )
            cause = cause.__cause__ or cause.__context__
        said = str(error) or type(error).__name__
        return SourceUnavailable(
            f'Source "{self._source}": {_shown(url)} does not answer: {said[:200]}. '
            "It is tried again."
        )


def raise_for(answer: Answer, source: str, now: datetime) -> None:
    """Raise the family that an answer's status belongs to; 2xx and 304 pass."""
    status, where = answer.status, _shown(answer.url)
    if 200 <= status < 300 or status == 304:
        return
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        raise SourceThrottled(
            f'Source "{source}" asks to wait ({where} answered {status}).',
            retry_after(answer.headers.get("retry-after"), now),
        )
    if status in (401, 403):
        raise AccessDenied(
            f'Source "{source}": {where} refuses us ({status}). Check the variable that its '
            "options name, and the rights of that account."
        )
    if 300 <= status < 400:
        raise ConfigError(
            f'Source "{source}": {where} answers with a redirect ({status}), which is not '
            "followed. Write its new address into network.yaml."
        )
    if status >= 500 or status in (408, 425):
        raise SourceUnavailable(f'Source "{source}": {where} answered {status}. It is tried again.')
    raise ConfigError(
        f'Source "{source}": {where} answered {status}. Check its address and query in '
        "network.yaml."
    )


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address; raises ConfigError if it is none we call."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
        if parts.username is None and parts.hostname:
            return parts.scheme, parts.hostname.lower(), port
    except (KeyError, ValueError):
        pass
    raise ConfigError(f'"{_shown(url)}" is not a web address that can be called.')


def joined(base: str, link: str) -> str:
    """The address that a link in an answer means."""
    try:
        return urljoin(base, link)
    except ValueError as error:
        raise ConfigError(f'"{link[:80]}" is not a link that can be followed.') from error


def _shown(url: str) -> str:
    """An address without query and fragment, which may hold what others should not see."""
    return url.partition("?")[0].partition("#")[0][:200]


def _ascii(url: str) -> bytes:
    try:
        return url.encode("ascii")
    except UnicodeEncodeError:
        raise ConfigError(
            f'"{_shown(url)}" holds letters that an address may not; write them as %xx, and the '
            "host in its xn-- form."
        ) from None


def retry_after(said: str | None, now: datetime) -> float:
    """Seconds that a Retry-After asks for: a count, or a date."""
    if said is None:
        return DEFAULT_WAIT_S
    text = said.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return DEFAULT_WAIT_S
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT_S)


class _Inside(httpcore.ConnectError):
    """A name led to an address inside."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"{address} is inside a private network")
        self.address = address


class _Guarded(httpcore.NetworkBackend):
    """Connects to addresses it has checked itself; every wait ends at ``deadline``."""

    def __init__(self, host: str, networks: Sequence[Any], numbers_are_meant: bool) -> None:
        self._plain = httpcore.SyncBackend()
        self._networks = networks
        # Who writes an address in numbers, or localhost, has said which one is meant.
        self._is_literal = numbers_are_meant and (
            _as_address(host) is not None or host == "localhost"
        )
        self.deadline = 0.0

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first checked address that takes it."""
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in self._checked(host, port):
            try:
                stream = self._plain.connect_tcp(
                    str(address), port, self.left(), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _Timed(stream, self)
        raise failure or httpcore.ConnectError(f"{host} has no address")

    def left(self) -> float:
        """Seconds until the deadline, at least a little."""
        return max(self.deadline - time.monotonic(), 0.01)

    def _checked(self, host: str, port: int) -> list[Address]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        addresses = list(dict.fromkeys(ip_address(str(entry[4][0])) for entry in found))
        if self._is_literal:
            return addresses
        allowed = [a for a in addresses if not is_inner(a) or self._lists(a)]
        if not allowed and addresses:
            raise _Inside(addresses[0])
        return allowed

    def _lists(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


class _Timed(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline of the call it serves."""

    def __init__(self, stream: httpcore.NetworkStream, owner: _Guarded) -> None:
        self._stream = stream
        self._owner = owner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._owner.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._owner.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        tls = self._stream.start_tls(ssl_context, server_hostname, self._owner.left())
        return _Timed(tls, self._owner)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _as_address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
