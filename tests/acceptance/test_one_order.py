"""One purchase order from its bytes to the mail that says it is settled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select

from db import engine as engines
from db.tables import clock, document, event, exception_case, origin, raw_message
from tests.acceptance.installation import Installation
from tests.acceptance.papers import answer, order
from tests.acceptance.running import Running, Sink, listening, text_of

BASE = "https://tower.buyer.example"

ORDER = order("4500007001", "20260309*1000", requested="20260401")
ANSWER = answer("4500007001", "20260309*1530", date="20260401")


def monday(hour: int, minute: int = 0, day: int = 9) -> datetime:
    """An instant of Monday 9 March 2026, or a later day, told in UTC; New York is four behind."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@dataclass
class Walk:
    tower: Running
    sink: Sink
    installation: Installation

    def one(self, table: Any, *conditions: Any) -> Any:
        with self.tower.engine.connect() as conn:
            return conn.execute(select(table).where(*conditions)).one()


@pytest.fixture
def walk(install: Callable[..., Installation], new_database: Callable[[], str]) -> Iterator[Walk]:
    installation = install(base_url=BASE)
    engine: Engine = engines.create(installation.settings["TOWER_DATABASE_URL"])
    with listening() as (sink, port):
        tower = Running.start(
            engine,
            installation,
            monday(12),
            base_url=BASE,
            smtp_host="127.0.0.1",
            smtp_port=port,
            smtp_starttls=False,
            smtp_from="tower@buyer.example",
        )
        yield Walk(tower, sink, installation)
    engine.dispose()


def test_an_unanswered_order_breaches_is_mailed_and_settled_by_its_late_answer(
    walk: Walk,
) -> None:
    tower, sink = walk.tower, walk.sink

    # The order goes out at 10:00 in New York. Tier A has four working hours: until 14:00.
    tower.drop("inbox/edi", "850.edi", ORDER)
    tower.step(monday(14, 5))
    po = walk.one(document, document.c.kind == "po")
    assert (po.number, po.supplier, po.status) == ("4500007001", "ACME", "released")
    assert po.value == 500
    running = walk.one(clock, clock.c.rule == "po.unacknowledged")
    assert running.due_at == monday(18)
    assert running.verdict == "pending"

    # Nothing is said before the deadline, nor while stragglers may still come.
    tower.step(monday(17, 55))
    tower.step(monday(18, 5))
    assert sink.letters == []
    assert walk.one(clock, clock.c.rule == "po.unacknowledged").verdict == "at_risk"

    # Past the deadline, with the feed read: a breach, a case, and after five minutes a mail.
    for minute in (15, 25, 35):
        tower.step(monday(18, minute))
    late = walk.one(clock, clock.c.rule == "po.unacknowledged")
    assert late.verdict == "breached"
    case = walk.one(exception_case)
    assert (case.category, case.state, case.owner) == ("ACK_OVERDUE", "new", "purchasing_desk")
    assert case.title == "PO 4500007001 not acknowledged by Acme Fasteners"
    assert len(sink.letters) == 1
    recipients, mail = sink.letters[0]
    assert recipients == ["desk@buyer.example"]
    assert mail["from"].addresses[0].addr_spec == "tower@buyer.example"
    for kind in ("plain", "html"):
        said = text_of(mail, kind)
        assert "4500007001" in said
        assert "Acme Fasteners" in said
        links = re.findall(r'(?:href|src)="(http[^"]*)"' if kind == "html" else r"http\S*", said)
        assert all(link.startswith(BASE + "/") for link in links)
        assert f"{BASE}/case?id={case.id}" in links

    # The command answers what the screens answer.
    shown = walk.installation.tower("show", "4500007001", "--json").json["story"]
    assert [c["category"] for c in shown["cases"]] == ["ACK_OVERDUE"]
    assert {r["label"]: r["state"] for r in shown["ladder"]}["Business answer"] == "late"
    told = walk.installation.tower("case", case.id, "--json").json
    assert [m["subject"] for m in told["mails"]] == sink.subjects

    # The answer arrives ninety minutes late: the case heals, the miss stays in the rates.
    tower.drop("inbox/edi", "855.edi", ANSWER)
    tower.step(monday(19, 40))
    assert walk.one(clock, clock.c.rule == "po.unacknowledged").verdict == "met_late"
    assert walk.one(exception_case).state == "resolved"
    po = walk.one(document, document.c.kind == "po")
    assert po.answer == "accepted"
    assert po.acknowledged_at == monday(19, 30)

    # Who was told it is open is told that it is settled: with the next morning's summary.
    tower.step(monday(12, 5, day=10))
    assert len(sink.letters) == 2
    recipients, mail = sink.letters[1]
    assert recipients == ["desk@buyer.example"]
    assert "settled" in text_of(mail, "plain").lower()
    assert "4500007001" in text_of(mail, "plain")

    # And then there is silence: all that is left to tell is that two feeds never spoke.
    tower.step(monday(12, 5, day=11))
    assert [to for to, _ in sink.letters[2:]] == [["it@buyer.example"]]
    assert "2 sources" in sink.subjects[2]


