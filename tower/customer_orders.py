"""A customer order and its lines, computed from the registers of their fold (rows: tower.rows).

Of a customer order ``received_qty`` is what the customer got.
"""

from __future__ import annotations

from operator import itemgetter

from tower import amounts, punctuality
from tower.owners import Owners
from tower.registers import State
from tower.rows import Row, blank, blank_line
from tower.statuses import DONE, order_line_status, order_status
from tower.timelines import by_number, day_of, in_order, iso, owned

_AT = itemgetter(0, 1)
_ORDERED = (*("ordered_qty", "uom", "price", "requested_date", "item", "description", "category"),)
_COPIED = ("customer", "customer_name", "warehouse", "currency", "priority")


def project(scope: str, number: str, state: State, owners: Owners) -> list[Row]:
    """The row of the header and one per line, the header first."""
    times = state.get("t", {})
    header = blank("order", scope, number)
    header["known"] = "made" in times
    header["released_at"] = times.get("made")
    header["closed_at"] = times.get("closed")
    header["cancelled_at"] = times.get("cancelled")
    if "w" in state:
        for _, _, entry in owned(state["w"], "placed", owners, whole=True):
            header.update({k: v for k, v in entry[3].items() if k in _COPIED})
    states = state.get("l", {})
    lines = [_line(name, states[name], header, owners) for name in sorted(states, key=by_number)]
    seen = [times["seen"]] if times else []
    last = [times["last"]] if times else []
    header["first_seen_at"] = min([*seen, *(line["first_seen_at"] for line in lines)])
    header["last_event_at"] = max([*last, *(line["last_event_at"] for line in lines)])
    live = [line for line in lines if line["cancelled_at"] is None]
    for column in ("promised_date", "first_promised_date"):
        told = [line[column] for line in live if line.get(column)]
        header[column] = max(told, default=None)
    told = [line["requested_date"] for line in live if line["requested_date"]]
    header["requested_date"] = min(told, default=None)
    shipped = [line["shipped_at"] for line in lines if line["shipped_at"] is not None]
    header["shipped_at"] = min(shipped, default=None)
    header["value"] = amounts.total([line["value"] for line in live])
    header["open_value"] = amounts.total([line["open_value"] for line in lines])
    header["n_lines"] = len(lines)
    header["status"] = order_status(header, lines)
    header["closed"] = header["status"] in DONE
    return [header, *lines]


def _line(name: str, node: State, header: Row, owners: Owners) -> Row:
    times = node["t"]
    line = blank_line("order_line", header)
    line["line"] = name
    line["first_seen_at"] = times["seen"]
    line["last_event_at"] = times["last"]
    line["cancelled_at"] = times.get("cancelled", header["cancelled_at"])
    line["closed_at"] = times.get("closed", header["closed_at"])
    reports: dict[str, dict[str, list[str]]] = {}
    if "o" in node:
        line["known"] = True
        orders = owned(node["o"], "placed", owners)
        line["released_at"] = orders[0][0]
        for _, _, entry in orders:
            for column, value in zip(
                _ORDERED,
                entry[4:],
                strict=False,  # a category of goods stands last, where one is told
            ):
                if value is not None:
                    line[column] = value
    if "a" in node:
        promises = owned(node["a"], "promised", owners)
        days = [entry[2] for _, _, entry in promises if entry[2]]
        if days:
            line["first_promised_date"], line["promised_date"] = days[0], days[-1]
        for at, _, entry in in_order(node["a"]):
            if entry[2]:
                told = reports.setdefault(entry[1], {})
                known = told.get("promised_date")
                if known is None or known[0] != entry[2]:
                    told["promised_date"] = [entry[2], iso(at)]
    zone = owners.zones.get(line["warehouse"])
    for register, column, at_column, day_column in (
        ("s", "shipped_qty", "shipped_at", "actual_ship_date"),
        ("d", "received_qty", "goods_received_at", "actual_receipt_date"),
    ):
        moved = list(node.get(register, {}).values())
        if moved:
            line[column] = amounts.total([entry[2] for entry in moved])
            line[at_column] = min(entry[0] for entry in moved)
            line[day_column] = day_of(max(entry[0] for entry in moved), zone)
    if "d" in node:
        arrivals = [(day_of(e[0], zone), e[2]) for e in sorted(node["d"].values(), key=_AT)]
        punctuality.fill_in(line, arrivals, line["first_promised_date"], line["promised_date"])
    line["reports"] = reports
    line["status"] = order_line_status(
        line,
        cancelled=line["cancelled_at"] is not None,
        closed=line["closed_at"] is not None,
        stock=node["e"]["stock"][2] if "stock" in node.get("e", {}) else None,
    )
    line["closed"] = line["status"] in DONE
    price = line["price"]
    line["value"] = amounts.product(line["ordered_qty"], price)
    if line["closed"]:
        line["open_value"] = None if line["value"] is None else "0"
    else:
        done = line["shipped_qty"] or line["received_qty"]
        line["open_value"] = amounts.product(amounts.remaining(line["ordered_qty"], done), price)
    return line
