"""A connection to one queue of an AMQP 0-9-1 broker: get messages, acknowledge them later.

What was got and not acknowledged goes back to the queue when the connection ends, however it ends:
that is what makes a kill between commit and acknowledgement harmless.
"""

from __future__ import annotations

import contextlib
import json
import logging
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pika
from pika import exceptions as refusals
from pika.adapters.blocking_connection import BlockingChannel

from collectors.contract import PARTNER, REFUSED, RENDERED, bounded_key
from tower.errors import AccessDenied, ConfigError, SourceUnavailable, TowerError
from tower.raw import Raw

PORTS = {"amqp": 5672, "amqps": 5671}
HEARTBEAT_S = 60
OURS = frozenset({PARTNER, REFUSED, RENDERED})
SECRETS = ("authorization", "cookie", "password", "secret", "token", "api-key", "apikey")
"""Parts of names of headers that are not kept."""
CLOUD_PREFIXES = ("cloudEvents:", "cloudEvents_", "ce-", "ce_")
"""How the attributes of a CloudEvent are marked among the headers of an AMQP message."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that was got. ``tag`` is valid on the connection that got it."""

    tag: int
    body: bytes
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]
    routing_key: str
    exchange: str
    redelivered: bool


def connection_parameters(
    name: str, url: str, user: str | None, password: str | None, timeout_s: float
) -> pika.ConnectionParameters:
    """How a broker is called; ``name`` is what it shows of us."""
    parts = urlsplit(url)
    return pika.ConnectionParameters(
        host=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        virtual_host=unquote(parts.path[1:]) or "/",
        credentials=pika.PlainCredentials(
            user or "guest", password or "guest", erase_on_connect=False
        ),
        heartbeat=HEARTBEAT_S,
        connection_attempts=1,
        socket_timeout=timeout_s,
        stack_timeout=timeout_s,
        blocked_connection_timeout=timeout_s,
        ssl_options=pika.SSLOptions(ssl.create_default_context(), parts.hostname)
        if parts.scheme == "amqps"
        else None,
        client_properties={"connection_name": f"tower {name}"},
    )


