"""JSON over HTTP: CloudEvents of suppliers and platform, documents of the eastern warehouse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from simulator.emissions import Push

TYPE_PREFIX = "com.supplierhub."
PLATFORM_PREFIX = "com.glsupply.platform."


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def plain(value: Any) -> str:
    """Dates and instants inside JSON bodies."""
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def dump(body: Any) -> bytes:
    text = json.dumps(body, default=plain, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")


def cloud_event(
    identifier: str,
    source: str,
    type_: str,
    at: datetime,
    data: Mapping[str, Any],
    *,
    subject: str,
    correlation: str = "",
    partner: str = "",
    channel: str = "api",
) -> dict[str, Any]:
    """A structured CloudEvent; extension attributes as the tower's door documents them."""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": identifier,
        "source": source,
        "type": type_,
        "subject": subject,
        "time": stamp(at),
        "datacontenttype": "application/json",
    }
    if correlation:
        event["correlationid"] = correlation
    if partner:
        event["partner"] = partner
        event["channel"] = channel
    event["data"] = data
    return event


def event_push(door: str, at: datetime, events: Sequence[Mapping[str, Any]]) -> Push:
    """One event goes as it is, several as a batch."""
    batch = len(events) != 1
    kind = "application/cloudevents-batch+json" if batch else "application/cloudevents+json"
    return Push(
        at,
        door,
        "/v1/events",
        {"Content-Type": f"{kind}; charset=utf-8", "X-Tower-Source": door},
        dump(list(events) if batch else events[0]),
    )


def document_push(door: str, at: datetime, body: Mapping[str, Any]) -> Push:
    return Push(
        at,
        door,
        f"/v1/documents/{door}",
        {"Content-Type": "application/json", "X-Tower-Source": door},
        dump(body),
    )
