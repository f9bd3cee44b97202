"""The screens in a real browser: from a mail to the bytes, and every page at two widths."""

from __future__ import annotations

import re
from email.message import EmailMessage

import pytest
from playwright.sync_api import expect

from tests.e2e.visiting import Tower, Visitor, sign_in

pytestmark = pytest.mark.chromium

PAGES = (
    "/",
    "/purchase-orders",
    "/purchase-orders?view=awaiting_ack",
    "/orders-at-risk",
    "/exceptions",
    "/queues",
    "/unmatched",
    "/dead-letters",
    "/replays",
    "/audit",
    "/access",
    "/access?view=roles",
    "/access?view=sessions",
    "/access?view=keys",
    "/rules",
    "/rules?view=try",
    "/rules?view=silences",
    "/health",
    "/mailbox",
    "/trace",
)

FOR_ADMINS = (
    "/audit",
    "/access",
    "/access?view=roles",
    "/access?view=sessions",
    "/access?view=keys",
)


def links(mail: EmailMessage) -> list[str]:
    body = mail.get_body(("plain",))
    assert body is not None
    return re.findall(r"http://127\.0\.0\.1:\d+/\S+", body.get_content())


def mail_about(tower: Tower, words: str) -> EmailMessage:
    for mail in tower.mails:
        if words in mail["subject"] and "new" in mail["subject"]:
            return mail
    raise AssertionError(f"no mail says {words!r}: {[m['subject'] for m in tower.mails]}")


def test_two_clicks_lead_from_an_alert_mail_to_the_bytes(visitor: Visitor) -> None:
    mail = mail_about(visitor.tower, "PO not answered")
    case_link = next(link for link in links(mail) if "/case?id=" in link)
    visitor.open(case_link)  # the first click, in the mail program
    expect(visitor.main).to_contain_text("not acknowledged")
    visitor.page.get_by_role("link", name=re.compile("^Trace PO")).click()  # the second
    visitor.page.wait_for_url(re.compile(r"/trace\?ref=po"))
    visitor.settle()
    number = re.search(r"450\d{7}", visitor.page.url)
    assert number is not None
    expect(visitor.page.locator("pre.raw")).to_contain_text(number[0])
    expect(visitor.page.locator(".ladder .step")).to_have_count(6)
    assert not visitor.outside


def test_a_field_lights_its_bytes_and_the_reverse(visitor: Visitor) -> None:
    visitor.open(f"/trace?ref={visitor.tower.edi_order}")
    rows = visitor.page.locator(".fall .row:not(.head)")
    rows.filter(has_text="po.released").filter(has_text="edi").first.click()
    visitor.page.wait_for_url(re.compile("event="))
    visitor.settle()
    field = visitor.page.locator(".fields .f[data-mark]", has_text="BEG03")
    field.hover()
    lit = visitor.page.locator(".raw mark.on")
    expect(lit).to_have_text([visitor.tower.edi_order])
    visitor.page.locator("h1").hover()
    expect(lit).to_have_count(0)
    visitor.page.locator(".raw mark", has_text=visitor.tower.edi_order).first.hover()
    expect(visitor.page.locator(".fields .f.on")).to_contain_text("BEG03")


def test_a_chosen_event_stands_in_the_address_and_survives_a_reload(visitor: Visitor) -> None:
    mail = mail_about(visitor.tower, "PO not answered")
    trace = next(link for link in links(mail) if "/trace?ref=" in link)
    visitor.open(trace)
    raw = visitor.page.locator("pre.raw")
    at_first = raw.inner_text()
    visitor.page.locator(".fall .row:not(.head)").first.click()
    visitor.page.wait_for_url(re.compile("event=0"))
    expect(raw).not_to_have_text(at_first)
    expect(visitor.page.locator(".fall .row.chosen")).to_have_count(1)
    chosen = raw.inner_text()
    visitor.page.reload()
    expect(raw).to_have_text(chosen)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_draws_at_both_widths_without_asking_outside(
    any_visitor: Visitor, path: str
) -> None:
    if path in FOR_ADMINS:
        tower = any_visitor.tower
        sign_in(any_visitor.page.context, tower.database, tower.address, "root", "admin")
    any_visitor.open(path)
    wrong = re.compile("could not be drawn|Traceback|Not for your role")
    expect(any_visitor.main).not_to_contain_text(wrong)
    # Wider than the window only while it is being laid out.
    any_visitor.page.wait_for_function(
        """() => { const m = document.querySelector('[data-testid="stMain"]');
                   return m.scrollWidth - m.clientWidth <= 1; }"""
    )
    assert not any_visitor.outside


def test_the_mail_is_shown_as_sent_in_a_closed_frame(visitor: Visitor) -> None:
    visitor.open("/mailbox")
    frame = visitor.page.locator("iframe.letter")
    expect(frame).to_be_visible()
    assert "allow-scripts" not in (frame.get_attribute("sandbox") or "")
    inside = visitor.page.frame_locator("iframe.letter").locator("body")
    expect(inside).to_contain_text(re.compile("open cases|settled|acknowledged|silent"))
