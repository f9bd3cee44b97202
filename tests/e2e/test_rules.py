"""The Rules page and the feedback on a case in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.test_browser import links, mail_about
from tests.e2e.visiting import Visitor

pytestmark = pytest.mark.chromium


def test_a_rule_opens_from_the_list_and_explains_a_document_of_it(visitor: Visitor) -> None:
    page, main = visitor.page, visitor.main
    visitor.open("/rules")
    expect(main.get_by_test_id("stDataFrame").first).to_be_visible()
    expect(main).to_contain_text("Who is told, and when")
    visitor.open("/rules?rule=po.unacknowledged")
    expect(main).to_contain_text("there must be PO acknowledged, PO rejected or ASN received")
    expect(main).to_contain_text("How long they have")
    mail = mail_about(visitor.tower, "PO not answered")
    visitor.open(next(link for link in links(mail) if "/case?id=" in link))
    page.get_by_role("link", name="Explain").click()
    page.wait_for_url(re.compile(r"/rules\?.*view=explain"))
    visitor.settle()
    expect(main).to_contain_text(re.compile("breached|met late"))
    expect(main).to_contain_text("po.unacknowledged")
    expect(main).to_contain_text("Sources that could have told")
    assert not visitor.outside


def test_a_mistake_in_an_edited_book_stands_at_its_line(visitor: Visitor) -> None:
    page, main = visitor.page, visitor.main
    visitor.open("/rules?view=try")
    editor = page.get_by_label("Rule book", exact=True)
    editor.fill("version: 1\nrules:\n- {id: po.late, kind: deadlin}\n")
    page.get_by_role("button", name="Check only").click()
    expect(main).to_contain_text("line 3, column")
    expect(main).to_contain_text("deadlin")


def test_one_click_and_a_reason_say_that_an_alert_was_useful(visitor: Visitor) -> None:
    page, main = visitor.page, visitor.main
    mail = mail_about(visitor.tower, "PO not answered")
    address = next(link for link in links(mail) if "/case?id=" in link)
    visitor.open(address)
    page.get_by_role("button", name="Useful").click()
    page.get_by_role("button", name="Say useful").click()
    expect(main).to_contain_text("useful: we acted on it")
    visitor.open(address)  # it is written down, not only shown
    expect(main).to_contain_text("useful: we acted on it")
    visitor.open("/rules?rule=po.unacknowledged")
    expect(main).to_contain_text("1 of 1 judged")
