"""Dead letters captured from a real broker: where and why they died, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pika
import pytest
from sqlalchemy import Engine, func, select

from collectors.amqp_link import Delivery
from collectors.dead_letters import captured
from collectors.registry import interpret
from db.tables import dead_letter, event, raw_message
from tests.collectors.brokers import MANAGEMENT, RabbitHost
from tests.collectors.conformance import INTERPRETER_CHECKS, World, collector_conformance
from tests.collectors.worlds import REST_OF_NETWORK, network
from tower.errors import ConfigError
from tower.network import Network, load_network
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw
from worker.capture import Captured, capture

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
SECRETS = {"PW": "guest"}


def text_of(host: RabbitHost) -> str:
    return (
        f"{REST_OF_NETWORK}\nsources:\n  broker: {{kind: rabbitmq, format: queue, system: erp, "
        f"options: {{url: '{MANAGEMENT}', user: guest, password_variable: PW, "
        f"vhost: {host.vhost}}}}}\n"
    )


def body(n: int) -> bytes:
    return orjson.dumps({"po": f"45000{n:05d}", "note": "ü"})


@pytest.fixture
def host() -> Iterator[RabbitHost]:
    made = RabbitHost()
    yield made
    made.close()


def dead(host: RabbitHost, count: int, kind: str = "classic") -> None:
    """A queue whose messages were refused by their consumer."""
    host.declare("work", x_dead_letter_exchange="", x_dead_letter_routing_key="work.dlq")
    host.declare("work.dlq", x_queue_type=kind)
    for n in range(count):
        host.publish(
            "work", body(n), message_id=f"m-{n}", correlation_id=f"c-{n}",
            headers={"X-Exception-Message": "no such item"},
        )  # fmt: skip
        method, _, _ = host.channel.basic_get("work")
        assert method is not None
        host.channel.basic_reject(method.delivery_tag, requeue=False)
    while host.depth("work.dlq") < count:
        time.sleep(0.05)


def take(engine: Engine, host: RabbitHost, **more: Any) -> Captured:
    told: dict[str, Any] = {"most": 1000, "keep": False, "now": NOW, "secrets": SECRETS} | more
    net = load_network(text_of(host), "network.yaml")
    return capture(engine, net, "broker", "work.dlq", **told)


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as conn:
        return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.mark.rabbitmq
def test_a_capture_tells_where_and_why_each_message_died(
    host: RabbitHost, database: Engine
) -> None:
    dead(host, 3)
    assert take(database, host, most=2) == Captured("work.dlq", 2, 0, 0, False)
    assert host.depth("work.dlq") == 1
    assert take(database, host).accepted == 1
    assert host.depth("work.dlq") == 0
    with database.connect() as conn:
        rows = conn.execute(select(event).order_by(event.c.correlation_id)).all()
        raws = conn.execute(select(raw_message.c.headers)).scalars().all()
    assert [(row.type, row.correlation_id) for row in rows] == [
        ("message.dead_lettered", f"c-{n}") for n in range(3)
    ]
    assert rows[1].data == {
        "erp": "main", "po": "4500000001", "message": "m-1", "hop": "work", "queue": "work.dlq",
        "attempt": 1, "error_class": "rejected", "text": "no such item",
    }  # fmt: skip
    assert abs((rows[1].occurred_at - datetime.now(UTC)).total_seconds()) < 600
    assert all("x-death" in headers for headers in raws)


@pytest.mark.rabbitmq
def test_messages_may_stay_in_a_classic_queue_and_count_once(
    host: RabbitHost, database: Engine
) -> None:
    dead(host, 2)
    assert take(database, host, keep=True) == Captured("work.dlq", 2, 0, 0, True)
    assert host.depth("work.dlq") == 2
    assert take(database, host) == Captured("work.dlq", 0, 2, 0, False)
    assert host.depth("work.dlq") == 0
    assert count(database, event) == 2


@pytest.mark.rabbitmq
def test_a_quorum_queue_is_not_peeked_at(host: RabbitHost, database: Engine) -> None:
    dead(host, 1, "quorum")
    with pytest.raises(ConfigError, match="Capture without --keep"):
        take(database, host, keep=True)
    assert host.depth("work.dlq") == 1
    assert take(database, host).accepted == 1


@pytest.mark.rabbitmq
def test_a_body_that_is_no_text_is_captured_too(host: RabbitHost, database: Engine) -> None:
    host.declare("work.dlq")
    host.channel.basic_publish("", "work.dlq", b"\xff\x00", pika.BasicProperties())
    assert take(database, host).accepted == 1
    assert (count(database, event), count(database, dead_letter)) == (1, 1)


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from db import engine
from tower.network import load_network
from worker.capture import capture

def probe(step):
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

net = load_network(sys.argv[2], "network.yaml")
capture(engine.create(sys.argv[1]), net, "broker", "work.dlq", most=1000, keep=False,
        now=datetime.now(UTC), secrets={"PW": "guest"}, probe=probe)
"""


@pytest.mark.rabbitmq
@pytest.mark.parametrize(("step", "known"), [("read", 0), ("stored", 3)])
def test_a_capture_that_is_killed_loses_and_doubles_nothing(
    step: str, known: int, host: RabbitHost, database: Engine, database_url: str
) -> None:
    dead(host, 3)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, database_url, text_of(host), step],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert host.depth("work.dlq") == 3
    assert take(database, host) == Captured("work.dlq", 3 - known, known, 0, False)
    assert host.depth("work.dlq") == 0
    assert (count(database, event), count(database, raw_message)) == (3, 3)


def test_an_unknown_broker_says_which_there_are(database: Engine) -> None:
    net = network("sources:\n  feed: {kind: push, format: x12, system: erp}")
    with pytest.raises(ConfigError, match="known are none"):
        capture(database, net, "feed", "q", most=1, keep=False, now=NOW, secrets={})


# --- the interpreter ----------------------------------------------------------------------------


def delivery(n: int = 0, **headers: Any) -> Delivery:
    told = {"message_id": f"m-{n}", "correlation_id": f"c-{n}"}
    return Delivery(1, body(n), headers, told, "work", "", False)


def test_a_death_that_is_not_told_is_missing() -> None:
    net = DeadLetters.NET
    for broken in ("", "no json", '{"a": 1}', "[1, null]", '[{"count": "x", "time": 5}]'):
        raw = captured("broker", "q.dlq", delivery(**{"x-death": broken}), NOW)
        (found,) = interpret(raw, net).events
        assert "attempt" not in found.data
        assert "error_class" not in found.data
        assert found.occurred_at == NOW


class DeadLetters(World):
    """Captured messages."""

    source = "broker"
    NET = network(
        "sources:\n  broker: {kind: rabbitmq, format: queue, system: erp, "
        "options: {url: 'http://127.0.0.1:1'}}"
    )

    def __init__(self, folder: Path) -> None:
        self.inbox: list[Raw] = []
        super().__init__(folder)

    def network(self) -> Network:
        return self.NET

    def reader(self) -> Any:
        return self

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        yield Batch("broker", tuple(self.inbox), heartbeat=Heartbeat("broker", now, now))

    def settle(self, batch: Batch) -> None:
        """Nothing to do."""

    def put(self, n: int) -> None:
        deaths: list[Mapping[str, Any]] = [
            {"queue": "work", "reason": "rejected", "count": 2, "time": NOW}
        ]
        self.inbox.append(captured("broker", "work.dlq", delivery(n, **{"x-death": deaths}), NOW))


test_captured_messages = collector_conformance(DeadLetters, *INTERPRETER_CHECKS)
