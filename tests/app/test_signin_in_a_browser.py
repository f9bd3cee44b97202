"""Signing in and out in a real browser, and what an open page shows after its session ended."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from db import accounts, demo_people, engine, sessions
from tests.desk import Desk
from tests.e2e.serving import screens, windows
from tests.e2e.visiting import settle

pytestmark = pytest.mark.chromium


@pytest.fixture
def address(database_url: str, shop: Desk, tmp_path: Path) -> Iterator[str]:
    """The server of a demo: with accounts of its own, in its own home."""
    folder = tmp_path / "demo"
    folder.mkdir()
    database = engine.create(database_url)
    with database.begin() as conn:
        people = [("lea", "Lea, procurement leader", "leader"), ("ada", "Ada, admin", "admin")]
        demo_people.prepare(conn, folder, people, "acme", datetime.now(UTC))  # type: ignore[arg-type]
    database.dispose()
    assert (folder / demo_people.FILE).stat().st_mode & 0o077 == 0
    home = {"TOWER_HOME": str(tmp_path), "TOWER_NETWORK": str(folder / "network.yaml")}
    with screens({"TOWER_DATABASE_URL": database_url, **home}) as served:
        yield served


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    with windows(chromium, 1000) as context:
        yield context.new_page()


def test_in_with_a_click_out_by_oneself_and_out_by_an_admin(
    address: str, page: Page, database: Engine
) -> None:
    pictures = os.environ.get("PICTURES")
    page.goto(f"{address}/purchase-orders?view=awaiting_ack")
    expect(page).to_have_url(re.compile(r"/signin\?next="))
    if pictures:
        page.screenshot(path=f"{pictures}/signin.png")
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=f"{pictures}/signin-dark.png")
        page.emulate_media(color_scheme="light")
    page.locator('button[data-role="leader"]').click()
    expect(page).to_have_url(re.compile(r"/purchase-orders\?view=awaiting_ack"))
    settle(page)
    main = page.get_by_test_id("stMain")
    expect(main).to_contain_text("4500000007")
    page.goto(f"{address}/audit")
    settle(page)
    expect(main).to_contain_text("Not for your role")
    page.goto(f"{address}/purchase-orders")
    settle(page)
    page.get_by_role("button", name="lea").click()
    expect(page.get_by_text("Lea, procurement leader")).to_be_visible()
    if pictures:
        page.screenshot(path=f"{pictures}/account.png")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(r"/signin\?out=1"))
    page.goto(f"{address}/purchase-orders")
    expect(page).to_have_url(re.compile(r"/signin\?next="))
    page.locator('button[data-role="leader"]').click()
    settle(page)
    expect(main).to_contain_text("4500000007")
    with database.begin() as conn:
        lea = accounts.by_name(conn, "lea")
        assert sessions.sign_out(conn, lea.id, "lea", by="ada", now=datetime.now(UTC)) == 1
    # Nobody touches the page.
    expect(main).to_contain_text("You are signed out")
    expect(main).not_to_contain_text("4500000007")
    if pictures:
        page.screenshot(path=f"{pictures}/blank.png")
    page.get_by_role("link", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/signin\?next=%2Fpurchase-orders"))


def test_an_admin_lets_somebody_in_and_ends_what_they_have_open(
    address: str, page: Page, database: Engine
) -> None:
    pictures = os.environ.get("PICTURES")
    page.goto(f"{address}/access")
    page.locator('button[data-role="admin"]').click()
    settle(page)
    main = page.get_by_test_id("stMain")
    page.get_by_role("textbox", name="Name", exact=True).fill("Ben")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(main).to_contain_text("Password of ben")
    settle(page)
    if pictures:
        page.screenshot(path=f"{pictures}/access.png")
    with database.begin() as conn:
        assert accounts.by_name(conn, "ben").made_by == "ada"
        lea = accounts.by_name(conn, "lea")
        sessions.open_(conn, lea.id, "password", address="", browser="", now=datetime.now(UTC))
    page.goto(f"{address}/access?view=sessions")
    settle(page)
    expect(main.get_by_test_id("stDataFrame")).to_be_visible()
    if pictures:
        page.screenshot(path=f"{pictures}/sessions.png")
    page.goto(f"{address}/access?view=roles")
    settle(page)
    expect(main).to_contain_text("nobody may")
