"""Dead letters, replays and the audit on screens: wishes with reasons, checked and kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine
from streamlit.testing.v1 import AppTest

from collectors.amqp_link import Delivery
from collectors.contract import PARTNER
from collectors.dead_letters import captured
from db import (
    audit,
    configuration,
    edited_copies,
    letters,
    replay_wishes,
    replay_work,
    replays,
    switches,
)
from db.letters import Letter
from db.tables import audit_entry
from tests.app.conftest import Open, Seat
from tests.worker.replaying import NETWORK
from tower.access import EVERYTHING, Scope, scope_of
from tower.edits import editable, edited, seen_mark
from tower.errors import AccessDenied
from tower.network import Network, load_network
from tower.raw import Raw
from tower.replays import REINTERPRET, ReplayRefused
from worker import pipeline, replay_dry_run
from worker import replays as work
from worker.replay_checks import check_waiting

NOW = datetime.now(UTC) - timedelta(minutes=5)


def network(partner: str) -> str:
    return NETWORK.format(url="http://127.0.0.1:1", vhost="/", replay="", partner=partner)


def in_force(database: Engine, partner: str) -> Network:
    with database.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, network(partner), NOW)
    return load_network(network(partner), "network.yaml")


@pytest.fixture
def dead(database: Engine) -> Sequence[Letter]:
    """Three answers of a partner whom the network does not know."""
    net = in_force(database, "ACME")
    raws = [
        Raw(
            "files", f"f-{n}", b'{"po": "450000000%d", "at": "2026-03-27T10:00:00Z"}' % n, NOW,
            headers={PARTNER: "ZED"},
        )
        for n in range(3)
    ]  # fmt: skip
    pipeline.ingest_raws(database, net, raws, now=NOW)
    return kept(database)


def kept(database: Engine) -> Sequence[Letter]:
    with database.connect() as conn:
        found = letters.letters(conn, EVERYTHING, states=letters.STATES)
    return sorted(found, key=lambda one: one.ref)


def said(at: AppTest) -> str:
    return "\n".join(
        str(one.value) for one in (*at.title, *at.markdown, *at.caption, *at.subheader, *at.warning)
    )


def press(at: AppTest, label: str) -> None:
    assert not at.exception, at.exception
    [one] = [b for b in at.button if b.label == label]
    one.click().run()
    assert not at.exception, at.exception


def write(at: AppTest, label: str, text: str) -> None:
    boxes = (*at.text_input, *at.text_area)
    [one] = [box for box in boxes if label in (box.label, box.key)]
    one.input(text)


def test_a_copy_is_edited_with_its_difference_before_eyes(screens: Open, database: Engine) -> None:
    net = in_force(database, "ACME")
    body = b'{"po":"4500000001","note":"two"}'
    delivery = Delivery(1, body, {"x-first-death-queue": "erp.answers"}, {"message_id": "m-1"},
                        "dlq", "", False)  # fmt: skip
    pipeline.ingest_raws(database, net, [captured("broker", "dlq", delivery, NOW)], now=NOW)
    (letter,) = kept(database)
    at = screens("dead_letters", fingerprint=letter.fingerprint, letter=str(letter.ref))
    [toggle] = at.toggle
    toggle.set_value(True).run()
    assert "Nothing was changed yet." in said(at)
    write(at, f"copy of {letter.ref}", body.replace(b"two", b"2").decode())
    at.run()
    assert '-"note":"two"}\n+"note":"2"}' in at.code[0].value
    write(at, "why the copy", "the consumer wants digits")
    at.run()
    press(at, "Freeze this copy and try it dry")
    assert at.title[0].value == "Replay 1"
    with database.connect() as conn:
        (item,) = replays.items(conn, 1)
        assert item.edited_key is not None
        assert audit.entries(conn)[0].act.action == "letter.edited"
    # What is locked is judged on the server, whatever the screen said.
    with database.begin() as conn:
        with pytest.raises(ReplayRefused, match="not the difference"):
            edited_copies.draft(conn, net, EVERYTHING, letter.ref, b"{}", "kim", NOW, seen="")
        other = body.replace(b"4500000001", b"4500000009")
        edited_copies.draft(
            conn, net, EVERYTHING, letter.ref, other, "kim", NOW, seen=seen_mark(body, other)
        )
    check_waiting(database, net, NOW, secrets={"PW": "guest"})
    with database.connect() as conn:
        assert "po is locked" in replays.items(conn, 2)[0].cause
    hidden = Scope(reveals=frozenset())
    with pytest.raises(ReplayRefused, match="masked"), database.begin() as conn:
        edited_copies.draft(conn, net, hidden, letter.ref, other, "kim", NOW, seen="")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"a\r\nb", "a\nb"),
        (b"a\nb", "a\nb"),
        (b"a\r\nb\nc", None),
        (b"a\rb", None),
        (b"\xff", None),
    ],
)
def test_an_entry_field_gives_back_every_byte_or_is_not_offered(
    body: bytes, text: str | None
) -> None:
    assert editable(body) == text
    if text is not None:
        assert edited(body, text) == body


def test_an_unreadable_kind_is_replayed_once_the_network_was_mended(
    screens: Open, seat: Seat, database: Engine, dead: Sequence[Letter]
) -> None:
    at = screens("dead_letters")
    assert "1 kind of failure, 3 letters" in said(at)
    group = dead[0].fingerprint
    at = screens("dead_letters", fingerprint=group, letter=str(dead[1].ref))
    assert "showing 3 of 3, newest first" in said(at)
    assert "f\\-1" in said(at)
    write(at, "Note", "ZED is new; Kim adds the profile")
    press(at, "Add note")
    assert "ZED is new; Kim adds the profile" in said(at)
    net = in_force(database, "ZED")
    seat("desk")
    at.run()
    [many] = at.number_input
    many.set_value(2)
    press(at, "Freeze and try dry")
    assert at.title[0].value == "Replay 1"
    assert "2 letters picked" in said(at)
    assert "First the dry run." in said(at)
    assert check_waiting(database, net, datetime.now(UTC), secrets={}) == 1
    at = screens("replays", id="1")
    assert "ready] **2**" in said(at)
    write(at, "Type how many are read again", "3")
    write(at, "Reason", "profile added")
    press(at, "Confirm")
    assert "2 messages would go out, not 3" in at.error[0].value
    write(at, "Type how many are read again", "2")
    press(at, "Confirm")
    assert "running" in said(at)
    work.advance(database, net, "w", datetime.now(UTC), secrets={})
    at = screens("replays", id="1")
    assert "2 of 2 resolved" in at.get("progress")[0].proto.text
    seat("local")
    at.run()
    press(at, "Sign off")
    assert "signed off by **local**" in said(at)
    with database.connect() as conn:
        one = replays.get(conn, 1)
    assert (one.requested_by, one.state, one.signed_by) == ("desk", "done", "local")
    assert sorted(letter.state for letter in kept(database)) == ["open", "resolved", "resolved"]


def test_a_second_person_approves_or_refuses_and_never_oneself(
    screens: Open, seat: Seat, database: Engine, dead: Sequence[Letter]
) -> None:
    net = in_force(database, "ZED")
    with database.begin() as conn:
        one = replay_wishes.draft(
            conn, net, EVERYTHING, REINTERPRET, [dead[0].ref], "local", datetime.now(UTC)
        )
    check_waiting(database, net, datetime.now(UTC), secrets={})
    with database.begin() as conn:
        replays.set_needs_approval(conn, one, "a payload was edited")
    at = screens("replays", id="1")
    assert "A second person must approve: a payload was edited." in said(at)
    write(at, "Type how many are read again", "1")
    write(at, "Reason", "x")
    press(at, "Confirm")
    [approve] = [b for b in at.button if b.label == "Approve"]
    assert approve.disabled
    seat("desk")
    at.run()
    press(at, "Approve")
    assert "approved by **desk**" in said(at)
    write(at, "Pause 1 why", "wrong day")
    press(at, "Pause it")
    assert "Nothing more goes out" in said(at)
    press(at, "Go on")
    write(at, "Cancel 1 why", "wrong week")
    press(at, "Cancel it")
    assert "wrong week" in said(at)
    assert "Nothing of it moves any more." in said(at)
    assert [letter.state for letter in kept(database)] == ["open"] * 3


def test_a_person_says_what_became_of_what_is_uncertain(
    screens: Open, database: Engine, dead: Sequence[Letter]
) -> None:
    net, now = in_force(database, "ZED"), datetime.now(UTC)
    with database.begin() as conn:
        one = replay_wishes.draft(conn, net, EVERYTHING, REINTERPRET, [dead[0].ref], "kim", now)
    one = replay_dry_run.check(database, net, one.id, "kim", now, secrets={})
    with database.begin() as conn:
        replays.confirm(
            conn, one.id, count=1, sha256=one.sha256, reason="x", token=uuid4(), who="kim",
            now=now,
        )  # fmt: skip
        [item] = replay_work.claim(conn, one, "gone", 1, now)
        assert replay_work.begin_sending(conn, item, "gone", now) is not None
        replay_work.lost(conn, now + timedelta(minutes=3))
    at = screens("replays", id="1")
    assert "1 letter uncertain" in said(at)
    press(at, "Say so")
    assert "Say whether it arrived." in at.error[0].value
    at.radio[0].set_value("Nobody has it")
    write(at, "How you found out", "it is not in the queue")
    press(at, "Say so")
    assert "returned" in said(at)
    assert [letter.state for letter in kept(database)] == ["open"] * 3
    work.advance(database, net, "w", datetime.now(UTC), secrets={})  # it ends
    at = screens("replays", id="1")
    press(at, "Pick what failed")
    assert at.title[0].value == "Replay 2"
    assert "what failed in replay 1" in said(at)


def test_a_draft_that_cannot_be_checked_says_why_and_is_checked_again(
    screens: Open, database: Engine, dead: Sequence[Letter]
) -> None:
    net = in_force(database, "ACME")
    with database.begin() as conn:
        replay_wishes.draft(
            conn, net, EVERYTHING, "reprocess", [dead[0].ref], "kim", datetime.now(UTC)
        )
    check_waiting(database, net, datetime.now(UTC), secrets={})
    at = screens("replays", id="1")
    assert "never read" in said(at)
    assert "Nothing of it is ready to go." in said(at)
    press(at, "Check again")
    assert "wait for their verdict" in at.get("progress")[0].proto.text
    with database.connect() as conn:
        assert [one.id for one in replay_wishes.unchecked(conn)] == [1]


def test_read_only_is_said_on_the_page_and_holds(
    screens: Open, database: Engine, dead: Sequence[Letter]
) -> None:
    with database.begin() as conn:
        switches.set_read_only(conn, "lee", "inventory", NOW)
    at = screens("dead_letters", fingerprint=dead[0].fingerprint)
    assert "read\\-only" in said(at) or "read-only" in said(at)
    write(at, "Note", "x")
    press(at, "Add note")
    assert "inventory" in at.error[0].value
    press(at, "Freeze and try dry")
    assert "inventory" in at.error[0].value
    with database.connect() as conn:
        assert replays.listing(conn) == []


def test_the_audit_shows_who_did_what_and_where_it_was_altered(
    screens: Open, database: Engine, owner_url: str, dead: Sequence[Letter]
) -> None:
    with database.begin() as conn:
        letters.archive(conn, EVERYTHING, [dead[0].ref], "kim", "test file", NOW)
        letters.restore(conn, EVERYTHING, [dead[0].ref], "lee", "no test", NOW)
    at = screens("audit")
    assert "verified up to 2" in said(at)
    table = at.dataframe[0].value
    assert list(table["Who"]) == ["lee", "kim"]
    at = screens("audit", actor="kim")
    assert list(at.dataframe[0].value["What"]) == ["letter.archived"]
    owner = create_engine(owner_url)  # no role of the program can alter an entry
    with owner.begin() as conn:
        conn.execute(audit_entry.update().where(audit_entry.c.n == 1).values(actor="nobody"))
    owner.dispose()
    with database.begin() as conn:
        audit.record(conn, "kim", "failure.noted", "failure:x", {}, NOW)
    at = screens("audit")
    assert "breaks at entry 1" in at.error[0].value


def decide(role: str) -> None:
    """What a person of a role may do with the first replay."""
    from datetime import UTC, datetime
    from typing import Any, cast
    from zoneinfo import ZoneInfo

    from app import data
    from app.parts import replay_page
    from app.session import Viewer
    from db import replays
    from tower.access import scope_of

    viewer = Viewer("kim", scope_of(cast(Any, role), None), ZoneInfo("UTC"))
    with data.connected() as conn:
        one = replays.get(conn, 1)
    replay_page.decisions(one, [], viewer, datetime.now(UTC))


def test_only_who_may_ask_for_replays_decides_about_them(
    screens: Open, database: Engine, dead: Sequence[Letter]
) -> None:
    net = in_force(database, "ACME")
    with database.begin() as conn:
        replay_wishes.draft(conn, net, EVERYTHING, REINTERPRET, [dead[0].ref], "lee", NOW)
        with pytest.raises(AccessDenied):
            letters.archive(conn, scope_of("leader", None), [dead[0].ref], "kim", "old", NOW)
    for role, offered in (("support", True), ("leader", False), ("read-only", False)):
        at = AppTest.from_function(decide, args=(role,), default_timeout=30).run()
        assert not at.exception
        assert ("**Confirm**" in said(at)) == offered
