"""Signed webhooks: who is let in, what is kept, and the recipe that tells how."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select

from api import hooks
from api.main import create_app
from db import configuration, sources
from db.tables import document, event, ingest_ledger, raw_message
from tests.collectors import recipes

KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
SECRETS = {
    "PLATFORM_SECRET": f"whsec_{KEY}",
    "SHOP_SECRET": "shop-s3cret",
    "WMS_SECRET": "wms-s3cret",
    "TMS_SECRET": "tms-s3cret",
}


@pytest.fixture
def door(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The application with the network of the recipe in force."""
    described: Any = yaml.safe_load((recipes.ROOT / "network.yaml").read_text(encoding="utf-8"))
    for piece in recipes.blocks("webhooks", "yaml"):
        for part, entries in yaml.safe_load(piece).items():
            described[part].update(entries)
    now = datetime.now(UTC)
    network = recipes.network("webhooks")
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, yaml.safe_dump(described), now)
        configuration.store_partners(conn, network)
        sources.register(conn, network.sources)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with TestClient(create_app(database), raise_server_exceptions=False) as client:
        yield client


def order(number: str = "SO-1") -> bytes:
    return json.dumps(
        {
            "event": "order.created",
            "id": f"evt-{number}",
            "occurredAt": "2026-03-30T09:12:00Z",
            "order": {"number": number, "customer": {"id": "C1", "name": "Ünal"}, "lines": [
                {"line": "1", "sku": "B-100", "quantity": 5}]},
        },
        ensure_ascii=False,
    ).encode()  # fmt: skip


def signed(
    body: bytes, own_id: str = "msg_1", age: timedelta = timedelta(), key: str = KEY
) -> dict[str, str]:
    stamp = str(int((datetime.now(UTC) - age).timestamp()))
    content = f"{own_id}.{stamp}.".encode() + body
    digest = hmac.new(base64.b64decode(key), content, hashlib.sha256).digest()
    return {
        "webhook-id": own_id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        "content-type": "application/json",
    }


def send(door: TestClient, source: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return door.post(f"/v1/hooks/{source}", content=body, headers=headers)


def count(database: Engine, table: Any) -> int:
    with database.connect() as conn:
        return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_signed_message_is_stored_before_it_is_answered(
    door: TestClient, database: Engine
) -> None:
    answer = send(door, "platform_orders", order(), signed(order()))
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"accepted": 1, "repeated": 0, "refused": []}
    with database.connect() as conn:
        raw = conn.execute(select(raw_message)).one()
        assert raw.body == order() or raw.encoding != "plain"
        assert raw.key == "msg_1"
        assert "webhook-signature" not in json.dumps(raw.headers)
        kinds = set(conn.execute(select(document.c.kind)).scalars())
    assert "order" in kinds


def test_the_same_id_again_counts_once(door: TestClient, database: Engine) -> None:
    send(door, "platform_orders", order(), signed(order()))
    again = send(door, "platform_orders", order(), signed(order()))
    assert again.json()["repeated"] == 1
    assert count(database, event) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body, headers: (body + b" ", headers),
        lambda body, headers: (body, headers | {"webhook-id": "msg_2"}),
        lambda body, headers: (body, headers | {"webhook-timestamp": "1774861920"}),
        lambda body, headers: (body, headers | {"webhook-signature": "v1,AAAA"}),
        lambda body, headers: (body, headers | {"webhook-signature": "v2,x " * 50}),
        lambda body, headers: (
            body,
            {k: v for k, v in headers.items() if k != "webhook-signature"},
        ),
        lambda body, headers: (body, signed(body, age=timedelta(minutes=6))),
        lambda body, headers: (body, signed(body, age=timedelta(minutes=-6))),
        lambda body, headers: (
            body,
            signed(body, key=base64.b64encode(b"another secret").decode()),
        ),
    ],
)
def test_what_is_not_signed_is_counted_and_not_kept(
    door: TestClient, database: Engine, spoil: Any
) -> None:
    before = hooks.UNSIGNED["platform_orders"]
    body, headers = spoil(order(), signed(order()))
    answer = send(door, "platform_orders", body, headers)
    assert answer.status_code == 401
    assert answer.json()["next"]
    assert KEY not in answer.text
    assert count(database, ingest_ledger) == 0
    assert hooks.UNSIGNED["platform_orders"] == before + 1


