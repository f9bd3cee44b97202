"""Replays against a real broker: nothing sent twice or lost, no green tick for a queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import IntegrityError

from collectors.contract import PARTNER
from db import audit, letters, replay_wishes, replays, switches
from db.replays import Replay
from db.switches import ReadOnly
from db.tables import audit_entry, dead_letter, raw_message, replay, replay_item
from tests.collectors.brokers import RabbitHost
from tests.worker.replaying import QUEUE, REPLAY, SECRETS, Dock, body, number
from tower.access import EVERYTHING
from tower.network import load_network
from tower.raw import Raw
from tower.replays import FORCE, REINTERPRET, REPROCESS, SECOND_PERSON_ABOVE, ReplayRefused
from tower.vocabulary import make_event
from worker import edits, pipeline
from worker import replays as work
from worker.replay_checks import check_waiting

pytestmark = pytest.mark.rabbitmq
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def host() -> Iterator[RabbitHost]:
    made = RabbitHost()
    yield made
    made.close()


@pytest.fixture
def dock(host: RabbitHost, database: Engine) -> Dock:
    return Dock(host, database)


def refs(found: Any) -> list[Any]:
    return [one.ref for one in found]


def test_a_green_tick_means_that_the_document_moved(dock: Dock) -> None:
    dead = dock.dead(3)
    one = dock.start(refs(dead))
    assert one.state == "running"
    dock.advance()  # the canary goes alone
    assert dock.states(one) == ["awaiting_effect", "ready", "ready"]
    dock.advance()
    assert dock.states(one) == ["awaiting_effect", "ready", "ready"]
    dock.applied(0)
    dock.advance()
    assert dock.states(one) == ["resolved", "awaiting_effect", "awaiting_effect"]
    assert len(dock.arrived()) == 3
    assert dock.get(one).state == "running"
    dock.applied(1)
    dock.applied(2)
    dock.advance()
    done = dock.get(one)
    assert (done.state, done.counters.resolved, done.counters.total) == ("done", 3, 3)
    assert {letter.state for letter in dock.letters()} == {"resolved"}
    assert all(i.effect_event and i.effect_at > i.published_at for i in dock.items(one))  # type: ignore[operator]


def test_an_effect_before_the_publish_proves_nothing(dock: Dock) -> None:
    dead = dock.dead(1)
    one = dock.start(refs(dead))
    sent_after = dock.now
    dock.advance()
    dock.applied(0, at=sent_after - timedelta(seconds=30))
    dock.advance()
    assert dock.states(one) == ["awaiting_effect"]


def test_the_copy_is_the_message_without_its_deaths(dock: Dock) -> None:
    dead = dock.dead(1)
    dock.start(refs(dead))
    dock.advance()
    ((properties, content),) = dock.arrived()
    assert content == body(0)
    assert (properties.message_id, properties.correlation_id) == ("m-0", "c-0")
    assert properties.type == "po.acknowledged"
    assert properties.delivery_mode == 2
    headers = properties.headers
    assert headers["tries"] == 7  # its own type
    assert headers["x-replay-of"] == dead[0].message_key
    assert (headers["x-replay-attempt"], headers["x-replay-actor"]) == ("2", "kim")
    assert not [name for name in headers if "death" in name]


def test_a_copy_that_dies_again_is_a_newer_attempt_and_can_be_replayed_at_once(dock: Dock) -> None:
    dead = dock.dead(1)
    one = dock.start(refs(dead))
    dock.advance()
    dock.die([0], first=False)
    assert dock.capture() == 1
    dock.advance()
    assert dock.states(one) == ["failed_again"]
    found = {(item.ref.attempt, item.state) for item in dock.letters()}
    assert found == {(1, "superseded"), (2, "open")}
    (newer,) = dock.letters("open")
    assert newer.message_key == dead[0].message_key
    with dock.engine.connect() as conn:
        tries = letters.attempts(conn, EVERYTHING, "broker", newer.message_key)
    assert [t.ref.attempt for t in tries] == [1, 2]
    again = dock.start([newer.ref])
    dock.advance()
    assert [i.new_attempt for i in dock.items(again)] == [3]
    assert dock.states(again) == ["awaiting_effect"]


def test_a_dry_run_writes_nothing_but_verdicts(dock: Dock) -> None:
    dead = dock.dead(2)
    before = snapshot(dock.engine)
    one = dock.draft(refs(dead))
    assert [item.verdict for item in dock.items(one)] == ["ready", "ready"]
    assert dock.host.depth(QUEUE) == 0
    assert snapshot(dock.engine) == before
    assert set(dock.states(one)) == {"drafted"}


def snapshot(engine: Engine) -> dict[str, Any]:
    with engine.connect() as conn:
        return {
            "letters": conn.execute(
                select(dead_letter).order_by(dead_letter.c.key)
            ).all(),
            "raws": conn.execute(select(func.count()).select_from(raw_message)).scalar_one(),
            "events": conn.execute(text("SELECT count(*) FROM event")).scalar_one(),
            "documents": conn.execute(text("SELECT count(*) FROM document")).scalar_one(),
        }


def test_verdicts_say_why_not(dock: Dock) -> None:
    dead = dock.dead(5)
    dock.applied(0)  # its effect was seen without us
    dock.tell(
        make_event(
            "po.revised", {"erp": "main", "po": number(1)}, occurred_at=dock.clock(),
            source="told", raw_key="rev", position="0", system="erp",
        )
    )
    held = dock.start([dead[2].ref])
    dock.advance()
    said = {item.ref: item.cause.split(":")[0] or item.verdict
            for item in dock.items(dock.draft(refs(dead)))}  # fmt: skip
    by_number = {one.ref: n for n, one in enumerate(dead)}
    assert {by_number[ref]: word for ref, word in said.items()} == {
        0: "effect_seen", 1: "superseded", 2: "claimed_elsewhere", 3: "ready", 4: "ready",
    }  # fmt: skip
    assert dock.states(held) == ["awaiting_effect"]
    dock.net = dock.network("timeout: 20s")
    assert {i.cause.split(":")[0] for i in dock.items(dock.draft([dead[3].ref]))} == {"not_allowed"}


def test_a_queue_that_is_gone_is_said_before_and_a_returned_message_stays(dock: Dock) -> None:
    dead = dock.dead(2)
    one = dock.start([dead[0].ref])
    dock.host.channel.queue_delete(QUEUE)
    dock.advance()
    (item,) = dock.items(one)
    assert (item.state, "no queue" in item.cause) == ("returned", True)
    assert {letter.state for letter in dock.letters()} == {"open"}
    draft = dock.draft([dead[1].ref])
    assert [i.cause.split(":")[0] for i in dock.items(draft)] == ["unroutable"]
    with dock.engine.connect() as conn:
        kept = conn.execute(select(func.count()).select_from(raw_message)).scalar_one()
    assert kept == 2


def test_an_account_that_may_not_publish_sends_nothing_and_says_so(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = dock.dead(1)
    one = dock.start(refs(dead))
    host = dock.host
    read_only = {"configure": "", "write": "", "read": ".*"}
    host.call("PUT", f"/api/permissions/{host.vhost}/{host.user}", read_only)
    monkeypatch.setitem(SECRETS, "PW", host.password)
    dock.net = load_network(
        dock.text(REPLAY).replace("user: guest", f"user: {host.user}"), "network.yaml"
    )
    dock.advance()
    (item,) = dock.items(one)
    assert (item.state, "may not publish" in item.cause) == ("returned", True)
    assert [letter.state for letter in dock.letters()] == ["open"]
    assert dock.arrived() == []


def test_a_full_queue_refuses_and_nothing_is_lost(host: RabbitHost, database: Engine) -> None:
    dock = Dock(host, database)
    host.channel.queue_delete(QUEUE)
    host.declare(
        QUEUE, x_dead_letter_exchange="", x_dead_letter_routing_key="dlq", x_max_length=1,
        x_overflow="reject-publish",
    )  # fmt: skip
    dead = dock.dead(1)
    host.publish(QUEUE, b"in the way")
    one = dock.start(refs(dead))
    dock.advance()
    (item,) = dock.items(one)
    assert (item.state, "refused" in item.cause) == ("returned", True)
    assert [letter.state for letter in dock.letters()] == ["open"]


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


def test_a_stale_dry_run_cannot_be_confirmed(dock: Dock) -> None:
    one = dock.draft(refs(dock.dead(1)))
    dock.now += timedelta(minutes=16)
    with pytest.raises(ReplayRefused, match="older than 15 minutes"):
        dock.confirm(one)


def test_a_wish_for_a_dry_run_is_fulfilled_by_a_worker(dock: Dock) -> None:
    dead = dock.dead(1)
    with dock.engine.begin() as conn:
        one = replay_wishes.draft(
            conn, dock.net, EVERYTHING, REPROCESS, refs(dead), "kim", dock.clock()
        )
    with pytest.raises(ReplayRefused, match="never made"):
        dock.confirm(one, count=1)
    fulfil = lambda secrets: check_waiting(  # noqa: E731
        dock.engine, dock.net, dock.clock(), secrets=secrets
    )
    assert fulfil({}) == 1  # the password is not set: said, not retried for ever
    assert [i.cause.split(":")[0] for i in dock.items(one)] == ["not_checked"]
    assert fulfil(SECRETS) == 0
    with dock.engine.begin() as conn:
        replay_wishes.ask_check(conn, one.id, "kim", dock.clock())
    assert fulfil(SECRETS) == 1
    assert [i.verdict for i in dock.items(one)] == ["ready"]
    assert dock.confirm(one).state == "running"


def test_a_double_click_is_one_request(dock: Dock) -> None:
    one = dock.draft(refs(dock.dead(1)))
    token = uuid4()
    first = dock.confirm(one, token=token)
    assert dock.confirm(one, token=token) == first
    with pytest.raises(ReplayRefused, match="running already"):
        dock.confirm(one)
    dock.advance()
    assert len(dock.arrived()) == 1


def test_overlapping_selections_send_a_message_once(dock: Dock) -> None:
    dead = dock.dead(2)
    first, second = dock.draft(refs(dead)), dock.draft(refs(dead), who="lee")
    dock.confirm(first)
    dock.confirm(second, who="lee")
    for _ in range(3):
        dock.advance("w1")
        dock.advance("w2")
    dock.applied(0)
    dock.applied(1)
    for _ in range(3):
        dock.advance("w1")
    sent = [p.message_id for p, _ in dock.arrived()]
    assert sorted(sent) == ["m-0", "m-1"]
    both = dock.states(first) + dock.states(second)
    assert both.count("resolved") == 2
    assert set(both) <= {"resolved", "blocked", "skipped"}


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


def test_too_many_failures_end_it(host: RabbitHost, database: Engine) -> None:
    dock = Dock(host, database, REPLAY.replace("canary: 1", "canary: 0"))
    dead = dock.dead(25)
    one = dock.draft(refs(dead))
    assert dock.confirm(one).needs_approval == "more than 20 messages are sent"
    dock.approve(one)
    host.channel.queue_delete(QUEUE)
    for _ in range(4):
        dock.advance()
    found = dock.get(one)
    assert found.state == "cancelled"
    assert "more than 20% allowed" in found.end_reason
    assert found.counters.cancelled > 0
    assert found.counters.total == 25


def test_one_bad_message_does_not_stop_the_others(dock: Dock) -> None:
    dead = dock.dead(3)
    one = dock.start(refs(dead))
    with dock.engine.begin() as conn:  # somebody removed its bytes
        conn.execute(raw_message.delete().where(raw_message.c.key == dead[0].ref.key))
    dock.advance()
    dock.advance()
    assert dock.states(one) == ["skipped", "awaiting_effect", "awaiting_effect"]


def test_letters_whose_effect_is_seen_without_us_are_recovered(dock: Dock) -> None:
    dock.dead(2)
    dock.applied(1)
    assert work.recovered(dock.engine, dock.net, dock.clock()) == 1
    assert sorted(letter.state for letter in dock.letters()) == ["open", "resolved"]


def test_what_could_not_be_read_is_read_again_after_the_network_was_mended(
    dock: Dock, database: Engine
) -> None:
    unknown = Raw(
        "files", "f-1", b'{"po": "4500000001", "at": "2026-03-27T10:00:00Z"}', dock.clock(),
        headers={PARTNER: "ZED"},
    )  # fmt: skip
    pipeline.ingest_raws(database, dock.net, [unknown], now=dock.clock())
    (letter,) = dock.letters("open")
    assert (letter.kind, letter.code) == ("interpret", "unknown_partner")
    early = dock.start([letter.ref], action=REINTERPRET)
    dock.advance()
    assert dock.states(early) == ["returned"]  # nothing was mended yet
    assert [one.state for one in dock.letters()] == ["open"]
    dock.net = dock.network(REPLAY, partner="ZED")
    one = dock.start([letter.ref], action=REINTERPRET)
    dock.advance()
    assert dock.states(one) == ["resolved"]
    assert [one.state for one in dock.letters()] == ["resolved"]
    with database.connect() as conn:
        assert conn.execute(text("SELECT type FROM event")).scalars().all() == ["po.acknowledged"]
    (dead,) = dock.dead(1)
    assert [i.cause.split(":")[0] for i in dock.items(dock.draft([dead.ref], action=REINTERPRET))
            ] == ["was_read"]  # fmt: skip


def test_every_change_has_an_audit_row_and_the_chain_holds(dock: Dock) -> None:
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
    with dock.engine.begin() as conn:
        conn.execute(
            audit_entry.update().where(audit_entry.c.n == 3).values(actor="somebody else")
        )
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


def test_a_letter_in_replay_is_not_archived(dock: Dock) -> None:
    dead = dock.dead(2)
    dock.start([dead[0].ref])
    dock.advance()
    with pytest.raises(letters.LetterRefused, match="in_replay"), dock.engine.begin() as conn:
        letters.archive(conn, EVERYTHING, refs(dead), "kim", "old", dock.clock())
    with dock.engine.begin() as conn:
        letters.archive(conn, EVERYTHING, [dead[1].ref], "kim", "old", dock.clock())
        letters.restore(conn, EVERYTHING, [dead[1].ref], "kim", "not so old", dock.clock())


KILLED = """
import os, signal, sys
from datetime import datetime, UTC
from db import engine
from tower.network import load_network
from worker import replays

