"""A purchase order and its lines, computed from the registers of their fold.

Rows hold document columns: instants in microseconds since 1970 UTC, days as ISO text, amounts as
decimal text. A column that nobody spoke of is absent or None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tower import amounts
from tower.commitments import Commitment, commitment
from tower.owners import Owners
from tower.registers import State
from tower.shipments import Shipment, standing_shipments
from tower.statuses import DONE, answer_of, line_status, po_status
from tower.timelines import at_of, by_number, day_of, in_order, iso, owned

Row = dict[str, Any]

_REPLIES = frozenset(("po.acknowledged", "po.rejected", "po.change_answered"))
_ORDER_SETS = frozenset((None, "850", "860", "875", "876", "ORDERS", "ORDCHG"))
_COPIED = ("supplier", "buyer", "warehouse", "currency", "channel", "type", "ship_by")
_WORST_ASN = ("invalid", "announced", "valid")


def project(scope: str, number: str, state: State, owners: Owners) -> list[Row]:
    """The row of the header and one per line, the header first."""
    asns = standing_shipments(state["s"]) if "s" in state else []
    header: Row = {"kind": "po", "scope": scope, "number": number, "line": ""}
    _words(header, state, owners)
    _milestones(header, state, asns)
    states = state.get("l", {})
    extra = _loose(state, states, asns)
    replies = in_order(state["a"]) if "a" in state else []
    lines = [
        _line(name, states[name], header, replies, asns, extra.get(name, {}), owners)
        for name in sorted(states, key=by_number)
    ]
    _summary(header, state, lines, asns, replies, owners)
    return [header, *lines]


def _words(header: Row, state: State, owners: Owners) -> None:
    if "by" in state:
        header["supplier"] = state["by"][2]
    if "w" in state:
        for _, _, entry in owned(state["w"], "ordered", owners, whole=True):
            header.update(entry[3])
    if "c" in state:
        header["channel"] = state["c"][2]
    until = header.get("acknowledge_by")
    if until is not None:
        header["acknowledge_by"] = at_of(until)


def _milestones(header: Row, state: State, asns: Sequence[Shipment]) -> None:
    times = state.get("t", {})
    header["known"] = "made" in times
    header["released_at"] = times.get("made")
    header["transmitted_at"] = times.get("sent")
    header["applied_at"] = times.get("applied")
    header["closed_at"] = times.get("closed")
    header["cancelled_at"] = times.get("cancelled")
    replied = [e[0] for e in state.get("a", {}).values() if e[2] in _REPLIES]
    answered = min(replied) if replied else None
    header["acknowledged_at"] = answered
    delivered = times.get("delivered")
    if "proved" in times:
        header["transport_acked_at"] = times["proved"]
    elif delivered is not None and (answered is None or delivered <= answered):
        # Later deliveries without a receipt are hops of the answer on its way to us.
        header["transport_acked_at"] = delivered
    header["func_acked_at"] = None
    if "f" in state:
        verdicts = [(at, e[1]) for at, _, e in in_order(state["f"]) if e[2] in _ORDER_SETS]
        good = [at for at, verdict in verdicts if verdict != "rejected"]
        header["func_acked_at"] = min(good, default=None)
        if verdicts:
            header["fa_status"] = verdicts[-1][1]
    header["shipped_at"] = min((a.shipped_at for a in asns if a.ships or a.loose), default=None)
    header["failed_at"] = _failed_at(state, header, asns)


def _failed_at(state: State, header: Row, asns: Sequence[Shipment]) -> int | None:
    """Latest failure that nothing later has mended."""
    failures = [a.judged_at for a in asns if a.state == "invalid"]
    if header.get("fa_status") == "rejected":
        failures.append(max(e[0] for e in state["f"].values() if e[1] == "rejected"))
    messages = state.get("m", {}).values()
    broken = [e[0] for e in messages if e[2] == "failed"]
    if broken:
        cures = [e[0] for e in messages if e[2] == "delivered"]
        cures += [e[0] for e in state.get("a", {}).values()]
        cures += [e[0] for e in state.get("f", {}).values() if e[1] != "rejected"]
        mended = max(cures, default=0)
        failures += [at for at in broken if at > mended]
    return max(failures, default=None)


def _loose(state: State, lines: State, asns: Sequence[Shipment]) -> dict[str, dict[str, Any]]:
    """What names the order and an item but no line, given to the one line with that item."""
    if "x" not in state and not any(a.loose for a in asns):
        return {}
    by_item: dict[str, list[str]] = {}
    for name, line in lines.items():
        for item in {e[8] for e in line.get("o", {}).values() if e[8]}:
            by_item.setdefault(item, []).append(name)
    found: dict[str, dict[str, Any]] = {}
    for item, registers in state.get("x", {}).items():
        names = by_item.get(item, ())
        if len(names) == 1:
            found.setdefault(names[0], {}).update(registers)
    for n, asn in enumerate(asns):
        for item, qty, uom in asn.loose:
            names = by_item.get(item, ())
            if len(names) == 1:
                found.setdefault(names[0], {}).setdefault("s", []).append((n, [qty, uom]))
    return found


def _line(
    name: str,
    node: State,
    header: Row,
    replies: Sequence[tuple[int, str, list[Any]]],
    asns: Sequence[Shipment],
    extra: dict[str, Any],
    owners: Owners,
) -> Row:
    times = node["t"]
    line: Row = {
        "kind": "po_line",
        "scope": header["scope"],
        "number": header["number"],
        "line": name,
        "first_seen_at": times["seen"],
        "last_event_at": times["last"],
        "transmitted_at": header["transmitted_at"],
        "transport_acked_at": header.get("transport_acked_at"),
        "func_acked_at": header["func_acked_at"],
    }
    for column in _COPIED:
        if column in header:
            line[column] = header[column]
    reports: dict[str, dict[str, list[str]]] = {}
    line["reports"] = reports
    told = commitment(node, replies, owners, reports)
    _agreed(line, told)
    if asns:
        _shipped(line, name, asns, extra)
    receipts, invoices = node.get("r"), node.get("i")
    if extra:
        receipts = {**(receipts or {}), **extra.get("r", {})}
        invoices = {**(invoices or {}), **extra.get("i", {})}
    if receipts:
        _received(line, receipts, owners, reports)
    if invoices:
        _invoiced(line, invoices, owners, reports)
    cancelled, closed = times.get("cancelled"), times.get("closed")
    if told.deleted_at is not None and (cancelled is None or told.deleted_at < cancelled):
        cancelled = told.deleted_at
    if cancelled is None:
        cancelled = header["cancelled_at"]
    if closed is None:
        closed = header["closed_at"]
    line["cancelled_at"] = cancelled
    line["closed_at"] = closed
    status = line_status(line, cancelled=cancelled is not None, closed=closed is not None)
    line["status"] = status
    line["closed"] = status in DONE
    price = line["price"]
    wanted = told.ordered_qty if told.ordered_qty is not None else told.confirmed_qty
    line["value"] = value = amounts.product(wanted, price)
    if value is None:
        line["open_value"] = None
    elif status in DONE or status == "rejected":
        line["open_value"] = "0"
    else:
        received = line.get("received_qty")
        line["open_value"] = (
            amounts.product(amounts.remaining(wanted, received), price) if received else value
        )
    return line


def _agreed(line: Row, told: Commitment) -> None:
    line["known"] = told.known
    line["item"] = told.item
    line["description"] = told.description
    line["uom"] = told.uom
    line["ordered_qty"] = told.ordered_qty
    line["price"] = told.price if told.price is not None else told.confirmed_price
    line["requested_date"] = told.requested_date
    line["released_at"] = told.released_at
    line["acknowledged_at"] = told.answered_at
    line["applied_at"] = told.applied_at
    line["answer"] = told.answer
    line["confirmed_qty"] = told.confirmed_qty
    line["first_confirmed_date"] = told.first_confirmed_date
    line["last_confirmed_date"] = told.last_confirmed_date
    line["confirmed_date_kind"] = told.date_kind
    line["agrees"] = told.agrees


def _shipped(line: Row, name: str, asns: Sequence[Shipment], extra: dict[str, Any]) -> None:
    parts = [(asn, asn.ships[name]) for asn in asns if name in asn.ships]
    parts += [(asns[n], entry) for n, entry in extra.get("s", ())]
    if not parts:
        return
    units = [entry[1] for _, entry in parts if _comparable(entry[1], line["uom"])]
    if len(units) == len(parts):
        line["shipped_qty"] = amounts.total([entry[0] for _, entry in parts])
    line["shipped_at"] = min(asn.shipped_at for asn, _ in parts)
    line["actual_ship_date"] = max(asn.ship_date for asn, _ in parts)
    etas = [asn.eta for asn, _ in parts if asn.eta]
    if etas:
        line["eta"] = max(etas)
    states = {asn.state for asn, _ in parts}
    line["asn_status"] = next(s for s in _WORST_ASN if s in states)
    bad = [asn.judged_at for asn, _ in parts if asn.state == "invalid"]
    if bad:
        line["failed_at"] = max(bad)


def _comparable(unit: str | None, ordered: str | None) -> bool:
    return unit is None or ordered is None or unit == ordered


def _received(
    line: Row,
    register: dict[str, Any],
    owners: Owners,
    reports: dict[str, dict[str, list[str]]],
) -> None:
    by_system: dict[str, list[list[Any]]] = {}
    for entries in register.values():
        for system, entry in entries.items():
            kept = by_system.setdefault(system, [])
            if entry[2]:
                kept.append(entry)
    counting = owners.of_field("received", by_system)
    for system, kept in by_system.items():
        qty = amounts.total([e[3] for e in kept]) if kept else "0"
        if qty is not None:
            since = max([e[0] for e in kept], default=0)
            told = [qty, iso(since)] if since else [qty]
            reports.setdefault(system, {})["received_qty"] = told
    if len(counting) == 1:
        standing = by_system[next(iter(counting))]
    else:
        standing = []
        for entries in register.values():
            latest = max([e for system, e in entries.items() if system in counting], default=None)
            if latest is not None and latest[2]:
                standing.append(latest)
    if not standing:
        line["received_qty"] = "0"  # posted once and taken back: nothing is there
        return
    standing = sorted(standing)
    line["goods_received_at"] = standing[0][0]
    unit = line["uom"]
    if all(_comparable(e[5], unit) for e in standing):
        line["received_qty"] = amounts.total([e[3] for e in standing])
        line["rejected_qty"] = amounts.total([e[4] for e in standing])
    completing = _completing(standing, line["ordered_qty"])
    line["actual_receipt_date"] = day_of(completing[0], owners.zones.get(completing[6] or ""))


def _completing(receipts: Sequence[list[Any]], wanted: str | None) -> list[Any]:
    """The receipt with which the ordered quantity was reached, else the latest so far."""
    if len(receipts) > 1 and wanted is not None:
        got = "0"
        for entry in receipts:
            got = amounts.total([got, entry[3]]) or got
            if amounts.compare(got, wanted) >= 0:
                return entry
    return receipts[-1]


def _invoiced(
    line: Row,
    register: dict[str, Any],
    owners: Owners,
    reports: dict[str, dict[str, list[str]]],
) -> None:
    by_system: dict[str, list[str]] = {}
    last: dict[str, int] = {}
    comparable = True
    for at, _, sign, qty, uom, _, system in register.values():
        quantities = by_system.setdefault(system, [])
        last[system] = max(at, last.get(system, at))
        comparable = comparable and _comparable(uom, line["uom"])
        if qty is not None:
            quantities.append(amounts.negative(qty) if sign < 0 else qty)
    counting = owners.of_field("invoiced", by_system)
    for system, quantities in by_system.items():
        qty = amounts.total(quantities)
        if qty is not None:
            reports.setdefault(system, {})["invoiced_qty"] = [qty, iso(last[system])]
    if comparable:
        line["invoiced_qty"] = amounts.total([q for s in counting for q in by_system[s]])
    line["invoiced_at"] = min([entry[0] for entry in register.values()])


def _summary(
    header: Row,
    state: State,
    lines: Sequence[Row],
    asns: Sequence[Shipment],
    replies: Sequence[tuple[int, str, list[Any]]],
    owners: Owners,
) -> None:
    """Columns of the header that follow from its lines."""
    times = state.get("t")
    seen = [line["first_seen_at"] for line in lines]
    last = [line["last_event_at"] for line in lines]
    if times:
        seen.append(times["seen"])
        last.append(times["last"])
    header["first_seen_at"] = min(seen)
    header["last_event_at"] = max(last)
    words = [e[3] for _, _, e in replies if e[2] in _REPLIES and e[3]]
    header["answer"] = answer_of(lines, words[-1] if words else None)
    if replies and replies[-1][2][5]:
        header["channel"] = replies[-1][2][5]
    if "fa_status" not in header:
        waits = header["transmitted_at"] is not None and header["acknowledged_at"] is None
        expected = header.get("supplier") in owners.expects_fa
        header["fa_status"] = "waiting" if waits and expected else "none"
    header["n_lines"] = len(lines)
    header["n_rejected"] = len([line for line in lines if line["answer"] == "rejected"])
    live = [line for line in lines if line["cancelled_at"] is None]
    if live and len({line["uom"] for line in live}) == 1:
        header["uom"] = live[0]["uom"]
        for column in _SUMMED:
            told = [line[column] for line in live if line.get(column) is not None]
            if told:
                header[column] = amounts.total(told)
    header["value"] = amounts.total([line["value"] for line in live])
    header["open_value"] = amounts.total([line["open_value"] for line in lines])
    for column, choose in _CHOSEN:
        told = [line[column] for line in live if line.get(column) is not None]
        if told:
            header[column] = choose(told)
    agree = [line["agrees"] for line in live]
    if agree:
        header["agrees"] = False if False in agree else None if None in agree else True
    if asns:
        states = {asn.state for asn in asns}
        header["asn_status"] = next(s for s in _WORST_ASN if s in states)
    header["status"] = po_status(
        header, lines, change_pending=_change_pending(state, header, replies)
    )
    header["closed"] = header["status"] in DONE


_SUMMED = (
    *("ordered_qty", "confirmed_qty", "shipped_qty"),
    *("received_qty", "rejected_qty", "invoiced_qty"),
)
# An order is complete when its last line is, wanted when its first line is.
_CHOSEN = (
    ("requested_date", min),
    ("first_confirmed_date", max),
    ("last_confirmed_date", max),
    ("eta", max),
    ("actual_ship_date", max),
    ("actual_receipt_date", max),
    ("goods_received_at", min),
    ("invoiced_at", min),
)


def _change_pending(
    state: State, header: Row, replies: Sequence[tuple[int, str, list[Any]]]
) -> bool:
    """A change by us that the supplier has not answered, or one of his that we have not taken."""
    revised = max([e[0] for e in state.get("w", {}).values() if not e[2]], default=0)
    proposed = max([at for at, _, e in replies if e[2] == "po.change_proposed"], default=0)
    if not revised and not proposed:
        return False
    replied = max([at for at, _, e in replies if e[2] in _REPLIES], default=0)
    taken = max(revised, state.get("t", {}).get("applied_last", 0))
    return (revised > replied and header["transmitted_at"] is not None) or proposed > taken
