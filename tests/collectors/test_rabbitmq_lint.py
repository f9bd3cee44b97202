"""The set-up of a broker: each weakness is told once, and a sound set-up is told nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from collectors.rabbitmq import RabbitQueues
from collectors.rabbitmq_lint import Broker, Remark
from tests.collectors.brokers import MANAGEMENT, RabbitHost
from tests.collectors.worlds import network
from tower.feeds import RabbitOptions

SOUND: dict[str, Any] = {
    "dead-letter-exchange": "dlx",
    "dead-letter-routing-key": "dead",
    "message-ttl": 1000,
}
QUORUM = {"delivery-limit": 5, "dead-letter-strategy": "at-least-once",
          "overflow": "reject-publish"}  # fmt: skip


def queue(name: str = "q", policy: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "vhost": "/", "durable": True, "consumers": 1, "type": "classic",
        "arguments": {}, "effective_policy_definition": SOUND if policy is None else policy, **more,
    }  # fmt: skip


DEAD = queue("dead", {})
DLX = {"name": "dlx", "vhost": "/", "type": "direct"}
BOUND = {"vhost": "/", "source": "dlx", "destination": "dead", "destination_type": "queue",
         "routing_key": "dead"}  # fmt: skip


def codes(*queues: dict[str, Any], exchanges: Any = (DLX,), bindings: Any = (BOUND,),
          version: str = "3.10.8") -> list[tuple[str, str, str]]:  # fmt: skip
    found = Broker(queues, exchanges, bindings, version, ["dead"]).remarks()
    assert all(remark.cause and remark.advice for remark in found)
    return [(remark.queue, remark.weight, remark.code) for remark in found]


def test_a_sound_set_up_is_told_nothing() -> None:
    quorum = queue("r", SOUND | QUORUM, type="quorum")
    assert codes(queue(), quorum, DEAD) == []


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (queue(policy={"message-ttl": 1}), ("q", "risk", "no_dlx")),
        (queue(policy=SOUND | {"dead-letter-exchange": "gone"}), ("q", "loss", "dlx_missing")),
        (queue(policy=SOUND | {"dead-letter-routing-key": "x"}), ("q", "loss", "dlx_unbound")),
        (queue(policy=SOUND | {"dead-letter-exchange": "", "dead-letter-routing-key": "nobody"}),
         ("q", "loss", "dlx_unbound")),
        (queue(consumers=0), ("q", "risk", "no_consumers")),
        (queue(policy={k: v for k, v in SOUND.items() if k != "message-ttl"}),
         ("q", "hint", "no_ttl")),
        (queue(durable=False), ("q", "risk", "not_durable")),
        (queue(policy=SOUND | QUORUM | {"delivery-limit": None}, type="quorum"),
         ("q", "risk", "no_delivery_limit")),
        (queue(policy=SOUND | {"delivery-limit": 3}, type="quorum"),
         ("q", "risk", "at_most_once")),
    ],
)  # fmt: skip
def test_a_weakness_is_told(made: dict[str, Any], found: tuple[str, str, str]) -> None:
    assert codes(made, DEAD) == [found]


def test_a_newer_broker_has_a_limit_of_deliveries_of_its_own() -> None:
    made = queue(policy={k: v for k, v in (SOUND | QUORUM).items() if k != "delivery-limit"},
                 type="quorum")  # fmt: skip
    assert [code for *_, code in codes(made, DEAD)] == ["no_delivery_limit"]
    assert codes(made, DEAD, version="4.1.0") == []


def test_what_is_not_told_is_not_a_weakness() -> None:
    starting = {"name": "q", "vhost": "/", "effective_policy_definition": SOUND}
    assert codes(starting, DEAD) == []  # consumers, type and durable are not told yet


def test_arguments_win_over_the_policy_and_are_fixed() -> None:
    made = queue(arguments={"x-dead-letter-exchange": "gone"})
    assert codes(made, DEAD) == [("q", "loss", "dlx_missing"), ("q", "hint", "fixed_by_arguments")]


def test_a_queue_of_dead_letters_must_not_forget() -> None:
    forgetful = queue("dead", {"message-ttl": 1, "max-length": 2}, consumers=0)
    assert codes(queue(), forgetful) == [("dead", "loss", "dlq_forgets")] * 2
    named = Broker([queue("a.dlq", {"expires": 1})], (), (), "", [".dlq"]).remarks()
    assert [remark.code for remark in named] == ["dlq_forgets"]


def test_a_circle_of_expiry_is_told_and_one_that_waits_to_try_again_is_not() -> None:
    to_retry = {"dead-letter-exchange": "", "dead-letter-routing-key": "retry"}
    back = {"dead-letter-exchange": "", "dead-letter-routing-key": "work", "message-ttl": 5}
    retry = queue("retry", back, consumers=1)
    waiting = codes(queue("work", to_retry | {"max-length": 9}), retry)
    assert waiting == []
    circle = codes(queue("work", to_retry | {"message-ttl": 9}), retry)
    assert circle == [("retry", "loss", "expiry_loop"), ("work", "loss", "expiry_loop")]


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [("#", "a.b", True), ("a.*", "a.b", True), ("a.*", "a.b.c", False), ("a.#", "a", True),
     ("*.b", "a.b", True), ("x.#", "a.b", False)],
)  # fmt: skip
def test_patterns_of_a_topic_exchange(pattern: str, key: str, fits: bool) -> None:
    made = queue(policy=SOUND | {"dead-letter-routing-key": key})
    found = codes(made, DEAD, exchanges=[{**DLX, "type": "topic"}],
                  bindings=[{**BOUND, "routing_key": pattern}])  # fmt: skip
    assert (found == []) is fits


def test_a_binding_between_exchanges_and_an_alternate_exchange_catch_dead_letters() -> None:
    hop = {**BOUND, "destination": "dlx2", "destination_type": "exchange"}
    second = {**BOUND, "source": "dlx2"}
    exchanges = [DLX, {**DLX, "name": "dlx2", "type": "fanout"}]
    assert codes(queue(), DEAD, exchanges=exchanges, bindings=[hop, second]) == []
    caught = {**DLX, "arguments": {"alternate-exchange": "other"}}
    assert codes(queue(), DEAD, exchanges=[caught], bindings=[]) == []


@pytest.mark.rabbitmq
def test_a_real_broker_is_asked_and_left_as_it_is() -> None:
    host = RabbitHost()
    try:
        host.declare("bare")
        host.declare("lost", x_dead_letter_exchange="nowhere", x_message_ttl=60000)
        host.declare("work", x_dead_letter_exchange="", x_dead_letter_routing_key="work.dlq")
        host.declare("work.dlq", x_max_length=10)
        host.declare("jobs", x_queue_type="quorum", x_message_ttl=60000)
        policy = {"pattern": "^jobs$", "apply-to": "queues", "definition": {
            "dead-letter-exchange": "", "dead-letter-routing-key": "work.dlq"}}  # fmt: skip
        host.call("PUT", f"/api/policies/{host.vhost}/p", policy)
        host.publish("work", b"x")
        net = network(
            f"sources:\n  feed: {{kind: rabbitmq, format: queue, system: erp, options: "
            f"{{url: '{MANAGEMENT}', user: guest, password_variable: PW, vhost: {host.vhost}}}}}"
        )
        source = net.sources["feed"]
        options = source.feed
        assert isinstance(options, RabbitOptions)
        reader = RabbitQueues("feed", source, options, {"PW": "guest"})
        found: list[Remark] = []
        until = time.monotonic() + 30  # its policies are some seconds behind
        while time.monotonic() < until:
            found = reader.lint(datetime.now(UTC))
            if ("jobs", "no_dlx") not in {(r.queue, r.code) for r in found}:
                break
            time.sleep(0.2)
        told = {(r.queue, r.code) for r in found if r.weight != "hint"}
        assert {
            ("bare", "no_dlx"), ("lost", "dlx_missing"), ("work.dlq", "dlq_forgets"),
            ("jobs", "at_most_once"), ("jobs", "no_delivery_limit"),
        } <= told  # fmt: skip
        assert ("work", "dlx_unbound") not in told
        assert ("work", "no_dlx") not in told
        assert reader.kind_of("jobs", datetime.now(UTC)) == "quorum"
        assert reader.kind_of("nobody", datetime.now(UTC)) is None
        assert host.depth("work") == 1
    finally:
        host.close()
