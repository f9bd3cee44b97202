"""The books tell what is in stock of what is sold without a reservation, and disturb nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from simulator import stock
from simulator.business import CustomerLine, CustomerOrder, Receipt, ReceiptLine
from simulator.buying import new_po
from simulator.cast import WAREHOUSES, make_cast
from simulator.emissions import Emissions, Push
from simulator.stage import Stage
from simulator.stock import Stock
from simulator.world import World, build

AS_OF = datetime(2026, 3, 27, 14, 0, tzinfo=UTC)

Place = tuple[str, str]


def make(seed: int = 5) -> World:
    return build(seed, AS_OF, days=50, suppliers=60, pos_per_day=14)


@pytest.fixture(scope="module")
def told() -> Emissions:
    return make().advance(AS_OF)


def reports(emissions: Emissions) -> list[tuple[Push, dict[str, Any]]]:
    return [
        (push, json.loads(push.body))
        for push in emissions.pushes
        if push.door == "stock" and push.body
    ]


def levels(emissions: Emissions) -> dict[Place, list[tuple[datetime, int]]]:
    """What was told of each item, oldest first."""
    found: dict[Place, list[tuple[datetime, int]]] = defaultdict(list)
    for push, body in reports(emissions):
        for line in body["lines"]:
            found[body["warehouse"], line["sku"]].append((push.at, line["onHand"]))
    return found


class Platform:
    """Customer order lines as the platform tells them, and those that a peg ties."""

    def __init__(self, emissions: Emissions) -> None:
        self.lines: dict[tuple[str, str], tuple[datetime, Place, int]] = {}
        self.shipped: dict[str, datetime] = {}
        for push in emissions.pushes:
            if push.door != "platform" or push.path != "/v1/events":
                continue
            event = json.loads(push.body)
            data = event["data"]
            if event["type"].endswith("order.placed"):
                for line in data["lines"]:
                    place = (data["warehouse"], line["item"])
                    self.lines[data["order"], line["line"]] = (push.at, place, int(line["qty"]))
            elif event["type"].endswith("order.shipped"):
                self.shipped[data["order"]] = push.at
        self.pegged = {
            (peg["order"], peg["order_line"])
            for record in emissions.records
            if record.door == "erp" and record.body["entity"] == "peg"
            for peg in record.body["pegs"]
        }
        self.pegged_orders = {order for order, _ in self.pegged}


def test_a_share_of_the_customer_orders_has_no_peg(told: Emissions) -> None:
    platform = Platform(told)
    # The peg follows the order: those of the last hour may still come.
    orders = {o for (o, _), (at, _, _) in platform.lines.items() if at < AS_OF - timedelta(hours=1)}
    free = orders - platform.pegged_orders
    assert 0.06 < len(free) / len(orders) < 0.2


def test_what_they_wait_for_is_told_before_they_are_placed(told: Emissions) -> None:
    platform, known = Platform(told), levels(told)
    waiting = [
        (at, place)
        for (order, _), (at, place, _) in platform.lines.items()
        if order not in platform.pegged_orders
        and AS_OF - stock.TOLD_FOR < at < AS_OF - timedelta(hours=1)
    ]
    untold = [place for at, place in waiting if not any(t <= at for t, _ in known.get(place, ()))]
    # The one line from the shelf in such an order has no purchase line to wait for.
    assert len(untold) < len(waiting) / 8


def test_quantities_are_told_once_per_change_and_never_below_nothing(told: Emissions) -> None:
    known = levels(told)
    assert sum(len(of) for of in known.values()) > 40
    for of in known.values():
        assert all(quantity >= 0 for _, quantity in of)
        assert all(a[0] < b[0] for a, b in pairwise(of))
    assert any(a[1] != b[1] for of in known.values() for a, b in pairwise(of))
    assert {0} < {quantity for of in known.values() for _, quantity in of}


def test_goods_lie_in_stock_until_they_leave_for_the_customer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stock, "UNRESERVED_SHARE", 1.0)
    monday = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
    stage = Stage(monday - timedelta(hours=14))
    books = Stock(stage, seed=1)
    cast = make_cast(1, 20)
    po = new_po(Random(1), cast.suppliers[0], WAREHOUSES[0], monday, "1")
    line = po.lines[0]
    wanted = line.quantity - 1
    order = CustomerOrder("SO-1", cast.customers[0], WAREHOUSES[0], "normal", monday)
    day = monday.date()
    order.lines.append(CustomerLine("1", line.item, wanted, 100, day, day, (po, line)))
    shelf = CustomerLine("2", po.supplier.items[-1], 5, 100, day, day, None)
    order.lines.append(shelf)
    books.ordered(order)
    for n in range(6):
        books.plan_night(day + timedelta(days=n))
    came = (ReceiptLine(po, line, line.quantity - 3, 0), ReceiptLine(po, line, 3, 1))
    for n, row in enumerate(came, start=1):
        at = monday + timedelta(days=n)
        books.received(Receipt(f"R{n}", WAREHOUSES[0], po.supplier, "", at, (row,)))
    books.shipped(order, monday + timedelta(days=3))
    told = levels(stage.play(monday + timedelta(days=10)))
    # Nobody is told of what is sold from the shelf alone.
    (of,) = told.values()
    besides = of[0][1]
    assert besides in (0, line.item.lot // 4, line.item.lot // 2, line.item.lot * 3)
    assert [(at.date() - day, quantity - besides) for at, quantity in of] == [
        (timedelta(days=0), 0),
        (timedelta(days=2), line.quantity - 3),
        (timedelta(days=3), wanted),  # one piece is broken, none is left over
        (timedelta(days=4), 0),
    ]


@pytest.mark.long
def test_nothing_else_changes_when_no_order_is_without_a_peg(
    told: Emissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "UNRESERVED_SHARE", 0.0)
    plain_world = make()
    plain = plain_world.advance(AS_OF)
    world = make()
    monkeypatch.setattr(stock, "UNRESERVED_SHARE", 0.12)
    world.advance(AS_OF)
    assert reports(plain) == []
    assert plain.files == told.files
    assert plain.lines == told.lines
    assert [p for p in plain.pushes if p.door != "stock"] == [
        p for p in told.pushes if p.door != "stock"
    ]
    assert [r for r in plain.records if r.body.get("entity") != "peg"] == [
        r for r in told.records if r.body.get("entity") != "peg"
    ]
    assert plain_world.planted == world.planted


def test_every_night_tells_something_or_that_nothing_changed(told: Emissions) -> None:
    times = [push.at for push in told.pushes if push.door == "stock"]
    nights = {at.date() for at in times}
    assert len(nights) >= 50
    assert all(b - a <= timedelta(hours=25) for a, b in pairwise(times))


def test_live_orders_without_a_peg_tell_their_items_at_once() -> None:
    world = build(5, AS_OF, days=9, suppliers=40, pos_per_day=12)
    world.advance(AS_OF)
    world.go_live(AS_OF, per_minute=4)
    emissions = world.advance(AS_OF + timedelta(hours=1))
    assert len(reports(emissions)) > 3
    platform = Platform(emissions)
    told_at = {(b["warehouse"], line["sku"]) for _, b in reports(emissions) for line in b["lines"]}
    free = [
        place for (order, line), (_, place, _) in platform.lines.items()
        if order not in platform.pegged_orders and line == "1"
    ]  # fmt: skip
    assert sum(place in told_at for place in free) > len(free) / 2


@pytest.mark.long
def test_how_far_each_step_goes_makes_no_difference_to_the_stock() -> None:
    def play(step: timedelta) -> list[bytes]:
        world = build(5, AS_OF, days=12, suppliers=40, pos_per_day=12)
        world.go_live(AS_OF, AS_OF + timedelta(hours=2), per_minute=3)
        end, now, found = AS_OF + timedelta(days=2), world.start, []
        while now < end:
            now = min(now + step, end)
            found += [p.body for p in world.advance(now).pushes if p.door == "stock"]
        return found

    whole = play(timedelta(days=30))
    assert len([body for body in whole if body]) > 5
    assert play(timedelta(hours=2)) == whole
    assert play(timedelta(minutes=41)) == whole