seen = 0
def probe(step):
    global seen
    if step == sys.argv[3]:
        seen += 1
        if seen == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

net = load_network(sys.argv[2], "network.yaml")
now = datetime.fromisoformat(sys.argv[5])
replays.advance(engine.create(sys.argv[1]), net, "doomed", now, secrets={"PW": "guest"},
                probe=probe)
"""


@pytest.mark.parametrize("step", ["claimed", "sending", "published", "recorded"])
def test_a_kill_at_any_step_sends_nothing_twice_and_loses_nothing(
    host: RabbitHost, database: Engine, step: str
) -> None:
    dock = Dock(host, database, REPLAY.replace("canary: 1", "canary: 0"))
    one = dock.start(refs(dock.dead(4)))
    written = dock.text(REPLAY.replace("canary: 1", "canary: 0"))
    address = database.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, address, written, step, "1" if step == "claimed" else "2",
         dock.clock().isoformat()],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    dock.now += timedelta(minutes=3)  # its lease is over
    for _ in range(4):
        dock.advance("heir")
    sent = [p.message_id for p, _ in dock.arrived()]
    assert len(sent) == len(set(sent))
    states = dict(zip([i.ref for i in dock.items(one)], dock.states(one), strict=True))
    uncertain = [ref for ref, state in states.items() if state == "uncertain"]
    assert len(uncertain) == (1 if step in ("sending", "published") else 0)
    assert len(sent) == (3 if step == "sending" else 4)
    assert set(states.values()) <= {"uncertain", "awaiting_effect"}
    if step == "published":  # it did arrive: its effect clears it up
        for n in range(4):
            dock.applied(n)
        dock.advance("heir")
        assert set(dock.states(one)) == {"resolved"}
    if step == "sending":  # a person finds out that it did not
        item = next(i for i in dock.items(one) if i.state == "uncertain")
        with dock.engine.begin() as conn:
            replays.decide(
                conn, one.id, item.n, arrived=False, who="lee", why="not in the queue",
                now=dock.clock(),
            )  # fmt: skip
        assert dock.letters("open") != []


def test_counters_always_add_up(dock: Dock) -> None:
    dead = dock.dead(3)
    one = dock.start(refs(dead))
    seen: list[Replay] = []
    for n in (None, 0, 1, None):
        if n is not None:
            dock.applied(n)
        dock.advance()
        seen.append(dock.get(one))
    assert {found.counters.total for found in seen} == {3}
    with dock.engine.connect() as conn:
        keys = conn.execute(select(replay_item.c.publish_key)).scalars().all()
    assert len(set(keys)) == len(keys)


def test_an_edited_copy_goes_in_the_place_of_the_original(dock: Dock) -> None:
    (letter,) = dock.dead(1)
    mended = body(0).replace("ü".encode(), b"ue")
    made = edits.edit(dock.engine, dock.net, EVERYTHING, letter.ref, mended, "kim", dock.clock())
    assert [line[0] for line in made.diff if "note" in line] == ["-", "+"]
    one = work.check(dock.engine, dock.net, made.replay.id, "kim", dock.clock(), secrets=SECRETS)
    assert one.needs_approval == "a payload was edited"
    dock.approve(dock.confirm(one))
    dock.advance()
    original = dock.draft([letter.ref])
    assert [i.verdict for i in dock.items(original)] == ["blocked"]  # the copy is under way
    ((properties, content),) = dock.arrived()
    assert (content, properties.message_id) == (mended, "m-0-2")
    dock.applied(0)
    dock.advance()
    assert dock.states(one) == ["resolved"]
    assert [i.verdict for i in dock.items(dock.draft([letter.ref]))] == ["blocked"]
    with dock.engine.connect() as conn:
        kept = conn.execute(
            select(raw_message.c.key).where(raw_message.c.key == letter.ref.key)
        ).all()
    assert len(kept) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.replace(b"4500000000", b"4500000009"), "po is locked"),
        (lambda raw: raw, "Nothing was changed"),
        (lambda raw: raw + b" " * 1_000_001, "are more than"),
    ],
)
def test_an_edit_that_changes_what_is_locked_is_refused(
    dock: Dock, change: Any, said: str
) -> None:
    (letter,) = dock.dead(1)
    with pytest.raises(ReplayRefused, match=said):
        edits.edit(
            dock.engine, dock.net, EVERYTHING, letter.ref, change(body(0)), "kim", dock.clock()
        )
    with dock.engine.connect() as conn:
        assert replays.listing(conn) == []


RUNNING = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from db import engine
from tower.network import load_network
from worker import replays

net = load_network(sys.argv[2], "network.yaml")
base = engine.create(sys.argv[1])
start = datetime.now(UTC)
shift = datetime.fromisoformat(sys.argv[3]) - start
clock = lambda: datetime.now(UTC) + shift
sent, doomed = 0, int(sys.argv[5])
def probe(step):
    global sent
    if step == "published":
        sent += 1
        if sent == doomed:
            os.kill(os.getpid(), signal.SIGKILL)
quiet = 0
while quiet < 20:
    if not replays.advance(base, net, sys.argv[4], clock(), secrets={"PW": "guest"}, clock=clock,
                           probe=probe):
        with base.connect() as conn:
            left = conn.exec_driver_sql(
                "SELECT count(*) FROM replay_item WHERE state = 'ready'").scalar_one()
        quiet = quiet + 1 if not left else 0
"""


