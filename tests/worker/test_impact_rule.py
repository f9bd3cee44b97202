"""The rule about customers whom late supply hurts: one case per order line and customer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.worker.conftest import House
from tower.rulebook import RuleBook

RULE = """
  - id: order.affected
    kind: impact
    category: ORDER_AFFECTED
    title: "PO {po.number} line {po_line.line} comes too late for {order.customer_name}"
    about: order_line
    walk_from: {po.unacknowledged: breach, asn.failed: new, asn.missing: breach}
    one_case_per: [po_line, customer]
    at_most: 3
    levels: {breach: {severity: high, notify: business}}
"""


def order(house: House, number: str, promise: str, customer: str = "C-7") -> None:
    head = {"order": number, "erp": "main"}
    line = {"line": "1", "item": "I-0", "qty": "2", "price": "250"}
    house.tell(
        "order.placed",
        {**head, "customer": customer, "customer_name": f"Customer {customer}", "currency": "EUR",
         "lines": [line]},
        "03-29 09:00",
    )  # fmt: skip
    promised(house, number, promise, "03-29 09:01")
    house.tell(
        "peg.set",
        {"pegs": [{"erp": "main", "order": number, "order_line": "1", "po": "4711", "line": "10",
                   "qty": "2"}]},
        "03-30 08:01",
    )  # fmt: skip


def promised(house: House, number: str, promise: str, at: str) -> None:
    lines = [{"line": "1", "promise_date": promise}]
    house.tell("order.promised", {"order": number, "erp": "main", "lines": lines}, at)


def answered(house: House, day: str, at: str) -> None:
    line = {"line": "10", "answer": "accepted_with_changes", "qty": "10", "date": day}
    data = {"po": "4711", "erp": "main", "supplier": "ACME", "lines": [line]}
    house.tell("po.acknowledged", data, at)


@pytest.fixture
def book(rules_of: Callable[[str], RuleBook], shipped_text: str) -> RuleBook:
    return rules_of(shipped_text + RULE)


@pytest.fixture
def pegged(make_house: Callable[..., Any], book: RuleBook) -> House:
    """PO 4711, wanted for 7 April; two orders of one customer wait for it, and one of another."""
    house: House = make_house(book)
    house.released("4711", "03-30 08:00", requested="2026-04-07", warehouse="east", buyer="ben")
    order(house, "SO-1", "2026-04-10")
    order(house, "SO-2", "2026-04-12")
    order(house, "SO-3", "2026-04-11", "C-8")
    return house


def test_silence_is_one_case_per_customer_which_the_answer_heals(pegged: House) -> None:
    pegged.until("03-30 12:00")
    assert pegged.cases() == []
    pegged.until("03-30 12:10")  # nobody answered: six days later, as usual, on 14 April
    cases = pegged.cases("ORDER_AFFECTED")
    assert [(c.title, c.owner, c.lines_affected, c.kind) for c in cases] == [
        ("PO 4711 line 10 comes too late for Customer C-7", "ben", 2, "affected"),
        ("PO 4711 line 10 comes too late for Customer C-8", "ben", 1, "affected"),
    ]
    assert cases[0].why["hurts"]["promised"] == "2026-04-10"
    assert cases[0].value_at_risk == 1000
    [late] = pegged.cases("ACK_OVERDUE")
    assert late.orders_affected == 3
    answered(pegged, "2026-04-07", "03-30 14:00")
    pegged.until("03-30 14:01")
    assert {c.resolution for c in pegged.cases("ORDER_AFFECTED")} == {"healed"}
    assert pegged.journal("order.affected")[-1] == ("end:cleared", "03-30 14:01")


def test_a_changed_date_is_walked_from_and_a_moved_promise_closes(pegged: House) -> None:
    answered(pegged, "2026-04-10", "03-30 09:00")  # on the shelf on 11 April
    pegged.until("03-30 09:01")
    [case] = pegged.cases("ORDER_AFFECTED")
    assert (case.line, case.state) == ("10 C-7", "new")
    promised(pegged, "SO-1", "2026-04-20", "03-30 10:00")
    pegged.until("03-30 10:01")
    assert [c.state for c in pegged.cases("ORDER_AFFECTED")] == ["resolved"]


def test_a_margin_asks_for_the_day_before(
    make_house: Callable[..., House], rules_of: Callable[[str], RuleBook], shipped_text: str
) -> None:
    for margin, cases in (("23h", 0), ("24h", 1)):
        text = shipped_text + RULE.replace("    at_most: 3\n", f"    margin: {margin}\n")
        house = make_house(rules_of(text))
        house.released("4711", "03-30 08:00", requested="2026-04-07", warehouse="east")
        order(house, "SO-1", "2026-04-10")
        answered(house, "2026-04-09", "03-30 09:00")  # on the shelf on the day promised
        house.until("03-30 09:01")
        assert len(house.cases("ORDER_AFFECTED")) == cases


def test_too_many_customers_are_summed_up_in_one_case(pegged: House) -> None:
    for n in range(3):
        order(pegged, f"SO-1{n}", "2026-04-10", f"C-1{n}")
    answered(pegged, "2026-04-30", "03-30 09:00")
    pegged.until("03-30 09:01")
    [case] = pegged.cases("ORDER_AFFECTED")
    assert (case.line, case.lines_affected) == ("10", 6)
    assert case.title == "PO 4711 line 10 comes too late for 5 customers"


def test_levels_say_from_when_a_date_is_in_doubt(
    make_house: Callable[..., House], rules_of: Callable[[str], RuleBook], shipped_text: str
) -> None:
    text = shipped_text + RULE.replace("po.unacknowledged: breach", "po.unacknowledged: warn")
    house = make_house(rules_of(text))
    house.released("4711", "03-30 08:00", requested="2026-04-07", warehouse="east")
    order(house, "SO-1", "2026-04-10")
    house.live("03-30 11:05")  # three of four hours are gone
    assert len(house.cases("ORDER_AFFECTED")) == 1
    assert house.cases("ACK_OVERDUE") == []


def test_a_rule_that_leaves_the_book_closes_its_cases_and_one_that_comes_opens_them(
    pegged: House, shipped_rules: RuleBook, book: RuleBook
) -> None:
    answered(pegged, "2026-04-30", "03-30 09:00")
    pegged.until("03-30 09:01")
    assert {c.state for c in pegged.cases("ORDER_AFFECTED")} == {"new"}
    pegged.use(shipped_rules)
    pegged.until("03-30 10:00")
    assert {c.state for c in pegged.cases("ORDER_AFFECTED")} == {"resolved"}


def test_one_that_comes_into_force_speaks_of_what_is_affected_already(
    house: House, book: RuleBook
) -> None:
    house.released("4711", "03-30 08:00", requested="2026-04-07", warehouse="east")
    order(house, "SO-1", "2026-04-10")
    answered(house, "2026-04-30", "03-30 09:00")
    house.until("03-30 09:01")
    assert house.cases() == []
    house.use(book)
    house.until("03-30 10:00")
    assert len(house.cases("ORDER_AFFECTED")) == 1
