"""A small distributor written straight into the tables, for tests of what is asked of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Connection, Table, insert

from db import configuration
from db.tables import (
    case_note,
    checkpoint,
    clock,
    document,
    exception_case,
    flow_link,
    order_impact,
    peg,
    source_spell,
)
from tower.identity import NAMESPACE, document_home, partner_id, source_key
from tower.network import Network

NOW = datetime(2026, 3, 20, 14, 0, tzinfo=UTC)

RULES = """
version: 1
notify:
  business:
    to: case.owner
    fallback: desk
    group_by: [recipient, rule]
    wait: 5m
    every: 30m
    digest: "08:00"
rules:
- id: po.unacknowledged
  kind: deadline
  category: ACK_OVERDUE
  title: "PO {po.number} not acknowledged by {supplier.name}"
  about: po
  clock: {start: po.released, stop: [po.acknowledged, po.rejected], cancel: [po.cancelled]}
  calendar: supplier
  due: {otherwise: 2bd}
  levels: {breach: {severity: medium, notify: business}}
- id: asn.missing
  kind: deadline
  category: ASN_MISSING
  about: po_line
  clock: {anchor: [po_line.requested_date], before: 24bh, stop: asn.received}
  levels: {breach: {severity: medium, notify: business}}
- id: asn.failed
  kind: event
  category: ASN_INVALID
  about: asn
  trigger: asn.rejected
  clears: asn.accepted
  levels: {new: {at: 0m, severity: medium, notify: business}}
