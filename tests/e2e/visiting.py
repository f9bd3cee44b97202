"""A person before the screens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, expect
from sqlalchemy import Engine

from app.cookies import PLAIN
from db import accounts, passwords, sessions
from tower.access import Role
from tower.accounts import NotAnAccount

PATIENCE_S = 120
"""A machine may be slow: how long one waits before a page is taken for broken."""


def be_patient(context: BrowserContext) -> None:
    """Let all that is awaited in these windows, also by ``expect``, come late."""
    context.set_default_timeout(PATIENCE_S * 1000)
    expect.set_options(timeout=PATIENCE_S * 1000)


def sign_in(context: BrowserContext, database: Engine, address: str, name: str, role: Role) -> None:
    """Let these windows be of somebody of this role: a real session, without typing a password."""
    now = datetime.now(UTC)
    with database.begin() as conn:
        try:
            who = accounts.by_name(conn, name)
        except NotAnAccount:
            who = accounts.add(
                conn, name=name, password=passwords.made(), role=role, by="test", now=now
            )
        token = sessions.open_(conn, who.id, "password", address="", browser="", now=now)
    context.add_cookies([{"name": PLAIN, "value": token, "url": address}])


def settle(page: Page) -> None:
    """Wait until the server has run the page to its end and the browser has drawn it."""
    expect(page.get_by_test_id("stHeading").first).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    for unfinished in ("stSkeleton", "stAppSkeleton", "stStatusWidget"):
        expect(page.get_by_test_id(unfinished)).to_have_count(0)
    expect(page.locator('[data-stale="true"]')).to_have_count(0)


@dataclass(frozen=True, slots=True)
class Tower:
    """Screens at ``address``, ``mails`` as sent in order, the demo's ``answer``, an EDI order, its
    ``database``."""

    address: str
    mails: tuple[EmailMessage, ...]
    answer: dict[str, Any]
    edi_order: str
    database: Engine


@dataclass(slots=True)
class Visitor:
    """A person with a browser window; ``outside`` are requests that left the house."""

    page: Page
    tower: Tower
    outside: list[str]

    def open(self, path: str) -> None:
        address = path if path.startswith("http") else self.tower.address + path
        self.page.goto(address)
        self.settle()

    def settle(self) -> None:
        """Wait until the page has been drawn and the server is done with it."""
        settle(self.page)

    @property
    def main(self) -> Locator:
        """All below the navigation."""
        return self.page.get_by_test_id("stMain")
