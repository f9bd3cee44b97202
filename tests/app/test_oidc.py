"""Signing in at an identity provider: a real one on this machine, with real keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.cookies import PLAIN, PLAIN_VISIT
from app.gate import Gate
from app.oidc import Provider, ProviderSignIn
from app.signin import SignIn
from db import accounts, configuration
from db.tables import provider_visit
from tests.app.conftest import Site
from tower import settings

CLIENT, SECRET = "tower", "a secret of the provider"
NETWORK = """
version: 1
company: {name: Shop, zone: UTC, erp: main}
systems: {erp: {name: ERP, kind: erp}}
sources: {}
partners: {ACME: {name: Acme}}
people: {kim: {name: Kim, mail: kim@example.org}}
owners: {B: kim, D: kim, S: kim, I: kim, W: kim, P: kim, C: kim, T: kim}
calendars: {hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}}
sign_in:
  groups:
    tower-admins: {role: admin}
    tower-support: {role: support, grants: [replay.act]}
    acme: {role: partner, partners: [ACME]}
"""


class Idp:
    """A small identity provider. ``person`` is who is signed in there; ``bend`` spoils tokens."""

    def __init__(self) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self.port}/realm"
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.other = RSAKey.generate_key(2048, {"kid": "one"})
        self.person: dict[str, Any] = {}
        self.bend: dict[str, Any] = {}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.signed_by: Any = self.key
        self.codes: dict[str, dict[str, str]] = {}
        app = Starlette(
            routes=[
                Route("/realm/.well-known/openid-configuration", self.described),
                Route("/realm/keys", self.keys),
                Route("/realm/authorize", self.authorize),
                Route("/realm/token", self.token, methods=["POST"]),
            ]
        )
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_config=None)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()

    async def described(self, request: Request) -> Response:
        told = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        ends = {f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in
                (("authorization", "authorize"), ("token", "token"))}  # fmt: skip
        return JSONResponse(told | ends)

    async def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return JSONResponse({"code": code, "state": asked["state"]})

    async def token(self, request: Request) -> Response:
        form = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            request.headers["authorization"] not in (f"Basic {basic}", f"Basic {plain}")
            or asked is None
            or proof != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60,
            "nonce": asked["nonce"], **self.person, **self.bend,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return JSONResponse(
            {"access_token": "x", "token_type": "Bearer", "id_token": self.made(claims)}
        )

    def made(self, claims: dict[str, Any]) -> str:
        if self.header["alg"] in ("none", "HS256"):  # as no library would sign
            parts = [json.dumps(one).encode() for one in (self.header, claims)]
            text = ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts)
            proof = b""
            if self.header["alg"] == "HS256":
                proof = hmac.digest(self.signed_by, text.encode(), "sha256")
            return f"{text}.{base64.urlsafe_b64encode(proof).rstrip(b'=').decode()}"
        return jwt.encode(self.header, claims, self.signed_by, algorithms=[self.header["alg"]])


@pytest.fixture(scope="module")
def idp() -> Iterator[Idp]:
    made = Idp()
    yield made
    made.close()


@pytest.fixture
def browser(site: Site, idp: Idp, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A browser before the routes of sign-in and one page behind the gate."""
    idp.person = {"sub": "42", "preferred_username": "kim", "groups": ["x", "tower-support"]}
    idp.bend, idp.header, idp.signed_by = {}, {"alg": "RS256", "kid": "one"}, idp.key
    monkeypatch.setenv("TOWER_OIDC_ISSUER", idp.issuer)
    monkeypatch.setenv("TOWER_OIDC_CLIENT_ID", CLIENT)
    monkeypatch.setenv("TOWER_OIDC_CLIENT_SECRET", SECRET)
    with site.database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, NETWORK, datetime.now(UTC))
    chosen = settings.load()
    door = SignIn(chosen)
    page = Route("/queues", lambda request: PlainTextResponse("a page"))
    routes = [*door.routes(), *ProviderSignIn(door, Provider(chosen)).routes(), page]
    app = Starlette(routes=routes, middleware=[Middleware(Gate)])
    with TestClient(app, base_url=chosen.base_url, follow_redirects=False) as client:
        yield client


