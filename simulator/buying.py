"""How the distributor buys: what stands in a new purchase order."""

from __future__ import annotations

from datetime import date, datetime
from random import Random

from simulator.business import Po, PoLine
from simulator.cast import HQ, Supplier, Warehouse

_LINES, _LINE_WEIGHTS = (1, 2, 3, 4, 5, 6), (28, 26, 20, 13, 8, 5)
_RUSH_SHARE = 0.05  # of orders to suppliers whose machines answer within minutes


def new_po(
    rng: Random, supplier: Supplier, warehouse: Warehouse, released: datetime, number: str = ""
) -> Po:
    """An order with its lines. The dates wanted, and mostly the number, are given later."""
    count = min(rng.choices(_LINES, _LINE_WEIGHTS)[0], len(supplier.items))
    lines = [
        PoLine(
            str(10 * n),
            item,
            item.lot * rng.randint(1, 5),
            max(1, item.price_cents * rng.randint(96, 103) // 100),
            date.max,
        )
        for n, item in enumerate(rng.sample(supplier.items, count), start=1)
    ]
    hurries = supplier.channel == "api" and supplier.tier in "AB" and rng.random() < _RUSH_SHARE
    return Po(
        number,
        supplier,
        warehouse,
        supplier.buyer,
        "rush" if hurries else "standard",
        released,
        HQ.local_day(released),
        lines,
        f"gls-{rng.getrandbits(40):010x}",
        f"msg-out-{rng.getrandbits(40):010x}",
    )
