"""Lag of consumer groups: from the client library's own cluster in memory, over the real protocol,
and from recorded answers. What a group never committed is not zero.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from collectors.kafka_lag import burrow_lags, lag_of, samples_of
from collectors.registry import reader_for
from tests.collectors.conformance import SAMPLER_CHECKS, World, collector_conformance
from tests.collectors.worlds import Service, as_json, network
from tower.errors import AccessDenied, ConfigError, SourceUnavailable
from tower.network import Network
from tower.raw import Budget, QueueSample

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


class Cluster:
    """A cluster that the library runs in memory; it speaks the protocol on a port."""

    def __init__(self) -> None:
        self.producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self.producer.list_topics(timeout=20).brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def produce(self, topic: str, partition: int, count: int) -> None:
        for _ in range(count):
            self.producer.produce(topic, b"x", partition=partition)
        self.producer.flush(20)

    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group, "log_level": 0})
        consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
        consumer.close()


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    made = Cluster()
    for partition in range(4):
        made.produce("orders", partition, 5)
    made.produce("answers", 0, 2)
    made.commit("erp", "orders", 0, 3)
    made.commit("erp", "orders", 1, 5)
    for partition in range(4):
        made.commit("wms", "orders", partition, 5)
    return made


def net_with(address: str, options: str) -> Network:
    return network(
        "sources:\n  feed: {kind: kafka, format: queue, system: erp, options: "
        f"{{servers: ['{address}'], timeout: 5s{options}}}}}"
    )


def read(net: Network, secrets: Mapping[str, str] | None = None) -> dict[str, QueueSample]:
    reader = reader_for("feed", net.sources["feed"], net, secrets or {})
    (batch,) = reader.read(None, Budget(), NOW)
    assert batch.heartbeat is not None
    found = [sample for sample in batch.samples if isinstance(sample, QueueSample)]
    return {sample.queue: sample for sample in found}


def test_a_cluster_tells_how_far_each_group_is_behind(cluster: Cluster) -> None:
    found = read(net_with(cluster.address, ", groups: [erp, wms]"))
    assert set(found) == {"erp/orders", "wms/orders"}
    # Partitions 2 and 3 were never committed by erp: what is known is a lower bound.
    assert (found["erp/orders"].ready, found["erp/orders"].approximate) == (2, True)
    assert (found["wms/orders"].ready, found["wms/orders"].approximate) == (0, False)
    assert all(sample.in_rate is None and sample.in_flight is None for sample in found.values())


def test_a_topic_on_which_a_group_never_committed_is_unknown_and_not_zero(
    cluster: Cluster,
) -> None:
    found = read(net_with(cluster.address, ", groups: [erp], topics: [orders, answers]"))
    never = found["erp/answers"]
    assert (never.ready, never.total, never.approximate) == (None, None, False)
    assert found["erp/orders"].ready == 2


def test_a_cluster_that_is_away_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1:1 does not answer"):
        read(net_with("127.0.0.1:1", ", groups: [erp]"))


def test_lag_is_known_only_where_end_and_commit_are() -> None:
    assert lag_of(10, 4) == 6
    assert lag_of(10, 10) == 0
    assert lag_of(10, 12) == 0  # the end was asked a moment before
    for end, committed in ((10, None), (None, 4), (10, -1), (10, -1001), (-1, 3)):
        assert lag_of(end, committed) is None


def test_sums_keep_unknown_apart_from_zero() -> None:
    lags = {("g", "a"): [0, 0], ("g", "b"): [None, None], ("g", "c"): [None, 4], ("h", "a"): []}
    found = {s.queue: s for s in samples_of("b", lags, {"g": 0}, NOW)}  # type: ignore[arg-type]
    assert [found[q].ready for q in ("g/a", "g/b", "g/c", "h/a")] == [0, None, 4, None]
    assert [found[q].approximate for q in ("g/a", "g/b", "g/c")] == [False, False, True]
    assert (found["g/a"].consumers, found["h/a"].consumers) == (0, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{}", "either servers or burrow"),
        ("{servers: ['a:9092'], burrow: 'http://b'}", "either servers or burrow"),
        ("{servers: ['a:9092'], mechanism: KERBEROS}", "SCRAM-SHA-512"),
    ],
)
def test_wrong_options_are_told(options: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        network(
            f"sources:\n  feed: {{kind: kafka, format: queue, system: erp, options: {options}}}"
        )


def test_without_the_library_the_advice_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    net = net_with("127.0.0.1:1", "")
    with pytest.raises(ConfigError, match=r"tower\[kafka\]"):
        reader_for("feed", net.sources["feed"], net, {})


class KafkaWorld(World):
    """A cluster in memory."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster()
        super().__init__(folder)

    def network(self) -> Network:
        return net_with(self.cluster.address, ", groups: [erp]")


test_cluster = collector_conformance(KafkaWorld, *SAMPLER_CHECKS)


# --- Burrow -----------------------------------------------------------------------------------


def test_the_recorded_answer_of_a_burrow_is_read(shared_data: Path) -> None:
    folder = shared_data / "logs_metrics" / "telegraf" / "burrow" / "testdata"
    (path,) = folder.glob("*group1_lag.json")
    answer = orjson.loads(path.read_bytes())
    lags = burrow_lags(answer)
    assert set(lags) == {"topicA"}
    assert len(lags["topicA"]) == len(answer["status"]["partitions"])
    assert lags["topicA"][0] == 0  # told, and zero
    del answer["status"]["partitions"][0]["current_lag"]
    answer["status"]["partitions"][0]["end"] = None
    assert burrow_lags(answer)["topicA"][0] is None  # not told


class BurrowService(Service):
    """A Burrow with two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 200

    def respond(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self.status != 200:
            return self.status, {}, b"{}"
        base = "/v3/kafka/main"
        answers: dict[str, Any] = {
            f"{base}/consumer": {"consumers": ["erp", "console-consumer-1"]},
            f"{base}/consumer/erp/lag": {
                "status": {
                    "partitions": [
                        {"topic": "orders", "partition": 0, "current_lag": 7},
                        {"topic": "orders", "partition": 1, "end": {"lag": 5}},
                        {"topic": "orders", "partition": 2, "end": None},
                        {"topic": "answers", "partition": 0, "current_lag": -1},
                        "odd",
                    ]
                }
            },
        }
        found = answers.get(path)
        return (404, {}, b"{}") if found is None else (200, {}, as_json(found))


@pytest.fixture
def burrow() -> Iterator[BurrowService]:
    service = BurrowService()
    yield service
    service.close()


def test_a_burrow_tells_lags_and_unknown_is_not_zero(burrow: BurrowService) -> None:
    net = network(
        "sources:\n  feed: {kind: kafka, format: queue, system: erp, options: "
        f"{{burrow: '{burrow.url}', cluster: main}}}}"
    )
    found = read(net)
    assert set(found) == {"erp/orders", "erp/answers"}
    assert (found["erp/orders"].ready, found["erp/orders"].approximate) == (12, True)
    assert (found["erp/answers"].ready, found["erp/answers"].consumers) == (None, None)
    for status, family in ((500, SourceUnavailable), (403, AccessDenied), (404, ConfigError)):
        burrow.status = status
        with pytest.raises(family):
            read(net)
