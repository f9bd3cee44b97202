"""Ties by hand: what they bring to an order, that they stand over everything, that they go back."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from db import ties
from db.ingest import store
from db.rebuild import rebuild, verify
from db.reinterpret import reinterpret
from tests.db.stories import NET, Teller, at, line, po, released
from tests.db.test_ingest_stories import NOW, flow, the
from tower.access import EVERYTHING, Scope
from tower.event import ObjectRef
from tower.identity import document_home
from tower.raw import Interpretation, Interpreted

LATER = at(600)
ORDER = ObjectRef("po", "main", "1")


def tie(conn: Connection, what: str, order: ObjectRef = ORDER, why: str = "seen by phone") -> Any:
    made = ties.ask(conn, EVERYTHING, what, order, why=why, who="kim", now=LATER)
    fulfil(conn)
    return made


def untie(conn: Connection, what: str, why: str = "was another order") -> Any:
    made = ties.ask_undo(conn, EVERYTHING, what, why=why, who="lee", now=LATER)
    fulfil(conn)
    return made


def fulfil(conn: Connection) -> None:
    for number in ties.waiting(conn):
        assert ties.fulfil(conn, number, net=NET, now=LATER)
    assert ties.waiting(conn) == []


def shape(conn: Connection) -> dict[str, list[Any]]:
    """All that follows from facts and ties, without bookkeeping."""
    queries = {
        "objects": "SELECT home_key, event_id, linked, via, arrived_at, type, words::text "
        "FROM event_object ORDER BY 1, 2, 3",
        "links": "SELECT home_key, other_key, basis, evidence, since FROM flow_link ORDER BY 1,2,3",
        "flows": "SELECT home_key, anchor, n_events, matched FROM flow ORDER BY 1",
        "documents": "SELECT home_key, kind, number, line, status, answer, acknowledged_at, "
        "confirmed_qty, shipped_qty, failed_at, state FROM document ORDER BY 1, 2, 4",
    }
    return {name: [tuple(r) for r in conn.execute(text(q))] for name, q in queries.items()}


def answered(number: str) -> dict[str, Any]:
    return {**po(number), "lines": [line("10", "8", date="2026-04-05", answer="accepted")]}


# --- what a tie brings --------------------------------------------------------------------------


def test_an_id_tied_by_hand_brings_its_events_now_and_later(connection: Connection) -> None:
    t = Teller()
    lost = {"text": "lost", "step": "send"}
    store(connection, [t.tell("po.released", released("1"), hours=0)], net=NET, now=NOW)
    store(
        connection,
        [t.tell("message.failed", lost, hours=3, system="middleware", correlation="gw-77")],
        net=NET,
        now=NOW,
    )
    assert not flow(connection, "gw-77").matched
    assert the(connection, "po", "1")["failed_at"] is None
    tie(connection, "gw-77")
    assert flow(connection, "gw-77").matched
    assert the(connection, "po", "1")["failed_at"] is not None
    later = t.tell("message.failed", lost, hours=30, system="middleware", correlation="gw-77")
    store(connection, [later], net=NET, now=NOW)
    assert the(connection, "po", "1")["failed_at"] == at(30)
    assert verify(connection) == []


def test_what_was_said_of_a_mistyped_number_is_said_of_the_true_order(
    connection: Connection,
) -> None:
    t = Teller()
    store(connection, [t.tell("po.released", released("1"), hours=0)], net=NET, now=NOW)
    store(connection, [t.tell("po.acknowledged", answered("0001"), hours=5)], net=NET, now=NOW)
    tie(connection, "po:main:0001")
    row = the(connection, "po_line", "1", "10")
    assert (row["confirmed_qty"], str(row["last_confirmed_date"])) == (8, "2026-04-05")
    assert the(connection, "po", "1")["acknowledged_at"] == at(5)
    assert not the(connection, "po", "0001")["known"], "the mistyped one is still nobody's order"
    newer = {**po("0001"), "lines": [line("10", "6", answer="accepted_with_changes")]}
    store(connection, [t.tell("po.acknowledged", newer, hours=9)], net=NET, now=NOW)
    assert the(connection, "po_line", "1", "10")["confirmed_qty"] == 6
    due = connection.execute(
        text("SELECT count(*) FROM timer WHERE kind = 'unit' AND key = :home"),
        {"home": str(document_home("po", "main", "1"))},
    ).scalar_one()
    assert due == 1, "its clocks look again"
    assert verify(connection) == []


def test_a_message_that_names_nothing_can_be_tied(connection: Connection) -> None:
    t = Teller()
    store(connection, [t.tell("po.released", released("1"), hours=0)], net=NET, now=NOW)
    nameless = t.tell("message.failed", {"text": "lost"}, hours=2, system="middleware")
    store(connection, [nameless], net=NET, now=NOW)
    assert not flow(connection, "middleware/m2").matched
    tie(connection, "middleware/m2")
    assert the(connection, "po", "1")["failed_at"] == at(2)
    assert verify(connection) == []


def test_a_shipment_of_an_unknown_order_can_be_tied(connection: Connection) -> None:
    t = Teller()
    store(connection, [t.tell("po.released", released("1"), hours=0)], net=NET, now=NOW)
    asn = {"asn": "A1", "supplier": "ACME", "lines": []}
    store(connection, [t.tell("asn.received", asn, hours=7, system="edi")], net=NET, now=NOW)
    assert not flow(connection, "asn:ACME:A1").matched
    tie(connection, "asn:ACME:A1")
    assert flow(connection, "asn:ACME:A1").matched
    assert the(connection, "po", "1")["last_event_at"] == at(7)
    untie(connection, "asn:ACME:A1")
    assert not flow(connection, "asn:ACME:A1").matched
    assert the(connection, "po", "1")["last_event_at"] == at(0)


# --- it stands, and it goes back ----------------------------------------------------------------


def _story() -> tuple[list[Interpreted], list[str]]:
    t = Teller()
    lost = {"text": "lost"}
    items = [
        t.tell("po.released", released("1"), hours=0),
        t.tell("po.acknowledged", answered("0001"), hours=5, system="edi", carries=("x-1",)),
        t.tell("message.failed", lost, hours=6, system="middleware", correlation="x-1"),
        t.tell("message.failed", lost, hours=7, system="middleware", correlation="gw-1"),
        t.tell("message.failed", lost, hours=8, system="middleware"),
        t.tell("asn.received", {"asn": "A1", "supplier": "ACME", "lines": []}, hours=9),
    ]
    return items, ["po:main:0001", "gw-1", "middleware/m5", "asn:ACME:A1"]


@pytest.mark.parametrize("seed", range(6))
def test_before_or_after_its_events_a_tie_gives_the_same(engine_of_run: Engine, seed: int) -> None:
    items, whats = _story()
    with engine_of_run.connect() as connection:
        transaction = connection.begin()
        store(connection, items, net=NET, now=NOW)
        for what in whats:
            tie(connection, what)
        wanted = shape(connection)
        transaction.rollback()
        transaction = connection.begin()
        _in_another_order(connection, items, whats, random.Random(seed))
        assert shape(connection) == wanted
        assert verify(connection) == []
        transaction.rollback()


def _in_another_order(
    connection: Connection, items: list[Interpreted], whats: list[str], chance: random.Random
) -> None:
    # Enough of each to be unmatched, then ties, then everything again in another order.
    first = [items[0], *items[3:], items[1]]
    store(connection, first, net=NET, now=NOW)
    chance.shuffle(whats)
    for what in whats:
        tie(connection, what)
    rest = list(items)
    chance.shuffle(rest)
    for item in rest:
        store(connection, [item], net=NET, now=NOW)


def test_a_rebuild_keeps_what_ties_brought(connection: Connection) -> None:
    items, whats = _story()
    store(connection, items, net=NET, now=NOW)
    for what in whats:
        tie(connection, what)
    wanted = shape(connection)
    connection.execute(text("DELETE FROM document"))
    rebuild(connection, net=NET)
    assert shape(connection) == wanted


def test_interpreting_again_keeps_ties_and_mirrors_what_changed(connection: Connection) -> None:
    items, whats = _story()
    store(connection, items, net=NET, now=NOW)
    for what in whats:
        tie(connection, what)
    wanted = shape(connection)
    same = [
        Interpreted(item.raw, Interpretation("test", 2, events=item.reading.events))
        for item in items
    ]
    reinterpret(connection, same, net=NET, now=LATER)
    assert shape(connection) == wanted
    # A newer reading finds nothing in these messages any more, then finds it again.
    for version, keep in ((3, False), (4, True)):
        read = [
            Interpreted(
                item.raw,
                Interpretation("test", version, events=item.reading.events if keep else ()),
            )
            for item in items[1:]
        ]
        reinterpret(connection, read, net=NET, now=LATER)
        assert verify(connection) == []
        if not keep:
            row = the(connection, "po", "1")
            assert (row["acknowledged_at"], row["failed_at"]) == (None, None)
    assert shape(connection) == wanted


def test_undone_everything_is_as_if_it_had_never_been_tied(connection: Connection) -> None:
    items, whats = _story()
    store(connection, items, net=NET, now=NOW)
    before = shape(connection)
    for what in whats:
        tie(connection, what)
    assert shape(connection) != before
    for what in reversed(whats):
        untie(connection, what)
    assert shape(connection) == before
    assert verify(connection) == []
    kept = ties.ties(connection, EVERYTHING)
    assert {one.state for one in kept} == {"undone"}
    assert {(one.made_by, one.why) for one in kept} == {("kim", "seen by phone")}
    assert {(one.undone_by, one.undone_why) for one in kept} == {("lee", "was another order")}
    tie(connection, "gw-1", why="it was right after all")
    assert the(connection, "po", "1")["failed_at"] == at(7)
    assert len(ties.ties(connection, EVERYTHING)) == len(whats) + 1, "the old one is still told"


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "order", "why", "said"),
    [
        ("nothing-like-it", ORDER, "x", 'Nothing unmatched is called "nothing-like-it"'),
        ("po:main:1", ORDER, "x", "is not unmatched"),
        ("gw-1", ObjectRef("po", "main", "404"), "x", "no known purchase or customer order"),
        ("gw-1", ObjectRef("po", "main", "0001"), "x", "no known purchase or customer order"),
        ("gw-1", ObjectRef("asn", "ACME", "A1"), "x", "no known purchase or customer order"),
        ("gw-1", ORDER, "  ", "Say why"),
        ("po:main:0001", ObjectRef("order", "main", "S1"), "x", "of its own kind"),
    ],
)
def test_what_makes_no_sense_is_refused(
    connection: Connection, what: str, order: ObjectRef, why: str, said: str
) -> None:
    items, _ = _story()
    t = Teller(100)
    placed = {"erp": "main", "order": "S1", "customer": "C", "lines": [line("1")]}
    store(connection, [*items, t.tell("order.placed", placed, hours=1)], net=NET, now=NOW)
    with pytest.raises(ties.TieRefused, match=said):
        ties.ask(connection, EVERYTHING, what, order, why=why, who="kim", now=LATER)
    assert ties.ties(connection, EVERYTHING) == []


def test_one_thing_has_one_standing_tie(connection: Connection) -> None:
    items, _ = _story()
    t = Teller(100)
    store(connection, [*items, t.tell("po.released", released("2"), hours=0)], net=NET, now=NOW)
    tie(connection, "po:main:0001")
    with pytest.raises(ties.TieRefused, match=r"tied to po:main:1 already \(by kim"):
        ties.ask(
            connection, EVERYTHING, "po:main:0001", ObjectRef("po", "main", "2"),
            why="x", who="lee", now=LATER,
        )  # fmt: skip
    with pytest.raises(ties.TieRefused, match="No standing tie"):
        ties.ask_undo(connection, EVERYTHING, "gw-1", why="x", who="lee", now=LATER)


def test_a_wish_is_fulfilled_once_and_one_taken_back_before_does_nothing(
    connection: Connection,
) -> None:
    items, _ = _story()
    store(connection, items, net=NET, now=NOW)
    before = shape(connection)
    one = ties.ask(connection, EVERYTHING, "gw-1", ORDER, why="x", who="kim", now=LATER)
    assert one.state == "asked"
    ties.ask_undo(connection, EVERYTHING, "gw-1", why="no", who="kim", now=LATER)
    fulfil(connection)
    assert shape(connection) == before
    assert not ties.fulfil(connection, one.id, net=NET, now=LATER)


def test_a_viewer_of_other_partners_ties_nothing(connection: Connection) -> None:
    items, _ = _story()
    store(connection, items, net=NET, now=NOW)
    bolt = Scope(frozenset({"BOLT"}))
    with pytest.raises(ties.TieRefused):
        ties.ask(connection, bolt, "po:main:0001", ORDER, why="x", who="b", now=LATER)
    tie(connection, "po:main:0001")
    assert ties.ties(connection, bolt) == []
    with pytest.raises(ties.TieRefused):
        ties.ask_undo(connection, bolt, "po:main:0001", why="x", who="b", now=LATER)