def test_two_secrets_hold_while_one_is_exchanged(
    door: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = base64.b64encode(b"the next secret, also long").decode()
    monkeypatch.setenv("PLATFORM_SECRET", f"whsec_{KEY} whsec_{new}")
    for n, key in enumerate((KEY, new)):
        body = order(f"SO-{n}")
        answer = send(door, "platform_orders", body, signed(body, f"msg_{n}", key=key))
        assert answer.json()["accepted"] == 1, answer.text


def test_several_signatures_may_be_sent(door: TestClient) -> None:
    headers = signed(order())
    headers["webhook-signature"] = "v1a,xx v1,AAAA " + headers["webhook-signature"]
    assert send(door, "platform_orders", order(), headers).status_code == 202


SHOP = {
    "id": 450789469,
    "name": "#1001",
    "created_at": "2026-03-30T09:12:00-04:00",
    "updated_at": "2026-03-30T09:12:00-04:00",
    "currency": "USD",
    "customer": {"id": 207119551, "first_name": "Ada", "last_name": "Ng"},
    "line_items": [{"id": 1, "sku": "B-100", "title": "Bolt", "quantity": 5, "price": "12.50"}],
}


def test_a_shop_signs_in_base64_and_its_unsigned_id_does_not_count(
    door: TestClient, database: Engine
) -> None:
    body = json.dumps(SHOP).encode()
    digest = hmac.new(b"shop-s3cret", body, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    for n, own_id in enumerate(("a", "b")):
        headers = {"X-Shopify-Hmac-Sha256": signature, "webhook-id": own_id}
        answer = send(door, "shop_orders", body, headers)
        assert answer.json()["repeated"] == n, answer.text
    assert count(database, event) == 1


def test_a_carrier_signs_time_and_body(door: TestClient) -> None:
    body = b'{"id": "1", "code": "delivered", "shipment": "S-1", "occurredAt": "2026-03-30T09:12Z"}'
    stamp = str(int(datetime.now(UTC).timestamp()))
    digest = hmac.new(b"tms-s3cret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Signature": digest, "X-Timestamp": stamp}
    assert send(door, "carrier", body, headers).json()["accepted"] == 1
    assert send(door, "carrier", body, headers | {"X-Timestamp": "1"}).status_code == 401


def test_the_example_of_the_page_works_as_it_stands(door: TestClient, database: Engine) -> None:
    (script,) = recipes.blocks("webhooks", "sh")
    prepared, _, _ = script.partition("curl")
    told = subprocess.run(
        ["bash", "-c", f'{prepared}printf "%s\\n%s" "$SIGNATURE" "$BODY"'],
        capture_output=True,
        text=True,
        check=True,
        env={"WMS_SECRET": "wms-s3cret", "PATH": "/usr/bin:/bin"},
    ).stdout
    signature, _, body = told.partition("\n")
    answer = send(
        door,
        "warehouse_events",
        body.encode(),
        {"X-Hub-Signature-256": f"sha256={signature}", "content-type": "application/json"},
    )
    assert answer.json() == {"accepted": 1, "repeated": 0, "refused": []}
    with database.connect() as conn:
        assert "receipt" in set(conn.execute(select(document.c.kind)).scalars())


def test_a_source_that_wants_signatures_is_taken_nowhere_else(door: TestClient) -> None:
    for path in ("/v1/documents/platform_orders", "/v1/log-lines/platform_orders"):
        answer = door.post(path, content=order())
        assert answer.status_code == 401
        assert "/v1/hooks/platform_orders" in answer.json()["next"]
    assert door.post("/v1/hooks/warehouse", content=b"{}").status_code == 404


def test_a_missing_secret_asks_to_come_again(
    door: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLATFORM_SECRET")
    answer = send(door, "platform_orders", order(), signed(order()))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "PLATFORM_SECRET" not in answer.text
