"""Two suppliers with adjacent data, read in, judged and told of by the real rooms.

Everything that belongs to one of them bears marks that are nowhere else: its name in each text,
its numbers, its price. Numbers lie beside each other, one order number and one number of a notice
is used by both, and one customer order waits for goods of both. What a viewer was shown is searched
for the marks of what they may not see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from db import configuration, records, sources
from db.tables import checkpoint, dead_letter, exception_case, outbox, raw_message
from tower.identity import partner_id, source_key
from tower.network import Network, load_network
from tower.raw import Raw
from tower.replays import LetterRef
from tower.rulebook import RuleBook, load_rulebook
from worker import pipeline, reports
from worker.judge import tick
from worker.judging import Judging
from worker.payload_words import write_all

ALDER, BRIAR = "ALDER", "BRIAR"
BOTH = "4500007001"
"""An order number that both have, each in another ERP."""

NETWORK = """
version: 1
company: {name: Northgate, erp: main, zone: UTC, calendar: hq, currency: EUR}
systems:
  erp: {name: ERP, kind: erp}
  edi: {name: Gateway, kind: edi}
  wms: {name: Warehouse, kind: wms}
  suppliers: {name: Portal, kind: supplier}
sources:
  events: {kind: push, format: cloudevents, system: erp, channel: api, silent_after: 87600h}
  feed_a: {kind: push, format: cloudevents, system: edi, channel: api, silent_after: 87600h,
             partner: ALDER}
  feed_b: {kind: push, format: cloudevents, system: edi, channel: api, silent_after: 87600h,
             partner: BRIAR}
  portal-form: {kind: push, format: cloudevents, system: suppliers, channel: portal,
                silent_after: 87600h}
partners:
  ALDER: {name: Alder Forge, tier: A, calendar: hq, ids: {erp_vendor: {main: "17307001"}},
          feeds: [feed_a], contacts: {ack: orders@alder.example}}
  BRIAR: {name: Briar Mill, tier: A, calendar: hq, ids: {erp_vendor: {main: "17307002"}},
          feeds: [feed_b], contacts: {ack: orders@briar.example}}
calendars:
  hq: {zone: UTC, open: {mon-fri: ["00:00-23:59"], sat-sun: ["00:00-23:59"]}}
people:
  desk: {name: Desk, mail: desk@northgate.example}
  lead: {name: Lead, mail: lead@northgate.example}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
