"""Customer orders without a peg: from stock reports and documents to affected lines and cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from db.reinterpret import reinterpret
from db.tables import order_impact, timer
from tests.worker.conftest import House, berlin
from tests.worker.test_impact_rule import RULE
from tower.raw import Interpretation, Interpreted, Raw
from tower.rulebook import RuleBook

HEAD = {"erp": "main", "warehouse": "east"}


def stock(house: House, on_hand: str, at: str, item: str = "I-0", **more: Any) -> None:
    line = {"item": item, "on_hand": on_hand}
    house.tell("inventory.reported", {"warehouse": "east", "lines": [line]}, at, **more)


def order(house: House, number: str, promise: str, qty: str, at: str = "03-29 09:00") -> None:
    line = {"line": "1", "item": "I-0", "qty": qty, "price": "250"}
    who = {"customer": "C-7", "customer_name": "Brandt GmbH", "currency": "EUR"}
    house.tell("order.placed", {**HEAD, **who, "order": number, "lines": [line]}, at)
    told = [{"line": "1", "promise_date": promise}]
    house.tell("order.promised", {"erp": "main", "order": number, "lines": told}, at)


def released(house: House, po: str, requested: str, at: str = "03-30 08:00") -> None:
    house.released(po, at, requested=requested, warehouse="east", buyer="ben")


def answered(house: House, po: str, day: str, at: str, qty: str = "10") -> None:
    line = {"line": "10", "answer": "accepted_with_changes", "qty": qty, "date": day}
    head = {"po": po, "erp": "main", "supplier": "ACME"}
    house.tell("po.acknowledged", {**head, "lines": [line]}, at)


def found(house: House) -> list[tuple[Any, ...]]:
    """(order, purchase order, pieces, projected, cause, how matched)."""
    i = order_impact.c
    query = select(i.order, i.po, i.uncovered_qty, i.projected_date, i.cause, i.matched_by)
    return [tuple(row) for row in house.rows(query.order_by(i.order, i.po))]


@pytest.fixture
def short(house: House) -> House:
    """Four in stock; ten ordered for 7 April; six and eight promised for 6 and 10 April."""
    stock(house, "4", "03-29 06:00")
    released(house, "4711", "2026-04-07")
    order(house, "SO-1", "2026-04-06", "4")
    order(house, "SO-2", "2026-04-10", "8")
    return house


def test_supply_that_comes_later_hurts_who_cannot_be_served(short: House) -> None:
    short.until("03-30 09:00")
    assert found(short) == []
    answered(short, "4711", "2026-04-15", "03-30 09:30")
    short.until("03-30 09:31")
    [row] = short.rows(select(order_impact))
    assert (row.order, row.po, row.matched_by, row.cause) == (
        "SO-2", "4711", "netting", "ACK_DATE_VARIANCE",
    )  # fmt: skip
    assert (row.projected_date, row.days_late, row.uncovered_qty) == (
        date(2026, 4, 16), 6, Decimal(8),
    )  # fmt: skip
    assert (row.open_value, row.confidence, row.supplier) == (Decimal(2000), 0.63, "ACME")
    assert (row.proposed_date, row.told_at) == (date(2026, 4, 16), None)
    stock(short, "12", "03-30 10:00")
    short.until("03-30 10:01")
    assert found(short) == []


def test_silence_and_what_the_customer_was_told(short: House) -> None:
    short.until("03-30 12:10")  # nobody answered: six days later, as usual
    [(*_, cause, match)] = found(short)
    assert (cause, match) == ("ACK_OVERDUE", "netting")
    [case] = short.cases("ACK_OVERDUE")
    assert (case.orders_affected, case.value_at_risk) == (1, Decimal(2000))
    told = [{"line": "1", "promise_date": "2026-04-14"}]
    short.tell("order.notified", {"erp": "main", "order": "SO-2", "lines": told}, "03-30 13:00")
    short.until("03-30 13:01")
    [row] = short.rows(select(order_impact))
    assert (row.told_date, row.told_at is not None, row.case_id) == (
        date(2026, 4, 14), True, case.id,
    )  # fmt: skip


def test_the_rule_about_customers_makes_cases_of_netted_orders(
    make_house: Callable[..., House], rules_of: Callable[[str], RuleBook], shipped_text: str
) -> None:
    house = make_house(rules_of(shipped_text + RULE))
    stock(house, "0", "03-29 06:00")
    released(house, "4711", "2026-04-07")
    order(house, "SO-1", "2026-04-10", "8")
    answered(house, "4711", "2026-04-15", "03-30 09:30")
    house.until("03-30 09:31")
    [case] = house.cases("ORDER_AFFECTED")
    assert (case.title, case.owner) == (
        "PO 4711 line 10 comes too late for Brandt GmbH", "ben",
    )  # fmt: skip
    answered(house, "4711", "2026-04-07", "03-30 10:00")
    house.until("03-30 10:01")
    assert [c.resolution for c in house.cases("ORDER_AFFECTED")] == ["healed"]


def test_what_moved_since_the_report_is_neither_lost_nor_counted_twice(short: House) -> None:
    receipt = {"receipt_line": "1", "erp": "main", "po": "4711", "line": "10", "qty": "10"}
    answered(short, "4711", "2026-04-07", "03-30 09:00")
    mistyped = {"receipt_line": "1", "erp": "main", "po": "4711", "item": "I-0", "qty": "30"}
    for line, hour in ((mistyped, "08:30"), (receipt, "09:00")):  # one receipt line, corrected
        short.tell("receipt.posted", {"warehouse": "east", "receipt": "R-1", "supplier": "ACME",
                                      "lines": [line]}, f"04-07 {hour}")  # fmt: skip
    short.tell("order.shipped", {"erp": "main", "order": "SO-1", "shipment": "S-1",
                                 "lines": [{"line": "1", "qty": "4"}]}, "04-07 10:00")  # fmt: skip
    short.until("04-07 11:00")
    assert found(short) == []  # four and ten, less four; eight are wanted
    order(short, "SO-3", "2026-04-11", "3", at="04-07 11:30")
    short.until("04-07 12:00")
    assert [row[:3] for row in found(short)] == [("SO-3", "", Decimal(1))]
    stock(short, "11", "04-07 13:00")
    short.until("04-07 13:01")
    assert found(short) == []
    change = {"item": "I-0", "delta": "-2"}
    short.tell("inventory.adjusted", {"warehouse": "east", "lines": [change]}, "04-07 14:00")
    short.until("04-07 14:01")
    assert [row[:3] for row in found(short)] == [("SO-3", "", Decimal(2))]


def test_overdue_goods_hurt_from_the_day_on_which_they_come_too_late(short: House) -> None:
    answered(short, "4711", "2026-04-07", "03-30 09:00")
    line = {"erp": "main", "po": "4711", "line": "10", "qty": "10"}
    short.tell("asn.received", {"asn": "A-1", "supplier": "ACME", "eta": "2026-04-07",
                                "lines": [line]}, "03-31 09:00")  # fmt: skip
    short.live("04-09 12:00")
    assert found(short) == []
    short.live("04-10 12:00")
    assert [row[1:] for row in found(short)] == [
        ("4711", Decimal(8), date(2026, 4, 11), "PO_DELAYED", "netting"),
    ]


def test_nothing_is_netted_where_no_stock_is_told(house: House) -> None:
    released(house, "4711", "2026-04-07")
    order(house, "SO-1", "2026-04-01", "8")
    house.until("03-30 09:00")
    assert found(house) == []
    assert house.rows(select(timer).where(timer.c.kind == "netting")) == []
    stock(house, "1", "03-30 09:30")  # from now on it is known, also for what came before
    house.until("03-30 09:31")
    assert [row[:2] for row in found(house)] == [("SO-1", "4711")]


def test_an_order_that_names_another_item_sets_the_first_one_free(short: House) -> None:
    answered(short, "4711", "2026-04-15", "03-30 09:30")
    short.until("03-30 09:31")
    assert len(found(short)) == 1
    line = {"line": "1", "item": "I-9", "qty": "8"}
    short.tell("order.changed", {**HEAD, "order": "SO-2", "lines": [line]}, "03-30 10:00")
    short.until("03-30 10:01")
    assert found(short) == []


EVENTS: list[tuple[str, dict[str, Any], str]] = [
    ("inventory.reported", {"warehouse": "east", "lines": [{"item": "I-0", "on_hand": "9"}]},
     "03-29 05:00"),
    ("inventory.reported", {"warehouse": "east", "lines": [{"item": "I-0", "on_hand": "4"}]},
     "03-29 06:00"),
    ("inventory.adjusted", {"warehouse": "east", "lines": [{"item": "I-0", "delta": "-1"}]},
     "03-29 07:00"),
    *(("order.placed", {**HEAD, "order": f"SO-{n}", "customer": f"C-{n}", "lines": [
        {"line": "1", "item": "I-0", "qty": str(3 + n), "price": "10",
         "requested_date": f"2026-04-{4 + 3 * n:02}"}]}, "03-29 08:00") for n in range(4)),
    *(("po.released", {"po": f"47{n}", "erp": "main", "supplier": "ACME", "warehouse": "east",
        "lines": [{"line": "10", "item": "I-0", "qty": "5",
                   "requested_date": f"2026-04-{5 + 2 * n:02}"}]}, "03-29 09:00")
      for n in range(3)),
    ("po.acknowledged", {"po": "470", "erp": "main", "supplier": "ACME", "lines": [
        {"line": "10", "answer": "accepted_with_changes", "qty": "3", "date": "2026-04-20"}]},
     "03-29 10:00"),
    ("po.rejected", {"po": "471", "erp": "main", "supplier": "ACME", "reason": "no stock"},
     "03-29 11:00"),
    ("order.shipped", {"erp": "main", "order": "SO-0", "shipment": "S-1",
                       "lines": [{"line": "1", "qty": "2"}]}, "03-29 11:30"),
    ("peg.set", {"pegs": [{"erp": "main", "order": "SO-3", "order_line": "1", "po": "472",
                           "line": "10", "qty": "2"}]}, "03-29 12:00"),
    ("order.changed", {**HEAD, "order": "SO-1", "lines": [
        {"line": "1", "item": "I-0", "qty": "5"}]}, "03-29 12:30"),
]  # fmt: skip


def test_the_order_of_arrival_changes_nothing(make_house: Callable[..., House]) -> None:
    answers = []
    for dice in (None, Random(5)):
        house = make_house()
        told = [house.event(*words) for words in EVENTS]
        if dice is not None:
            dice.shuffle(told)
        for n, event in enumerate(told):
            house.store([(event, berlin(f"03-30 08:{n:02}"))])
            if dice is not None or n % 5 == 4:  # judged in between, too
                house.until(f"03-30 08:{n:02}")
        house.until("03-30 09:30")
        answers.append([row for row in found(house) if row[5] == "netting"])
    assert answers[0] == answers[1]
    assert {row[4] for row in answers[0]} >= {"ACK_DATE_VARIANCE", "ACK_REJECTED"}


def test_a_report_that_is_read_again_and_was_none_is_forgotten(short: House) -> None:
    answered(short, "4711", "2026-04-15", "03-30 09:30")
    short.until("03-30 09:31")
    assert len(found(short)) == 1
    raw = Raw("test", "m1", b"{}", berlin("03-29 06:00"))
    with short.engine.begin() as conn:
        reinterpret(conn, [Interpreted(raw, Interpretation("test", 2, ()))],
                    net=short.network, now=berlin("03-30 10:00"))  # fmt: skip
    short.until("03-30 10:01")
    assert found(short) == []
