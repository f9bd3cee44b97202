"""Two systems that tell a line differently: a case if it lasts, whatever the order of telling."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.worker.conftest import berlin
from tower.event import Event
from tower.rulebook import RuleBook, load_rulebook

BOOK = """
version: 1
notify:
  technical: {fallback: it_integration, group_by: [rule], wait: 1m, every: 15m, closed: at_once}
rules:
- id: po_line.supplier_vs_erp
  kind: agreement
  category: SYSTEM_STATE_MISMATCH
  title: "PO {po.number} line {po_line.line}: the ERP tells otherwise than {supplier.name}"
  about: po_line
  compare:
    - {a: edi.confirmed_qty, b: erp.confirmed_qty}
    - {a: edi.confirmed_date, b: erp.confirmed_date}
  within: 30m
  cancel: [po.cancelled, po.closed]
  settle: 5m
  evidence: [erp]
  levels:
    breach: {severity: medium, notify: technical}
"""

RULE = "po_line.supplier_vs_erp"


@pytest.fixture
def book() -> RuleBook:
    return load_rulebook(BOOK)


@pytest.fixture
def desk(make_house: Callable[..., Any], book: RuleBook) -> Any:
    house = make_house(book)
    house.until("03-30 06:00")
    house.released("4711", "03-30 08:00", lines=2)
    return house


def said(
    house: Any, type_: str, at: str, qty: str, *, line: str = "10", arrives: str | None = None,
    **more: str,
) -> Event:  # fmt: skip
    body = {
        "po": "4711",
        "erp": "main",
        "supplier": "ACME",
        "lines": [{"line": line, "qty": qty, **more}],
    }
    event: Event = house.event(type_, body, at)
    house.store([(event, berlin(arrives or at))])
    return event


def answered(house: Any, at: str, qty: str, **more: Any) -> None:
    said(house, "po.acknowledged", at, qty, **more)


def applied(house: Any, at: str, qty: str, **more: Any) -> None:
    said(house, "po.answer_applied", at, qty, **more)


def test_a_difference_that_lasts_is_a_case_with_both_values_and_heals(desk: Any) -> None:
    answered(desk, "03-30 09:00", "10")
    applied(desk, "03-30 09:20", "8")
    desk.until("03-30 10:15")
    assert desk.cases() == []  # due at 09:50; the ERP is read each fifteen minutes, twice that
    desk.until("03-30 10:20")
    [case] = desk.cases()
    assert (case.category, case.owner, case.line) == (
        "SYSTEM_STATE_MISMATCH", "it_integration", "10",
    )  # fmt: skip
    assert case.title == "PO 4711 line 10: the ERP tells otherwise than ACME Fasteners Ltd"
    assert case.opened_at == berlin("03-30 09:50")
    assert case.why["apart"] == ["edi confirmed qty 10, erp confirmed qty 8"]
    desk.until("03-30 10:22")
    [mail] = desk.mails()
    assert b"edi confirmed qty 10, erp confirmed qty 8" in mail.message.replace(b"=\r\n", b"")

    applied(desk, "03-30 11:00", "10.0")
    desk.until("03-30 11:20")
    desk.until("03-30 11:22")
    assert [c.resolution for c in desk.cases()] == ["healed"]
    assert [name for name, _ in desk.journal(RULE)] == ["started", "breach", "end:late"]
    assert len(desk.mails()) == 2


def test_a_difference_that_passes_and_a_system_that_says_nothing_are_no_case(desk: Any) -> None:
    answered(desk, "03-30 09:00", "10")  # the ERP says nothing: other rules tell that
    answered(desk, "03-30 09:00", "4", line="20")
    applied(desk, "03-30 09:05", "5", line="20")
    applied(desk, "03-30 09:30", "4", line="20")
    desk.until("03-30 15:00")
    assert desk.cases() == []
    assert [(c.line, c.verdict) for c in desk.clocks()] == [("20", "met")]


def test_another_field_keeps_the_line_apart(desk: Any) -> None:
    answered(desk, "03-30 09:00", "10", date="2026-04-20")
    applied(desk, "03-30 09:10", "8", date="2026-04-21")
    applied(desk, "03-30 09:15", "10", date="2026-04-21")
    desk.until("03-30 11:00")
    [case] = desk.cases()
    assert case.opened_at == berlin("03-30 09:40")


def test_while_the_erp_feed_is_silent_nobody_is_accused(desk: Any) -> None:
    answered(desk, "03-30 09:00", "10")
    applied(desk, "03-30 09:20", "8")
    desk.until("03-30 09:30")
    desk.until("03-30 12:00", fresh=False)
    assert desk.cases() == []
    [held] = desk.clocks()
    assert (held.verdict, held.held_by) == ("unknown", "erp")
    desk.until("03-30 12:02", fresh=False)  # the source itself is looked at
    desk.until("03-30 12:30")
    desk.until("03-30 12:40")
    assert [c.state for c in desk.cases()] == ["new"]


def test_a_correction_told_late_withdraws_the_breach(desk: Any) -> None:
    answered(desk, "03-30 09:00", "10")
    applied(desk, "03-30 09:20", "8")
    desk.until("03-30 10:30")
    assert [c.state for c in desk.cases()] == ["new"]
    applied(desk, "03-30 09:45", "10", arrives="03-30 11:00")
    desk.until("03-30 11:00")
    assert [c.resolution for c in desk.cases()] == ["healed"]
    assert [name for name, _ in desk.journal(RULE)] == [
        "started", "breach", "retract:breach", "end:met", "recalculated",
    ]  # fmt: skip


def test_a_cancelled_order_is_compared_no_longer(desk: Any) -> None:
    answered(desk, "03-30 09:00", "10")
    desk.tell("po.cancelled", {"po": "4711", "erp": "main"}, "03-30 09:10")
    applied(desk, "03-30 09:20", "0")
    desk.until("03-30 12:00")
    assert desk.cases() == []


def standing(house: Any) -> list[tuple[Any, ...]]:
    return sorted(
        (c.line, c.cycle, c.verdict, c.started_at, c.due_at, c.breached_at, c.ended_at)
        for c in house.clocks()
    )


@pytest.mark.parametrize("seed", range(3))
def test_order_and_duplicates_change_nothing_that_stands(
    make_house: Callable[..., Any], book: RuleBook, seed: int
) -> None:
    def story(house: Any) -> Sequence[Event]:
        told = []
        for n, (minute, qty) in enumerate(
            itertools.product(range(0, 240, 20), ("10", "8", "10.0"))
        ):
            type_ = "po.acknowledged" if (n * 7) % 3 else "po.answer_applied"
            at = f"03-30 {9 + (minute + n) // 60:02}:{(minute + n) % 60:02}"
            body = {"po": "4711", "erp": "main", "supplier": "ACME",
                    "lines": [{"line": "10", "qty": qty}]}  # fmt: skip
            told.append(house.event(type_, body, at))
        return told

    found = []
    for shuffled in (False, True):
        house = make_house(book)
        house.until("03-30 06:00")
        house.released("4711", "03-30 08:00")
        events = list(story(house))
        if shuffled:
            chance = random.Random(seed)
            events += chance.sample(events, 12)
            chance.shuffle(events)
        for n, event in enumerate(events):
            at = berlin("03-30 15:00") + timedelta(minutes=n) if shuffled else event.occurred_at
            house.store([(event, at)])
            if shuffled and n % 5 == 0:
                house.until(f"03-30 15:{n:02}")
        house.until("03-30 18:00")
        found.append(standing(house))
    assert len(found[0]) > 1
    assert found[0] == found[1]
