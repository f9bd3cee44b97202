"""Pushing logs: what an OpenTelemetry exporter is answered, and that everything is kept."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from fastapi.testclient import TestClient
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from sqlalchemy import Engine, func, select, text

from api import logs
from api.main import create_app
from collectors import otlp
from db import configuration, sources
from db.tables import checkpoint, dead_letter, event, raw_message
from tests.api.conftest import NETWORK
from tests.collectors.test_otlp import failed, record, request
from tower.errors import ConfigError
from tower.network import load_network

WITH_LOGS = NETWORK.replace(
    "mappings:\n",
    """  traces: {kind: push, format: otlp, system: platform, silent_after: 24h}
  mule: {kind: push, format: log, system: platform, silent_after: 24h, mapping: mulesoft}
  kong: {kind: push, format: access_log, system: platform, silent_after: 24h,
         options: {access: {layout: kong, routes: ["/v1/orders/*"]}}}
mappings:
""",
)


@pytest.fixture
def door(database: Engine) -> Iterator[TestClient]:
    network = load_network(WITH_LOGS, "network.yaml")
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, WITH_LOGS, datetime.now(UTC))
        sources.register(conn, network.sources)
    with TestClient(create_app(database), raise_server_exceptions=False) as client:
        yield client


def push(door: TestClient, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    sent = {"content-type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return door.post("/v1/logs", content=content, headers=sent)


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as conn:
        return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


def test_all_taken_is_an_empty_200_and_again_changes_nothing(
    door: TestClient, database: Engine
) -> None:
    for _ in range(2):
        answer = push(door, request(failed(1), failed(2)))
        assert (answer.status_code, answer.json()) == (200, {})
    assert (count(database, event), count(database, raw_message)) == (2, 1)


def test_refused_records_are_told_as_a_partial_success_and_kept(
    door: TestClient, database: Engine
) -> None:
    bad = record("x", name="receipt.posted", warehouse="east")
    answer = push(door, request(bad, failed(1), bad))
    assert answer.status_code == 200
    told = answer.json()["partialSuccess"]
    assert told["rejectedLogRecords"] == "2"
    assert "receipt.posted has no receipt" in told["errorMessage"]
    assert (count(database, event), count(database, dead_letter)) == (1, 2)


def test_what_cannot_be_read_is_400_with_a_status_and_kept(
    door: TestClient, database: Engine
) -> None:
    answer = push(door, b'{"resourceLogs": [')
    assert answer.status_code == 400
    assert answer.json()["code"] == 3
    assert "kept as a dead letter" in answer.json()["message"]
    assert count(database, dead_letter) == 1


def test_gzip_is_unpacked_within_its_bound(
    door: TestClient, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = orjson.dumps(request(failed(1)))
    halves = gzip.compress(body[:100]) + gzip.compress(body[100:])
    for packed in (gzip.compress(body), halves):
        assert push(door, packed, content_encoding="gzip").status_code == 200
    assert count(database, raw_message) == 1
    for broken in (gzip.compress(body)[:-12], b"no gzip", b""):
        assert push(door, broken, content_encoding="gzip").status_code == 400
    assert push(door, body, content_encoding="br").status_code == 415
    bomb = gzip.compress(b" " * (logs.MOST_UNPACKED + 1) + body)
    assert len(bomb) < 50_000
    answer = push(door, bomb, content_encoding="gzip")
    assert (answer.status_code, answer.json()["code"]) == (413, 8)
    monkeypatch.setattr(logs, "MOST_UNPACKED", len(body))
    assert push(door, body + b" ").status_code == 413
    assert push(door, body).status_code == 200


def test_other_types_are_415_with_advice(door: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert push(door, b"x", content_type="text/plain").status_code == 415
    monkeypatch.setattr(otlp, "HAS_PROTOBUF", False)
    answer = push(door, b"", content_type="application/x-protobuf")
    assert answer.status_code == 415
    assert b"tower[otlp]" in answer.content


def test_no_records_is_a_beat(door: TestClient, database: Engine) -> None:
    assert push(door, {"resourceLogs": []}).json() == {}
    assert push(door, {}).json() == {}
    with database.connect() as conn:
        row = conn.execute(select(checkpoint).where(checkpoint.c.source == "traces")).one()
    assert row.complete_to is not None
    assert count(database, raw_message) == 0


def test_the_source_is_named_or_the_only_one(door: TestClient) -> None:
    assert push(door, {}, x_tower_source="traces").status_code == 200
    assert push(door, {}, x_tower_source="platform").status_code == 415
    answer = push(door, {}, x_tower_source="nobody")
    assert answer.status_code == 404
    assert "traces" in answer.json()["message"]
    wrong = door.post("/v1/documents/traces", content=b"x")
    assert wrong.status_code == 415
    assert wrong.json()["next"] == "Send it to /v1/logs."


def test_the_examples_of_the_protocol_are_accepted(door: TestClient, shared_data: Path) -> None:
    folder = shared_data / "logs_metrics" / "opentelemetry-proto" / "examples"
    for name in ("logs", "events"):
        answer = push(door, (folder / f"{name}.json").read_bytes())
        assert (answer.status_code, answer.json()) == (200, {})


def test_lines_of_a_middleware_are_read_by_the_mapping_that_ships(
    door: TestClient, database: Engine
) -> None:
    line = {
        "correlationId": "c-9",
        "timestamp": "2026-03-27T10:00:00Z",
        "tracePoint": "EXCEPTION",
        "priority": "ERROR",
        "applicationName": "orders",
        "content": {"messageId": "m-9", "po": "4500000009"},
    }
    body = orjson.dumps(line) + b"\n" + orjson.dumps({**line, "tracePoint": "FLOW"} | {
        "priority": "INFO"}) + b"\n"  # fmt: skip
    answer = door.post("/v1/log-lines/mule", content=body)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    with database.connect() as conn:
        (row,) = conn.execute(select(event.c.type, event.c.correlation_id)).all()
    assert tuple(row) == ("message.failed", "c-9")
    assert door.post("/v1/log-lines/traces", content=body).status_code == 415


@pytest.fixture
def address(door: TestClient) -> Iterator[str]:
    """The application behind a real server."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(door.app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_a_real_exporter_delivers_its_records(
    address: str, database: Engine, compression: Compression
) -> None:
    provider = LoggerProvider(Resource({"service.name": "order-sync"}))
    exporter = OTLPLogExporter(
        f"{address}/v1/logs", headers={"x-tower-source": "traces"}, compression=compression
    )
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    speaker = provider.get_logger("order-sync")
    names = {"messaging.message.id": "m-77", "messaging.message.conversation_id": "c-77"}
    speaker.emit(
        LogRecord(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            body="sent",
            attributes={**names, "messaging.operation.type": "send"},
        )
    )
    speaker.emit(
        LogRecord(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.ERROR,
            body="ERP answered 503",
            attributes={**names, "error.type": "503", "po": "4500001234"},
        )
    )
    assert provider.force_flush()
    provider.shutdown()
    with database.connect() as conn:
        rows = conn.execute(
            select(event.c.type, event.c.correlation_id, event.c.data).order_by(event.c.type)
        ).all()
    assert [(row.type, row.correlation_id) for row in rows] == [
        ("message.failed", "c-77"),
        ("message.sent", "c-77"),
    ]
    assert rows[0].data["hop"] == "order-sync"
    assert rows[0].data["po"] == "4500001234"
    assert rows[0].data["text"] == "ERP answered 503"


