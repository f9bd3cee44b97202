"""One's own password: a plain page outside of Streamlit, so that it is in no state of a page.

Who changes it gives the one they have. Everything else that is open under their name ends, and this
browser gets another session.
"""

from __future__ import annotations

from datetime import UTC, datetime

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import cookies, data
from app.signin import MOST_WAITING, SignIn, Wait, form_of, token_of
from db import accounts, attempts, audit, passwords, sessions
from tower.accounts import NotAnAccount, WeakPassword
from tower.errors import TowerError

WRONG = "The password that you have now is another one."
UNLIKE = "The new password is not the same in both fields."


class OwnPassword:
    """The routes; they share turns and refusals with sign-in. The gate lets in who is signed in."""

    def __init__(self, door: SignIn) -> None:
        self._door = door

    def routes(self) -> list[Route]:
        return [
            Route("/password", self.page, methods=["GET"]),
            Route("/password", self.change, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        live = await to_thread.run_sync(data.holder, token_of(request))
        return self._drawn(live, 200)

    async def change(self, request: Request) -> Response:
        if not self._door.is_ours(request):
            return self._door.refused("This form was not sent from a page of this tower.", 403)
        if not self._door.is_private(request):
            return self._door.refused("This page came without encryption.", 403)
        form = await form_of(request)
        before, new, again = (form.get(key, "") for key in ("before", "new", "again"))
        token = token_of(request)
        live = await to_thread.run_sync(data.holder, token)
        if live is None:
            return self._door.refused("You are signed out. Nothing was changed.", 401)
        if new != again:
            return self._drawn(live, 400, problem=UNLIKE)
        if self._door.turns.statistics().tasks_waiting >= MOST_WAITING:
            return self._drawn(live, 503, problem="Many people are signing in. Try again soon.")
        address = request.client.host if request.client is not None else ""
        browser = request.headers.get("user-agent", "")
        try:
            following = await to_thread.run_sync(
                replace, live, before, new, address, browser, limiter=self._door.turns
            )
        except Wait as wait:
            return self._drawn(
                live, 429, problem=f"Too many wrong passwords. Try again in {wait.seconds} s."
            )
        except (WeakPassword, NotAnAccount) as error:
            return self._drawn(live, 400, problem=str(error))
        except TowerError as error:
            return self._door.refused(str(error), 503)
        if following is None:
            return self._drawn(live, 401, problem=WRONG)
        data.forget_holder(token)
        answer = self._drawn(
            live, 200, said="Your password is changed. What was open elsewhere has ended."
        )
        plain = data.plain_cookies(request.headers.get("host", ""))
        name = cookies.PLAIN if plain else cookies.SECURE
        answer.headers.append("set-cookie", cookies.written(name, following, secure=not plain))
        return answer

    def _drawn(
        self, live: sessions.Live | None, status: int, *, said: str = "", problem: str = ""
    ) -> Response:
        whose = "" if live is None else live.name
        return self._door.drawn(
            "Your password", status, own=True, whose=whose, said=said, problem=problem
        )


def replace(live: sessions.Live, before: str, new: str, address: str, browser: str) -> str | None:
    """Give somebody another password; the token of their new session, None if ``before`` is wrong.

    Raises Wait after too many wrong ones, WeakPassword, NotAnAccount who signs in elsewhere.
    """
    now = datetime.now(UTC)
    passwords.check(new, live.name, live.full_name)
    with data.house() as conn:
        known = accounts.password_of(conn, live.name)
        if known is None or known[0].id != live.account:
            raise NotAnAccount("You sign in at the identity provider, which knows the password.")
        left = attempts.take_turn(conn, live.name, address, now)
    if left:
        raise Wait(left)
    if not passwords.fits(known[1], before[:1000]):
        with data.house() as conn:
            subject, told = f"account:{live.name}", {"address": address}
            audit.record(conn, live.name, "password.refused", subject, told, now)
        return None
    with data.house() as conn:
        attempts.succeeded(conn, live.name, address)
        accounts.reset(conn, live.name, new, by=live.name, now=now)
        return sessions.open_(
            conn, live.account, "password", address=address, browser=browser, now=now
        )
