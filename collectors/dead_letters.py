"""Dead letters captured from a queue of a broker: what the message was, and how it died.

Read by a mapping of format log (the shipped one is tower/mappings/queue.yaml) from these fields:

    kind            always dead_letter
    queue           the queue it was captured from; ``origin`` the queue it died in first
    reason          why it died first: rejected, expired, maxlen, delivery_limit
    attempt         how often it died, over all queues; missing if the broker does not tell
    died_at         when it died last, ISO 8601 in UTC
    message_id, correlation_id, type, app_id   of its properties
    headers.<name>  its headers, names in lower case
    body.<path>     its body, where that is JSON

Format of ``x-death``: rabbitmq.com/docs/dlx.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from collectors.amqp_link import Delivery, raw_of
from collectors.contract import bounded_key
from collectors.limits import parse_json
from collectors.mapped import MappedInterpreter
from collectors.mapped_reading import MappedReading
from collectors.records import JsonRecord, Place
from tower.errors import PayloadRejected
from tower.raw import Raw

CAPTURED_FROM = "captured-from"
"""Header that names the queue a message was captured from."""

_PROPERTIES = ("message-id", "correlation-id", "type", "app-id")


def captured(source: str, queue: str, delivery: Delivery, now: datetime) -> Raw:
    """A dead letter as it is kept. Key: queue, message id and hash of the bytes."""
    raw = raw_of(source, delivery, "application/octet-stream", now)
    own = str(delivery.properties.get("message_id") or "")[:150]
    digest = sha256(delivery.body).hexdigest()
    return replace(
        raw,
        key=bounded_key(f"{queue[:80]} {own} {digest}"),
        headers={**raw.headers, CAPTURED_FROM: queue},
    )


class DeadLetterInterpreter(MappedInterpreter):
    """One captured message."""

    name = "queue"
    version = 1

    def _read(self, reading: MappedReading, raw: Raw) -> None:
        reading.record(DeadLetterRecord(raw, reading.program.nulls), None, "item:0")


class DeadLetterRecord(JsonRecord):
    """The fields that the head of this module lists."""

    __slots__ = ()

    def __init__(self, raw: Raw, nulls: frozenset[str]) -> None:
        headers = raw.headers
        deaths = _deaths(headers.get("x-death"))
        last, first = (deaths[0], deaths[-1]) if deaths else ({}, {})
        counts = [death["count"] for death in deaths if isinstance(death.get("count"), int)]
        told: dict[str, Any] = {
            "kind": "dead_letter",
            "queue": headers.get(CAPTURED_FROM),
            "origin": headers.get("x-first-death-queue") or first.get("queue"),
            "reason": headers.get("x-first-death-reason") or first.get("reason"),
            "attempt": sum(counts) if counts else None,
            "died_at": last.get("time"),
            "headers": dict(headers),
            "body": _body(raw.body),
            **{name.replace("-", "_"): headers.get(name) for name in _PROPERTIES},
        }
        super().__init__(told, "message", nulls)

    def place(self, path: str) -> Place:
        if path.startswith("body."):
            return Place(f"$.{path.removeprefix('body.')}")
        name = path.removeprefix("headers.")
        if path != name or name.replace("_", "-") in _PROPERTIES:
            return Place(f"header {name if path != name else name.replace('_', '-')}")
        return Place("header x-death", is_literal=False)

    def item(self, path: str, n: int, value: Any) -> JsonRecord:
        """The n-th object of a list in the body."""
        return JsonRecord(value, f"{self.place(path).element}[{n}]", self._nulls)


def _deaths(text: str | None) -> list[Mapping[str, Any]]:
    """Entries of the header x-death, the latest first; none if it is malformed."""
    try:
        found = orjson.loads(text or "[]")
    except orjson.JSONDecodeError:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _body(body: bytes) -> Any:
    try:
        return parse_json(body)
    except PayloadRejected:
        return None
