"""Minutes of API gateways: what went over a route in one minute, by status and by latency.

Calls are not events: a gateway answers thousands a minute. They are counted where they are read,
and only the failed ones are told one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from urllib.parse import unquote

LATENCY_BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
"""Upper bounds of the latency histogram in milliseconds; one more count holds what is slower."""

LONGEST_ROUTE = 200
_NUMBER = re.compile(r"(?=[^/]*\d)[0-9A-Za-z._:-]{4,}\Z")
_SHORT_NUMBER = re.compile(r"\d+\Z")
_VERSION = re.compile(r"v\d{1,3}(\.\d+)*\Z")


@dataclass(frozen=True, slots=True)
class GatewayMinute:
    """Calls of one route and partner in one minute, as one part of one log tells them.

    source     the feed; ``part`` the portion of its log these counts are of
    upto       how far that portion was read: of two counts of it the one that got further holds,
               so that order and repetition do not matter
    minute     its start, aware UTC
    partner    partner key, "" where the caller is no partner
    classes    counts of status 1xx, 2xx, 3xx, 4xx, 5xx
    throttled  calls answered 429, counted among 4xx too
    latency    counts between LATENCY_BOUNDS_MS; calls of unknown latency are in none
    limit, remaining   of the call with the least left of what its limit allows; None = the gateway
               did not tell, never zero
    """

    source: str
    part: str
    upto: int
    minute: datetime
    route: str
    partner: str
    classes: tuple[int, int, int, int, int]
    throttled: int
    latency: tuple[int, ...]
    limit: int | None = None
    remaining: int | None = None

    @property
    def calls(self) -> int:
        return sum(self.classes)


def bucket(latency_ms: float) -> int:
    """Place in the histogram of a latency in milliseconds."""
    for n, bound in enumerate(LATENCY_BOUNDS_MS):
        if latency_ms <= bound:
            return n
    return len(LATENCY_BOUNDS_MS)


def quantile(histogram: Sequence[int], share: float) -> float | None:
    """The latency in milliseconds that ``share`` of the calls do not exceed: the upper bound of the
    bucket it falls into. None without calls, and for what is slower than the last bound.
    """
    total = sum(histogram)
    if not total:
        return None
    wanted = share * total
    seen = 0
    for n, count in enumerate(histogram):
        seen += count
        if seen >= wanted and count:
            return float(LATENCY_BOUNDS_MS[n]) if n < len(LATENCY_BOUNDS_MS) else None
    return None


def route_of(method: str | None, url: str, patterns: Sequence[str]) -> str:
    """A name for the route of a call: the first pattern that its path fits, else the path with its
    numbers and ids replaced ("/orders/{id}/lines"), so that routes stay few.
    """
    path = unquote(url.partition("?")[0].partition("#")[0]) or "/"
    named = next((p for p in patterns if fnmatchcase(path, p)), None)
    if named is None:
        parts = ["{id}" if _is_id(part) else part for part in path.split("/")]
        named = "/".join(parts)
    text = f"{method.upper()} {named}" if method else named
    return "".join(sign for sign in text if sign.isprintable())[:LONGEST_ROUTE]


def _is_id(part: str) -> bool:
    if _VERSION.match(part):
        return False
    return bool(_SHORT_NUMBER.match(part) or _NUMBER.match(part))
