"""Signing in and out: plain pages of our own, outside of Streamlit.

Only a POST from our own origin changes anything. A password is looked at by one of four threads; a
few more attempts wait, all others are told to come back, so that sign-in under load costs 256 MiB
and four cores at most and everything else goes on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from anyio import CapacityLimiter, to_thread
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app import cookies, data
from db import accounts, attempts, audit, demo_people, passwords, sessions
from db.reads.connection import Asking
from tower import settings
from tower.accounts import Account, local_path
from tower.errors import DatabaseAway, SchemaOutOfDate
from tower.settings import Settings

MOST_WAITING = 16
MOST_BYTES = 8_000
BACK_AFTER_S = 3
PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "style-src 'unsafe-inline'",
            "img-src 'self'",
            "font-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
}
WRONG = "This name and password do not fit. Names are written in small letters."

_pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)


class Wait(Exception):
    """Too many wrong passwords: nothing is looked at for so long."""

    def __init__(self, left: timedelta) -> None:
        super().__init__()
        self.seconds = max(1, round(left.total_seconds()))


class SignIn:
    """The routes for names and passwords, and what every way in shares."""

    def __init__(self, chosen: Settings) -> None:
        self._home = urlsplit(chosen.base_url)
        self._provider = chosen.oidc_label if chosen.oidc_issuer is not None else ""
        self.turns = CapacityLimiter(passwords.AT_ONCE)

    def routes(self) -> list[Route]:
        return [
            Route("/signin", self.page, methods=["GET"]),
            Route("/signin", self.enter, methods=["POST"]),
            Route("/signout", self.ask_leave, methods=["GET"]),
            Route("/signout", self.leave, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        said = "You are signed out." if request.query_params.get("out") else ""
        return await self._page(request, next_=request.query_params.get("next"), said=said)

    async def enter(self, request: Request) -> Response:
        if not self.is_ours(request):
            return self.refused("This form was not sent from a page of this tower.", 403)
        if not self.is_private(request):
            return self.refused(
                "This page came without encryption, and a password would go the same way. Open "
                "the tower by its https address.",
                403,
            )
        form = await form_of(request)
        name, password, next_ = (form.get(key, "") for key in ("name", "password", "next"))
        if self.turns.statistics().tasks_waiting >= MOST_WAITING:
            return await self._page(
                request, next_=next_, name=name, status=503,
                problem="Many people are signing in just now. Try again in a few seconds.",
                headers={"retry-after": str(BACK_AFTER_S)},
            )  # fmt: skip
        address = request.client.host if request.client is not None else ""
        browser = request.headers.get("user-agent", "")
        try:
            token = await to_thread.run_sync(
                attempt, name, password, address, browser, limiter=self.turns
            )
        except Wait as wait:
            return await self._page(
                request, next_=next_, name=name, status=429,
                problem=f"Too many wrong passwords. Try again in {wait.seconds} s.",
                headers={"retry-after": str(wait.seconds)},
            )  # fmt: skip
        except (DatabaseAway, SchemaOutOfDate) as error:
            return self.refused(str(error), 503)
        if token is None:
            return await self._page(request, next_=next_, name=name, status=401, problem=WRONG)
        return await self.let_in(request, token, next_)

    async def ask_leave(self, request: Request) -> Response:
        """A question only: no link of another page signs anybody out."""
        return self.drawn("Sign out", 200, leaving=True)

    async def leave(self, request: Request) -> Response:
        if not self.is_ours(request):
            return self.refused("This form was not sent from a page of this tower.", 403)
        token = token_of(request)
        if token:
            await to_thread.run_sync(_end, token)
        answer = RedirectResponse("/signin?out=1", 303, headers={"cache-control": "no-store"})
        for name, secure in ((cookies.SECURE, True), (cookies.PLAIN, False)):
            answer.headers.append("set-cookie", cookies.written(name, "", secure=secure, max_age=0))
        return answer

    # --- also for the identity provider ---------------------------------------------------------

    def is_ours(self, request: Request) -> bool:
        """Whether a form came from a page of ours: its Origin is this host, port and all."""
        origin = urlsplit(request.headers.get("origin", ""))
        if origin.scheme not in ("http", "https"):
            return False
        return origin.netloc in (request.headers.get("host", ""), self._home.netloc)

    def is_private(self, request: Request) -> bool:
        """Whether nobody on the way reads along: on this machine, or by TLS."""
        host = request.headers.get("host", "")
        if cookies.on_this_machine(host) or request.url.scheme == "https":
            return True
        return self._home.scheme == "https" and self._home.netloc == host

    async def let_in(self, request: Request, token: str, next_: str) -> Response:
        """Set the cookie and go on; a session that was open in this browser ends."""
        before = token_of(request)
        if before:
            await to_thread.run_sync(_end, before)
        answer = RedirectResponse(local_path(next_), 303, headers={"cache-control": "no-store"})
        plain = data.plain_cookies(request.headers.get("host", ""))
        name = cookies.PLAIN if plain else cookies.SECURE
        answer.headers.append("set-cookie", cookies.written(name, token, secure=not plain))
        return answer

    def refused(self, why: str, status: int) -> Response:
        """A page that says why, with the way back."""
        return self.drawn("Not signed in", status, refused=why)

    async def _page(
        self,
        request: Request,
        *,
        next_: str | None,
        name: str = "",
        said: str = "",
        problem: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Response:
        try:
            empty = not await to_thread.run_sync(_anybody)
        except (DatabaseAway, SchemaOutOfDate) as error:
            return self.refused(str(error), 503)
        return self.drawn(
            "Sign in",
            status,
            headers,
            next=local_path(next_),
            name=name[:80],
            said=said,
            problem=problem,
            empty=empty and not self._provider,
            provider=self._provider,
            demo=_demo_people(request),
        )

    def drawn(
        self, title: str, status: int, headers: dict[str, str] | None = None, **words: object
    ) -> Response:
        """A page of this way in, by its template."""
        html = _pages.get_template("signin.html").render(title=title, **words)
        return HTMLResponse(html, status, headers={**PAGE_HEADERS, **(headers or {})})


def _demo_people(request: Request) -> list[demo_people.DemoPerson]:
    """The accounts of the demo, for a browser on this machine that asks it directly."""
    asker = request.client.host if request.client is not None else ""
    here = data.plain_cookies(request.headers.get("host", "")) and cookies.is_loopback(asker)
    return demo_people.shown(settings.load()) if here and data.in_demo() else []


def token_of(request: Request) -> str:
    """The token of the session that is open in this browser, "" for none."""
    headers = cookies.headers_of(request.scope["headers"])
    found = cookies.cookies_of(headers.get("cookie", ""))
    return cookies.token_in(found, plain=data.plain_cookies(headers.get("host", "")))


def attempt(name: str, password: str, address: str, browser: str) -> str | None:
    """The token of a new session, None where name and password do not fit. Raises Wait.

    No connection is held while the password is looked at.
    """
    now = datetime.now(UTC)
    called = name.strip().lower()[:200]
    with data.house() as conn:
        left = attempts.take_turn(conn, called, address, now)
        known = None if left else accounts.password_of(conn, called)
    if left:
        raise Wait(left)
    kept = None if known is None else known[1]
    if not passwords.fits(kept, password[:1000]) or known is None:
        with data.house() as conn:
            # What was typed as a name may be a password: only names of accounts are written down.
            subject = "account:" if known is None else f"account:{known[0].name}"
            audit.record(conn, "nobody", "session.refused", subject, {"address": address}, now)
        return None
    who, before = known
    rehashed = passwords.is_old(before)
    with data.house() as conn:
        attempts.succeeded(conn, called, address)
        if rehashed:
            accounts.rehash(conn, who.id, password)
        return begin(conn, who, "password", address, browser, now)


def begin(
    conn: Asking,
    who: Account,
    method: str,
    address: str,
    browser: str,
    now: datetime,
) -> str:
    """Open a session; the token of it."""
    token = sessions.open_(conn, who.id, method, address=address, browser=browser, now=now)
    accounts.signed_in(conn, who.id, now)
    detail = {"method": method, "address": address}
    audit.record(conn, who.name, "session.opened", f"account:{who.name}", detail, now)
    return token


def _end(token: str) -> None:
    with data.house() as conn:
        name = sessions.end(conn, token)
        if name is not None:
            now = datetime.now(UTC)
            audit.record(conn, name, "session.ended", f"account:{name}", {"sessions": 1}, now)
    data.forget_holder(token)


def _anybody() -> bool:
    with data.house() as conn:
        return accounts.anybody(conn)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, each once; nothing where it is longer than a form of ours."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return {}
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}
