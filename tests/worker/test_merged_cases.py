"""Merged cases: their trouble is never lost, whatever becomes of the case they are a part of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest
from sqlalchemy import text

from db import cases as kept
from db.reinterpret import reinterpret
from tests.worker.conftest import berlin
from tower.access import EVERYTHING
from tower.cases import NotPossible
from tower.raw import Interpretation, Interpreted, Raw


@pytest.fixture
def late(house: Any) -> Any:
    """A house with three orders unanswered, which anna was told."""
    for number in ("1", "2", "3"):
        house.released(number, "03-30 08:00")
    house.live("03-30 13:00")
    assert standing(house) == {"1": "new", "2": "new", "3": "new"}
    return house


def case_of(house: Any, number: str) -> Any:
    return next(c for c in house.cases("ACK_OVERDUE") if c.number == number)


def merge(house: Any, number: str, into: str, at: str) -> None:
    one, other = case_of(house, number).id, case_of(house, into).id
    with house.engine.begin() as conn:
        kept.merge(conn, EVERYTHING, one, "anna", other, berlin(at))


def resolve(house: Any, number: str, resolution: str, at: str) -> None:
    closed = case_of(house, number).id
    with house.engine.begin() as conn:
        kept.resolve(conn, EVERYTHING, closed, "anna", resolution, "phoned", berlin(at))


def standing(house: Any) -> dict[str, str]:
    """PO -> state of its case, with the resolution of those that are closed."""
    return {c.number: c.resolution or c.state for c in house.cases("ACK_OVERDUE")}


def test_what_outlives_the_case_it_was_merged_into_is_told(late: Any) -> None:
    merge(late, "1", "2", "03-30 13:10")
    late.live("03-30 13:20")
    assert standing(late) == {"1": "merged", "2": "new", "3": "new"}
    late.acknowledged("2", "03-30 13:30")
    late.live("03-30 14:10")
    assert standing(late) == {"1": "new", "2": "healed", "3": "new"}
    case, other = case_of(late, "1"), case_of(late, "2")
    assert (case.reopened, case.parent_id) == (1, None)
    assert late.notes(case.id)[-1] == (
        "reopened",
        f"still true; case {other.id}, into which it was merged, is resolved",
    )
    assert case.id in late.mails()[-1].cases


def test_what_was_settled_too_stays_merged(late: Any) -> None:
    merge(late, "1", "2", "03-30 13:10")
    late.acknowledged("1", "03-30 13:20")
    late.acknowledged("2", "03-30 13:30")
    late.live("03-31 12:00")
    assert standing(late) == {"1": "merged", "2": "healed", "3": "new"}


def test_what_was_merged_twice_goes_on_with_the_last(late: Any) -> None:
    merge(late, "1", "2", "03-30 13:10")
    merge(late, "2", "3", "03-30 13:20")
    late.live("03-30 13:30")
    assert standing(late) == {"1": "merged", "2": "merged", "3": "new"}
    late.acknowledged("3", "03-30 13:40")
    late.live("03-30 14:10")
    assert standing(late) == {"1": "new", "2": "new", "3": "healed"}


def test_repaired_with_another_it_comes_back_next_business_morning(late: Any) -> None:
    merge(late, "1", "2", "03-30 13:10")
    resolve(late, "2", "repaired", "03-30 13:20")
    late.live("03-30 18:00")
    assert standing(late) == {"1": "merged", "2": "repaired", "3": "new"}
    late.live("03-31 08:00")
    assert standing(late) == {"1": "new", "2": "new", "3": "new"}


@pytest.mark.parametrize("decision", ["accepted", "false_alarm"])
def test_who_decides_about_a_case_decides_about_what_was_merged_into_it(
    late: Any, decision: str
) -> None:
    merge(late, "1", "2", "03-30 13:10")
    resolve(late, "2", decision, "03-30 13:20")
    late.live("04-02 12:00")
    assert standing(late) == {"1": "merged", "2": decision, "3": "new"}


def test_what_becomes_true_again_after_the_other_case_ended_is_told(late: Any) -> None:
    merge(late, "1", "2", "03-30 13:10")
    late.acknowledged("2", "03-30 13:20")
    answer = late.acknowledged("1", "03-30 13:20")
    late.live("03-30 14:00")
    assert standing(late) == {"1": "merged", "2": "healed", "3": "new"}
    raw = Raw(answer.source, answer.raw_key, b"{}", answer.occurred_at)
    now = berlin("03-30 14:30")
    with late.engine.begin() as conn:
        reinterpret(conn, [Interpreted(raw, Interpretation("test", 2))], net=late.network, now=now)
    late.live("03-30 14:40")
    assert standing(late) == {"1": "new", "2": "healed", "3": "new"}


def test_a_new_failure_of_a_merged_case_is_its_own(late: Any) -> None:
    merge(late, "1", "2", "03-30 13:10")
    late.acknowledged("1", "03-30 13:20")
    late.live("03-30 14:00")
    late.tell("po.revised", {"po": "1", "erp": "main"}, "03-31 08:00")
    late.released("1", "03-31 08:00", revision="2")
    late.live("03-31 15:00")
    assert standing(late) == {"1": "new", "2": "new", "3": "new"}
    case = case_of(late, "1")
    assert case.parent_id is None
    assert case.id in {number for mail in late.mails()[1:] for number in mail.cases}


def test_two_people_cannot_merge_two_cases_into_each_other(late: Any) -> None:
    one, two = case_of(late, "1").id, case_of(late, "2").id
    now = berlin("03-30 13:10")

    def merges_back() -> None:
        with late.engine.begin() as conn:
            kept.merge(conn, EVERYTHING, two, "ben", one, now)

    with ThreadPoolExecutor(1) as ben:
        with late.engine.begin() as conn:
            kept.merge(conn, EVERYTHING, one, "anna", two, now)
            waiting = ben.submit(merges_back)
            wait_for_a_lock(late)
        with pytest.raises(NotPossible, match=f"Case {one} is resolved"):
            waiting.result(timeout=30)
    assert standing(late) == {"1": "merged", "2": "new", "3": "new"}


def wait_for_a_lock(house: Any) -> None:
    """Until somebody waits for a row that another transaction holds."""
    asked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(500):
        with house.engine.connect() as conn:
            if conn.execute(asked).scalar_one():
                return
        sleep(0.01)
    raise AssertionError("nobody waits")
