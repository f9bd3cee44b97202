"""What stands before Streamlit: headers against misuse, our own origin only, compressed files.

Plain ASGI, so that nothing is buffered and WebSockets pass untouched.
"""

from __future__ import annotations

import gzip
import mimetypes
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit

from app.cookies import is_loopback

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BUNDLES = Path(streamlit.__file__).parent / "static"

# Streamlit writes styles into the page, starts components from blobs, and compiles its chart
# specifications and Arrow reader ('unsafe-eval'); nothing may come from, or go to, elsewhere.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
)


class SecurityHeaders:
    """The same protective headers on every answer; one that is there already stays."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message = {
                    **message,
                    "headers": given + [pair for pair in HEADERS if pair[0] not in names],
                }
            await send(message)

        await self.app(scope, receive, with_headers)


class LocalOrigin:
    """Refuse a page of another site that opens our WebSocket from the same browser.

    Streamlit has such a check, but to decide it asks a host on the internet for our address.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not _same_origin(scope["headers"]):
            await send({"type": "websocket.close", "code": 1008, "reason": "foreign origin"})
            return
        await self.app(scope, receive, send)


def _same_origin(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the page comes from the host it talks to; callers without a page have no origin."""
    found = {name.lower(): value.decode("latin-1") for name, value in headers}
    origin = found.get(b"origin")
    if origin is None:
        return True
    host = urlsplit(f"//{found.get(b'host', '')}").hostname or ""
    source = urlsplit(origin).hostname or ""
    return source == host or (is_loopback(source) and is_loopback(host))


class CompressedStatic:
    """Streamlit's own bundles, gzipped once and kept: 11 MB become 3 MB on the first visit."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _compressed(scope) if scope["type"] == "http" else None
        if body is None:
            await self.app(scope, receive, send)
            return
        kind = mimetypes.guess_type(scope["path"])[0] or "application/octet-stream"
        headers = [
            (b"content-type", kind.encode()),
            (b"content-encoding", b"gzip"),
            (b"vary", b"accept-encoding"),
            # The names of these files carry a hash of their content.
            (b"cache-control", b"public, immutable, max-age=31536000"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        shown = body if scope["method"] == "GET" else b""
        await send({"type": "http.response.body", "body": shown})


_SHARED = ("/static/js/", "/static/css/")
_kept: dict[str, bytes] = {}
_keeping = threading.Lock()


def compress_ahead() -> None:
    """Compress all bundles now, so that the first visitor does not wait for it."""
    for folder in _SHARED:
        for file in sorted((BUNDLES / folder.strip("/")).iterdir()):
            if file.is_file():
                _bundle(f"{folder}{file.name}")


def _compressed(scope: Scope) -> bytes | None:
    """The gzipped bundle this request wants and may have, else None."""
    path: str = scope["path"]
    if scope["method"] not in ("GET", "HEAD") or not path.startswith(_SHARED):
        return None
    accepted = b",".join(v for n, v in scope["headers"] if n.lower() == b"accept-encoding")
    return _bundle(path) if b"gzip" in accepted else None


def _bundle(path: str) -> bytes | None:
    kept = _kept.get(path)
    if kept is not None:
        return kept
    file = (BUNDLES / path.lstrip("/")).resolve()
    if BUNDLES.resolve() not in file.parents or not file.is_file():
        return None
    body = gzip.compress(file.read_bytes(), 6)
    with _keeping:
        return _kept.setdefault(path, body)