"""

_PEOPLE = {"desk": "Supplier desk", "ann": "Ann Keller", "ops": "Tower operator"}


def network(**suppliers: dict[str, Any]) -> Network:
    """A network with these suppliers, keys of theirs to columns of their profile."""
    return Network.model_validate(
        {
            "version": 1,
            "company": {"name": "Northgate", "zone": "UTC", "currency": "EUR"},
            "systems": {"erp": {"name": "ERP", "kind": "erp"}},
            "sources": {},
            "partners": {
                key: {"name": f"{key.title()} Ltd", **profile} for key, profile in suppliers.items()
            },
            "calendars": {"hq": {"zone": "UTC", "open": {"mon-fri": ["08:00-17:00"]}}},
            "people": {
                key: {"name": name, "mail": f"{key}@example.com"} for key, name in _PEOPLE.items()
            },
            "owners": dict.fromkeys("BDSIWPC", "desk") | {"T": "ops"},
            "warehouses": {"EAST": {"name": "East"}},
        }
    )


@dataclass
class Desk:
    """Collects rows and writes them in one go; ``now`` is the instant the tests stand at."""

    now: datetime = NOW
    rows: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)
    net: Network = field(default_factory=lambda: network(acme={}, birch={}))
    _numbers: int = 0
    _places: dict[str, dict[str, Any]] = field(default_factory=dict)  # that lines have of orders

    def write(self, conn: Connection) -> None:
        configuration.activate(conn, configuration.NETWORK, _yaml(self.net), self.now)
        configuration.activate(conn, configuration.RULES, RULES, self.now)
        configuration.store_partners(conn, self.net)
        for table, rows in self.rows.items():
            by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for row in rows:
                by_columns.setdefault(tuple(sorted(row)), []).append(row)
            for alike in by_columns.values():
                conn.execute(insert(table), alike)
        self.rows.clear()

    def add(self, table: Table, row: dict[str, Any]) -> None:
        self.rows.setdefault(table, []).append(row)

    def at(self, **ago: float) -> datetime:
        """An instant before now: at(days=2, hours=1)."""
        return self.now - timedelta(**ago)

    def po(
        self, number: str, supplier: str = "acme", released: datetime | None = None, **columns: Any
    ) -> int:
        """The header of a purchase order; returns its home."""
        at = released or self.at(days=5)
        row = {
            "kind": "po",
            "scope": "main",
            "number": number,
            "supplier": supplier,
            "partner_id": partner_id(supplier),
            "buyer": "ann",
            "warehouse": "EAST",
            "status": "transmitted",
            "released_at": at,
            "transmitted_at": at + timedelta(minutes=5),
            "currency": "EUR",
            "value": Decimal(100),
            "open_value": Decimal(100),
            "n_lines": 1,
            "answer": "none",
            "fa_status": "none",
        }
        self._places[number] = {
            name: columns.get(name, row[name]) for name in ("buyer", "warehouse")
        }
        return self._document(row, at, columns)

    def line(self, number: str, line: str, supplier: str = "acme", **columns: Any) -> int:
        at = columns.pop("released", None) or self.at(days=5)
        row = {
            "kind": "po_line",
            "scope": "main",
            "number": number,
            "line": line,
            "supplier": supplier,
            "partner_id": partner_id(supplier),
            "status": "open",
            "released_at": at,
            "ordered_qty": Decimal(10),
            **self._places.get(number, {"buyer": "ann", "warehouse": "EAST"}),
        }
        return self._document(row, at, columns)

    def asn(self, number: str, supplier: str = "acme", **columns: Any) -> int:
        at = columns.pop("told", None) or self.at(days=2)
        row = {
            "kind": "asn",
            "scope": supplier,
            "number": number,
            "supplier": supplier,
            "partner_id": partner_id(supplier),
            "status": "valid",
            "asn_status": "valid",
            "released_at": at,
            "shipped_at": at,
            "actual_ship_date": at.date(),
        }
        return self._document(row, at, columns)

    def _document(self, row: dict[str, Any], at: datetime, columns: dict[str, Any]) -> int:
        home = document_home(row["kind"], row["scope"], row["number"])
        self.add(
            document,
            {
                "home_key": home,
                "line": "",
                "known": True,
                "closed": False,
                "first_seen_at": at,
                "last_event_at": at,
                "state": {},
                **row,
                **columns,
            },
        )
        return home

    def tie(self, notice: int, order: int) -> None:
        """The homes of a shipment notice and of an order that it names, at both ends."""
        for home, other, to_root in ((notice, order, True), (order, notice, False)):
            self.add(
                flow_link,
                {
                    "home_key": home,
                    "other_key": other,
                    "basis": "document",
                    "evidence": "asn",
                    "to_root": to_root,
                    "since": self.at(days=2),
                },
            )

    def clock(
        self,
        number: str,
        verdict: str,
        due: datetime | None,
        supplier: str = "acme",
        rule: str = "po.unacknowledged",
        kind: str = "po",
        line: str = "",
        cycle: int = 1,
    ) -> None:
        scope = supplier if kind == "asn" else "main"
        self.add(
            clock,
            {
                "home_key": document_home(kind, scope, number),
                "rule": rule,
                "kind": kind,
                "scope": scope,
                "number": number,
                "line": line,
                "cycle": cycle,
                "partner_id": partner_id(supplier),
                "verdict": verdict,
                "open": verdict in ("pending", "at_risk", "breached", "unknown"),
                "due_at": due,
                "rule_hash": "x",
                "state": {},
            },
        )

    def case(
        self,
        number: str,
        supplier: str | None = "acme",
        category: str = "ACK_OVERDUE",
        opened: datetime | None = None,
        **columns: Any,
    ) -> int:
        """An exception case; returns its number."""
        self._numbers += 1
        at = opened or self.at(hours=2)
        kind = columns.pop("kind", "po")
        resolved = columns.get("resolved_at")
        self.add(
            exception_case,
            {
                "id": self._numbers,
                "fingerprint": f"{category} {number} {self._numbers}",
                "cycle": 1,
                "category": category,
                "severity": "medium",
                "state": "resolved" if resolved else "new",
                "resolution": "healed" if resolved else None,
                "rule": "po.unacknowledged",
                "level": "breach",
                "home_key": document_home(kind, "main", number) if kind != "source" else None,
                "kind": kind,
                "scope": "main",
                "number": number,
                "clock_cycle": 1,
                "partner_id": None if supplier is None else partner_id(supplier),
                "supplier": supplier,
                "title": f"{category} of {number}",
                "advice": "Call them.",
                "owner": "desk",
                "owner_letter": "D",
                "policy": "business",
                "opened_at": at,
                "detected_at": at,
                "currency": "EUR",
                **columns,
            },
        )
        self.add(
            case_note,
            {
                "case_id": self._numbers,
                "at": at,
                "author": "tower",
                "kind": "opened",
                "text": "opened",
            },
        )
        return self._numbers

    def impact(
        self,
        order: str,
        po: str,
        supplier: str = "acme",
        line: str = "1",
        po_line: str = "10",
        **columns: Any,
    ) -> None:
        """A customer order line that a purchase order line leaves uncovered, and its peg."""
        home = document_home("po", "main", po)
        self.add(
            order_impact,
            {
                "order_home": document_home("order", "main", order),
                "scope": "main",
                "order": order,
                "order_line": line,
                "po": po,
                "po_line": po_line,
                "po_home": home,
                "supplier": supplier,
                "partner_id": partner_id(supplier),
                "buyer": "ann",
                "warehouse": "EAST",
                "customer": "BAKER",
                "customer_name": "Baker Stores",
                "promise_date": self.now.date(),
                "projected_date": self.now.date() + timedelta(days=3),
                "basis": "confirmed",
                "days_late": 3,
                "uncovered_qty": Decimal(5),
                "open_value": Decimal(1000),
                "currency": "EUR",
                "confidence": 0.9,
                "cause": "ACK_OVERDUE",
                "since": self.at(hours=2),
                **columns,
            },
        )
        self.peg(order, po, line, po_line)

    def peg(self, order: str, po: str, line: str = "1", po_line: str = "10") -> None:
        self.add(
            peg,
            {
                "home_key": document_home("po", "main", po),
                "scope": "main",
                "po": po,
                "po_line": po_line,
                "order": order,
                "order_line": line,
                "qty": Decimal(5),
                "at": self.at(days=3),
                "event_id": _id(order, po, line, po_line),
            },
        )

    def feed(self, source: str, read: datetime, *, silent: bool = False) -> None:
        self.add(
            checkpoint,
            {
                "source_key": source_key(source),
                "source": source,
                "complete_to": read,
                "last_good_at": read,
                "newest_at": read,
                "state": "down" if silent else "up",
            },
        )
        if silent:
            self.add(source_spell, {"source": source, "from_at": read, "known_at": read})


def _id(*parts: str) -> UUID:
    return uuid5(NAMESPACE, "/".join(parts))


def _yaml(net: Network) -> str:
    """JSON is YAML; only what was set, so that the strict loader meets no computed field."""
    return json.dumps(net.model_dump(mode="json", exclude_unset=True))


def day(text: str) -> date:
    return date.fromisoformat(text)