def test_each_value_of_the_answer_leads_to_the_bytes_it_came_from(walk: Walk) -> None:
    tower = walk.tower
    tower.drop("inbox/edi", "850.edi", ORDER)
    tower.drop("inbox/edi", "855.edi", ANSWER)
    tower.step(monday(19, 40))
    told_by = walk.one(event, event.c.type == "po.acknowledged")
    raw = walk.one(raw_message, raw_message.c.key == told_by.raw_key)
    assert raw.encoding == "plain"
    body = bytes(raw.body)
    assert body == ANSWER.encode()
    fields = walk.one(origin, origin.c.event_id == told_by.event_id).fields
    told = {
        field: body[offset : offset + length].decode()
        for field, _, offset, length, *_ in fields
        if offset is not None
    }
    assert told["po"] == "4500007001"
    assert told["lines[0].qty"] == "40"
    assert told["lines[0].date"] == "20260401"
    assert told["lines[0].answer"] == "IA"


def test_an_answer_in_time_that_is_told_late_withdraws_the_accusation(walk: Walk) -> None:
    tower, sink = walk.tower, walk.sink
    tower.drop("inbox/edi", "850.edi", ORDER)
    for hour, minute in ((14, 5), (18, 15), (18, 25), (18, 35)):
        tower.step(monday(hour, minute))
    assert len(sink.letters) == 1
    # Answered at 12:30 in New York, delivered by the gateway in the afternoon.
    in_time = answer("4500007001", "20260309*1230", date="20260401")
    tower.drop("inbox/edi", "855.edi", in_time)
    tower.step(monday(19, 40))
    assert walk.one(clock, clock.c.rule == "po.unacknowledged").verdict == "met"
    assert walk.one(exception_case).state == "resolved"
    tower.step(monday(12, 5, day=10))
    assert "4500007001" in text_of(sink.letters[1][1], "plain")


def test_while_the_feed_is_silent_nobody_is_accused(walk: Walk) -> None:
    tower, sink = walk.tower, walk.sink
    tower.drop("inbox/edi", "850.edi", ORDER)
    tower.step(monday(14, 5))
    # The feed is not read any more: at half past six nobody knows whether an answer came.
    tower.judge(monday(18, 30))
    assert walk.one(clock, clock.c.rule == "po.unacknowledged").verdict in ("at_risk", "unknown")
    tower.judge(monday(13, 0, day=10))
    assert walk.one(clock, clock.c.rule == "po.unacknowledged").verdict == "unknown"
    with tower.engine.connect() as conn:
        categories = set(conn.execute(select(exception_case.c.category)).scalars())
    assert "ACK_OVERDUE" not in categories
    assert "SOURCE_SILENT" in categories
    assert sink.letters == []
