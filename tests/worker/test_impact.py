"""Whom a late answer, a moved date or a failed shipment hurts, and how cases and mails tell it."""

from __future__ import annotations

import email
import email.policy
import threading
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from db.tables import order_impact
from tower.zones import zone
from worker.judge import tick


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=zone("Europe/Berlin"))


def order(house: Any, number: str, promise: str, *, qty: str = "10", price: str = "250") -> None:
    """A customer order of one line, promised for a day."""
    line = {"line": "1", "item": "I-0", "qty": qty, "price": price}
    head = {"order": number, "erp": "main"}
    house.tell(
        "order.placed",
        {**head, "customer": "C-7", "customer_name": "Brandt GmbH", "currency": "EUR",
         "lines": [line]},
        "03-29 09:00",
    )  # fmt: skip
    house.tell(
        "order.promised",
        {**head, "lines": [{"line": "1", "promise_date": promise}]},
        "03-29 09:01",
    )


def peg(house: Any, number: str, po: str, *, line: str = "10", qty: str = "10") -> None:
    house.tell(
        "peg.set",
        {"pegs": [{"erp": "main", "order": number, "order_line": "1", "po": po, "line": line,
                   "qty": qty}]},
        "03-30 08:01",
    )  # fmt: skip


@pytest.fixture
def pegged(house: Any) -> Any:
    """PO 4711, wanted for 7 April, and a customer order promised for 10 April that waits for it."""
    order(house, "SO-1", "2026-04-10")
    house.released("4711", "03-30 08:00", requested="2026-04-07", warehouse="east", buyer="ben")
    peg(house, "SO-1", "4711")
    return house


def impact(house: Any) -> list[Any]:
    return house.rows(select(order_impact).order_by(order_impact.c.order, order_impact.c.po))


def test_an_order_in_time_hurts_nobody(pegged: Any) -> None:
    pegged.until("03-30 09:00")
    assert impact(pegged) == []


def test_silence_hurts_the_customer_who_waits(pegged: Any) -> None:
    pegged.until("03-30 12:10")
    [row] = impact(pegged)
    # 7 April and six days of usual delay, and a day from dock to stock.
    assert (row.order, row.promise_date, row.projected_date) == (
        "SO-1", date(2026, 4, 10), date(2026, 4, 14),
    )  # fmt: skip
    assert (row.basis, row.days_late, row.cause) == ("assumed", 4, "ACK_OVERDUE")
    assert (row.uncovered_qty, row.open_value, row.confidence) == (Decimal(10), Decimal(2500), 0.6)
    [case] = pegged.cases()
    assert (case.orders_affected, case.lines_affected) == (1, 1)
    assert (case.value_at_risk, case.currency, case.document_value) == (
        Decimal(2500), "EUR", Decimal(1000),
    )  # fmt: skip
    assert case.need_date == date(2026, 4, 10)
    assert case.severity == "high"  # one worse, as a customer is waiting
    assert row.case_id == case.id
    assert case.priority == pytest.approx(2500 * case.urgency * 0.6, rel=1e-3)
    assert case.why["priority"]["value"] == "2500.00"
    kinds = [kind for kind, _ in pegged.notes(case.id)]
    assert kinds == ["opened", "severity"]


def test_the_mail_names_the_customers_orders_and_the_value(pegged: Any) -> None:
    pegged.live("03-30 13:00")
    [mail] = pegged.mails()
    message = email.message_from_bytes(mail.message, policy=email.policy.default)
    for kind in ("plain", "html"):
        whole = message.get_body((kind,)).get_content()  # type: ignore[union-attr]
        body = " ".join(whole.split())  # the text is folded
        for words in (
            "1 customer order, 1 line, EUR 2,500", "SO-1 / 1", "Brandt GmbH", "Fri 10 Apr",
            "Tue 14 Apr (assumed)",
        ):  # fmt: skip
            assert words in body


