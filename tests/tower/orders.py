"""What events say about one purchase order, and the rows that follow from it."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from tower.documents import HEADER_OF, Owners, Record, fold, project
from tower.network import Company, Network, Partner, System, Warehouse
from tower.registers import instant, microseconds, short
from tower.rows import COLUMNS
from tower.touches import touches
from tower.vocabulary import make_event

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NET = Network(
    company=Company(name="Northgate"),
    systems={
        name: System(name=name, kind=kind)  # type: ignore[arg-type]  # words of the model
        for name, kind in {"erp": "erp", "edi": "edi", "portal": "portal", "wms": "wms"}.items()
    },
    sources={},
    partners={
        "ACME": Partner(name="Acme", expects_fa=True, units={"CS": "12 EA"}),
        "WEST": Partner(name="West", zone="America/Los_Angeles"),
    },
    warehouses={"east": Warehouse(name="East", zone="America/New_York")},
)
OWNERS = Owners.of(NET)
PO = {"po": "1", "erp": "main", "supplier": "ACME"}
Row = dict[str, Any]


def told(
    type_: str,
    data: dict[str, Any],
    hours: float,
    system: str = "erp",
    n: int = 0,
    noted: float | None = None,
) -> list[tuple[str, Record]]:
    """What one event says, by kind of family."""
    event = make_event(
        type_,
        data,
        source=system,
        raw_key=f"{type_}@{hours}#{n}",
        position="item:0",
        occurred_at=START + timedelta(hours=hours),
        system=system,
        recorded_at=None if noted is None else START + timedelta(hours=noted),
    )
    return [
        (
            HEADER_OF.get(touch.kind, touch.kind),
            Record(
                short(event.id),
                touch.kind,
                touch.line,
                type_,
                system,
                microseconds(event.occurred_at),
                touch.facts,
            ),
        )
        for touch in touches(event)
    ]


def rows(*events: list[tuple[str, Record]], kind: str = "po") -> dict[str, Row]:
    """Rows of the one family of this kind, by line."""
    records = [record for event in events for family, record in event if family == kind]
    found = project(kind, "main", "1", fold(copy.deepcopy(records)), OWNERS)
    assert all(row.keys() == set(COLUMNS[row["kind"]]) for row in found)
    return {row["line"]: {k: v for k, v in row.items() if v is not None} for row in found}


def line(name: str, qty: str | None = None, **more: Any) -> dict[str, Any]:
    given = {"line": name, **more}
    return given if qty is None else {**given, "qty": qty, "uom": "EA"}


def released(*lines: dict[str, Any], hours: float = 0, system: str = "erp") -> Any:
    given = lines or (line("10", "10", price="2.5", requested_date="2026-04-01", item="A"),)
    return told("po.released", {**PO, "lines": list(given)}, hours, system)


def answered(*lines: dict[str, Any], hours: float = 5, system: str = "edi", **header: Any) -> Any:
    return told("po.acknowledged", {**PO, **header, "lines": list(lines)}, hours, system)


def applied(*lines: dict[str, Any], hours: float = 6) -> Any:
    return told("po.answer_applied", {**PO, "lines": list(lines)}, hours)


def shipped(qty: str, hours: float = 40, asn: str = "S1", **more: Any) -> Any:
    goods = {"erp": "main", "po": "1", "line": "10", "qty": qty, "uom": "EA", **more}
    return told("asn.received", {"asn": asn, "supplier": "ACME", "lines": [goods]}, hours, "edi")


def posted(
    qty: str,
    hours: float = 60,
    receipt: str = "R1",
    system: str = "wms",
    *,
    type_: str = "receipt.posted",
    noted: float | None = None,
    **more: str | None,
) -> Any:
    goods = {"receipt_line": "1", "erp": "main", "po": "1", "line": "10", "qty": qty, "uom": "EA"}
    goods = {name: value for name, value in (goods | more).items() if value is not None}
    given = {"warehouse": "east", "receipt": receipt, "lines": [goods]}
    return told(type_, given, hours, system, noted=noted)


def taken_back(
    hours: float = 60, receipt: str = "R1", system: str = "wms", noted: float | None = None
) -> Any:
    return posted("10", hours, receipt, system, type_="receipt.reversed", noted=noted)


def billed(
    qty: str, hours: float = 70, invoice: str = "I1", system: str = "edi", **more: str
) -> Any:
    goods = {"invoice_line": "1", "erp": "main", "po": "1", "qty": qty, "price": "3"}
    goods |= more or {"line": "10"}
    given = {"invoice": invoice, "supplier": "ACME", "lines": [goods]}
    return told("invoice.received", given, hours, system)


def at(row: Row, column: str) -> float:
    return (instant(row[column]) - START) / timedelta(hours=1)


SENT = told("po.transmitted", PO, 1)


def delivered(hours: float, **facts: str) -> list[tuple[str, Record]]:
    at_ = microseconds(START + timedelta(hours=hours))
    return [("po", Record(f"d{hours}", "po", "", "message.delivered", "edi", at_, facts))]


def functional(verdict: str, hours: float = 3, set_type: str = "850") -> list[tuple[str, Record]]:
    """A functional acknowledgement as it reaches an order by a control number."""
    at_ = microseconds(START + timedelta(hours=hours))
    facts = {"verdict": verdict, "set_type": set_type, "answered": "set"}
    return [("po", Record(f"fa{hours}", "po", "", "fa.received", "edi", at_, facts))]
