"""Hostile input at the machine door: an answer in words each time, never a failure of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

SCRIPT = "<script>alert(1)</script>"
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "h1",
    "source": "/h",
    "type": "message.failed",
    "time": "2026-03-27T10:00:00Z",
    "data": {"text": "lost"},
}
BODIES = {
    "script": json.dumps({**EVENT, "id": SCRIPT, "data": {"text": SCRIPT}}).encode(),
    "formula": json.dumps({**EVENT, "data": {"text": "=HYPERLINK(1)"}}).encode(),
    "header": json.dumps({**EVENT, "data": {"text": "=?utf-8?q?x=0ABcc=3Aa@b?="}}).encode(),
    "zero sign": json.dumps({**EVENT, "id": "a\0b", "data": {"text": "a\0b"}}).encode(),
    "lone surrogate": b'{"specversion":"1.0","id":"\\ud800","source":"/h","type":"message.failed"}',
    "not a number": b'{"specversion":"1.0","id":"n","source":"/h","data":{"text":NaN}}',
    "deep": b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "wide number": b'{"specversion":"1.0","id":' + b"9" * 50_000 + b"}",
    "not text": b"\xff\xfe\x00\x01",
    "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "nothing": b"",
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_a_hostile_body_is_answered_in_words(door: TestClient, name: str) -> None:
    for source, path, kind in (
        ("platform", "/v1/events", "application/cloudevents+json"),
        ("wms", "/v1/documents/wms", "application/json"),
        ("gateway", "/v1/documents/gateway", "application/edi-x12"),
    ):
        answer = door.post(
            path,
            content=BODIES[name],
            headers={"x-tower-source": source, "content-type": kind},
        )
        assert answer.status_code in (202, 400, 413, 415), (path, answer.text[:300])
        assert answer.headers["content-type"].startswith("application/json"), "no page to run in"


def test_hostile_names_in_addresses_and_headers_reach_nothing(door: TestClient) -> None:
    for name in ("../../etc/passwd", "..%2f..%2fetc", SCRIPT, "a%00b", "%0d%0aSet-Cookie:x", "é"):
        for path in (f"/v1/documents/{name}", f"/v1/heartbeats/{name}", f"/v1/hooks/{name}"):
            answer = door.post(path, content=b"{}")
            assert answer.status_code in (400, 404, 405, 422), (path, answer.status_code)
            assert "set-cookie" not in answer.headers
    headers = {"x-tower-source": "' OR 1=1 --", "authorization": "Bearer tower_'--_x"}
    assert door.post("/v1/events", content=b"{}", headers=headers).status_code in (401, 404)
