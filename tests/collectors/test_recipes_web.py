"""The recipes for web services, followed against services on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
import pytest
import yaml

from collectors import registry
from tests.collectors import recipes
from tests.collectors.erp_worlds import ErpNextWorld, NetSuiteWorld, PortalWorld
from tests.collectors.odata_worlds import BusinessCentralWorld, ODataService, SapWorld
from tower.event import Event
from tower.network import Network
from tower.raw import Budget
from tower.shipped_mappings import shipped

NOW = datetime(2026, 4, 2, 12, 0, tzinfo=UTC)
SECRETS = {
    "SAP_PASSWORD": ODataService.PASSWORD,
    "BC_SECRET": ODataService.PASSWORD,
    "ERPNEXT_AUTHORIZATION": ErpNextWorld.secret or "",
    "NETSUITE_SECRET": NetSuiteWorld.secret or "",
    "PORTAL_KEY": PortalWorld.secret or "",
}


def here(url: str, service: Any) -> str:
    """The same address, on the service of the test."""
    parts, local = urlsplit(url), urlsplit(service.url)
    return urlunsplit(parts._replace(scheme="http", netloc=local.netloc))


def described(page: str, source: str) -> dict[str, Any]:
    pieces = [yaml.safe_load(piece)["sources"] for piece in recipes.blocks(page, "yaml")]
    return next(dict(piece[source]["options"]) for piece in pieces if source in piece)


def read(net: Network, source: str) -> list[Event]:
    reader = registry.reader_for(source, net.sources[source], net, SECRETS)
    found: list[Event] = []
    for batch in reader.read(None, Budget(), NOW):
        for raw in batch.raws:
            reading = registry.interpret(raw, net)
            assert not reading.dead_letters, reading.dead_letters
            found += reading.events
    return found


def test_sap(tmp_path: Path) -> None:
    world = SapWorld(tmp_path)
    options = described("sap-s4hana", "sap_purchase_orders")
    world.service.PATH = urlsplit(options["url"]).path  # type: ignore[misc]
    net = recipes.network(
        "sap-s4hana", sap_purchase_orders={"url": here(options["url"], world.service)}
    )
    assert registry.reader_for("sap_confirmations", net.sources["sap_confirmations"], net, SECRETS)
    for n in range(3):
        # The page asks for one company only; the service here knows no other property.
        world.service.records.append({**world.record(n), "CompanyCode": "1710"})
    events = read(net, "sap_purchase_orders")
    assert [e.type for e in events] == ["po.released", "po.unheld"] * 3
    lines = [e.data["lines"][0] for e in events if e.type == "po.released"]
    assert {line["requested_date"] for line in lines} == {"2026-04-01"}
    asked = world.service.asked[0]
    assert "CompanyCode" in asked
    world.close()


def test_business_central(tmp_path: Path) -> None:
    world = BusinessCentralWorld(tmp_path)
    options = described("business-central", "bc_purchase_orders")
    service = world.service
    service.PATH = urlsplit(options["url"]).path  # type: ignore[misc]
    service.TOKEN = "Bearer token-of-entra"  # type: ignore[misc]
    forms: list[Any] = []

    def take(path: str, form: Any, headers: Any) -> Any:
        forms.append((path, form))
        return 200, {}, b'{"access_token": "token-of-entra", "expires_in": 3599}'

    service.take = take  # type: ignore[method-assign]
    oauth2 = {**options["oauth2"], "token_url": here(options["oauth2"]["token_url"], service)}
    net = recipes.network(
        "business-central",
        bc_purchase_orders={"url": here(options["url"], service), "oauth2": oauth2},
    )
    world.put(1)
    (event,) = read(net, "bc_purchase_orders")
    assert (event.type, event.data["po"]) == ("po.released", "108001")
    ((path, form),) = forms
    assert path == "/TENANT/oauth2/v2.0/token"
    assert form["client_secret"] == SECRETS["BC_SECRET"]
    assert form["scope"] == "https://api.businesscentral.dynamics.com/.default"
    world.close()


def test_erpnext(tmp_path: Path) -> None:
    world = ErpNextWorld(tmp_path)
    options = described("erpnext", "erpnext_purchase_orders")
    net = recipes.network(
        "erpnext", erpnext_purchase_orders={"url": here(options["url"], world.service)}
    )
    world.put(1)
    types = [e.type for e in read(net, "erpnext_purchase_orders")]
    assert types == ["po.released", "peg.set", "po.unheld"]
    world.close()


def test_netsuite(tmp_path: Path) -> None:
    world = NetSuiteWorld(tmp_path)
    options = described("netsuite", "netsuite_purchase_orders")
    url = here(options["url"], world.service)
    oauth2 = {"token_url": f"{world.service.url}/token", "client_id": "tower-client"}
    net = recipes.network(
        "netsuite",
        netsuite_purchase_orders={"url": url, "oauth2": {**options["oauth2"], **oauth2}},
    )
    world.put(1)
    (event,) = read(net, "netsuite_purchase_orders")
    assert (event.type, event.data["po"], event.partner) == ("po.released", "PO00001", "ACME")
    assert any("01/01/2026" in path.replace("%2F", "/") for path in world.service.asked)
    world.close()


def test_a_portal(tmp_path: Path) -> None:
    world = PortalWorld(tmp_path)
    options = described("portal", "portal_orchard")
    service = world.service
    lets_in = {"x-api-key": world.secret}
    service.lets_in = lambda headers: lets_in.items() <= headers.items()  # type: ignore[method-assign]
    (shown,) = recipes.blocks("portal", "json")
    service.records = orjson.loads(shown)["answers"]
    net = recipes.network("portal", portal_orchard={"url": here(options["url"], service)})
    assert [(e.type, e.partner) for e in read(net, "portal_orchard")] == [
        ("po.acknowledged", "ORCHARD"),
        ("asn.received", "ORCHARD"),
    ]
    world.close()


@pytest.mark.parametrize("page", ["sap-s4hana", "business-central", "erpnext", "sql-view"])
def test_every_mapping_that_a_page_names_comes_with_the_tower(page: str) -> None:
    text = (recipes.PAGES / f"{page}.md").read_text(encoding="utf-8")
    named = {row.split("`")[1] for row in text.splitlines() if row.startswith("| `")}
    assert named
    assert named <= set(shipped())
