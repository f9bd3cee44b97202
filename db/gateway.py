"""Route minutes of API gateways as rows: of two counts of one part the one that got further holds.

Set-based, and the same whatever the order and however often counts come.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from db import records
from tower.gateway import GatewayMinute
from tower.identity import source_key

# Counts of a part that is known further than they are must not come back as rows of their own: a
# route may have got another name since. In the same way what was counted earlier goes.
_PUT = text(
    """
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS g (
            source_key bigint, source text, part text, upto bigint, minute timestamptz,
            route text, partner text, n_1xx bigint, n_2xx bigint, n_3xx bigint, n_4xx bigint,
            n_5xx bigint, throttled bigint, latency bigint[], rate_limit bigint, remaining bigint)
    ), further AS (
        SELECT g.* FROM given g WHERE NOT EXISTS (
            SELECT FROM gateway_minute m
            WHERE m.source_key = g.source_key AND m.source = g.source AND m.part = g.part
              AND m.upto > g.upto)
    ), gone AS (
        DELETE FROM gateway_minute m USING (
            SELECT DISTINCT source_key, source, part, upto FROM further) f
        WHERE m.source_key = f.source_key AND m.source = f.source AND m.part = f.part
          AND m.upto < f.upto
          AND NOT EXISTS (
            SELECT FROM further k
            WHERE k.source_key = m.source_key AND k.source = m.source AND k.part = m.part
              AND k.minute = m.minute AND k.route = m.route AND k.partner = m.partner)
    )
    INSERT INTO gateway_minute AS m (source_key, source, part, upto, minute, route, partner, n_1xx,
        n_2xx, n_3xx, n_4xx, n_5xx, throttled, latency, rate_limit, remaining)
    SELECT source_key, source, part, upto, minute, route, partner, n_1xx, n_2xx, n_3xx, n_4xx,
        n_5xx, throttled, latency, rate_limit, remaining
    FROM further ORDER BY source_key, source, part, minute, route, partner
    ON CONFLICT (source_key, source, part, minute, route, partner) DO UPDATE SET
        upto = excluded.upto, n_1xx = excluded.n_1xx, n_2xx = excluded.n_2xx,
        n_3xx = excluded.n_3xx, n_4xx = excluded.n_4xx, n_5xx = excluded.n_5xx,
        throttled = excluded.throttled, latency = excluded.latency,
        rate_limit = excluded.rate_limit, remaining = excluded.remaining
    WHERE m.upto < excluded.upto
    """
)


def keep(conn: Connection, minutes: Sequence[GatewayMinute]) -> int:
    """Keep counts in the caller's transaction; returns how many were given."""
    newest: dict[tuple[str, str], int] = {}
    for one in minutes:
        part = (one.source, one.part)
        newest[part] = max(one.upto, newest.get(part, 0))
    rows = {
        (one.source, one.part, one.minute, one.route, one.partner): {
            "source_key": source_key(one.source),
            "source": one.source,
            "part": one.part,
            "upto": one.upto,
            "minute": one.minute,
            "route": one.route,
            "partner": one.partner,
            **{f"n_{n}xx": count for n, count in enumerate(one.classes, start=1)},
            "throttled": one.throttled,
            "latency": one.latency,
            "rate_limit": one.limit,
            "remaining": one.remaining,
        }
        for one in minutes
        if one.upto == newest[(one.source, one.part)]
    }
    if rows:
        conn.execute(_PUT, {"rows": records.as_json(list(rows.values()))})
    return len(minutes)
