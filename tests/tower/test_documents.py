"""Documents as folds: statuses, answers, dates and quantities that can be worked out by hand."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tower.documents import HEADER_OF, Owners, Record, fold, merge, project
from tower.network import Company, Network, Partner, System, Warehouse
from tower.registers import instant, microseconds, short
from tower.rows import COLUMNS, OF_HEADER
from tower.touches import touches
from tower.vocabulary import make_event

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NET = Network(
    company=Company(name="Northgate"),
    systems={
        name: System(name=name, kind=kind)  # type: ignore[arg-type]  # words of the model
        for name, kind in {"erp": "erp", "edi": "edi", "portal": "portal", "wms": "wms"}.items()
    },
    sources={},
    partners={
        "ACME": Partner(name="Acme", expects_fa=True, units={"CS": "12 EA"}),
        "WEST": Partner(name="West", zone="America/Los_Angeles"),
    },
    warehouses={"east": Warehouse(name="East", zone="America/New_York")},
)
OWNERS = Owners.of(NET)
PO = {"po": "1", "erp": "main", "supplier": "ACME"}
Row = dict[str, Any]


def told(
    type_: str,
    data: dict[str, Any],
    hours: float,
    system: str = "erp",
    n: int = 0,
    noted: float | None = None,
) -> list[tuple[str, Record]]:
    """What one event says, by kind of family."""
    event = make_event(
        type_,
        data,
        source=system,
        raw_key=f"{type_}@{hours}#{n}",
        position="item:0",
        occurred_at=START + timedelta(hours=hours),
        system=system,
        recorded_at=None if noted is None else START + timedelta(hours=noted),
    )
    return [
        (
            HEADER_OF.get(touch.kind, touch.kind),
            Record(
                short(event.id),
                touch.kind,
                touch.line,
                type_,
                system,
                microseconds(event.occurred_at),
                touch.facts,
            ),
        )
        for touch in touches(event)
    ]


def rows(*events: list[tuple[str, Record]], kind: str = "po") -> dict[str, Row]:
    """Rows of the one family of this kind, by line."""
    records = [record for event in events for family, record in event if family == kind]
    found = project(kind, "main", "1", fold(copy.deepcopy(records)), OWNERS)
    assert all(row.keys() == set(COLUMNS[row["kind"]]) for row in found)
    return {row["line"]: {k: v for k, v in row.items() if v is not None} for row in found}


def line(name: str, qty: str | None = None, **more: Any) -> dict[str, Any]:
    given = {"line": name, **more}
    return given if qty is None else {**given, "qty": qty, "uom": "EA"}


def released(*lines: dict[str, Any], hours: float = 0, system: str = "erp") -> Any:
    given = lines or (line("10", "10", price="2.5", requested_date="2026-04-01", item="A"),)
    return told("po.released", {**PO, "lines": list(given)}, hours, system)


def answered(*lines: dict[str, Any], hours: float = 5, system: str = "edi", **header: Any) -> Any:
    return told("po.acknowledged", {**PO, **header, "lines": list(lines)}, hours, system)


def applied(*lines: dict[str, Any], hours: float = 6) -> Any:
    return told("po.answer_applied", {**PO, "lines": list(lines)}, hours)


def shipped(qty: str, hours: float = 40, asn: str = "S1", **more: Any) -> Any:
    goods = {"erp": "main", "po": "1", "line": "10", "qty": qty, "uom": "EA", **more}
    return told("asn.received", {"asn": asn, "supplier": "ACME", "lines": [goods]}, hours, "edi")


def posted(
    qty: str,
    hours: float = 60,
    receipt: str = "R1",
    system: str = "wms",
    *,
    type_: str = "receipt.posted",
    noted: float | None = None,
    **more: str | None,
) -> Any:
    goods = {"receipt_line": "1", "erp": "main", "po": "1", "line": "10", "qty": qty, "uom": "EA"}
    goods = {name: value for name, value in (goods | more).items() if value is not None}
    given = {"warehouse": "east", "receipt": receipt, "lines": [goods]}
    return told(type_, given, hours, system, noted=noted)


def taken_back(
    hours: float = 60, receipt: str = "R1", system: str = "wms", noted: float | None = None
) -> Any:
    return posted("10", hours, receipt, system, type_="receipt.reversed", noted=noted)


def billed(
    qty: str, hours: float = 70, invoice: str = "I1", system: str = "edi", **more: str
) -> Any:
    goods = {"invoice_line": "1", "erp": "main", "po": "1", "qty": qty, "price": "3"}
    goods |= more or {"line": "10"}
    given = {"invoice": invoice, "supplier": "ACME", "lines": [goods]}
    return told("invoice.received", given, hours, system)


def at(row: Row, column: str) -> float:
    return (instant(row[column]) - START) / timedelta(hours=1)


# --- how far an order is ------------------------------------------------------------------------

SENT = told("po.transmitted", PO, 1)
VERDICT = told("fa.received", {"answered": "set", "verdict": "accepted"}, 3, "edi")


def functional(verdict: str, hours: float = 3, set_type: str = "850") -> list[tuple[str, Record]]:
    """A functional acknowledgement as it reaches an order by a control number."""
    at_ = microseconds(START + timedelta(hours=hours))
    facts = {"verdict": verdict, "set_type": set_type, "answered": "set"}
    return [("po", Record(f"fa{hours}", "po", "", "fa.received", "edi", at_, facts))]


def delivered(hours: float, **facts: str) -> list[tuple[str, Record]]:
    at_ = microseconds(START + timedelta(hours=hours))
    return [("po", Record(f"d{hours}", "po", "", "message.delivered", "edi", at_, facts))]


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


# --- milestones ---------------------------------------------------------------------------------


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
