"""How a polled service knows us: a fixed header, user and password, or an OAuth 2 token."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote_plus

from collectors.contract import secret
from collectors.limits import parse_json
from collectors.outgoing import Answer, Outgoing, raise_for
from tower.errors import AccessDenied, PayloadRejected, SourceUnavailable
from tower.polled_feeds import OAuth2, RestOptions

EARLY = timedelta(seconds=60)  # clocks differ, and an answer takes its time
USUAL_LIFE_S = 300.0  # RFC 6749 recommends to say how long; who does not gets a short trust
MOST_BYTES = 100_000


class SignIn:
    """The headers that open the door. None of them is kept, shown or logged."""

    def __init__(self, source: str, options: RestOptions, secrets: Mapping[str, str]) -> None:
        self._fixed: dict[str, str] = {}
        if options.auth_variable is not None:
            value = secret(options.auth_variable, secrets, source)
            self._fixed[options.auth_header.lower()] = value
        if options.user is not None and options.password_variable is not None:
            password = secret(options.password_variable, secrets, source)
            self._fixed["authorization"] = _basic(options.user, password)
        self._tokens = _Tokens(source, options, options.oauth2, secrets) if options.oauth2 else None

    def headers(self, now: datetime) -> Mapping[str, str]:
        """Raises AccessDenied or SourceUnavailable if no token can be had."""
        if self._tokens is None:
            return self._fixed
        return {**self._fixed, "authorization": f"Bearer {self._tokens.token(now)}"}

    def refused(self) -> bool:
        """The service refused us: True if a new token may help."""
        return self._tokens is not None and self._tokens.forget()


class _Tokens:
    """An access token, asked for anew when it is about to end."""

    def __init__(
        self, source: str, options: RestOptions, oauth2: OAuth2, secrets: Mapping[str, str]
    ) -> None:
        self._source = source
        self._oauth2 = oauth2
        self._secret = secret(oauth2.secret_variable, secrets, source)
        self._token: str | None = None
        self._ends: datetime | None = None
        self._outgoing = Outgoing(
            source,
            oauth2.token_url,
            timeout_s=options.timeout.total_seconds(),
            max_bytes=MOST_BYTES,
            networks=options.networks,
        )

    def token(self, now: datetime) -> str:
        if self._token is None or self._ends is None or now >= self._ends:
            self._token, life_s = self._ask(now)
            self._ends = now + timedelta(seconds=life_s) - min(EARLY, timedelta(seconds=life_s / 2))
        return self._token

    def forget(self) -> bool:
        """True if there was a token that may have ended early."""
        had = self._token is not None
        self._token = None
        return had

    def _ask(self, now: datetime) -> tuple[str, float]:
        oauth2 = self._oauth2
        form = {"grant_type": "client_credentials", **oauth2.parameters}
        if oauth2.scope is not None:
            form["scope"] = oauth2.scope
        headers: dict[str, str] = {}
        if oauth2.client_in == "header":
            # RFC 6749 2.3.1: both parts are encoded as in a form before they are joined.
            user, password = quote_plus(oauth2.client_id), quote_plus(self._secret)
            headers["authorization"] = _basic(user, password)
        else:
            form |= {"client_id": oauth2.client_id, "client_secret": self._secret}
        with self._outgoing.talking():
            answer = self._outgoing.post(oauth2.token_url, form, headers)
        if answer.status in (400, 401, 403):
            raise AccessDenied(
                f'Source "{self._source}": {oauth2.token_url} gives no token '
                f"({answer.status} {_error_of(answer)}). Check client_id, scope and "
                f"{oauth2.secret_variable}."
            )
        raise_for(answer, self._source, now)
        try:
            body = parse_json(answer.body, max_bytes=MOST_BYTES)
        except PayloadRejected:
            body = None
        token = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise SourceUnavailable(
                f'Source "{self._source}": {oauth2.token_url} answered without an access_token. '
                "It is tried again; check that it is the address of an OAuth 2 token endpoint."
            )
        life = body.get("expires_in")
        is_number = isinstance(life, (int, float)) and not isinstance(life, bool)
        return token, float(life) if is_number and life > 0 else USUAL_LIFE_S


def _error_of(answer: Answer) -> str:
    """The word of RFC 6749 for what is wrong, if it is one."""
    try:
        body = parse_json(answer.body, max_bytes=MOST_BYTES)
    except PayloadRejected:
        return ""
    word = body.get("error") if isinstance(body, dict) else None
    return word[:40] if isinstance(word, str) and word.replace("_", "").isalnum() else ""


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
