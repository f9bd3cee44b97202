"""Pushing facts in over HTTP: what is accepted, repeated, refused, and what is kept of it."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select

from db.tables import (
    checkpoint,
    dead_letter,
    document,
    event,
    ingest_ledger,
    raw_message,
    sighting,
)

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def placed(number: str, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"placed-{number}",
        "source": "/platform",
        "type": "order.placed",
        "time": "2026-03-27T10:00:00Z",
        "data": {
            "erp": "main",
            "order": number,
            "customer": "C1",
            "lines": [{"line": "1", "item": "A-1", "qty": 5, "price": "2.50"}],
        },
    } | more


def push(door: TestClient, body: Any, kind: str = STRUCTURED, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return door.post(
        "/v1/events",
        content=content,
        headers={"x-tower-source": "platform", "content-type": kind, **headers},
    )


def count(engine: Engine, table: Any, *conditions: Any) -> int:
    with engine.connect() as conn:
        return int(
            conn.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one()
        )


def test_a_202_means_that_the_document_is_current(door: TestClient, database: Engine) -> None:
    answer = push(door, placed("SO-1"))
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "repeated": 0, "refused": []}
    with database.connect() as conn:
        row = conn.execute(
            select(document.c.status, document.c.customer).where(
                document.c.kind == "order", document.c.number == "SO-1"
            )
        ).one()
    assert row.status == "placed"
    assert row.customer == "C1"


def test_the_same_event_twice_is_stored_once(door: TestClient, database: Engine) -> None:
    push(door, placed("SO-1"))
    again = push(door, placed("SO-1"))
    assert again.json() == {"accepted": 0, "repeated": 1, "refused": []}
    assert count(database, event) == 1
    assert count(database, sighting) == 1


def test_a_batch_tells_which_items_are_refused_and_why(door: TestClient, database: Engine) -> None:
    bad = placed("SO-2", data={"erp": "main", "customer": "C1"})
    answer = push(door, [placed("SO-1"), bad, placed("SO-3")], BATCH)
    assert answer.status_code == 202
    told = answer.json()
    assert told["accepted"] == 2
    assert [item["index"] for item in told["refused"]] == [1]
    assert "order" in told["refused"][0]["cause"]
    assert told["refused"][0]["advice"]
    assert count(database, dead_letter) == 1
    assert count(database, raw_message) == 3


def test_binary_events_have_their_attributes_in_headers(door: TestClient, database: Engine) -> None:
    whole = placed("SO-9")
    answer = push(
        door,
        whole["data"],
        "application/json",
        **{f"ce-{name}": str(value) for name, value in whole.items() if name != "data"},
    )
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert count(database, document, document.c.number == "SO-9") == 2


def test_a_broken_envelope_is_answered_with_400_and_kept(
    door: TestClient, database: Engine
) -> None:
    answer = push(door, b'{"specversion": "1.0", ')
    assert answer.status_code == 400
    assert "error" in answer.json()
    assert count(database, raw_message) == 1
    assert count(database, dead_letter) == 1


def test_a_document_in_the_sources_own_format_becomes_events(
    door: TestClient, database: Engine
) -> None:
    body = {
        "site": "W1",
        "number": "R-1",
        "at": "2026-03-27T12:00:00Z",
        "lines": [{"n": "1", "po": "4500000001", "line": "10", "qty": 4}],
    }
    answer = door.post("/v1/documents/wms", json=body)
    assert answer.status_code == 202, answer.text
    with database.connect() as conn:
        line = conn.execute(
            select(document.c.received_qty, document.c.known).where(
                document.c.kind == "po_line", document.c.number == "4500000001"
            )
        ).one()
    assert line.received_qty == 4
    assert line.known is False


def test_no_secret_header_is_kept(door: TestClient, database: Engine) -> None:
    push(door, placed("SO-1"), authorization="Bearer hush-hush", cookie="sid=hush-hush")
    with database.connect() as conn:
        headers = conn.execute(select(raw_message.c.headers)).scalar_one()
    assert "hush-hush" not in json.dumps(headers)


def test_a_push_is_a_beat_of_its_source(door: TestClient, database: Engine) -> None:
    assert door.post("/v1/heartbeats/platform").status_code == 202
    with database.connect() as conn:
        complete = conn.execute(
            select(checkpoint.c.complete_to).where(checkpoint.c.source == "platform")
        ).scalar_one()
    assert complete is not None


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/documents/nobody", 404, "not a push source"),
        ("/v1/documents/folder", 404, "not a push source"),
        ("/v1/documents/platform", 415, "/v1/events"),
        ("/v1/heartbeats/nobody", 404, "gateway, platform, wms"),
    ],
)
def test_a_wrong_address_says_what_to_use_instead(
    door: TestClient, path: str, status: int, said: str
) -> None:
    answer = door.post(path, content=b"x")
    assert answer.status_code == status
    assert said in answer.text


def test_fifty_megabytes_are_refused_while_they_stream(door: TestClient, database: Engine) -> None:
    def flood() -> Any:
        for _ in range(50):
            yield b"x" * 1_000_000

    answer = door.post("/v1/events", content=flood(), headers={"x-tower-source": "platform"})
    assert answer.status_code == 413
    assert "10,485,760 bytes" in answer.json()["error"]
    assert count(database, ingest_ledger) == 0
    assert push(door, placed("SO-1")).status_code == 202


def test_a_tower_without_a_network_asks_to_come_again(unready: TestClient) -> None:
    answer = push(unready, placed("SO-1"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "tower up" in answer.json()["next"]


def test_pushes_at_once_are_all_kept_once(door: TestClient, database: Engine) -> None:
    answers: list[int] = []

    def send(n: int) -> None:
        for m in range(5):
            answers.append(push(door, placed(f"SO-{n}-{m}")).status_code)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [202] * 40
    assert count(database, event) == 40
    assert count(database, document, document.c.kind == "order") == 40


def test_health_counts_what_waits(door: TestClient) -> None:
    told = door.get("/health").json()
    assert told["status"] == "ok"
    assert set(told) >= {"timers_due", "mails_waiting", "dead_letters_open"}
