"""Shipment notices, receipts and invoices, computed from their registers (rows: tower.rows)."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any, NamedTuple

from tower import amounts
from tower.owners import Owners
from tower.registers import State, receipt_age
from tower.rows import Row, blank
from tower.statuses import DONE, reached
from tower.timelines import Timeline, at_of, day_of, in_order


class Shipment(NamedTuple):
    """What stands of one ASN as its purchase order sees it.

    state       announced, valid, invalid
    at          when its content came; judged_at when it got its state
    ships       line -> [quantity, unit], and both again for each further unit
    loose       [item, quantity, unit] without a line
    shipped_at  when the goods left, else when the notice came
    """

    state: str
    at: int
    judged_at: int
    ships: dict[str, list[Any]]
    loose: list[list[Any]]
    shipped_at: int
    ship_date: str
    eta: str | None


class Version(NamedTuple):
    """The content in force of a number that may be sent again, and the verdict on it.

    entry     None after a cancellation, or when only a verdict came
    state     announced, valid, invalid, cancelled; at since when
    replaced  it replaces an earlier content
    """

    entry: list[Any] | None
    state: str
    at: int
    replaced: bool


def standing(words: Timeline) -> Version:
    """The version in force of an ASN, from its words by event: [at, word, ...].

    A second sending without the word "replaced" changes nothing: the first content stays. After a
    cancellation the next sending counts as new.
    """
    entry: list[Any] | None = None
    state, since, replaced = "announced", 0, False
    for at, _, told in words:
        word = told[1]
        if word == "cancelled":
            entry, state, since, replaced = None, "cancelled", at, False
        elif word == "replaced":
            entry, state, since, replaced = told, "announced", at, True
        elif word == "received" and entry is None:
            # A verdict that happened before the notice itself is about this notice.
            since = max(since, at)
            entry, state = told, "announced" if state == "cancelled" else state
        elif word == "rejected":
            state, since = "invalid", at
        elif word == "accepted":
            state, since = "valid", at
    return Version(entry, state, since, replaced)


def standing_shipments(register: State, zone: tzinfo | None) -> list[Shipment]:
    """The ASNs of an order that stand, by number; each a register of words by event.

    The day on which goods left is that of the supplier, whose ``zone`` it is.
    """
    found = []
    for key in sorted(register):
        version = standing(in_order(register[key]))
        if version.state == "cancelled":
            continue
        if version.entry is None:
            # The notice itself named others, or has not come; a verdict on it still counts.
            at = version.at
            found.append(Shipment(version.state, at, at, {}, [], at, day_of(at, zone), None))
            continue
        at, _, _, ships, loose, shipped, day, eta = version.entry
        left = at_of(shipped) if shipped else at
        found.append(
            Shipment(
                version.state,
                at,
                version.at,
                ships,
                loose or [],
                left,
                day or day_of(left, zone),
                eta,
            )
        )
    return found


def _frame(kind: str, scope: str, number: str, state: State) -> Row:
    times = state["t"]
    row = blank(kind, scope, number)
    row["first_seen_at"] = times["seen"]
    row["last_event_at"] = times["last"]
    if "by" in state:
        row["supplier"] = state["by"][2]
    return row


def project_asn(scope: str, number: str, state: State, owners: Owners) -> list[Row]:
    """A shipment notice: announced, valid, invalid, replaced, in transit, received, cancelled."""
    row = _frame("asn", scope, number, state)
    row["supplier"] = scope
    told = in_order(state["v"]) if "v" in state else []
    version = standing(told)
    contents = [(at, e[4]) for at, _, e in told if e[1] in ("received", "replaced")]
    row["known"] = bool(contents)
    content = version.entry[4] if version.entry else contents[-1][1] if contents else {}
    if contents:
        row["released_at"] = contents[0][0]
    sent = content.get("shipped_at")
    if sent:
        row["shipped_at"] = at_of(sent)
    elif contents:
        row["shipped_at"] = contents[0][0]
    if contents:
        row["actual_ship_date"] = content.get("ship_date") or day_of(
            row["shipped_at"], owners.partner_zones.get(scope)
        )
    later = state["e"].get("eta") if "e" in state else None
    row["eta"] = later[2] if later else content.get("eta")
    row["warehouse"] = content.get("warehouse")
    row["n_lines"] = content.get("n_lines")
    row["shipped_qty"] = content.get("qty")
    row["uom"] = content.get("uom")
    _received_goods(row, state.get("r", {}), owners)
    status = version.state
    if status == "cancelled":
        row["cancelled_at"] = version.at
    elif amounts.positive(row["received_qty"]):
        status = reached(
            row["received_qty"], row["shipped_qty"], "", "part_received", "received", "received"
        )
    elif status == "announced" and version.replaced:
        status = "replaced"
    if status in ("announced", "valid", "replaced") and "transit" in state["t"]:
        status = "in_transit"
    if version.state == "invalid":
        row["failed_at"] = version.at
    row["status"] = status
    row["closed"] = status in DONE
    row["asn_status"] = version.state
    return [row]


def standing_receipts(register: dict[str, Any], owners: Owners) -> list[list[Any]]:
    """The latest entry of each receipt line by age, of the systems that count; none reversed."""
    counting = owners.of_field("received", {s for entries in register.values() for s in entries})
    found = []
    for entries in register.values():
        told = [entry for system, entry in entries.items() if system in counting]
        latest = max(told, key=receipt_age, default=None)
        if latest is not None and latest[2]:
            found.append(latest)
    found.sort(key=receipt_age)
    return found


def _received_goods(row: Row, register: dict[str, Any], owners: Owners) -> None:
    found = standing_receipts(register, owners) if register else []
    if not found:
        return
    row["goods_received_at"] = found[0][0]
    row["received_qty"] = amounts.total([e[3] for e in found])
    row["rejected_qty"] = amounts.total([e[4] for e in found])
    row["actual_receipt_date"] = day_of(found[-1][0], owners.zones.get(found[-1][6]))


def project_receipt(scope: str, number: str, state: State, owners: Owners) -> list[Row]:
    """A receipt: posted, corrected (some lines taken back or posted anew), reversed (all)."""
    row = _frame("receipt", scope, number, state)
    row["warehouse"] = scope
    register = state.get("r", {})
    _received_goods(row, register, owners)
    latest = [max(entries.values(), key=receipt_age) for entries in register.values()]
    standing_lines = [entry for entry in latest if entry[2]]
    postings = [entry for _, _, entry in in_order(state["w"])] if "w" in state else []
    posted = [entry[0] for entry in postings if entry[2]]
    row["known"] = bool(posted)
    row["released_at"] = posted[0] if posted else None
    row["n_lines"] = len(register)
    if register and not standing_lines:
        row["status"] = "reversed"
        row["cancelled_at"] = max(entry[0] for entry in latest)
    elif len(standing_lines) < len(register) or _reposted(postings, register):
        row["status"] = "corrected"
    else:
        row["status"] = "posted"
    row["closed"] = True
    return [row]


def _reposted(postings: list[list[Any]], register: dict[str, Any]) -> bool:
    """Whether one system posted the receipt again later."""
    systems = [entry[1] for entry in postings if entry[2]]
    return len(systems) > len(set(systems)) and len(register) > 0


def project_invoice(scope: str, number: str, state: State, owners: Owners) -> list[Row]:
    """An invoice: announced when it came, matched or mismatched when the ERP has checked it."""
    row = _frame("invoice", scope, number, state)
    row["supplier"] = scope
    told = in_order(state["v"]) if "v" in state else []
    contents = [e for _, _, e in told if e[1] in ("invoice.received", "credit.received")]
    content = contents[0][4] if contents else {}
    row["known"] = bool(contents)
    if contents:
        row["released_at"] = row["invoiced_at"] = contents[0][0]
        row["type"] = "credit" if contents[0][1] == "credit.received" else "invoice"
    row["currency"] = content.get("currency")
    row["value"] = content.get("total") or content.get("net")
    row["n_lines"] = content.get("n_lines")
    row["status"] = "announced"
    for at, _, entry in told:
        if entry[1] == "invoice.matched":
            row["status"], row["failed_at"] = "matched", None
        elif entry[1] == "invoice.blocked":
            row["status"], row["failed_at"] = "mismatched", at
    row["closed"] = row["status"] == "matched"
    return [row]