class AmqpLink:
    """One connection and channel; opened when first used, opened anew after it was lost."""

    def __init__(
        self, source: str, url: str, user: str | None, password: str | None, timeout_s: float
    ) -> None:
        self._source = source
        parts = urlsplit(url)
        self._where = f"{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
        self._parameters = connection_parameters(source, url, user, password, timeout_s)
        self._connection: pika.BlockingConnection | None = None
        self._channel: BlockingChannel | None = None
        self._outstanding: set[int] = set()
        self.opened = 0
        """How many connections there were: tags belong to one of them."""

    def open(self) -> None:
        """A connection that owes nothing: messages got earlier and not acknowledged go back."""
        if self._outstanding or self._channel is None or not self._channel.is_open:
            self.close()
        if self._channel is None:
            with self._told():
                self._connection = pika.BlockingConnection(self._parameters)
                self._channel = self._connection.channel()
            self.opened += 1

    def get(self, queue: str) -> Delivery | None:
        """The next message of a queue, None if it is empty."""
        with self._told(queue):
            method, properties, body = self._open_channel.basic_get(queue)
        if method is None:
            return None
        self._outstanding.add(method.delivery_tag)
        return Delivery(
            tag=method.delivery_tag,
            body=body,
            headers=properties.headers or {},
            properties={
                name: getattr(properties, name)
                for name in ("content_type", "content_encoding", "message_id", "correlation_id",
                             "type", "app_id", "timestamp", "reply_to", "priority")
                if getattr(properties, name) is not None
            },
            routing_key=method.routing_key,
            exchange=method.exchange,
            redelivered=method.redelivered,
        )  # fmt: skip

    def acknowledge(self, tags: list[int]) -> None:
        """Let the broker forget messages. What fails here is only delivered once more."""
        owed = sorted(self._outstanding.intersection(tags))
        if not owed:
            return
        try:
            with self._told():
                if self._outstanding == set(owed):
                    self._open_channel.basic_ack(owed[-1], multiple=True)
                else:
                    for tag in owed:
                        self._open_channel.basic_ack(tag)
        except TowerError as error:
            logging.getLogger(__name__).warning(
                "Messages could not be acknowledged; they will come again",
                extra={"action": "amqp.not_acknowledged", "source": self._source,
                       "cause": str(error)},
            )  # fmt: skip
            self.close()
        else:
            self._outstanding.difference_update(owed)

    def close(self) -> None:
        """End the connection; what was not acknowledged goes back to its queue."""
        connection, self._connection, self._channel = self._connection, None, None
        self._outstanding.clear()
        if connection is not None and connection.is_open:
            with contextlib.suppress(refusals.AMQPError, OSError):
                connection.close()

    @property
    def _open_channel(self) -> BlockingChannel:
        if self._channel is None:
            raise refusals.ConnectionClosed(0, "not connected")
        return self._channel

    @contextlib.contextmanager
    def _told(self, queue: str = "") -> Iterator[None]:
        """What the broker refuses, as one of our families."""
        try:
            yield
        except (refusals.AMQPError, OSError) as error:
            self.close()
            raise self._family(error, queue) from error

    def _family(self, error: Exception, queue: str) -> TowerError:
        said = f'Source "{self._source}": {self._where}'
        code = getattr(error, "reply_code", 0)
        if isinstance(error, ssl.SSLError):
            return AccessDenied(
                f"{said}: its certificate is not trusted. Correct it there, or let this machine "
                "trust its issuer (SSL_CERT_FILE)."
            )
        if code in (403, 530) or isinstance(
            error,
            (refusals.ProbableAuthenticationError, refusals.AuthenticationError,
             refusals.ProbableAccessDeniedError),
        ):  # fmt: skip
            return AccessDenied(
                f"{said} refuses us. Check user and password_variable in its options, and that the "
                "account may read this queue of this virtual host."
            )
        if code == 404:
            return ConfigError(
                f'{said} has no queue "{queue}". Declare it there, or correct its name in '
                "network.yaml."
            )
        told = str(error) or type(error).__name__
        return SourceUnavailable(f"{said} does not answer: {told[:200]}. It is tried again.")


def raw_of(source: str, delivery: Delivery, media_type: str, now: datetime) -> Raw:
    """A message as it is kept. Key: its own message id with the hash of its bytes, as two
    different messages may carry the same id; without one the hash alone.
    """
    digest = sha256(delivery.body).hexdigest()
    own = delivery.properties.get("message_id")
    return Raw(
        source=source,
        key=bounded_key(f"{own[:200]} {digest}") if own else digest,
        body=delivery.body,
        received_at=now,
        media_type=str(delivery.properties.get("content_type") or media_type).partition(";")[0],
        headers=kept_headers(delivery),
        name=f"{delivery.exchange}/{delivery.routing_key}".strip("/"),
    )


def kept_headers(delivery: Delivery) -> dict[str, str]:
    """Properties and headers as texts, names in lower case; secrets, and names that the tower
    itself sets, are left out. Attributes of a CloudEvent get the names they have over HTTP.
    """
    found: dict[str, str] = {}
    for name, value in delivery.headers.items():
        prefix = next((p for p in CLOUD_PREFIXES if name.startswith(p)), None)
        if prefix is not None:
            found[f"ce-{name[len(prefix) :].lower()}"] = quote(_shown(value), safe="/:+ ")
        elif name.lower() not in OURS and not is_secret(name):
            found[name.lower()] = _shown(value)
    for name, value in delivery.properties.items():
        if name == "timestamp" and isinstance(value, int):
            found[name] = _moment(value)
        else:
            found[name.replace("_", "-")] = _shown(value)
    return found


def is_secret(name: str) -> bool:
    """Whether a header is never kept."""
    return any(part in name.lower() for part in SECRETS)


def _moment(seconds: int) -> str:
    """A property ``timestamp``: whole seconds since 1970, as ISO 8601 in UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _shown(value: Any) -> str:
    """A header's value as a text; tables and lists as JSON."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=_shown, sort_keys=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
