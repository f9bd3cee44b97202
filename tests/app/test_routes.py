"""The queues page shows the routes of gateways, also where no broker is."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine

from db import gateway
from tests.app.conftest import Open
from tower.gateway import GatewayMinute


def test_routes_are_shown_and_what_was_not_told_is_missing(
    screens: Open, database: Engine, now: datetime
) -> None:
    told = GatewayMinute(
        source="gw",
        part="p",
        upto=9,
        minute=now - timedelta(minutes=5),
        route="POST /v1/orders",
        partner="",
        classes=(0, 7, 0, 2, 1),
        throttled=1,
        latency=(0, 10, *([0] * 10)),
    )
    with database.begin() as conn:
        gateway.keep(conn, [told])
    at = screens("queues")
    assert not at.exception, at.exception
    (shown,) = (frame.value for frame in at.dataframe)
    row = shown.iloc[0]
    assert (row["Route"], row["Calls"], row["Failed"], row["Refused"]) == (
        "POST /v1/orders", 10, 1, 1,
    )  # fmt: skip
    assert row["95 % within ms"] == 10
    assert shown["Least headroom"].isna().all()
