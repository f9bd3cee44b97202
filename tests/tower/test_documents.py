"""Documents as folds: statuses, answers, dates and quantities that can be worked out by hand."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tower.orders import (
    NET,
    OWNERS,
    PO,
    SENT,
    answered,
    applied,
    at,
    billed,
    delivered,
    functional,
    line,
    posted,
    released,
    rows,
    shipped,
    taken_back,
    told,
)
from tower.documents import Owners, fold, merge, project

# --- how far an order is ------------------------------------------------------------------------

VERDICT = told("fa.received", {"answered": "set", "verdict": "accepted"}, 3, "edi")


@pytest.mark.parametrize(
    ("story", "status"),
    [
        ([released()], "released"),
        ([released(), SENT], "transmitted"),
        ([released(), SENT, delivered(2, receipt="mdn")], "transport_acked"),
        ([released(), SENT, functional("accepted")], "func_acked"),
        ([released(), SENT, functional("rejected")], "transmitted"),
        ([released(), answered(answer="accepted")], "acknowledged"),
        ([released(), answered(answer="accepted"), applied(line("10", "10"))], "applied"),
        ([released(), shipped("4")], "part_shipped"),
        ([released(), shipped("10")], "shipped"),
        ([released(), shipped("10"), posted("4")], "part_received"),
        ([released(), shipped("10"), posted("10")], "received"),
        ([released(), posted("10"), billed("10")], "invoiced"),
        ([released(), told("po.closed", PO, 9)], "closed"),
        ([released(), told("po.cancelled", PO, 9)], "cancelled"),
        ([released(), posted("3"), told("po.cancelled", PO, 90)], "closed"),
        ([released(), SENT, told("po.revised", {**PO, "lines": [line("10", "8")]}, 4)],
         "change_pending"),
        ([released(), SENT, told("po.revised", {**PO, "lines": [line("10", "8")]}, 4),
          answered(answer="accepted")], "acknowledged"),
        ([released(), told("po.change_proposed", {**PO, "lines": [line("10", "8")]}, 4, "edi")],
         "change_pending"),
    ],
)  # fmt: skip
def test_an_order_is_as_far_as_its_milestones(story: list[Any], status: str) -> None:
    assert rows(*story)[""]["status"] == status


def test_an_order_is_as_far_as_its_least_advanced_open_line() -> None:
    two = released(line("10", "10"), line("20", "5"))
    assert rows(two, posted("10"))[""]["status"] == "part_received"
    gone = told("po.cancelled", {**PO, "lines": [line("20")]}, 9)
    found = rows(two, posted("10"), gone)
    assert (found["20"]["status"], found[""]["status"]) == ("cancelled", "received")
    refused = answered(line("20", answer="rejected"), answer="accepted")
    assert rows(two, posted("10"), refused)[""]["status"] == "received"


@pytest.mark.parametrize(
    ("story", "status"),
    [
        ([released()], "open"),
        ([released(), answered(line("10", answer="backordered"))], "backordered"),
        ([released(), answered(line("10", answer="on_hold"))], "on_hold"),
        ([released(), answered(line("10", "10", date="2026-04-01"))], "accepted"),
        ([released(), answered(line("10", "9"))], "accepted_with_changes"),
        ([released(), posted("11")], "over_received"),
        ([released(), told("po.cancelled", {**PO, "lines": [line("10")]}, 9)], "cancelled"),
    ],
)
def test_a_line_is_what_came_in_before_what_was_said(story: list[Any], status: str) -> None:
    assert rows(*story)["10"]["status"] == status


def test_a_line_deleted_and_added_again_is_open() -> None:
    gone = told("po.revised", {**PO, "lines": [line("10", action="delete")]}, 2)
    back = told("po.revised", {**PO, "lines": [line("10", "3", action="add")]}, 3)
    assert rows(released(), gone)["10"]["status"] == "cancelled"
    found = rows(released(), gone, back)["10"]
    assert (found["status"], found["ordered_qty"]) == ("open", "3")


def ended(how: str, hours: float, *names: str, system: str = "erp") -> Any:
    lines = {"lines": [line(name) for name in names]} if names else {}
    return told(f"po.{how}", {**PO, **lines}, hours, system)


ADDED = told("po.revised", {**PO, "lines": [line("10", "3", action="add")]}, 9)
DELETED = told("po.revised", {**PO, "lines": [line("10", action="delete")]}, 9)
GOES_ON = told("po.unheld", PO, 9)


@pytest.mark.parametrize(
    ("story", "status", "value"),
    [
        ([ended("cancelled", 5, "10"), ADDED], "open", "7.5"),
        ([ended("closed", 5, "10"), ADDED], "open", "7.5"),
        ([ended("cancelled", 5, "10"), DELETED], "cancelled", "0"),
        ([ended("cancelled", 5, "10"), ADDED, ended("cancelled", 12, "10")], "cancelled", "0"),
        ([ended("cancelled", 9, "10"), ADDED], "cancelled", "0"),
        ([ended("cancelled", 5, "10"), GOES_ON], "cancelled", "0"),
        ([ended("cancelled", 5), GOES_ON], "open", "25"),
        ([ended("closed", 5), GOES_ON], "open", "25"),
        ([ended("closed", 5), GOES_ON, ended("closed", 12)], "closed", "0"),
        ([ended("closed", 9), GOES_ON], "closed", "0"),
        ([ended("closed", 5), GOES_ON, ended("cancelled", 7, system="portal")], "cancelled", "0"),
        ([ended("cancelled", 5), ADDED], "open", "7.5"),
        ([ended("cancelled", 5), released(hours=9)], "open", "25"),
        # The order as first told, read again, and as another system sends it on later.
        ([ended("cancelled", 5), released(hours=0)], "cancelled", "0"),
        ([ended("cancelled", 5), released(hours=9, system="edi")], "cancelled", "0"),
        ([ended("cancelled", 5), told("po.revised", {**PO, "buyer": "kim"}, 9)], "cancelled", "0"),
    ],
)
def test_what_a_system_ended_lives_when_it_later_tells_so(
    story: list[Any], status: str, value: str
) -> None:
    for mixed in (story, story[::-1]):
        found = rows(released(), *mixed)
        assert (found["10"]["status"], found["10"]["open_value"]) == (status, value)
        assert found[""]["closed"] == (status != "open")


def test_an_order_that_ends_again_ended_since_it_last_went_on() -> None:
    story = [ended("closed", 5), GOES_ON, ended("closed", 12), ended("closed", 30)]
    assert at(rows(released(), *story[:1])[""], "closed_at") == 5
    assert at(rows(released(), *story)[""], "closed_at") == 30


def test_an_end_kept_without_who_told_it_stands() -> None:
    events = (released(), ended("cancelled", 5))
    state = fold([record for event in events for family, record in event if family == "po"])
    del state["z"]  # as states once kept it
    later = [record for event in (ADDED, GOES_ON) for family, record in event if family == "po"]
    assert project("po", "main", "1", fold(later, state), OWNERS)[0]["status"] == "cancelled"


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("accepted", "accepted"), "accepted"),
        (("rejected", "rejected"), "rejected"),
        (("accepted", "rejected"), "part_accepted"),
        (("accepted", "accepted_with_changes"), "accepted_with_changes"),
        (("accepted", "substituted"), "accepted_with_changes"),
    ],
)
def test_lines_outrank_the_header(words: tuple[str, str], answer: str) -> None:
    lines = [line(str(n), answer=word) for n, word in enumerate(words)]
    found = rows(released(line("0", "1"), line("1", "1")), answered(*lines, answer="accepted"))
    assert found[""]["answer"] == answer


def test_a_word_for_the_whole_order_speaks_for_lines_it_does_not_name() -> None:
    order = released(line("10", "10", requested_date="2026-04-01"), line("20", "5"))
    found = rows(order, answered(line("20", "4"), answer="accepted"))
    assert (found["10"]["answer"], found["10"]["confirmed_qty"]) == ("accepted", "10")
    assert found["10"]["last_confirmed_date"] == "2026-04-01"
    assert found["20"]["answer"] == "accepted_with_changes"
    refused = rows(order, told("po.rejected", {**PO, "reason": "no stock"}, 5, "edi"))
    assert {refused[name]["answer"] for name in ("", "10", "20")} == {"rejected"}
    assert refused[""]["n_rejected"] == 2
    assert at(refused[""], "acknowledged_at") == 5, "a refusal is an answer"


def test_what_was_accepted_is_what_was_ordered_then() -> None:
    later = told("po.revised", {**PO, "lines": [line("10", "99")]}, 9)
    found = rows(released(), answered(answer="accepted"), later)["10"]
    assert (found["confirmed_qty"], found["ordered_qty"]) == ("10", "99")


def test_a_shipping_date_is_no_delivery_date() -> None:
    found = rows(released(), answered(line("10", "10", date="2026-03-28", date_kind="ship")))["10"]
    assert "last_confirmed_date" not in found
    assert found["confirmed_date_kind"] == "ship"
    assert found["reports"]["edi"]["ship_date"][0] == "2026-03-28"


def test_the_first_confirmed_date_is_reset_only_by_an_accepted_change_of_the_order() -> None:
    first = answered(line("10", "10", date="2026-04-05"), hours=5)
    moved = answered(line("10", "10", date="2026-04-09"), hours=7)
    found = rows(released(), first, moved)["10"]
    assert found["first_confirmed_date"] == "2026-04-05"
    assert found["last_confirmed_date"] == "2026-04-09"
    change = told("po.revised", {**PO, "lines": [line("10", requested_date="2026-05-01")]}, 8)
    refused = answered(line("10", answer="rejected"), hours=9)
    assert rows(released(), first, change, refused)["10"]["first_confirmed_date"] == "2026-04-05"
    agreed = answered(line("10", "10", date="2026-05-01"), hours=9)
    assert rows(released(), first, change, agreed)["10"]["first_confirmed_date"] == "2026-05-01"


def test_three_agree_or_do_not_or_have_not_all_spoken() -> None:
    fine = answered(line("10", "10", date="2026-04-01"))
    assert "agrees" not in rows(released())["10"]
    assert "agrees" not in rows(released(), fine)["10"]
    same = applied(line("10", "10", date="2026-04-01"))
    assert rows(released(), fine, same)["10"]["agrees"] is True
    assert rows(released(), fine, applied(line("10", "9")))["10"]["agrees"] is False
    early = answered(line("10", "10", date="2026-03-30"))
    assert rows(released(), early, applied(line("10", "10")))["10"]["agrees"] is True
    late = answered(line("10", "10", date="2026-04-09"))
    assert rows(released(), late)["10"]["agrees"] is False


def test_the_erp_retelling_an_answer_does_not_overwrite_the_suppliers_own() -> None:
    own = answered(line("10", "8"), hours=5)
    retold = answered(line("10", "10"), hours=6, system="erp")
    found = rows(released(), own, retold)["10"]
    assert found["confirmed_qty"] == "8"
    assert found["reports"]["erp"]["confirmed_qty"][0] == "10"


def test_the_erp_owns_what_is_ordered() -> None:
    copy_ = released(line("10", "7", price="9"), hours=1, system="edi")
    found = rows(released(), copy_)["10"]
    assert (found["ordered_qty"], found["price"]) == ("10", "2.5")
    assert found["reports"]["edi"]["ordered_qty"][0] == "7"


# --- other documents ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "status"),
    [
        ([shipped("10")], "announced"),
        ([shipped("10"), told("asn.accepted", {"asn": "S1", "supplier": "ACME"}, 41)], "valid"),
        ([shipped("10"), told("asn.rejected", {"asn": "S1", "supplier": "ACME"}, 41)], "invalid"),
        ([shipped("10"), told("asn.cancelled", {"asn": "S1", "supplier": "ACME"}, 41)],
         "cancelled"),
        ([shipped("10"), told("shipment.status", {"asn": "S1", "supplier": "ACME", "code": "AF"},
                              42)], "in_transit"),
    ],
)  # fmt: skip
def test_a_shipment_is_what_was_last_said_of_it(story: list[Any], status: str) -> None:
    assert rows(*story, kind="asn")[""]["status"] == status


def test_a_shipment_counts_its_receipts() -> None:
    goods = {"receipt_line": "1", "qty": "4", "uom": "EA"}
    got = {"warehouse": "east", "receipt": "R", "supplier": "ACME", "asn": "S1", "lines": [goods]}
    found = rows(shipped("10"), told("receipt.posted", got, 60, "wms"), kind="asn")[""]
    assert (found["status"], found["received_qty"]) == ("part_received", "4")


def test_an_invoice_is_blocked_until_it_matches() -> None:
    named = {"invoice": "I1", "supplier": "ACME"}
    blocked = told("invoice.blocked", {**named, "check": "price"}, 71)
    assert rows(billed("10"), blocked, kind="invoice")[""]["status"] == "mismatched"
    matched = told("invoice.matched", named, 72)
    assert rows(billed("10"), blocked, matched, kind="invoice")[""]["status"] == "matched"


def test_a_customer_order_goes_from_placed_to_delivered() -> None:
    order = {"order": "1", "erp": "main"}
    placed = told(
        "order.placed", {**order, "customer": "C", "lines": [line("1", "5", price="20")]}, 0
    )
    promise = {**order, "lines": [{"line": "1", "promise_date": "2026-04-20"}]}
    promised = told("order.promised", promise, 1)
    later = {**order, "lines": [{"line": "1", "promise_date": "2026-04-25"}]}
    repromised = told("order.promised", later, 2)
    sent = told("order.shipped", {**order, "shipment": "X", "lines": [line("1", "2")]}, 3)
    rest = told("order.shipped", {**order, "shipment": "Y", "lines": [line("1", "3")]}, 4)
    got = told("order.delivered", {**order, "shipment": "Y", "lines": [line("1", "5")]}, 5)
    story = [placed, promised, repromised, sent, rest, got]
    statuses = [rows(*story[: n + 1], kind="order")[""]["status"] for n in range(len(story))]
    assert statuses == ["placed", "promised", "promised", "part_shipped", "shipped", "delivered"]
    found = rows(placed, promised, repromised, sent, kind="order")["1"]
    assert (found["first_promised_date"], found["promised_date"]) == ("2026-04-20", "2026-04-25")
    assert (found["value"], found["open_value"]) == ("100", "60")


# 89.5 hours after 08:00 UTC is 01:30 UTC of the sixth: the evening of the fifth in America.
EVENING = 89.5


def test_the_day_a_customer_got_the_goods_is_in_the_zone_of_the_warehouse() -> None:
    order = {"order": "1", "erp": "main"}
    placed = told("order.placed", {**order, "warehouse": "east", "lines": [line("1", "5")]}, 0)
    promise = {**order, "lines": [{"line": "1", "promise_date": "2026-03-05"}]}
    goods = {**order, "shipment": "X", "lines": [line("1", "5")]}
    story = [placed, told("order.promised", promise, 1), told("order.shipped", goods, EVENING)]
    found = rows(*story, told("order.delivered", goods, EVENING), kind="order")["1"]
    assert (found["actual_ship_date"], found["actual_receipt_date"]) == ("2026-03-05",) * 2
    assert found["qty_by_last"] == "5", "in time, as promised"
    nowhere = told("order.placed", {**order, "lines": [line("1", "5")]}, 0)
    found = rows(nowhere, told("order.delivered", goods, EVENING), kind="order")["1"]
    assert found["actual_receipt_date"] == "2026-03-06"


@pytest.mark.parametrize(
    ("supplier", "words", "day"),
    [
        ("WEST", {"shipped_at": "2026-03-05T20:30:00-05:00"}, "2026-03-05"),
        ("ACME", {"shipped_at": "2026-03-05T20:30:00-05:00"}, "2026-03-06"),
        ("WEST", {"shipped_at": "2026-03-05T20:30:00-05:00", "ship_date": "2026-03-04"},
         "2026-03-04"),
        ("WEST", {}, "2026-03-05"),
    ],
)  # fmt: skip
def test_the_day_goods_left_is_in_the_zone_of_the_supplier(
    supplier: str, words: dict[str, str], day: str
) -> None:
    order = told("po.released", {**PO, "supplier": supplier, "lines": [line("10", "10")]}, 0)
    goods = {"erp": "main", "po": "1", "line": "10", "qty": "10", "uom": "EA"}
    given = {"asn": "S1", "supplier": supplier, "lines": [goods], **words}
    asn = told("asn.received", given, EVENING, "edi")
    found = rows(order, asn)
    assert (found["10"]["actual_ship_date"], found[""]["actual_ship_date"]) == (day, day)
    records = [record for family, record in asn if family == "asn"]
    (row,) = project("asn", supplier, "S1", fold(records), OWNERS)
    assert row["actual_ship_date"] == day


# --- the fold -----------------------------------------------------------------------------------

_STORY = [
    released(),
    released(line("10", "7"), hours=1, system="edi"),
    SENT,
    functional("accepted"),
    delivered(2, receipt="mdn"),
    answered(line("10", "9", date="2026-04-03"), answer="accepted"),
    answered(line("10", "8"), hours=5, system="portal"),
    applied(line("10", "9")),
    told("po.revised", {**PO, "lines": [line("10", "12")]}, 8),
    shipped("4"),
    shipped("6", asn="S2"),
    posted("4"),
    posted("5", 61),
    posted("6", 61, noted=62),
    posted("3", 61, "R2"),
    taken_back(61, "R2"),
    told("po.cancelled", {**PO, "lines": [line("10")]}, 7),
    told("po.closed", PO, 75),
    told("po.closed", PO, 76, "edi"),
    told("po.unheld", PO, 77),
    told("po.closed", PO, 78),
    billed("4"),
    billed("4", 69, system="erp", item="A"),
    billed("5", 71),
]


@settings(max_examples=60, deadline=None)
@given(mix=st.integers(0, 1_000_000), repeats=st.floats(0, 1))
def test_records_in_any_order_and_number_give_one_state(mix: int, repeats: float) -> None:
    records = [record for event in _STORY for family, record in event if family == "po"]
    chance = random.Random(mix)
    mixed = records + [record for record in records if chance.random() < repeats]
    chance.shuffle(mixed)
    state: dict[str, Any] = {}
    for record in copy.deepcopy(mixed):
        state = merge(state, record)
    assert state == fold(copy.deepcopy(records))
    assert project("po", "main", "1", state, OWNERS) == project(
        "po", "main", "1", fold(copy.deepcopy(records)), OWNERS
    )


# --- category of goods ---------------------------------------------------------------------------


def revised(*lines: dict[str, Any], hours: float) -> Any:
    return told("po.revised", {**PO, "lines": list(lines)}, hours)


def test_a_line_has_the_category_that_the_erp_told_last() -> None:
    first = released(line("10", "5", category="FAST"), line("20", "5"))
    later = revised(line("10", category="TOOLS"), hours=5)
    silent = revised(line("10", "7"), hours=9)
    for events in ((first, later, silent), (silent, later, first)):
        found = rows(*events)
        assert (found["10"]["category"], found["10"]["ordered_qty"]) == ("TOOLS", "7")
        assert "category" not in found["20"], "nobody told one"
        assert "category" not in found[""], "an order has those of its lines"


def test_the_category_is_the_erps_whoever_else_names_one() -> None:
    by_erp = released(line("10", "5", category="FAST"))
    by_edi = released(line("10", "5", category="31161500"), hours=1, system="edi")
    assert rows(by_erp, by_edi)["10"]["category"] == "FAST"
    assert rows(by_edi)["10"]["category"] == "31161500", "as long as nobody else tells"


def test_a_network_may_give_the_category_to_another_system_than_the_rest() -> None:
    net = NET.model_copy(update={"source_of_truth": {"category": ("edi",)}})
    events = (
        released(line("10", "5", category="FAST")),
        released(line("10", "6"), line("20", "2"), hours=1, system="edi"),
        released(line("10", "6", category="31161500"), hours=2, system="edi"),
    )
    records = [record for event in events for family, record in event if family == "po"]
    for mixed in (records, records[::-1]):
        state = fold(copy.deepcopy(mixed))
        _, ten, twenty = project("po", "main", "1", state, Owners.of(net))
        assert (ten["category"], ten["ordered_qty"]) == ("31161500", "5")
        assert (twenty["category"], twenty["ordered_qty"]) == (None, "2")


def test_a_line_of_a_customer_order_has_its_category() -> None:
    placed = told(
        "order.placed",
        {"order": "1", "erp": "main", "lines": [
            line("1", "5", item="A", category="FAST"), line("2", "5", item="B"),
        ]},
        0,
    )  # fmt: skip
    found = rows(placed, kind="order")
    assert found["1"]["category"] == "FAST"
    assert (found["1"]["item"], found["2"]["item"]) == ("A", "B")
    assert "category" not in found["2"]
