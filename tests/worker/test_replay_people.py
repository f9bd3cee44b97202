"""What people decide about replays: confirm, approve, pause, cancel; each is audited."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError

from db import audit, letters, replays, switches
from db.switches import ReadOnly
from db.tables import audit_entry, replay
from tests.worker.replaying import Dock, refs, snapshot
from tower.access import EVERYTHING
from tower.replays import FORCE, SECOND_PERSON_ABOVE, ReplayRefused

pytestmark = pytest.mark.rabbitmq


def test_bulk_hits_exactly_what_was_picked(dock: Dock) -> None:
    dead = dock.dead(4)
    picked = refs(dead[:2])
    one = dock.draft([*picked, *picked])
    assert one.n_items == 2
    with pytest.raises(ReplayRefused, match="2 messages would go out, not 3"):
        dock.confirm(one, count=3)
    with pytest.raises(ReplayRefused, match="not the selection"):
        dock.confirm(one, sha256="00")
    dock.confirm(one)
    dock.advance()
    dock.applied(0)
    dock.advance()
    assert len(dock.arrived()) == 2
    assert {i.ref for i in dock.items(one)} == set(picked)


def test_a_double_click_is_one_request(dock: Dock) -> None:
    one = dock.draft(refs(dock.dead(1)))
    token = uuid4()
    first = dock.confirm(one, token=token)
    assert dock.confirm(one, token=token) == first
    with pytest.raises(ReplayRefused, match="running already"):
        dock.confirm(one)
    dock.advance()
    assert len(dock.arrived()) == 1


def test_a_second_person_is_a_constraint_of_the_database(dock: Dock) -> None:
    one = dock.draft(refs(dock.dead(SECOND_PERSON_ABOVE + 1)))
    waiting = dock.confirm(one)
    assert waiting.state == "awaiting_approval"
    dock.advance()
    assert dock.arrived() == []
    with pytest.raises(ReplayRefused, match="another person"), dock.engine.begin() as conn:
        replays.approve(conn, one.id, "kim", dock.clock())
    for values in ({"approved_by": "kim"}, {"state": "running"}):
        with pytest.raises(IntegrityError), dock.engine.begin() as conn:
            conn.execute(replay.update().where(replay.c.id == one.id).values(values))
    with dock.engine.begin() as conn:
        assert replays.approve(conn, one.id, "lee", dock.clock()).approved_by == "lee"
    dock.advance()
    assert len(dock.arrived()) == 1


def test_force_repeats_an_effect_and_only_with_two(dock: Dock) -> None:
    dead = dock.dead(1)
    dock.applied(0)
    assert [i.verdict for i in dock.items(dock.draft(refs(dead)))] == ["duplicate"]
    forced = dock.draft(refs(dead), action=FORCE)
    assert [i.verdict for i in dock.items(forced)] == ["ready"]
    assert dock.get(forced).needs_approval == "it repeats what already took effect"
    assert dock.confirm(forced).state == "awaiting_approval"


def test_cancel_holds_what_was_not_sent(dock: Dock) -> None:
    dead = dock.dead(3)
    one = dock.start(refs(dead))
    dock.advance()
    with dock.engine.begin() as conn:
        replays.cancel(conn, one.id, "kim", "wrong day", dock.clock())
    dock.advance()
    assert dock.states(one) == ["awaiting_effect", "cancelled", "cancelled"]
    assert len(dock.arrived()) == 1
    assert sorted(letter.state for letter in dock.letters()) == ["in_replay", "open", "open"]
    dock.applied(0)
    dock.advance()
    found = dock.get(one)
    assert (found.state, found.counters.resolved, found.counters.cancelled) == ("cancelled", 1, 2)


@pytest.mark.parametrize("wish", ["pause", "cancel", "read-only"])
def test_a_wish_between_claim_and_sending_is_obeyed(dock: Dock, wish: str) -> None:
    one = dock.start(refs(dock.dead(1)))

    def between(step: str) -> None:
        if step != "claimed":
            return
        with dock.engine.begin() as conn:
            if wish == "pause":
                replays.pause(conn, one.id, "kim", "lunch", dock.clock())
            elif wish == "cancel":
                replays.cancel(conn, one.id, "kim", "wrong day", dock.clock())
            else:
                switches.set_read_only(conn, "lee", "audit today", dock.clock())

    dock.advance(probe=between)
    assert dock.states(one) == ["cancelled" if wish == "cancel" else "ready"]
    assert dock.arrived() == []


def test_pause_and_resume(dock: Dock) -> None:
    dead = dock.dead(2)
    one = dock.start(refs(dead))
    with dock.engine.begin() as conn:
        replays.pause(conn, one.id, "kim", "lunch", dock.clock())
    dock.advance()
    assert dock.states(one) == ["ready", "ready"]
    with dock.engine.begin() as conn:
        replays.resume(conn, one.id, "kim", "", dock.clock())
    dock.advance()
    assert dock.states(one) == ["awaiting_effect", "ready"]


def test_every_change_has_an_audit_row_and_the_chain_holds(dock: Dock, owner_url: str) -> None:
    dead = dock.dead(1)
    one = dock.start(refs(dead))
    dock.advance()
    dock.applied(0)
    dock.advance()
    with dock.engine.connect() as conn:
        told = [(e.act.actor, e.act.action) for e in reversed(audit.entries(conn))]
        assert audit.verify(conn).broken_at is None
    assert told == [
        ("kim", "replay.drafted"), ("kim", "replay.checked"), ("kim", "replay.confirmed"),
        ("kim", "item.sending"), ("kim", "item.awaiting_effect"), ("tower", "item.resolved"),
        ("tower", "replay.done"),
    ]  # fmt: skip
    owner = create_engine(owner_url)  # no role of the program can alter an entry
    with owner.begin() as conn:
        conn.execute(audit_entry.update().where(audit_entry.c.n == 3).values(actor="somebody else"))
    owner.dispose()
    with dock.engine.connect() as conn:
        assert audit.verify(conn).broken_at == 3
    assert dock.get(one).state == "done"


def test_read_only_stops_every_write(dock: Dock) -> None:
    dead = dock.dead(1)
    one = dock.draft(refs(dead))
    running = dock.confirm(one)
    with dock.engine.begin() as conn:
        switches.set_read_only(conn, "lee", "audit today", dock.clock())
    before = snapshot(dock.engine)
    dock.advance()
    for act in (
        lambda c: replays.pause(c, running.id, "kim", "x", dock.clock()),
        lambda c: replays.cancel(c, running.id, "kim", "x", dock.clock()),
        lambda c: letters.archive(c, EVERYTHING, refs(dead), "kim", "x", dock.clock()),
    ):
        with pytest.raises(ReadOnly, match="audit today"), dock.engine.begin() as conn:
            act(conn)
    with pytest.raises(ReadOnly):
        dock.draft(refs(dead))
    assert snapshot(dock.engine) == before
    assert dock.arrived() == []
    with dock.engine.begin() as conn:
        switches.set_writable(conn, "lee", "done", dock.clock())
    dock.advance()
    assert len(dock.arrived()) == 1
