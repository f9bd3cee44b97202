"""A second answer changes the lines that it names, and no others."""

from __future__ import annotations

import copy
from itertools import permutations
from typing import Any

import pytest

from tests.tower.orders import OWNERS, PO, START, Row, answered, line, rows, told
from tower.documents import fold, merge, project
from tower.statuses import answer_of
from tower.touches import touches
from tower.vocabulary import make_event

ORDERED = [line(name, "5", price="2", requested_date="2026-05-01") for name in ("10", "20", "30")]
ORDER = told("po.released", {**PO, "lines": ORDERED}, 0)
FIRST = answered(
    line("10", "5", answer="backordered"),
    line("20", answer="rejected"),
    line("30", "5", answer="accepted_with_changes", date="2026-05-30"),
    answer="part_accepted",
    code="AC",
)
CHANGE = told("po.revised", {**PO, "lines": [line("10", "6")]}, 20)


def changed(*lines: dict[str, Any], hours: float = 30, **header: Any) -> Any:
    data = {**PO, "revision": "2", **header, "lines": list(lines)}
    return told("po.change_answered", data, hours, "edi")


def words(found: dict[str, Row]) -> dict[str, str | None]:
    return {name: row.get("answer") for name, row in found.items()}


def test_a_line_that_is_released_later_leaves_the_others_as_they_were() -> None:
    second = answered(
        line("10", "5", answer="accepted", date="2026-05-10"),
        hours=30, answer="accepted", others="none", code="AC",
    )  # fmt: skip
    before, found = rows(ORDER, FIRST), rows(ORDER, FIRST, second)
    assert (found["10"]["answer"], found["10"]["last_confirmed_date"]) == ("accepted", "2026-05-10")
    for name in ("20", "30"):
        assert {k: found[name].get(k) for k in before[name]} == before[name]
    assert found[""]["answer"] == "part_accepted"


def test_one_line_refused_later_is_one_line_refused() -> None:
    whole = answered(answer="accepted")
    second = answered(line("20", answer="rejected"), hours=30, answer="part_accepted", code="AC")
    found = rows(ORDER, whole, second)
    assert words(found) == {
        "": "part_accepted", "10": "accepted", "20": "rejected", "30": "accepted",
    }  # fmt: skip
    assert found[""]["n_rejected"] == 1


@pytest.mark.parametrize("answer", ["accepted", "part_accepted"])
def test_a_first_yes_with_exceptions_accepts_the_rest(answer: str) -> None:
    others = {} if answer == "accepted" else {"others": "accepted"}
    found = rows(ORDER, answered(line("20", answer="rejected"), answer=answer, **others))
    assert words(found) == {
        "": "part_accepted", "10": "accepted", "20": "rejected", "30": "accepted",
    }  # fmt: skip
    assert found["30"]["last_confirmed_date"] == "2026-05-01"


def test_a_later_yes_that_names_lines_leaves_what_was_said_of_the_others() -> None:
    second = answered(line("10", "5", answer="accepted"), hours=30, answer="accepted", code="AD")
    found = rows(ORDER, FIRST, second)
    assert [found[name]["answer"] for name in ("10", "20", "30")] == [
        "accepted", "rejected", "accepted_with_changes",
    ]  # fmt: skip
    assert found["30"]["last_confirmed_date"] == "2026-05-30"


def test_a_word_for_the_whole_order_overturns_what_was_said_of_lines() -> None:
    no = told("po.rejected", {**PO, "reason": "fire"}, 30, "edi")
    assert set(words(rows(ORDER, FIRST, no)).values()) == {"rejected"}
    with_lines = {**PO, "answer": "rejected", "lines": [line("10", answer="rejected")]}
    no = told("po.rejected", with_lines, 30, "edi")
    assert set(words(rows(ORDER, FIRST, no)).values()) == {"rejected"}
    yes = answered(answer="accepted", hours=30)
    assert set(words(rows(ORDER, FIRST, yes)).values()) == {"accepted"}


