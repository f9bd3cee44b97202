"""What events say about customer orders, and about the supply they wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tower.event import Event
from tower.touch import Touch, merged, touch, without

_QUANTITY = {
    "order.placed": "qty",
    "order.changed": "qty",
    "order.promised": "promised_qty",
    "order.allocated": "allocated_qty",
    "order.backordered": "backordered_qty",
    "order.released": "released_qty",
    "order.shipped": "shipped_qty",
    "order.delivered": "delivered_qty",
}


def _order(event: Event) -> Iterable[Touch]:
    data = event.data
    erp, order = data["erp"], data["order"]
    qualifier = {"order.placed": "creates", "order.promised": "promises"}.get(event.type, "changes")
    facts = without(data, "erp", "order", "lines")
    lines = merged(data.get("lines") or ())
    if lines:
        facts["lines"] = [line["line"] for line in lines]
    quantity = _QUANTITY.get(event.type, "qty")
    found = [touch(("order", erp, order, "", qualifier, facts))]
    for line in lines:
        words = dict(line)
        number = words.pop("line")
        if "qty" in words:
            words[quantity] = words.pop("qty")
        if "promise_date" in words:
            day = "told_date" if event.type == "order.notified" else "promised_date"
            words[day] = words.pop("promise_date")
        if "shipment" in data:
            words["shipment"] = data["shipment"]
        found.append(touch(("order_line", erp, order, number, qualifier, words)))
    return found


def _ended(event: Event) -> Iterable[Touch]:
    data = event.data
    erp, order = data["erp"], data["order"]
    facts = without(data, "erp", "order", "lines")
    numbers = dict.fromkeys(line["line"] for line in data.get("lines") or ())
    if not numbers:
        return [touch(("order", erp, order, "", "changes", facts))]
    return [touch(("order_line", erp, order, number, "changes", facts)) for number in numbers]


def _pegs(event: Event) -> Iterable[Touch]:
    supply: dict[tuple[str, str, str], list[list[str | None]]] = {}
    demand: dict[tuple[str, str, str], list[list[str | None]]] = {}
    for peg in event.data.get("pegs") or ():
        erp, qty = peg["erp"], peg.get("qty")
        supply.setdefault((erp, peg["po"], peg["line"]), []).append(
            [peg["order"], peg["order_line"], qty]
        )
        demand.setdefault((erp, peg["order"], peg["order_line"]), []).append(
            [peg["po"], peg["line"], qty]
        )
    return [
        touch((kind, erp, number, line, "pegs", {"pegs": pegs}))
        for kind, spoken in (("po_line", supply), ("order_line", demand))
        for (erp, number, line), pegs in spoken.items()
    ]


BUILDERS: dict[str, Callable[[Event], Iterable[Touch]]] = {
    **dict.fromkeys(_QUANTITY, _order),
    "order.notified": _order,
    "order.cancelled": _ended,
    "order.closed": _ended,
    "peg.set": _pegs,
    "peg.removed": _pegs,
}
