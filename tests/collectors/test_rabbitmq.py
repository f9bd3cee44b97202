"""Queue samples: what the broker does not tell is not zero. Some run against a real broker."""

from __future__ import annotations

import base64
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from collectors.registry import reader_for
from tests.collectors.conformance import (
    SAMPLER_CHECKS,
    World,
    collector_conformance,
    faults_are_mapped_to_families,
)
from tests.collectors.worlds import Service, as_json, network
from tower.errors import AccessDenied, ConfigError, SourceThrottled, SourceUnavailable
from tower.network import Network
from tower.raw import Budget, QueueSample

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
SAMPLE = (
    Path(__file__).resolve().parents[3]
    / "shared/data/logs_metrics/telegraf/rabbitmq/testdata/set1/queues.json"
)
FORMATS = Path(__file__).resolve().parents[1] / "fixtures" / "formats"
BROKER = "http://127.0.0.1:15672"


class Management(Service):
    """A management API that answers with given queues; an old one knows no detailed list."""

    def __init__(self, queues: list[dict[str, Any]], *, old: bool = False) -> None:
        super().__init__()
        self.queues = queues
        self.old = old
        self.status = 200
        self.bindings: dict[str, list[dict[str, Any]]] = {}

    def respond(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self.status != 200:
            return self.status, {}, b"{}"
        if headers.get("authorization") != "Basic " + base64.b64encode(b"mon:pw").decode():
            return 401, {}, b"{}"
        if path.startswith("/api/exchanges/"):
            found = self.bindings.get(path)
            return (404, {}, b"{}") if found is None else (200, {}, as_json(found))
        if path.startswith("/api/queues/detailed") and self.old:
            return 404, {}, b"{}"
        size, page = int(query["page_size"]), int(query["page"])
        items = self.queues[(page - 1) * size : page * size]
        count = -(-len(self.queues) // size)
        return 200, {}, as_json({"items": items, "page_count": count, "page": page})


def net_with(url: str, options: str = "") -> Network:
    return network(
        f"sources:\n  feed: {{kind: rabbitmq, format: queue, system: erp, options: "
        f"{{url: '{url}', user: mon, password_variable: PW{options}}}}}"
    )


def read(url: str, options: str = "", now: datetime = NOW) -> dict[str, QueueSample]:
    net = net_with(url, options)
    reader = reader_for("feed", net.sources["feed"], net, {"PW": "pw"})
    (batch,) = reader.read(None, Budget(), now)
    assert batch.heartbeat is not None
    assert batch.raws == ()
    return {sample.queue: sample for sample in batch.samples}


@pytest.fixture
def management() -> Iterator[Management]:
    service = Management([])
    yield service
    service.close()


def queue(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "vhost": "/", "messages": 3, "messages_ready": 2,
            "messages_unacknowledged": 1, "consumers": 0, **more}  # fmt: skip


def test_what_the_broker_does_not_tell_is_missing_and_not_zero(management: Management) -> None:
    management.queues = [
        queue("used", message_stats={"publish_details": {"rate": 0.0}, "publish": 3}),
        queue("quiet"),
        {"name": "starting", "vhost": "/"},
        queue("odd", messages="many", consumers=True, message_stats=[], arguments=[]),
    ]
    found = read(management.url)
    assert (found["used"].in_rate, found["used"].out_rate) == (0.0, None)
    assert (found["quiet"].in_rate, found["quiet"].oldest_age_s) == (None, None)
    assert found["quiet"].consumers == 0
    starting = found["starting"]
    assert (starting.ready, starting.in_flight, starting.total, starting.consumers) == (None,) * 4
    assert (found["odd"].total, found["odd"].consumers, found["odd"].ready) == (None, None, 2)


def test_what_leaves_in_any_way_is_the_rate_out_and_the_head_tells_the_age(
    management: Management,
) -> None:
    stats = {
        "ack_details": {"rate": 2.0},
        "deliver_no_ack_details": {"rate": 1.5},
        "deliver_get_details": {"rate": 99.0},  # counts what is redelivered, too
        "publish_details": {"rate": 4},
    }
    head = int(NOW.timestamp())
    management.queues = [
        queue("a", message_stats=stats, head_message_timestamp=head - 90),
        queue("b", head_message_timestamp=head + 60),
    ]
    found = read(management.url)
    assert (found["a"].in_rate, found["a"].out_rate, found["a"].oldest_age_s) == (4.0, 3.5, 90.0)
    assert found["b"].oldest_age_s == 0.0  # its publisher's clock is ahead


def test_all_pages_are_read_and_an_old_broker_is_asked_for_its_plain_list() -> None:
    service = Management([queue(f"q{n}") for n in range(7)], old=True)
    try:
        net = net_with(service.url, ", page_size: 3")
        reader = reader_for("feed", net.sources["feed"], net, {"PW": "pw"})
        for _ in range(2):
            (batch,) = reader.read(None, Budget(), NOW)
            assert len(batch.samples) == 7
        detailed = [path for path in service.asked if "detailed" in path]
        assert (len(detailed), len(service.asked)) == (1, 13)  # asked once, then remembered
    finally:
        service.close()


def test_counts_alone_are_the_cheap_question(management: Management) -> None:
    management.queues = [queue("a")]
    read(management.url, ", rates: false")
    (asked,) = management.asked
    assert "disable_stats=true" in asked
    assert "enable_queue_totals=true" in asked


def test_only_the_wanted_queues_are_sampled(management: Management) -> None:
    management.queues = [queue("in.a"), queue("in.b"), queue("amq.gen-x"), queue("other")]
    assert set(read(management.url, ", only: ['in.*', 'amq*'], never: ['*.b', 'amq.gen-*']")) == {
        "in.a"
    }


def test_dead_letter_queues_know_whose_they_are(management: Management) -> None:
    def routed(name: str, exchange: str, key: str | None = None, **more: Any) -> dict[str, Any]:
        arguments = {"x-dead-letter-exchange": exchange}
        if key is not None:
            arguments["x-dead-letter-routing-key"] = key
        return queue(name, arguments=arguments, **more)

    management.queues = [
        routed("a", "", "graveyard"),
        routed("b", "dlx", "b-dead"),
        routed("c", "dlx", "c-dead"),
        routed("d", "fan"),
        queue("e", effective_policy_definition={
            "dead-letter-exchange": "dlx", "dead-letter-routing-key": "c-dead"}),
        routed("f", "gone"),
        queue("g"), queue("g.dlq"), queue("alone.dlq"),
        queue("graveyard"), queue("B"), queue("C"), queue("D"),
    ]  # fmt: skip
    management.bindings = {
        "/api/exchanges/%2F/dlx/bindings/source": [
            {"destination": "B", "destination_type": "queue", "routing_key": "b-dead"},
            {"destination": "C", "destination_type": "queue", "routing_key": "c-dead"},
            {"destination": "x", "destination_type": "exchange", "routing_key": "b-dead"},
        ],
        "/api/exchanges/%2F/fan/bindings/source": [
            {"destination": "D", "destination_type": "queue", "routing_key": ""}
        ],
    }
    found = {name: sample.dlq_of for name, sample in read(management.url).items()}
    assert {name: of for name, of in found.items() if of} == {
        "graveyard": "a",
        "B": "b",
        "C": "c, e",
        "D": "d",
        "g.dlq": "g",
    }


def test_queues_of_other_virtual_hosts_carry_its_name(management: Management) -> None:
    management.queues = [queue("a"), queue("a", vhost="orders")]
    assert set(read(management.url)) == {"a", "orders/a"}
    read(management.url, ", vhost: /")
    assert management.asked[-1].startswith("/api/queues/detailed/%2F?")


@pytest.mark.parametrize("body", [b"<html>", b'{"items": 7}', b'"x"'])
def test_an_answer_that_is_no_list_is_no_good_read(body: bytes) -> None:
    class Odd(Service):
        def respond(self, *_: Any) -> tuple[int, dict[str, str], bytes]:
            return 200, {}, body

    service = Odd()
    try:
        with pytest.raises(SourceUnavailable):
            read(service.url)
    finally:
        service.close()


@pytest.mark.skipif(not SAMPLE.exists(), reason="the public samples are not here")
def test_a_real_answer_of_a_broker_is_read(management: Management) -> None:
    management.queues = orjson.loads(SAMPLE.read_bytes())
    found = read(management.url)
    assert len(found) == len(management.queues)
    one = found["sorandomsorandom/reply_a716f0523cd44941ad2ea6ce4a3869c3"]
    assert (one.ready, one.in_flight, one.total, one.consumers) == (32, 44, 44, 3)
    assert (one.in_rate, one.out_rate) == (11.2, 9.9)
    assert one.oldest_age_s == NOW.timestamp() - 1446362534


def test_the_pretend_brokers_answers_are_read(management: Management) -> None:
    body = orjson.loads((FORMATS / "rabbitmq_queues_detailed.json").read_bytes())
    management.queues = body["items"] if isinstance(body, dict) else body
    found = read(management.url)
    assert len(found) == len(management.queues)
    assert all(sample.total is not None for sample in found.values())


class BrokerWorld(World):
    """A broker without anything in it."""

    secret = "pw"
    faults: ClassVar[Mapping[str, type[Exception]]] = {
        "401": AccessDenied,
        "404": ConfigError,
        "429": SourceThrottled,
        "503": SourceUnavailable,
    }

    def __init__(self, folder: Path) -> None:
        self.service = Management([])
        super().__init__(folder)

    def network(self) -> Network:
        return net_with(self.service.url, ", rates: false")

    def secrets(self) -> Mapping[str, str]:
        return {"PW": "pw"}

    def close(self) -> None:
        self.service.close()


test_broker = collector_conformance(BrokerWorld, *SAMPLER_CHECKS)


@pytest.mark.parametrize(("status", "family"), sorted(BrokerWorld.faults.items()))
def test_faults_of_a_broker_are_told_by_family(
    management: Management, status: str, family: type[Exception]
) -> None:
    management.status = int(status)
    with pytest.raises(family) as caught:
        read(management.url, ", rates: false")
    assert "Basic" not in str(caught.value)
    assert faults_are_mapped_to_families  # the kit's check of the same, for sources with messages


# --- a real broker --------------------------------------------------------------------------------


class Broker:
    """A virtual host of its own on the broker of this machine."""

    def __init__(self) -> None:
        self.vhost = f"tower-test-{secrets.token_hex(4)}"
        self.call("PUT", f"/api/vhosts/{self.vhost}")
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        self.call("PUT", f"/api/permissions/{self.vhost}/guest", rights)

    def call(self, method: str, path: str, body: Any = None) -> None:
        request = urllib.request.Request(  # noqa: S310  the address is written above
            BROKER + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "authorization": "Basic " + base64.b64encode(b"guest:guest").decode(),
                "content-type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass

    def declare(self, name: str, **arguments: Any) -> None:
        body = {"durable": True, "arguments": arguments}
        self.call("PUT", f"/api/queues/{self.vhost}/{name}", body)

    def publish(self, name: str) -> None:
        body = {"properties": {}, "routing_key": name, "payload": "x", "payload_encoding": "string"}
        self.call("POST", f"/api/exchanges/{self.vhost}/amq.default/publish", body)

    def read(self, options: str = "") -> dict[str, QueueSample]:
        net = network(
            f"sources:\n  feed: {{kind: rabbitmq, format: queue, system: erp, options: "
            f"{{url: '{BROKER}', user: guest, password_variable: PW, vhost: {self.vhost}"
            f"{options}}}}}"
        )
        reader = reader_for("feed", net.sources["feed"], net, {"PW": "guest"})
        (batch,) = reader.read(None, Budget(), datetime.now(UTC))
        return {sample.queue.partition("/")[2]: sample for sample in batch.samples}


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    made.call("DELETE", f"/api/vhosts/{made.vhost}")


@pytest.mark.rabbitmq
def test_a_real_broker_tells_counts_at_once_and_reading_takes_nothing(broker: Broker) -> None:
    broker.declare(
        "orders", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "graveyard"}
    )
    broker.declare("graveyard")
    for _ in range(3):
        broker.publish("orders")
    for _ in range(5):
        found = broker.read(", rates: false")
    assert (found["orders"].ready, found["orders"].in_flight, found["orders"].total) == (3, 0, 3)
    assert (found["orders"].in_rate, found["orders"].oldest_age_s) == (None, None)
    assert found["graveyard"].total == 0
    assert found["graveyard"].dlq_of == f"{broker.vhost}/orders"


@pytest.mark.rabbitmq
def test_a_real_broker_tells_rates_of_used_queues_only(broker: Broker) -> None:
    broker.declare("used")
    broker.declare("unused")
    broker.publish("used")
    until = time.monotonic() + 30  # its statistics are some seconds behind
    found = broker.read()
    while found["used"].in_rate is None and time.monotonic() < until:
        found = broker.read()
    assert found["used"].in_rate is not None
    assert found["used"].out_rate is None
    assert (found["unused"].in_rate, found["unused"].total) == (None, 0)


@pytest.mark.rabbitmq
def test_a_real_broker_refuses_a_wrong_password() -> None:
    with pytest.raises(AccessDenied):
        read(BROKER)
