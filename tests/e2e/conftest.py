"""A tower with ten days of the pretend distributor, its screens served, and a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from db import embedded, engine
from tests.e2e.serving import browsing, screens
from tests.e2e.visiting import Tower, Visitor, be_patient, sign_in
from tower import settings
from worker.demo import Options, run_once
from worker.demo.stage import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tower]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    home = tmp_path_factory.mktemp("tower")
    chosen = settings.load(
        home=home, network=ROOT / "network.yaml", rules=ROOT / "sla_rules.yaml", base_url=address
    )
    answer = run_once(chosen, Options(days=10, suppliers=40, pos_per_day=12))
    mails = tuple(
        message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in sorted((home / "once" / "mailbox").glob("*.eml"))
    )
    here = {"TOWER_HOME": str(home / "once"), "TOWER_BASE_URL": address}
    with embedded.running(home / "once"), screens(here, port=port, folder=home):
        database = engine.connect(settings.load(home=home / "once"))
        yield Tower(address, mails, answer, _an_edi_order(home / "once"), database)
        database.dispose()


def _an_edi_order(home: Path) -> str:
    """Number of an order that went out as X12, read from the file itself."""
    for path in sorted((home / "doors" / "edi_out" / "done").rglob("*.edi*")):
        found = re.search(rb"BEG.00.\w\w.(450\d{7})", path.read_bytes())
        if found:
            return found[1].decode()
    raise AssertionError("no order went out by EDI")


# Of this folder alone: while its driver runs, others of this process could not run a loop.
@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with browsing(chromium) as opened:
        yield opened


def _visit(
    browser: Browser, tower: Tower, width: int, scheme: Any
) -> tuple[BrowserContext, Visitor]:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        timezone_id="America/New_York",
    )
    be_patient(context)
    sign_in(context, tower.database, tower.address, "sam", "support")
    page = context.new_page()
    outside: list[str] = []
    page.on(
        "request",
        lambda request: (
            outside.append(request.url)
            if not request.url.startswith((tower.address, "data:", "blob:", "ws://127.0.0.1"))
            else None
        ),
    )
    return context, Visitor(page, tower, outside)


@pytest.fixture
def visitor(browser: Browser, tower: Tower) -> Iterator[Visitor]:
    context, who = _visit(browser, tower, 1440, "light")
    yield who
    context.close()


@pytest.fixture(params=[(1440, "light"), (1024, "dark")], ids=["1440-light", "1024-dark"])
def any_visitor(
    request: pytest.FixtureRequest, browser: Browser, tower: Tower
) -> Iterator[Visitor]:
    context, who = _visit(browser, tower, *request.param)
    yield who
    context.close()
