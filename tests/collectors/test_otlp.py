"""OpenTelemetry log records become events; what is odd in a request never stops its neighbours."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from collectors import otlp, registry
from tests.collectors.conformance import INTERPRETER_CHECKS, World, collector_conformance
from tests.collectors.worlds import network
from tower.errors import PayloadRejected
from tower.network import Network
from tower.raw import Batch, Budget, Heartbeat, Interpretation, Mark, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
NET = "sources:\n  feed: {kind: push, format: otlp, system: erp}"


def attribute(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": any_value(value)}


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [attribute(k, v) for k, v in value.items()]}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(v) for v in value]}}
    return {"stringValue": value}


def record(body: Any = None, *, severity: int = 9, name: str = "", **attributes: Any) -> Any:
    found: dict[str, Any] = {
        "timeUnixNano": "1774605600123456789",
        "severityNumber": severity,
        "body": any_value(body),
        "attributes": [attribute(k.replace("__", "."), v) for k, v in attributes.items()],
    }
    return found | ({"eventName": name} if name else {})


def request(*records: Any, service: str = "mule-orders") -> dict[str, Any]:
    resource = {"attributes": [attribute("service.name", service)]}
    scope = {"name": "order-flow", "version": "1"}
    logs = {"scope": scope, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [logs]}]}


def interpret(body: Any, net: Network | None = None, kind: str = otlp.JSON_TYPE) -> Interpretation:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return registry.interpret(Raw("feed", "k", data, NOW, kind), net or network(NET))


def failed(n: int = 0) -> Any:
    return record(
        "Timeout from the ERP",
        severity=17,
        messaging__message__id=f"m-{n}",
        messaging__message__conversation_id=f"c-{n}",
        error__type="TimeoutError",
        po=f"45000{n:05d}",
    )


def test_a_severe_record_is_a_failure_of_its_message() -> None:
    (event,) = interpret(request(failed())).events
    assert event.type == "message.failed"
    assert event.data == {
        "erp": "main", "po": "4500000000", "message": "m-0", "step": "order-flow",
        "hop": "mule-orders", "error_class": "TimeoutError", "text": "Timeout from the ERP",
    }  # fmt: skip
    assert (event.correlation_id, event.carries) == ("c-0", ("m-0",))
    assert event.occurred_at == datetime(2026, 3, 27, 10, 0, 0, 123456, tzinfo=UTC)
    assert event.system == "erp"  # no system of the network is called mule-orders


def test_the_operation_tells_how_far_a_message_got_and_severity_comes_before_it() -> None:
    told = [("send", 9), ("receive", 9), ("settle", 9), ("send", 17), ("create", 9), ("x", 5)]
    found = interpret(
        request(
            *(
                record("x", severity=severity, messaging__operation__type=operation, n=n)
                for n, (operation, severity) in enumerate(told)
            ),
            service="erp",
        )
    )
    assert [event.type for event in found.events] == [
        "message.sent", "message.received", "message.delivered", "message.failed",
    ]  # fmt: skip
    assert {event.system for event in found.events} == {"erp"}
    assert not found.dead_letters


def test_an_event_name_of_the_vocabulary_is_that_event_with_its_lines() -> None:
    lines = [{"line": "1", "item": "A-1", "qty": 5, "price": "2.50"}]
    placed = record({"lines": lines}, name="order.placed", severity=17, order="SO-1", customer="C1")
    reading = interpret(request(placed))
    (event,) = reading.events
    assert event.type == "order.placed"
    assert (event.data["order"], event.data["customer"]) == ("SO-1", "C1")
    assert event.data["lines"][0]["qty"] == "5"
    origins = {origin.field: origin for origin in reading.origins[0]}
    where = "$.resourceLogs[0].scopeLogs[0].logRecords[0]"
    assert origins["order"].element == f"{where}.attributes[0].value.stringValue"
    assert origins["lines[0].item"].element == (
        f"{where}.body.kvlistValue.values[0].value.arrayValue.values[0]"
        ".kvlistValue.values[1].value.stringValue"
    )


def test_an_unknown_event_name_and_a_quiet_record_tell_nothing() -> None:
    reading = interpret(request(record("x", name="browser.page_view"), record("hello")))
    assert (reading.events, reading.dead_letters, reading.findings) == ((), (), ())


def test_a_record_that_comes_again_in_another_request_is_the_same_event() -> None:
    (first,) = interpret(request(failed(1))).events
    again = interpret(request(failed(2), failed(1)))
    assert first.id in {event.id for event in again.events}
    assert len({event.id for event in again.events}) == 2


def test_ids_that_are_none_are_missing_and_a_trace_ties_only_what_nothing_else_ties() -> None:
    zero, odd, good = (record("x", severity=17, n=n) for n in range(3))
    zero["traceId"], odd["traceId"], good["traceId"] = "0" * 32, "xyz", "5B8EFFF798038103" * 2
    found = [event.correlation_id for event in interpret(request(zero, odd, good)).events]
    assert found == [None, None, "5b8efff798038103" * 2]


def test_64_bit_numbers_may_be_texts_or_numbers_and_the_observed_time_stands_in() -> None:
    sent = failed()
    sent["timeUnixNano"] = 0
    sent["observedTimeUnixNano"] = 1774605600000000000
    sent["attributes"].append({"key": "attempt", "value": {"intValue": 3}})
    (event,) = interpret(request(sent)).events
    assert event.occurred_at == datetime(2026, 3, 27, 10, 0, tzinfo=UTC)
    assert event.data["attempt"] == 3


def test_a_malformed_record_is_a_dead_letter_and_its_neighbours_are_read() -> None:
    bad = record("x", name="receipt.posted", warehouse="east")  # without its number
    reading = interpret(request(bad, "no record", failed()))
    assert [event.type for event in reading.events] == ["message.failed"]
    assert [letter.position for letter in reading.dead_letters] == ["record:0", "record:1"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"),
        (b"[]", "invalid_otlp"),
        (b'{"resourceLogs": {}}x', "invalid_json"),
        (b'{"resourceLogs": 5}', "invalid_otlp"),
        (b'{"resourceLogs": [5]}', "invalid_otlp"),
        (b'{"resourceLogs": [{"scopeLogs": 1}]}', "invalid_otlp"),
        (b'{"resourceSpans": []}', "unsupported_type"),
    ],
)
def test_a_request_that_cannot_be_read_says_why(body: bytes, code: str) -> None:
    with pytest.raises(PayloadRejected) as caught:
        otlp.request_of(body, otlp.JSON_TYPE)
    assert caught.value.code == code
    (letter,) = interpret(body).dead_letters
    assert letter.code == code
    assert letter.advice


def test_a_mapping_of_the_network_reads_the_same_records() -> None:
    net = network(
        "sources:\n  feed: {kind: push, format: otlp, system: erp, mapping: own}",
        """
