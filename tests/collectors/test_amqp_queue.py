"""Messages consumed from a real RabbitMQ: acknowledged after commit, never lost, never doubled."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pika
import pytest
from sqlalchemy import Engine, func, select

from collectors.amqp_link import Delivery, kept_headers, raw_of
from collectors.contract import Reader
from collectors.registry import interpret, reader_for
from db import sources
from db.tables import event, ingest_ledger, sighting
from tests.collectors.brokers import Line, RabbitHost
from tests.collectors.conformance import World, collector_conformance
from tests.collectors.worlds import network
from tower.errors import AccessDenied, ConfigError, SourceUnavailable
from tower.network import Network, load_network
from tower.raw import Budget
from worker.reading import read_source

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def placed(n: int) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"placed-{n}",
            "source": "/shop",
            "type": "order.placed",
            "time": "2026-03-27T10:00:00Z",
            "data": {
                "erp": "main",
                "order": f"SO-{n}",
                "customer": "C1",
                "lines": [{"line": "1", "item": "A-1", "qty": "5", "price": "2.50"}],
            },
        }
    )


class AmqpWorld(World):
    """A queue of CloudEvents behind a line that can be cut."""

    pace = timedelta(minutes=1)
    faults: ClassVar[Mapping[str, type[Exception]]] = {
        "line cut": SourceUnavailable,
        "wrong password": AccessDenied,
        "queue gone": ConfigError,
    }
    queue_type = "classic"

    def __init__(self, folder: Path) -> None:
        self.host = RabbitHost()
        self.line = Line(5672)
        self.secret = self.host.password
        self.readers: list[Any] = []
        self.held: Any = None
        super().__init__(folder)
        self.host.declare("orders", x_queue_type=self.queue_type)

    def network(self) -> Network:
        return network(
            f"""
sources:
  feed:
    kind: amqp
    format: cloudevents
    system: erp
    options: {{url: "{self.host.address(self.line.port)}", queue: orders, user: {self.host.user},
              password_variable: PW, timeout: 5s}}
"""
        )

    def reader(self) -> Reader:
        for earlier in self.readers:  # its process is dead: the system closes its sockets
            earlier.close()
        self.readers = [super().reader()]
        return self.readers[0]  # type: ignore[no-any-return]

    def secrets(self) -> Mapping[str, str]:
        return {"PW": self.host.password}

    def content(self, n: int) -> bytes:
        return placed(n)

    def put(self, n: int) -> None:
        self.host.publish("orders", placed(n), message_id=f"m-{n}")

    def repeat(self, n: int) -> None:
        self.put(n)

    def put_half(self, n: int) -> None:
        self.held = self.host._connection.channel()
        self.held.tx_select()
        self.held.basic_publish("", "orders", placed(n), pika.BasicProperties(message_id=f"m-{n}"))

    def put_rest(self, n: int) -> None:
        self.held.tx_commit()

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        match fault:
            case "line cut":
                self.line.cut()
            case "wrong password":
                self.host.set_password("another")
            case "queue gone":
                self.host.channel.queue_delete("orders")
        try:
            yield
        finally:
            self.line.mend()
            self.host.set_password(self.host.password)
            if fault == "queue gone":
                self.host.declare("orders", x_queue_type=self.queue_type)
                self.put(1)

    def close(self) -> None:
        for reader in self.readers:
            reader.close()
        self.line.close()
        self.host.close()


class QuorumWorld(AmqpWorld):
    """The same on a quorum queue."""

    queue_type = "quorum"

    def put_half(self, n: int) -> None:
        """Such queues know no transactions of this kind: nothing arrives yet."""

    def put_rest(self, n: int) -> None:
        self.put(n)


test_queue_of_a_broker = pytest.mark.rabbitmq(collector_conformance(AmqpWorld))
test_quorum_queue_of_a_broker = pytest.mark.rabbitmq(collector_conformance(QuorumWorld))


# --- what is kept of a message ----------------------------------------------------------------


def delivery(body: bytes = b"{}", headers: Any = None, **properties: Any) -> Delivery:
    return Delivery(1, body, headers or {}, properties, "orders", "", False)


def test_the_key_is_the_message_id_with_the_hash_of_the_bytes() -> None:
    first = raw_of("s", delivery(b"a", message_id="7"), "text/csv", NOW)
    assert first.key == raw_of("s", delivery(b"a", message_id="7"), "x", NOW).key
    assert first.key != raw_of("s", delivery(b"b", message_id="7"), "x", NOW).key
    assert raw_of("s", delivery(b"a"), "text/csv", NOW).media_type == "text/csv"
    assert raw_of("s", delivery(b"a", content_type="a/b; c=d"), "x", NOW).media_type == "a/b"


def test_secrets_and_names_of_ours_are_not_kept_and_tables_become_json() -> None:
    found = kept_headers(
        delivery(
            headers={
                "Authorization": "Bearer x",
                "X-Api-Key": "k",
                "partner": "ACME",
                "rendered": "json",
                "x-death": [{"queue": b"q", "count": 2}],
                "Attempt": 3,
            },
            timestamp=1774605600,
            correlation_id="c",
        )
    )
    assert found == {
        "x-death": '[{"count": 2, "queue": "q"}]',
        "attempt": "3",
        "timestamp": "2026-03-27T10:00:00+00:00",
        "correlation-id": "c",
    }


def test_a_cloud_event_in_headers_is_read_like_one_over_http() -> None:
    net = network(
        "sources:\n  feed: {kind: amqp, format: cloudevents, system: erp, "
        "options: {url: 'amqp://127.0.0.1', queue: q}}"
    )
    sent = delivery(
        orjson.dumps({"order": "SO-1", "reason": "x"}),
        {
            "cloudEvents:specversion": "1.0",
            "cloudEvents:type": "order.cancelled",
            "cloudEvents:source": "/shop%C3%A9",
            "cloudEvents:id": "9",
            "cloudEvents:time": "2026-03-27T10:00:00+02:00",
        },
        content_type="application/json",
    )
    reading = interpret(raw_of("feed", sent, "application/json", NOW), net)
    (found,) = reading.events
    assert (found.type, found.data["order"]) == ("order.cancelled", "SO-1")
    assert found.occurred_at == datetime(2026, 3, 27, 8, tzinfo=UTC)


def test_a_broker_that_is_not_there_is_unavailable_and_says_where() -> None:
    net = network(
        "sources:\n  feed: {kind: amqp, format: json, system: erp, mapping: m, "
        "options: {url: 'amqp://127.0.0.1:1/orders', queue: q, timeout: 1s}}",
        "mappings: {m: {format: json, emit: [{event: po.held, fields: {po: po}}]}}",
    )
    reader = reader_for("feed", net.sources["feed"], net, {})
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1 does not answer"):
        list(reader.read(None, Budget(), NOW))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://broker:15672", "not the address of an AMQP broker"),
        ("amqp://me:secret@broker/", "must not carry a password"),
    ],
)
def test_a_wrong_address_says_what_to_write(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        network(
            "sources:\n  feed: {kind: amqp, format: cloudevents, system: erp, "
            f"options: {{url: '{url}', queue: q}}}}"
        )


# --- a consumer that is killed ----------------------------------------------------------------

CONSUMER = """
import os, signal, sys
from datetime import UTC, datetime
from collectors.registry import reader_for
from db import engine
from tower.network import load_network
from tower.raw import Budget
from worker.reading import read_source

