"""Mails that came back: only ours count, dead addresses are left alone, the fallback is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from db import bounces as kept
from db.tables import delivery, told
from tower.bounces import NotABounce, read
from worker.bounces import take
from worker.mailer import send_due


def notice(
    message_id: str,
    *,
    action: str = "failed",
    status: str = "5.1.1",
    said: str = "smtp; 550 5.1.1 <anna@example.org>: user unknown",
    original: str = "message/rfc822",
) -> bytes:
    """A notification as Postfix writes it."""
    return f"""From: MAILER-DAEMON@mail.example (Mail Delivery System)
To: tower@northwind.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B/1"

--B/1
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--B/1
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example
X-Postfix-Queue-ID: 4F2

Final-Recipient: rfc822; anna@example.org
Original-Recipient: rfc822;anna@example.org
Action: {action}
Status: {status}
Diagnostic-Code: {said}

--B/1
Content-Type: {original}

From: tower@northwind.example
To: anna@example.org
Subject: hello
Message-ID: <{message_id}>

--B/1--
""".replace("\n", "\r\n").encode()


@pytest.fixture
def sent(house: Any, post_office: Any) -> Any:
    """A house whose one mail, to anna, was taken by the mail server."""
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    now = house.mails()[0].created_at
    assert send_due(house.engine, post_office.settings(), house.config, now) == 1
    house.now = now
    return house


def take_it(house: Any, raw: bytes, minutes: int = 5) -> list[Any]:
    return take(house.engine, house.config, raw, house.now + timedelta(minutes=minutes))


def outcomes(house: Any) -> list[str]:
    return [row.outcome for row in house.rows(select(delivery).order_by(delivery.c.id))]


def test_a_dead_address_is_left_alone_and_the_fallback_is_told(sent: Any) -> None:
    [mail] = sent.mails()
    [back] = take_it(sent, notice(mail.message_id))
    assert (back.effect, back.dead, back.status) == ("fallback_told", True, "5.1.1")
    assert sent.mails()[0].state == "failed"
    assert outcomes(sent) == ["accepted", "bounced"]
    [broken] = sent.cases("MAIL_FAILED")
    assert "came back: 5.1.1" in broken.why["answer"]
    with sent.engine.connect() as conn:
        assert list(kept.dead(conn)) == ["anna@example.org"]
    sent.live("03-30 14:00")
    fallback = [m for m in sent.mails() if m.recipient == "purchasing_desk"]
    assert [m.subject for m in fallback] == ["[1 open, 1 new] PO not answered - ACME Fasteners Ltd"]
    # What happens later goes to the fallback at once, nothing more to the dead address.
    sent.released("4712", "03-30 13:00")
    sent.live("03-31 12:00")
    assert [m.id for m in sent.mails() if m.address == "anna@example.org"] == [mail.id]
    numbers = {c.id: c.number for c in sent.cases()}
    heard = {numbers[r.case_id] for r in sent.rows(select(told)) if r.role == "fallback"}
    assert heard == {"4711", "4712"}
    # Who fell in for the address hears of the end, too.
    sent.acknowledged("4711", "03-31 13:00")
    sent.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-31 13:00")
    sent.live("04-01 09:00")
    assert ("purchasing_desk", "closed") in {
        (r.recipient, r.what) for r in sent.rows(select(told)) if numbers[r.case_id] == "4711"
    }


def test_the_same_notice_twice_acts_once(sent: Any) -> None:
    raw = notice(sent.mails()[0].message_id)
    assert [take_it(sent, raw)[0].effect for _ in range(2)] == ["fallback_told", "known"]
    assert len(sent.cases("MAIL_FAILED")) == 1


def test_a_delay_is_only_logged(sent: Any) -> None:
    [mail] = sent.mails()
    raw = notice(mail.message_id, action="delayed", status="4.4.1", said="smtp; 451 later")
    assert take_it(sent, raw)[0].effect == "logged"
    assert outcomes(sent) == ["accepted", "delayed"]
    assert sent.mails()[0].state == "sent"
    assert sent.cases("MAIL_FAILED") == []


def test_a_full_mailbox_loses_the_mail_and_not_the_address(sent: Any) -> None:
    raw = notice(sent.mails()[0].message_id, status="5.2.2", said="smtp; 552 mailbox full")
    [back] = take_it(sent, raw)
    assert (back.effect, back.dead) == ("fallback_told", False)
    with sent.engine.connect() as conn:
        assert kept.dead(conn) == {}


def test_a_notice_about_a_mail_that_is_not_ours_changes_nothing(sent: Any) -> None:
    """Fails when a notice is believed without the Message-ID of a mail that we sent: anybody could
    cut off anybody's mails by writing to our sender address."""
    [back] = take_it(sent, notice("forged@evil.example"))
    assert back.effect == "not_ours"
    assert sent.mails()[0].state == "sent"
    with sent.engine.connect() as conn:
        assert kept.dead(conn) == {}
    assert outcomes(sent) == ["accepted"]


def test_an_address_that_is_tried_again_gets_mails_again(sent: Any) -> None:
    take_it(sent, notice(sent.mails()[0].message_id))
    with sent.engine.begin() as conn:
        assert kept.forget(conn, "anna@example.org")
        assert not kept.forget(conn, "anna@example.org")
    sent.released("4712", "03-30 13:00")
    sent.live("03-31 12:00")
    assert [m for m in sent.mails() if m.address == "anna@example.org" and m.reason == "new"][1:]


def test_headers_alone_or_the_answered_mail_name_it_too() -> None:
    [found] = read(notice("a@b.example", original="text/rfc822-headers"))
    assert found.message_id == "a@b.example"
    answering = notice("a@b.example", original="text/plain").replace(
        b"Auto-Submitted", b"In-Reply-To: <c@d.example>\r\nAuto-Submitted"
    )
    assert read(answering)[0].message_id == "c@d.example"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "no part message/delivery-status"),
        (b"Subject: out of office\r\n\r\nback on Monday", "no part message/delivery-status"),
        (notice("x").replace(b"Message-ID: <x>", b"X-Nothing: y"), "does not name the Message-ID"),
        (notice("a@b.example").replace(b"Action:", b"X-Action:"), "names no recipient"),
        (b"x" * (5 * 1024 * 1024 + 1), "larger than"),
        (b"Content-Type: multipart/report; boundary=\xff\xfe\r\n\r\n--\xff\r\n\x00", "no part"),
    ],
)
def test_what_is_no_notice_is_refused_with_words(raw: bytes, said: str) -> None:
    with pytest.raises(NotABounce, match=said):
        read(raw)


def test_hostile_fields_stay_one_line() -> None:
    raw = notice("a@b.example", said="smtp; 550 no\r\n \x00Bcc: x\u202e")
    [found] = read(raw)
    assert "\n" not in found.words
    assert "\x00" not in found.words
