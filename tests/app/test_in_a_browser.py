"""The leaders' screens in a real browser: what only a browser can tell."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from tests.desk import Desk
from tests.e2e.serving import screens, windows
from tests.e2e.visiting import settle, sign_in

pytestmark = pytest.mark.chromium


@pytest.fixture
def address(database_url: str, shop: Desk) -> Iterator[str]:
    """The real server over the small shop."""
    with screens({"TOWER_DATABASE_URL": database_url}) as served:
        yield served


@pytest.fixture
def page(chromium: str, address: str, database: Engine) -> Iterator[Page]:
    """A window of support, wide and high enough for every table of these pages."""
    with windows(chromium, 1200) as context:
        sign_in(context, database, address, "sam", "support")
        yield context.new_page()


def test_the_overview_tells_its_numbers_and_asks_nobody_outside(address: str, page: Page) -> None:
    outside: list[str] = []
    broken: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if _leaves(r.url, address) else None)
    page.on("console", lambda m: broken.append(m.text) if "Content Security" in m.text else None)
    page.goto(address)
    settle(page)
    main = page.get_by_test_id("stMain")
    expect(main).to_contain_text("EUR 1,000")
    expect(main).to_contain_text("PO not answered")
    expect(page.locator(".js-plotly-plot .barlayer").first).to_be_visible()
    assert outside == []
    assert broken == []


def _leaves(url: str, address: str) -> bool:
    ours = (address, address.replace("http", "ws"), "data:", "blob:")
    return not url.startswith(ours)


def test_a_leader_walks_from_a_figure_to_the_orders_and_to_a_trace(
    address: str, page: Page
) -> None:
    page.goto(f"{address}/?supplier=acme")
    settle(page)
    page.get_by_role("link", name="the misses").first.click()
    expect(page).to_have_url(re.compile(r"/figures\?"))
    expect(page).to_have_url(re.compile("id=ack_on_time"))
    expect(page).to_have_url(re.compile("show=miss"))
    expect(page).to_have_url(re.compile("supplier=acme"))
    settle(page)
    table = page.get_by_test_id("stDataFrame").last
    # The cells are drawn on a canvas; the table for screen readers inside it comes with them.
    expect(table.get_by_test_id("glide-cell-0-0")).to_have_text("PO 4500000007")
    table.click(position={"x": 50, "y": 35 + 17})
    expect(page).to_have_url(re.compile(r"/trace\?ref=po%3Amain%3A4500000007"))


def test_a_choice_survives_the_way_back(address: str, page: Page) -> None:
    page.goto(f"{address}/purchase-orders")
    settle(page)
    page.get_by_text("Awaiting acknowledgement").click()
    expect(page).to_have_url(re.compile(r"/purchase-orders\?view=awaiting_ack$"))
    settle(page)
    page.get_by_text("ASN failed", exact=True).click()
    expect(page).to_have_url(re.compile("view=asn_failed$"))
    settle(page)
    page.go_back()
    expect(page).to_have_url(re.compile(r"/purchase-orders\?view=awaiting_ack$"))
    expect(page.get_by_test_id("stMain")).to_contain_text("showing 8 of 8")


@pytest.mark.parametrize("path", ["purchase-orders", "orders-at-risk", "exceptions"])
def test_a_list_is_downloaded_as_csv_and_as_a_workbook(
    address: str, page: Page, tmp_path: Path, path: str
) -> None:
    page.goto(f"{address}/{path}")
    settle(page)
    with page.expect_download() as csv_file:
        page.get_by_role("button", name="CSV").click()
    csv_file.value.save_as(tmp_path / "list.csv")
    text = (tmp_path / "list.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    with page.expect_download() as workbook:
        page.get_by_role("button", name="Excel").click()
    workbook.value.save_as(tmp_path / "list.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "list.xlsx").active
    assert [cell.value for cell in sheet[1]] == rows[0]
    assert sheet.max_row == len(rows) > 1