def test_lines_that_are_all_refused_one_by_one_are_a_refused_order() -> None:
    def refused(*names: str) -> Any:
        lines = [line(name, answer="rejected") for name in names]
        return told("po.rejected", {**PO, "answer": "rejected", "others": "none", "lines": lines},
                    5, "edi")  # fmt: skip

    found = rows(ORDER, refused("10", "20", "30"))
    assert (found[""]["answer"], found[""]["n_rejected"]) == ("rejected", 3)
    found = rows(ORDER, refused("10", "20"))
    assert words(found) == {"": "part_accepted", "10": "rejected", "20": "rejected", "30": None}
    assert found["30"]["status"] == "open"


def test_an_order_answered_in_part_is_neither_accepted_nor_rejected() -> None:
    one = {"status": "open", "known": True}
    for word in ("accepted", "rejected", "backordered"):
        assert answer_of([{**one, "answer": word}, {**one, "answer": None}], word) == (
            "part_accepted"
        )
    stranger = {"status": "open", "known": False, "answer": None}
    assert answer_of([{**one, "answer": "accepted"}, stranger], None) == "accepted"


# --- dates --------------------------------------------------------------------------------------

LATER = answered(line("10", "5", answer="accepted_with_changes", date="2026-05-30"))


def again(word: str, qty: str | None = None, hours: float = 30, **more: Any) -> Any:
    return answered(line("10", qty, answer=word, **more), hours=hours)


@pytest.mark.parametrize(
    "second",
    [
        again("accepted_with_changes", "4"),
        again("accepted"),
        again("accepted", "5"),
        again("backordered", "5"),
        again("on_hold"),
        answered(answer="accepted", hours=30),
    ],
)
def test_an_answer_without_a_date_leaves_the_one_confirmed(second: Any) -> None:
    found = rows(ORDER, LATER, second)["10"]
    assert found["last_confirmed_date"] == found["first_confirmed_date"] == "2026-05-30"
    assert found["reports"]["edi"]["confirmed_date"][0] == "2026-05-30"


def test_an_answer_without_a_date_leaves_a_day_of_shipping_what_it_is() -> None:
    shipping = again("accepted", "5", 5, date="2026-05-20", date_kind="ship")
    found = rows(ORDER, shipping, again("accepted_with_changes", "4"))["10"]
    assert (found["confirmed_date_kind"], found.get("last_confirmed_date")) == ("ship", None)


@pytest.mark.parametrize(
    "between",
    [
        told("po.revised", {**PO, "lines": [line("10", requested_date="2026-06-15")]}, 20),
        told("po.revised", {**PO, "lines": [line("10", "6", requested_date="2026-06-15")]}, 20),
    ],
)
def test_who_accepts_a_changed_order_accepts_its_date(between: Any) -> None:
    found = rows(ORDER, LATER, between, again("accepted"))["10"]
    assert found["last_confirmed_date"] == "2026-06-15"


def test_who_accepts_what_he_had_refused_accepts_the_date_asked_for() -> None:
    shipping = again("accepted", "5", 5, date="2026-05-20", date_kind="ship")
    for first in (LATER, shipping):
        found = rows(ORDER, first, again("rejected", hours=20), again("accepted"))["10"]
        assert (found["last_confirmed_date"], found.get("confirmed_date_kind")) == (
            "2026-05-01", None,
        )  # fmt: skip


# --- changes of ours ----------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [[line("10", "6", answer="accepted")], []])
def test_an_accepted_change_concerns_what_was_changed(lines: list[dict[str, Any]]) -> None:
    found = rows(ORDER, FIRST, CHANGE, changed(*lines, answer="accepted"))
    assert (found["10"]["answer"], found["10"]["confirmed_qty"]) == ("accepted", "6")
    assert found["20"]["answer"] == "rejected"
    assert found["30"]["last_confirmed_date"] == "2026-05-30"


