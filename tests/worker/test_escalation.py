"""Reminders and steps up through the real rounds: told, reminded, escalated, stopped, ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from db import cases as kept
from db import timers
from db.tables import escalation, told
from tests.worker.conftest import berlin
from tower.access import EVERYTHING


@pytest.fixture
def house(make_house: Callable[..., Any], rules_of: Callable[[str], Any], shipped_text: str) -> Any:
    """A house whose policy reminds after two, and tells Ben after three open hours."""
    words = "    max_per_day: 20             # the rest goes into the summary\n"
    assert words in shipped_text
    chain = "    repeat: 2bh\n    escalate: [{after: 3bh, to: ben}]\n"
    return make_house(rules_of(shipped_text.replace(words, words + chain)))


def heard(house: Any) -> list[tuple[str, str, str]]:
    return [
        (f"{m.created_at.astimezone(berlin('03-30 08:00').tzinfo):%d %H:%M}", m.recipient, m.reason)
        for m in house.mails()
    ]


def test_who_looks_away_is_reminded_then_another_is_told_and_both_hear_of_the_end(
    house: Any,
) -> None:
    house.released("4711", "03-30 08:00")  # due 12:00, judged 12:10, told 13:00
    house.live("03-30 16:30")
    assert heard(house) == [
        ("30 11:00", "anna", "new"),
        ("30 13:05", "anna", "reminder"),  # two open hours after the case: 15:00 in Berlin
        ("30 14:05", "ben", "escalated"),
    ]
    assert house.mails()[1].subject == ("[1 open, 1 reminder] PO not answered - ACME Fasteners Ltd")
    assert {row.recipient: row.role for row in house.rows(select(told))} == {
        "anna": "owner",
        "ben": "step",
    }
    assert ("escalated", "ben is told too") in house.notes(1)
    house.acknowledged("4711", "03-30 16:31")
    house.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 16:31")
    house.live("03-31 09:00")
    assert {row.recipient: row.what for row in house.rows(select(told))} == {
        "anna": "closed",
        "ben": "closed",
    }
    house.live("04-02 12:00")
    assert {m.reason for m in house.mails()[3:]} == {"digest"}, "nothing rings for a closed case"


def test_taking_stops_the_chain_and_the_end_of_the_promise_raises_the_case_again(
    house: Any,
) -> None:
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:30")
    [case] = house.cases()
    with house.engine.begin() as conn:
        kept.take(conn, EVERYTHING, case.id, "anna", berlin("03-30 13:30"))  # until 17:30
    house.live("03-30 17:29")
    assert [what for _, _, what in heard(house)] == ["new"]
    assert house.rows(select(escalation.c.stopped))[0].stopped
    house.live("03-31 08:30")
    assert ("31 06:00", "anna", "reminder") in heard(house), "raised again in office hours"
    house.live("03-31 11:06")
    assert ("31 09:05", "ben", "escalated") in heard(house), "three open hours from 17:30"


def test_a_timer_of_an_older_generation_does_nothing(house: Any) -> None:
    """Fails when worker.escalation no longer compares generations: the stale timer would stop the
    chain that was started over, as the case is taken at that moment."""
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:30")
    [case] = house.cases()
    with house.engine.begin() as conn:
        kept.take(conn, EVERYTHING, case.id, "anna", berlin("03-30 13:30"))
        conn.execute(update(escalation).values(generation=2))
        stale = [timers.Timer(timers.ESCALATION, f"[{case.id},1]", berlin("03-30 14:00"))]
        timers.set_(conn, stale)
    house.live("03-30 14:30")
    assert not house.rows(select(escalation.c.stopped))[0].stopped


def test_a_reminder_that_the_outage_swallowed_is_sent_afterwards(
    house: Any, post_office: Any
) -> None:
    from worker.mailer import send_due

    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    send_due(house.engine, post_office.settings(), house.config, berlin("03-30 13:00"))
    house.live("03-30 15:06")
    # Nobody sent it for half an hour: it is given up, and what it said is said anew.
    send_due(house.engine, post_office.settings(), house.config, berlin("03-30 15:40"))
    house.live("03-30 15:41")
    send_due(house.engine, post_office.settings(), house.config, berlin("03-30 15:41"))
    assert [(m.reason, m.state) for m in house.mails()] == [
        ("new", "sent"),
        ("reminder", "superseded"),
        ("reminder", "sent"),
    ]
