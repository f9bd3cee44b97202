"""From a kind of failure to letters that are resolved: a browser, a broker, two people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from db import configuration, replays
from tests.collectors.brokers import RabbitHost
from tests.e2e.serving import screens, windows
from tests.e2e.visiting import settle, sign_in
from tests.worker.replaying import REPLAY, SECRETS, Dock, number
from tower.access import Role
from worker.replay_checks import check_waiting

pytestmark = [pytest.mark.chromium, pytest.mark.rabbitmq]
COUNT = 22  # above this many a second person is needed


class Present(Dock):
    """A dock that stands at the present, as screens do."""

    def clock(self) -> datetime:
        self.now = datetime.now(UTC)
        return self.now

    def item_states(self) -> list[str]:
        with self.engine.connect() as conn:
            return [item.state for item in replays.items(conn, 1)]

    def work(self) -> None:
        """One round of what a worker does for replays."""
        check_waiting(self.engine, self.net, self.clock(), secrets=SECRETS)
        self.advance()


@pytest.fixture
def dock(database: Engine) -> Iterator[Present]:
    host = RabbitHost()
    made = Present(host, database)
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, made.text(REPLAY), made.clock())
    yield made
    host.close()


@pytest.fixture
def address(database_url: str, dock: Present) -> Iterator[str]:
    with screens({"TOWER_DATABASE_URL": database_url}) as served:
        yield served


@pytest.fixture
def page(chromium: str, address: str, database: Engine) -> Iterator[Page]:
    with windows(chromium, 1300) as context:
        sign_in(context, database, address, "local", "support")
        yield context.new_page()


def click_cell(page: Page, table: int, row: int) -> None:
    """The first cell of a row: cells are drawn on a canvas and clicked by their place."""
    grid = page.get_by_test_id("stDataFrame").nth(table)
    grid.click(position={"x": 60, "y": 31 * (row + 1) + 15})


def be(page: Page, dock: Present, address: str, name: str, role: Role) -> None:
    """Somebody else signs in at this window."""
    sign_in(page.context, dock.engine, address, name, role)
    page.reload()
    settle(page)


def test_from_the_kind_of_failure_to_resolved(address: str, page: Page, dock: Present) -> None:
    dock.dead(COUNT)
    main = page.get_by_test_id("stMain")
    page.goto(f"{address}/dead-letters")
    settle(page)
    expect(main).to_contain_text(f"1 kind of failure, {COUNT} letters")
    click_cell(page, 0, 0)
    expect(page).to_have_url(re.compile("fingerprint="))
    settle(page)
    expect(main).to_contain_text(f"showing {COUNT} of {COUNT}")
    page.get_by_role("button", name="Replay …").click()
    page.get_by_role("button", name="Freeze and try dry").click()
    expect(page).to_have_url(re.compile(r"/replays\?id=1"))
    expect(main).to_contain_text(f"{COUNT} letters wait for their verdict")
    dock.work()
    expect(main).to_contain_text("A second person must approve")  # the page follows by itself
    page.get_by_label("Type how many go out").fill(str(COUNT))
    page.get_by_label("Reason").fill("consumer mended")
    page.get_by_role("button", name="Confirm").click()
    expect(main).to_contain_text("another person must look")
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    dock.work()
    assert dock.arrived() == []
    settle(page)
    be(page, dock, address, "desk", "support")
    page.get_by_role("button", name="Approve").click()
    expect(main).to_contain_text("approved by desk")
    dock.work()  # one goes ahead
    expect(main).to_contain_text("the rest follows when one of it is seen")
    dock.applied(0)
    while "ready" in dock.item_states():
        dock.work()
    for n in range(1, COUNT):
        dock.applied(n)
    dock.work()
    expect(main).to_contain_text(f"{COUNT} of {COUNT} resolved")
    page.get_by_role("button", name="Sign off").click()
    expect(main).to_contain_text("signed off by desk")
    be(page, dock, address, "root", "admin")
    page.goto(f"{address}/audit?subject=replay:1")
    settle(page)
    expect(main).to_contain_text("verified up to")
    assert {item.state for item in dock.letters()} == {"resolved"}
    be(page, dock, address, "desk", "support")
    # the document that moved is one click away
    page.goto(f"{address}/trace?ref=po:main:{number(0)}")
    settle(page)
    expect(main).to_contain_text(number(0))
