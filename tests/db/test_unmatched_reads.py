"""The unmatched list: what was tried, what it may belong to, who may see it."""

from __future__ import annotations

from sqlalchemy import Connection

from db import health, ties
from db.ingest import store
from db.reads import unmatched
from tests.db.stories import NET, Teller, line, po, released
from tests.db.test_ingest_stories import NOW
from tower.access import EVERYTHING, Scope
from tower.event import ObjectRef


def fill(conn: Connection) -> None:
    t = Teller()
    answer = {"answer": "accepted", "lines": [line("10")]}
    lost = {"text": "order 4500001234 refused"}
    items = [
        t.tell("po.released", released("4500001234"), hours=0),
        t.tell("po.released", released("4500007777", supplier="BOLT"), hours=0),
        t.tell("po.acknowledged", {**po("4500001243"), **answer}, hours=3, carries=("x-9",)),
        t.tell("po.acknowledged", {**po("PO-4500007777", "BOLT"), **answer}, hours=4),
        t.tell("message.failed", lost, hours=5, system="middleware", correlation="gw-1"),
        t.tell("message.failed", {"text": "?"}, hours=6, system="middleware"),
    ]
    store(conn, items, net=NET, now=NOW)


def looked(conn: Connection, scope: Scope = EVERYTHING) -> dict[str, unmatched.Looked]:
    flows, total = unmatched.unmatched(conn, scope)
    assert total == len(flows)
    return {one.flow.anchor: one for one in unmatched.looked_into(conn, scope, flows)}


def test_each_says_what_was_tried_and_what_it_may_belong_to(connection: Connection) -> None:
    fill(connection)
    found = looked(connection)
    assert set(found) == {
        "po:main:4500001243", "po:main:PO-4500007777", "gw-1", "middleware/m6"
    }  # fmt: skip
    typo = found["po:main:4500001243"]
    tried = {(a.basis, a.value): a.outcome for a in typo.attempts}
    assert tried["document", "po:main:4500001243"] == "nobody released it"
    assert tried["carries", "x-9"] == "leads only to an order that nobody knows"
    [one] = typo.candidates
    assert one.ref == "po:main:4500001234"
    assert one.why == "two signs are exchanged; the same partner"
    assert one.supplier == "ACME"
    [prefixed] = found["po:main:PO-4500007777"].candidates
    assert prefixed.ref == "po:main:4500007777"
    spoken = found["gw-1"]
    assert [(a.basis, a.value, a.outcome) for a in spoken.attempts] == [
        ("correlation", "gw-1", "no order carries this id")
    ]
    assert [(c.ref, c.why) for c in spoken.candidates] == [("po:main:4500001234", "named in text")]
    nameless = found["middleware/m6"]
    assert [a.basis for a in nameless.attempts] == ["nothing"]
    assert nameless.candidates == ()
    assert nameless.events[0].raw_key == "m6"


def test_what_is_tied_waits_no_longer_and_comes_back_when_undone(connection: Connection) -> None:
    fill(connection)
    assert health.backlog(connection, NOW).flows_unmatched == 4
    order = ObjectRef("po", "main", "4500001234")
    what = "po:main:4500001243"
    ties.ask(connection, EVERYTHING, what, order, why="typo", who="kim", now=NOW)
    assert what not in looked(connection)
    assert unmatched.find(connection, EVERYTHING, what) is None
    assert health.backlog(connection, NOW).flows_unmatched == 3
    ties.ask_undo(connection, EVERYTHING, what, why="no", who="kim", now=NOW)
    assert what in looked(connection)
    again = unmatched.find(connection, EVERYTHING, what)
    assert again is not None
    assert again.candidates


def test_a_supplier_sees_its_own_and_no_candidates_of_others(connection: Connection) -> None:
    fill(connection)
    found = looked(connection, Scope(frozenset({"BOLT"})))
    assert set(found) == {"po:main:PO-4500007777"}
    assert [c.ref for c in found["po:main:PO-4500007777"].candidates] == ["po:main:4500007777"]
    assert unmatched.find(connection, Scope(frozenset({"BOLT"})), "po:main:4500001243") is None
