"""Answers by phone and mail through the machine door, as docs/connect/manual-answers.md tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select

from api.main import create_app
from db import configuration, sources
from db.tables import document, event
from tests.collectors import recipes
from tower.network import load_network

(SHOWN,) = recipes.blocks("manual-answers", "json")


def started(database: Engine, text: str) -> TestClient:
    now = datetime.now(UTC)
    network = load_network(text, "network.yaml")
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, text, now)
        configuration.store_partners(conn, network)
        sources.register(conn, network.sources)
    return TestClient(create_app(database), raise_server_exceptions=False)


@pytest.fixture
def door(database: Engine) -> Iterator[TestClient]:
    with started(database, (recipes.ROOT / "network.yaml").read_text(encoding="utf-8")) as client:
        yield client


def release(door: TestClient) -> None:
    lines = [{"line": "10", "item": "B", "qty": 40}, {"line": "20", "item": "C", "qty": 5}]
    order = {"po": "4500001234", "supplier": "17300003", "lines": lines}
    told = {
        "specversion": "1.0", "id": "1", "source": "/erp", "type": "po.released",
        "time": "2026-03-27T10:00:00Z", "data": order,
    }  # fmt: skip
    assert door.post(
        "/v1/events",
        content=json.dumps(told),
        headers={"x-tower-source": "events", "content-type": "application/cloudevents+json"},
    ).json()["accepted"]


def test_the_answer_of_the_page_confirms_the_order(door: TestClient, database: Engine) -> None:
    release(door)
    answer = door.post("/v1/answers", content=SHOWN)
    assert answer.json() == {"accepted": 1, "repeated": 0, "refused": []}
    columns = (document.c.line, document.c.answer, document.c.last_confirmed_date)
    with database.connect() as conn:
        rows = {
            row.line: (row.answer, str(row.last_confirmed_date))
            for row in conn.execute(select(*columns).where(document.c.kind == "po_line"))
        }
        kept = conn.execute(select(event).where(event.c.type == "po.acknowledged")).one()
    assert rows["10"][1] == "2026-04-03"
    assert rows["20"][0] == "backordered"
    assert kept.channel == "manual"
    assert kept.data["heard_from"] == "Ms Ng, order desk"
    assert kept.data["heard_at"] == "2026-03-30T18:10:00+00:00"
    assert kept.data["recorded_by"] == "kim"
    assert kept.data["note"] == "second truck"


def test_the_same_words_written_down_by_two_people_are_one_answer(
    door: TestClient, database: Engine
) -> None:
    release(door)
    door.post("/v1/answers", content=SHOWN)
    again = json.loads(SHOWN) | {"recorded_by": "robin", "note": "told me too"}
    assert door.post("/v1/answers", json=again).json()["repeated"] == 1
    with database.connect() as conn:
        found = conn.execute(select(func.count()).where(event.c.type == "po.acknowledged"))
        assert found.scalar_one() == 1


def test_the_supplier_is_that_of_the_order(door: TestClient) -> None:
    said: dict[str, Any] = json.loads(SHOWN)
    del said["supplier"]
    unknown = door.post("/v1/answers", json=said)
    assert unknown.status_code == 404
    assert "name the supplier" in unknown.json()["next"]
    release(door)
    assert door.post("/v1/answers", json=said).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "yes"}, "answer"),
        ({"heard_at": "2026-03-30T14:10:00"}, "heard_at"),
        ({"heard_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}, "has not been yet"),
        ({"heard_from": ""}, "heard_from"),
        ({"lines": [{"line": "10", "qty": "-4"}]}, "lines.0.qty"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_cannot_be_an_answer_is_refused_by_name(
    door: TestClient, change: dict[str, Any], said: str
) -> None:
    answer = door.post("/v1/answers", json=json.loads(SHOWN) | change)
    assert answer.status_code == 400
    assert said in answer.text
    assert door.post("/v1/answers", content=b"[").status_code == 400


def test_a_network_without_such_a_source_says_what_to_add(database: Engine) -> None:
    text = (recipes.ROOT / "network.yaml").read_text(encoding="utf-8")
    assert "channel: manual" in text
    with started(database, text.replace("channel: manual", "channel: api")) as door:
        answer = door.post("/v1/answers", content=SHOWN)
    assert answer.status_code == 404
    assert "manual: {kind: push" in answer.json()["error"]


def test_the_source_of_the_page_is_the_one_of_the_example() -> None:
    example = load_network(
        (recipes.ROOT / "network.yaml").read_text(encoding="utf-8"), "network.yaml"
    )
    assert recipes.network("manual-answers").sources == example.sources
