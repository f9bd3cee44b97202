"""Screens over a database of the test's own, without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import streamlit as st
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from tests.desk import Desk

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"

Open = Callable[..., AppTest]


@pytest.fixture
def screens(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a screen by its file and query parameters, as a person with its address would."""
    monkeypatch.setenv("TOWER_DATABASE_URL", database_url)
    st.cache_data.clear()
    st.cache_resource.clear()

    def open_screen(file: str | None = None, **query: str) -> AppTest:
        at = AppTest.from_file(str(MAIN), default_timeout=30)
        if file is not None:
            at.run()
            at.switch_page(f"screens/{file}.py")
        for name, value in query.items():
            at.query_params[name] = value
        return at.run()

    yield open_screen
    st.cache_data.clear()
    st.cache_resource.clear()


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
