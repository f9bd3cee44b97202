"""Log maps: words of a middleware, and the mappings that come with the tower."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tower.errors import ConfigError
from tower.mapping import Mapping
from tower.network import load_network
from tower.shipped_mappings import shipped
from tower.strict_yaml import parse


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, Mapping, "m.yaml")
    return str(caught.value)


def test_the_first_path_with_a_known_word_decides() -> None:
    mapping = parse(
        "format: log\nlog_map: {status: [level, state], words: {ERROR: failed, OUT: sent, 7: sent},"
        " message: id, fields: {text: msg, ms: took}}\n",
        Mapping,
        "m.yaml",
    )
    found = [(rule.event, rule.when) for rule in mapping.rules]
    others = ["!ERROR", "!OUT", "!7"]
    assert found == [
        ("message.failed", {"level": ["ERROR"]}),
        ("message.sent", {"level": ["OUT", "7"]}),
        ("message.failed", {"level": others, "state": ["ERROR"]}),
        ("message.sent", {"level": others, "state": ["OUT", "7"]}),
    ]
    assert mapping.rules[0].fields == {"message": "id", "text": "msg"}  # it has no ms
    assert mapping.rules[1].fields == {"message": "id", "text": "msg", "ms": "took"}
    assert mapping.rules[0].carries == ["{id}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("format: json\nlog_map: {status: a, words: {b: sent}}", "belongs to format log"),
        ("format: log\nlog_map: {status: a, words: {b: snet}}", "write sent"),
        ("format: log\nlog_map: {status: a, words: {b: po.transmited}}", "write po.transmitted"),
        ("format: log\nlog_map: {status: a, words: {}}", "words"),
        ("format: log\nlog_map: {status: a, words: {b: sent}, fields: {pos: x}}", "write po"),
        ("format: log", "no rule says what a record tells"),
    ],
)
def test_a_mistake_says_what_to_write(text: str, said: str) -> None:
    assert said in refused(text)


def test_every_shipped_mapping_is_known_by_name_and_may_be_replaced() -> None:
    assert set(shipped()) >= {"mulesoft", "boomi", "json_log", "otlp"}
    assert all(mapping.rules for mapping in shipped().values())
    described = """
version: 1
company: {name: House, calendar: hq}
systems: {m: {name: M, kind: middleware}}
sources:
  a: {kind: push, format: log, system: m, mapping: boomi}
  b: {kind: push, format: otlp, system: m}
calendars: {hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}}
people: {d: {name: D, mail: d@house.example}}
owners: {B: d, D: d, S: d, I: d, W: d, P: d, C: d, T: d}
"""
    net = load_network(described, "network.yaml")
    assert net.mapping_for(net.sources["a"], None) == ("boomi", shipped()["boomi"])
    assert net.mapping_for(net.sources["b"], None) == ("otlp", shipped()["otlp"])
    own = "mappings: {boomi: {format: log, log_map: {status: s, words: {X: sent}}}}\n"
    net = load_network(described + own, "network.yaml")
    assert net.mapping_for(net.sources["a"], None) == ("boomi", net.mappings["boomi"])
    with pytest.raises(ConfigError, match="mapping otlp is for log, the source brings cloudevents"):
        load_network(
            described.replace("format: otlp", "format: cloudevents, mapping: otlp"), "network.yaml"
        )


MULE = {
    "correlationId": "c-1", "timestamp": "2026-03-27T10:00:00.250Z", "tracePoint": "END",
    "priority": "INFO", "applicationName": "order-api", "elapsed": 120,
    "content": {"messageId": "m-1", "purchaseOrder": "4500001234"},
    "locationInfo": {"rootContainer": "send-order"},
}  # fmt: skip
BOOMI = {
    "timestamp": "2026-03-27T10:00:00Z", "level": "SEVERE", "executionId": "execution-1",
    "processName": "PO out", "shapeName": "AS2 send", "documentId": "d-1",
    "trackedFields": {"purchaseOrder": "4500001234"}, "errorMessage": "Connection refused",
}  # fmt: skip
JSON_LOG = {
    "@timestamp": "2026-03-27T10:00:00Z", "log.level": "info", "event": "sent", "id": "l-1",
    "message_id": "m-1", "correlation_id": "c-1", "po": "4500001234", "service": "gateway",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "line", "type_", "correlation", "carries", "step"),
    [
        ("mulesoft", MULE, "message.delivered", "c-1", ("m-1",), "send-order"),
        ("boomi", BOOMI, "message.failed", "execution-1", ("d-1",), "AS2 send"),
        ("json_log", JSON_LOG, "message.sent", "c-1", ("m-1",), None),
    ],
)
def test_a_line_of_each_middleware_tells_what_became_of_its_message(
    name: str, line: dict[str, Any], type_: str, correlation: str, carries: tuple[str], step: str
) -> None:
    from collectors import registry
    from tests.collectors.worlds import network
    from tower.raw import Raw

    net = network(f"sources:\n  feed: {{kind: push, format: log, system: erp, mapping: {name}}}")
    raw = Raw("feed", "k", orjson.dumps(line), datetime(2026, 3, 27, 12, tzinfo=UTC))
    (event,) = registry.interpret(raw, net).events
    assert (event.type, event.correlation_id, event.carries) == (type_, correlation, carries)
    assert event.data["po"] == "4500001234"
    assert event.data.get("step") == step
    assert event.occurred_at.hour == 10
