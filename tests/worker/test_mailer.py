"""Sending: real conversations with a real mail server, and everything that goes wrong in them."""

from __future__ import annotations

import email
import email.policy
import smtplib
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db import outbox as box
from db.tables import delivery, outbox, told
from tests.worker.conftest import berlin
from worker.mailer import LEASE, send_due
from worker.pauses import pause


@pytest.fixture
def late(house: Any) -> Any:
    """A house in which one mail waits: to anna, made at 13:00."""
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    [mail] = house.mails()
    assert mail.state == "waiting"
    house.now = mail.created_at
    return house


def send(house: Any, office: Any, after: timedelta = timedelta(0)) -> int:
    return send_due(house.engine, office.settings(), house.config, house.now + after)


def outcomes(house: Any) -> list[str]:
    return [row.outcome for row in house.rows(select(delivery).order_by(delivery.c.id))]


def test_a_mail_leaves_as_it_was_frozen(late: Any, post_office: Any) -> None:
    assert send(late, post_office) == 1
    [(recipient, content)] = post_office.accepted
    [row] = late.mails()
    assert recipient == "anna@example.org"
    assert content.replace(b"\r\n", b"\n").rstrip() == row.message.replace(b"\r\n", b"\n").rstrip()
    assert (row.state, row.attempts, row.token) == ("sent", 1, None)
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert parsed["Date"].datetime == row.created_at
    assert parsed["Message-ID"] == f"<{row.message_id}>"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["List-Id"].startswith("<business.tower.")
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert send(late, post_office) == 0


def test_without_a_mail_server_mails_wait(late: Any, post_office: Any) -> None:
    nobody = post_office.settings().model_copy(update={"smtp_host": None})
    assert send_due(late.engine, nobody, late.config, late.now) == 0
    assert late.mails()[0].state == "waiting"


def test_a_lease_that_is_no_longer_ours_marks_nothing(late: Any) -> None:
    with late.engine.begin() as conn:
        [first] = box.lease(conn, late.now, LEASE, 10)
        assert box.lease(conn, late.now, LEASE, 10) == []
    after = late.now + LEASE + timedelta(seconds=1)
    with late.engine.begin() as conn:
        [second] = box.lease(conn, after, LEASE, 10)
        assert box.finish(conn, first, after, state="sent", outcome="accepted") is False
        assert box.finish(conn, second, after, state="sent", outcome="accepted") is True


def test_a_sender_that_dies_after_sending_repeats_the_same_bytes(
    late: Any, post_office: Any
) -> None:
    with late.engine.begin() as conn:
        [mail] = box.lease(conn, late.now, LEASE, 10)

    with smtplib.SMTP(post_office.host, post_office.port) as smtp:
        smtp.sendmail("tower@northwind.example", [mail.address], mail.message)
    # It died before it could mark the row; the lease ends and another sender takes over.
    assert send(late, post_office) == 0
    assert send(late, post_office, LEASE + timedelta(seconds=1)) == 1
    first, second = post_office.accepted
    assert first == second


def test_a_line_cut_before_the_answer_loses_nothing(late: Any, post_office: Any) -> None:
    post_office.drops = 1
    assert send(late, post_office) == 0
    assert outcomes(late) == ["unreachable"]
    assert send(late, post_office, timedelta(seconds=10)) == 1
    assert post_office.accepted[0] == post_office.accepted[1]


def test_not_now_is_tried_again_later_each_time_longer(late: Any, post_office: Any) -> None:
    post_office.answers["anna@example.org"] = "451 greylisted"
    assert send(late, post_office) == 0
    [row] = late.mails()
    assert (row.state, row.attempts, row.error) == ("waiting", 1, "451 greylisted")
    assert timedelta(seconds=48) <= row.next_at - late.now <= timedelta(seconds=72)
    assert send(late, post_office, timedelta(seconds=30)) == 0
    assert late.mails()[0].attempts == 1
    del post_office.answers["anna@example.org"]
    assert send(late, post_office, timedelta(minutes=2)) == 1


def test_waits_grow_to_half_an_hour() -> None:
    waits = [pause(n, lambda: 0.5) for n in range(8)]
    assert waits[:4] == [timedelta(minutes=m) for m in (1, 2, 4, 8)]
    assert waits[-1] == timedelta(minutes=30)
    assert pause(9, lambda: 1.0) == timedelta(minutes=36)


def test_a_refused_address_ends_the_mail_and_the_fallback_is_told(
    late: Any, post_office: Any
) -> None:
    post_office.answers["anna@example.org"] = "550 no such user"
    assert send(late, post_office) == 0
    assert late.mails()[0].state == "failed"
    [broken] = late.cases("MAIL_FAILED")
    assert broken.why["answer"] == "550 no such user"
    late.live("03-30 14:00")
    by_reader = {m.recipient: m for m in late.mails() if m.state == "waiting"}
    assert set(by_reader) == {"purchasing_desk", "it_integration"}
    assert by_reader["purchasing_desk"].subject.startswith("[1 open, 1 new] PO not answered")
    assert {row.recipient: row.role for row in late.rows(select(told))} == {
        "purchasing_desk": "fallback",
        "it_integration": "owner",
    }
    assert send(late, post_office, timedelta(minutes=12)) == 2
    # The fallback hears of the end, too.
    late.acknowledged("4711", "03-30 14:30")
    late.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 14:30")
    late.live("03-31 08:00")
    assert "purchasing_desk: [0 open, 1 settled] Daily summary" in late.subjects()


