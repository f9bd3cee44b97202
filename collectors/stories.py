"""Which messages of a batch seem to tell of the same order, guessed from their bytes alone.

Processes that store parts of one batch side by side must seldom meet at one order. A wrong guess
costs time, never truth: whoever comes second at an order stores his part again.
"""

from __future__ import annotations

import re

from collectors.contract import PARTNER
from tower.raw import Raw

LARGEST = 65_536
"""Bytes of a JSON message that can be taken for one order; larger ones tell of many."""

_ORDER = re.compile(rb'"(?:po|order)"\s*:\s*"?([^",}\s]+)')
_CORRELATION = re.compile(rb'"correlationid"\s*:\s*"([^"]+)"')
_HEAD = 300  # bytes of an interchange in which its two parties are named
_UNA = re.compile(rb"UNA.{6}\s*", re.DOTALL)


def story(raw: Raw) -> bytes | None:
    """A name that messages of one order share as a rule; None if nothing can be guessed.

    Of JSON it is the number of the first order in it, else its correlation id; of an interchange
    the two that exchange it, whichever way; of anything else the partner it was filed under.
    """
    body = raw.body
    if len(body) <= LARGEST:
        named = _ORDER.search(body) or _CORRELATION.search(body)
        if named is not None:
            return named[1]
    parties = _parties(body[:_HEAD])
    if parties:
        return b" ".join(sorted(parties))
    partner = raw.headers.get(PARTNER)
    return None if partner is None else partner.encode("utf-8", "replace")


def _parties(head: bytes) -> list[bytes]:
    """Sender and receiver of an X12 or EDIFACT interchange; empty if it is none."""
    una = _UNA.match(head)
    start = head[una.end() :] if una else head
    elements = start.split(start[3:4]) if start[3:4] else []
    match elements:
        case [b"ISA", _, _, _, _, _, sender, _, receiver, _, *_]:
            return [sender.strip(), receiver.strip()]
        case [b"UNB", _, sender, receiver, _, *_]:
            return [sender, receiver]
    return []
