"""Signing in and out, and the gate: what is asked of the screens is asked by somebody."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from httpx import Response
from sqlalchemy import delete, select, update
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app import data, serve
from app.cookies import PLAIN, SECURE, cookies_of, headers_of, token_in
from app.gate import Gate
from app.signin import MOST_WAITING, SignIn
from db import accounts, attempts, audit, passwords, sessions
from db.tables import session, sign_in_attempt
from tests.app.conftest import Site
from tower import settings
from tower.errors import ConfigError

WORDS = "orchid ladder quartz seven"
OURS = {"origin": "http://127.0.0.1:8501"}


@pytest.fixture(scope="module")
def ana(site: Site) -> int:
    return site.person("ana", "leader", WORDS)


@pytest.fixture(autouse=True)
def nobody(site: Site) -> Iterator[None]:
    """Each test begins signed out and without waits."""
    site.client.cookies.clear()
    yield
    with site.database.begin() as conn:
        conn.execute(delete(sign_in_attempt))
        conn.execute(delete(session))


def enter(site: Site, name: str = "ana", password: str = WORDS, **more: Any) -> Response:
    form = {"name": name, "password": password, "next": more.pop("next", "/queues")}
    return site.client.post("/signin", data=form, headers={**OURS, **more})


def test_an_empty_tower_says_how_the_first_account_is_made(site: Site) -> None:
    if not _first(site):
        pytest.skip("accounts are there already")
    shown = site.client.get("/signin").text
    assert "tower users add NAME --role admin" in shown


def _first(site: Site) -> bool:
    with site.database.connect() as conn:
        return not accounts.anybody(conn)


@pytest.mark.parametrize(
    "path",
    ["/", "/trace?ref=po:main:1&x=%2F", "/media/abc.png", "/_stcore/host-config",
     "/_stcore/metrics", "/_stcore/script-health-check", "/auth/login", "/openapi.json",
     "/static/../media/x", "/component/x/index.html"],
)  # fmt: skip
def test_nobody_sees_anything(site: Site, path: str) -> None:
    for cookie in ("", f"{PLAIN}=made-up", f"{SECURE}=made-up"):
        answer = site.client.get(path, headers={"cookie": cookie} if cookie else {})
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith("/signin")
        assert answer.content == b""
        assert "no-store" in answer.headers["cache-control"]
    assert site.client.put("/_stcore/upload_file/a/b", content=b"x").status_code == 401
    with pytest.raises(WebSocketDisconnect), site.client.websocket_connect("/_stcore/stream"):
        pass


def test_what_is_open_holds_nothing_of_anybody(site: Site) -> None:
    for path in ("/_stcore/health", "/app/static/favicon.svg", "/signin", "/signout"):
        assert site.client.get(path).status_code == 200


def test_whoever_signs_in_goes_on_where_they_wanted(site: Site, ana: int) -> None:
    asked = site.client.get("/trace?ref=po%3Amain%3A1&tab=lines")
    shown = site.client.get(asked.headers["location"])
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    assert "script-src" not in shown.headers["content-security-policy"]
    wanted = re.search(r'name="next" value="([^"]+)"', shown.text)
    assert wanted is not None
    answer = enter(site, " Ana ", next=wanted[1].replace("&amp;", "&"))
    assert (answer.status_code, answer.headers["location"]) == (
        303, "/trace?ref=po%3Amain%3A1&tab=lines",
    )  # fmt: skip
    cookie = answer.headers["set-cookie"]
    token = answer.cookies[PLAIN]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert len(token) >= 43
    assert site.client.get("/").status_code == 200
    headers = {**OURS, "host": "127.0.0.1:8501", "cookie": f"{PLAIN}={token}"}
    with site.client.websocket_connect("/_stcore/stream", headers=headers) as stream:
        stream.close()
    with site.database.connect() as conn:
        told = audit.entries(conn, subject="account:ana", limit=1)
    assert (told[0].act.actor, told[0].act.action) == ("ana", "session.opened")
    again = enter(site)
    assert again.cookies[PLAIN] != token
    assert data.holder(token) is None  # a new token at each sign-in, the old one is void


@pytest.mark.parametrize("next_", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_nobody_is_led_elsewhere(site: Site, ana: int, next_: str) -> None:
    assert enter(site, next=next_).headers["location"] == "/"
    assert "evil.example" not in site.client.get("/signin", params={"next": next_}).text


def test_a_wrong_password_and_an_unknown_name_are_told_alike(site: Site, ana: int) -> None:
    wrong, unknown = enter(site, "ana", "wrong"), enter(site, "nobody", "wrong")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text.replace('value="ana"', "") == unknown.text.replace('value="nobody"', "")
    assert "set-cookie" not in wrong.headers
    script = enter(site, '"><script>alert(1)</script>', "x")
    assert "<script>" not in script.text
    with site.database.connect() as conn:
        told = [e.act for e in audit.entries(conn, actor="nobody", limit=3)]
    assert {one.subject for one in told} == {"account:", "account:ana"}
    assert "script" not in str(told)


def test_an_unknown_name_costs_as_much_as_a_known_one(
    site: Site, ana: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    real = passwords._hasher

    class Counting:
        def verify(self, kept: str, password: str) -> bool:
            looked.append(kept.split("$")[3])
            return real.verify(kept, password)

    passwords.warm_up()
    monkeypatch.setattr(passwords, "_hasher", Counting())
    for name in ("ana", "nobody"):
        assert enter(site, name, "wrong").status_code == 401
    assert looked == ["m=65536,t=3,p=4"] * 2


def test_wrong_passwords_make_everybody_wait_even_with_the_right_one(site: Site, ana: int) -> None:
    with site.database.begin() as conn:
        for _ in range(6):
            later = datetime.now(UTC) + timedelta(seconds=30)
            attempts.take_turn(conn, "ana", "10.0.0.9", later)
    answer = enter(site)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8501.evil.example"},
        {"referer": "http://127.0.0.1:8501/signin"},
    ],
)
def test_only_our_own_form_signs_in_or_out(site: Site, ana: int, headers: dict[str, str]) -> None:
    form = {"name": "ana", "password": WORDS}
    assert site.client.post("/signin", data=form, headers=headers).status_code == 403
    token = site.token(ana)
    site.client.cookies.set(PLAIN, token)
    assert site.client.post("/signout", headers=headers).status_code == 403
    assert site.client.get("/signout").status_code == 200  # a question, no deed
    assert data.holder(token) is not None


def test_a_form_that_is_none_of_ours_is_only_refused(site: Site, ana: int) -> None:
    for body in (b"name=" + b"a" * 9000, b"\xff\xfe", b"&".join([b"a=1"] * 50), b""):
        answer = site.client.post(
            "/signin", content=body,
            headers={**OURS, "content-type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        assert answer.status_code == 401


def test_signing_out_ends_the_session_and_takes_the_cookie(site: Site, ana: int) -> None:
    token = enter(site).cookies[PLAIN]
    answer = site.client.post("/signout", headers=OURS)
    assert answer.headers["location"] == "/signin?out=1"
    assert answer.headers["set-cookie"].count("Max-Age=0") == 2
    assert data.holder(token) is None
    site.client.cookies.set(PLAIN, token)
    assert site.client.get("/").status_code == 303


def test_a_session_that_was_ended_opens_nothing_any_more(site: Site, ana: int) -> None:
    for end in ("idle", "age", "disabled", "signed out"):
        token = site.token(ana)
        site.client.cookies.set(PLAIN, token)
        assert site.client.get("/").status_code == 200
        past = datetime.now(UTC) - timedelta(minutes=31)
        with site.database.begin() as conn:
            if end == "idle":
                conn.execute(update(session).values(seen_at=past))
            elif end == "age":
                conn.execute(update(session).values(ends_at=past))
            elif end == "disabled":
                accounts.disable(conn, "ana", by="root", now=past)
            else:
                sessions.sign_out(conn, ana, "ana", by="root", now=past)
        assert site.client.get("/").status_code == 303, end
        with site.database.begin() as conn:
            accounts.enable(conn, "ana", by="root", now=past)


def test_the_plain_cookie_counts_on_this_machine_alone() -> None:
    both = {PLAIN: "plain", SECURE: "secure"}
    assert token_in(both, plain=True) == "secure"
    assert token_in({PLAIN: "plain"}, plain=True) == "plain"
    assert token_in({PLAIN: "plain"}, plain=False) == ""
    assert token_in({SECURE: "x" * 101}, plain=False) == ""
    raw = [(b"Cookie", b"a=1; tower_sid=first"), (b"cookie", b"tower_sid=second"), (b"Host", b"h")]
    headers = headers_of(raw)
    assert cookies_of(headers["cookie"])["tower_sid"] == "first"


def test_elsewhere_the_cookie_is_bound_to_the_host_and_to_tls(
    site: Site, ana: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWER_BASE_URL", "https://tower.example")
    data.at_home.clear()
    try:
        chosen = settings.load()
        serve.refuse_open_air(chosen)
        form = {"name": "ana", "password": WORDS}
        page = Route("/", lambda request: PlainTextResponse("a page"))
        behind = Starlette(routes=[*SignIn(chosen).routes(), page], middleware=[Middleware(Gate)])
        with TestClient(behind, base_url="https://tower.example", follow_redirects=False) as client:
            given = client.post("/signin", data=form, headers={"origin": "https://tower.example"})
            cookie = given.headers["set-cookie"]
            assert cookie.startswith(f"{SECURE}=")
            assert "; Secure" in cookie
            assert "Domain" not in cookie
            assert client.get("/").status_code == 200
            client.cookies.clear()
            headers = {"cookie": f"{PLAIN}={given.cookies[SECURE]}"}
            assert client.get("/", headers=headers).status_code == 303
        monkeypatch.setenv("TOWER_BASE_URL", "http://tower.example")
        with pytest.raises(ConfigError, match="without encryption"):
            serve.refuse_open_air(settings.load())
    finally:
        data.at_home.clear()


def test_fifty_at_once_are_all_answered_and_four_cost_memory(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is on hashes at once, so memory is 4 x 64 MiB; others are told to come back."""
    at_once, most = 0, 0
    counting = threading.Lock()
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

    class Counting:
        def verify(self, kept: str, password: str) -> bool:
            nonlocal at_once, most
            with counting:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.05)
            with counting:
                at_once -= 1
            return cheap.verify(cheap.hash("x"), password)

    passwords.warm_up()
    monkeypatch.setattr(passwords, "_hasher", Counting())
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: enter(site, f"n{n}", "wrong").status_code, range(50)))
        beside = [site.client.get("/_stcore/health").status_code for _ in range(3)]
    assert beside == [200, 200, 200]
    assert set(answers) <= {401, 503}
    assert answers.count(401) >= passwords.AT_ONCE + MOST_WAITING - 4
    assert 1 < most <= passwords.AT_ONCE
    with site.database.connect() as conn:
        assert conn.execute(select(session)).all() == []
