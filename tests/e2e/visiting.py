"""A person before the screens."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from playwright.sync_api import Page


@dataclass(frozen=True, slots=True)
class Tower:
    """Screens at ``address``, ``mails`` as sent in order, the demo's ``answer``, an EDI order."""

    address: str
    mails: tuple[EmailMessage, ...]
    answer: dict[str, Any]
    edi_order: str


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
        self.page.wait_for_selector('[data-testid="stHeading"]', timeout=30_000)
        self.page.wait_for_function(
            """() => !document.querySelector('[data-testid="stStatusWidget"]')
                  && !document.querySelector('[data-stale="true"]')""",
            timeout=30_000,
        )

    def text(self) -> str:
        return self.page.inner_text('[data-testid="stMain"]')
