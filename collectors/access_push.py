"""Access logs that a gateway, or the shipper of its logs, pushes instead of writing a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b, sha256
from typing import NamedTuple

import orjson

from collectors.access_counts import Counts
from collectors.access_log import layout_of
from collectors.limits import parse_json
from tower.errors import PayloadRejected
from tower.gateway import GatewayMinute
from tower.network import Network
from tower.raw import Raw

MEDIA_TYPE = "application/json"


class Calls(NamedTuple):
    """What a push tells: failed calls and unreadable lines as messages, all calls as minutes."""

    raws: list[Raw]
    minutes: list[GatewayMinute]
    counted: int
    """Lines that tell a call."""


def read(source: str, body: bytes, net: Network, now: datetime) -> Calls:
    """The calls of a body: lines of a log, one JSON object, or a list of them as Kong batches.

    The same body again changes no count: it is one part, named by its bytes. A message is named by
    its line and the how-manieth of that line it is, so that a batch that is cut otherwise the next
    time doubles no failure.
    """
    layout = layout_of(net.sources[source], net)
    counts, seen = Counts(), Counter[bytes]()
    raws: list[Raw] = []
    counted = 0
    for line in _lines(body):
        call = layout.call(line)
        if call is not None:
            counted += 1
            counts.add(call)
        if call is None or call.value["outcome"] != "ok":
            seen[line] += 1
            key = f"{blake2b(line, digest_size=16).hexdigest()}:{seen[line]}"
            raws.append(Raw(source, key, line, now, MEDIA_TYPE))
    part = f"push:{sha256(body).hexdigest()[:32]}"
    return Calls(raws, counts.minutes(source, part, len(body)), counted)


def _lines(body: bytes) -> Iterator[bytes]:
    if body.lstrip()[:1] == b"[":
        try:
            found = parse_json(body)
        except PayloadRejected:
            found = None
        if isinstance(found, list):
            yield from (orjson.dumps(one) for one in found)
            return
    for line in body.split(b"\n"):
        if line.strip():
            yield line.rstrip(b"\r")
