"""Dead letters captured from a queue of a broker: what the message was, and how it died.

Read by a mapping of format log (the shipped one is tower/mappings/queue.yaml) from these fields:

    kind            always dead_letter
    queue           the queue it was captured from; ``origin`` the queue it died in first
    reason          why it died first: rejected, expired, maxlen, delivery_limit
    attempt         how often it died, over all queues; missing if the broker does not tell
    died_at         when it died last, ISO 8601 in UTC
    deliveries      how often it was delivered before, and ``words`` of its consumer, where the
                    broker tells them
    message_id, correlation_id, type, app_id   of its properties
    headers.<name>  its headers, names in lower case
    body.<path>     its body, where that is JSON

Format of ``x-death``: rabbitmq.com/docs/dlx.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from collectors.amqp_link import Delivery, is_secret, raw_of
from collectors.contract import bounded_key
from collectors.limits import parse_json
from collectors.mapped import MappedInterpreter
from collectors.mapped_reading import MappedReading
from collectors.records import JsonRecord, Place
from tower.errors import PayloadRejected
from tower.numerals import natural
from tower.raw import DeadLetter, Raw

CAPTURED_FROM = "captured-from"
"""Header that names the queue a message was captured from."""

_PROPERTIES = ("message-id", "correlation-id", "type", "app-id")


REPLAY_OF = "x-replay-of"
REPLAY_ATTEMPT = "x-replay-attempt"
REPLAY_ID = "x-replay-id"
"""Headers of a copy that the tower sent: which message it is, which attempt, of which replay."""

TYPED = "captured-headers"
"""Header with all headers of the message as JSON, in their own types."""

LEFT_OUT = "captured-left-out"
"""Header that names the headers of the message that are secret and not kept."""

FIRST_KEY = "captured-message"
"""Header with the key of the first attempt of a message, where this is a later one."""

DEATH = "captured-death"
"""Header that tells how a message died where its broker says so beside it: a list of one, in the
terms of x-death, with ``deliveries`` and the consumer's ``words``."""

GONE = "captured-gone"
"""Header of a notice whose message its broker no longer keeps: the notice stands for it."""

MARKS = frozenset({CAPTURED_FROM, TYPED, LEFT_OUT, FIRST_KEY, DEATH, GONE})
"""Headers that the tower sets; a message cannot bring them along."""

MOST_ATTEMPTS = 1_000_000


def captured(source: str, queue: str, delivery: Delivery, now: datetime) -> Raw:
    """A dead letter as it is kept: each attempt that failed is a message of its own.

    Key: queue, message id and hash of the bytes; from the second attempt on with its number. A copy
    that the tower sent keeps the key of what it is a copy of.
    """
    raw = raw_of(source, delivery, "application/octet-stream", now)
    own = str(delivery.properties.get("message_id") or "")[:150]
    digest = sha256(delivery.body).hexdigest()
    first = bounded_key(f"{queue[:80]} {own} {digest}")
    attempt = attempt_of(raw.headers)
    marks = {**_for_a_copy(delivery.headers), CAPTURED_FROM: queue}
    if attempt > 1:
        first = marks[FIRST_KEY] = raw.headers.get(REPLAY_OF) or first
        # With the hash: whoever forges our headers hides nothing behind another message's key.
        first = bounded_key(f"{first[:400]} #{attempt} {digest[:16]}")
    headers = {name: value for name, value in raw.headers.items() if name not in MARKS}
    return replace(raw, key=first, headers={**headers, **marks})


def _for_a_copy(headers: Mapping[str, Any]) -> dict[str, str]:
    """What a later copy needs: its headers with their types, and the names of those not kept."""
    kept = {name: value for name, value in headers.items() if not is_secret(name)}
    left = sorted(headers.keys() - kept.keys())
    found = {TYPED: orjson.dumps(kept, default=_tagged, option=_AS_TOLD).decode()}
    return found | ({LEFT_OUT: ", ".join(left)} if left else {})


_AS_TOLD = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


