"""Reading at the machine door: pages by cursor, one order whole, and nobody sees another's rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from api.main import create_app
from db import configuration, engine, keys, sources
from tests.api.conftest import NETWORK
from tests.conftest import Databases
from tests.desk import Desk
from tower.kpi_catalogue import DEFINITIONS
from tower.network import load_network

AT = datetime(2026, 3, 27, 10, tzinfo=UTC)
BOTH = NETWORK.replace("partners:\n", "partners:\n  BOLT: {name: Bolt, calendar: hq}\n")
LISTS = ("purchase-orders", "customer-orders", "shipments", "cases", "events")


class Reading:
    """A door over a filled database, and keys to it."""

    def __init__(self, made: Engine) -> None:
        self.app = create_app(made, keys_required=False)
        self.app.state.doors.clock = lambda: AT
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.engine = made
        self.all = self._key("bi", None)
        self.acme = self._key("acme", "ACME")

    def _key(self, name: str, partner: str | None, scope: str = "read") -> str:
        with self.engine.begin() as conn:
            return keys.add(
                conn, name=name, scopes=(scope,), partner_key=partner, networks=(), days=30,
                per_minute=600, by="kim", now=AT,
            )[1]  # fmt: skip

    def get(self, path: str, key: str | None = None, **asked: Any) -> Any:
        headers = {"authorization": f"Bearer {key or self.all}"}
        return self.client.get(f"/v1/{path}", headers=headers, params=asked)

    def all_of(self, path: str, **asked: Any) -> list[Any]:
        found, cursor = [], None
        while True:
            page = self.get(path, **asked, **({"cursor": cursor} if cursor else {})).json()
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found


def told(n: int, type_: str, at: datetime, data: dict[str, Any], partner: str = "") -> Any:
    return {
        "specversion": "1.0", "id": f"e{n}", "source": "/p", "type": type_, "time": at.isoformat(),
        **({"partner": partner} if partner else {}), "data": {"erp": "main", **data},
    }  # fmt: skip


@pytest.fixture(scope="module")
def door(databases: Databases) -> Iterator[Reading]:
    """Seven orders of two suppliers, four of them released in the same instant."""
    name = databases.make(databases.template)
    made = engine.create(databases.app_url(name))
    now, net = AT - timedelta(days=1), load_network(BOTH, "network.yaml")
    with made.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, BOTH, now)
        configuration.store_partners(conn, net)
        sources.register(conn, net.sources)
    reading = Reading(made)
    line = {"line": "10", "item": "I-1", "qty": "5", "uom": "EA", "price": "2.50"}
    batch = []
    for n in range(7):
        at = AT - timedelta(hours=1 if n < 4 else n)
        supplier = "BOLT" if n % 2 else "ACME"
        order = {"po": f"45{n}", "supplier": supplier, "currency": "EUR", "lines": [line]}
        batch.append(told(n, "po.released", at, order, supplier))
    batch.append(
        told(20, "po.acknowledged", AT, {"po": "450", "supplier": "ACME", "answer": "accepted"},
             "ACME")
    )  # fmt: skip
    batch.append(
        told(21, "order.placed", AT - timedelta(hours=2), {"order": "SO-1", "customer": "C1"})
    )
    asn = {"asn": "A-1", "supplier": "ACME", "lines": [{"erp": "main", "po": "450", "line": "10"}]}
    batch.append(told(22, "asn.received", AT - timedelta(minutes=5), asn, "ACME"))
    with TestClient(reading.app) as client:
        answer = client.post(
            "/v1/events",
            content=json.dumps(batch),
            headers={"x-tower-source": "platform",
                     "content-type": "application/cloudevents-batch+json"},
        )  # fmt: skip
        assert answer.json()["accepted"] == len(batch)
    desk = Desk(now=AT)
    desk.case("450", "ACME", opened=AT - timedelta(hours=3), severity="high", value_at_risk=7)
    desk.case("451", "BOLT", opened=AT - timedelta(hours=3))
    with made.begin() as conn:
        for table, rows in desk.rows.items():
            for row in rows:
                conn.execute(table.insert(), row)
    reading.app.state.doors.clock = lambda: AT + timedelta(minutes=1)
    yield reading
    made.dispose()
    databases.drop(name)


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_pages_of_any_size_give_every_row_once_in_order(door: Reading, limit: int) -> None:
    """Fails when rows of one instant are skipped or doubled where a page ends among them."""
    found = door.all_of("purchase-orders", limit=limit)
    assert [row["number"] for row in found] == ["453", "452", "451", "450", "454", "455", "456"]
    assert len(door.all_of("events", limit=limit)) == 10


def test_a_row_has_the_fields_and_forms_that_openapi_tells(door: Reading) -> None:
    schema = door.client.get("/openapi.json").json()
    for path in LISTS:
        answer = door.get(path).json()
        assert answer["items"], path
        shape = schema["paths"][f"/v1/{path}"]["get"]["responses"]["200"]["content"]
        name = shape["application/json"]["schema"]
        jsonschema.validate(answer, {**name, "components": schema["components"]})
    row = door.get("purchase-orders", number="450").json()["items"][0]
    assert (row["value"], row["currency"], row["lines"]) == ("12.5", "EUR", 1)
    assert (row["supplier_name"], row["answer"]) == ("Acme", "accepted")
    assert row["acknowledged_at"] == AT.isoformat()
    assert schema["paths"]["/v1/cases"]["get"]["security"] == [{"key": []}]
    described = schema["components"]["schemas"]["PurchaseOrdersRow"]["properties"]["value"]
    assert described["description"].startswith("ordered value in currency; null for keys")
    assert described["examples"] == ["500.00"]


def test_one_order_is_told_whole(door: Reading) -> None:
    told = door.get("purchase-orders/450").json()
    assert told["purchase_order"]["number"] == "450"
    assert [line["price"] for line in told["lines"]] == ["2.5"]
    assert [event["type"] for event in told["events"]] == [
        "po.released", "asn.received", "po.acknowledged",
    ]  # fmt: skip
    assert told["events"][2]["data"]["answer"] == "accepted"
    assert [case["value_at_risk"] for case in told["cases"]] == ["7"]
    assert door.get("purchase-orders/450", erp="other").status_code == 404
    missing = door.get("purchase-orders/999")
    assert (missing.status_code, "999" in missing.json()["error"]) == (404, True)


def test_lists_are_narrowed_by_their_fields_and_by_time(door: Reading) -> None:
    def numbers(**asked: Any) -> list[str]:
        return sorted(row["number"] for row in door.all_of("purchase-orders", **asked))

    assert numbers(supplier="BOLT") == ["451", "453", "455"]
    early = {"to": (AT - timedelta(hours=4)).isoformat()}
    assert numbers(**early) == ["455", "456"]
    assert numbers(closed="true") == []
    assert {e["type"] for e in door.all_of("events", type="order.placed")} == {"order.placed"}
    assert [c["number"] for c in door.all_of("cases", severity="high")] == ["450"]


def test_a_partner_sees_its_own_rows_and_none_of_ours(door: Reading) -> None:
    for path in ("purchase-orders", "shipments", "cases", "events"):
        answer = door.get(path, door.acme)
        assert answer.json()["items"], path
        assert "BOLT" not in answer.text, path
        assert "SO-1" not in answer.text, path
    case = door.get("cases", door.acme).json()["items"][0]
    assert (case["number"], case["value_at_risk"], case["owner"]) == ("450", None, None)
    assert door.get("purchase-orders/451", door.acme).status_code == 404
    assert door.get("customer-orders", door.acme).status_code == 403
    assert door.get("cases", door.acme, owner="desk").status_code == 403
    # A cursor is a place, no permission: one that belongs to us opens nothing to a partner.
    ours = door.get("purchase-orders", limit=1).json()["next_cursor"]
    page = door.get("purchase-orders", door.acme, cursor=ours).json()
    assert {row["supplier"] for row in page["items"]} == {"ACME"}


def test_no_address_for_reading_is_open_or_shows_a_partner_others(door: Reading) -> None:
    """The addresses are those of OpenAPI, so that a new one is tried without being named here."""
    push = door._key("gate", None, "push")
    described = door.client.get("/openapi.json").json()["paths"]
    paths = [
        path for path, what in described.items() if "read" in what.get("get", {}).get("tags", ())
    ]
    assert len(paths) >= 8
    for path in (p.removeprefix("/v1/").format(number="451", kpi="otif") for p in paths):
        assert door.client.get(f"/v1/{path}").status_code == 401, path
        assert door.get(path, push).status_code == 403, path
        assert door.get(path, "tower_abcdefghij_" + "x" * 43).status_code == 401, path
        seen = door.get(path, door.acme)
        assert seen.status_code in (200, 403, 404), path
        assert not any(word in seen.text for word in ("BOLT", "SO-1", "C1")), path


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "9999"}, "limit"),
        ({"cursor": "bogus"}, "cursor"),
        ({"cursor": "WyJjYXNlcyIsIjEiXQ"}, "cursor"),
        ({"from": "2026-03-01T00:00:00"}, "without zone"),
        ({"from": "2027-01-01T00:00:00Z"}, "before"),
        ({"suplier": "ACME"}, "suplier: is not known here"),
        ({"closed": "perhaps"}, "closed"),
    ],
)
def test_a_wrong_question_is_told_with_what_fits(
    door: Reading, asked: dict[str, str], said: str
) -> None:
    answer = door.get("purchase-orders", **asked)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert answer.json()["next"]


def test_key_figures_are_those_of_the_catalogue(door: Reading) -> None:
    schema = door.client.get("/openapi.json").json()
    listed = door.get("kpis").json()
    assert len(listed["items"]) == 8
    assert set(DEFINITIONS) == set(listed["catalogue"])
    told = door.get("kpis/open_exceptions", by="supplier").json()
    assert told["figure"]["value"] == 2
    assert {row["key"]: row["figure"]["value"] for row in told["rows"]} == {"ACME": 1, "BOLT": 1}
    for path, answer in (("kpis", listed), ("kpis/{kpi}", told)):
        shape = schema["paths"][f"/v1/{path}"]["get"]["responses"]["200"]["content"]
        jsonschema.validate(
            answer, {**shape["application/json"]["schema"], "components": schema["components"]}
        )
    otif = door.get("kpis/otif", switch="date=requested", supplier="ACME").json()
    assert (otif["figure"]["value"], otif["figure"]["reason"] != "") == (None, True)
    goods = door.get("kpis/otif", by="category").json()
    assert {row["key"] for row in goods["rows"]} <= {"FASTENERS", ""}
    assert door.get("kpis/otif", by="category", category="NONE").json()["rows"] == []
    topics = door.get("kpis/open_exceptions", by="topic", topic="ACK_OVERDUE").json()
    assert {row["key"] for row in topics["rows"]} == {"ACK_OVERDUE"}
    refused = door.get("kpis/invoice_match", by="category")
    assert refused.status_code == 400
    assert "no category of goods" in refused.json()["error"]
    assert door.get("kpis/value_at_risk", door.acme).status_code == 403
    assert door.get("kpis/nonsense").status_code == 404
    for wrong in ({"by": "colour"}, {"switch": "date"}, {"switch": "date=moon"}):
        assert door.get("kpis/otif", **wrong).status_code == 400, wrong


def test_metrics_are_in_the_form_of_prometheus(door: Reading) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    answer = door.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {
        (s.name, *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(answer.text)
        for s in family.samples
    }
    assert found["tower_cases_open", "high"] == 1
    assert found["tower_cases_open", "critical"] == 0
    assert ("tower_source_up", "platform") in found
    assert found["tower_database_bytes",] > 1_000_000
    assert found["tower_timers_due",] > 0
    headers = {"authorization": f"Bearer {door.acme}"}
    assert door.client.get("/metrics", headers=headers).status_code == 403
    locked = TestClient(create_app(door.engine, keys_required=True))
    assert locked.get("/metrics").status_code == 401