def test_five_failures_to_connect_open_the_breaker(late: Any, post_office: Any) -> None:
    post_office.close()
    for n in range(5):
        assert send(late, post_office, timedelta(seconds=6 * n)) == 0
    assert outcomes(late) == ["unreachable"] * 5
    for n in range(5):  # nothing is tried within the minute
        assert send(late, post_office, timedelta(seconds=30 + n)) == 0
    assert len(outcomes(late)) == 5
    assert send(late, post_office, timedelta(seconds=90)) == 0
    assert len(outcomes(late)) == 6
    assert late.mails()[0].attempts == 0
    post_office.open()
    assert send(late, post_office, timedelta(minutes=3)) == 1


def test_after_a_long_outage_what_is_true_now_is_told_once(late: Any, post_office: Any) -> None:
    post_office.close()
    for n in range(5):
        send(late, post_office, timedelta(seconds=6 * n))
    late.released("4712", "03-30 10:00")
    late.released("4713", "03-30 10:30")
    late.acknowledged("4711", "03-30 15:30")
    late.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 15:30")
    late.live("03-30 16:30")
    waiting = [m for m in late.mails() if m.state == "waiting"]
    assert len(waiting) >= 2
    post_office.open()
    send(late, post_office, timedelta(hours=3, minutes=30))
    late.live("03-30 16:31")
    assert send(late, post_office, timedelta(hours=3, minutes=31)) == 1
    states = [m.state for m in late.mails()]
    assert states.count("superseded") == len(waiting)
    [(_, content)] = post_office.accepted
    subject = email.message_from_bytes(content, policy=email.policy.default)["Subject"]
    # The one that opened and closed unheard is not told as open.
    assert subject == "[2 open, 2 new] PO not answered - ACME Fasteners Ltd"
    assert {row.case_id for row in late.rows(select(told))} == {
        c.id for c in late.cases("ACK_OVERDUE") if c.number != "4711"
    }


HURT_IS_WORSE = """
version: 1
notify:
  business: {to: case.owner, fallback: purchasing_desk, group_by: [recipient, rule], wait: 1m,
             every: 5m, hours: always, closed: at_once}
rules:
- id: po.unacknowledged
  kind: deadline
  category: ACK_OVERDUE
  title: "PO {po.number} not acknowledged"
  about: po
  clock: {start: po.released, stop: [po.acknowledged]}
  due: {otherwise: 1h}
  levels:
    breach: {severity: medium, notify: business}
  raise: {when: {po.affected_orders: {ge: 1}}, by: 1}
"""
ORDER = {"erp": "main", "order": "C1"}


@pytest.fixture
def twice_waiting(make_house: Any, rules_of: Any, post_office: Any) -> Any:
    """A house in which two mails about one case wait, as anna's server puts them off: that it is
    new, of 09:01, and that it is worse, of 09:08."""
    house = make_house(rules_of(HURT_IS_WORSE))
    house.released("1", "03-30 08:00")
    post_office.answers["anna@example.org"] = "451 greylisted"
    at(house, post_office, "03-30 09:02")
    sold = [{"line": "1", "item": "I-0", "qty": "5", "price": "9"}]
    pegged = [{**ORDER, "order_line": "1", "po": "1", "line": "10", "qty": "5"}]
    promised = [{"line": "1", "promise_date": "2026-04-01"}]
    house.tell("order.placed", {**ORDER, "customer": "X", "lines": sold}, "03-30 09:07")
    house.tell("order.promised", {**ORDER, "lines": promised}, "03-30 09:07")
    house.tell("peg.set", {"pegs": pegged}, "03-30 09:07")
    at(house, post_office, "03-30 09:10")
    assert [(m.state, m.reason) for m in house.mails()] == [
        ("waiting", why) for why in ("new", "worse")
    ]
    return house


def at(house: Any, office: Any, when: str) -> None:
    house.live(when)
    send_due(house.engine, office.settings(), house.config, berlin(when))


def heard(house: Any) -> list[tuple[str, str, str, int]]:
    return [(t.recipient, t.what, t.severity, t.outbox_id) for t in house.rows(select(told))]


def test_a_mail_given_up_after_an_older_one_leaves_nothing_told(
    twice_waiting: Any, post_office: Any
) -> None:
    house = twice_waiting
    at(house, post_office, "03-30 09:17")
    assert [m.state for m in house.mails()] == ["superseded", "waiting"]
    house.tell("order.cancelled", ORDER, "03-30 09:20")
    at(house, post_office, "03-30 09:21")
    at(house, post_office, "03-30 09:25")
    # It is as severe again as the mail said that never left: that is news still.
    assert [m.state for m in house.mails()] == ["superseded", "superseded"]
    assert heard(house) == []
    post_office.answers.clear()
    at(house, post_office, "03-30 09:30")
    assert [m.reason for m in house.mails() if m.state == "sent"] == ["new"]
    assert heard(house) == [("anna", "open", "medium", house.mails()[-1].id)]


