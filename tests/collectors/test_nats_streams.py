"""JetStream's lag, from a real server of this test's own; what it does not tell is not zero."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

from collectors.nats_streams import ADVISORY, _consumer_sample, _stream_sample
from collectors.registry import reader_for
from tests.collectors.conformance import (
    SAMPLER_CHECKS,
    collector_conformance,
    no_secret_is_kept_or_logged,
)
from tests.collectors.nats_server import PASSWORD, Server, ServerWorld, net_with
from tower.errors import AccessDenied, ConfigError, SourceUnavailable
from tower.network import Network
from tower.raw import Budget, QueueSample

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def read(net: Network, password: str = PASSWORD) -> dict[str, QueueSample]:
    reader = reader_for("feed", net.sources["feed"], net, {"PW": password})
    (batch,) = reader.read(None, Budget(), datetime.now(UTC))
    found = [sample for sample in batch.samples if isinstance(sample, QueueSample)]
    return {sample.queue: sample for sample in found}


@pytest.mark.nats
def test_a_real_server_tells_what_is_kept_and_how_far_each_consumer_is(server: Server) -> None:
    async def work(js: Any) -> None:
        await js.add_stream(
            StreamConfig("ORDERS", subjects=["orders.>"], retention=RetentionPolicy.WORK_QUEUE)
        )
        await js.add_stream(StreamConfig("LOG", subjects=["log.>"]))
        await js.add_stream(StreamConfig("EMPTY", subjects=["empty.>"]))
        await js.add_stream(StreamConfig("KV_x", subjects=["kv.>"]))
        await js.add_stream(StreamConfig("DEAD", subjects=[f"{ADVISORY}.ORDERS.>"]))
        await js.add_consumer("ORDERS", ConsumerConfig(durable_name="erp", ack_wait=60))
        await js.add_consumer(
            "LOG", ConsumerConfig(durable_name="push", deliver_subject="somewhere")
        )
        for n in range(5):
            await js.publish("orders.new", b"%d" % n)
            await js.publish("log.line", b"x")
        waiting = await js.pull_subscribe_bind("erp", "ORDERS")
        messages = await waiting.fetch(3)
        await messages[0].ack_sync()

    server.do(work)
    found = read(net_with(server.url))
    assert set(found) == {"ORDERS", "ORDERS/erp", "LOG", "LOG/push", "EMPTY", "DEAD"}
    erp = found["ORDERS/erp"]
    assert (erp.ready, erp.in_flight, erp.total, erp.consumers) == (2, 2, 4, None)
    push = found["LOG/push"]
    assert (push.ready, push.in_flight, push.consumers) == (5, 0, 0)  # nobody listens
    orders = found["ORDERS"]
    assert (orders.total, orders.consumers, orders.dlq_of) == (4, 1, None)
    assert orders.oldest_age_s is not None
    assert 0 <= orders.oldest_age_s < 600
    assert found["LOG"].oldest_age_s is None  # kept by limits: old is not late
    assert (found["EMPTY"].total, found["EMPTY"].consumers) == (0, 0)
    assert found["DEAD"].dlq_of == "ORDERS"
    assert all(sample.in_rate is None and sample.out_rate is None for sample in found.values())
    assert set(read(net_with(server.url, ", only: ['L*']"))) == {"LOG", "LOG/push"}


@pytest.mark.nats
def test_lists_longer_than_a_page_are_read_whole(server: Server) -> None:
    async def work(js: Any) -> None:
        await js.add_stream(StreamConfig("MANY", subjects=["many.>"]))
        for n in range(300):
            await js.add_consumer("MANY", ConsumerConfig(durable_name=f"c{n}"))

    server.do(work)
    assert len(read(net_with(server.url, ", only: [MANY]"))) == 301


@pytest.mark.nats
def test_refusals_of_a_real_server_are_told_as_what_they_are(server: Server) -> None:
    with pytest.raises(AccessDenied, match="refuses us"):
        read(net_with(server.url), "wrong")
    with pytest.raises(ConfigError, match="JetStream"):
        read(net_with(server.url, user="bare"))
    with pytest.raises(SourceUnavailable, match="does not answer"):
        read(net_with("nats://127.0.0.1:1"))


class NatsWorld(ServerWorld):
    """Samples are no messages."""

    def network(self) -> Network:
        return net_with(self.server.url)

    def put(self, n: int) -> None:
        """Nothing arrives."""

    def content(self, n: int) -> bytes:
        raise AssertionError("samples are no messages")


test_streams = pytest.mark.nats(
    collector_conformance(NatsWorld, *SAMPLER_CHECKS, no_secret_is_kept_or_logged)
)


@pytest.mark.nats
def test_a_server_that_goes_away_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    world = NatsWorld(tmp_path)
    try:
        reader = world.reader()
        with world.broken("away"), pytest.raises(SourceUnavailable):
            list(reader.read(None, Budget(), NOW))
        (batch,) = reader.read(None, Budget(), NOW)
        assert batch.heartbeat is not None
    finally:
        world.close()


def test_what_is_not_told_is_missing_and_not_zero() -> None:
    stream = _stream_sample("b", {"config": {"name": "S"}}, NOW)
    assert (stream.total, stream.consumers, stream.oldest_age_s) == (None, None, None)
    told = {"config": {"name": "S", "retention": "workqueue"},
            "state": {"messages": 0, "first_ts": "0001-01-01T00:00:00Z"}}  # fmt: skip
    assert _stream_sample("b", told, NOW).oldest_age_s is None
    consumer = _consumer_sample("b", {"stream_name": "S", "name": "c", "num_pending": 3}, NOW)
    assert (consumer.ready, consumer.in_flight, consumer.total) == (3, None, None)


def test_without_the_library_the_advice_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nats", None)
    net = net_with("nats://127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"tower\[nats\]"):
        reader_for("feed", net.sources["feed"], net, {"PW": "x"})
