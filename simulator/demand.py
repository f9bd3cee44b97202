"""Customer orders: placed, promised, mostly pegged to purchase lines, shipped when the goods came.

Orders that are not reserved wait for purchase lines, too, but nobody says for which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from simulator.business import CustomerLine, CustomerOrder, Po, PoLine
from simulator.cast import HQ, Cast
from simulator.house import House
from simulator.plots import minutes
from simulator.stage import Stage

PEGGED_SHARE = 0.34
"""Share of purchase lines that a customer waits for; the rest fills stock."""

_MARGIN = 135  # sales price in percent of the purchase price
_FIRST_ORDER = 70_001_000


@dataclass(slots=True)
class Demand:
    """Plans the customer orders that wait for given purchase lines."""

    stage: Stage
    house: House
    cast: Cast

    def follow(
        self, rng: Random, pos: Sequence[tuple[Po, bool]], quick: bool = False
    ) -> list[CustomerOrder]:
        """Orders for lines of these purchase orders; (order, troubled) each.

        Customers wait for most lines of troubled orders: a fault nobody feels shows nothing.
        ``quick``: placed within minutes of the purchase, as in live operation.
        """
        wanted = [
            (po, line)
            for po, troubled in pos
            for line in po.lines
            if rng.random() < (0.75 if troubled else PEGGED_SHARE)
        ]
        rng.shuffle(wanted)
        orders: list[CustomerOrder] = []
        while wanted:
            first = wanted[0][0]
            same = [pair for pair in wanted if pair[0].warehouse is first.warehouse]
            taken = same[: rng.choice((1, 1, 2, 3))]
            wanted = [pair for pair in wanted if pair not in taken]
            orders.append(self._order(rng, taken, quick))
        return orders

    def _order(self, rng: Random, taken: Sequence[tuple[Po, PoLine]], quick: bool) -> CustomerOrder:
        released = max(po.released for po, _ in taken)
        placed = released + (minutes(rng, 0.3, 1.5) if quick else minutes(rng, 10, 240))
        number = _FIRST_ORDER + self.stage.number("customer order")
        order = CustomerOrder(
            f"SO-{number}",
            rng.choice(self.cast.customers),
            taken[0][0].warehouse,
            rng.choices(("normal", "high", "low"), (80, 14, 6))[0],
            placed,
        )
        for n, (po, line) in enumerate(taken, start=1):
            promise = HQ.shift_days(line.wanted, rng.randint(2, 6))
            order.lines.append(
                CustomerLine(
                    str(n),
                    line.item,
                    max(1, line.quantity * rng.randint(30, 100) // 100),
                    max(1, line.price_cents * _MARGIN // 100),
                    promise - timedelta(days=rng.randint(0, 3)),
                    promise,
                    (po, line),
                )
            )
        if rng.random() < 0.25:
            po, _ = taken[0]
            item = rng.choice(po.supplier.items)
            soon = HQ.shift_days(HQ.local_day(placed), rng.randint(2, 4))
            latest = max(line.promise for line in order.lines)
            order.lines.append(
                CustomerLine(
                    str(len(order.lines) + 1), item, rng.randint(1, item.lot),
                    max(1, item.price_cents * _MARGIN // 100), soon, latest, None,
                )
            )  # fmt: skip
        self._tell(rng, order, quick)
        return order

    def _tell(self, rng: Random, order: CustomerOrder, quick: bool) -> None:
        self.house.order_placed(order, order.placed)
        self.house.order_promised(
            [order], order.placed + minutes(rng, *((0.1, 0.4) if quick else (2, 6)))
        )
        pegged = order.placed + minutes(rng, *((0.5, 1) if quick else (10, 25)))
        books = self.house.books
        if books is not None:
            books.ordered(order, quick)
        if books is None or books.is_reserved(order):
            self.house.erp_pegged(order, order.lines, pegged)
        arrivals = [line.peg[1].received_at for line in order.lines if line.peg is not None]
        known = [at for at in arrivals if at is not None]
        if len(known) == len(arrivals):
            self._ship(rng, order, max(known))

    def _ship(self, rng: Random, order: CustomerOrder, complete: datetime) -> None:
        """The whole order leaves some open hours after its last piece came."""
        hours = order.warehouse.hours
        shipped = hours.add(complete, rng.uniform(120, 620))
        shipment = f"SHP-{300_000 + self.stage.number('customer shipment')}"
        self.house.order_moved(order, "shipped", shipment, shipped)
        if self.house.books is not None:
            self.house.books.shipped(order, shipped)
        delivered = HQ.next_open(
            shipped + timedelta(days=rng.randint(1, 3), minutes=rng.randint(0, 300))
        )
        self.house.order_moved(order, "delivered", shipment, delivered)
