"""Events as others are told of them: CloudEvents 1.0, whether they ask or subscribe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MEDIA_TYPE = "application/cloudevents+json"

_EXTENSIONS = (
    ("recordedtime", "recorded_at"),
    ("receivedtime", "received_at"),
    ("timequality", "time_quality"),
    ("system", "system"),
    ("partner", "supplier"),
    ("channel", "channel"),
    ("correlationid", "correlation_id"),
    ("rawmessage", "message"),
    ("position", "position"),
)
"""Attribute of ours -> field of the data set ``events``."""


def cloud_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the data set ``events`` as a CloudEvent; what nobody said is left out.

    ``source`` is "/sources/" with the name of the source, so that (source, id) stays unique among
    towers that push to each other.
    """
    told: dict[str, Any] = {
        "specversion": "1.0",
        "id": row["id"],
        "source": f"/sources/{row['source']}",
        "type": row["type"],
        "subject": row["subject"],
        "time": _text(row["occurred_at"]),
        "datacontenttype": "application/json",
    }
    for name, field in _EXTENSIONS:
        if row[field] is not None:
            told[name] = _text(row[field])
    told["data"] = row["data"]
    return told


def case_event(
    message_id: str, type_: str, case: Mapping[str, Any], told: Mapping[str, Any], at: str
) -> dict[str, Any]:
    """What happened to a case (``told``: at, by, words) with the case as it stood when it was
    first sent, as a CloudEvent. ``at`` is the instant of that, ISO 8601.
    """
    return {
        "specversion": "1.0",
        "id": message_id,
        "source": "/cases",
        "type": type_,
        "subject": f"case:{case['id']}",
        "time": at,
        "datacontenttype": "application/json",
        "data": {"case": dict(case), **told},
    }


def _text(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
