"""What events say about shipments, receipts and invoices, and about the orders these name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC
from typing import Any

from tower.amounts import total
from tower.event import Event
from tower.touch import Data, Facts, Touch, add_supplier, touch, without

_ERRORS_KEPT = 20


def _by_po(lines: Sequence[Data]) -> dict[tuple[str, str], list[tuple[int, Data]]]:
    """Lines of each purchase order with their position; lines that name none are left out."""
    found: dict[tuple[str, str], list[tuple[int, Data]]] = {}
    for n, line in enumerate(lines):
        po, erp = line.get("po"), line.get("erp")
        if po and erp:
            found.setdefault((erp, po), []).append((n, line))
    return found


def _add(one: str | None, other: str | None) -> str | None:
    return total([one, other])


_CONTENT = ("erp", "po", "line", "item", "qty", "uom", "price", "invoice_line")
_ABSENT = ("",) * len(_CONTENT)


def _digest(lines: Sequence[Data]) -> str:
    """Name of what a shipment or an invoice says, whatever the order of its lines."""
    content = sorted(["\x1f".join(map(line.get, _CONTENT, _ABSENT)) for line in lines])
    return hashlib.blake2b("\x1e".join(content).encode(), digest_size=8).hexdigest()


# --- shipments ----------------------------------------------------------------------------------


_SHIPPED: tuple[str, ...] = ("asn", "supplier", "shipped_at", "ship_date", "eta")


def asn_facts(event: Event) -> Facts:
    """What an event says about a shipment, less what it says about single lines."""
    facts = add_supplier(event, without(event.data, "lines", "packs", "erp", "po"))
    errors = facts.get("errors")
    if errors:
        facts["errors"] = errors[:_ERRORS_KEPT]
    return facts


def _asn(event: Event) -> Iterable[Touch]:
    data = event.data
    supplier, asn = data["supplier"], data["asn"]
    qualifier = "cancels" if event.type == "asn.cancelled" else "ships"
    lines = data.get("lines") or ()
    by_po = _by_po(lines)
    shared = asn_facts(event)
    facts = dict(shared)
    facts["pos"] = [list(key) for key in by_po]
    facts["n_lines"] = len(lines)
    facts["digest"] = _digest(lines)
    packs = data.get("packs")
    if packs:
        facts["n_packs"] = len(packs)
    quantities = [line.get("qty") for line in lines]
    if quantities and None not in quantities and len({line.get("uom") for line in lines}) == 1:
        facts["qty"] = total(quantities)
        facts["uom"] = next(iter(lines)).get("uom")
    found = [touch(("asn", supplier, asn, "", qualifier, facts))]
    told = {name: shared[name] for name in _SHIPPED if name in shared}
    for (erp, po), named in by_po.items():
        ships, loose = _parts(named)
        header = {**shared, "ships": ships}
        if loose:
            header["loose"] = loose
        found.append(touch(("po", erp, po, "", qualifier, header)))
        for number, (qty, uom, *further) in ships.items():
            words = dict(told)
            if qty is not None and not further:
                words["shipped_qty"] = qty
            if uom is not None and not further:
                words["uom"] = uom
            found.append(touch(("po_line", erp, po, number, qualifier, words)))
    return found


def _parts(
    named: Sequence[tuple[int, Data]],
) -> tuple[dict[str, list[str | None]], list[list[str | None]]]:
    """(line -> [quantity, unit], [item, quantity, unit] of goods without a line).

    A line told in several units has quantity and unit once for each.
    """
    ships: dict[str, list[str | None]] = {}
    loose: list[list[str | None]] = []
    for _, line in named:
        number, qty, uom = line.get("line"), line.get("qty"), line.get("uom")
        if not number:
            loose.append([line.get("item"), qty, uom])
        elif number not in ships:
            ships[number] = [qty, uom]
        elif uom in (units := ships[number][1::2]):
            place = 2 * units.index(uom)
            ships[number][place] = _add(ships[number][place], qty)
        else:
            ships[number] += [qty, uom]
    return ships, loose


def _asn_verdict(event: Event) -> Iterable[Touch]:
    data = event.data
    facts = asn_facts(event)
    supplier, asn = data["supplier"], data["asn"]
    if not (data.get("po") and data.get("erp")):
        return [touch(("asn", supplier, asn, "", "changes", facts))]
    named = {**facts, "pos": [[data["erp"], data["po"]]]}
    return [
        touch(("asn", supplier, asn, "", "changes", named)),
        touch(("po", data["erp"], data["po"], "", "changes", facts)),
    ]


def _shipment_status(event: Event) -> Iterable[Touch]:
    data = event.data
    if data.get("asn") and data.get("supplier"):
        return [touch(("asn", data["supplier"], data["asn"], "", "ships", dict(data)))]
    return ()


# --- receipts -----------------------------------------------------------------------------------


def _receipt(event: Event) -> Iterable[Touch]:
    data = event.data
    warehouse, receipt = data["warehouse"], data["receipt"]
    lines = data.get("lines") or ()
    by_po = _by_po(lines)
    shared = add_supplier(event, without(data, "lines"))
    if event.recorded_at is not None:  # tells a correction from what it corrects, at one instant
        shared["recorded_at"] = event.recorded_at.astimezone(UTC).isoformat()
    keys = [f"{warehouse}:{receipt}:{line['receipt_line']}" for line in lines]
    whole = {key: _received(line) for key, line in zip(keys, lines, strict=True)}
    header = {**shared, "pos": [list(key) for key in by_po], "entries": whole}
    found = [touch(("receipt", warehouse, receipt, "", "creates", header))]
    if data.get("asn") and data.get("supplier"):
        facts = {**shared, "entries": whole}
        found.append(touch(("asn", data["supplier"], data["asn"], "", "receives", facts)))
    counts = event.type != "receipt.discrepancy"
    for (erp, po), named in by_po.items():
        entries: dict[str, dict[str, Any]] = {}
        loose: dict[str, Any] = {}
        kinds: dict[str, str] = {}
        for n, line in named:
            number = line.get("line")
            if not number:
                loose[keys[n]] = [*whole[keys[n]], line.get("item")]
                continue
            entries.setdefault(number, {})[keys[n]] = whole[keys[n]]
            if line.get("kind"):
                kinds[number] = line["kind"]
        facts = {**shared, "lines": list(entries)}
        if loose:
            facts["loose"] = loose
        found.append(touch(("po", erp, po, "", "receives", facts)))
        for number, kept in entries.items():
            words = {**shared, "entries": kept}
            qty = total([entry[0] for entry in kept.values()])
            rejected = total([entry[1] for entry in kept.values()])
            if qty is not None and counts:
                words["received_qty"] = qty
            if rejected is not None:
                words["rejected_qty"] = rejected
            if number in kinds:
                words["kind"] = kinds[number]
            found.append(touch(("po_line", erp, po, number, "receives", words)))
    return found


def _received(line: Data) -> list[str | None]:
    return [line.get("qty"), line.get("rejected_qty"), line.get("uom")]


# --- invoices -----------------------------------------------------------------------------------


def _invoice(event: Event) -> Iterable[Touch]:
    data = event.data
    supplier, invoice = data["supplier"], data["invoice"]
    lines = data.get("lines") or ()
    by_po = _by_po(lines)
    header = add_supplier(event, without(data, "lines"))
    shared = without(header, "net", "tax", "total")
    header["pos"] = [list(key) for key in by_po]
    header["n_lines"] = len(lines)
    header["digest"] = _digest(lines)
    found = [touch(("invoice", supplier, invoice, "", "creates", header))]
    for (erp, po), named in by_po.items():
        entries: dict[str, dict[str, Any]] = {}
        loose: dict[str, Any] = {}
        for n, line in named:
            key = f"{supplier}:{invoice}:{line.get('invoice_line') or n + 1}"
            billed = [line.get("qty"), line.get("uom"), line.get("price")]
            number = line.get("line")
            if number:
                entries.setdefault(number, {})[key] = billed
            else:
                loose[key] = [*billed, line.get("item")]
        facts = {**shared, "lines": list(entries)}
        if loose:
            facts["loose"] = loose
        found.append(touch(("po", erp, po, "", "invoices", facts)))
        for number, kept in entries.items():
            words = {**shared, "entries": kept}
            qty = total([entry[0] for entry in kept.values()])
            if qty is not None:
                words["invoiced_qty"] = qty
            found.append(touch(("po_line", erp, po, number, "invoices", words)))
    return found


def _invoice_check(event: Event) -> Iterable[Touch]:
    data = event.data
    facts = add_supplier(event, dict(data))
    return [touch(("invoice", data["supplier"], data["invoice"], "", "changes", facts))]


BUILDERS: dict[str, Callable[[Event], Iterable[Touch]]] = {
    "asn.received": _asn,
    "asn.replaced": _asn,
    "asn.cancelled": _asn,
    "asn.accepted": _asn_verdict,
    "asn.rejected": _asn_verdict,
    "shipment.status": _shipment_status,
    "receipt.posted": _receipt,
    "receipt.reversed": _receipt,
    "receipt.discrepancy": _receipt,
    "invoice.received": _invoice,
    "credit.received": _invoice,
    "invoice.matched": _invoice_check,
    "invoice.blocked": _invoice_check,
}