warehouses: {east: {name: East, zone: UTC, dock_to_stock_days: 1}}
"""
RULES = (Path(__file__).resolve().parents[1] / "sla_rules.yaml").read_text(encoding="utf-8")
_BREACH = "breach: {severity: medium, notify: business}   # at due"

HOUSE_ALONE = ("Kestrel", "SO-7001")
"""Marks of the customer and its order: for who may read customer orders, of all partners."""


@dataclass(frozen=True)
class Side:
    """One of the two; ``marks`` are found in nothing that is not its own."""

    key: str
    vendor: str
    numbers: tuple[str, ...]
    price: str
    case_id: int = 0
    letter: str = ""
    fingerprint: str = ""
    mail: int = 0
    raw: tuple[str, str] = ("", "")

    @property
    def marks(self) -> tuple[str, ...]:
        thousands = f"{self.price[0]},{self.price[1:]}"
        return (self.key, self.vendor, *self.numbers, self.price, thousands)

    @property
    def ref(self) -> str:
        return f"po:main:{self.numbers[0]}"


_A = Side(ALDER, "17307001", ("4500007003", "4500007005"), "7313.37")
_B = Side(BRIAR, "17307002", ("4500007002", "4500007004"), "9191.91")
SIDES = (_A, _B)


@dataclass(frozen=True)
class Two:
    """The database with both of them in it."""

    engine: Engine
    net: Network
    book: RuleBook
    now: datetime
    alder: Side
    briar: Side


def leaks(told: str, marks: Iterable[str], asked: Iterable[str] = ()) -> list[str]:
    """Marks that are in what was told. What was asked for may be repeated as it was asked, in a
    filter or a refusal, but not as a part of anything else.
    """
    for one in sorted(asked, key=len, reverse=True):
        if len(one) > 3:
            told = re.sub(rf"(?<![\w-]){re.escape(one)}(?![\w-]| Mill| Forge)", "", told)
    return [mark for mark in marks if re.search(re.escape(mark), told, re.IGNORECASE)]


def build(engine: Engine, now: datetime) -> Two:
    """Both of them with orders, answers, notices, receipts, invoices, failures, cases and mails."""
    told = [
        *_story(_A, BOTH, "main", now),
        *_story(_B, BOTH, "west", now),
        *_customer(now),
    ]
    raws = [raw_of(n, source, body, now) for n, (source, body) in enumerate(told)]
    net, book, refused = bring(engine, NETWORK, raws, now)
    assert len(refused) == 2, refused  # the notice without a number, of each
    return Two(engine, net, book, now, _with_rows(engine, _A, now), _with_rows(engine, _B, now))


def bring(
    engine: Engine, network: str, raws: Sequence[Raw], now: datetime
) -> tuple[Network, RuleBook, list[str]]:
    """Take a network into force, read messages in, judge them and write all mails; the causes of
    what was refused, too.
    """
    # Partners are told of their cases, and get scorecards.
    assert _BREACH in RULES
    rules = RULES.replace(
        _BREACH, _BREACH.replace("business}", "business, also: partner.contact}")
    ).replace(
        '  # mail: {to: [partner.contact, purchasing_lead], at: "08:00", hours: hq}',
        '  mail: {to: [partner.contact, lead], at: "00:00", hours: hq}',
    )
    rules = re.sub(r"\b(purchasing_lead|it_integration|purchasing_desk|kim)\b", "lead", rules)
    net, book = load_network(network, "network.yaml"), load_rulebook(rules)
    with engine.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, network, now)
        configuration.activate(conn, configuration.RULES, rules, now)
        configuration.store_partners(conn, net)
        sources.register(conn, net.sources)
    done = pipeline.ingest_raws(engine, net, raws, now=now)
    judge(engine, net, book, now)
    write_all(engine, now + timedelta(seconds=5))
    return net, book, [item.cause for item in done.items if item.outcome == "refused"]


def raw_of(n: int, source: str, body: dict[str, Any], now: datetime) -> Raw:
    """A CloudEvent as it comes; ``key`` of the body begins the key of the message."""
    data = {"specversion": "1.0", "source": "/two", "id": f"two-{n}", **body}
    kind = "application/cloudevents+json"
    key = f"{data.pop('key', 'event')}-{n}"
    return Raw(
        source,
        key,
        json.dumps(data).encode(),
        now,
        kind,
        {"content-type": kind},
        name=f"{key}.json",
    )


def _story(
    side: Side, shared: str, erp: str, now: datetime
) -> Iterable[tuple[str, dict[str, Any]]]:
    """Events of one side by source; all texts bear its name."""
    key = side.key
    own = "feed_a" if key == ALDER else "feed_b"  # feeds are of the house: no marks

    def told(type_: str, days: float, data: dict[str, Any], source: str = "events") -> Any:
        at = (now - timedelta(days=days)).isoformat()
        return source, {"type": type_, "time": at, "data": data, "key": f"{key.lower()}-{type_}"}

    def order(number: str, erp: str = "main") -> dict[str, Any]:
        return {
            "po": number, "erp": erp, "supplier": key, "currency": "EUR", "buyer": f"B-{key}",
            "lines": [
                {"line": "10", "item": f"{key}-ITEM", "description": f"{key} bracket", "qty": "40",
                 "category": f"{key}-GOODS",
                 "uom": "EA", "price": side.price, "warehouse": "east",
                 "requested_date": (now - timedelta(days=2)).date().isoformat()},
            ],
        }  # fmt: skip

    late, kept = side.numbers
    for number, days in ((late, 6.0), (kept, 12.0)):
        yield told("po.released", days, order(number))
        yield told("po.transmitted", days - 0.01, {"po": number, "erp": "main", "supplier": key})
    yield told("po.released", 5, order(shared, erp))
    lines = [{"line": "10", "qty": "40", "date": (now - timedelta(days=3)).date().isoformat(),
              "answer": "accepted"}]  # fmt: skip
    yield told("po.acknowledged", 11, {"po": kept, "erp": "main", "supplier": key, "lines": lines},
               own)  # fmt: skip
    # The same number of a notice, as of one consolidator.
    shipped = [{"erp": "main", "po": kept, "line": "10", "item": f"{key}-ITEM", "qty": "39",
                "uom": "EA"}]  # fmt: skip
    notice = {"asn": "SHIP-777", "supplier": key}
    yield told("asn.received", 8, {**notice, "bol": f"BOL-{key}", "lines": shipped}, own)
    yield told("asn.rejected", 7.9, {**notice, "reason": f"{key} pallet is unknown", "po": kept,
                                     "erp": "main"})  # fmt: skip
    goods = {**shipped[0], "receipt_line": "1"}
    yield told("receipt.posted", 4, {"warehouse": "east", "receipt": f"R-{key}", "supplier": key,
                                     "asn": "SHIP-777", "lines": [goods]})  # fmt: skip
    billed = {**shipped[0], "invoice_line": "1", "price": side.price}
    yield told("invoice.received", 3, {"supplier": key, "invoice": f"INV-{key}", "currency": "EUR",
                                       "total": side.price, "lines": [billed]}, own)  # fmt: skip
    yield told("message.failed", 1, {"text": f"{key} mapping broke", "code": "E7", "po": late,
                                     "erp": "main", "error_class": f"{key}Error"}, own)  # fmt: skip
    # An answer to what is not there: unmatched; and one that cannot be read: a dead letter.
    yield told("po.acknowledged", 2, {"po": f"{key}-404", "erp": "main", "supplier": key}, own)
    yield told("asn.received", 1, {"supplier": key, "lines": f"{key} wrote no lines"}, own)


def _customer(now: datetime) -> Iterable[tuple[str, dict[str, Any]]]:
    """One order of a customer that waits for goods of both."""
    head = {"order": "SO-7001", "erp": "main"}
    due = (now + timedelta(days=1)).date().isoformat()
    told = [
        ("order.placed", {
            **head, "customer": "C-KESTREL", "customer_name": "Kestrel Retail", "currency": "EUR",
            "lines": [{"line": "1", "item": "SET", "qty": "10", "price": "55.5",
                       "requested_date": due}],
        }),
        ("order.promised", {**head, "lines": [{"line": "1", "promise_date": due}]}),
        ("peg.set", {"pegs": [
            {"erp": "main", "order": "SO-7001", "order_line": "1", "po": side.numbers[0],
             "line": "10", "qty": "5"} for side in (_A, _B)
        ]}),
    ]  # fmt: skip
    for type_, data in told:
        yield "events", {"type": type_, "time": (now - timedelta(days=5)).isoformat(), "data": data}


def judge(engine: Engine, net: Network, book: RuleBook, now: datetime) -> None:
    """Every clock up to now, and all mails."""
    config = Judging(net, book, base_url="https://tower.example", sender="tower@northgate.example")
    fresh = [
        {"source_key": source_key(one), "source": one, "complete_to": now, "last_good_at": now}
        for one in net.sources
    ]
    with engine.begin() as conn:
        records.put(
            conn, checkpoint, fresh, conflict=("source_key", "source"),
            changed=("complete_to", "last_good_at"),
        )  # fmt: skip
        reports.expect(conn, config, now - timedelta(days=40))
    # Mails of a rule wait for more of their kind.
    for at in (now - timedelta(hours=2), now):
        while tick(engine, config, at).more:
            pass
    reports.make_due(engine, config, now)


def _with_rows(engine: Engine, side: Side, now: datetime) -> Side:
    with engine.begin() as conn:
        mine = partner_id(side.key)
        case_id = conn.execute(
            select(exception_case.c.id).where(exception_case.c.partner_id == mine).limit(1)
        ).scalar_one()
        letter = conn.execute(
            select(
                dead_letter.c.source, dead_letter.c.key, dead_letter.c.attempt,
                dead_letter.c.fingerprint,
            )
            .where(dead_letter.c.partner_id == mine)
            .limit(1)
        ).first()  # fmt: skip
        raw = conn.execute(
            select(raw_message.c.source, raw_message.c.key)
            .where(raw_message.c.partner_id == mine)
            .order_by(raw_message.c.key)
            .limit(1)
        ).one()
        mail = conn.execute(
            select(outbox.c.id).where(outbox.c.recipient == f"partner:{side.key}").limit(1)
        ).scalar_one()
    assert letter is not None
    return replace(
        side,
        case_id=case_id,
        letter=str(LetterRef(letter.source, letter.key, letter.attempt)),
        fingerprint=letter.fingerprint,
        mail=mail,
        raw=(raw.source, raw.key),
    )


def mails(engine: Engine) -> list[Any]:
    """All mails that wait to be sent."""
    with engine.connect() as conn:
        return list(conn.execute(select(outbox).order_by(outbox.c.id)))