def call(status: int, path: str = "/v1/orders/77", n: int = 0) -> dict[str, Any]:
    """One object of Kong's http-log plugin."""
    return {
        "started_at": 1774602000000 + n,
        "request": {"method": "POST", "uri": path, "id": f"r{n}"},
        "response": {"status": status, "headers": {"x-ratelimit-limit-minute": "60"}},
        "latencies": {"request": 120},
    }


def minutes(engine: Engine) -> dict[str, tuple[int, int]]:
    with engine.connect() as conn:
        rows = conn.execute(
            text("SELECT route, sum(n_2xx), sum(n_5xx) FROM gateway_minute GROUP BY route")
        )
        return {route: (int(good), int(bad)) for route, good, bad in rows}


def test_calls_of_a_gateway_are_counted_once_and_failed_ones_told(
    door: TestClient, database: Engine
) -> None:
    told = [call(201, n=1), call(503, n=2), call(200, "/v1/stock", n=3)]
    listed = orjson.dumps(told)
    for repeated in (0, 1):
        answer = door.post("/v1/log-lines/kong", content=listed)
        assert answer.status_code == 202
        assert answer.json() == {"accepted": 3, "repeated": repeated, "refused": []}
    # Cut otherwise, and as lines: failures are known by their bytes.
    lines = b"\n".join([orjson.dumps(call(503, n=2)), b"no call", orjson.dumps(call(201, n=4))])
    answer = door.post("/v1/log-lines/kong", content=lines).json()
    assert (answer["accepted"], answer["repeated"]) == (2, 1)
    assert "JSON" in answer["refused"][0]["cause"]
    assert minutes(database) == {"POST /v1/orders/*": (2, 2), "POST /v1/stock": (1, 0)}
    assert (count(database, event), count(database, dead_letter)) == (1, 1)
    one = door.post("/v1/log-lines/kong", content=orjson.dumps(call(200, n=5))).json()
    assert one == {"accepted": 1, "repeated": 0, "refused": []}
    with database.connect() as conn:
        row = conn.execute(select(checkpoint).where(checkpoint.c.source == "kong")).one()
    assert row.complete_to is not None


def test_a_pushed_access_log_says_how_its_lines_are_read() -> None:
    without = WITH_LOGS.replace(', routes: ["/v1/orders/*"]}}', "}}").replace(
        "options: {access: {layout: kong}}", "options: {}"
    )
    with pytest.raises(ConfigError, match="belong together"):
        load_network(without, "network.yaml")
