"""What a service says about how often it may be called, before it has to refuse.

Understood: ``RateLimit`` in both forms of its drafts (``limit=100, remaining=0, reset=30`` and
``"default";r=0;t=30``), ``RateLimit-Remaining`` with ``RateLimit-Reset``, and the same names with
``X-``, ``X-Rate-Limit-`` in front. A reset is a count of seconds, or an instant since 1970.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

DEFAULT_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0
_INSTANTS_FROM = 10**8  # no service lets one wait for three years
_PREFIXES = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
_PARTS = {"remaining": "remaining", "r": "remaining", "reset": "reset", "t": "reset"}
_PART = re.compile(r'([A-Za-z]+)\s*=\s*"?([0-9.]+)')


def pause(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait before the next call; None while calls are left or nothing is said.

    Header names in lower case.
    """
    said = _said(headers)
    remaining = _number(said.get("remaining"))
    if remaining is None or remaining >= 1:
        return None
    reset = _number(said.get("reset"))
    if reset is None:
        return DEFAULT_PAUSE_S
    if reset >= _INSTANTS_FROM * 1000:
        reset /= 1000
    if reset >= _INSTANTS_FROM:
        reset -= now.timestamp()
    return min(max(reset, 0.0), LONGEST_PAUSE_S)


def _said(headers: Mapping[str, str]) -> dict[str, str]:
    whole = headers.get("ratelimit")
    if whole is not None:
        return {_PARTS[k.lower()]: v for k, v in _PART.findall(whole) if k.lower() in _PARTS}
    found: dict[str, str] = {}
    for prefix in _PREFIXES:
        for name in ("remaining", "reset"):
            value = headers.get(prefix + name)
            if value is not None:
                found.setdefault(name, value)
    return found


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text.partition(";")[0].partition(",")[0])
    except ValueError:
        return None
