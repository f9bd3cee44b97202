"""An outage of a partner is one case and one mail, its orders hang under it and speak again."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from db import cases as kept
from db.tables import exception_case, suppression
from tests.worker.conftest import berlin
from tests.worker.test_telling import text_of
from tower.access import EVERYTHING
from tower.root_causes import KIND
from worker.commands.rule_changes import hindsight
from worker.configuration import Configuration
from worker.hindsight import judge_past

ORDERS = 40


def parents(house: Any) -> list[Any]:
    c = exception_case.c
    return list(house.rows(select(exception_case).where(c.kind == KIND).order_by(c.id)))


def children(house: Any, parent: int) -> list[Any]:
    c = exception_case.c
    return list(house.rows(select(exception_case).where(c.parent_id == parent).order_by(c.id)))


def outage(house: Any, orders: int = ORDERS) -> Any:
    """So many orders that nobody answers; the case of their cause."""
    for n in range(orders):
        house.released(f"{4700 + n}", "03-30 08:00")
    house.live("03-30 13:06")
    [parent] = parents(house)
    return parent


def test_forty_unanswered_orders_make_one_mail_with_count_and_value(house: Any) -> None:
    parent = outage(house)
    assert parent.title == "40 × PO not answered: ACME Fasteners Ltd"
    assert (parent.state, parent.owner, parent.supplier) == ("new", "anna", "ACME")
    assert parent.document_value == Decimal(40 * 1000)
    assert len(children(house, parent.id)) == ORDERS
    [mail] = house.mails()
    assert mail.subject == "[1 open, 1 new] PO not answered - ACME Fasteners Ltd"
    assert list(mail.cases) == [parent.id]
    assert "40 × PO not answered" in text_of(mail)
    assert f"/case?id={parent.id}" in text_of(mail)


def test_cases_that_waited_to_be_told_leave_that_to_their_cause(house: Any) -> None:
    for n in range(3):
        house.released(f"{4700 + n}", "03-30 07:30")
    house.live("03-30 12:11")
    assert [c.kind for c in house.cases()] == ["po"] * 3
    for n in range(3, 6):
        house.released(f"{4700 + n}", "03-30 08:00", arrives="03-30 12:12")
    house.live("03-30 13:06")
    [parent] = parents(house)
    assert [list(m.cases) for m in house.mails()] == [[parent.id]]
    told = {row.reason for row in house.rows(select(suppression))}
    assert told == {f"told in case {parent.id}, which it shares a cause with"}


def test_answers_close_the_cause_with_its_last_case(house: Any) -> None:
    parent = outage(house, 6)
    for n in range(6):
        house.acknowledged(f"{4700 + n}", "03-30 14:00")
        house.tell("po.answer_applied", {"po": f"{4700 + n}", "erp": "main"}, "03-30 14:10")
    house.live("03-30 15:00")
    [parent] = parents(house)
    assert (parent.state, parent.resolution) == ("resolved", "healed")
    assert {c.resolution for c in children(house, parent.id)} == {"healed"}
    house.live("03-31 08:00")
    summary = house.mails()[-1]
    assert summary.subject == "[0 open, 1 settled] Daily summary"


def test_cases_that_outlive_their_cause_are_told(house: Any) -> None:
    parent = outage(house, 6)
    now = parent.detected_at.replace(hour=12)
    with house.engine.begin() as conn:
        kept.resolve(conn, EVERYTHING, parent.id, "anna", "repaired", "they called", now)
    house.live("03-30 15:00")
    [one] = [m for m in house.mails() if m.id > 1]
    assert one.subject.startswith("[6 open, 6 new, 1 settled] PO not answered")
    [parent] = parents(house)
    assert parent.resolution == "repaired"


@pytest.mark.parametrize("resolution", ["accepted", "false_alarm"])
def test_what_is_decided_about_a_cause_is_decided_about_its_cases(
    house: Any, resolution: str
) -> None:
    parent = outage(house, 6)
    now = parent.detected_at.replace(hour=12)
    with house.engine.begin() as conn:
        kept.resolve(conn, EVERYTHING, parent.id, "anna", resolution, "their holiday", now)
    house.live("03-31 12:00")
    assert {c.resolution for c in house.cases()} == {resolution}
    assert [m.reason for m in house.mails()] == ["new", "digest"]


def test_the_group_is_the_same_whichever_order_is_known_first(
    make_house: Callable[..., Any],
) -> None:
    found = []
    for turn in (range(8), reversed(range(8))):
        house = make_house()
        for place, n in enumerate(turn):
            at = f"03-27 14:{3 * n:02}"  # due on Monday from 09:00
            house.released(f"{4700 + n}", at, arrives=f"03-30 13:{place * 2:02}")
            house.until(f"03-30 13:{place * 2:02}")
        house.until("03-30 14:00")
        [parent] = parents(house)
        found.append(sorted(c.number for c in children(house, parent.id)))
    assert found[0] == found[1] == [f"{4700 + n}" for n in range(8)]


def test_a_backtest_groups_as_the_worker_did(house: Any) -> None:
    outage(house, 7)
    house.live("03-31 08:00")
    with house.engine.connect() as conn:
        code, seen = hindsight(
            conn,
            Configuration(house.network, house.rulebook, "", ""),
            berlin("03-30 00:00"),
            berlin("03-31 08:01"),
            "arrival",
        )
        judge_past(conn, [seen], [code], berlin("03-31 08:01"))
    told = [(m.at, m.recipient, m.daily) for m in seen.mails()]
    assert told == [(m.created_at, m.recipient, m.reason == "digest") for m in house.mails()]
    assert len(told) == 2  # one about the cause, one summary


def test_the_rule_book_says_how_many_make_a_cause(
    make_house: Callable[..., Any], rules_of: Callable[[str], Any], shipped_text: str
) -> None:
    changed = shipped_text.replace("\nrules:\n", "\nroot_causes: {at_least: 50}\nrules:\n", 1)
    house = make_house(rules_of(changed))
    for n in range(6):
        house.released(f"{4700 + n}", "03-30 08:00")
    house.live("03-30 13:06")
    assert parents(house) == []
    assert house.mails()[0].subject.startswith("[6 open, 6 new]")
