"""The leaders' screens in a real browser: what only a browser can tell."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.desk import Desk

pytestmark = pytest.mark.chromium


@pytest.fixture
def address(database_url: str, shop: Desk) -> Iterator[str]:
    """The real server over the small shop."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "TOWER_DATABASE_URL": database_url, "TOWER_UI_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "app.serve"], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{url}/_stcore/health", timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not answer within a minute"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield found
        found.close()


def settled(page: Page) -> Page:
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_selector("[data-test-script-state=notRunning]", timeout=60_000)
    return page


def test_the_overview_tells_its_numbers_and_asks_nobody_outside(
    address: str, browser: Browser
) -> None:
    page = browser.new_page()
    outside: list[str] = []
    broken: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if _leaves(r.url, address) else None)
    page.on("console", lambda m: broken.append(m.text) if "Content Security" in m.text else None)
    page.goto(address)
    settled(page)
    page.get_by_text("EUR 1,000").first.wait_for()
    assert "PO not answered" in page.inner_text("body")
    page.wait_for_selector(".js-plotly-plot .barlayer")
    assert outside == []
    assert broken == []


def _leaves(url: str, address: str) -> bool:
    ours = (address, address.replace("http", "ws"), "data:", "blob:")
    return not url.startswith(ours)


def test_a_leader_walks_from_a_figure_to_the_orders_and_to_a_trace(
    address: str, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1200})
    page.goto(f"{address}/?supplier=acme")
    settled(page)
    page.get_by_role("link", name="the misses").first.click()
    page.wait_for_url("**/purchase-orders?*")
    settled(page)
    assert "view=ack_missed" in page.url
    assert "supplier=acme" in page.url
    table = page.locator("[data-testid=stDataFrame]").first
    table.wait_for()
    page.wait_for_timeout(500)  # the grid is drawn on a canvas, which tells nobody when it is done
    place = table.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + 50, place["y"] + 35 + 17)
    page.wait_for_url("**/trace?ref=po%3Amain%3A4500000007")


def test_a_choice_survives_the_way_back(address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{address}/purchase-orders")
    settled(page)
    page.get_by_text("Awaiting acknowledgement").click()
    page.wait_for_url("**/purchase-orders?view=awaiting_ack")
    page.get_by_text("ASN failed", exact=True).click()
    page.wait_for_url("**view=asn_failed")
    page.go_back()
    page.wait_for_url("**/purchase-orders?view=awaiting_ack")
    settled(page)
    page.get_by_text("showing 8 of 8").wait_for()
