"""Three weeks in the life of an installation: something of everything that can be asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.acceptance.papers import answer, order
from tests.acceptance.running import Running
from tower.raw import QueueSample
from worker import pipeline
from worker.payload_words import write_all

NEW_YORK = ZoneInfo("America/New_York")


def fill(tower: Running, begin: datetime, now: datetime) -> None:
    """Orders, answers, receipts, promises, pegs, queue depths, and letters nobody could read."""
    opened = begin + timedelta(hours=1)
    promised = (now + timedelta(days=2)).date().isoformat()
    for number, po in enumerate(("4500007001", "4500007002"), start=1):
        requested = (now + timedelta(days=1)).strftime("%Y%m%d")
        text = order(po, _local(begin), requested=requested, number=number)
        tower.drop("inbox/edi", f"{po}.edi", text)
    tower.step(opened)
    tower.push(
        "erp",
        _events(
            begin,
            ("order.placed", {"order": "SO-1", "customer": "C1", "customer_name": "River Works",
                              "currency": "USD", "lines": [
                                  {"line": "1", "item": "FST-00201", "qty": "30", "uom": "EA",
                                   "price": "20.00"}]}),
            ("order.promised", {"order": "SO-1", "lines": [
                {"line": "1", "promise_date": promised, "qty": "30"}]}),
            ("peg.set", {"pegs": [{"order": "SO-1", "order_line": "1", "po": "4500007001",
                                   "line": "10", "qty": "30"}]}),
        ),
        opened,
        "application/cloudevents-batch+json",
    )  # fmt: skip
    tower.drop("inbox/edi", "4500007002-855.edi", _answer(begin, "4500007002", now, 11))
    tower.drop("inbox/edi", "4500009999-855.edi", _answer(begin, "4500009999", now, 12))
    tower.drop("inbox/edi", "cut.edi", _answer(begin, "4500007001", now, 13)[:250])
    tower.drop("inbox/edi", "again.edi", _answer(begin, "4500007002", now, 11))
    at = opened
    while at < now:
        at = min(now, _next_morning(at))
        for source in ("erp", "receipts"):
            tower.beat(source, at)
        tower.step(at)
    receipt = {
        "number": "R-1", "at": begin.isoformat(), "site": "EAST", "vendor": "17300001",
        "lines": [{"n": "1", "po": "4500007002", "line": "10", "qty": 25}],
    }  # fmt: skip
    tower.push("receipts", json.dumps(receipt).encode(), now, "application/json")
    pipeline.ingest_raws(
        tower.engine,
        tower.config.network,
        (),
        now=now,
        samples=[
            QueueSample("broker", "orders.in", now - timedelta(minutes=5), ready=4, total=5),
            QueueSample("broker", "orders.in", now, ready=7, in_flight=1, total=8, consumers=2,
                        in_rate=1.5, out_rate=0.5),
        ],
    )  # fmt: skip
    tower.step(now)
    write_all(tower.engine, now + timedelta(seconds=5))


def _next_morning(at: datetime) -> datetime:
    """Ten o'clock in New York after an instant: inside office hours, whenever the test runs."""
    local = at.astimezone(NEW_YORK)
    ten = local.replace(hour=10, minute=0, second=0, microsecond=0)
    return (ten if local < ten else ten + timedelta(days=1)).astimezone(UTC)


def _local(at: datetime) -> str:
    return at.astimezone(NEW_YORK).strftime("%Y%m%d*%H%M")


def _answer(at: datetime, po: str, now: datetime, number: int) -> str:
    date = (now + timedelta(days=1)).strftime("%Y%m%d")
    return answer(po, _local(at + timedelta(minutes=30)), date=date, number=number)


def _events(at: datetime, *told: tuple[str, dict[str, Any]]) -> bytes:
    return json.dumps(
        [
            {
                "specversion": "1.0",
                "id": f"{n}",
                "source": "/erp",
                "type": type_,
                "time": at.isoformat(),
                "data": {"erp": "main", **data},
            }
            for n, (type_, data) in enumerate(told)
        ]
    ).encode()
