"""Mails as bytes: safe headers, the same words in text and HTML, nothing remote."""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from worker import render as rendering
from worker.letter import Entry, Figure, Hit, Letter, Section
from worker.render import html_of, render, text_of

HOSTILE = [
    "=?utf-8?q?x=0ABcc=3Aevil=40example.org?=",
    "=?utf-8?b?eApCY2M6IGV2aWxAZXhhbXBsZS5vcmcKCmJvZHk=?=",
    "ACME\r\nBcc: evil@example.org",
    "ACME\nContent-Type: text/html\n\n<script>alert(1)</script>",
    "\u202eemca\u202c \u2066x\u2069 \u0000\u0007",
    "<img src=x onerror=alert(1)>",
    "</mj-text></mj-column><mj-include path='/etc/passwd' />",
    "{{ 7*7 }}{% include 'mail.txt.j2' %}",
    '"quoted" <evil@example.org>, evil@example.org',
    "x" * 5000,
    "\U0001f4a3 \u0130\u0131 \ufeff",
]


def entry(**words: Any) -> Entry:
    told = {
        "title": "PO 4711 not acknowledged by ACME",
        "severity": "high",
        "reason": "new",
        "since": "Mon 30 Mar 2026 09:00 Europe/Berlin (07:00 UTC)",
        "age": "1 d 2 h ago",
        "rule": "po.unacknowledged, version 874f75ccbfdb",
        "receipt": "released Mon 30 Mar 08:00; 4 bh (supplier tier is A)",
        "hurts": "1 customer order, 1 line, EUR 2,500",
        "hits": (Hit("SO-1 / 1", "Brandt", "Fri 10 Apr", "Tue 14 Apr (assumed)", "EUR 2,500"),),
        "more_hits": "and 3 more lines",
        "advice": "Call the order desk.",
        "owner": "Anna Weber",
        "state": "new",
        "case_url": "http://127.0.0.1:8501/case?id=1",
        "trace_label": "Trace the document",
        "trace_url": "http://127.0.0.1:8501/trace?ref=po:main:4711",
        **words,
    }
    return Entry(**told)  # type: ignore[arg-type]


def letter(*entries: Entry, **words: Any) -> Letter:
    told = {
        "to_name": "Anna Weber",
        "to_address": "anna@example.org",
        "subject": "[1 open, 1 new] PO not answered - ACME",
        "date": datetime(2026, 3, 30, 11, tzinfo=UTC),
        "message_id": "abc@northwind.example",
        "thread": "root@northwind.example",
        "list_id": "business",
        "company": "Northwind",
        "headline": "1 new: PO not answered",
        "intro": "1 case is open.",
        "figures": (Figure("1", "open cases", True),),
        "sections": (
            Section("New", entries or (entry(),), True),
            Section("Still open", (entry(title="PO 4712 waits"),), False, "and 4 more", "http://x"),
        ),
        "button_label": "Open the work list",
        "button_url": "http://127.0.0.1:8501/exceptions",
        "footer": "You get this mail as owner.",
        **words,
    }
    return Letter(**told)  # type: ignore[arg-type]


def parsed(raw: bytes) -> Any:
    return email.message_from_bytes(raw, policy=email.policy.default)


WANTED = [
    "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "List-Id",
    "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_header_recipient_or_markup(text: str) -> None:
    raw = render(
        letter(
            entry(title=text, receipt=text, advice=text, owner=text, reason=text,
                  hits=(Hit(text, text, text, text, text),)),
            subject=f"[1 new] PO not answered - {text}",
            to_name=text,
            company=text,
            headline=text,
            intro=text,
        ),
        "tower@northwind.example",
    )  # fmt: skip
    message = parsed(raw)
    assert sorted(message.keys()) == sorted(WANTED)
    assert [a.addr_spec for a in message["To"].addresses] == ["anna@example.org"]
    assert [a.addr_spec for a in message["From"].addresses] == ["tower@northwind.example"]
    assert len(str(message["Subject"])) <= 140
    html = message.get_body(("html",)).get_content()
    for markup in ("<script", "<img src=x", "onerror=alert(1)>", "mj-include path='/etc"):
        assert markup not in html
    for body in (html, message.get_body(("plain",)).get_content()):
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]", body)
        assert ("{{ 7*7 }}" in body) == ("{{ 7*7 }}" in text)  # shown as it is, never run


