"""Stock on hand as the books have it, told each night: what is sold without being reserved.

A share of the customer orders is promised from what is on order, but no peg says which purchase
line is for whom. Of their items the books tell each night what is in stock, where it changed. All
chances are drawn from generators of their own: what else happens is the same with and without.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from simulator import wires
from simulator.business import CustomerLine, CustomerOrder, Receipt
from simulator.cast import HQ, WAREHOUSES, Item, Warehouse
from simulator.emissions import Push
from simulator.stage import Stage

DOOR = "stock"
UNRESERVED_SHARE = 0.12
"""Share of the customer orders that no peg ties to a purchase line."""

TOLD_FOR = timedelta(days=35)
"""The house began so long before the end of history to tell its stock."""

_TOLD_AT = time(4, 30)  # local; before anybody is in the office
_AT_ONCE = timedelta(seconds=1)

Place = tuple[str, str]
"""(warehouse, item number)."""


@dataclass(slots=True)
class _Waiting:
    """A customer line: since when the books know of it, and when it leaves; None = never."""

    line: CustomerLine
    known: datetime
    unreserved: bool
    shipped: datetime | None = None

    def waits(self, at: datetime) -> bool:
        return self.known <= at and self.is_open(at)

    def is_open(self, at: datetime) -> bool:
        return self.shipped is None or self.shipped > at


@dataclass(slots=True)
class Stock:
    """The books: what lies in the warehouses for customers who wait, and a little besides.

    What came beyond the orders that wait for it is sold over the counter before the next night.

    first     day from which on stock is told
    _watched  items that somebody without a reservation waits for, or will
    _told     what was told last of those that are waited for
    """

    stage: Stage
    seed: int
    first: date = date.min
    _items: dict[Place, Item] = field(default_factory=dict)
    _lines: defaultdict[Place, list[_Waiting]] = field(default_factory=lambda: defaultdict(list))
    _orders: dict[str, list[_Waiting]] = field(default_factory=dict)
    _came: defaultdict[tuple[str, str], list[tuple[datetime, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _watched: set[Place] = field(default_factory=set)
    _told: dict[Place, int] = field(default_factory=dict)

    # --- what is written into the books ----------------------------------------------------------

    def is_reserved(self, order: CustomerOrder) -> bool:
        """Whether the ERP pegs this order to purchase lines."""
        return Random(f"{self.seed}:reserved:{order.number}").random() >= UNRESERVED_SHARE

    def ordered(self, order: CustomerOrder, quick: bool = False) -> None:
        """A customer waits. Orders of the day are known in the night before; ``quick`` ones only as
        they are placed, and what is in stock is told then."""
        day = datetime.combine(HQ.local_day(order.placed), time(), HQ.zone)
        known = order.placed - _AT_ONCE if quick else day
        reserved = self.is_reserved(order)
        mine = self._orders[order.number] = []
        for line in order.lines:
            place = (order.warehouse.key, line.item.number)
            one = _Waiting(line, known, not reserved and line.peg is not None)
            self._items[place] = line.item
            self._lines[place].append(one)
            mine.append(one)
            if one.unreserved:
                self._watched.add(place)
        if quick and not reserved:
            self._plan(known, order.warehouse)

    def shipped(self, order: CustomerOrder, at: datetime) -> None:
        for one in self._orders.pop(order.number, ()):
            one.shipped = at

    def received(self, receipt: Receipt) -> None:
        for row in receipt.lines:
            usable = row.quantity - row.damaged
            self._came[row.po.number, row.line.line].append((receipt.at, usable))

    # --- what they say ---------------------------------------------------------------------------

    def plan_night(self, day: date) -> None:
        """Plan what is told in the night to this day; before ``first``, that there is nothing."""
        at = datetime.combine(day, _TOLD_AT, HQ.zone).astimezone(UTC)
        for warehouse in WAREHOUSES if day >= self.first else ():
            self._plan(at, warehouse)
        self.stage.at(at, _beat)

    def _plan(self, at: datetime, warehouse: Warehouse) -> None:
        def render(when: datetime) -> Push | None:
            lines = self._changed(warehouse.key, when)
            if not lines:
                return None
            body = {
                "event": "inventory.snapshot",
                "id": f"ST-{self.stage.number('stock'):07d}",
                "occurredAt": wires.stamp(when),
                "warehouse": warehouse.key,
                "lines": lines,
            }
            return wires.document_push(DOOR, when, body)

        self.stage.at(at, render)

    def _changed(self, warehouse: str, at: datetime) -> list[dict[str, Any]]:
        """The watched items of which something else is in stock than was told last."""
        lines = []
        for place in sorted(place for place in self._watched if place[0] == warehouse):
            waiting = [one for one in self._lines[place] if one.waits(at)]
            awaited = any(one.unreserved for one in waiting)
            if not awaited and place not in self._told:
                continue
            on_hand = self._besides(place) + sum(self._there(one.line, at) for one in waiting)
            if self._told.get(place) != on_hand:
                item = self._items[place]
                lines.append({"sku": item.number, "onHand": on_hand, "uom": item.unit})
            if awaited:
                self._told[place] = on_hand
            else:
                self._forget(place, at)
        return lines

    def _besides(self, place: Place) -> int:
        """What lies there and nobody has ordered: mostly nothing, seldom enough for everybody."""
        lot = self._items[place].lot
        return Random(f"{self.seed}:stock:{place}").choice((0, 0, lot // 4, lot // 2, lot * 3))

    def _there(self, line: CustomerLine, at: datetime) -> int:
        """What lies in stock for a customer line that waits."""
        if line.peg is None:
            return line.quantity  # it was promised from the shelf
        po, po_line = line.peg
        came = self._came.get((po.number, po_line.line), ())
        return min(line.quantity, sum(usable for when, usable in came if when <= at))

    def _forget(self, place: Place, at: datetime) -> None:
        """Nobody without a reservation waits for this item any more: it is not told again."""
        del self._told[place]
        self._lines[place] = [one for one in self._lines[place] if one.is_open(at)]
        if not any(one.unreserved for one in self._lines[place]):
            self._watched.discard(place)


def _beat(when: datetime) -> Push:
    """That the books are all there, also when nothing in them changed."""
    return Push(when, DOOR, f"/v1/heartbeats/{DOOR}", {"X-Tower-Source": DOOR}, b"")
