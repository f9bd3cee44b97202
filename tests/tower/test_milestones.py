"""When what happened to an order and its goods: receipts, reversals, invoices, days of sites."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tower.orders import (
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
from tower.documents import fold, project
from tower.rows import OF_HEADER


def test_a_delivery_without_receipt_counts_only_before_the_answer() -> None:
    before = rows(released(), SENT, delivered(2), answered(answer="accepted"))[""]
    assert at(before, "transport_acked_at") == 2
    after = rows(released(), SENT, delivered(7), answered(answer="accepted"))[""]
    assert "transport_acked_at" not in after


def test_a_functional_verdict_on_something_else_is_not_the_orders() -> None:
    found = rows(released(), SENT, functional("rejected", set_type="820"))[""]
    assert found["fa_status"] == "waiting"


@pytest.mark.parametrize(
    ("story", "status"),
    [
        ([released()], "none"),
        ([released(), SENT], "waiting"),
        ([released(), SENT, answered(answer="accepted")], "none"),
        ([released(), SENT, functional("rejected"), functional("accepted", 4)], "accepted"),
        ([released(), SENT, functional("accepted_with_errors")], "accepted_with_errors"),
    ],
)
def test_the_latest_functional_verdict_stands(story: list[Any], status: str) -> None:
    assert rows(*story)[""]["fa_status"] == status


def test_money_follows_what_is_still_to_come() -> None:
    found = rows(released(), posted("4"))
    assert (found["10"]["value"], found["10"]["open_value"]) == ("25", "15")
    assert found[""]["open_value"] == "15"
    assert rows(released(), posted("10"))["10"]["open_value"] == "0"


def test_the_day_the_ordered_quantity_was_there_is_in_the_zone_of_the_warehouse() -> None:
    # 60 hours after 08:00 UTC is 20:00 UTC, 15:00 in New York; 66.5 hours is the next day in UTC.
    found = rows(released(), posted("4", 60), posted("6", 66.5, "R2"), posted("1", 99, "R3"))["10"]
    assert found["actual_receipt_date"] == "2026-03-04"
    assert at(found, "goods_received_at") == 60


def test_another_unit_is_not_added_up() -> None:
    found = rows(released(), shipped("2", uom="PAL"))["10"]
    assert "shipped_qty" not in found
    assert at(found, "shipped_at") == 40


def test_the_same_in_other_units_is_no_break() -> None:
    order = released(line("10", "24", price="2.5", requested_date="2026-04-01", item="B-100"))
    answer = answered({"line": "10", "qty": "2", "uom": "DZ", "price": "30", "date": "2026-04-01"})
    erp = applied({"line": "10", "qty": "2", "uom": "DZN", "price": "30", "date": "2026-04-01"})
    found = rows(order, answer, erp, shipped("2", uom="CS"), posted("24"))["10"]
    assert (found["confirmed_qty"], found["answer"], found["agrees"]) == ("24", "accepted", True)
    told_by_both = [found["reports"][system]["confirmed_qty"][0] for system in ("edi", "erp")]
    assert told_by_both == ["24", "24"]
    assert (found["shipped_qty"], found["first_shipped_qty"]) == ("24", "24")
    part = rows(order, answered({"line": "10", "qty": "1", "uom": "DZ"}))["10"]
    assert (part["confirmed_qty"], part["answer"]) == ("12", "accepted_with_changes")
    strange = rows(order, answered({"line": "10", "qty": "2", "uom": "PAL"}))["10"]
    assert "confirmed_qty" not in strange


def in_two_units(unit: str) -> list[dict[str, str]]:
    return [
        {"line": "10", "qty": "10", "uom": "EA", "answer": "accepted", "price": "2.5"},
        {"line": "10", "qty": "1", "uom": unit, "answer": "accepted", "price": "30"},
    ]


def test_a_line_told_in_two_units_is_their_sum_where_that_is_known() -> None:
    order = released(line("10", "22", price="2.5"))
    goods = [
        {"erp": "main", "po": "1", "line": "10", "qty": one["qty"], "uom": one["uom"]}
        for one in in_two_units("CS")
    ]
    notice = {"asn": "S1", "supplier": "ACME", "lines": goods}
    found = rows(order, answered(*in_two_units("CS")), told("asn.received", notice, 40, "edi"))
    ten = found["10"]
    assert (ten["confirmed_qty"], ten["answer"], ten["first_answer"]) == ("22", "accepted", "kept")
    assert (ten["shipped_qty"], ten["first_shipped_qty"]) == ("22", "22")
    assert ten["status"] == "shipped"


def test_a_line_told_in_units_that_nobody_can_add_has_no_quantity() -> None:
    order = released(line("10", "22", price="2.5"))
    by_erp = answered(*in_two_units("PAL"), hours=6, system="erp")
    found = rows(order, answered(*in_two_units("PAL")), by_erp)["10"]
    assert (found["answer"], found.get("confirmed_qty")) == ("accepted", None)
    assert "confirmed_qty" not in found["reports"]["edi"]
    parts = [{"answer": "accepted", "qty": "10", "uom": "EA"}, {"answer": "accepted", "qty": "1"}]
    changed = {"line": "10", "answer": "accepted_with_changes", "parts": parts}
    assert "confirmed_qty" not in rows(order, answered(changed))["10"]
    goods = [{"erp": "main", "po": "1", "line": "10", "qty": "1", "uom": u} for u in ("EA", "PAL")]
    notice = {"asn": "S1", "supplier": "ACME", "lines": goods}
    assert "shipped_qty" not in rows(order, told("asn.received", notice, 40, "edi"))["10"]


def test_a_line_confirmed_in_part_and_declined_in_part_is_not_kept() -> None:
    parts = (line("10", "6", answer="accepted"), line("10", "4", answer="rejected"))
    found = rows(released(), answered(*parts))["10"]
    assert (found["answer"], found["confirmed_qty"], found["first_answer"], found["agrees"]) == (
        "accepted_with_changes", "6", "quantity", False,
    )  # fmt: skip


def test_goods_without_a_line_number_go_to_the_one_line_with_that_item() -> None:
    order = released(line("10", "10", item="A"), line("20", "5", item="B"))
    goods = {"erp": "main", "po": "1", "item": "B", "qty": "5", "uom": "EA"}
    asn = told("asn.received", {"asn": "S", "supplier": "ACME", "lines": [goods]}, 40, "edi")
    got = told(
        "receipt.posted",
        {"warehouse": "east", "receipt": "R", "lines": [{"receipt_line": "1", **goods}]},
        60,
        "wms",
    )
    found = rows(order, asn, got)
    assert (found["20"]["shipped_qty"], found["20"]["received_qty"]) == ("5", "5")
    assert "shipped_qty" not in found["10"]


def test_a_credit_takes_from_what_was_invoiced() -> None:
    goods = {"invoice_line": "1", "erp": "main", "po": "1", "line": "10", "qty": "4"}
    note = {"invoice": "C", "supplier": "ACME", "lines": [goods]}
    credit = told("credit.received", note, 80, "edi")
    assert rows(released(), billed("10"), credit)["10"]["invoiced_qty"] == "6"


TWICE_TOLD = (
    billed("6", 70, "I1", "erp"),
    billed("6", 71, "I1", "edi"),
    billed("4", 72, "I2", "edi"),
    billed("4", 73, "I2", "erp"),
)


def test_an_invoice_told_by_two_systems_counts_once_whoever_tells_it_first() -> None:
    for story in (TWICE_TOLD, TWICE_TOLD[::-1]):
        found = rows(released(), posted("10"), *story)
        assert found["10"]["invoiced_qty"] == "10"
        assert {s: told_["invoiced_qty"][0] for s, told_ in found["10"]["reports"].items()
                if "invoiced_qty" in told_} == {"edi": "10", "erp": "10"}  # fmt: skip
        assert (found[""]["status"], at(found["10"], "invoiced_at")) == ("invoiced", 70)


def test_an_invoice_kept_as_the_word_of_one_system_is_read_on() -> None:
    first = [record for family, record in TWICE_TOLD[0] if family == "po"]
    state = fold([*(r for family, r in released() if family == "po"), *first])
    (key,) = state["l"]["10"]["i"]
    state["l"]["10"]["i"][key] = state["l"]["10"]["i"][key]["erp"]  # as states once kept it
    assert project("po", "main", "1", state, OWNERS)[1]["invoiced_qty"] == "6"
    later = [record for event in TWICE_TOLD[1:] for family, record in event if family == "po"]
    assert project("po", "main", "1", fold(later, state), OWNERS)[1]["invoiced_qty"] == "10"


def test_what_one_system_tells_of_the_line_and_another_of_its_item_is_one() -> None:
    by_item = {"line": None, "item": "A"}
    goods = (posted("8"), posted("10", 61, system="erp", **by_item))
    for story in (goods, goods[::-1]):
        found = rows(released(), *story)["10"]
        told_ = {system: one["received_qty"][0] for system, one in found["reports"].items()}
        assert (found["received_qty"], told_["wms"], told_["erp"]) == ("8", "8", "10")
    back = posted("10", 61, type_="receipt.reversed")
    for story in ((posted("10", **by_item), back), (back, posted("10", **by_item))):
        assert rows(released(), *story)["10"]["received_qty"] == "0"
    bills = (billed("6", system="erp", item="A"), billed("6", 71), billed("4", 72, "I2"))
    assert rows(released(), *bills)["10"]["invoiced_qty"] == "10"


def test_a_line_gets_what_names_any_item_that_it_had() -> None:
    other = told("po.revised", {**PO, "lines": [line("10", item="B", action="change")]}, 10)
    first = posted("4", line=None, item="A")
    second = posted("6", 61, "R2", line=None, item="B")
    for story in ((first, second), (second, first)):
        assert rows(released(), other, *story)["10"]["received_qty"] == "10"
    # The same receipt line told once by either item.
    assert (
        rows(released(), other, first, posted("5", 61, line=None, item="B"))["10"]["received_qty"]
        == "5"
    )


def test_lines_have_what_is_their_headers() -> None:
    terms = {"buyer": "kim", "currency": "EUR", "ship_by": "2026-03-20", "channel": "edi"}
    order = told("po.released", {**PO, **terms, "lines": [line("10", "1"), line("20", "2")]}, 0)
    found = rows(order, SENT, functional("accepted"))
    for column in OF_HEADER["po_line"]:
        assert {row.get(column) for row in found.values()} == {found[""].get(column)}, column
    assert (found["20"]["buyer"], at(found["20"], "transmitted_at")) == ("kim", 1)


def test_lines_of_one_receipt_may_differ_in_what_they_tell() -> None:
    goods = {"erp": "main", "po": "1", "line": "10", "qty": "5", "uom": "EA", "asn": "S1"}
    both = [{**goods, "receipt_line": "1"}, {**goods, "receipt_line": "2", "rejected_qty": "1"}]
    told_ = {"warehouse": "east", "receipt": "R", "supplier": "ACME", "lines": both}
    got = told("receipt.posted", told_, 60, "wms")
    for kind, name in (("po", "10"), ("receipt", "")):
        found = rows(released(), got, kind=kind)[name]
        assert (found["received_qty"], found["rejected_qty"]) == ("10", "1")


@pytest.mark.parametrize("number", range(8))
def test_what_is_taken_back_at_the_instant_of_its_posting_is_gone(number: int) -> None:
    name = f"R{number}"  # the ids of the events fall in another order with each number
    told_ = (posted("10", receipt=name), taken_back(receipt=name))
    for story in (told_, told_[::-1]):
        assert rows(released(), *story)["10"]["received_qty"] == "0"
    records = [record for event in told_ for family, record in event if family == "receipt"]
    (row,) = project("receipt", "east", name, fold(records), OWNERS)
    assert row["status"] == "reversed"


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize(
    ("story", "qty"),
    [
        ([("10", 61), ("4", 62)], "4"),
        ([("10", None), ("4", 62)], "4"),
        ([("10", 61), (None, 62)], "0"),
        ([("10", 61), (None, None)], "0"),
        ([("10", 61), (None, 61)], "0"),
        ([("10", 61), (None, 62), ("7", 63)], "7"),
    ],
)
def test_of_words_about_one_instant_the_one_noted_later_stands(
    story: list[tuple[str | None, float | None]], qty: str, number: int
) -> None:
    name = f"R{number}"
    told_ = [
        posted(one, receipt=name, noted=noted) if one else taken_back(receipt=name, noted=noted)
        for one, noted in story
    ]
    for mixed in (told_, told_[::-1]):
        found = rows(released(), *mixed)["10"]
        assert found["received_qty"] == qty
        assert qty == "0" or at(found, "goods_received_at") == 60


def test_a_receipt_kept_before_it_was_told_when_it_was_noted_is_read_on() -> None:
    events = (released(), posted("10"))
    state = fold([record for event in events for family, record in event if family == "po"])
    (entry,) = state["l"]["10"]["r"]["east:R1:1"].values()
    assert len(entry) == 7
    later = [record for family, record in posted("4", noted=62) if family == "po"]
    _, ten = project("po", "main", "1", fold(later, state), OWNERS)
    assert ten["received_qty"] == "4"
