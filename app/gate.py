"""The gate: whatever is asked of the screens is asked by somebody who is signed in.

Plain ASGI before everything that Streamlit serves: pages, media, uploads, components, WebSockets.
Open are sign-in itself and public files, which hold nothing of anybody.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from app import data
from app.cookies import cookies_of, headers_of, token_in
from app.middleware import App, Receive, Scope, Send
from tower.errors import TowerError

OPEN_PATHS = frozenset({"/signin", "/signout", "/_stcore/health", "/favicon.png"})
OPEN_FOLDERS = ("/oidc/", "/static/", "/app/static/")


class Gate:
    """Let through who is signed in; send others to sign-in, refuse their WebSockets."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or is_open(scope):
            await self.app(scope, receive, send)
            return
        headers = headers_of(scope["headers"])
        plain = data.plain_cookies(headers.get("host", ""))
        token = token_in(cookies_of(headers.get("cookie", "")), plain=plain)
        try:
            live = await asyncio.to_thread(data.holder, token) if token else None
        except TowerError as error:
            await _refuse(scope, send, 503, str(error))
            return
        if live is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            await _to_sign_in(scope, send)
        else:
            await _refuse(scope, send, 401, "Sign in first.")


def is_open(scope: Scope) -> bool:
    """Whether anybody may ask this: a public file, or sign-in."""
    path: str = scope["path"]
    if scope["type"] != "http" or ".." in path or "\\" in path:
        return False
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


async def _to_sign_in(scope: Scope, send: Send) -> None:
    wanted = quote(scope["path"], safe="/")
    query = scope.get("query_string", b"").decode("latin-1")
    target = wanted + (f"?{query}" if query else "")
    location = "/signin" if target == "/" else f"/signin?next={quote(target, safe='')}"
    await _answer(send, 303, b"", [(b"location", location.encode())])


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "not signed in"})
        return
    await _answer(send, status, why.encode(), [(b"content-type", b"text/plain; charset=utf-8")])


async def _answer(send: Send, status: int, body: bytes, headers: list[Any]) -> None:
    given = [
        *headers,
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})
