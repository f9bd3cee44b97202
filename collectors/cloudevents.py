"""CloudEvents 1.0: events that arrive in our own shape, single, in batches, or with headers.

``unpack`` turns an HTTP push into raw messages, one per event, so that each is accepted, repeated
or refused by itself; the interpreter makes the events. Attributes beyond the specification:

    correlationid, traceparent   evidence for the flow (the trace id where no correlation id is)
    causationid                  id of the message that caused this one
    carries, answers             message ids, several parted by blanks
    partner, channel             partner key or identifier; edi, api, portal, file, manual
    recordedtime, timequality    when the source noted it; exact, date, observed
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from collectors.cloudevents_envelope import HEADER_PREFIX, from_binary, from_structured
from collectors.cloudevents_reading import ONLY_DATA, EventReading
from collectors.contract import bounded_key
from collectors.limits import BOM, parse_json
from tower.errors import PayloadRejected
from tower.network import Network, Source
from tower.raw import Interpretation, Raw

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

KEPT_HEADERS = frozenset(
    {
        *("content-type", "user-agent", "traceparent", "webhook-id", "idempotency-key"),
        *("x-request-id", "message-id"),
    }
)
"""Headers of a push that are kept besides ``ce-*``; none of them is a secret."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a push to the door for events held. ``broken`` says why the envelope cannot be used;
    the bytes are then one raw message, which its interpreter will refuse, and so are kept.
    """

    raws: tuple[Raw, ...]
    broken: str = ""


def unpack(source: str, body: bytes, headers: Mapping[str, str], at: datetime) -> Parcel:
    """The raw messages of a push, one per event, each with the bytes as they came."""
    kept = _kept(headers)
    media_type = _media_type(kept)
    whole = Raw(source, _hashed(body), body, at, media_type, kept)
    is_batch = media_type == BATCH or (
        media_type != STRUCTURED and not _is_binary(kept) and body.lstrip(BOM).lstrip()[:1] == b"["
    )
    try:
        if is_batch:
            single = {**kept, "content-type": STRUCTURED}
            return Parcel(
                tuple(
                    Raw(source, event_key(value, part), part, at, STRUCTURED, single)
                    for value, part in _elements(body)
                )
            )
        envelope = (
            from_binary(kept, body)
            if _is_binary(kept) and media_type != STRUCTURED
            else from_structured(parse_json(body))
        )
    except PayloadRejected as error:
        return Parcel((whole,), str(error))
    key = _key(envelope.source, envelope.id)
    return Parcel((Raw(source, key, body, at, media_type, kept),))


def document(source: str, body: bytes, headers: Mapping[str, str], at: datetime) -> Raw:
    """A pushed document in the source's own format; its key is the sender's own id (``webhook-id``
    or ``idempotency-key``), else the hash of its bytes.
    """
    kept = {name: value for name, value in _kept(headers).items() if name in KEPT_HEADERS}
    own = kept.get("webhook-id") or kept.get("idempotency-key")
    key = bounded_key(own) if own else _hashed(body)
    return Raw(source, key, body, at, _media_type(kept), kept)


class CloudEventsInterpreter:
    """Events in our own vocabulary: the envelope is checked, the data brought into form."""

    name = "cloudevents"
    version = 1

    def interpret(self, raw: Raw, net: Network, source: Source) -> Interpretation:
        reading = EventReading(raw, net, source)
        try:
            structured = _media_type(raw.headers) in (STRUCTURED, BATCH)
            if not structured and _is_binary(raw.headers):
                reading.take(from_binary(raw.headers, raw.body), "item:0", "$")
            else:
                value = parse_json(raw.body)
                if isinstance(value, list):
                    reading.take_all(value)
                else:
                    reading.take(from_structured(value), "item:0", ONLY_DATA)
        except PayloadRejected as error:
            reading.refuse(error, "")
        return reading.result(self.name, self.version)


def _elements(body: bytes) -> list[tuple[Any, bytes]]:
    """The elements of a JSON list with their own bytes; raises PayloadRejected if it is none."""
    offset = len(BOM) if body.startswith(BOM) else 0
    try:
        text = body[offset:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise _broken_batch("undecodable", offset + error.start) from None
    ascii_only = len(text) == len(body) - offset
    decode = json.JSONDecoder().raw_decode
    at = _skip_blanks(text, 0)
    if text[at : at + 1] != "[":
        raise _broken_batch("invalid_json", offset)
    at = _skip_blanks(text, at + 1)
    found: list[tuple[Any, bytes]] = []
    if text[at : at + 1] == "]":
        return found
    while True:
        try:
            value, end = decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            raise _broken_batch("invalid_json", _bytes_before(text, at, offset)) from None
        part = body[offset + at : offset + end] if ascii_only else text[at:end].encode("utf-8")
        found.append((value, part))
        at = _skip_blanks(text, end)
        sign = text[at : at + 1]
        if sign == "]" and not text[at + 1 :].strip():
            return found
        if sign != ",":
            code = "truncated" if not sign else "invalid_json"
            raise _broken_batch(code, _bytes_before(text, at, offset))
        at = _skip_blanks(text, at + 1)


def _skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at


def _bytes_before(text: str, at: int, offset: int) -> int:
    return offset + len(text[:at].encode("utf-8"))


def _broken_batch(code: str, offset: int) -> PayloadRejected:
    return PayloadRejected(
        f"The batch is no JSON list of events: it cannot be read at byte {offset}.",
        code=code,
        advice="Correct it at its sender and send it again.",
        offset=offset,
    )


def event_key(value: Any, part: bytes) -> str:
    """Key of a structured event: its source and id; one without them is known by its bytes."""
    if isinstance(value, dict):
        source, own = value.get("source"), value.get("id")
        if isinstance(source, str) and isinstance(own, str) and source and own:
            return _key(source, own)
    return _hashed(part)


def _key(source: str, own: str) -> str:
    return bounded_key(f"{source} {own}")


def _hashed(body: bytes) -> str:
    return sha256(body).hexdigest()


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers worth keeping, names in lower case. What a sender calls ``partner`` or
    ``rendered`` is not: those we set ourselves.
    """
    found = {name.lower(): value for name, value in headers.items()}
    return {
        name: value
        for name, value in found.items()
        if name in KEPT_HEADERS or name.startswith(HEADER_PREFIX)
    }


def _media_type(headers: Mapping[str, str]) -> str:
    return _bare(headers.get("content-type", "application/octet-stream"))


@lru_cache(maxsize=64)
def _bare(content_type: str) -> str:
    """A media type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _is_binary(headers: Mapping[str, str]) -> bool:
    return any(name.startswith(HEADER_PREFIX) for name in headers)