mappings:
  own:
    format: log
    log_map:
      status: state
      words: {OUT: po.transmitted, BAD: failed}
      time: time
      id: record_hash
      message: doc.id
      correlation: "{service.name}-{doc.id}"
      fields: {po: body.order, text: scope.name}
""",
    )
    sent = record({"order": "4500000001"}, state="out", doc__id="7")
    (event,) = interpret(request(sent), net).events
    assert (event.type, event.data["po"]) == ("po.transmitted", "4500000001")
    assert (event.correlation_id, event.carries) == ("mule-orders-7", ("7",))


def test_the_same_request_in_protobuf_gives_the_same_events() -> None:
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    sent = failed()
    plain = interpret(request(copy.deepcopy(sent)))
    message = ParseDict(request(sent), ExportLogsServiceRequest())
    record_ = message.resource_logs[0].scope_logs[0].log_records[0]
    packed = interpret(message.SerializeToString(), kind=otlp.PROTOBUF_TYPE)
    assert packed.events == plain.events
    record_.trace_id = bytes.fromhex("5b8efff798038103" * 2)
    value = otlp.request_of(message.SerializeToString(), otlp.PROTOBUF_TYPE)
    (found,) = (each for each, _, _ in otlp.log_records(value))
    assert found["traceId"] == "5b8efff798038103" * 2
    (letter,) = interpret(b"\xff\xff\xff", kind=otlp.PROTOBUF_TYPE).dead_letters
    assert letter.code == "undecodable"


@pytest.mark.parametrize("name", ["logs", "events"])
def test_the_examples_of_the_protocol_are_read(name: str, shared_data: Path) -> None:
    path = shared_data / "logs_metrics" / "opentelemetry-proto" / "examples" / f"{name}.json"
    value = otlp.request_of(path.read_bytes(), otlp.JSON_TYPE)
    ((sent, where, around),) = otlp.log_records(value)
    found = otlp.OtlpRecord(sent, where, around, frozenset({""}))
    assert found.get("time") == "2018-12-13T14:51:00.300000+00:00"
    assert found.get("service.name") == "my.service"
    if name == "logs":
        assert found.get("severity") == "info"
        assert found.get("int.attribute") == 10
        assert found.get("double.attribute") == 637.704
        assert found.get("array.attribute") == ["many", "values"]
        assert found.get("map.attribute.some.map.key") == "some value"
        assert found.get("my.scope.attribute") == "some scope attribute"
        assert found.get("span_id") == "eee19b7ec3c1b174"
        net = network(
            "sources:\n  feed: {kind: push, format: otlp, system: erp, mapping: own}",
            "mappings:\n  own: {format: log, log_map: {status: severity_text, time: time, "
            "words: {Information: received}, message: string.attribute}}",
        )
        (event,) = interpret(path.read_bytes(), net).events
        assert event.data == {"message": "some string"}
    else:
        assert found.get("event_name") == "browser.page_view"
        assert found.get("body.title") == "Free Online GUID Generator"


class OtlpWorld(World):
    """Requests that were pushed, each with one record."""

    def __init__(self, folder: Path) -> None:
        self.inbox: list[bytes] = []
        super().__init__(folder)

    def network(self) -> Network:
        return network(NET)

    def reader(self) -> Any:
        return self

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        raws = tuple(
            Raw("feed", str(n), body, now, otlp.JSON_TYPE) for n, body in enumerate(self.inbox)
        )
        yield Batch("feed", raws, heartbeat=Heartbeat("feed", now, now))

    def settle(self, batch: Batch) -> None:
        """It was answered."""

    def content(self, n: int) -> bytes:
        return orjson.dumps(request(failed(n)))

    def put(self, n: int) -> None:
        self.inbox.append(self.content(n))


test_otlp_requests = collector_conformance(OtlpWorld, *INTERPRETER_CHECKS)
