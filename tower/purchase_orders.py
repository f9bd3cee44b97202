"""A purchase order and its lines, computed from the registers of their fold (rows: tower.rows)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from tower import amounts, punctuality
from tower.commitments import Reports, WholeWord, commit, factor_to, refuses_change, words_for_all
from tower.owners import Owners
from tower.registers import State, all_invoices, all_receipts, end_of, invoices_by_system
from tower.rows import Row, blank, blank_line
from tower.shipments import Shipment, standing_receipts, standing_shipments
from tower.statuses import DONE, answer_of, line_status, po_status
from tower.timelines import Timeline, at_of, by_number, day_of, in_order, iso, owned
from tower.units import times

_REPLIES = frozenset(("po.acknowledged", "po.rejected", "po.change_answered"))
_ORDER_SETS = frozenset((None, "850", "860", "875", "876", "ORDERS", "ORDCHG"))
_WORST_ASN = ("invalid", "announced", "valid")
_NOTHING: dict[str, Any] = {}
_AGE = itemgetter(0, 1)  # instant and event of an entry


def project(scope: str, number: str, state: State, owners: Owners) -> list[Row]:
    """The row of the header and one per line, the header first."""
    replies = in_order(state["a"]) if "a" in state else []
    header = blank("po", scope, number)
    _words(header, state, owners)
    zone = owners.partner_zones.get(header["supplier"])
    asns = standing_shipments(state["s"], zone) if "s" in state else []
    _milestones(header, state, replies, asns)
    states = state.get("l", {})
    whole = words_for_all(replies, states)
    extra = _loose(state, states, asns)
    common = blank_line("po_line", header)
    lines = []
    for name in sorted(states, key=by_number) if len(states) > 1 else states:
        line = common.copy()
        line["line"] = name
        _line(line, states[name], header, whole, asns, extra.get(name, _NOTHING), owners)
        lines.append(line)
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
    until = header["acknowledge_by"]
    if until is not None:
        header["acknowledge_by"] = at_of(until)


def _milestones(header: Row, state: State, replies: Timeline, asns: Sequence[Shipment]) -> None:
    times = state.get("t", _NOTHING)
    header["known"] = "made" in times
    header["released_at"] = times.get("made")
    header["transmitted_at"] = times.get("sent")
    header["applied_at"] = times.get("applied")
    header["closed_at"] = end_of(state, "closed", lambda: _order_lives(state))
    header["cancelled_at"] = end_of(state, "cancelled", lambda: _order_lives(state))
    answered = next((at for at, _, entry in replies if entry[2] in _REPLIES), None)
    header["acknowledged_at"] = answered
    delivered = times.get("delivered")
    if "proved" in times:
        header["transport_acked_at"] = times["proved"]
    elif delivered is not None and (answered is None or delivered <= answered):
        # Later deliveries without a receipt are hops of the answer on its way to us.
        header["transport_acked_at"] = delivered
    if "f" in state:
        verdicts = [(at, e[1]) for at, _, e in in_order(state["f"]) if e[2] in _ORDER_SETS]
        good = [at for at, verdict in verdicts if verdict != "rejected"]
        header["func_acked_at"] = min(good, default=None)
        if verdicts:
            header["fa_status"] = verdicts[-1][1]
    left = [asn.shipped_at for asn in asns if asn.ships or asn.loose]
    if left:
        header["shipped_at"] = min(left)
    header["failed_at"] = _failed_at(state, header, asns)


def _line_lives(node: State) -> dict[str, int]:
    """When each system last ordered a line, or changed it otherwise than by deleting it."""
    return _latest([(e[1], e[0]) for e in node.get("o", _NOTHING).values() if e[3] != "delete"])


def _order_lives(state: State) -> dict[str, int]:
    """When each system last told that an order goes on, or told of it with lines."""
    named = {event for line in state.get("l", _NOTHING).values() for event in line.get("o", ())}
    words = [(e[1], e[0]) for event, e in state.get("w", _NOTHING).items() if event in named]
    return _latest([*words, *state.get("u", _NOTHING).items()])


def _latest(told: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict(sorted(told, key=itemgetter(1)))


def _failed_at(state: State, header: Row, asns: Sequence[Shipment]) -> int | None:
    """Latest failure that nothing later has mended."""
    failures = [asn.judged_at for asn in asns if asn.state == "invalid"]
    if header["fa_status"] == "rejected":
        failures.append(max(e[0] for e in state["f"].values() if e[1] == "rejected"))
    if "m" in state:
        messages = state["m"].values()
        broken = [e[0] for e in messages if e[2] == "failed"]
        cures = [e[0] for e in messages if e[2] == "delivered"]
        cures += [e[0] for e in state.get("a", _NOTHING).values()]
        cures += [e[0] for e in state.get("f", _NOTHING).values() if e[1] != "rejected"]
        mended = max(cures, default=0)
        failures += [at for at in broken if at > mended]
    return max(failures) if failures else None


def _loose(state: State, lines: State, asns: Sequence[Shipment]) -> dict[str, dict[str, Any]]:
    """What names the order and an item but no line, given to the one line with that item."""
    if "x" not in state and not [asn for asn in asns if asn.loose]:
        return {}
    by_item: dict[str, list[str]] = {}
    for name, line in lines.items():
        for item in {e[8] for e in line.get("o", {}).values() if e[8]}:
            by_item.setdefault(item, []).append(name)
    found: dict[str, dict[str, Any]] = {}
    for item, registers in state.get("x", {}).items():
        names = by_item.get(item, ())
        if len(names) == 1:
            kept = found.setdefault(names[0], {})
            for word, register in registers.items():
                kept.setdefault(word, []).append(register)
    for n, asn in enumerate(asns):
        for item, qty, uom in asn.loose:
            names = by_item.get(item, ())
            if len(names) == 1:
                found.setdefault(names[0], {}).setdefault("s", []).append((n, [qty, uom]))
    return found


def _line(
    line: Row,
    node: State,
    header: Row,
    whole: Sequence[WholeWord],
    asns: Sequence[Shipment],
    extra: dict[str, Any],
    owners: Owners,
) -> None:
    """Fill in a row that has what a line takes from its header."""
    times = node["t"]
    line["first_seen_at"] = times["seen"]
    line["last_event_at"] = times["last"]
    reports: Reports = {}
    line["reports"] = reports
    deleted = commit(line, node, whole, owners, reports)
    if asns:
        _shipped(line, asns, extra, owners)
    if "k" in node:
        line["discrepancies"] = " ".join(sorted(node["k"]))
    receipts, invoices = node.get("r"), node.get("i")
    if extra:
        receipts = all_receipts([receipts or _NOTHING, *extra.get("r", ())])
        invoices = all_invoices([invoices or _NOTHING, *extra.get("i", ())])
    if receipts:
        _received(line, receipts, owners, reports)
    if invoices:
        _invoiced(line, invoices, owners, reports)
    cancelled = end_of(node, "cancelled", lambda: _line_lives(node))
    closed = end_of(node, "closed", lambda: _line_lives(node))
    if deleted is not None and (cancelled is None or deleted < cancelled):
        cancelled = deleted
    if cancelled is None:
        cancelled = header["cancelled_at"]
    if closed is None:
        closed = header["closed_at"]
    line["cancelled_at"] = cancelled
    line["closed_at"] = closed
    status = line_status(line, cancelled=cancelled is not None, closed=closed is not None)
    done = status in DONE
    line["status"] = status
    line["closed"] = done
    price = line["price"]
    wanted = line["ordered_qty"] or line["confirmed_qty"]
    value = amounts.product(wanted, price)
    if value is not None:
        line["value"] = value
        if done or status == "rejected":
            line["open_value"] = "0"
        elif line["received_qty"]:
            left = amounts.remaining(wanted, line["received_qty"])
            line["open_value"] = amounts.product(left, price)
        else:
            line["open_value"] = value


def _shipped(line: Row, asns: Sequence[Shipment], extra: dict[str, Any], owners: Owners) -> None:
    name = line["line"]
    parts = [
        (asn, told[n : n + 2])
        for asn in asns
        if (told := asn.ships.get(name))
        for n in range(0, len(told), 2)
    ]
    if "s" in extra:
        parts += [(asns[n], entry) for n, entry in extra["s"]]
    if not parts:
        return
    parts = [(asn, _measured(entry, line, owners, 1, 0)) for asn, entry in parts]
    first = parts[0][0]
    left, day, eta, state = first.shipped_at, first.ship_date, first.eta, first.state
    failed = None
    unit, comparable = line["uom"], True
    for asn, (_, uom) in parts:
        comparable = comparable and (uom == unit or uom is None or unit is None)
        if asn.state == "invalid" and (failed is None or asn.judged_at > failed):
            failed = asn.judged_at
        if asn is not first:
            left, day = min(left, asn.shipped_at), max(day, asn.ship_date)
            eta = max(eta, asn.eta) if eta and asn.eta else eta or asn.eta
            state = min(state, asn.state, key=_WORST_ASN.index)
    if comparable:
        line["shipped_qty"] = amounts.total([qty for _, (qty, _) in parts])
        line["first_shipped_qty"] = (
            line["shipped_qty"] if len(parts) == 1 else _first_shipped(parts)
        )
    line["shipped_at"] = left
    line["actual_ship_date"] = day
    line["eta"] = eta
    line["asn_status"] = state
    line["failed_at"] = failed


def _first_shipped(parts: Sequence[tuple[Shipment, list[Any]]]) -> str | None:
    """What was on the shipment that left first."""
    first = min(asn.shipped_at for asn, _ in parts)
    return amounts.total([qty for asn, (qty, _) in parts if asn.shipped_at == first])


def _worst(asns: Sequence[Shipment]) -> str:
    states = [asn.state for asn in asns]
    return states[0] if len(states) == 1 else min(states, key=_WORST_ASN.index)


def _measured(
    entry: list[Any], line: Row, owners: Owners, unit: int, *quantities: int
) -> list[Any]:
    """The entry with its quantities in the unit of the order, where they are known to be equal."""
    factor = factor_to(line, entry[unit], owners)
    if factor is None:
        return entry
    entry = [*entry]
    for place in quantities:
        if entry[place] is not None:
            entry[place] = times(entry[place], factor)
    entry[unit] = line["uom"]
    return entry


def _comparable(unit: str | None, ordered: str | None) -> bool:
    return unit == ordered or unit is None or ordered is None


def _received(line: Row, register: dict[str, Any], owners: Owners, reports: Reports) -> None:
    unit = line["uom"]
    if any(entry[5] not in (None, unit) for one in register.values() for entry in one.values()):
        register = {
            key: {system: _measured(entry, line, owners, 5, 3, 4) for system, entry in one.items()}
            for key, one in register.items()
        }
    by_system: dict[str, list[list[Any]]] = {}
    for entries in register.values():
        for system, entry in entries.items():
            kept = by_system.setdefault(system, [])
            if entry[2]:
                kept.append(entry)
    for system, kept in by_system.items():
        told = reports.setdefault(system, {})
        if kept:
            qty = amounts.total([e[3] for e in kept])
            if qty is not None:
                told["received_qty"] = [qty, iso(max([e[0] for e in kept]))]
        else:
            told["received_qty"] = ["0"]
    standing = kept if len(register) == len(by_system) == 1 else standing_receipts(register, owners)
    if not standing:
        line["received_qty"] = "0"  # posted once and taken back: nothing is there
        return
    line["goods_received_at"] = standing[0][0]
    days = [day_of(entry[0], owners.zones.get(entry[6])) for entry in standing]
    if unit is None or {e[5] for e in standing} <= {unit, None}:
        line["received_qty"] = amounts.total([e[3] for e in standing])
        line["rejected_qty"] = amounts.total([e[4] for e in standing])
        arrivals = [(day, entry[3]) for day, entry in zip(days, standing, strict=True)]
        first = line["first_confirmed_date"]
        punctuality.fill_in(line, arrivals, first, line["last_confirmed_date"])
        line["late_unit_days"] = punctuality.late_unit_days(
            arrivals, first or line["requested_date"], line["ordered_qty"]
        )
    line["actual_receipt_date"] = days[_completing(standing, line["ordered_qty"])]
    site = line["warehouse"]
    if site is not None and any(e[6] is not None and e[6] != site for e in standing):
        line["discrepancies"] = " ".join(filter(None, (line["discrepancies"], "other_site")))


def _completing(receipts: Sequence[list[Any]], wanted: str | None) -> int:
    """Which receipt reached the ordered quantity, else the latest so far."""
    if len(receipts) > 1 and wanted is not None:
        got = "0"
        for place, entry in enumerate(receipts):
            got = amounts.total([got, entry[3]]) or got
            if amounts.compare(got, wanted) >= 0:
                return place
    return -1


def _invoiced(line: Row, register: dict[str, Any], owners: Owners, reports: Reports) -> None:
    unit = line["uom"]
    told = [[*invoices_by_system(one).values()] for one in register.values()]
    if any(entry[4] not in (None, unit) for entries in told for entry in entries):
        told = [[_measured(one, line, owners, 4, 3) for one in entries] for entries in told]
    by_system: dict[str, list[list[Any]]] = {}
    for entries in told:
        for entry in entries:
            by_system.setdefault(entry[6], []).append(entry)
    for system, entries in by_system.items():
        qty = amounts.total(_billed(entries))
        if qty is not None:
            last = iso(max([entry[0] for entry in entries]))
            reports.setdefault(system, {})["invoiced_qty"] = [qty, last]
    every = [entry for entries in by_system.values() for entry in entries]
    if all(_comparable(entry[4], unit) for entry in every):
        line["invoiced_qty"] = amounts.total(_billed(_counting_invoices(told, by_system, owners)))
    line["invoiced_at"] = min([entry[0] for entry in every])


def _counting_invoices(
    told: Sequence[list[list[Any]]], systems: Iterable[str], owners: Owners
) -> list[list[Any]]:
    """Of each invoice line the first word of the systems that count."""
    counting = owners.of_field("invoiced", systems)
    found = []
    for entries in told:
        of_line = [entry for entry in entries if entry[6] in counting]
        if of_line:
            found.append(min(of_line, key=_AGE))
    return found


def _billed(entries: Iterable[list[Any]]) -> list[str]:
    """The quantities of invoice lines, those of credit notes taken off."""
    told = [(sign, qty) for _, _, sign, qty, *_ in entries if qty is not None]
    return [amounts.negative(qty) if sign < 0 else qty for sign, qty in told]


def _summary(
    header: Row,
    state: State,
    lines: Sequence[Row],
    asns: Sequence[Shipment],
    replies: Timeline,
    owners: Owners,
) -> None:
    """Columns of the header that follow from its lines."""
    seen = [line["first_seen_at"] for line in lines]
    last = [line["last_event_at"] for line in lines]
    if "t" in state:
        seen.append(state["t"]["seen"])
        last.append(state["t"]["last"])
    header["first_seen_at"] = min(seen)
    header["last_event_at"] = max(last)
    words = [e[3] for _, _, e in replies if e[2] in _REPLIES and e[3] and not refuses_change(e)]
    header["answer"] = answer_of(lines, words[-1] if words else None)
    if replies and replies[-1][2][5]:
        header["channel"] = replies[-1][2][5]
    if header["fa_status"] is None:
        waits = header["transmitted_at"] is not None and header["acknowledged_at"] is None
        expected = header["supplier"] in owners.expects_fa
        header["fa_status"] = "waiting" if waits and expected else "none"
    header["n_lines"] = len(lines)
    header["n_rejected"] = len([line for line in lines if line["answer"] == "rejected"])
    live = [line for line in lines if line["cancelled_at"] is None]
    if live:
        units = [line["uom"] for line in live]
        if units.count(units[0]) == len(units):
            header["uom"] = units[0]
            for column, told in zip(_SUMMED, zip(*map(_summed, live), strict=True), strict=True):
                header[column] = amounts.total(told)
        header["value"] = amounts.total([line["value"] for line in live])
        for column, told in zip(_CHOSEN, zip(*map(_chosen, live), strict=True), strict=True):
            known = [value for value in told if value is not None] if None in told else told
            header[column] = _CHOSEN[column](known) if known else None
        agree = [line["agrees"] for line in live]
        header["agrees"] = False if False in agree else None if None in agree else True
    header["open_value"] = amounts.total([line["open_value"] for line in lines])
    if asns:
        header["asn_status"] = _worst(asns)
    status = po_status(header, lines, change_pending=_change_pending(state, header, replies))
    header["status"] = status
    header["closed"] = status in DONE


_SUMMED = (
    *("ordered_qty", "confirmed_qty", "shipped_qty"),
    *("received_qty", "rejected_qty", "invoiced_qty"),
)
# An order is complete when its last line is, wanted when its first line is.
_CHOSEN: dict[str, Callable[[Iterable[Any]], Any]] = {
    "requested_date": min,
    "first_confirmed_date": max,
    "last_confirmed_date": max,
    "eta": max,
    "actual_ship_date": max,
    "actual_receipt_date": max,
    "goods_received_at": min,
    "invoiced_at": min,
}
_summed, _chosen = itemgetter(*_SUMMED), itemgetter(*_CHOSEN)


def _change_pending(state: State, header: Row, replies: Timeline) -> bool:
    """A change by us that the supplier has not answered, or one of his that we have not taken."""
    revised = max([e[0] for e in state.get("w", _NOTHING).values() if not e[2]], default=0)
    proposed = max([at for at, _, e in replies if e[2] == "po.change_proposed"], default=0)
    if not revised and not proposed:
        return False
    replied = max([at for at, _, e in replies if e[2] in _REPLIES], default=0)
    taken = max(revised, state.get("t", _NOTHING).get("applied_last", 0))
    return (revised > replied and header["transmitted_at"] is not None) or proposed > taken