def _tagged(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$time": (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()}
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": bytes(value).hex()}
    return str(value)


def attempt_of(headers: Mapping[str, str]) -> int:
    """Which attempt failed: what our copy says, else how often the broker saw it die; 1 if nobody
    tells.
    """
    said = natural(headers.get(REPLAY_ATTEMPT, ""))
    if said and said < MOST_ATTEMPTS:
        return said
    return min(max(_died(_deaths(headers)) or 1, 1), MOST_ATTEMPTS)


def origin_queues(headers: Mapping[str, str]) -> frozenset[str]:
    """Queues in which a message may have died first: one, if its headers agree; none if unknown."""
    deaths = _deaths(headers)
    oldest = deaths[-1].get("queue") if deaths else None
    named = headers.get("x-first-death-queue")
    return frozenset(str(one) for one in ((named,) if named else (oldest,)) if one)


class DeadLetterInterpreter(MappedInterpreter):
    """One captured message."""

    name = "queue"
    version = 1

    def _read(self, reading: MappedReading, raw: Raw) -> None:
        record = DeadLetterRecord(raw, reading.program.nulls)
        reading.record(record, None, "item:0")
        reading.give_up(_letter(raw))


def _letter(raw: Raw) -> DeadLetter:
    headers = raw.headers
    deaths = _deaths(headers)
    first = deaths[-1] if deaths else {}
    queue = next(iter(origin_queues(headers)), "") or headers.get(CAPTURED_FROM, "")
    reason = str(headers.get("x-first-death-reason") or first.get("reason") or "unknown")
    words = next((headers[name] for name in _WORDS if headers.get(name)), "")
    words = words or str(first.get("words") or "")
    count = first.get("deliveries")
    attempt = attempt_of(headers)
    return DeadLetter(
        kind="deliver",
        code=next((headers[name] for name in _CODES if headers.get(name)), reason)[:100],
        cause=f'Queue "{queue}" gave it up: {_REASONS.get(reason, reason)}'
        + (f" ({count} deliveries)" if isinstance(count, int) else "")
        + (f", {words[:300]}" if words else "")
        + ("; its stream keeps it no more, what is here is the notice" if GONE in headers else "")
        + ".",
        advice="Mend the cause at its consumer, then replay it: Dead letters in the app, or tower "
        "replay draft.",
        position="",
        step=queue,
        type=headers.get("type") or headers.get("ce-type") or "",
        words=words,
        attempt=attempt,
        message=headers.get(FIRST_KEY),
    )


_WORDS = ("x-exception-message", "x-error", "error")
_CODES = ("x-exception-class", "error-code")
_REASONS = {
    "rejected": "its consumer refused it",
    "expired": "nobody took it in time",
    "maxlen": "the queue was full",
    "delivery_limit": "it was given back too often",
    "max_deliver": "it was delivered as often as its consumer allows",
    "terminated": "its consumer refused it for good",
    "unknown": "the broker does not say why",
}


class DeadLetterRecord(JsonRecord):
    """The fields that the head of this module lists."""

    __slots__ = ()

    def __init__(self, raw: Raw, nulls: frozenset[str]) -> None:
        headers = raw.headers
        deaths = _deaths(headers)
        last, first = (deaths[0], deaths[-1]) if deaths else ({}, {})
        told: dict[str, Any] = {
            "kind": "dead_letter",
            "queue": headers.get(CAPTURED_FROM),
            "origin": headers.get("x-first-death-queue") or first.get("queue"),
            "reason": headers.get("x-first-death-reason") or first.get("reason"),
            "attempt": attempt_of(headers) if REPLAY_ATTEMPT in headers else _died(deaths),
            "died_at": last.get("time"),
            "deliveries": first.get("deliveries"),
            "words": first.get("words"),
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


def _died(deaths: list[Mapping[str, Any]]) -> int | None:
    """How often it died, over all queues; None if the broker does not tell."""
    counts = [one["count"] for one in deaths if isinstance(one.get("count"), int)]
    return sum(counts) if counts else None


def _deaths(headers: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Entries of the header x-death, the latest first; none if it is malformed."""
    try:
        found = orjson.loads(headers.get(DEATH) or headers.get("x-death") or "[]")
    except orjson.JSONDecodeError:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _body(body: bytes) -> Any:
    try:
        return parse_json(body)
    except PayloadRejected:
        return None
