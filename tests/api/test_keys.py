"""API keys at the machine door: what holds, what is refused, and that no secret is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select, text

from api.keys import Reader
from api.main import create_app
from db import audit, configuration, keys, sources
from db.tables import api_key, event, metadata
from tests.api.conftest import NETWORK
from tower.keys import Key, NotAKey
from tower.network import load_network

AT = datetime(2026, 3, 27, 10, tzinfo=UTC)
TWO_PARTNERS = NETWORK.replace(
    "  folder: {",
    "  acme: {kind: push, format: cloudevents, system: edi, partner: ACME, silent_after: 24h}\n"
    "  bolt: {kind: push, format: cloudevents, system: edi, partner: BOLT, silent_after: 24h}\n"
    "  folder: {",
).replace("partners:\n", "partners:\n  BOLT: {name: Bolt}\n")


class Clock:
    """The door's time; tests move it."""

    now = AT

    def __call__(self) -> datetime:
        return self.now


class Door:
    """A door that demands keys, with an address that says who reads."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.clock = engine, Clock()
        app = create_app(engine, keys_required=True)
        app.state.doors.clock = self.clock

        @app.get("/v1/whoami")
        def whoami(who: Reader) -> dict[str, Any]:
            return {"name": who.name, "partners": who.scope.partner_ids}

        self.app = app
        self.client = TestClient(app, client=("192.0.2.7", 5000), raise_server_exceptions=False)

    def key(self, *scopes: str, partner: str | None = None, **more: Any) -> tuple[Key, str]:
        asked = {"name": "x", "networks": (), "days": 30, "per_minute": 600, **more}
        with self.engine.begin() as conn:
            return keys.add(
                conn, scopes=scopes, partner_key=partner, by="kim", now=self.clock.now, **asked
            )

    def whoami(self, key: str, **more: Any) -> Any:
        return self.client.get("/v1/whoami", headers={"authorization": f"Bearer {key}"}, **more)

    def push(self, source: str, key: str | None, *partners: str | None) -> Any:
        batch: Sequence[dict[str, Any]] = [
            {
                "specversion": "1.0",
                "id": f"{source}-{partner}-{n}",
                "source": "/k",
                "type": "message.failed",
                "time": "2026-03-27T10:00:00Z",
                "data": {"text": "lost"},
                **({"partner": partner} if partner else {}),
            }
            for n, partner in enumerate(partners)
        ]
        headers = {"x-tower-source": source, "content-type": "application/cloudevents-batch+json"}
        if key is not None:
            headers["x-api-key"] = key
        return self.client.post("/v1/events", content=json.dumps(batch), headers=headers)


@pytest.fixture
def door(database: Engine) -> Door:
    network = load_network(TWO_PARTNERS, "network.yaml")
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, TWO_PARTNERS, AT)
        configuration.store_partners(conn, network)
        sources.register(conn, network.sources)
    return Door(database)


def test_a_key_holds_by_header_alone_until_it_is_revoked_or_ends(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made, key = door.key("read", name="erp")
    assert door.whoami(key).json() == {"name": "key:erp", "partners": None}
    assert door.client.get("/v1/whoami").status_code == 401
    assert door.client.get(f"/v1/whoami?api_key={key}").status_code == 400, "never in an address"
    assert door.client.get("/v1/whoami", headers={"x-api-key": key}).status_code == 200
    for wrong in (key[:-1] + ("A" if key[-1] != "A" else "B"), key[:-1], "tower_x", key + " "):
        told = door.whoami(wrong)
        assert told.status_code == (200 if wrong.strip() == key else 401)
        assert made.id not in told.text
    twice = [("x-api-key", key), ("authorization", f"Bearer {key}")]
    assert door.client.get("/v1/whoami", headers=twice).status_code == 400

    door.clock.now += timedelta(days=30)
    assert door.whoami(key).status_code == 401, "it ended"
    door.clock.now = AT
    with door.engine.begin() as conn:
        assert keys.revoke(conn, made.id, by="lee", why="left", now=AT) is not None
    assert door.whoami(key).status_code == 401, "revoked holds from the next request on"

    with door.engine.connect() as conn:
        acts = [e.act for e in audit.entries(conn, subject=f"key:{made.id}")]
        dump = "\n".join(
            str(row)
            for table in metadata.tables.values()
            for row in conn.execute(select(text("t::text")).select_from(text(f'"{table.name}" t')))
        )
    assert [(a.actor, a.action) for a in acts] == [("lee", "key.revoked"), ("kim", "key.added")]
    secret = key.split("_", 2)[2]
    assert secret not in dump
    ours = [r for r in caplog.records if not r.name.startswith("httpx")]
    assert ours
    assert not [r for r in ours if secret in str(r.__dict__)]
    assert made.id in dump


def test_a_key_of_one_scope_network_or_partner_does_no_more(door: Door) -> None:
    _, reads = door.key("read", name="r", networks=("10.0.0.0/8",))
    assert door.whoami(reads).status_code == 401, "not from there"
    _, near = door.key("read", name="n", networks=("192.0.2.0/24", "2001:db8::/32"))
    assert door.whoami(near).status_code == 200
    mapped = TestClient(door.app, client=("::ffff:192.0.2.9", 1))
    assert mapped.get("/v1/whoami", headers={"x-api-key": near}).status_code == 200
    _, pushes = door.key("push", name="p")
    assert door.whoami(pushes).status_code == 403
    assert door.push("platform", near, None).status_code == 403
    assert door.push("platform", None, None).status_code == 401, "keys are required"
    assert door.push("platform", pushes, None).status_code == 202

    _, acme = door.key("push", "read", name="a", partner="ACME")
    assert len(door.whoami(acme).json()["partners"]) == 1
    assert door.push("acme", acme, None).status_code == 202
    assert door.push("platform", acme, "ACME").status_code == 202
    before = _events(door.engine)
    for other in ("BOLT", None):
        told = door.push("platform", acme, "ACME", other)
        assert (told.status_code, "BOLT" in told.text) == (403, False)
    assert len(door.push("acme", acme, "BOLT").json()["refused"]) == 1, "of another's source"
    told = door.push("bolt", acme, "ACME")
    assert told.status_code == 404
    assert "bolt" not in told.json()["next"]
    headers = {"x-api-key": acme}
    assert door.client.post("/v1/heartbeats/acme", headers=headers).status_code == 202
    assert door.client.post("/v1/heartbeats/platform", headers=headers).status_code == 403
    listed = door.client.get("/v1/sources", headers=headers).json()
    assert [s["source"] for s in listed] == ["acme"]
    assert _events(door.engine) == before, "nothing of a refused request is kept"


def test_limits_hold_per_key(door: Door) -> None:
    _, slow = door.key("push", "read", name="slow", per_minute=3)
    _, other = door.key("read", name="other")
    assert door.push("platform", slow, None, None).status_code == 202
    told = door.push("platform", slow, None, None)
    assert (told.status_code, told.headers["retry-after"]) == (429, "20")
    assert door.whoami(slow).status_code == 200
    assert door.whoami(slow).status_code == 429
    assert door.whoami(other).status_code == 200, "others never notice"


def test_two_keys_of_a_name_at_most_and_none_without_end(door: Door) -> None:
    first, _ = door.key("push", name="erp")
    door.key("push", name="erp", days=1)
    with pytest.raises(NotAKey, match=first.id):
        door.key("push", name="erp")
    door.clock.now += timedelta(days=2)
    door.key("push", name="erp")
    for wrong in (
        {"days": 0},
        {"days": 999},
        {"name": " "},
        {"per_minute": 0},
        {"networks": ("everywhere",)},
        {"networks": ("10.0.0.1/8",)},
        {"partner": "NOBODY"},
    ):
        asked: dict[str, Any] = {"name": "y", **wrong}
        with pytest.raises(NotAKey):
            door.key("push", **asked)
    with pytest.raises(NotAKey):
        door.key("admin", name="y")
    with door.engine.connect() as conn:
        kept = conn.execute(select(func.count()).select_from(api_key)).scalar_one()
        assert (kept, len(keys.listed(conn, door.clock.now))) == (3, 2)
        assert len(keys.listed(conn, door.clock.now, also_past=True)) == 3


def _events(engine: Engine) -> int:
    with engine.connect() as conn:
        return conn.execute(select(func.count()).select_from(event)).scalar_one()