def test_an_answer_takes_the_doubt_away(pegged: Any) -> None:
    pegged.until("03-30 12:10")
    pegged.tell(
        "po.acknowledged",
        {"po": "4711", "erp": "main", "supplier": "ACME",
         "lines": [{"line": "10", "answer": "accepted", "qty": "10", "date": "2026-04-07"}]},
        "03-30 13:30",
    )  # fmt: skip
    pegged.until("03-30 13:30")
    assert impact(pegged) == []
    [case] = pegged.cases("ACK_OVERDUE")
    assert case.state == "resolved"


def test_a_later_date_hurts_without_any_case(pegged: Any) -> None:
    pegged.tell(
        "po.acknowledged",
        {"po": "4711", "erp": "main", "supplier": "ACME",
         "lines": [{"line": "10", "answer": "accepted_with_changes", "qty": "10",
                    "date": "2026-04-15"}]},
        "03-30 09:00",
    )  # fmt: skip
    pegged.until("03-30 09:00")
    [row] = impact(pegged)
    assert (row.basis, row.projected_date, row.cause) == (
        "confirmed", date(2026, 4, 16), "ACK_DATE_VARIANCE",
    )  # fmt: skip
    assert row.case_id is None


def test_a_failed_shipment_notice_hurts_and_its_case_says_whom(pegged: Any) -> None:
    pegged.acknowledged("4711", "03-30 09:00")
    pegged.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 09:00")
    asn = {"asn": "A-1", "supplier": "ACME"}
    pegged.tell(
        "asn.received",
        {**asn, "eta": "2026-04-07",
         "lines": [{"erp": "main", "po": "4711", "line": "10", "qty": "10"}]},
        "03-31 09:00",
    )  # fmt: skip
    pegged.until("03-31 09:00")
    assert impact(pegged) == []
    pegged.tell("asn.rejected", {**asn, "reason": "carton count"}, "03-31 10:00")
    pegged.until("03-31 10:00")
    [row] = impact(pegged)
    assert (row.cause, row.projected_date) == ("ASN_INVALID", date(2026, 4, 14))
    [case] = pegged.cases("ASN_INVALID")
    assert (case.orders_affected, case.value_at_risk) == (1, Decimal(2500))
    assert row.case_id == case.id
    pegged.tell("asn.accepted", asn, "03-31 12:00")
    pegged.until("03-31 12:00")
    assert impact(pegged) == []


def test_goods_overdue_move_a_day_each_day(pegged: Any) -> None:
    pegged.acknowledged("4711", "03-30 09:00")
    pegged.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 09:00")
    pegged.tell(
        "asn.received",
        {"asn": "A-1", "supplier": "ACME", "eta": "2026-04-07",
         "lines": [{"erp": "main", "po": "4711", "line": "10", "qty": "10"}]},
        "03-31 09:00",
    )  # fmt: skip
    pegged.live("04-09 12:00")
    assert impact(pegged) == []  # on 9 April it can still be there on the 10th
    pegged.live("04-10 12:00")
    [row] = impact(pegged)
    assert (row.cause, row.projected_date, row.days_late) == ("PO_DELAYED", date(2026, 4, 11), 1)
    pegged.live("04-12 12:00")
    assert impact(pegged)[0].days_late == 3
    pegged.tell(
        "receipt.posted",
        {"warehouse": "east", "receipt": "R-1", "supplier": "ACME",
         "lines": [{"receipt_line": "1", "erp": "main", "po": "4711", "line": "10", "qty": "10"}]},
        "04-12 14:00",
    )  # fmt: skip
    pegged.live("04-12 14:00")
    [row] = impact(pegged)
    assert (row.basis, row.projected_date) == ("receipt", date(2026, 4, 13))
    pegged.tell(
        "order.shipped",
        {"order": "SO-1", "erp": "main", "lines": [{"line": "1", "qty": "10"}]},
        "04-13 09:00",
    )
    pegged.live("04-13 09:00")
    assert impact(pegged) == []


