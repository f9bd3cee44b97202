"""What collectors hand over: bytes as received, and what an interpreter makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tower.event import Event
from tower.gateway import GatewayMinute

MARK_LIMIT_BYTES = 8192


@dataclass(slots=True)  # like events: never changed
class Raw:
    """The bytes exactly as received. Identity is (source, key).

    key          the source's own id, else the sha-256 of the bytes
    headers      names as received, lower case; secrets (authorization, cookie, signatures) never
    received_at  when the bytes reached us, aware UTC
    media_type   as declared or implied by the source's format ("application/edi-x12", "text/csv")
    name         file name or address it came under; a known (source, key) seen again is a sighting
    """

    source: str
    key: str
    body: bytes
    received_at: datetime
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.body).digest()


@dataclass(frozen=True, slots=True)
class Origin:
    """Which bytes are this value: one field of one event and its element in the payload.

    field    path inside event data ("lines[0].qty", "po"); "*" stands for every field that has no
             origin of its own: it is found under its own name where ``element`` says ("$.data.*")
    element  path in the source's own terms ("set 1 PO1*1 PO102", "row 3 qty", "$.items[0].qty")
    offset, length  byte range in the raw body; None where the parser gives none or a rule did
    how      copied, converted, looked_up, default
    rule     for looked_up and default: what gave the value
    """

    field: str
    element: str
    offset: int | None
    length: int | None
    how: str = "copied"
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd that did not stop us: a wrong count, an unsupported set, an unknown code."""

    code: str
    message: str
    offset: int | None = None
    expected: str = ""
    got: str = ""
    position: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, or a part of one, that could not be used.

    kind      interpret (we could not read it), deliver (a broker or gateway gave it up)
    position  part of the raw message ("" for the whole, "set:3", "row:17")
    code      stable word: empty, truncated, undecodable, no_delimiters, unknown_partner,
              missing_key, bad_row, invalid_json, too_large, crash, unsupported_type...
    cause     one sentence: what is wrong and where; advice: what to do next
    step      queue or system that failed, ``type`` of the message, ``words`` of who gave it up:
              like failures are told from others by them (tower/failures.py)
    attempt   which try to deliver it failed; ``message`` is the key of its first one, None = this
    """

    code: str
    cause: str
    advice: str
    position: str = ""
    offset: int | None = None
    partner: str | None = None
    kind: str = "interpret"
    step: str = ""
    type: str = ""
    words: str = ""
    attempt: int = 1
    message: str | None = None


class Control(NamedTuple):
    """The number of an interchange; ``stream`` names whose it is: it goes up by one in each."""

    stream: str
    number: int


@dataclass(slots=True)  # like events: never changed
class Interpretation:
    """What one interpreter version made of one raw message. Same bytes and network, same result.

    origins maps the index of an event in ``events`` to the origins of its fields; controls are the
    numbers of interchanges in it.
    """

    interpreter: str
    version: int
    events: tuple[Event, ...] = ()
    origins: Mapping[int, tuple[Origin, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    partner: str | None = None
    controls: tuple[Control, ...] = ()

    @property
    def outcome(self) -> str:
        """interpreted; quarantined when nothing of it was readable."""
        return "quarantined" if self.dead_letters and not self.events else "interpreted"


@dataclass(frozen=True, slots=True)
class QueueSample:
    """Depth and rates of one queue at one time. Missing is None, never zero; rates per second."""

    broker: str
    queue: str
    at: datetime
    ready: int | None = None
    in_flight: int | None = None
    total: int | None = None
    consumers: int | None = None
    in_rate: float | None = None
    out_rate: float | None = None
    oldest_age_s: float | None = None
    dlq_of: str | None = None
    approximate: bool = False


Sample = QueueSample | GatewayMinute
"""What readers measure; it is kept, and never becomes an event."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A good read of a source, even an empty one: complete up to ``complete_to`` (its start)."""

    source: str
    complete_to: datetime
    seen_at: datetime
    state: str = "up"
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A collector's bookmark: versioned JSON up to 8 KB, opaque to the worker."""

    version: int
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one read may bring."""

    messages: int = 2000
    bytes: int = 64 * 1024 * 1024
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read brought: stored in one transaction together with ``mark``, then settled."""

    source: str
    raws: tuple[Raw, ...] = ()
    samples: tuple[Sample, ...] = ()
    heartbeat: Heartbeat | None = None
    mark: Mark | None = None
    claims: tuple[str, ...] = ()
    more: bool = False


@dataclass(slots=True)  # like events: never changed
class Interpreted:
    """A raw message beside its interpretation: the unit that ingest stores."""

    raw: Raw
    reading: Interpretation
