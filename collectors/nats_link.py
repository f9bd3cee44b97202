"""The connection to one JetStream account: its JSON API over NATS, and what a refusal means.

Format: docs.nats.io/reference/reference-protocols/nats_api_reference.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from collectors.contract import secret
from collectors.limits import parse_json
from tower.errors import AccessDenied, ConfigError, PayloadRejected, SourceUnavailable, TowerError
from tower.feeds import NatsOptions

MOST_PAGES = 1000
NO_STREAM, NO_MESSAGE = 10059, 10037
"""Codes of the API: a stream, a message that is not there (any more)."""

Told = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream. ``headers``: names in lower case; several values joined by commas."""

    seq: int
    subject: str
    body: bytes
    headers: Mapping[str, str]


class NatsLink:
    """What may be asked of one account. All questions raise SourceUnavailable, AccessDenied or
    ConfigError.
    """

    def __init__(self, source: str, options: NatsOptions, secrets: Mapping[str, str]) -> None:
        self._source = source
        self._options = options
        self._wait = options.timeout.total_seconds()
        self._login: dict[str, Any] = {}
        if options.token_variable is not None:
            self._login["token"] = secret(options.token_variable, secrets, source)
        if options.user is not None:
            self._login["user"] = options.user
        if options.password_variable is not None:
            self._login["password"] = secret(options.password_variable, secrets, source)
        try:
            import nats  # noqa: F401
        except ImportError:
            raise ConfigError(
                f'Source "{source}": reading NATS needs a library that is not installed. '
                'Install it: pip install "tower[nats]".'
            ) from None

    def run(self, work: Callable[[Questions], Awaitable[T]]) -> T:
        """What ``work`` makes of the answers to its questions, over one connection."""
        return asyncio.run(self._run(work))

    async def _run(self, work: Callable[[Questions], Awaitable[T]]) -> T:
        from nats import errors
        from nats.aio.client import Client

        said: list[str] = []

        async def note(error: Exception) -> None:
            said.append(str(error))

        logging.getLogger("nats").setLevel(logging.CRITICAL)  # it logs what we raise
        client = Client()
        try:
            # Its own waits and tries would hold up the worker for two minutes.
            connecting = client.connect(
                self._options.url,
                name=f"tower {self._source}",
                connect_timeout=max(1, round(self._wait)),
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=note,
                **self._login,
            )
            await asyncio.wait_for(connecting, self._wait)
            return await work(Questions(self._source, client, self._wait))
        except (errors.Error, OSError, TimeoutError) as error:
            raise self._family(error, said) from error
        finally:
            await client.close()

    def _family(self, error: Exception, said: list[str]) -> TowerError:
        from nats import errors

        told = " ".join([str(error), *said]).lower()
        if "authorization" in told or "authentication" in told or "permissions" in told:
            return AccessDenied(
                f'Source "{self._source}": {self._options.url} refuses us. Check user and the '
                "variables that its options name, and that the account may call $JS.API.>."
            )
        if isinstance(error, errors.NoRespondersError):
            return ConfigError(
                f'Source "{self._source}": nobody answers for JetStream at {self._options.url}. '
                "Enable JetStream for this account."
            )
        shown = str(error) or type(error).__name__
        return SourceUnavailable(
            f'Source "{self._source}": {self._options.url} does not answer: {shown[:200]}. '
            "It is tried again."
        )


class Questions:
    """Questions over a connection that stands."""

    def __init__(self, source: str, client: Any, wait: float) -> None:
        self._source = source
        self._client = client
        self._wait = wait

    async def pages(self, subject: str, list_name: str) -> list[Told]:
        """All pages of a list of the API; nothing of a stream that was deleted meanwhile."""
        found: list[Told] = []
        for _ in range(MOST_PAGES):
            body = await self._ask(subject, {"offset": len(found)}, NO_STREAM)
            page = body.get(list_name)
            page = [one for one in page if isinstance(one, dict)] if isinstance(page, list) else []
            found.extend(page)
            total = body.get("total")
            if not page or not isinstance(total, int) or len(found) >= total:
                break
        return found

    async def message(self, stream: str, seq: int, *, or_next: bool = False) -> Stored | None:
        """The message of a stream with this number, or the next one that is kept; None: there is
        none. Nothing is consumed by it.
        """
        asked = {"seq": seq, "next_by_subj": ">"} if or_next else {"seq": seq}
        body = await self._ask(f"$JS.API.STREAM.MSG.GET.{stream}", asked, NO_STREAM, NO_MESSAGE)
        told = body.get("message")
        if not isinstance(told, dict) or not isinstance(told.get("seq"), int):
            return None
        return Stored(
            told["seq"],
            str(told.get("subject", "")),
            _bytes(told.get("data")),
            headers_in(_bytes(told.get("hdrs"))),
        )

    async def _ask(self, subject: str, asked: Told, *harmless: int) -> Told:
        answer = await self._client.request(subject, json.dumps(asked).encode(), timeout=self._wait)
        try:
            body = parse_json(answer.data)
        except PayloadRejected as error:
            raise SourceUnavailable(
                f'Source "{self._source}": JetStream answered without JSON: {error}'
            ) from error
        body = body if isinstance(body, dict) else {}
        refusal = body.get("error")
        if isinstance(refusal, dict) and refusal.get("err_code") not in harmless:
            raise ConfigError(
                f'Source "{self._source}": JetStream refuses: {refusal.get("description")}. '
                "Enable JetStream for this account, or correct user and address in its options."
            )
        return body


def headers_in(block: bytes) -> dict[str, str]:
    """Headers of a message: a line of the version, then one ``name: value`` a line."""
    found: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        key = name.strip().lower()
        if colon and key:
            found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
    return found


def _bytes(encoded: Any) -> bytes:
    try:
        return base64.b64decode(str(encoded or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""
