"""Screens over a database of the test's own, without a browser."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from sqlalchemy import Engine
from starlette.testclient import TestClient
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from app import data, serve
from db import accounts, engine, passwords, sessions
from tests.app.seen import Browser
from tests.desk import Desk
from tower import settings
from tower.access import EVERYTHING, Role, Scope

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"

Open = Callable[..., AppTest]
Seat = Callable[..., None]
Sit = Callable[[Scope | None], Browser]


@pytest.fixture(scope="session", autouse=True)
def components_once() -> Iterator[None]:
    """Streamlit looks for components in all that is installed, for every AppTest anew: 0.1 s each.

    Nothing is installed while tests run.
    """
    with pytest.MonkeyPatch.context() as patch:
        found = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", found)
        yield


@pytest.fixture
def seat(monkeypatch: pytest.MonkeyPatch) -> Seat:
    """Puts somebody before the screens: by default the operator, whom nothing is kept from.

    Browsers send a cookie; here there is none, so the session behind it is given.
    """
    before: list[sessions.Live] = []
    monkeypatch.setattr(data, "signed_in", lambda *, lately=False: before[-1])
    monkeypatch.setattr(data, "still_active", lambda live: None)

    def sit(name: str = "local", scope: Scope = EVERYTHING) -> None:
        before.append(sessions.Live(0, 0, name, "", scope))

    sit()
    return sit


@pytest.fixture(scope="session")
def addresses() -> dict[str, Any]:
    """The pages by the names that Streamlit gives them: filled by the first page that is drawn."""
    return {}


@pytest.fixture
def screens(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    seat: Seat,
    addresses: dict[str, Any],
) -> Iterator[Open]:
    """Opens a screen by its file and query parameters, as a person with its address would."""
    monkeypatch.setenv("TOWER_DATABASE_URL", database_url)
    st.cache_data.clear()
    st.cache_resource.clear()

    def open_screen(file: str | None = None, **query: str) -> AppTest:
        at = AppTest.from_file(str(MAIN), default_timeout=30)
        if file is not None:
            # An AppTest knows addresses only after a run: the front page need not be drawn, though,
            # before every other one.
            if not addresses:
                addresses.update(at.run()._registered_pages)
            at._registered_pages = dict(addresses)
            at.switch_page(f"screens/{file}.py")
        for name, value in query.items():
            at.query_params[name] = value
        return at.run()

    yield open_screen
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def sit(monkeypatch: pytest.MonkeyPatch) -> Sit:
    """Opens the screens for somebody, who then goes from page to page in one session."""
    here: list[Browser] = []

    def present(*, lately: bool = False) -> sessions.Live | None:
        scope = here[-1].scope
        return None if scope is None else sessions.Live(0, 0, "viewer", "", scope)

    def button(label: str, data: Any = None, **_: Any) -> bool:
        make = data if callable(data) else lambda: data
        here[-1].files.append(make)
        return False

    monkeypatch.setattr(data, "signed_in", present)
    monkeypatch.setattr(data, "still_active", lambda live: None)
    monkeypatch.setattr(st, "download_button", button)

    def open_(scope: Scope | None) -> Browser:
        here.append(Browser(scope, AppTest.from_file(str(MAIN), default_timeout=30)))
        here[-1].at.run()
        return here[-1]

    return open_


@dataclass
class Site:
    """The server of the screens over a database of its own, without a browser."""

    client: TestClient
    database: Engine

    def person(self, name: str, role: Role, password: str = "", **more: Any) -> int:
        """An account; without a password one that nobody knows."""
        with self.database.begin() as conn:
            return accounts.add(
                conn, name=name, role=role, password=password or passwords.made(), by="test",
                now=datetime.now(UTC), **more,
            ).id  # fmt: skip

    def token(self, account: int) -> str:
        """A session of this account."""
        with self.database.begin() as conn:
            return sessions.open_(
                conn, account, "password", address="", browser="", now=datetime.now(UTC)
            )


@pytest.fixture(scope="session")
def served() -> Iterator[TestClient]:
    """The one server that a process can have."""
    chosen = settings.load()
    with TestClient(
        serve.build(chosen), base_url=chosen.base_url, follow_redirects=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def site(databases: Any, served: TestClient) -> Iterator[Site]:
    """It, over a database of a module's own."""
    name = databases.make(databases.template)
    database = engine.create(databases.app_url(name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOWER_DATABASE_URL", databases.app_url(name))
        st.cache_resource.clear()
        served.cookies.clear()
        yield Site(served, database)
    st.cache_resource.clear()
    database.dispose()
    databases.drop(name)


@pytest.fixture
def now() -> datetime:
    """Screens stand at the present minute."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.fixture
def shop(database: Engine, now: datetime) -> Desk:
    """A few orders of two suppliers, one of them in trouble."""
    desk = Desk(now=now)
    for n in range(8):
        number = f"45000000{n:02d}"
        supplier = "acme" if n % 2 else "birch"
        desk.po(number, supplier, released=desk.at(days=n + 1), requested_date=now.date())
        desk.line(number, "10", supplier, released=desk.at(days=n + 1))
        desk.clock(number, "met" if n < 6 else "breached", desk.at(days=n, hours=1), supplier)
    case = desk.case("4500000007", opened=desk.at(hours=30), severity="high", priority=9.0)
    desk.impact("7001", "4500000007", case_id=case)
    desk.feed("edi", desk.at(minutes=1))
    desk.feed("portal", desk.at(hours=5), silent=True)
    with database.begin() as conn:
        desk.write(conn)
    return desk
