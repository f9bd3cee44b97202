"""The tower audits itself: each check, failing, stops the calls to the dead-man switch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from db import timers
from db.tables import (
    exception_case,
    group_member,
    outbox,
    source_spell,
    suppression,
    timer,
    told,
)
from tests.worker.conftest import berlin
from tests.worker.http_sink import HttpSink
from worker.self_audit import audit_and_ping, checks


@pytest.fixture
def switch() -> Iterator[HttpSink]:
    made = HttpSink()
    made.open()
    yield made
    made.close()


@pytest.fixture
def busy(house: Any) -> Any:
    """A house with told, waiting and settled cases, a mail, and every timer in time."""
    house.released("4711", "03-30 08:00")
    house.released("4712", "03-30 08:00")
    house.live("03-30 13:00")
    house.released("4713", "03-30 08:50")
    house.live("03-30 14:01")  # the third is late now, and waits for its group
    house.now = berlin("03-30 14:04")
    with house.engine.begin() as conn:
        conn.execute(update(outbox).values(state="sent"))
    assert house.rows(group_member.select())
    return house


def audit(house: Any, switch: HttpSink, later: timedelta = timedelta(0)) -> dict[str, Any]:
    return audit_and_ping(
        house.engine, house.network, house.rulebook, switch.url, house.now + later
    )


def test_while_all_is_good_the_switch_is_called(busy: Any, switch: HttpSink) -> None:
    found = audit(busy, switch)
    assert (found["failing"], found["pinged"], found["ping_error"]) == ({}, True, "")
    assert [method for method, _, _ in switch.calls] == ["GET"]


def do(house: Any, *statements: Any) -> None:
    with house.engine.begin() as conn:
        for statement in statements:
            conn.execute(statement)


def a_late_timer(house: Any) -> None:
    with house.engine.begin() as conn:
        late = house.now - timedelta(minutes=2, seconds=1)
        timers.set_(conn, [timers.Timer(timers.UNIT, "17", late)])


def an_untold_case(house: Any) -> None:
    do(house, delete(told), delete(group_member), delete(suppression))


def a_group_that_nobody_looks_at(house: Any) -> None:
    do(house, delete(timer).where(timer.c.kind.in_((timers.MAIL_GROUP, timers.DIGEST))))


def an_old_mail(house: Any) -> None:
    born = house.now - timedelta(minutes=15, seconds=1)
    do(house, update(outbox).values(created_at=born, state="waiting"))


def a_silent_source_without_a_case(house: Any) -> None:
    since = house.now - timedelta(hours=12, minutes=2, seconds=1)
    row = {"source": "edi_in", "from_at": since, "known_at": since}
    do(house, insert(source_spell).values(row))


BREAKS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "a late timer": ("timers", a_late_timer),
    "an untold case": ("told", an_untold_case),
    "a group that nobody looks at": ("told", a_group_that_nobody_looks_at),
    "an old mail": ("outbox", an_old_mail),
    "a silent source without a case": ("sources", a_silent_source_without_a_case),
}


@pytest.mark.parametrize("what", BREAKS)
def test_each_broken_promise_stops_the_calls(busy: Any, switch: HttpSink, what: str) -> None:
    """Fails for a check that is taken out of worker.self_audit."""
    name, break_it = BREAKS[what]
    break_it(busy)
    found = audit(busy, switch)
    assert set(found["failing"]) == {name}
    assert switch.calls == []
    assert found["pinged"] is False


def test_a_feed_by_which_nobody_has_to_speak_yet_breaks_no_promise(
    busy: Any, switch: HttpSink
) -> None:
    since = busy.now - timedelta(hours=11)  # of the twelve in which it need not speak
    row = {"source": "edi_in", "from_at": since, "known_at": since}
    do(busy, insert(source_spell).values(row))
    assert audit(busy, switch)["failing"] == {}


def test_a_written_reason_a_parent_or_a_persons_word_are_enough(busy: Any) -> None:
    an_untold_case(busy)
    reasons = [
        {"case_id": c.id, "recipient": "anna", "at": busy.now, "reason": "silence 1"}
        for c in busy.cases()
    ]
    do(busy, insert(suppression).values(reasons[1:]))
    do(busy, update(exception_case).where(exception_case.c.id == 1).values(parent_id=99))
    with busy.engine.connect() as conn:
        found = {c.name: c.ok for c in checks(conn, busy.network, busy.rulebook, busy.now)}
    assert found == {"outbox": True, "sources": True, "timers": True, "told": True}


def test_a_switch_that_does_not_answer_is_told_without_its_address(
    busy: Any, switch: HttpSink, caplog: pytest.LogCaptureFixture
) -> None:
    switch.answers = [500]
    found = audit(busy, switch)
    assert (found["pinged"], found["failing"]) == (False, {})
    assert found["ping_error"] == "not reached (SourceUnavailable)"
    assert "secret-part" not in str(found) + caplog.text
