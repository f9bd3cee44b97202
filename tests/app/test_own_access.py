"""One's own password, and the keys of machines on the page Access."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import Engine, delete

from app.cookies import PLAIN
from db import accounts, audit, keys, sessions
from db.tables import session, sign_in_attempt
from tests.app.conftest import Open, Seat, Site
from tower.access import scope_of

BEFORE, AFTER = "orchid ladder quartz seven", "violet anchor thunder nine"
OURS = {"origin": "http://127.0.0.1:8501"}


@pytest.fixture(scope="module")
def ida(site: Site) -> int:
    return site.person("ida", "partner", BEFORE, partners=["ACME"])


@pytest.fixture(autouse=True)
def nobody(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "ida" in request.fixturenames:
        site: Site = request.getfixturevalue("site")
        site.client.cookies.clear()
        with site.database.begin() as conn:
            conn.execute(delete(sign_in_attempt))
            conn.execute(delete(session))


def change(site: Site, before: str, new: str, again: str = "", **more: str) -> Response:
    form = {"before": before, "new": new, "again": again or new}
    return site.client.post("/password", data=form, headers={**OURS, **more})


def lives(site: Site, token: str) -> bool:
    with site.database.connect() as conn:
        return sessions.look(conn, token, datetime.now(UTC)) is not None


def test_who_changes_their_password_gives_the_one_they_have_and_all_else_ends(
    site: Site, ida: int
) -> None:
    assert site.client.get("/password").status_code == 303, "nobody"
    assert change(site, BEFORE, AFTER).status_code == 401
    here, elsewhere = site.token(ida), site.token(ida)
    site.client.cookies.set(PLAIN, here)
    page = site.client.get("/password")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]

    for before, new, again, status, said in (
        ("not this one at all", AFTER, AFTER, 401, "another one"),
        (BEFORE, AFTER, "something else", 400, "not the same"),
        (BEFORE, "short", "short", 400, "at least 15"),
        (BEFORE, "passwordpassword", "passwordpassword", 400, "easily guessed"),
    ):
        told = change(site, before, new, again)
        assert (told.status_code, said in told.text) == (status, True), told.text[-600:]
        assert new not in told.text
        assert before not in told.text
    assert lives(site, here)
    assert lives(site, elsewhere)
    assert change(site, BEFORE, AFTER, origin="https://evil.example").status_code == 403

    told = change(site, BEFORE, AFTER)
    assert told.status_code == 200, told.text
    following = told.cookies[PLAIN]
    assert following not in (here, elsewhere)
    assert lives(site, following)
    assert not lives(site, here)
    assert not lives(site, elsewhere)
    with site.database.connect() as conn:
        acts = [(e.act.actor, e.act.action) for e in audit.entries(conn, subject="account:ida")]
    assert ("ida", "account.password") in acts
    assert ("ida", "password.refused") in acts


def test_guessing_at_an_open_browser_makes_wait(site: Site, ida: int) -> None:
    with site.database.begin() as conn:
        accounts.reset(conn, "ida", BEFORE, by="test", now=datetime.now(UTC))
    site.client.cookies.set(PLAIN, site.token(ida))
    told = [change(site, f"wrong number {n} of many", AFTER).status_code for n in range(7)]
    assert told[:5] == [401] * 5
    assert told[-1] == 429
    assert change(site, BEFORE, AFTER).status_code == 429, "even with the right one"


def test_an_admin_makes_a_key_that_is_shown_once_and_revokes_it(
    screens: Open, seat: Seat, database: Engine
) -> None:
    seat("ada", scope_of("admin", None))
    at = screens("access", view="keys")
    assert not at.exception, at.exception
    fields: dict[str, Any] = {one.key: one for one in at.text_input}
    fields["name of key"].input("erp")
    fields["networks of key"].input("192.0.2.0/24, 10.0.0.0/8")
    next(b for b in at.button if b.label == "Make").click()
    at.run()
    assert not at.exception, at.exception
    shown = at.code[0].value
    with database.begin() as conn:
        (held,) = keys.listed(conn, datetime.now(UTC))
        assert keys.recognise(conn, shown, datetime.now(UTC)) is not None
    assert (held.name, held.made_by) == ("erp", "ada")
    assert held.networks == ("192.0.2.0/24", "10.0.0.0/8")
    at.run()
    assert list(at.code) == [], "shown once"
    next(b for b in at.button if b.label == "Revoke").click()
    at.run()
    assert not at.exception, at.exception
    with database.begin() as conn:
        assert keys.recognise(conn, shown, datetime.now(UTC)) is None
        assert [e.act.actor for e in audit.entries(conn, subject=f"key:{held.id}")] == ["ada"] * 2


def test_a_key_that_cannot_be_is_refused_in_words(
    screens: Open, seat: Seat, database: Engine
) -> None:
    seat("ada", scope_of("admin", None))
    at = screens("access", view="keys")
    next(one for one in at.text_input if one.key == "name of key").input("erp")
    next(one for one in at.text_input if one.key == "networks of key").input("everywhere")
    next(b for b in at.button if b.label == "Make").click()
    at.run()
    assert "is no network" in at.error[0].value
    with database.connect() as conn:
        assert keys.listed(conn, datetime.now(UTC)) == []
