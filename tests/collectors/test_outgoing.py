"""Calls to other systems stay on their lead: one origin, checked addresses, bounds."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from collectors.outgoing import Outgoing, is_inner, origin_of, raise_for
from tests.collectors.worlds import Service
from tower.errors import AccessDenied, ConfigError, SourceUnavailable

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


class Echo(Service):
    """Tells what it was asked; other answers by path."""

    def respond(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if path == "/gzip":
            return 200, {"content-encoding": "gzip"}, gzip.compress(b"small")
        if path == "/bomb":
            squeeze = zlib.compressobj(wbits=31)
            body = b"".join(squeeze.compress(b"\0" * 1_000_000) for _ in range(100))
            return 200, {"content-encoding": "gzip"}, body + squeeze.flush()
        if path == "/broken":
            return 200, {"content-encoding": "gzip"}, b"no gzip at all"
        if path == "/br":
            return 200, {"content-encoding": "br"}, b"x"
        if path == "/large":
            return 200, {}, b"x" * 200_001
        return 200, {}, repr(sorted(headers.items())).encode()


@contextmanager
def echo() -> Iterator[Echo]:
    service = Echo()
    try:
        yield service
    finally:
        service.close()


def outgoing(url: str, **more: Any) -> Outgoing:
    return Outgoing("feed", url, **{"timeout_s": 20.0, "max_bytes": 200_000, **more})


@pytest.mark.parametrize(
    ("address", "inner"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("0.0.0.0", True),  # noqa: S104  an address to refuse, not to listen on
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("192.0.0.1", True),
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("93.184.216.34", False),
        ("::1", True),
        ("::", True),
        ("fe80::1", True),
        ("fd00::1", True),
        ("ff02::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:93.184.216.34", False),
        ("64:ff9b::7f00:1", True),
        ("64:ff9b::5db8:d822", False),
        ("2002:7f00:1::", True),
        ("2001::1", True),
        ("2606:2800:220:1::1", False),
    ],
)
def test_inner_addresses_are_known_in_every_disguise(address: str, inner: bool) -> None:
    assert is_inner(ip_address(address)) is inner


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.com/a?b", ("https", "example.com", 443)),
        ("http://example.com:8080", ("http", "example.com", 8080)),
        ("http://[::1]:1/x", ("http", "::1", 1)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: tuple[str, str, int]) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "file:///etc/passwd", "http://me@a/", "http:///x", "//a", "http://a:99999"]
)
def test_what_is_no_web_address_is_never_called(url: str) -> None:
    with pytest.raises(ConfigError):
        origin_of(url)


@pytest.mark.parametrize(
    "change", ["https://{host}/x", "http://localhost:{port}/x", "http://127.0.0.1:1/x"]
)
def test_only_the_configured_origin_is_called(change: str) -> None:
    with echo() as service:
        caller = outgoing(service.url)
        url = change.format(host=f"127.0.0.1:{service.port}", port=service.port)
        with pytest.raises(AccessDenied, match="Only that scheme, host and port"):
            caller.get(url)
        assert service.asked == []


def test_secrets_go_out_and_nothing_of_the_environment_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with echo() as service:
        caller = outgoing(service.url, secret_headers={"authorization": "Bearer t"})
        with caller.talking():
            said = caller.get(service.url + "/x").body.decode()
        assert "('authorization', 'Bearer t')" in said
        assert "('accept-encoding', 'identity')" in said


def test_a_name_that_leads_inside_is_refused_unless_its_network_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "erp.example" else host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with echo() as service:
        url = f"http://erp.example:{service.port}/x"
        with pytest.raises(ConfigError, match=r'networks: \["127.0.0.1/32"\]'):
            outgoing(url).get(url)
        assert service.asked == []
        caller = outgoing(url, networks=["127.0.0.0/8"])
        with caller.talking():
            assert caller.get(url).status == 200


def test_the_address_that_was_checked_is_the_one_that_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that answers with a good address first and an inner one later gains nothing."""
    answers = iter(["203.0.114.1", "127.0.0.1"])
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        address = next(answers)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    called: list[str] = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> Any:
        called.append(address[0])
        raise OSError("no such host in a test")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    url = "http://partner.example/x"
    with pytest.raises(SourceUnavailable):
        outgoing(url).get(url)
    assert (asked, called) == (["partner.example"], ["203.0.114.1"])
    with pytest.raises(ConfigError):
        outgoing(url).get(url)
    assert called == ["203.0.114.1"]


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("/bomb", ConfigError, "more than 200,000 bytes"),
        ("/large", ConfigError, "more than 200,000 bytes"),
        ("/broken", SourceUnavailable, "broken gzip"),
        ("/br", ConfigError, 'the coding "br"'),
    ],
)
def test_bodies_are_bounded_also_when_they_are_packed(
    path: str, error: type[Exception], said: str
) -> None:
    with echo() as service:
        caller = outgoing(service.url)
        with caller.talking(), pytest.raises(error, match=said):
            caller.get(service.url + path)


def test_a_packed_body_is_unpacked() -> None:
    with echo() as service:
        caller = outgoing(service.url)
        with caller.talking():
            assert caller.get(service.url + "/gzip").body == b"small"


@pytest.mark.parametrize("drip", [b"H", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx"])
def test_a_source_that_drips_is_given_up_after_the_time_of_one_call(drip: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(drip)
            # Less than the time of one wait lies between two bytes: only the whole call is long.
            while not done.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    began = time.monotonic()
    caller = outgoing(url, timeout_s=0.4)
    with caller.talking(), pytest.raises(SourceUnavailable):
        caller.get(url)
    assert time.monotonic() - began < 30
    done.set()
    thread.join()
    listener.close()


def test_nobody_listening_is_unavailable_and_the_query_is_not_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}/orders?token=secret"
    with pytest.raises(SourceUnavailable) as caught:
        outgoing(url).get(url)
    assert "secret" not in str(caught.value)
    assert f"127.0.0.1:{port}/orders" in str(caught.value)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_an_untrusted_certificate_is_told_as_such(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=localhost", "-days", "1", "-out", certificate, "-keyout", key],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}/x"
        caller = outgoing(url)
        with caller.talking(), pytest.raises(AccessDenied, match="is not trusted"):
            caller.get(url)
        thread.join()


def test_good_answers_pass() -> None:
    with echo() as service:
        caller = outgoing(service.url)
        with caller.talking():
            raise_for(caller.get(service.url + "/x"), "feed", NOW)
