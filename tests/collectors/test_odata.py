"""OData 2 as SAP speaks it and 4 as Business Central does, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from collectors.registry import interpret
from tests.collectors.conformance import PLENTY, Tower, collector_conformance
from tests.collectors.odata_worlds import BusinessCentralWorld, ODataService, SapWorld
from tower.errors import ConfigError, SourceThrottled
from tower.raw import Batch, Raw

test_sap_purchase_orders = collector_conformance(SapWorld)
test_business_central_purchase_orders = collector_conformance(BusinessCentralWorld)


@pytest.fixture(params=[SapWorld, BusinessCentralWorld])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SapWorld]:
    made: SapWorld = request.param(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sap(tmp_path: Path) -> Iterator[SapWorld]:
    made = SapWorld(tmp_path)
    yield made
    made.close()


class Sweeping(Tower):
    """The worker with a ledger that the reader may ask."""

    def __init__(self, world: SapWorld) -> None:
        self.order: list[str] = []
        world.known = lambda source, since: list(self.order)
        super().__init__(world)

    def _commit(self, batch: Batch) -> None:
        known = set(self.ledger)
        super()._commit(batch)
        self.order += [key for key in self.ledger if key not in known]

    def night(self) -> list[dict[str, Any]]:
        self.now += timedelta(days=1)
        before = set(self.ledger)
        self.read()
        return [orjson.loads(self.ledger[key].body) for key in self.ledger if key not in before]


def queries(service: ODataService) -> list[dict[str, str]]:
    found = [{k: v[-1] for k, v in parse_qs(urlsplit(p).query).items()} for p in service.asked]
    service.asked.clear()
    return found


def test_it_asks_from_the_services_own_stamp_less_the_overlap(sap: SapWorld) -> None:
    sap.put(7)
    tower = Tower(sap)
    tower.read()
    first, *_ = queries(sap.service)
    assert first == {
        "$filter": "LastChangeDateTime ge datetimeoffset'1970-01-01T00:00:00Z'",
        "$orderby": "LastChangeDateTime,PurchaseOrder",
        "$top": "2",
        "$skip": "0",
        "$format": "json",
        "$expand": "to_PurchaseOrderItem,to_PurchaseOrderItem/to_ScheduleLine",
    }
    tower.read()
    asked = queries(sap.service)[0]["$filter"]
    assert asked == "LastChangeDateTime ge datetimeoffset'2026-03-27T09:50:07Z'"
    assert tower.beats[-1].newest is not None
    assert tower.beats[-1].newest.isoformat() == "2026-03-27T10:00:07+00:00"


@pytest.mark.parametrize("cut_at", [1, 2, 3, 1000])
def test_every_entity_comes_once_however_pages_are_cut(world: SapWorld, cut_at: int) -> None:
    world.service.cut_at = cut_at
    for n in range(7):
        world.put(n)
    tower = Tower(world)
    tower.drain()
    assert tower.bodies() == sorted(world.content(n) for n in range(7))
    assert tower.sightings == 0


def test_many_entities_with_one_stamp_are_paged_too(sap: SapWorld) -> None:
    for n in range(9):
        order = sap.record(n)
        order["LastChangeDateTime"] = sap.record(0)["LastChangeDateTime"]
        sap.service.records.append(order)
    tower = Tower(sap)
    tower.drain()
    assert len(tower.ledger) == 9


def test_what_changes_while_pages_are_read_steps_over_nothing(sap: SapWorld) -> None:
    for n in range(8):
        sap.put(n)
    tower = Tower(sap)
    for batch in tower._reader.read(None, PLENTY, tower.now):
        tower._commit(batch)
        if len(sap.service.asked) == 1:
            # The first order moves to the end of the list, all others one place forward.
            sap.service.records[0]["LastChangeDateTime"] = "/Date(1774699200000+0000)/"
    assert {raw.key.partition("@")[0] for raw in tower.ledger.values()} == {
        f"450000000{n}" for n in range(8)
    }


@pytest.mark.parametrize("inner_cut", [1, 2])
def test_lists_that_the_service_cuts_inside_an_entity_are_read_on(
    world: SapWorld, inner_cut: int
) -> None:
    world.put(1)
    tower = Tower(world)
    world.service.inner_cut = inner_cut
    tower.drain()
    assert tower.bodies() == [world.content(1)]


def test_an_order_has_its_lines_and_dates(world: SapWorld) -> None:
    world.put(1)
    tower = Tower(world)
    tower.read()
    (raw,) = tower.ledger.values()
    event = interpret(raw, world.net).events[0]
    assert (event.type, event.partner) == ("po.released", "ACME")
    assert event.occurred_at.date().isoformat() == "2026-03-27"
    first, second = event.data["lines"]
    assert (first["item"], first["qty"], first["price"]) == (f"B-{first['line']}", "40", "12.5")
    assert second["price"] == "12.5"
    assert second["requested_date"] == ("2026-04-01" if world.version == 2 else "2026-04-02")


def test_deletions_are_found_by_night_and_shifting_lists_delete_nothing(world: SapWorld) -> None:
    for n in range(5):
        world.put(n)
    tower = Sweeping(world)
    tower.drain()
    assert tower.night() == []
    world.remove(2)
    (gone,) = tower.night()
    key = next(iter(world.record(2)))
    assert gone[key] == world.record(2)[key]
    reading = interpret(list(tower.ledger.values())[-1], world.net)
    # Business Central deletes what was invoiced in full.
    assert [e.type for e in reading.events] == [
        "po.cancelled" if world.version == 2 else "po.closed"
    ]
    assert tower.night() == []


def test_a_key_that_the_list_left_out_is_asked_for_before_it_is_gone(sap: SapWorld) -> None:
    for n in range(3):
        sap.put(n)
    tower = Sweeping(sap)
    tower.drain()
    respond = sap.service.respond

    def forgetful(path: str, query: Any, headers: Any) -> Any:
        if query.get("$select") == "PurchaseOrder":
            kept = sap.service.records
            sap.service.records = kept[1:]
            try:
                return respond(path, query, headers)
            finally:
                sap.service.records = kept
        return respond(path, query, headers)

    sap.service.respond = forgetful  # type: ignore[method-assign]
    assert tower.night() == []


def test_what_was_missed_is_read_by_night(world: SapWorld) -> None:
    world.put(9)
    tower = Sweeping(world)
    tower.drain()
    old = world.record(1)
    stamp = "LastChangeDateTime" if world.version == 2 else "lastModifiedDateTime"
    old[stamp] = "/Date(1735689600000+0000)/" if world.version == 2 else "2025-01-01T00:00:00Z"
    world.service.records.append(old)
    tower.drain()
    assert len(tower.ledger) == 1
    (found,) = tower.night()
    assert found[stamp] == old[stamp]


def test_no_calls_left_means_waiting(sap: SapWorld) -> None:
    for n in range(5):
        sap.put(n)
    sap.service.headers = {"RateLimit-Remaining": "0", "RateLimit-Reset": "90"}
    tower = Tower(sap)
    with pytest.raises(SourceThrottled) as told:
        tower.read()
    assert told.value.retry_after_s == 90
    assert len(tower.ledger) == 2  # the page that came is kept
    assert len(sap.service.asked) == 1
    sap.service.headers = {}
    with pytest.raises(SourceThrottled):
        tower.read()
    tower.now += timedelta(seconds=90)
    tower.drain()
    assert len(tower.ledger) == 5


def test_a_service_of_the_other_version_is_told(sap: SapWorld) -> None:
    sap.put(1)
    sap.service.version = 4
    tower = Tower(sap)
    with pytest.raises(Exception, match="no list at"):
        tower.read()
    (kept,) = tower.ledger.values()
    assert isinstance(kept, Raw)


def test_business_central_as_its_documentation_shows_it(shared_data: Path, tmp_path: Path) -> None:
    """A public answer; its order is still in review, so nothing was sent to the supplier."""
    order = orjson.loads(
        (shared_data / "erp_json" / "dynamics365-bc" / "purchaseOrder.json").read_bytes()
    )
    world = BusinessCentralWorld(tmp_path)
    try:
        # Its vendor is none of ours, and its stamp a bare date.
        order |= {"vendorNumber": "17300001", "purchaseOrderLines": []}
        order["lastModifiedDateTime"] += "T00:00:00Z"
        world.service.records.append(order)
        tower = Tower(world)
        tower.read()
        (raw,) = tower.ledger.values()
        types = [e.type for e in interpret(raw, world.net).events]
        assert types == ["po.closed"]
        opened = orjson.dumps({**orjson.loads(raw.body), "status": "Open"})
        again = Raw(raw.source, "k", opened, raw.received_at, headers=raw.headers)
        released, _ = interpret(again, world.net).events
        assert (released.type, released.data["po"]) == ("po.released", "108001")
    finally:
        world.close()


def test_too_many_pages_inside_an_entity_stop_the_source(
    sap: SapWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.odata.MOST_PAGES", 1)
    order = sap.record(1)
    order["to_PurchaseOrderItem"] *= 3
    sap.service.records.append(order)
    sap.service.inner_cut = 1
    with pytest.raises(ConfigError, match="more than 1 pages"):
        Tower(sap).read()
