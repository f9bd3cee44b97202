"""Who hears what and when: groups, office hours, summaries, and "told open is told closed"."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from db import cases as kept
from db.tables import group_member, suppression, told
from tower.access import EVERYTHING


def text_of(row: Any) -> str:
    """The plain text on one line, as its folding is no matter here."""
    message = email.message_from_bytes(row.message, policy=email.policy.default)
    return " ".join(message.get_body(("plain",)).get_content().split())  # type: ignore[union-attr]


def html_of(row: Any) -> str:
    message = email.message_from_bytes(row.message, policy=email.policy.default)
    return str(message.get_body(("html",)).get_content())  # type: ignore[union-attr]


def test_four_late_orders_make_one_mail_that_says_everything(house: Any) -> None:
    for n in range(4):  # one more would be one cause, told as one case
        house.released(f"471{n}", "03-30 08:00")
    house.live("03-30 12:12")
    assert house.mails() == []  # collected for five minutes, then past lunch
    house.live("03-30 13:00")
    [mail] = house.mails()
    assert mail.subject == "[4 open, 4 new] PO not answered - ACME Fasteners Ltd"
    assert (mail.recipient, mail.address) == ("anna", "anna@example.org")
    for body in (text_of(mail), html_of(mail)):
        assert "PO 4710 not acknowledged by ACME Fasteners Ltd" in body
        assert "Mon 30 Mar 2026 12:00 Europe/Berlin (10:00 UTC)" in body
        assert "released Mon 30 Mar 08:00" in body
        assert "supplier tier is A" in body
        assert "po.unacknowledged, version" in body
        assert "Call the order desk" in body
        assert "Anna Weber" in body
        assert "http://127.0.0.1:8501/case?id=1" in body
        assert "http://127.0.0.1:8501/trace?ref=po:main:4710" in body


def test_text_and_html_name_the_same_cases_and_links(house: Any) -> None:
    for n in range(3):
        house.released(f"471{n}", "03-30 08:00")
    house.live("03-30 13:00")
    [mail] = house.mails()
    text, html = text_of(mail), html_of(mail)
    for n in range(3):
        assert text.count(f"/case?id={n + 1}") >= 1
        assert html.count(f"/case?id={n + 1}") >= 1
    assert "http" not in html.replace("http://127.0.0.1:8501", "").replace(
        "http://www.w3.org", ""
    ).replace("http-equiv", "")


def test_more_of_the_same_waits_half_an_hour_and_lists_what_is_still_open(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.released("4712", "03-30 08:20")
    house.live("03-30 13:00")
    house.live("03-30 13:25")
    assert len(house.mails()) == 1
    house.live("03-30 13:36")
    first, second = house.mails()
    assert second.subject == "[2 open, 1 new] PO not answered - ACME Fasteners Ltd"
    assert "STILL OPEN" in text_of(second)
    # Both belong to one thread of that day.
    root = [
        email.message_from_bytes(m.message, policy=email.policy.default)["References"]
        for m in (first, second)
    ]
    assert root[0] == root[1]
    assert first.message_id != second.message_id


def test_a_case_at_closing_time_is_told_next_morning(house: Any) -> None:
    house.released("4711", "03-30 12:50")  # counts from 13:00, due 17:00
    house.live("03-30 17:15")
    assert house.cases()[0].state == "new"
    house.live("03-31 07:59")
    assert house.mails() == []
    house.live("03-31 08:00")
    assert [m.reason for m in house.mails()] == ["new"]


def test_who_was_told_open_is_told_closed_in_the_summary(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    house.acknowledged("4711", "03-30 14:00")
    house.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 14:30")
    house.live("03-30 15:00")
    assert [m.reason for m in house.mails()] == ["new"]  # closings alone wait for the summary
    house.live("03-31 08:00")
    new, summary = house.mails()
    assert summary.subject == "[0 open, 1 settled] Daily summary"
    assert "settled: it came, late" in text_of(summary)
    [row] = house.rows(select(told))
    assert (row.what, row.outbox_id) == ("closed", summary.id)
    house.live("04-01 08:30")
    assert len(house.mails()) == 2  # nothing is open any more: no further summaries
    assert new.id < summary.id


def test_the_summary_repeats_what_is_still_open_each_morning(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    house.live("03-31 08:00")
    house.live("03-31 12:00")
    [_, summary] = house.mails()
    assert summary.subject == "[1 open] Daily summary"
    assert summary.reason == "digest"


def test_what_opened_and_closed_before_its_mail_is_only_in_the_summary(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.released("4712", "03-30 08:00")
    house.acknowledged("4711", "03-30 12:11")
    house.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 12:30")
    house.live("03-30 12:12")
    house.live("03-30 13:00")
    [mail] = house.mails()
    assert mail.subject == "[1 open, 1 new] PO not answered - ACME Fasteners Ltd"
    assert "4711" not in text_of(mail)
    assert [row.reason for row in house.rows(select(suppression))] == ["closed before its mail"]
    house.live("03-31 08:00")
    summary = house.mails()[-1]
    assert summary.reason == "digest"
    assert "OPENED AND SETTLED MEANWHILE" in text_of(summary)
    assert "4711" in text_of(summary)


def test_critical_cases_do_not_wait_and_technical_closings_go_at_once(house: Any) -> None:
    house.until("03-28 08:00")  # a Saturday
    house.until("03-28 20:00", fresh=False)
    [mail] = house.mails()
    assert mail.subject == "[3 open, 3 new] Source silent beyond its rhythm - 3 sources"
    assert mail.recipient == "it_integration"
    house.live("03-28 21:00")
    house.live("03-28 21:16")
    assert house.mails()[-1].reason == "closed"


def test_beyond_the_days_number_of_mails_the_rest_waits_for_the_summary(
    make_house: Callable[..., Any], rules_of: Callable[[str], Any], shipped_text: str
) -> None:
    house = make_house(rules_of(shipped_text.replace("max_per_day: 20", "max_per_day: 1")))
    house.released("4711", "03-30 08:00")
    house.released("4712", "03-30 08:30")
    house.live("03-30 13:00")
    house.live("03-30 14:00")
    house.live("03-30 15:00")
    assert len(house.mails()) == 1
    assert len(house.rows(select(group_member))) == 1
    house.live("03-31 08:00")
    summary = house.mails()[-1]
    assert summary.subject == "[2 open, 1 new] Daily summary"
    assert "NEW, HELD BACK" in text_of(summary)
    assert house.rows(select(group_member)) == []


def test_a_snoozed_case_is_silent_until_the_snooze_ends(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.live("03-30 12:12")
    [case] = house.cases()
    until = case.detected_at.replace(hour=13)
    with house.engine.begin() as conn:
        kept.snooze(conn, EVERYTHING, case.id, "anna", until, case.detected_at)
    house.live("03-30 13:00")
    assert house.mails() == []
    house.live("03-30 15:16")
    [mail] = house.mails()
    assert mail.reason == "new"


def test_a_case_passed_on_is_told_to_both(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    [case] = house.cases()
    with house.engine.begin() as conn:
        kept.assign(conn, EVERYTHING, case.id, "anna", "ben", case.detected_at)
    house.live("03-30 13:10")
    house.live("03-31 08:00")
    by_reader = {m.recipient: m for m in house.mails() if m.id > 1}
    assert by_reader["ben"].reason == "new"
    assert "passed to Ben Okafor" in text_of(by_reader["anna"])


def test_repaired_by_hand_and_still_true_comes_back_next_business_morning(house: Any) -> None:
    house.released("4711", "03-27 08:00")  # a Friday
    house.live("03-27 13:00")
    [case] = house.cases()
    with house.engine.begin() as conn:
        kept.resolve(conn, EVERYTHING, case.id, "anna", "repaired", "called them", case.detected_at)
    house.live("03-27 15:00")
    assert house.cases()[0].state == "resolved"
    house.live("03-30 08:00")
    [case] = house.cases()
    assert (case.state, case.reopened) == ("new", 1)
    assert house.notes(case.id)[-1] == ("reopened", "still true")


def test_a_false_alarm_stays_closed_though_its_facts_stand(house: Any) -> None:
    house.released("4711", "03-27 08:00")
    house.live("03-27 13:00")
    [case] = house.cases()
    with house.engine.begin() as conn:
        kept.resolve(conn, EVERYTHING, case.id, "anna", "false_alarm", "phoned", case.detected_at)
    house.live("03-31 12:00")
    assert [c.resolution for c in house.cases()] == ["false_alarm"]


def test_facts_from_before_the_rule_book_was_activated_open_silently(
    make_house: Callable[..., Any], house: Any
) -> None:
    began = house.event("po.held", {"po": "1", "erp": "main"}, "03-30 15:00").occurred_at
    quiet = make_house(quiet_before=began)
    quiet.released("4711", "03-30 08:00")
    quiet.released("4712", "03-30 13:00")
    quiet.live("03-30 17:30")
    quiet.live("03-31 08:00")
    assert {c.number for c in quiet.cases()} == {"4711", "4712"}
    assert {row.reason for row in quiet.rows(select(suppression))} == {"before activation"}
    assert all("4711" not in text_of(m) for m in quiet.mails())
    assert any("4712" in text_of(m) for m in quiet.mails())


def test_a_quieting_case_keeps_another_quiet_and_lets_it_speak_when_it_ends(
    make_house: Callable[..., Any], rules_of: Callable[[str], Any], shipped_text: str
) -> None:
    changed = shipped_text.replace(
        "inhibited_by: [{rule: partner.errors, same: [partner]}]",
        "inhibited_by: [{rule: po.unacknowledged, same: [supplier]}]",
        1,
    )
    house = make_house(rules_of(changed))
    house.released("4711", "03-30 08:00")
    house.live("03-30 13:00")
    asn = {"asn": "A-1", "supplier": "ACME"}
    house.tell("asn.rejected", {**asn, "reason": "carton count"}, "03-30 13:10")
    house.live("03-30 14:00")
    assert [m.reason for m in house.mails()] == ["new"]
    assert any("inhibited by case" in r.reason for r in house.rows(select(suppression)))
    house.acknowledged("4711", "03-30 14:10")
    house.tell("po.answer_applied", {"po": "4711", "erp": "main"}, "03-30 14:10")
    house.live("03-30 14:10")
    house.live("03-30 14:20")
    assert house.mails()[-1].subject == "[1 open, 1 new] ASN failed a check - ACME Fasteners Ltd"


def test_what_the_tower_found_late_is_not_blamed_on_the_partner(house: Any) -> None:
    house.released("4711", "03-30 08:00")
    house.until("03-30 15:00")  # nobody judged since the morning
    house.live("03-30 15:10")
    [mail] = house.mails()
    assert "found 2 h 50 min late, as the tower was not judging then" in text_of(mail)