def test_two_workers_and_two_users_replay_the_same_thousand_while_one_is_killed(
    host: RabbitHost, database: Engine
) -> None:
    count, doomed = 1000, 150
    fast = REPLAY.replace("canary: 1", "canary: 0").replace("500", "1000")
    dock = Dock(host, database, fast)
    dead = dock.dead(count)
    first, second = dock.draft(refs(dead)), dock.draft(refs(dead), who="lee")
    dock.approve(dock.confirm(first), "lee")
    dock.approve(dock.confirm(second, who="lee"), "kim")
    address = database.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RUNNING, address, dock.text(fast), dock.clock().isoformat(),
             name, str(at)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for name, at in (("steady", 0), ("doomed", doomed))
    ]
    codes = [process.wait(timeout=900) for process in processes]
    assert codes == [0, -signal.SIGKILL]
    dock.now += timedelta(minutes=10)  # leases of the killed one are over
    for _ in range(60):
        dock.advance("heir")
        if "ready" not in dock.states(first) + dock.states(second):
            break
    sent = [p.message_id for p, _ in dock.arrived()]
    assert len(sent) == len(set(sent)) == count  # none twice, none lost
    everything = dock.items(first) + dock.items(second)
    per_message: dict[str, list[str]] = {}
    for item in everything:
        per_message.setdefault(item.message_key, []).append(item.state)
    went = ("awaiting_effect", "uncertain")
    assert all(sum(state in went for state in states) == 1 for states in per_message.values())
    assert sum(item.state == "uncertain" for item in everything) == 1
    for one in (first, second):
        assert dock.get(one).counters.total == count
    with database.connect() as conn:
        assert audit.verify(conn).broken_at is None
