"""From the search box to the lit bytes and back, and along the lineage, in a real browser."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from tests.app.papers import ORDER, bring
from tests.app.test_in_a_browser import address, page
from tests.e2e.visiting import settle

pytestmark = pytest.mark.chromium
__all__ = ["address", "page"]  # fixtures
ITEM = ORDER.split(b"PO1*")[1].split(b"~")[0].split(b"*")[8].decode()
NUMBER = ORDER.split(b"BEG*")[1].split(b"*")[2].decode()


def test_a_search_leads_to_the_bytes(
    address: str, page: Page, database: Engine, now: datetime
) -> None:
    bring(database, now)
    page.goto(f"{address}/trace")
    settle(page)
    box = page.get_by_role("textbox", name="Number or id")
    box.fill(ITEM)
    box.press("Enter")
    main = page.get_by_test_id("stMain")
    expect(main).to_contain_text("1 message")
    settle(page)
    table = page.get_by_test_id("stDataFrame").first
    expect(table.get_by_test_id("glide-cell-0-0")).to_have_text("order-77.edi")
    table.click(position={"x": 50, "y": 35 + 17})
    expect(page).to_have_url(re.compile(rf"byte={ORDER.index(ITEM.encode())}"))
    settle(page)
    # The found text is lit, with the field that was read from it.
    expect(page.locator("mark.on")).to_have_text(ITEM)
    expect(page.locator("button.f.on")).to_contain_text("item")
    # The other way: a value lights its bytes; bytes that nobody read have their element.
    qty = page.locator("button.f", has_text="lines[0].qty").first
    qty.click()
    expect(page.locator("mark.on")).to_have_text(ORDER.split(b"PO1*")[1].split(b"*")[1].decode())
    page.get_by_text("All elements", exact=True).click()
    settle(page)
    expect(page.locator(".seg").first).to_contain_text("ISA · interchange begins")


def test_the_lineage_is_walked_by_clicks(
    address: str, page: Page, database: Engine, now: datetime
) -> None:
    bring(database, now)
    page.goto(f"{address}/trace?ref=po:main:{NUMBER}&tab=lineage")
    settle(page)
    graph = page.locator(".chain")
    expect(graph.locator(".node.chosen")).to_contain_text("po.released")
    graph.locator('[data-node="raw:edi/order-77"]').click()
    expect(page).to_have_url(re.compile(r"node=raw%3Aedi"))
    settle(page)
    expect(graph.locator(".node.chosen")).to_contain_text("edi/order-77")
    expect(page.get_by_test_id("stMain")).to_contain_text("Interpretation")
