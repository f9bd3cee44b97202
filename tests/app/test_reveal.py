"""A masked value is shown on the page one by one: for a reason, and written down first."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from db import audit
from db.ingest import store
from tests.app.conftest import Open
from tests.app.test_dead_letter_screens import press, write
from tests.db.stories import NET, at, message

BODY = b'{"po": "45", "price": 12.75}'


def trace(role: str) -> None:
    """What a person of a role is offered below the bytes of a message."""
    from typing import Any, cast
    from zoneinfo import ZoneInfo

    import streamlit as st

    from app import data
    from app.parts.reveal import reveal_box
    from app.session import Viewer
    from db.reads import payloads
    from tower.access import scope_of

    viewer = Viewer("kim", scope_of(cast(Any, role), None), ZoneInfo("UTC"))
    with data.connected() as conn:
        found = payloads.payload(conn, viewer.scope, "erp", "m1")
    assert found is not None
    st.text(found.body.decode())
    reveal_box(found, viewer)


def test_a_masked_value_is_shown_once_for_a_reason_and_written_down(
    screens: Open, database: Engine
) -> None:
    with database.begin() as conn:
        store(conn, [message("m1", "erp", [], at(1), BODY)], net=NET, now=datetime.now(UTC))
    at_page = AppTest.from_function(trace, args=("support",), default_timeout=30).run()
    assert at_page.text[0].value == '{"po": "45", "price": #####}'
    assert next(b for b in at_page.button if b.label == "Show it").disabled
    write(at_page, "reveal why", "claim 7")
    at_page.run()
    press(at_page, "Show it")
    assert [one.value for one in at_page.code] == ["12.75"]
    with database.connect() as conn:
        (entry,) = audit.entries(conn, subject="message:erp/m1")
    assert (entry.act.actor, entry.act.action) == ("kim", "value.revealed")
    assert entry.act.detail["why"] == "claim 7"
    at_page.run()
    assert [one.value for one in at_page.code] == []
    leader = AppTest.from_function(trace, args=("leader",), default_timeout=30).run()
    assert leader.exception  # this role reads no bytes at all
