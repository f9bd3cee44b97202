"""Services that page, name and let in as ERPNext, NetSuite and portals do, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.rate_limits import pause
from collectors.registry import interpret
from tests.collectors.conformance import Tower, collector_conformance
from tests.collectors.erp_worlds import (
    ErpNextWorld,
    NetSuiteService,
    NetSuiteWorld,
    PortalService,
    PortalWorld,
)
from tests.collectors.test_odata import Sweeping
from tower.errors import AccessDenied, ConfigError, SourceUnavailable
from tower.event import TimeQuality
from tower.network import load_network

test_erpnext_purchase_orders = collector_conformance(ErpNextWorld)
test_netsuite_purchase_orders = collector_conformance(NetSuiteWorld)
test_supplier_portal = collector_conformance(PortalWorld)

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


@pytest.fixture
def erpnext(tmp_path: Path) -> Iterator[ErpNextWorld]:
    made = ErpNextWorld(tmp_path)
    yield made
    made.close()


@pytest.fixture
def netsuite(tmp_path: Path) -> Iterator[NetSuiteWorld]:
    made = NetSuiteWorld(tmp_path)
    yield made
    made.close()


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[PortalWorld]:
    made = PortalWorld(tmp_path)
    yield made
    made.close()


def test_a_record_that_the_list_calls_unchanged_is_not_asked_for_again(
    erpnext: ErpNextWorld,
) -> None:
    for n in range(3):
        erpnext.put(n)
    tower = Tower(erpnext)
    tower.read()
    erpnext.service.asked.clear()
    tower.read()
    assert not [path for path in erpnext.service.asked if "PUR-ORD" in path]
    erpnext.service.records[1]["modified"] = "2026-03-27 10:05:00.000001"
    assert tower.read() == 1
    assert len([path for path in erpnext.service.asked if "PUR-ORD" in path]) == 1


def test_erpnext_tells_orders_pegs_and_what_was_posted_of_an_answer(erpnext: ErpNextWorld) -> None:
    erpnext.put(2)
    tower = Tower(erpnext)
    tower.read()
    (raw,) = tower.ledger.values()
    reading = interpret(raw, erpnext.net)
    assert not reading.findings
    types = ["po.released", "po.answer_applied", "peg.set", "po.unheld"]
    assert [e.type for e in reading.events] == types
    assert reading.events[2].data["pegs"][0] == {
        "erp": "main",
        "order": "SAL-ORD-1",
        "order_line": "row1",
        "po": "PUR-ORD-2026-00002",
        "line": "1",
        "qty": "40",
    }


def test_erpnext_is_swept_by_night(erpnext: ErpNextWorld) -> None:
    for n in range(5):
        erpnext.put(n)
    tower = Sweeping(erpnext)  # type: ignore[arg-type]  # a world that can be swept, too
    tower.drain()
    erpnext.remove(3)
    (gone,) = tower.night()
    assert gone["name"] == "PUR-ORD-2026-00003"
    assert tower.night() == []


def test_a_token_is_asked_for_once_and_again_when_it_ends(netsuite: NetSuiteWorld) -> None:
    service = netsuite.service
    assert isinstance(service, NetSuiteService)
    netsuite.put(1)
    tower = Tower(netsuite)
    tower.read()
    tower.read()
    assert service.tokens == 1
    tower.now += timedelta(hours=1)
    tower.read()
    assert service.tokens == 2
    service.tokens = 7  # the service forgot ours before its time
    tower.read()
    assert service.tokens == 8


@pytest.mark.parametrize(
    ("status", "family"), [(401, AccessDenied), (400, AccessDenied), (503, SourceUnavailable)]
)
def test_a_token_that_is_refused_says_why(
    netsuite: NetSuiteWorld, status: int, family: type[Exception]
) -> None:
    service = netsuite.service
    assert isinstance(service, NetSuiteService)
    service.token_fault = status
    with pytest.raises(family) as told:
        Tower(netsuite).read()
    assert NetSuiteService.SECRET not in str(told.value)
    if family is AccessDenied:
        assert "invalid_client" in str(told.value)


def test_a_portal_that_shows_the_same_is_a_heartbeat(portal: PortalWorld) -> None:
    service = portal.service
    assert isinstance(service, PortalService)
    portal.put(1)
    tower = Tower(portal)
    assert tower.read() == 1
    assert tower.read() == 0
    assert service.unchanged == 1
    assert tower.beats[-1].complete_to == tower.now


def test_an_answer_without_a_time_is_observed_between_two_polls(portal: PortalWorld) -> None:
    portal.put(1)
    tower = Tower(portal)
    tower.read()
    first = tower.now
    portal.put(2)
    tower.read()
    raw = next(raw for raw in tower.ledger.values() if b"4500000002" in raw.body)
    (event,) = interpret(raw, portal.net).events
    assert (event.type, event.partner, event.channel) == ("po.acknowledged", "ACME", "portal")
    assert event.time_quality is TimeQuality.OBSERVED
    assert event.occurred_at == tower.now
    assert raw.headers["polled-from"] == first.isoformat()
    assert raw.headers["polled-to"] == tower.now.isoformat()


def test_a_page_of_one_partner_cannot_speak_for_another(portal: PortalWorld) -> None:
    portal.service.records.append({**portal.record(1), "vendor": "17300002"})
    tower = Tower(portal)
    tower.read()
    (raw,) = tower.ledger.values()
    (letter,) = interpret(raw, portal.net).dead_letters
    assert letter.code == "wrong_partner"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"ratelimit-remaining": "3", "ratelimit-reset": "30"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "30"}, 30),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1774612830"}, 30),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1774612830000"}, 30),
        ({"x-rate-limit-remaining": "0"}, 60),
        ({"ratelimit": "limit=100, remaining=0, reset=12"}, 12),
        ({"ratelimit": '"default";r=0;t=7'}, 7),
        ({"ratelimit": '"default";r=50;t=7'}, None),
        ({"ratelimit-remaining": "soon", "ratelimit-reset": "30"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "99999"}, 3600),
    ],
)
def test_rate_limits_are_read_in_all_their_spellings(
    headers: dict[str, str], wait: float | None
) -> None:
    assert pause(headers, NOW) == wait


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("user: me", "belong together"),
        ("user: me, password_variable: P, auth_variable: T", "several ways to sign in"),
        ("paging: offset", "needs a parameter of the query"),
        ("paging: stamp", "needs the path of the stamp"),
        ("sweep_query: {all: '1'}", "needs a key"),
        ("oauth2: {token_url: 'ftp://x', client_id: c, secret_variable: S}", "not a web address"),
    ],
)
def test_options_that_do_not_fit_are_told(options: str, said: str) -> None:
    text = (
        "version: 1\ncompany: {name: H}\nsystems: {erp: {name: E, kind: erp}}\nsources:\n  feed: "
        "{kind: rest, format: cloudevents, system: erp, options: {url: 'https://e.example', %s}}\n"
    )
    with pytest.raises(ConfigError, match=said):
        load_network(text % options, "network.yaml")


def test_links_to_other_hosts_are_not_followed(netsuite: NetSuiteWorld) -> None:
    for n in range(3):
        netsuite.put(n)
    answer = netsuite.service.answer

    def leading_away(path: str, query: Any) -> Any:
        found = answer(path, query)
        for link in found.get("links", ()):
            link["href"] = "http://169.254.169.254/latest/meta-data"
        return found

    netsuite.service.answer = leading_away  # type: ignore[method-assign]
    with pytest.raises(AccessDenied, match="not the address in"):
        Tower(netsuite).read()
