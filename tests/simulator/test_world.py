"""The world follows from its seed alone, however it is told, and keeps working hours."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simulator.cast import HQ
from simulator.emissions import Emission, Emissions
from simulator.world import World, build
from tower.network import load_network

if TYPE_CHECKING:
    from conftest import Reading

AS_OF = datetime(2026, 3, 27, 14, 0, tzinfo=UTC)


def small(seed: int = 5) -> World:
    return build(seed, AS_OF, days=9, suppliers=40, pos_per_day=12)


def flat(emissions: Emissions) -> list[Emission]:
    return [*emissions.files, *emissions.lines, *emissions.pushes, *emissions.records]


def told(world: World, step: timedelta, until: datetime = AS_OF) -> list[Emission]:
    found: list[Emission] = []
    now = world.start
    while now < until:
        now = min(now + step, until)
        found += flat(world.advance(now))
    return sorted(found, key=repr)


def test_the_same_seed_tells_the_same_however_large_the_steps_are() -> None:
    whole = told(small(), timedelta(days=30))
    assert len(whole) > 1000
    assert told(small(), timedelta(hours=2)) == whole
    assert told(small(), timedelta(minutes=37)) == whole


def test_another_seed_is_another_distributor() -> None:
    assert told(small(6), timedelta(days=30)) != told(small(), timedelta(days=30))
    assert small(6).cast.suppliers[0] != small().cast.suppliers[0]


def test_nothing_comes_out_before_its_time_or_twice() -> None:
    world = small()
    middle = AS_OF - timedelta(days=3)
    early = flat(world.advance(middle))
    late = flat(world.advance(AS_OF))
    assert max(item.at for item in early) <= middle
    assert middle < min(item.at for item in late)
    assert max(item.at for item in late) <= AS_OF
    assert flat(world.advance(AS_OF)) == []


def test_impossible_worlds_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="with a zone"):
        build(1, datetime(2026, 3, 27))  # noqa: DTZ001  the mistake that is refused
    with pytest.raises(ValueError, match="too few"):
        build(1, AS_OF, suppliers=5)
    with pytest.raises(ValueError, match="is empty"):
        build(1, AS_OF, days=0)


def test_it_has_the_size_of_a_regional_distributor(world: World, reading: Reading) -> None:
    suppliers = world.cast.suppliers
    assert len(suppliers) == 300
    channels = Counter(s.channel for s in suppliers)
    assert channels["edi"] == 165
    assert channels["api"] == channels["file"] == channels["portal"] == 45
    assert {s.tier for s in suppliers} == {"A", "B", "C"}
    assert len({s.hours.zone_name for s in suppliers}) == 8
    workdays = sum(HQ.is_open_day((AS_OF - timedelta(days=n)).date()) for n in range(60))
    assert 30 < len(reading.orders) / workdays < 40
    lines = sum(len(order.wanted) for order in reading.orders.values())
    assert 2 < lines / len(reading.orders) < 3.5


def test_orders_are_released_in_office_hours_only(reading: Reading) -> None:
    for order in reading.orders.values():
        local = order.released.astimezone(HQ.zone)
        assert HQ.is_open_day(local.date())
        assert 8 <= local.hour < 17


def test_suppliers_answer_in_their_own_hours(world: World, reading: Reading) -> None:
    suppliers = {s.key: s for s in world.cast.suppliers}
    skewed = {p.subject.removeprefix("partner::") for p in world.planted}
    for order in reading.orders.values():
        hours = suppliers[order.supplier].hours
        for answered in order.accepted + order.rejected if order.supplier not in skewed else ():
            assert hours.next_open(answered) - answered < timedelta(minutes=1), order.number


def test_the_end_of_history_is_alive(world: World, reading: Reading) -> None:
    able = {s.key for s in world.cast.suppliers if s.answers_orders}
    waiting = [
        o for o in reading.orders.values()
        if o.supplier in able and not o.accepted and not o.rejected and not o.ended
    ]  # fmt: skip
    assert len(waiting) >= 8
    assert any(o.released < AS_OF - timedelta(days=2) for o in waiting)
    open_faults = [p for p in world.expected(AS_OF) if p.due_at > AS_OF - timedelta(days=7)]
    assert len({p.category for p in open_faults}) >= 4


def test_customers_wait_for_purchase_lines(emissions: Emissions, reading: Reading) -> None:
    pegs = [
        peg for r in emissions.records if r.body["entity" if r.door == "erp" else "kind"] == "peg"
        for peg in r.body["pegs"]
    ]  # fmt: skip
    assert len(pegs) > 500
    for peg in pegs:
        assert peg["po_line"] in reading.orders[peg["po"]].wanted
    placed: dict[str, set[str]] = {}
    promised = 0
    for push in emissions.pushes:
        if push.door == "platform" and push.path == "/v1/events":
            event: dict[str, Any] = json.loads(push.body)
            data = event["data"]
            if event["type"].endswith("order.placed"):
                placed[data["order"]] = {line["line"] for line in data["lines"]}
            elif event["type"].endswith("order.promised"):
                promised += 1
                assert {line["line"] for line in data["lines"]} == placed[data["order"]]
    assert promised >= len(placed) - 3
    assert {(peg["order"], peg["order_line"]) for peg in pegs} <= {
        (order, line) for order, lines in placed.items() for line in lines
    }


def test_pushing_systems_beat_when_they_have_nothing_to_tell(
    world: World, emissions: Emissions
) -> None:
    for door in ("supplier_api", "platform", "wms_east"):
        times = [world.start, *(p.at for p in emissions.pushes if p.door == door), AS_OF]
        gaps = [(b - a, a) for a, b in pairwise(times)]
        quiet = [at for gap, at in gaps if gap > timedelta(hours=2)]
        silences = [o for o in world.outages if o.door == door]
        assert len(quiet) == len(silences)


def test_a_silent_warehouse_tells_everything_afterwards(world: World, emissions: Emissions) -> None:
    (outage,) = [o for o in world.outages if o.door == "wms_east"]
    pushes = [p for p in emissions.pushes if p.door == "wms_east"]
    assert [p for p in pushes if outage.covers(p.at)] == []
    late = [
        p for p in pushes
        if p.path.startswith("/v1/documents")
        and outage.covers(datetime.fromisoformat(_told_at(json.loads(p.body))))
    ]  # fmt: skip
    assert late
    assert all(p.at - outage.end < timedelta(minutes=20) for p in late)


def _told_at(body: dict[str, Any]) -> str:
    at: str = body.get("checked_at") or body["posted_at"]
    return at


def test_live_operation_brings_orders_at_night_and_answers_within_minutes() -> None:
    world = small()
    world.advance(AS_OF)
    night = datetime(2026, 3, 28, 5, 0, tzinfo=UTC)  # Saturday
    world.advance(night)
    world.go_live(night, per_minute=2)
    out = world.advance(night + timedelta(minutes=30))
    changes = Counter(r.body["change"] for r in out.records if r.door == "erp")
    assert changes["released"] > 40
    assert changes["answer_applied"] > 20
    assert any(d.door == "edi_in" for d in out.files)
    assert any(p.door == "platform" and p.path == "/v1/events" for p in out.pushes)


def test_live_faults_are_planted_too() -> None:
    world = small()
    world.advance(AS_OF)
    before = len(world.planted)
    world.go_live(AS_OF, per_minute=2)
    world.advance(AS_OF + timedelta(hours=1))
    fresh = world.planted[before:]
    assert {"ACK_REJECTED", "ASN_INVALID"} <= {p.category for p in fresh}


def test_a_world_that_was_live_goes_on_after_a_restart_as_if_it_had_not_stopped() -> None:
    start, stop = AS_OF + timedelta(minutes=3), AS_OF + timedelta(minutes=31)
    first = small()
    first.advance(AS_OF)
    first.go_live(start)
    first.advance(stop)
    again = small()
    again.go_live(start, stop)
    again.advance(stop)
    restart = stop + timedelta(minutes=2)
    rest = []
    for world in (first, again):
        world.go_live(restart)
        rest.append(flat(world.advance(restart + timedelta(minutes=40))))
    assert rest[0] == rest[1]
    numbers = [r.body["number"] for r in again.stage.feeds["erp"] if r.body["change"] == "released"]
    assert len(numbers) == len(set(numbers))


def test_its_network_file_is_one_that_the_tower_takes(world: World, tmp_path: Path) -> None:
    text = world.network_yaml(tmp_path, "http://127.0.0.1:8801/", every="2h")
    network = load_network(text, "network.yaml")
    assert len(network.partners) == 300
    assert network.sources["erp"].every == timedelta(hours=2)
    assert network.sources["erp"].options["url"] == "http://127.0.0.1:8801/erp/changes"
    assert network.sources["edi_in"].options["path"] == str(tmp_path / "doors" / "edi_in")
    assert {"purchasing_desk", "it_integration", "purchasing_lead"} <= set(network.people)