net = load_network(sys.argv[2], "network.yaml")
reader = reader_for("feed", net.sources["feed"], net, {"PW": "guest"})

def probe(step):
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

read_source(engine.create(sys.argv[1]), net, "feed", reader, holder=sys.argv[4],
            now=datetime.now(UTC), budget=Budget(messages=3), probe=probe)
"""


@pytest.mark.rabbitmq
@pytest.mark.parametrize("step", ["read", "stored"])
def test_a_consumer_killed_around_its_commit_loses_and_doubles_nothing(
    step: str, database: Engine, database_url: str
) -> None:
    host = RabbitHost()
    try:
        host.declare("orders")
        for n in range(5):
            host.publish("orders", placed(n), message_id=f"m-{n}")
        text = orjson.dumps(_network_of(host)).decode()
        net = load_network(text, "network.yaml")
        with database.begin() as conn:
            sources.register(conn, net.sources)
        killed = subprocess.run(
            [sys.executable, "-c", CONSUMER, database_url, text, step, "first"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        committed = 3 if step == "stored" else 0
        assert _count(database, ingest_ledger) == committed
        assert host.depth("orders") == 5  # nothing was acknowledged
        reader = reader_for("feed", net.sources["feed"], net, {"PW": "guest"})
        later = datetime.now(UTC) + timedelta(hours=1)  # the dead reader's lease has ended
        for n in range(3):
            result = read_source(
                database, net, "feed", reader, holder="second", now=later + timedelta(minutes=5 * n)
            )
            assert result.state == "up"
        assert host.depth("orders") == 0
        assert (_count(database, ingest_ledger), _count(database, event)) == (5, 5)
        assert _count(database, sighting) == committed
    finally:
        host.close()


def _network_of(host: RabbitHost) -> dict[str, Any]:
    import yaml

    from tests.collectors.worlds import REST_OF_NETWORK

    return {
        **yaml.safe_load(REST_OF_NETWORK),
        "sources": {
            "feed": {
                "kind": "amqp",
                "format": "cloudevents",
                "system": "erp",
                "options": {
                    "url": host.address(),
                    "queue": "orders",
                    "user": "guest",
                    "password_variable": "PW",
                },
            }
        },
    }


def _count(engine: Engine, table: Any) -> int:
    with engine.connect() as conn:
        return int(conn.execute(select(func.count()).select_from(table)).scalar_one())
