"""Whether a webhook comes from who it says: the signature over the bytes as they came.

Two layouts. ``standard`` is Standard Webhooks: HMAC-SHA256 over ``id.timestamp.body``, base64,
several signatures parted by blanks, secrets written "whsec_" + base64. ``sha256`` is the plain one
of many shops and forges: HMAC-SHA256 over the body, or over ``timestamp.body`` where a header tells
the time, in hex or base64 behind a prefix. Nothing is parsed before it has been checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tower.errors import AccessDenied
from tower.feeds import PushOptions

WHSEC = "whsec_"
STANDARD_ID, STANDARD_TIME = "webhook-id", "webhook-timestamp"
MOST_SIGNATURES = 10  # more is nobody who rotates a secret, but somebody who guesses


class Unsigned(AccessDenied):
    """A call without a valid signature; the text says what is wrong, not what would be right."""


def check(
    options: PushOptions,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> None:
    """Raise Unsigned unless one of ``secrets`` signed exactly these bytes, and not too long ago.

    ``headers``: names in lower case.
    """
    given = headers.get(options.signature_name)
    if not given:
        raise Unsigned(f"The header {options.signature_name} is missing.")
    if options.signature == "standard":
        stamp = headers.get(STANDARD_TIME, "")
        own_id = headers.get(STANDARD_ID, "")
        if not own_id:
            raise Unsigned(f"The header {STANDARD_ID} is missing.")
        signed = f"{own_id}.{stamp}.".encode() + body
        candidates = [part.removeprefix("v1,") for part in given.split() if part.startswith("v1,")]
        is_hex = False
    else:
        stamp = headers.get((options.timestamp_header or "").lower(), "")
        signed = f"{stamp}.".encode() + body if options.timestamp_header else body
        candidates = [
            part.strip().removeprefix(options.signature_prefix)
            for part in given.split(",")
            if part.strip().startswith(options.signature_prefix)
        ]
        is_hex = options.signature_encoding == "hex"
    if options.signature == "standard" or options.timestamp_header:
        _recent(stamp, options.tolerance, now)
    wanted = [hmac.new(key_of(secret), signed, hashlib.sha256).digest() for secret in secrets]
    found = False
    for candidate in candidates[:MOST_SIGNATURES]:
        told = _decoded(candidate, is_hex)
        for digest in wanted:
            # Every pair is compared, so that the time taken tells nothing.
            found |= hmac.compare_digest(told, digest)
    if not found:
        raise Unsigned("The signature does not fit the body.")


def signed_headers(
    secrets: Sequence[str], own_id: str, body: bytes, now: datetime
) -> dict[str, str]:
    """The headers of Standard Webhooks for a body of ours, with one signature for each secret."""
    stamp = str(int(now.timestamp()))
    signed = f"{own_id}.{stamp}.".encode() + body
    digests = [hmac.new(key_of(secret), signed, hashlib.sha256).digest() for secret in secrets]
    return {
        STANDARD_ID: own_id,
        STANDARD_TIME: stamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in digests),
    }


def key_of(secret: str) -> bytes:
    """The bytes of a secret: base64 behind "whsec_", else the text itself."""
    if secret.startswith(WHSEC):
        try:
            return base64.b64decode(secret.removeprefix(WHSEC), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _recent(stamp: str, tolerance: timedelta, now: datetime) -> None:
    # A count with other digits than ASCII's would be signed as other bytes.
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 13):
        raise Unsigned("The time of the call is missing or no count of seconds since 1970.")
    seconds = int(stamp) / (1000 if len(stamp) == 13 else 1)
    if abs(now.timestamp() - seconds) > tolerance.total_seconds():
        raise Unsigned("The call is too old, or its sender's clock is wrong.")


def _decoded(text: str, is_hex: bool) -> bytes:
    try:
        return bytes.fromhex(text) if is_hex else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
