"""The screens in a real browser: from a mail to the bytes, and every page at two widths."""

from __future__ import annotations

import re
from email.message import EmailMessage

import pytest
from playwright.sync_api import expect

from tests.e2e.visiting import Tower, Visitor

pytestmark = pytest.mark.chromium

PAGES = (
    "/",
    "/purchase-orders",
    "/purchase-orders?view=awaiting_ack",
    "/orders-at-risk",
    "/exceptions",
    "/queues",
    "/health",
    "/mailbox",
    "/trace",
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
    assert "not acknowledged" in visitor.text()
    visitor.page.get_by_role("link", name=re.compile("^Trace PO")).click()  # the second
    visitor.page.wait_for_url(re.compile(r"/trace\?ref=po"))
    visitor.settle()
    raw = visitor.page.locator("pre.raw")
    raw.wait_for(timeout=30_000)
    number = re.search(r"450\d{7}", visitor.page.url)
    assert number is not None
    assert number[0] in raw.inner_text()
    assert visitor.page.locator(".ladder .step").count() == 6
    assert not visitor.outside


def test_a_field_lights_its_bytes_and_the_reverse(visitor: Visitor) -> None:
    visitor.open(f"/trace?ref={visitor.tower.edi_order}")
    rows = visitor.page.locator(".fall .row:not(.head)")
    rows.filter(has_text="po.released").filter(has_text="edi").first.click()
    visitor.page.wait_for_url(re.compile("event="))
    visitor.settle()
    field = visitor.page.locator(".fields .f[data-mark]", has_text="BEG03")
    field.wait_for(timeout=30_000)
    field.hover()
    lit = visitor.page.locator(".raw mark.on")
    assert lit.all_inner_texts() == [visitor.tower.edi_order]
    visitor.page.locator("h1").hover()
    assert lit.count() == 0
    visitor.page.locator(".raw mark", has_text=visitor.tower.edi_order).first.hover()
    assert "BEG03" in visitor.page.locator(".fields .f.on").inner_text()


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
    expect(raw).to_have_text(chosen, timeout=30_000)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_draws_at_both_widths_without_asking_outside(
    any_visitor: Visitor, path: str
) -> None:
    any_visitor.open(path)
    text = any_visitor.text()
    assert "could not be drawn" not in text
    assert "Traceback" not in text
    overflow = any_visitor.page.evaluate(
        """() => { const m = document.querySelector('[data-testid="stMain"]');
                   return m.scrollWidth - m.clientWidth; }"""
    )
    assert overflow <= 1, f"{path} is wider than the window by {overflow} px"
    assert not any_visitor.outside


def test_the_mail_is_shown_as_sent_in_a_closed_frame(visitor: Visitor) -> None:
    visitor.open("/mailbox")
    frame = visitor.page.locator("iframe.letter")
    frame.wait_for(timeout=30_000)
    assert "allow-scripts" not in (frame.get_attribute("sandbox") or "")
    inside = visitor.page.frame_locator("iframe.letter").locator("body")
    assert re.search(r"open cases|settled|acknowledged|silent", inside.inner_text())
