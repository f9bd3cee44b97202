"""Dead letters, replays and the audit on screens: wishes with reasons, checked and kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from collectors.contract import PARTNER
from db import audit, configuration, letters, replay_wishes, replay_work, replays, switches
from db.letters import Letter
from db.tables import audit_entry
from tests.app.conftest import Open
from tests.worker.replaying import NETWORK
from tower.access import EVERYTHING
from tower.network import Network, load_network
from tower.raw import Raw
from tower.replays import REINTERPRET
from worker import pipeline
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


def be(at: AppTest, name: str) -> None:
    [one] = [box for box in at.selectbox if box.label == "You are"]
    one.set_value(name).run()


def test_an_unreadable_kind_is_replayed_once_the_network_was_mended(
    screens: Open, database: Engine, dead: Sequence[Letter]
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
    be(at, "desk")
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
    be(at, "local")
    press(at, "Sign off")
    assert "signed off by **local**" in said(at)
    with database.connect() as conn:
        one = replays.get(conn, 1)
    assert (one.requested_by, one.state, one.signed_by) == ("desk", "done", "local")
    assert sorted(letter.state for letter in kept(database)) == ["open", "resolved", "resolved"]


def test_a_second_person_approves_or_refuses_and_never_oneself(
    screens: Open, database: Engine, dead: Sequence[Letter]
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
    be(at, "desk")
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
        one = replay_wishes.draft(
            conn, net, EVERYTHING, REINTERPRET, [dead[0].ref], "kim", now
        )
    one = work.check(database, net, one.id, "kim", now, secrets={})
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
    screens: Open, database: Engine, dead: Sequence[Letter]
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
    with database.begin() as conn:
        conn.execute(audit_entry.update().where(audit_entry.c.n == 1).values(actor="nobody"))
        audit.record(conn, "kim", "failure.noted", "failure:x", {}, NOW)
    at = screens("audit")
    assert "breaks at entry 1" in at.error[0].value
