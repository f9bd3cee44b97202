"""Hostile input at the machine door: an answer in words each time, never a failure of ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select

from api.main import create_app
from db import configuration, engine, sources
from db.tables import event
from tests.api.conftest import NETWORK, opened
from tests.conftest import Databases
from tests.hostile import BODIES, NAMES, SCRIPTS, SIGNATURES
from tower.network import load_network

AT = datetime.now(UTC)


@pytest.fixture(scope="module")
def door(databases: Databases) -> Iterator[TestClient]:
    """One application for all: how a thing is answered does not hang on what came before it."""
    name = databases.make(databases.template)
    database = engine.create(databases.app_url(name))
    with opened(database) as client:
        yield client
    database.dispose()
    databases.drop(name)


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
    for name in NAMES:
        for path in (f"/v1/documents/{name}", f"/v1/heartbeats/{name}", f"/v1/hooks/{name}"):
            try:
                answer = door.post(path, content=b"{}")
            except httpx.InvalidURL:
                continue  # no client sends it
            assert answer.status_code in (400, 404, 405, 422), (path, answer.status_code)
            assert SCRIPTS["script"] not in answer.text or answer.headers[
                "content-type"
            ].startswith("application/json")
            assert "set-cookie" not in answer.headers
    headers = {"x-tower-source": "' OR 1=1 --", "authorization": "Bearer tower_'--_x"}
    assert door.post("/v1/events", content=b"{}", headers=headers).status_code in (401, 404)


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_a_forged_signature_brings_nothing(
    database: Engine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With hostile headers, too: refused in words, counted, and nothing of it kept."""
    monkeypatch.setenv("HOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = NETWORK.replace(
        "  folder: {",
        "  shop: {kind: push, format: cloudevents, system: edi, channel: api, silent_after: 24h,\n"
        "         options: {signature: standard, secret_variable: HOOK_SECRET}}\n  folder: {",
    )
    network = load_network(signed, "network.yaml")
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, signed, AT)
        configuration.store_partners(conn, network)
        sources.register(conn, network.sources)
    with TestClient(create_app(database), raise_server_exceptions=False) as client:
        head = {"webhook-id": "m1", "webhook-timestamp": str(int(AT.timestamp()))}
        answer = client.post(
            "/v1/hooks/shop", content=BODIES["script"], headers={**head, **SIGNATURES[name]}
        )
    assert answer.status_code in (400, 401), answer.text
    assert "<script" not in answer.text
    with database.connect() as conn:
        assert conn.execute(select(func.count()).select_from(event)).scalar_one() == 0
