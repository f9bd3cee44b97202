"""Dead letters of JetStream: what its advisories tell, from a real server of this test's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import nats.errors
import orjson
import pytest
from nats.js.api import ConsumerConfig, StreamConfig

from collectors.nats_streams import ADVISORY, REFUSED
from collectors.registry import interpret, reader_for
from tests.collectors.conformance import (
    a_bookmark_of_another_version_is_refused,
    a_kill_loses_and_doubles_nothing,
    a_quiet_source_beats,
    a_source_that_is_not_read_to_its_end_does_not_beat,
    bytes_are_identical,
    collector_conformance,
    event_ids_survive_another_version,
    faults_are_mapped_to_families,
    interpreting_is_pure,
    malformed_input_never_raises,
    no_secret_is_kept_or_logged,
    origins_decode_to_their_values,
    the_budget_is_kept,
    what_comes_later_is_read_too,
)
from tests.collectors.nats_server import PASSWORD, Server, ServerWorld, net_with
from tower.errors import ConfigError, SourceUnavailable
from tower.network import Network
from tower.raw import Batch, Budget, Mark, Raw

pytestmark = pytest.mark.nats
NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
ORDER = {"po": "4500009001", "lines": [{"line": "10", "qty": "3"}]}
KEEPER = StreamConfig("DEAD_ORDERS", subjects=[f"{ADVISORY}.ORDERS.>", f"{REFUSED}.ORDERS.>"])


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


async def give_up(js: Any, sent: Sequence[tuple[bytes, dict[str, str]]], how: str = "nak") -> None:
    """Consumer ``erp`` of ORDERS, which allows two deliveries, works none of these off."""
    await js.add_stream(StreamConfig("ORDERS", subjects=["orders.>"]))
    await js.add_stream(KEEPER)
    await js.add_consumer("ORDERS", ConsumerConfig(durable_name="erp", max_deliver=2, ack_wait=60))
    pulling = await js.pull_subscribe_bind("erp", "ORDERS")
    for body, headers in sent:
        before = (await js.stream_info("DEAD_ORDERS")).state.last_seq
        await js.publish("orders.new", body, headers=headers or None)
        for _ in range(3):  # the third finds that two were all
            with contextlib.suppress(nats.errors.TimeoutError):
                for one in await pulling.fetch(1, timeout=0.3):
                    await (one.term() if how == "term" else one.nak())
            if (await js.stream_info("DEAD_ORDERS")).state.last_seq > before:
                break
        for _ in range(100):
            if (await js.stream_info("DEAD_ORDERS")).state.last_seq > before:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the server told nothing")


def net_of(server: Server, more: str = "") -> Network:
    return net_with(server.url, f", dead_letters: [DEAD_ORDERS]{more}")


def read(net: Network, mark: Mark | None = None, budget: Budget | None = None) -> Batch:
    reader = reader_for("feed", net.sources["feed"], net, {"PW": PASSWORD})
    (batch,) = reader.read(mark, budget or Budget(), NOW)
    return batch


def test_a_message_that_was_delivered_too_often_is_a_dead_letter_with_its_bytes(
    server: Server,
) -> None:
    body = orjson.dumps(ORDER)
    headers = {"Nats-Msg-Id": "m-1", "X-Api-Token": "s3cret", "captured-death": "[]"}
    server.do(lambda js: give_up(js, [(body, headers)]))
    net = net_of(server)
    batch = read(net)
    (raw,) = batch.raws
    assert raw.body == body
    assert raw.name == "orders.new"
    assert raw.headers["captured-from"] == "ORDERS/erp"
    assert "x-api-token" not in raw.headers
    (letter,) = interpret(raw, net).dead_letters
    assert letter.kind == "deliver"
    assert letter.cause == (
        'Queue "ORDERS/erp" gave it up: it was delivered as often as its consumer allows '
        "(2 deliveries)."
    )
    (event,) = interpret(raw, net).events
    assert event.type == "message.dead_lettered"
    assert event.data["po"] == "4500009001"
    assert (event.data["queue"], event.data["error_class"]) == ("ORDERS/erp", "max_deliver")
    assert abs(event.occurred_at - datetime.now(UTC)) < timedelta(minutes=5)
    again = read(net, batch.mark)
    assert again.raws == ()
    assert again.heartbeat is not None
    # From the beginning again, the same message under the same key.
    assert [one.key for one in read(net).raws] == [raw.key]


def test_a_message_that_its_consumer_refused_for_good_is_one_too(server: Server) -> None:
    server.do(lambda js: give_up(js, [(b"not json", {})], how="term"))
    net = net_of(server)
    (raw,) = read(net).raws
    assert raw.body == b"not json"
    (letter,) = interpret(raw, net).dead_letters
    assert "its consumer refused it for good" in letter.cause


def test_of_a_message_that_is_gone_the_notice_is_kept(server: Server) -> None:
    async def work(js: Any) -> None:
        await give_up(js, [(b"{}", {})])
        await js.purge_stream("ORDERS")

    server.do(work)
    net = net_of(server)
    (raw,) = read(net).raws
    assert orjson.loads(raw.body)["stream"] == "ORDERS"
    (letter,) = interpret(raw, net).dead_letters
    assert "its stream keeps it no more, what is here is the notice" in letter.cause


def test_numbers_of_a_stream_that_was_made_anew_hide_nothing(server: Server) -> None:
    async def anew(js: Any) -> None:
        for name in ("ORDERS", "DEAD_ORDERS"):
            await js.delete_stream(name)
        await give_up(js, [(b"second", {})])

    server.do(lambda js: give_up(js, [(b"first", {})]))
    net = net_of(server)
    first = read(net)
    server.do(anew)
    second = read(net, first.mark)
    assert [raw.body for raw in second.raws] == [b"second"]
    assert {raw.key for raw in first.raws}.isdisjoint(raw.key for raw in second.raws)


def test_notices_that_were_forgotten_before_they_were_read_are_a_gap(server: Server) -> None:
    server.do(lambda js: give_up(js, [(b"first", {})]))
    net = net_of(server)
    first = read(net)

    async def forget(js: Any) -> None:
        await give_up(js, [(b"second", {}), (b"third", {})])
        await js.purge_stream("DEAD_ORDERS", keep=1)

    server.do(forget)
    gap, letter = read(net, first.mark).raws
    (event,) = interpret(gap, net).events
    assert event.type == "source.gap"
    assert (event.data["from"], event.data["to"]) == ("2", "2")
    assert letter.body == b"third"


def test_what_is_no_advisory_is_kept_as_it_is(server: Server) -> None:
    async def work(js: Any) -> None:
        await js.add_stream(KEEPER)
        for body in (b"nonsense", b"[]", b'{"stream": "A.B", "stream_seq": 1}'):
            await js.publish(f"{ADVISORY}.ORDERS.erp", body)

    server.do(work)
    net = net_of(server)
    raws = read(net).raws
    assert [raw.body for raw in raws[:2]] == [b"nonsense", b"[]"]
    for raw in raws:
        (letter,) = interpret(raw, net).dead_letters
        assert letter.code == "unknown"
        assert "the broker does not say why" in letter.cause


def test_a_stream_of_notices_that_does_not_exist_is_named(server: Server) -> None:
    with pytest.raises(ConfigError, match='no stream "DEAD_ORDERS"'):
        read(net_of(server))


class LettersWorld(ServerWorld):
    """Messages that nobody could work off."""

    faults: ClassVar[Mapping[str, type[Exception]]] = {"away": SourceUnavailable}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server.do(lambda js: js.add_stream(KEEPER))

    def network(self) -> Network:
        return net_of(self.server)

    def put(self, n: int) -> None:
        self.server.do(lambda js: give_up(js, [(self.content(n), {})], how="term"))

    def content(self, n: int) -> bytes:
        return orjson.dumps({**ORDER, "po": f"45000{n:05}"})


test_letters = collector_conformance(
    LettersWorld,
    bytes_are_identical,
    what_comes_later_is_read_too,
    a_kill_loses_and_doubles_nothing,
    the_budget_is_kept,
    a_source_that_is_not_read_to_its_end_does_not_beat,
    a_quiet_source_beats,
    faults_are_mapped_to_families,
    a_bookmark_of_another_version_is_refused,
    no_secret_is_kept_or_logged,
    interpreting_is_pure,
    event_ids_survive_another_version,
    origins_decode_to_their_values,
    malformed_input_never_raises,
)


def test_keys_are_of_the_advisory(server: Server) -> None:
    """Two messages with the same bytes are two letters."""
    server.do(lambda js: give_up(js, [(b"same", {}), (b"same", {})]))
    raws: tuple[Raw, ...] = read(net_of(server)).raws
    assert [raw.body for raw in raws] == [b"same", b"same"]
    assert len({raw.key for raw in raws}) == 2
