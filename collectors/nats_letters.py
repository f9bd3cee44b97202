"""Dead letters of NATS JetStream: messages that no consumer could work off.

JetStream has no queue for them. A message that was delivered as often as its consumer allows, or
that its consumer refused for good, stays in its stream until that forgets it; only an advisory says
so. A stream that keeps these advisories is read here by sequence, and the message each speaks of is
fetched by its number, which consumes nothing.

Formats: github.com/nats-io/jsm.go, schemas io.nats.jetstream.advisory.v1.max_deliver, .terminated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from collectors.amqp_link import OURS, is_secret
from collectors.contract import Spending, bounded_key
from collectors.dead_letters import CAPTURED_FROM, DEATH, GONE, MARKS
from collectors.gaps import gap_raw
from collectors.limits import parse_json
from collectors.nats_link import Questions, Stored, Told
from tower.errors import ConfigError, PayloadRejected
from tower.raw import Budget, Raw

REASONS = {
    "io.nats.jetstream.advisory.v1.max_deliver": "max_deliver",
    "io.nats.jetstream.advisory.v1.terminated": "terminated",
}


@dataclass(slots=True)
class Place:
    """How far the advisories of one stream were read: of the stream made at ``created``."""

    created: str
    seq: int


async def letters(
    asked: Questions,
    source: str,
    streams: Iterable[Told],
    wanted: Iterable[str],
    read: Mapping[str, Place],
    budget: Budget,
    now: datetime,
) -> tuple[list[Raw], dict[str, Place], bool]:
    """What came in the ``wanted`` streams of advisories since ``read``, how far they are read now,
    and whether that is all there is. Raises ConfigError for one that does not exist.
    """
    known = {str(_table(one, "config").get("name", "")): one for one in streams}
    spending, found, places, is_all = Spending(budget), list[Raw](), dict[str, Place](), True
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f'Source "{source}": there is no stream "{name}", which dead_letters names. '
                "Make it as docs/connect/nats.md says, or correct the name in network.yaml."
            )
        state, created = _table(known[name], "state"), str(known[name].get("created", ""))
        first, last = _number(state.get("first_seq")), _number(state.get("last_seq"))
        place = read.get(name)
        if place is None or place.created != created:
            place = Place(created, first - 1)
        elif first > place.seq + 1:
            # The stream forgot advisories before they were read.
            lost = (str(place.seq + 1), str(first - 1))
            found.append(gap_raw(source, "sequence", name, *lost, now))
            place = Place(created, first - 1)
        seq = place.seq
        while seq < last:
            if spending.is_spent:
                is_all = False
                break
            advisory = await asked.message(name, seq + 1, or_next=True)
            if advisory is None:
                seq = last
                break
            raw = await _letter(asked, source, name, created, advisory, now)
            spending.add(len(raw.body))
            found.append(raw)
            seq = advisory.seq
        places[name] = Place(created, seq)
    return found, places, is_all


async def _letter(
    asked: Questions, source: str, keeper: str, created: str, advisory: Stored, now: datetime
) -> Raw:
    """The message that an advisory speaks of, as it lies in its stream."""
    told = _read(advisory.body)
    stream, seq = str(told.get("stream") or ""), told.get("stream_seq")
    own = told.get("id")
    # The number of a message is used again in a stream that was made anew; an advisory's id is not.
    key = f"{own} {stream} {seq}" if own else f"{keeper} {created} {advisory.seq}"
    kept = None
    if stream and isinstance(seq, int) and stream.isprintable() and not set(stream) & set(" .*>"):
        kept = await asked.message(stream, seq)
    headers: dict[str, str] = {}
    for name, value in (kept.headers if kept is not None else {}).items():
        if name not in OURS and name not in MARKS and not is_secret(name):
            headers[name] = value
    if "nats-msg-id" in headers:
        headers["message-id"] = headers["nats-msg-id"]
    queue = f"{stream}/{told.get('consumer')}" if stream else keeper
    death = {
        "queue": queue,
        "reason": REASONS.get(str(told.get("type")), "unknown"),
        "time": told.get("timestamp"),
        "deliveries": told.get("deliveries"),
        "words": told.get("reason"),
    }
    headers[CAPTURED_FROM] = queue
    headers[DEATH] = orjson.dumps([{k: v for k, v in death.items() if v is not None}]).decode()
    if kept is None:
        headers[GONE] = "yes"
    return Raw(
        source=source,
        key=bounded_key(key),
        body=advisory.body if kept is None else kept.body,
        received_at=now,
        media_type=headers.get("content-type", "application/octet-stream").partition(";")[0],
        headers=headers,
        name=advisory.subject if kept is None else kept.subject,
    )


def _read(body: bytes) -> Mapping[str, Any]:
    """An advisory; nothing of one that is no JSON object: its own bytes are then the letter."""
    try:
        told = parse_json(body)
    except PayloadRejected:
        return {}
    return told if isinstance(told, dict) else {}


def _table(told: Told, name: str) -> Told:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
