"""Dry runs of replays: a verdict for every letter, and no side effect."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from db import replay_wishes
from db.reads import stories
from tests.worker.replaying import QUEUE, SECRETS, Dock, number, refs, snapshot
from tower.access import EVERYTHING
from tower.replays import FORCE, REPROCESS, ReplayRefused
from tower.vocabulary import make_event
from worker.replay_checks import check_waiting

pytestmark = pytest.mark.rabbitmq


def test_a_dry_run_writes_nothing_but_verdicts(dock: Dock) -> None:
    dead = dock.dead(2)
    before = snapshot(dock.engine)
    one = dock.draft(refs(dead))
    assert [item.verdict for item in dock.items(one)] == ["ready", "ready"]
    assert dock.host.depth(QUEUE) == 0
    assert snapshot(dock.engine) == before
    assert set(dock.states(one)) == {"drafted"}


def test_verdicts_say_why_not(dock: Dock) -> None:
    dead = dock.dead(5)
    dock.applied(0)  # its effect was seen without us
    dock.tell(
        make_event(
            "po.revised",
            {"erp": "main", "po": number(1)},
            occurred_at=dock.clock(),
            source="told",
            raw_key="rev",
            position="0",
            system="erp",
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


def test_a_document_in_effect_is_a_duplicate_by_its_number_whatever_the_bytes(dock: Dock) -> None:
    answer = {"erp": "main", "po": number(5), "supplier": "ACME"}
    dock.tell(
        make_event(
            "po.acknowledged", answer, occurred_at=dock.clock() - timedelta(days=2),
            source="told", raw_key="ack", position="0", system="erp",
        )
    )  # fmt: skip
    orders = [number(5), number(6), number(6)]
    bodies = [orjson.dumps({"po": po, "note": n}) for n, po in enumerate(orders)]
    dead = dock.die_as("po.released", bodies)
    one = dock.draft(refs(dead))
    said = {item.ref: item.cause.partition(":")[0] or item.verdict for item in dock.items(one)}
    assert [said[letter.ref] for letter in dead] == ["in_effect", "ready", "same_document"]
    forced = dock.draft(refs(dead), action=FORCE)
    assert {item.verdict for item in dock.items(forced)} == {"ready"}
    # An answer to the order may come again with other content: its number alone proves nothing.
    answers = dock.die_as("po.acknowledged", [bodies[1]])
    assert [i.verdict for i in dock.items(dock.draft(refs(answers)))] == ["ready"]


def test_receipts_and_invoices_are_known_by_their_numbers(dock: Dock) -> None:
    def tell(type_: str, data: dict[str, object]) -> None:
        when = dock.clock() - timedelta(days=2)
        dock.tell(
            make_event(
                type_, data, occurred_at=when, source="told", raw_key=f"{type_} {data}",
                position="0", system="erp",
            )
        )  # fmt: skip

    line = {"receipt_line": "1", "erp": "main", "po": number(1), "line": "10", "qty": "1"}
    tell("receipt.posted", {"warehouse": "EAST", "receipt": "R-1", "lines": [line]})
    tell("invoice.matched", {"supplier": "ACME", "invoice": "I-1"})
    receipts = [{"warehouse": "EAST", "receipt": n, "note": k} for k, n in enumerate(
        ("R-1", "R-2", "R-2"))]  # fmt: skip
    invoices = [{"supplier": "ACME", "invoice": n, "note": k} for k, n in enumerate(
        ("I-1", "I-2", "I-2"))]  # fmt: skip
    for type_, told in (("receipt.posted", receipts), ("invoice.received", invoices)):
        dead = dock.die_as(type_, [orjson.dumps(one) for one in told])
        draft = dock.draft(refs(dead))
        said = {i.ref: i.cause.partition(":")[0] or i.verdict for i in dock.items(draft)}
        words = [said[letter.ref] for letter in dead]
        assert words == ["in_effect", "ready", "same_document"], type_
    # A supplier that nobody knows hides no dead letter.
    stranger = orjson.dumps({"supplier": "NOBODY", "invoice": "I-3"})
    (letter,) = dock.die_as("invoice.received", [stranger])
    assert (letter.kind, letter.code) == ("deliver", "rejected")
    with dock.engine.connect() as conn:
        (found,) = stories.search(conn, EVERYTHING, "I-2")
        assert found.ref == "invoice:ACME:I-2"
        (found,) = stories.search(conn, EVERYTHING, "R-2")
        assert found.ref == "receipt:EAST:R-2"
        shown = stories.story(conn, EVERYTHING, found.ref)
    assert shown is not None
    assert {event.type for event in shown.events} == {"message.dead_lettered"}
