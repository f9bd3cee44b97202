"""A hole in a feed as a message of its own, so that it is kept and read like any other."""

from __future__ import annotations

from datetime import datetime

import orjson

from tower.event import TimeQuality
from tower.identity import fingerprint
from tower.network import Network
from tower.raw import Interpretation, Origin, Raw
from tower.vocabulary import make_event

GAP = "gap"
"""Header of a message that stands for something missing; its value says what is counted."""

_FIELDS = ("source", "from", "to", "kind")


def gap_raw(source: str, kind: str, stream: str, first: str, last: str, seen_at: datetime) -> Raw:
    """``first`` to ``last`` of a stream did not come by ``source``; the same gap, the same key.

    ``seen_at`` is when what follows the gap had come: a receipt that the source really had.
    """
    told = {"source": source, "from": first, "to": last, "kind": kind, "stream": stream}
    return Raw(
        source=source,
        key=fingerprint((GAP, kind, stream, first, last)),
        body=orjson.dumps(told),
        received_at=seen_at,
        media_type="application/json",
        headers={GAP: kind},
        name=f"{stream} {first}-{last}",
    )


def gap_of(raw: Raw, net: Network) -> Interpretation | None:
    """``source.gap`` of such a message; None for all others."""
    if GAP not in raw.headers:
        return None
    told = orjson.loads(raw.body)
    source = net.sources.get(raw.source)
    event = make_event(
        "source.gap",
        {name: told[name] for name in _FIELDS},
        source=raw.source,
        raw_key=raw.key,
        position="",
        occurred_at=raw.received_at,
        time_quality=TimeQuality.OBSERVED,
        system=source.system if source is not None else "",
    )
    origins = []
    for name, value in event.data.items():
        start = f'"{name}":"'.encode()
        at = raw.body.index(start) + len(start)
        origins.append(Origin(name, f"$.{name}", at, len(str(value).encode())))
    return Interpretation("gap", 1, (event,), {0: tuple(origins)})