def sent_off(browser: TestClient) -> dict[str, str]:
    """What the provider answers to a browser that was sent there: code and state."""
    answer = browser.get("/oidc/start", params={"next": "/queues"})
    assert answer.status_code == 303, answer.text
    target = answer.headers["location"]
    assert parse_qs(urlsplit(target).query)["redirect_uri"] == [
        "http://127.0.0.1:8501/oidc/callback"
    ]
    found: dict[str, str] = httpx.get(target, trust_env=False).json()
    return found


def test_a_group_lets_in_with_its_rights(browser: TestClient, site: Site, idp: Idp) -> None:
    assert "company account" in browser.get("/signin").text
    back = sent_off(browser)
    answer = browser.get("/oidc/callback", params=back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/queues")
    assert browser.get("/queues").text == "a page"
    with site.database.connect() as conn:
        kim = accounts.by_name(conn, "kim")
        assert (kim.role, kim.grants, kim.method) == ("support", ("replay.act",), "oidc")
        assert conn.execute(select(provider_visit)).all() == []
    assert browser.get("/oidc/callback", params=back).status_code == 403  # a code is good once
    # Who lost the group loses what is open.
    idp.person = {**idp.person, "groups": ["x"]}
    refused = browser.get("/oidc/callback", params=sent_off(browser))
    assert (refused.status_code, "none of your groups" in refused.text) == (403, True)
    assert browser.get("/queues").status_code == 303
    idp.person = {**idp.person, "groups": ["acme", "tower-admins"]}
    assert browser.get("/oidc/callback", params=sent_off(browser)).status_code == 303
    with site.database.connect() as conn:
        assert accounts.by_name(conn, "kim").role == "admin"  # the first of the file counts


@pytest.mark.parametrize(
    "bend",
    [
        {"aud": "another"},
        {"aud": ["tower", "another"]},
        {"aud": None},
        {"azp": "another"},
        {"iss": "http://127.0.0.1:1/realm"},
        {"iss": None},
        {"nonce": "made-up"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"iat": 9_999_999_999},
        {"groups": []},
        {"groups": ["Tower-Support"]},
        {"preferred_username": "\u0430na"},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_lets_nobody_in(
    browser: TestClient, idp: Idp, bend: dict[str, Any]
) -> None:
    idp.bend = {"sub": "7", "preferred_username": "eve", **bend}
    answer = browser.get("/oidc/callback", params=sent_off(browser))
    assert answer.status_code == 403
    assert PLAIN not in answer.cookies
    assert browser.get("/queues").status_code == 303


def test_a_forged_signature_lets_nobody_in(browser: TestClient, idp: Idp) -> None:
    public = idp.key.as_pem(private=False)
    for header, key in (
        ({"alg": "none"}, None),
        ({"alg": "HS256", "kid": "one"}, public),  # the public key as a secret
        ({"alg": "RS256", "kid": "one"}, idp.other),
    ):
        idp.header, idp.signed_by = header, key
        answer = browser.get("/oidc/callback", params=sent_off(browser))
        assert answer.status_code == 403, header
        assert PLAIN not in answer.cookies


def test_only_the_browser_that_was_sent_comes_back(browser: TestClient, idp: Idp) -> None:
    theirs = sent_off(browser)  # an attacker's own code, brought to somebody else's browser
    browser.cookies.clear()
    assert browser.get("/oidc/callback", params=theirs).status_code == 403
    browser.cookies.set(PLAIN_VISIT, "made-up")
    assert browser.get("/oidc/callback", params=theirs).status_code == 403
    mine = sent_off(browser)
    assert browser.get("/oidc/callback", params={**mine, "code": "x"}).status_code == 403
    denied = {"state": sent_off(browser)["state"], "error": "<script>alert(1)</script>"}
    answer = browser.get("/oidc/callback", params=denied)
    assert (answer.status_code, "<script>" in answer.text) == (403, False)


def test_a_provider_that_calls_itself_otherwise_is_not_asked(
    browser: TestClient, idp: Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = idp.issuer
    monkeypatch.setattr(idp, "issuer", issuer.replace("realm", "other"))
    answer = browser.get("/oidc/start")
    assert (answer.status_code, "let you in" in answer.text) == (503, True)
