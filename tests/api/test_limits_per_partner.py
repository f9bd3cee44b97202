"""Limits hold per partner: a burst is told 429 with Retry-After, to that partner alone.

Real servers on real sockets: two processes' worth of door over one database, many senders at once.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy import Engine, func, select

from api.main import create_app
from db import configuration, sources, throttles
from db.tables import raw_message, throttle
from db.throttles import Rate
from tests.api.conftest import NETWORK
from tests.collectors.test_otlp import record, request
from tower.network import load_network

AT = datetime(2026, 3, 27, 10, tzinfo=UTC)

LIMITED = NETWORK.replace(
    "  folder: {",
    "  acme: {kind: push, format: cloudevents, system: edi, partner: ACME, silent_after: 24h}\n"
    "  bolt: {kind: push, format: cloudevents, system: edi, partner: BOLT, silent_after: 24h}\n"
    "  spans: {kind: push, format: otlp, system: edi, partner: ACME, silent_after: 24h}\n"
    "  lines: {kind: push, format: log, system: edi, partner: ACME, silent_after: 24h,"
    " mapping: json_log}\n"
    "  folder: {",
).replace(
    "partners:\n  ACME: {name: Acme,",
    "partners:\n  BOLT: {name: Bolt, limits: {per_minute: 1000}}\n"
    "  ACME: {name: Acme, limits: {per_minute: 30, burst: 10, max_bytes: 2kB},",
)


class Clock:
    """One time for all servers; tests move it."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def serving(engine: Engine, clock: Clock) -> Iterator[str]:
    """A machine door on a free port; its address."""
    app = create_app(engine)
    app.state.doors.clock = clock
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    )
    running = threading.Thread(target=server.run)
    running.start()
    try:
        while not server.started:
            assert running.is_alive()
            running.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        running.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def addresses(database: Engine, clock: Clock) -> Iterator[list[str]]:
    """Two servers over one database."""
    network = load_network(LIMITED, "network.yaml")
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, LIMITED, AT)
        configuration.store_partners(conn, network)
        sources.register(conn, network.sources)
    with ExitStack() as stack:
        yield [stack.enter_context(serving(database, clock)) for _ in range(2)]


def failed(who: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{who}-{number}",
        "source": f"/{who}",
        "type": "message.failed",
        "time": "2026-03-27T10:00:00Z",
        "data": {"text": "lost"},
    } | more


def send(address: str, source: str, body: Any) -> httpx.Response:
    kind = "batch+json" if isinstance(body, list) else "+json"
    return httpx.post(
        f"{address}/v1/events",
        content=json.dumps(body),
        headers={
            "x-tower-source": source,
            "content-type": f"application/cloudevents{'-' if kind[0] == 'b' else ''}{kind}",
        },
        timeout=60,
    )


def test_a_burst_of_one_partner_is_held_back_and_no_other_notices(
    database: Engine, addresses: list[str], clock: Clock
) -> None:
    jobs = [(addresses[n % 2], who, failed(who, n)) for n in range(40) for who in ("acme", "bolt")]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda job: (job[1], send(*job)), jobs))
    told = Counter((who, answer.status_code) for who, answer in answers)
    assert told == {("acme", 202): 10, ("acme", 429): 30, ("bolt", 202): 40}
    for who, answer in answers:
        if answer.status_code == 429:
            assert who == "acme"
            # Thirty in a minute: a token every two seconds.
            assert answer.headers["retry-after"] == "2"
            assert "ACME sends more than 30 messages" in answer.json()["error"]
            assert "limits" in answer.json()["next"]
    with database.connect() as conn:
        kept = dict(
            conn.execute(
                select(raw_message.c.source, func.count()).group_by(raw_message.c.source)
            ).all()
        )
    assert kept == {"acme": 10, "bolt": 40}, "nothing of a refused request is kept"

    clock.now += timedelta(seconds=2)
    assert send(addresses[0], "acme", failed("acme", 90)).status_code == 202
    assert send(addresses[1], "acme", failed("acme", 91)).status_code == 429
    assert httpx.post(f"{addresses[1]}/v1/heartbeats/acme").status_code == 202, "beats go through"


def test_a_batch_counts_each_of_its_events(addresses: list[str], clock: Clock) -> None:
    batch = [failed("acme", n) for n in range(8)]
    assert send(addresses[0], "acme", batch).status_code == 202
    more = send(addresses[0], "acme", [failed("acme", n) for n in range(10, 16)])
    assert more.status_code == 429
    assert more.headers["retry-after"] == "8", "four tokens are missing"
    clock.now += timedelta(seconds=8)
    assert send(addresses[0], "acme", [failed("acme", n) for n in range(10, 16)]).status_code == 202


def test_a_shared_feed_charges_the_partner_that_all_of_it_belongs_to(
    addresses: list[str],
) -> None:
    def batch(first: int, *partners: str) -> list[dict[str, Any]]:
        return [failed("hub", first + n, partner=p) for n, p in enumerate(partners)]

    assert send(addresses[0], "platform", batch(0, *["ACME"] * 10)).status_code == 202
    assert send(addresses[0], "platform", batch(20, "ACME")).status_code == 429
    assert send(addresses[0], "platform", batch(30, "BOLT")).status_code == 202
    assert send(addresses[0], "platform", batch(40, "ACME", "BOLT")).status_code == 202
    assert send(addresses[0], "platform", [failed("hub", 50)]).status_code == 202


def test_a_message_larger_than_its_partner_may_send_is_refused(
    database: Engine, addresses: list[str]
) -> None:
    large = failed("acme", 1, data={"text": "x" * 3000})
    answer = send(addresses[0], "acme", large)
    assert answer.status_code == 413
    assert "larger than ACME may send" in answer.json()["error"]
    assert send(addresses[0], "bolt", failed("bolt", 1, data=large["data"])).status_code == 202
    with database.connect() as conn:
        assert conn.execute(select(func.count()).select_from(throttle)).scalar_one() == 1


def test_limits_hold_at_the_doors_for_logs_too(addresses: list[str]) -> None:
    batch = [failed("acme", n) for n in range(10)]
    assert send(addresses[0], "acme", batch).status_code == 202
    spans = httpx.post(
        f"{addresses[0]}/v1/logs",
        json=request(record("lost")),
        headers={"x-tower-source": "spans"},
    )
    assert (spans.status_code, spans.headers["retry-after"]) == (429, "2")
    assert "ACME sends more than" in spans.json()["message"]
    lines = httpx.post(f"{addresses[1]}/v1/log-lines/lines", json={"message": "lost"})
    assert (lines.status_code, lines.headers["retry-after"]) == (429, "2")
    broken = httpx.post(
        f"{addresses[0]}/v1/logs",
        content=b"{",
        headers={"x-tower-source": "spans", "content-type": "application/json"},
    )
    assert broken.status_code == 429, "what cannot be read is not kept for nothing"


def test_a_bucket_never_holds_more_than_its_burst_and_never_goes_back(database: Engine) -> None:
    rate = Rate(per_minute=60, burst=5)

    def take(cost: int, seconds: float) -> int | None:
        with database.begin() as conn:
            return throttles.take(conn, "k", cost, rate, AT + timedelta(seconds=seconds))

    assert take(5, 0) is None
    assert take(1, 0) == 1
    assert take(5, 3) == 2
    assert take(5, 1000) is None, "a long quiet time fills the bucket once"
    assert take(1, 1000) == 1
    assert take(1, 500) == 1, "an older clock gives nothing back"
    assert take(99, 1000) == 5, "more than the burst waits for a full bucket"
    assert take(99, 1005) is None
