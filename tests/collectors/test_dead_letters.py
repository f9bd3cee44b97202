"""The key of a captured message: each attempt is a message of its own, and no id is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from collectors.amqp_link import Delivery
from collectors.dead_letters import REPLAY_ATTEMPT, REPLAY_OF, captured

NOW = datetime(2026, 3, 27, 10, tzinfo=UTC)


def key(body: bytes, headers: dict[str, Any] | None = None, **properties: str) -> str:
    delivery = Delivery(1, body, headers or {}, properties, "dlq", "", False)
    return captured("broker", "dlq", delivery, NOW).key


def test_messages_without_an_id_are_told_apart_by_their_bytes() -> None:
    assert key(b"one") == key(b"one")
    assert key(b"one") != key(b"two")
    assert key(b"one", message_id="m-1") != key(b"one", message_id="m-2")


def test_a_later_attempt_never_hides_behind_the_first() -> None:
    first = key(b"one", message_id="m-1")
    again = key(b"one", {REPLAY_OF: first, REPLAY_ATTEMPT: "2"}, message_id="m-1")
    assert again.startswith(f"{first} #2 ")
    forged = key(b"other bytes", {REPLAY_OF: first, REPLAY_ATTEMPT: "2"}, message_id="m-1")
    assert forged not in (first, again)