def test_short_supply_goes_to_the_earliest_promise(house: Any) -> None:
    order(house, "SO-1", "2026-04-20")
    order(house, "SO-2", "2026-04-10", qty="6")
    house.released("4711", "03-30 08:00", requested="2026-04-07")
    peg(house, "SO-1", "4711", qty="4")
    peg(house, "SO-2", "4711", qty="6")
    house.tell(
        "po.acknowledged",
        {"po": "4711", "erp": "main", "supplier": "ACME",
         "lines": [{"line": "10", "answer": "accepted_with_changes", "qty": "6",
                    "date": "2026-04-07"}]},
        "03-30 09:00",
    )  # fmt: skip
    house.until("03-30 09:00")
    [row] = impact(house)
    assert (row.order, row.uncovered_qty, row.projected_date, row.cause) == (
        "SO-1", Decimal(4), None, "ACK_QTY_VARIANCE",
    )  # fmt: skip


def test_an_order_line_on_two_purchase_orders_counts_once_per_case(house: Any) -> None:
    order(house, "SO-1", "2026-04-10")
    for po in ("4711", "4712"):
        house.released(po, "03-30 08:00", requested="2026-04-07")
        peg(house, "SO-1", po, qty="5")
    house.until("03-30 12:10")
    assert [(row.po, row.uncovered_qty) for row in impact(house)] == [
        ("4711", Decimal(5)),
        ("4712", Decimal(5)),
    ]
    assert {c.value_at_risk for c in house.cases()} == {Decimal(2500)}
    # One of them answers: the other's half stays uncovered.
    house.tell(
        "po.acknowledged",
        {"po": "4711", "erp": "main", "supplier": "ACME",
         "lines": [{"line": "10", "answer": "accepted", "qty": "10", "date": "2026-04-07"}]},
        "03-30 13:30",
    )  # fmt: skip
    house.until("03-30 13:30")
    assert [row.po for row in impact(house)] == ["4712"]


def test_a_changed_promise_is_weighed_at_once(pegged: Any) -> None:
    pegged.until("03-30 12:10")
    assert pegged.cases()[0].severity == "high"
    pegged.tell(
        "order.promised",
        {"order": "SO-1", "erp": "main", "lines": [{"line": "1", "promise_date": "2026-05-08"}]},
        "03-30 13:00",
    )
    pegged.until("03-30 13:00")
    assert impact(pegged) == []
    [case] = pegged.cases()
    assert (case.orders_affected, case.severity, case.value_at_risk) == (0, "medium", None)


def test_a_removed_peg_sets_the_order_free(pegged: Any) -> None:
    pegged.until("03-30 12:10")
    pegged.tell(
        "peg.removed",
        {"pegs": [{"erp": "main", "order": "SO-1", "order_line": "1", "po": "4711",
                   "line": "10"}]},
        "03-30 13:00",
    )  # fmt: skip
    pegged.until("03-30 13:00")
    assert impact(pegged) == []


def test_an_open_case_grows_more_urgent_each_day(pegged: Any) -> None:
    pegged.live("03-30 12:30")
    [first] = pegged.cases()
    pegged.live("04-01 09:00")
    [later] = pegged.cases()
    assert later.urgency > first.urgency
    assert later.priority > first.priority


def test_rounds_that_share_customer_orders_agree_in_the_end(house: Any) -> None:
    """Six purchase orders feed three customer orders; four workers judge them at once."""
    for n in range(3):
        order(house, f"SO-{n}", "2026-04-10", qty="60")
    for n in range(6):
        house.released(f"47{n}", "03-30 08:00", requested="2026-04-07")
        for m in range(3):
            peg(house, f"SO-{m}", f"47{n}", qty="3")
    now = berlin("03-30 12:10")
    house.all_fresh(now)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while tick(house.engine, house.config, now, limit=2).more:
                pass
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work()
    assert failures == []
    assert len(impact(house)) == 18
    assert {row.cause for row in impact(house)} == {"ACK_OVERDUE"}
    assert {c.orders_affected for c in house.cases()} == {3}
    assert {c.severity for c in house.cases()} == {"high"}
    by_number = {c.id: c.number for c in house.cases()}
    assert all(by_number[row.case_id] == row.po for row in impact(house))
