"""The banner of every page: what keeps people from hearing of cases now."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from sqlalchemy import Engine, insert

from app.parts.mail_page import with_pictures
from db import health
from db.reads.mails import Trouble, trouble
from db.tables import delivery, outbox, undeliverable
from tests.app.conftest import Open
from tower.access import EVERYTHING, Scope

EVIL = "x[y](https://evil.example)<b>@example.org"


def break_it(database: Engine, now: datetime) -> None:
    """A mail server that is away, a dead address, an audit that fails."""
    mail = {
        "dedup_key": "k", "policy": "business", "recipient": "anna", "address": "anna@example.org",
        "group_key": "all", "number": 1, "reason": "new", "subject": "s", "message_id": "m@x",
        "message": b"Subject: s\r\n\r\nx", "created_at": now, "state": "waiting", "next_at": now,
    }  # fmt: skip
    with database.begin() as conn:
        number = conn.execute(insert(outbox).values(mail).returning(outbox.c.id)).scalar_one()
        for n in range(5):
            at = now - timedelta(minutes=9 - n)
            conn.execute(insert(delivery).values(outbox_id=number, at=at, outcome="unreachable"))
        conn.execute(
            insert(undeliverable).values(address=EVIL, recipient="ben", at=now, status="5.1.1")
        )
        health.beat(
            conn, process="w", node="n", role="worker", version="1", started_at=now, now=now,
            detail={"audit": {"failing": {"outbox": "mails wait for more than 15 minutes"}}},
        )  # fmt: skip


def test_every_page_says_what_is_wrong_with_telling(screens: Open, database: Engine) -> None:
    now = datetime.now(UTC)
    break_it(database, now)
    for page in (None, "health"):
        at = screens(page)
        assert not at.exception
        errors, warnings = ([e.value for e in kind] for kind in (at.error, at.warning))
        assert any("cannot be reached since" in text and "1 mail waits" in text for text in errors)
        assert any("The tower breaks a promise: mails wait" in text for text in warnings)
        [dead] = [text for text in warnings if "come back" in text]
        assert "](https" not in dead.replace("\\]", ""), "an address becomes no link"


def test_a_worker_that_is_lost_is_told_first(screens: Open, database: Engine) -> None:
    with database.begin() as conn:
        at = datetime.now(UTC) - timedelta(minutes=3)
        health.beat(
            conn, process="w", node="n", role="worker", version="1", started_at=at, now=at,
            detail={},
        )  # fmt: skip
    assert any("No worker was seen since" in e.value for e in screens().error)


def test_viewers_of_some_partners_are_told_nothing_of_it(database: Engine) -> None:
    now = datetime.now(UTC)
    break_it(database, now)
    with database.connect() as conn:
        assert trouble(conn, Scope(frozenset({"ACME"})), now) == Trouble()
        assert trouble(conn, EVERYTHING, now).dead == ((EVIL, "ben"),)


def test_pictures_inside_a_mail_are_shown_in_their_places() -> None:
    mail = EmailMessage()
    mail.set_content("text")
    mail.add_alternative('<img src="cid:one@x"><img src="cid:two@x">', subtype="html")
    body = mail.get_body(("html",))
    assert body is not None
    body.add_related(b"\x89PNG", "image", "png", cid="<one@x>")
    read = email.message_from_bytes(mail.as_bytes(), policy=email.policy.default)
    # What is not in the mail stays as it was: nothing is fetched for it.
    assert with_pictures(read) == (
        '<img src="data:image/png;base64,iVBORw=="><img src="cid:two@x">\n'
    )