def test_text_and_html_say_the_same() -> None:
    one = letter()
    text, html = text_of(one), html_of(one)
    plain = re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.S))
    for words in (
        "1 new: PO not answered", "1 case is open.", "PO 4711 not acknowledged by ACME",
        "Mon 30 Mar 2026 09:00 Europe/Berlin (07:00 UTC)", "1 d 2 h ago",
        "po.unacknowledged, version 874f75ccbfdb", "4 bh (supplier tier is A)",
        "1 customer order, 1 line, EUR 2,500", "SO-1 / 1", "Brandt", "Fri 10 Apr",
        "Tue 14 Apr (assumed)", "and 3 more lines", "Call the order desk.", "Anna Weber",
        "PO 4712 waits", "and 4 more", "You get this mail as owner.",
    ):  # fmt: skip
        assert words in plain
        assert words in re.sub(r"\s+", " ", text)
    for link in ("/case?id=1", "/trace?ref=po:main:4711", "/exceptions"):
        assert link in text
        assert link in html


def test_nothing_is_fetched_from_outside_and_nothing_runs() -> None:
    html = html_of(letter())
    assert not re.search(r"<(img|script|link|iframe|form|object)\b", html)
    assert "url(" not in html
    assert "@import" not in html


def test_a_mail_is_the_same_bytes_each_time() -> None:
    assert render(letter(), "tower@x.example") == render(letter(), "tower@x.example")


def test_text_comes_first_and_lines_are_short_enough() -> None:
    raw = render(letter(), "tower@northwind.example")
    message = parsed(raw)
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_a_letter_whose_html_fails_goes_out_plain(caplog: Any) -> None:
    broken = replace(letter(), sections=(Section("New", (entry(severity="unheard of"),), True),))
    message = parsed(render(broken, "tower@northwind.example"))
    assert message.get_content_type() == "text/plain"
    assert "PO 4711 not acknowledged" in message.get_content()
    assert "A mail goes out plain" in caplog.text


def test_a_subject_with_letters_of_any_language_survives() -> None:
    named = letter(subject="[1 new] PO not answered - Bolt & Söhne Łódź 株式会社")
    subject = parsed(render(named, "tower@northwind.example"))["Subject"]
    assert subject == "[1 new] PO not answered - Bolt & Söhne Łódź 株式会社"


def test_a_header_that_is_not_ours_stops_the_mail() -> None:
    raw = render(letter(), "tower@northwind.example")
    smuggled = raw.replace(b"Auto-Submitted:", b"Bcc: evil@example.org\r\nAuto-Submitted:", 1)
    names = [name.lower() for name in WANTED if not name.startswith(("MIME", "Content"))]
    rendering._verify(raw, Counter(names))
    with pytest.raises(Exception, match="bcc"):
        rendering._verify(smuggled, Counter(names))


def test_the_text_fits_a_terminal_and_cuts_no_address() -> None:
    long = entry(
        title="PO 4500001234567 line 20 not acknowledged by " + "Rheinische Schrauben " * 4,
        advice="Call the order desk; " * 12,
        receipt="released Mon 30 Mar 08:00; " * 9,
        trace_url="http://127.0.0.1:8501/trace?ref=po:main:" + "4711" * 20,
    )
    text = text_of(letter(long))
    lines = text.splitlines()
    assert max(len(line) for line in lines if "http" not in line) <= 78
    assert "http://127.0.0.1:8501/trace?ref=po:main:" + "4711" * 20 in text
    begin = next(n for n, line in enumerate(lines) if line.startswith("  Advice:   "))
    assert lines[begin + 1][:12] == " " * 12, "what goes on stands under where it began"


def test_readers_who_prefer_the_dark_get_dark_cards_with_severities_that_stand_out() -> None:
    html = html_of(letter())
    assert "prefers-color-scheme: dark" in html
    assert '<meta name="color-scheme" content="light dark"' in html
    for name in ("low", "medium", "high", "critical"):
        assert f".card .{name}" in html