@pytest.mark.parametrize("lines", [[line("10", answer="rejected")], []])
@pytest.mark.parametrize("answer", ["rejected", "part_accepted"])
def test_who_refuses_a_change_refuses_no_order(answer: str, lines: list[dict[str, Any]]) -> None:
    whole = answered(answer="accepted")
    found = rows(ORDER, whole, CHANGE, changed(*lines, answer=answer))
    assert set(words(found).values()) == {"accepted"}
    assert (found["10"]["ordered_qty"], found["10"]["confirmed_qty"]) == ("6", "5")
    assert found[""]["n_rejected"] == 0
    if lines:
        assert found["10"]["agrees"] is False, "what is ordered was refused"
    assert found[""]["status"] != "change_pending"


def test_a_refused_change_of_an_unanswered_order_answers_no_line() -> None:
    found = rows(ORDER, CHANGE, changed(line("10", answer="rejected"), answer="rejected"))
    assert words(found) == {"": "none", "10": None, "20": None, "30": None}


def test_a_line_that_came_with_a_refused_change_is_refused() -> None:
    added = told("po.revised", {**PO, "lines": [line("40", "1", action="add")]}, 20)
    no = changed(line("40", answer="rejected"), answer="rejected")
    assert rows(ORDER, FIRST, added, no)["40"]["answer"] == "rejected"


def test_no_rule_hears_a_refused_change_as_a_refused_line() -> None:
    data = {**PO, "answer": "rejected", "lines": [line("10", answer="rejected")]}
    event = make_event("po.change_answered", data, source="s", raw_key="k", position="item:0",
                       occurred_at=START)  # fmt: skip
    for touch in touches(event):
        assert ("answer" in touch.facts, touch.facts["change"]) == (False, "rejected")


# --- a change that nobody can read ----------------------------------------------------------------


@pytest.mark.parametrize("told_", [{}, {"qty": "5"}, {"qty": "5", "price": "2"}])
def test_a_change_that_tells_none_confirms_nothing(told_: dict[str, str]) -> None:
    unread = line("10", None, answer="accepted_with_changes") | told_
    found = rows(ORDER, answered(unread, answer="accepted_with_changes", others="none"))["10"]
    assert found["answer"] == "accepted_with_changes"
    assert (found.get("confirmed_qty"), found.get("last_confirmed_date")) == (None, None)
    assert found["first_answer"] == "undecided"
    assert found["acknowledged_at"] is not None


@pytest.mark.parametrize(
    "told_",
    [{"qty": "4"}, {"price": "3"}, {"date": "2026-05-01"}, {"qty": "5", "date": "2026-05-02"}],
)
def test_a_change_that_tells_one_confirms_the_rest_as_ordered(told_: dict[str, str]) -> None:
    change = line("10", None, answer="accepted_with_changes") | told_
    found = rows(ORDER, answered(change, answer="accepted_with_changes", others="none"))["10"]
    assert found["confirmed_qty"] == told_.get("qty", "5")
    assert found["last_confirmed_date"] == told_.get("date", "2026-05-01")


def test_a_change_that_tells_none_leaves_what_was_confirmed_before() -> None:
    unread = line("30", "5", answer="accepted_with_changes")
    found = rows(ORDER, FIRST, answered(unread, hours=30, answer="accepted_with_changes"))["30"]
    assert (found["confirmed_qty"], found["last_confirmed_date"]) == ("5", "2026-05-30")


# --- the fold -----------------------------------------------------------------------------------


def test_answers_to_some_lines_fold_alike_in_any_order() -> None:
    second = answered(line("10", "5", answer="accepted"), hours=10, answer="accepted")
    third = answered(line("20", answer="rejected"), hours=25, answer="part_accepted",
                     others="accepted")  # fmt: skip
    events = [ORDER, FIRST, second, CHANGE, third, changed(answer="rejected")]
    seen = []
    for mixed in permutations(events):
        records = [record for event in mixed for family, record in event if family == "po"]
        state: dict[str, Any] = {}
        for record in copy.deepcopy(records):
            state = merge(state, record)
        assert state == fold(copy.deepcopy(records))
        found = project("po", "main", "1", state, OWNERS)
        seen.append(found)
        assert found == seen[0]
