"""Routes of the API gateways: what went over them, how fast, and how much of a limit is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Float, case, cast, func, select

from db.reads.rows import record
from db.tables import gateway_minute
from tower.access import Scope
from tower.gateway import LATENCY_BOUNDS_MS, quantile

MOST_ROUTES = 200
MOST_POINTS = 600


@dataclass(frozen=True, slots=True)
class RouteLoad:
    """A route over a time. None = the gateway did not tell, never zero.

    failed      answered 5xx; throttled: answered 429
    p50, p95    milliseconds that half and 95 in 100 of the calls did not exceed (upper bounds of
                the histogram); None also for what is slower than its last bound
    headroom    least share of a rate limit that was left, with the limit and what was left of it
    """

    source: str
    route: str
    partner: str | None
    calls: int
    succeeded: int
    refused: int
    failed: int
    throttled: int
    p50_ms: float | None
    p95_ms: float | None
    headroom: float | None
    limit: int | None
    remaining: int | None
    last_at: datetime


def routes(conn: Connection, scope: Scope, since: datetime, until: datetime) -> list[RouteLoad]:
    """Every route called after ``since`` and until ``until``, most failures first, then busiest.

    Gateways are our own systems: only viewers of all partners see them.
    """
    if not scope.sees_all:
        return []
    t = gateway_minute.c
    calls = func.sum(t.n_1xx + t.n_2xx + t.n_3xx + t.n_4xx + t.n_5xx)
    share = case((t.rate_limit > 0, cast(t.remaining, Float) / t.rate_limit))
    pairs = func.array_agg(func.jsonb_build_array(share, t.rate_limit, t.remaining)).filter(
        share.is_not(None)
    )
    slots = [func.sum(t.latency[n + 1]).label(f"slot_{n}") for n in range(_SLOTS)]
    rows = conn.execute(
        select(
            t.source,
            t.route,
            t.partner,
            calls.label("calls"),
            func.sum(t.n_2xx + t.n_3xx).label("succeeded"),
            func.sum(t.n_4xx).label("refused"),
            func.sum(t.n_5xx).label("failed"),
            func.sum(t.throttled).label("throttled"),
            pairs.label("limits"),
            func.max(t.minute).label("last_at"),
            *slots,
        )
        .where(t.minute > since, t.minute <= until)
        .group_by(t.source, t.route, t.partner)
        .order_by(func.sum(t.n_5xx + t.throttled).desc(), calls.desc(), t.route, t.partner)
        .limit(MOST_ROUTES)
    )
    return [_load(row) for row in rows]


_SLOTS = len(LATENCY_BOUNDS_MS) + 1


def _load(row: Any) -> RouteLoad:
    histogram = [int(getattr(row, f"slot_{n}") or 0) for n in range(_SLOTS)]
    least = min(row.limits or [], default=None)
    return RouteLoad(
        source=row.source,
        route=row.route,
        partner=row.partner or None,
        calls=int(row.calls),
        succeeded=int(row.succeeded),
        refused=int(row.refused),
        failed=int(row.failed),
        throttled=int(row.throttled),
        p50_ms=quantile(histogram, 0.5),
        p95_ms=quantile(histogram, 0.95),
        headroom=None if least is None else float(least[0]),
        limit=None if least is None else int(least[1]),
        remaining=None if least is None else int(least[2]),
        last_at=row.last_at,
    )


def over_time(
    conn: Connection, scope: Scope, source: str, route: str, since: datetime, until: datetime
) -> list[Mapping[str, Any]]:
    """Calls of one route in time order, summed over partners, in at most 600 slices of whole
    minutes: ``at`` (start), calls, failed, throttled, headroom (least, None = not told).
    """
    if not scope.sees_all:
        return []
    t = gateway_minute.c
    width = max(60, int((until - since).total_seconds() / MOST_POINTS / 60) * 60)
    slice_ = func.floor(func.extract("epoch", t.minute) / width)
    share = case((t.rate_limit > 0, cast(t.remaining, Float) / t.rate_limit))
    rows = conn.execute(
        select(
            func.min(t.minute).label("at"),
            func.sum(t.n_1xx + t.n_2xx + t.n_3xx + t.n_4xx + t.n_5xx).label("calls"),
            func.sum(t.n_5xx).label("failed"),
            func.sum(t.throttled).label("throttled"),
            func.min(share).label("headroom"),
        )
        .where(t.source == source, t.route == route, t.minute > since, t.minute <= until)
        .group_by(slice_)
        .order_by(slice_)
    )
    return [record(row) for row in rows]
