"""A partner in a real browser: addresses of the other lead nowhere, hostile texts do nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import Engine

from app.cookies import PLAIN
from app.pages import PAGES
from db import accounts, passwords, sessions
from tests import two_partners
from tests.app.test_hostile_texts import NAME, told
from tests.app.test_two_partners import addresses, marks_against
from tests.e2e.serving import screens, windows
from tests.e2e.visiting import settle
from tests.hostile import EVIL
from tests.two_partners import ALDER, NETWORK, leaks, raw_of
from tower.access import Role, scope_of

pytestmark = pytest.mark.chromium


@pytest.fixture
def address(database_url: str) -> Iterator[str]:
    with screens({"TOWER_DATABASE_URL": database_url}) as served:
        yield served


@pytest.fixture
def context(chromium: str) -> Iterator[BrowserContext]:
    with windows(chromium, 1000) as made:
        yield made


def enter(context: BrowserContext, database: Engine, address: str, role: Role) -> None:
    now = datetime.now(UTC)
    with database.begin() as conn:
        who = accounts.add(
            conn, name=f"{role}-1", password=passwords.made(), role=role, by="test", now=now,
            partners=[ALDER] if role == "partner" else None,
        )  # fmt: skip
        token = sessions.open_(conn, who.id, "password", address="", browser="", now=now)
    context.clear_cookies()
    context.add_cookies([{"name": PLAIN, "value": token, "url": address}])


def test_addresses_of_the_other_show_nothing_of_it(
    address: str, database: Engine, context: BrowserContext
) -> None:
    two = two_partners.build(database, datetime.now(UTC).replace(second=0, microsecond=0))
    scope = scope_of("partner", frozenset({ALDER}))
    enter(context, database, address, "partner")
    page = context.new_page()
    received: list[bytes] = []
    page.on("websocket", lambda ws: ws.on("framereceived", lambda f: received.append(_raw(f))))
    for one in PAGES:
        if one.path in ("", "portal", "trace", "supplier", "case", "dead-letters"):
            query = addresses(one, two.briar)[0]
            page.goto(f"{address}/{one.path}?" + "&".join(f"{k}={v}" for k, v in query.items()))
            settle(page)
            said = page.content()
            assert leaks(said, marks_against(scope), [two.briar.key, *query.values()]) == [], query
    expect(page.get_by_test_id("stMain")).to_contain_text("Not for your role")
    frames = b"".join(received).decode("utf-8", "replace")
    assert leaks(frames, ("Briar Mill", two.briar.price, *two_partners.HOUSE_ALONE)) == []
    assert leaks(frames, ["Alder Forge"]), "what is its own was sent"


def _raw(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


def test_hostile_texts_run_load_and_ask_nothing(
    address: str, database: Engine, context: BrowserContext
) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    network = NETWORK.replace("name: Alder Forge", f"name: {json.dumps(NAME)}")
    raws = [raw_of(n, source, body, now) for n, (source, body) in enumerate(told(now))]
    two_partners.bring(database, network, raws, now)
    outside: list[str] = []
    opened: list[str] = []
    context.on("request", lambda r: outside.append(r.url) if EVIL in r.url else None)
    for role, paths in (
        ("support", ("", "purchase-orders", "exceptions", "case?id=3", "dead-letters", "suppliers",
                     f"supplier?id={ALDER}", "unmatched")),
        ("partner", ("portal",)),
    ):  # fmt: skip
        enter(context, database, address, role)  # type: ignore[arg-type]  # a role
        page = context.new_page()
        page.on("dialog", lambda d: (opened.append(d.message), d.dismiss()))
        for path in paths:
            page.goto(f"{address}/{path}")
            settle(page)
            assert _live(page) == [], path
        if pictures := os.environ.get("PICTURES"):
            page.screenshot(path=f"{pictures}/hostile-{role}.png")
        page.close()
    assert opened == []
    assert outside == []


def _live(page: Page) -> list[str]:
    """Elements that would load, run or lead to something of the corpus. An address that stands in
    a text may be a link, as long as it shows where it leads.
    """
    found: list[str] = page.evaluate(
        """host => [...document.querySelectorAll(
            '[onerror],[onload],[onmouseover],img,iframe,svg,a,form,script')]
          .filter(e => e.tagName !== 'A' || e.textContent !== e.getAttribute('href'))
          .filter(e => ['src', 'href', 'action'].some(n => (e.getAttribute(n) || '').includes(host)
            || /^javascript:/i.test(e.getAttribute(n) || ''))
            || (e.hasAttribute('onerror') && e.getAttribute('onerror').includes('alert'))
            || (e.hasAttribute('onload') && e.getAttribute('onload').includes('alert')))
          .map(e => e.outerHTML.slice(0, 200))""",
        EVIL,
    )
    return found
