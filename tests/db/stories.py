"""Small stories told as events, for tests of ingest: each event is a raw message of its own.

Not the simulator: a story here is a handful of events whose result can be worked out by hand.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from tower.event import Event
from tower.network import Company, Network, Partner, Source, System, Warehouse
from tower.raw import Interpretation, Interpreted, Raw
from tower.vocabulary import make_event

START = datetime(2026, 3, 2, 8, tzinfo=UTC)

_SYSTEMS = {
    "erp": "erp",
    "edi": "edi",
    "portal": "portal",
    "wms": "wms",
    "platform": "platform",
    "middleware": "middleware",
}


def network(**changes: Any) -> Network:
    """A network with one source per system, all pushing."""
    return Network(
        company=Company(name="Northgate"),
        systems={name: System(name=name, kind=kind) for name, kind in _SYSTEMS.items()},  # type: ignore[arg-type]  # words of the model
        sources={name: Source(kind="push", format="cloudevents", system=name) for name in _SYSTEMS},
        partners={
            key: Partner(name=key, expects_fa=key == "ACME") for key in ("ACME", "BOLT", "CORK")
        },
        warehouses={"east": Warehouse(name="East", zone="America/New_York")},
        **changes,
    )


NET = network()


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@dataclass
class Teller:
    """Numbers messages, so that each event comes with a key of its own."""

    count: int = 0
    told: list[Interpreted] = field(default_factory=list)

    def tell(
        self,
        type_: str,
        data: dict[str, Any],
        *,
        hours: float,
        system: str = "erp",
        received: float | None = None,
        own_id: str | None = None,
        correlation: str | None = None,
        carries: Sequence[str] = (),
        answers: Sequence[str] = (),
    ) -> Interpreted:
        """One event in one raw message, received a minute after it happened."""
        self.count += 1
        key = f"m{self.count}"
        event = make_event(
            type_,
            data,
            source=system,
            raw_key=key,
            position="item:0",
            occurred_at=at(hours),
            own_id=own_id,
            system=system,
            channel="edi" if system == "edi" else None,
            correlation_id=correlation,
            carries=tuple(carries),
            answers=tuple(answers),
        )
        came = at(hours + 1 / 60 if received is None else received)
        item = message(key, system, [event], came)
        self.told.append(item)
        return item


def message(
    key: str, source: str, events: Iterable[Event], received: datetime, body: bytes | None = None
) -> Interpreted:
    given = body if body is not None else f"body of {key}".encode("utf-8", "replace")
    raw = Raw(source, key, given, received)
    return Interpreted(raw, Interpretation("test", 1, events=tuple(events)))


def po(number: str, supplier: str = "ACME") -> dict[str, Any]:
    return {"po": number, "erp": "main", "supplier": supplier}


def line(name: str, qty: str = "10", **more: Any) -> dict[str, Any]:
    return {"line": name, "qty": qty, "uom": "EA", **more}


def released(number: str, *lines: dict[str, Any], supplier: str = "ACME") -> dict[str, Any]:
    given = lines or (line("10", price="2.5", requested_date="2026-04-01", item="A"),)
    return {**po(number, supplier), "buyer": "kim", "currency": "EUR", "lines": list(given)}


def shipped(
    asn: str, *lines: dict[str, Any], supplier: str = "ACME", **more: Any
) -> dict[str, Any]:
    return {"asn": asn, "supplier": supplier, "lines": list(lines), **more}


def on(number: str, name: str, qty: str = "10") -> dict[str, Any]:
    """A line of an ASN, a receipt or an invoice that names an order line."""
    return {"erp": "main", "po": number, "line": name, "qty": qty, "uom": "EA"}


def received(
    receipt: str, *lines: dict[str, Any], warehouse: str = "east", **more: Any
) -> dict[str, Any]:
    numbered = [{"receipt_line": str(n + 1), **one} for n, one in enumerate(lines)]
    return {"warehouse": warehouse, "receipt": receipt, "lines": numbered, **more}


def again(item: Interpreted, received_at: datetime | None = None) -> Interpreted:
    """The same message once more, under another name."""
    raw = replace(item.raw, name="again", received_at=received_at or item.raw.received_at)
    return Interpreted(raw, item.reading)


# --- a generated month --------------------------------------------------------------------------


def month(seed: int, orders: int) -> list[Interpreted]:
    """A month of purchase orders with all that may go right and wrong, in the order it happened."""
    chance = random.Random(seed)
    teller = Teller()
    for n in range(orders):
        _journey(chance, teller, f"45{n:04}", chance.uniform(0, 600))
    _shared(chance, teller, [f"45{n:04}" for n in range(orders)])
    teller.told.sort(key=lambda item: (item.raw.received_at, item.raw.key))
    return teller.told


def _journey(chance: random.Random, teller: Teller, number: str, start: float) -> None:
    supplier = chance.choice(("ACME", "BOLT", "CORK"))
    names = [str(10 * (n + 1)) for n in range(chance.randint(1, 3))]
    lines = [
        line(
            name,
            str(chance.randint(1, 50)),
            price=str(chance.randint(1, 9)),
            item=f"I{name}",
            **({"category": f"G{name}"} if name != "30" else {}),
            requested_date=f"2026-04-{chance.randint(1, 28):02}",
        )
        for name in names
    ]
    journey = chance.choice((f"c-{number}", None, "shared"))
    sent = f"x12:set:{number}"
    tell = teller.tell
    t = start
    tell("po.released", released(number, *lines, supplier=supplier), hours=t, correlation=journey)
    if chance.random() < 0.3:
        tell("po.released", released(number, *lines, supplier=supplier), hours=t, system="edi",
             carries=(sent, f"x12:group:{number[:5]}"))  # fmt: skip
    tell("po.transmitted", po(number, supplier), hours=t + 0.5, system="middleware",
         correlation=journey, carries=(sent,))  # fmt: skip
    if chance.random() < 0.7:
        verdict = chance.choice(("accepted", "accepted", "accepted_with_errors", "rejected"))
        tell("fa.received", {"answered": "set", "verdict": verdict, "set_type": "850"},
             hours=t + 1, system="edi", answers=(sent,), carries=(f"own:{number}",))  # fmt: skip
    if chance.random() < 0.4:
        word = chance.choice(("message.failed", "message.delivered", "message.retried"))
        tell(word, {"message": f"msg-{number}", "text": "hop"}, hours=t + 0.7,
             system="middleware", correlation=f"gw-{number}", carries=(sent,))  # fmt: skip
        tell("message.delivered", {"message": f"msg-{number}", "receipt": "mdn"}, hours=t + 0.8,
             system="middleware", correlation=f"gw-{number}")  # fmt: skip
    if chance.random() < 0.8:
        answered = [
            {
                "line": one["line"],
                "answer": chance.choice(("accepted", "accepted_with_changes", "rejected")),
                "qty": one["qty"],
                "date": f"2026-04-{chance.randint(1, 28):02}",
            }
            for one in lines
            if chance.random() < 0.8
        ]
        tell("po.acknowledged", {**po(number, supplier), "answer": "accepted", "lines": answered},
             hours=t + 5, system=chance.choice(("edi", "portal")), correlation=journey)  # fmt: skip
        if chance.random() < 0.7:
            tell("po.answer_applied",
                 {**po(number), "lines": [{"line": a["line"], "qty": a["qty"]} for a in answered]},
                 hours=t + 5.5)  # fmt: skip
    if chance.random() < 0.3:
        changed = line(names[0], str(chance.randint(1, 60)), action="change", category="G99")
        tell("po.revised", {**po(number), "revision": "2", "lines": [changed]}, hours=t + 8)
    if chance.random() < 0.1:
        tell("po.cancelled", po(number), hours=t + 9)
    asn = f"S{number}"
    goods = [on(number, one["line"], one["qty"]) for one in lines]
    if chance.random() < 0.7:
        tell("asn.received", shipped(asn, *goods, supplier=supplier), hours=t + 40, system="edi")
        if chance.random() < 0.4:
            word = chance.choice(("asn.rejected", "asn.accepted"))
            tell(word, {"asn": asn, "supplier": supplier}, hours=t + 41, system="wms")
        if chance.random() < 0.2:
            tell("asn.replaced", shipped(asn, *goods[:1], supplier=supplier), hours=t + 42,
                 system="edi")  # fmt: skip
        if chance.random() < 0.1:
            tell("asn.cancelled", shipped(asn, supplier=supplier), hours=t + 43, system="edi")
        if chance.random() < 0.1:
            tell("asn.received", shipped(asn, *goods[1:], supplier=supplier), hours=t + 44,
                 system="edi")  # fmt: skip
    if chance.random() < 0.6:
        tell("receipt.posted", received(f"R{number}", *goods, supplier=supplier, asn=asn),
             hours=t + 60, system="wms")  # fmt: skip
        tell("receipt.posted", received(f"E{number}", *goods), hours=t + 61, system="erp")
        if chance.random() < 0.2:
            tell("receipt.reversed", received(f"R{number}", goods[0]), hours=t + 62, system="wms")
    if chance.random() < 0.5:
        billed = [{**one, "invoice_line": str(n)} for n, one in enumerate(goods)]
        tell("invoice.received",
             {"supplier": supplier, "invoice": f"F{number}", "total": "10", "lines": billed},
             hours=t + 70, system="edi")  # fmt: skip
        tell("invoice.matched", {"supplier": supplier, "invoice": f"F{number}"}, hours=t + 71)
    if chance.random() < 0.6:
        order = f"SO{number}"
        tell("order.placed",
             {"order": order, "erp": "main", "customer": "C1",
              "lines": [line("1", "5", price="20", item="I10", category="G10")]},
             hours=t - 5, system="platform")  # fmt: skip
        tell("order.promised",
             {"order": order, "erp": "main",
              "lines": [{"line": "1", "promise_date": "2026-04-20"}]},
             hours=t - 4, system="platform")  # fmt: skip
        peg = {"erp": "main", "order": order, "order_line": "1", "po": number, "line": names[0]}
        tell("peg.set", {"pegs": [{**peg, "qty": "5"}]}, hours=t + 2)
        if chance.random() < 0.3:
            tell("peg.removed", {"pegs": [peg]}, hours=t + 30)


def _shared(chance: random.Random, teller: Teller, numbers: list[str]) -> None:
    """Things that touch several orders, or none."""
    if len(numbers) > 2:
        some = chance.sample(numbers, 3)
        teller.tell("asn.received", shipped("JOINT", *(on(n, "10") for n in some)), hours=300,
                    system="edi", carries=("x12:set:joint",))  # fmt: skip
        teller.tell("asn.rejected", {"asn": "JOINT", "supplier": "ACME"}, hours=301, system="wms")
        teller.tell("message.failed", {"text": "cut"}, hours=302, system="middleware",
                    carries=("x12:set:joint",))  # fmt: skip
    teller.tell("message.received", {"text": "who knows"}, hours=310, system="middleware")
    teller.tell("message.sent", {"text": "alone"}, hours=311, system="middleware",
                correlation="nobody")  # fmt: skip
    teller.tell("source.gap", {"source": "edi"}, hours=312, system="edi")
    if chance.random() < 0.5:
        teller.tell("po.acknowledged", {**po("999999"), "answer": "accepted"}, hours=320,
                    system="portal")  # fmt: skip


# --- what is in the database --------------------------------------------------------------------

_TABLES = {
    "document": (
        "SELECT * FROM document ORDER BY home_key, kind, scope, number, line",
        {"rev"},
    ),
    "flow": ("SELECT * FROM flow ORDER BY home_key, anchor", set()),
    "flow_link": ("SELECT * FROM flow_link ORDER BY home_key, other_key, basis", set()),
    "event": ("SELECT * FROM event ORDER BY home_key, event_id", set()),
    "event_object": (
        "SELECT * FROM event_object ORDER BY home_key, event_id, linked",
        set(),
    ),
    "peg": (
        'SELECT * FROM peg ORDER BY home_key, po, po_line, "order", order_line',
        set(),
    ),
    "ingest_ledger": (
        "SELECT item_key, source, key, outcome, n_events, n_known FROM ingest_ledger "
        "ORDER BY item_key",
        set(),
    ),
}

RECEIPTS = {
    "flow": {"arrived_at"},
    "flow_link": {"since"},
    "event": {"received_at"},
    "event_object": {"arrived_at", "via"},
}
"""Columns that tell when we learned something: they follow the receipts, not what happened."""


def snapshot(
    conn: Connection,
    tables: Iterable[str] = tuple(_TABLES),
    *,
    without_receipts: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """All rows of the tables that a batch's order must not change, as plain values."""
    found = {}
    for name in tables:
        query, left_out = _TABLES[name]
        hidden = set(left_out)
        if without_receipts:
            hidden |= RECEIPTS.get(name, set())
        found[name] = [
            {key: value for key, value in row.items() if key not in hidden}
            for row in conn.execute(text(query)).mappings()
        ]
    return found


def document(
    conn: Connection, kind: str, number: str, line: str = "", scope: str | None = None
) -> dict[str, Any] | None:
    """One document row."""
    row = (
        conn.execute(
            text(
                "SELECT * FROM document WHERE kind = :kind AND number = :number AND line = :line "
                "AND (CAST(:scope AS text) IS NULL OR scope = :scope)"
            ),
            {"kind": kind, "number": number, "line": line, "scope": scope},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else dict(row)