def test_mails_given_up_together_leave_nothing_told(twice_waiting: Any, post_office: Any) -> None:
    house = twice_waiting
    at(house, post_office, "03-30 09:26")
    assert [m.state for m in house.mails()] == ["superseded", "superseded"]
    assert heard(house) == []


def test_a_refused_mail_takes_back_what_an_older_refused_one_told(
    twice_waiting: Any, post_office: Any
) -> None:
    house = twice_waiting
    post_office.answers["anna@example.org"] = "550 no such user"
    at(house, post_office, "03-30 09:14")
    assert [m.state for m in house.mails()[:2]] == ["failed", "failed"]
    assert "anna" not in {reader for reader, *_ in heard(house)}
    house.live("03-30 09:20")
    assert {m.recipient for m in house.mails() if m.state == "waiting"} >= {"purchasing_desk"}


def test_two_who_take_back_at_once_see_each_other(twice_waiting: Any) -> None:
    house, now = twice_waiting, berlin("03-30 09:11")
    with house.engine.begin() as conn:
        # The newer one is under way, the older one waits.
        conn.execute(outbox.update().values(next_at=now))
        _, newer = box.lease(conn, now, LEASE, 2)
        conn.execute(outbox.update().where(outbox.c.id != newer.id).values(lease_until=None))

    def refused() -> None:
        with house.engine.begin() as conn:
            box.finish(conn, newer, now, state="failed", outcome="refused")
            box.taken_back(conn, newer, now)

    with ThreadPoolExecutor(1) as other:
        with house.engine.begin() as conn:
            [gone] = box.supersede(conn, now, now)
            assert gone.members == ()  # what it said is told by the newer one
            second = other.submit(refused)
            wait([second], timeout=1)
        second.result(timeout=30)
    assert [m.state for m in house.mails()] == ["superseded", "failed"]
    assert heard(house) == []


def test_what_a_mail_told_that_left_stands_again_when_the_next_is_given_up(
    twice_waiting: Any, post_office: Any
) -> None:
    house = twice_waiting
    first = house.mails()[0]
    with house.engine.begin() as conn:
        conn.execute(outbox.update().where(outbox.c.id == first.id).values(state="sent"))
        [gone] = box.supersede(conn, berlin("03-30 09:10"), berlin("03-30 09:11"))
    assert [m.case_id for m in gone.members] == [house.cases("ACK_OVERDUE")[0].id]
    assert heard(house) == [("anna", "open", "medium", first.id)]


def test_two_senders_never_send_the_same_mail(late: Any, post_office: Any) -> None:
    copies(late, 30)
    threads = [threading.Thread(target=send, args=(late, post_office)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send(late, post_office)
    assert len(post_office.accepted) == 31
    assert {m.state for m in late.mails()} == {"sent"}


def copies(house: Any, count: int) -> None:
    """So many mails more that wait like the one that does."""
    with house.engine.begin() as conn:
        first = conn.execute(select(outbox)).one()._mapping
        for n in range(count):
            copy = {k: v for k, v in first.items() if k != "id"}
            own = {"dedup_key": f"copy-{n}", "address": f"copy-{n}@example.org"}
            conn.execute(outbox.insert().values(**{**copy, **own}))


@pytest.mark.parametrize("connecting", [0.0, 45.0])
def test_a_mail_under_way_is_never_leased_by_another(
    late: Any, post_office: Any, connecting: float
) -> None:
    copies(late, 60)
    passed, stolen = 0.0, list[str]()

    def opened() -> None:
        nonlocal passed
        passed += connecting

    def took(recipient: str) -> None:
        """Three seconds each, more at the end of the second minute; another worker looks."""
        nonlocal passed
        passed += 8 if 114 <= passed < 120 else 2.95
        with late.engine.begin() as conn:
            theirs = box.lease(conn, late.now + timedelta(seconds=passed), LEASE, 1000)
            stolen.extend(one.address for one in theirs if one.address == recipient)
            box.release(conn, [one for one in theirs if one.address != recipient])

    post_office.opened, post_office.took = opened, took
    for _ in range(6):
        now = late.now + timedelta(seconds=passed)
        send_due(late.engine, post_office.settings(), late.config, now, seconds=lambda: passed)
    assert stolen == []
    assert sorted(post_office.recipients) == sorted(m.address for m in late.mails())
    assert {m.state for m in late.mails()} == {"sent"}


def test_a_mail_server_that_wants_no_encryption_is_refused_when_we_demand_it(
    late: Any, post_office: Any
) -> None:
    strict = post_office.settings().model_copy(update={"smtp_starttls": True})
    assert send_due(late.engine, strict, late.config, late.now) == 0
    assert post_office.accepted == []
    assert outcomes(late) == ["unreachable"]
