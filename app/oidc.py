"""Signing in at an identity provider by OpenID Connect: code flow with PKCE, then our own session.

What the provider says is believed only where it is signed by one of its keys with an algorithm of
the list, was made by exactly this issuer for exactly this client, and answers the nonce that was
kept when this browser was sent there. Nothing else of it is used.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from anyio import to_thread
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app import cookies, data
from app.signin import SignIn, begin
from db import accounts, audit, configuration, sessions
from tower.accounts import AT_PROVIDER, NotAnAccount, local_path
from tower.errors import AccessDenied, ConfigError, TowerError
from tower.network import load_network
from tower.settings import Settings
from tower.sign_in import SignIn as Groups

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "PS256", "ES256", "RS384", "ES384", "RS512", "ES512", "EdDSA")
TIMEOUT_S = 10.0
LEEWAY_S = 60
KEPT_S = 600.0  # addresses and keys of the provider
MOST_BYTES = 1_000_000


class Refused(AccessDenied):
    """The identity provider's word does not let anybody in; the log says why."""


class Provider:
    """An identity provider: its addresses and keys, and what it says about a person."""

    def __init__(self, chosen: Settings) -> None:
        if chosen.oidc_issuer is None or chosen.oidc_client_id is None:
            raise ConfigError("TOWER_OIDC_ISSUER and TOWER_OIDC_CLIENT_ID belong together.")
        self.issuer = chosen.oidc_issuer
        self.client_id = chosen.oidc_client_id
        secret = chosen.oidc_client_secret
        self._secret = None if secret is None else secret.get_secret_value()
        self._return = f"{chosen.base_url}/oidc/callback"
        self._kept: tuple[float, dict[str, Any], KeySet] | None = None
        self._fetching = asyncio.Lock()

    async def address(self, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes."""
        described, _ = await self._described()
        async with self._client() as client:
            found, _ = client.create_authorization_url(
                described["authorization_endpoint"],
                state=state,
                code_verifier=verifier,
                nonce=nonce,
            )
        return str(found)

    async def claims(self, code: str, verifier: str, nonce: str) -> dict[str, Any]:
        """What the provider says about who brings this code. Raises Refused."""
        described, keys = await self._described()
        try:
            async with self._client() as client:
                token = await client.fetch_token(
                    described["token_endpoint"], code=code, code_verifier=verifier
                )
        except (OAuthError, httpx.HTTPError, ValueError) as error:
            raise Refused(f"The code was not taken: {type(error).__name__}") from error
        text = token.get("id_token")
        if not isinstance(text, str):
            raise Refused("There is no identity token in the answer.")
        try:
            return self.checked(text, keys, nonce)
        except Refused:
            # Keys change: look for new ones, once.
            _, fresh = await self._described(anew=True)
            return self.checked(text, fresh, nonce)

    def checked(self, text: str, keys: KeySet, nonce: str) -> dict[str, Any]:
        """The claims of an identity token that is meant for us, now. Raises Refused."""
        try:
            found = jwt.decode(text, keys, algorithms=ALGORITHMS)
            claims = found.claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_S,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise Refused(f"The identity token does not hold: {error}") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self.client_id:
            raise Refused("The identity token was made for another client.")
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise Refused("The identity token names nobody.")
        return dict(claims)

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id=self.client_id,
            client_secret=self._secret,
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            redirect_uri=self._return,
            scope="openid profile email",
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
            trust_env=False,
            follow_redirects=False,
        )

    async def _described(self, *, anew: bool = False) -> tuple[dict[str, Any], KeySet]:
        """Addresses and keys, ten minutes old at most."""
        async with self._fetching:
            kept = self._kept
            if kept is not None and not anew and time.monotonic() - kept[0] < KEPT_S:
                return kept[1], kept[2]
            try:
                async with httpx.AsyncClient(
                    timeout=TIMEOUT_S, trust_env=False, follow_redirects=False
                ) as client:
                    told = await _json(
                        client, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
                    )
                    self._fit(told)
                    keys = KeySet.import_key_set(await _json(client, told["jwks_uri"]))  # type: ignore[arg-type]
            except (httpx.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
                raise Refused(f"The identity provider does not answer: {error}") from error
            self._kept = time.monotonic(), told, keys
            return told, keys

    def _fit(self, told: dict[str, Any]) -> None:
        if told.get("issuer") != self.issuer:
            raise Refused(f"The provider calls itself {told.get('issuer')!r}.")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            where = urlsplit(str(told.get(name, "")))
            private = where.scheme == "http" and cookies.is_loopback(where.hostname or "")
            if not (where.hostname and (where.scheme == "https" or private)):
                raise Refused(f"The provider's {name} is no https address.")


class ProviderSignIn:
    """The two routes; ``door`` is sign-in as a whole, which lets in and refuses."""

    def __init__(self, door: SignIn, provider: Provider) -> None:
        self._door = door
        self._provider = provider

    def routes(self) -> list[Route]:
        return [
            Route("/oidc/start", self.start, methods=["GET"]),
            Route("/oidc/callback", self.callback, methods=["GET"]),
        ]

    async def start(self, request: Request) -> Response:
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        next_ = local_path(request.query_params.get("next"))
        try:
            target = await self._provider.address(state, nonce, verifier)
            await to_thread.run_sync(_send_off, state, nonce, verifier, next_)
        except TowerError as error:
            return self._refuse(error, 503)
        answer = RedirectResponse(target, 303, headers={"cache-control": "no-store"})
        self._remember(request, answer, state, round(AT_PROVIDER.total_seconds()))
        return answer

    async def callback(self, request: Request) -> Response:
        """Back from the provider: in this browser, with what fits what was kept."""
        state = request.query_params.get("state", "")
        code = request.query_params.get("code", "")
        mine = cookies.cookies_of(
            cookies.headers_of(request.scope["headers"]).get("cookie", "")
        ).get(self._visit_name(request), "")
        try:
            if not state or not secrets.compare_digest(state.encode(), mine.encode()):
                raise Refused("This browser was not sent to the provider from here.")
            visit = await to_thread.run_sync(_come_back, state)
            if visit is None:
                raise Refused("That was too long ago, or is used already.")
            if not code:
                raise Refused(f"The provider refuses: {request.query_params.get('error', '')[:80]}")
            claims = await self._provider.claims(code, visit.verifier, visit.nonce)
            address = request.client.host if request.client is not None else ""
            browser = request.headers.get("user-agent", "")
            token = await to_thread.run_sync(enter, self._provider.issuer, claims, address, browser)
        except TowerError as error:
            return self._refuse(error, 403)
        answer = await self._door.let_in(request, token, visit.next)
        self._remember(request, answer, "", 0)
        return answer

    def _visit_name(self, request: Request) -> str:
        plain = data.plain_cookies(request.headers.get("host", ""))
        return cookies.PLAIN_VISIT if plain else cookies.SECURE_VISIT

    def _remember(self, request: Request, answer: Response, state: str, seconds: int) -> None:
        """Bind the visit to this browser: nobody else's return signs somebody in here."""
        name = self._visit_name(request)
        secure = name == cookies.SECURE_VISIT
        answer.headers.append(
            "set-cookie", cookies.written(name, state, secure=secure, max_age=seconds)
        )

    def _refuse(self, error: TowerError, status: int) -> Response:
        reference = secrets.token_hex(4)
        log.warning(
            "Sign-in by the identity provider failed: %s",
            error,
            extra={"action": "signin.refused", "reference": reference},
        )
        said = str(error) if isinstance(error, NotAnAccount) else (
            "The identity provider's answer does not let you in. Try again; if it stays so, give "
            "whoever runs this tower the reference."
        )  # fmt: skip
        return self._door.refused(f"{said} Reference {reference}.", status)


def enter(issuer: str, claims: dict[str, Any], address: str, browser: str) -> str:
    """The token of a new session for whom these claims are about. Raises Refused, NotAnAccount."""
    now = datetime.now(UTC)
    name = str(claims.get("preferred_username") or claims.get("email") or "")
    with data.house() as conn:
        active = configuration.active(conn, configuration.NETWORK)
        groups = Groups() if active is None else load_network(active.body, "network").sign_in
        told = claims.get(groups.groups_claim, [])
        mine = [told] if isinstance(told, str) else told if isinstance(told, list) else []
        group = groups.of(str(one) for one in mine)
        if group is not None:
            who = accounts.Identity(
                issuer=issuer,
                subject=claims["sub"],
                name=name,
                full_name=str(claims.get("name") or ""),
                role=group.role,
                partners=group.partners or None,
                grants=group.grants,
            )
            found = accounts.arrived(conn, who, now)
            return begin(conn, found, "oidc", address, browser, now)
        # Whoever lost their groups loses what is open, too.
        accounts.left(conn, issuer, claims["sub"], now)
        detail = {"address": address, "why": "no group of theirs is known", "issuer": issuer}
        audit.record(conn, "nobody", "session.refused", "account:", detail, now)
    raise NotAnAccount(
        "You are known, but none of your groups has access to this tower. Whoever runs it names "
        "groups in network.yaml."
    )


def _send_off(state: str, nonce: str, verifier: str, next_: str) -> None:
    with data.house() as conn:
        sessions.send_off(conn, state, nonce, verifier, next_, datetime.now(UTC))


def _come_back(state: str) -> sessions.Visit | None:
    with data.house() as conn:
        return sessions.come_back(conn, state, datetime.now(UTC))


async def _json(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    async with client.stream("GET", address) as answer:
        if answer.status_code != 200:
            raise ValueError(f"{address} answers {answer.status_code}")
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise ValueError(f"{address} answers too much")
    found = httpx.Response(200, content=body).json()
    if not isinstance(found, dict):
        raise ValueError(f"{address} answers no object")
    return found
