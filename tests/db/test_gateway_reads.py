"""Minutes of gateways in the database: order, repetition and new names of routes change no sum."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from db import gateway
from db.reads import gateway as reads
from db.tables import gateway_minute
from tower.access import EVERYTHING, Scope
from tower.gateway import GatewayMinute

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


def minute(
    part: str, upto: int, n: int = 0, route: str = "GET /a", **more: object
) -> GatewayMinute:
    made = GatewayMinute(
        source="gw",
        part=part,
        upto=upto,
        minute=NOW + timedelta(minutes=n),
        route=route,
        partner="",
        classes=(0, 8, 0, 1, 1),
        throttled=1,
        latency=(10, *([0] * 11)),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def calls(conn: Connection) -> int:
    t = gateway_minute.c
    total = func.sum(t.n_1xx + t.n_2xx + t.n_3xx + t.n_4xx + t.n_5xx)
    return int(conn.execute(select(func.coalesce(total, 0))).scalar_one())


def test_the_count_that_got_further_holds_in_any_order(connection: Connection) -> None:
    told = [
        minute("p1", 100),
        minute("p1", 200, classes=(0, 18, 0, 1, 1)),
        minute("p1", 200, 1),
        minute("p2", 50),
    ]
    for seed in range(8):
        chance = random.Random(seed)
        connection.execute(gateway_minute.delete())
        several = [*told, *told]
        chance.shuffle(several)
        while several:
            take = chance.randrange(1, 4)
            gateway.keep(connection, several[:take])
            several = several[take:]
        gateway.keep(connection, told)
        assert calls(connection) == 20 + 10 + 10, seed


def test_a_route_that_got_another_name_is_not_counted_under_both(connection: Connection) -> None:
    gateway.keep(connection, [minute("p", 100, route="GET /old")])
    gateway.keep(connection, [minute("p", 200, route="orders", classes=(0, 20, 0, 0, 0))])
    gateway.keep(connection, [minute("p", 150, route="GET /old")])  # comes late
    (only,) = reads.routes(connection, EVERYTHING, NOW - timedelta(hours=1), NOW)
    assert (only.route, only.calls) == ("orders", 20)


def test_routes_tell_load_latency_and_headroom(connection: Connection) -> None:
    slow = (0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0)
    gateway.keep(
        connection,
        [
            minute("p", 9, limit=60, remaining=30),
            minute("p", 9, 1, limit=60, remaining=6),
            minute("p", 9, 1, "GET /b", classes=(0, 10, 0, 0, 0), throttled=0, latency=slow),
            minute("p", 9, 1, "GET /c", partner="ACME", limit=0, remaining=0, latency=(0,) * 12),
        ],
    )
    found = {
        load.route: load
        for load in reads.routes(
            connection, EVERYTHING, NOW - timedelta(hours=1), NOW + timedelta(hours=1)
        )
    }
    a, b, c = found["GET /a"], found["GET /b"], found["GET /c"]
    assert (a.calls, a.succeeded, a.refused, a.failed, a.throttled) == (20, 16, 2, 2, 2)
    assert (a.headroom, a.limit, a.remaining) == (0.1, 60, 6)
    assert (a.p50_ms, b.p95_ms) == (5.0, 2500.0)
    assert (b.headroom, b.limit, b.remaining) == (None, None, None)  # not told is not zero
    assert (c.partner, c.p50_ms, c.headroom) == ("ACME", None, None)
    points = reads.over_time(
        connection, EVERYTHING, "gw", "GET /a", NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    )
    told = [(point["calls"], point["failed"], point["headroom"]) for point in points]
    assert told == [(10, 1, 0.5), (10, 1, 0.1)]
    assert reads.routes(connection, Scope(frozenset({"ACME"})), NOW - timedelta(hours=1), NOW) == []
