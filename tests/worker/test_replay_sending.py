"""Sending copies through a real broker: nothing sent twice or lost, no green tick for a queue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pika import BasicProperties
from sqlalchemy import Engine, func, select, text

from db import letters
from db.replays import Replay
from db.tables import raw_message, replay_item
from tests.collectors.brokers import RabbitHost
from tests.worker.replaying import QUEUE, REPLAY, SECRETS, Dock, body, number, refs
from tower.access import EVERYTHING
from tower.network import load_network
from worker import replay_telling

pytestmark = pytest.mark.rabbitmq


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


def test_a_copy_reaches_the_queue_it_died_in_and_no_other_subscriber(dock: Dock) -> None:
    channel, other = dock.host.channel, "audit.copies"
    channel.exchange_declare("answers", "fanout")
    dock.host.declare(other)
    for queue in (QUEUE, other):
        channel.queue_bind(queue, "answers")
    channel.basic_publish("answers", "", body(0), BasicProperties(type="po.acknowledged"))
    method, _, _ = channel.basic_get(QUEUE)
    assert method is not None
    channel.basic_reject(method.delivery_tag, requeue=False)
    while dock.host.depth("dlq") < 1:
        pass
    assert dock.capture() == 1
    one = dock.start(refs(dock.letters("open")))
    dock.advance()
    assert dock.states(one) == ["awaiting_effect"]
    assert len(dock.arrived()) == 1
    assert dock.host.depth(other) == 1  # the first one alone


def test_notes_and_earlier_attempts_stay_after_retry_and_resolution(dock: Dock) -> None:
    (first,) = dock.dead(1)
    with dock.engine.begin() as conn:
        letters.add_note(conn, first.fingerprint, "kim", "asked the ERP team", dock.clock())
    dock.start([first.ref])
    dock.advance()
    dock.die([0], first=False)
    dock.capture()
    dock.advance()
    (second,) = dock.letters("open")
    dock.start([second.ref])
    dock.advance()
    dock.applied(0)
    dock.advance()
    with dock.engine.connect() as conn:
        assert second.fingerprint == first.fingerprint
        (note,) = letters.notes(conn, [first.fingerprint])[first.fingerprint]
        tries = letters.attempts(conn, EVERYTHING, "broker", first.message_key)
    assert note.text == "asked the ERP team"
    assert [(one.ref.attempt, one.state) for one in tries] == [(1, "superseded"), (2, "resolved")]


def test_documents_are_told_what_was_sent_and_what_took_effect(dock: Dock) -> None:
    dead = dock.dead(2)
    dock.start(refs(dead))
    dock.advance()
    assert replay_telling.tell(dock.engine, dock.net, dock.clock()) == 1
    assert told(dock) == [("message.replayed", number(0))]
    dock.applied(0)
    dock.advance()
    assert replay_telling.tell(dock.engine, dock.net, dock.clock()) == 2
    assert replay_telling.tell(dock.engine, dock.net, dock.clock()) == 0
    assert told(dock) == [
        ("message.replayed", number(0)),
        ("message.replayed", number(1)),
        ("message.took_effect", number(0)),
    ]


def told(dock: Dock) -> list[tuple[str, str]]:
    """(type, order) of what the tower told of replays."""
    asked = text(
        "SELECT DISTINCT type, number FROM event_object WHERE kind = 'po' "
        "AND type IN ('message.replayed', 'message.took_effect') ORDER BY 1, 2"
    )
    with dock.engine.connect() as conn:
        return [(row[0], row[1]) for row in conn.execute(asked)]
