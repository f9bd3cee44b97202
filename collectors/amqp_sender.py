"""Copies of dead letters sent back into the queue that gave them up, over AMQP 0-9-1.

They go through the default exchange, which leads to one queue: the original exchange would give
them to everybody again. Every publish asks for a confirm and is mandatory; without ``mandatory`` a
message that no queue takes is confirmed and gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import pika
from pika import exceptions as refusals
from pika.adapters.blocking_connection import BlockingChannel

from collectors.amqp_link import connection_parameters
from collectors.dead_letters import REPLAY_ATTEMPT, REPLAY_ID, REPLAY_OF, TYPED
from tower.numerals import natural

PERSISTENT = 2
ACCESS_REFUSED = 403

_OF_THE_DEATH = ("x-first-death-", "x-last-death-")
STRIPPED = frozenset(
    {"x-death", "x-delivery-count", "x-acquired-count", "cc", "bcc"}
    | {REPLAY_ID, REPLAY_OF, REPLAY_ATTEMPT, "x-replay-item", "x-replay-actor"}
)
"""Headers that stay with us: left in, the broker would go on counting its deaths."""

_PROPERTIES = (
    "content_type", "content_encoding", "message_id", "correlation_id", "type", "app_id",
    "reply_to", "priority", "timestamp",
)  # fmt: skip


class Sent(NamedTuple):
    """What became of one publish.

    outcome  routed (confirmed by the broker, in a queue), returned (nobody has it), uncertain (the
             answer never came: it may or may not be there)
    """

    outcome: str
    cause: str = ""


class Copy(NamedTuple):
    """What is sent: the stored bytes, and what marks it as a copy.

    headers  of the raw message, as they are kept
    """

    body: bytes
    headers: Mapping[str, str]
    message_key: str
    replay: int
    item: int
    attempt: int
    actor: str
    message_id: str | None = None


class AmqpSender:
    """One connection in confirm mode; opened when first needed, given up after a failure."""

    def __init__(
        self, source: str, url: str, user: str | None, password: str | None, timeout_s: float
    ) -> None:
        self._source = source
        self._parameters = connection_parameters(f"{source} replay", url, user, password, timeout_s)
        self._connection: pika.BlockingConnection | None = None
        self._channel: BlockingChannel | None = None

    def look(self, queue: str) -> str:
        """Whether a queue can be sent to: ok, missing or down. Nothing is changed."""
        try:
            self._open().queue_declare(queue, passive=True)
        except refusals.ChannelClosedByBroker as error:
            self._channel = None
            return "missing" if error.reply_code == 404 else "down"
        except (refusals.AMQPError, OSError):
            self.close()
            return "down"
        return "ok"

    def send(self, queue: str, copy: Copy) -> Sent:
        """Publish one copy and wait for the broker's word."""
        try:
            channel = self._open()
        except (refusals.AMQPError, OSError) as error:
            self.close()
            return Sent("returned", f"the broker was not reached: {_said(error)}")
        try:
            channel.basic_publish(
                exchange="", routing_key=queue, body=copy.body, properties=properties_of(copy),
                mandatory=True,
            )  # fmt: skip
        except refusals.UnroutableError:
            return Sent("returned", f'the broker has no queue "{queue}"')
        except refusals.NackError:
            return Sent("returned", "the broker refused it (is the queue full?)")
        except refusals.ChannelClosedByBroker as error:
            self._channel = None
            if error.reply_code == ACCESS_REFUSED:  # looked at before it is routed
                return Sent("returned", f"the account may not publish: {error.reply_text}")
            return Sent("uncertain", f"the channel was closed before the answer: {_said(error)}")
        except (refusals.AMQPError, OSError) as error:
            self.close()
            return Sent("uncertain", f"the connection broke before the answer: {_said(error)}")
        return Sent("routed")

    def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            with contextlib.suppress(refusals.AMQPError, OSError):
                connection.close()

    def _open(self) -> BlockingChannel:
        if self._connection is None or not self._connection.is_open:
            self._connection, self._channel = pika.BlockingConnection(self._parameters), None
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
        return self._channel


def properties_of(copy: Copy) -> pika.BasicProperties:
    """Properties of a copy: the original's without its deaths, and whose copy it is.

    The message id stays, as consumers know repetitions by it; ``expiration`` and ``user_id`` go.
    """
    kept = copy.headers
    known: dict[str, Any] = {}
    for name in _PROPERTIES:
        value = kept.get(name.replace("_", "-"), kept.get(name))
        if value is not None:
            known[name] = value
    if "priority" in known:
        known["priority"] = natural(known["priority"])
    if "timestamp" in known:
        known["timestamp"] = _seconds(known["timestamp"])
    if copy.message_id is not None:
        known["message_id"] = copy.message_id
    headers = _typed(kept.get(TYPED))
    headers = {
        name: value
        for name, value in headers.items()
        if name.lower() not in STRIPPED and not name.lower().startswith(_OF_THE_DEATH)
    }
    headers[REPLAY_ID] = str(copy.replay)
    headers["x-replay-item"] = str(copy.item)
    headers[REPLAY_OF] = copy.message_key
    headers[REPLAY_ATTEMPT] = str(copy.attempt)
    headers["x-replay-actor"] = copy.actor
    return pika.BasicProperties(headers=headers, delivery_mode=PERSISTENT, **known)


def _seconds(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return None


def _typed(text: str | None) -> dict[str, Any]:
    """Headers as the sender gave them; instants and bytes have their type again."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return {k: _value(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(one) for one in value]
    if isinstance(value, dict):
        if set(value) == {"$time"}:
            return datetime.fromisoformat(value["$time"]).astimezone(UTC)
        if set(value) == {"$bytes"}:
            return bytes.fromhex(value["$bytes"])
        return {name: _value(one) for name, one in value.items()}
    return value


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]
