"""What becomes of small stories: who reaches whom, what counts once, what is left unmatched."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db.ingest import Stored, store
from db.rebuild import rebuild, verify
from tests.db.stories import (
    NET,
    Teller,
    again,
    at,
    document,
    line,
    message,
    network,
    on,
    po,
    received,
    released,
    shipped,
    snapshot,
)
from tower.correlation import ROOTS_PER_ID
from tower.raw import Interpreted

NOW = at(500)


def keep(conn: Connection, *items: Interpreted) -> Stored:
    return store(conn, items, net=NET, now=NOW)


def the(conn: Connection, kind: str, number: str, name: str = "") -> dict[str, Any]:
    row = document(conn, kind, number, name)
    assert row is not None, f"no {kind} {number} {name}"
    return row


def flow(conn: Connection, anchor: str) -> Any:
    return conn.execute(text("SELECT * FROM flow WHERE anchor = :anchor"), {"anchor": anchor}).one()


def heard(conn: Connection, number: str) -> set[str]:
    """Types of the events that reached an order by an id or a shipment."""
    return set(
        conn.execute(
            text("SELECT type FROM event_object WHERE kind = 'po' AND number = :n AND linked"),
            {"n": number},
        ).scalars()
    )


def in_every_order(conn: Connection, items: Sequence[Interpreted]) -> dict[str, Any]:
    """Store the items one by one in every order; all orders must end alike. The last one stays."""
    found: list[dict[str, Any]] = []
    orders = list(permutations(items))
    for n, order in enumerate(orders):
        inner = conn.begin_nested()
        for item in order:
            keep(conn, item)
        assert verify(conn) == []
        found.append(snapshot(conn))
        assert found[-1] == found[0]
        if n + 1 < len(orders):
            inner.rollback()
    return found[0]


def test_a_functional_acknowledgement_before_its_order_is_found_by_it(
    connection: Connection,
) -> None:
    t = Teller()
    in_every_order(
        connection,
        [
            t.tell(
                "fa.received",
                {"answered": "set", "verdict": "accepted", "set_type": "850"},
                hours=2,
                system="edi",
                answers=("x12:set:1",),
                carries=("own:1",),
            ),
            t.tell("po.released", released("1"), hours=0, system="edi", carries=("x12:set:1",)),
            t.tell("po.transmitted", po("1"), hours=1, system="edi"),
        ],
    )
    order = the(connection, "po", "1")
    assert (order["fa_status"], order["status"]) == ("accepted", "func_acked")
    assert order["func_acked_at"] == at(2)
    assert flow(connection, "x12:set:1").matched
    since = connection.execute(
        text("SELECT arrived_at FROM event_object WHERE linked")
    ).scalar_one()
    assert since == max(at(2 + 1 / 60), at(1 / 60))


def test_what_a_997_carries_does_not_tie_the_orders_it_answers(connection: Connection) -> None:
    t = Teller()
    for number in ("1", "2"):
        keep(
            connection,
            t.tell(
                "po.released", released(number), hours=0, system="edi", carries=(f"set:{number}",)
            ),
            t.tell(
                "fa.received",
                {"answered": "set", "verdict": "accepted" if number == "1" else "rejected"},
                hours=1,
                system="edi",
                answers=(f"set:{number}",),
                carries=("interchange of the 997",),
            ),
        )
    assert the(connection, "po", "1")["fa_status"] == "accepted"
    assert the(connection, "po", "2")["fa_status"] == "rejected"
    assert the(connection, "po", "2")["failed_at"] == at(1)


def test_a_receipt_reaches_an_order_that_was_only_named(connection: Connection) -> None:
    t = Teller()
    advice = {"supplier": "ACME", "po": "4:7", "erp": "main", "document": "4:7",
              "verdict": "rejected", "errors": []}  # fmt: skip
    keep(
        connection,
        t.tell("advice.received", advice, hours=2, system="edi", carries=("interchange:1",)),
    )
    keep(
        connection,
        t.tell(
            "fa.received",
            {"answered": "interchange", "verdict": "accepted"},
            hours=3,
            system="edi",
            answers=("interchange:1",),
        ),
    )
    assert not the(connection, "po", "4:7")["known"]
    keep(connection, t.tell("po.released", released("4:7"), hours=0))
    assert the(connection, "po", "4:7")["fa_status"] == "accepted"


def test_an_asn_before_its_po_is_linked_when_the_po_arrives(connection: Connection) -> None:
    t = Teller()
    asn = t.tell("asn.received", shipped("S1", on("1", "10")), hours=40, system="edi")
    keep(connection, asn)
    assert not the(connection, "po", "1")["known"]
    assert the(connection, "po", "1")["supplier"] == "ACME"
    assert not flow(connection, "asn:ACME:S1").matched
    assert not flow(connection, "po:main:1").matched
    keep(connection, t.tell("po.released", released("1"), hours=0))
    assert flow(connection, "asn:ACME:S1").matched
    assert flow(connection, "po:main:1").matched
    assert the(connection, "po", "1")["status"] == "shipped"
    assert the(connection, "po_line", "1", "10")["shipped_qty"] == 10


def test_a_refused_asn_shows_on_every_order_in_it(connection: Connection) -> None:
    t = Teller()
    in_every_order(
        connection,
        [
            t.tell(
                "asn.received",
                shipped("J", on("1", "10"), on("2", "10"), on("3", "10")),
                hours=40,
                system="edi",
            ),
            t.tell("po.released", released("1"), hours=0),
            t.tell("po.released", released("2"), hours=0),
            t.tell("asn.rejected", {"asn": "J", "supplier": "ACME"}, hours=41, system="wms"),
        ],
    )
    keep(connection, t.tell("po.released", released("3"), hours=0))
    assert flow(connection, "asn:ACME:J").n_events == 2
    for number in ("1", "2", "3"):
        order = the(connection, "po", number)
        assert (order["asn_status"], order["failed_at"]) == ("invalid", at(41))
        assert heard(connection, number) == {"asn.rejected"}
        assert the(connection, "po_line", number, "10")["asn_status"] == "invalid"
    assert the(connection, "asn", "J")["status"] == "invalid"
    ties = connection.execute(
        text("SELECT count(*) FROM flow_link WHERE basis = 'document' AND to_root")
    ).scalar_one()
    assert ties == 3, "a consolidated ASN ties itself to its orders, never these to one another"


def test_a_replacement_heals_a_refused_asn_and_leaves_orders_it_dropped(
    connection: Connection,
) -> None:
    t = Teller()
    for number in ("1", "2"):
        keep(connection, t.tell("po.released", released(number), hours=0))
    in_every_order(
        connection,
        [
            t.tell(
                "asn.received", shipped("S", on("1", "10"), on("2", "10")), hours=40, system="edi"
            ),
            t.tell("asn.rejected", {"asn": "S", "supplier": "ACME"}, hours=41, system="wms"),
            t.tell("asn.replaced", shipped("S", on("1", "10", "8")), hours=42, system="edi"),
        ],
    )
    assert the(connection, "asn", "S")["status"] == "replaced"
    assert the(connection, "po", "1")["failed_at"] is None
    assert the(connection, "po_line", "1", "10")["shipped_qty"] == 8
    assert the(connection, "po_line", "2", "10")["shipped_qty"] is None
    assert the(connection, "po", "2")["status"] == "released"
    assert heard(connection, "2") == {"asn.rejected", "asn.replaced"}


def test_a_cancelled_asn_ships_nothing(connection: Connection) -> None:
    t = Teller()
    in_every_order(
        connection,
        [
            t.tell("po.released", released("1"), hours=0),
            t.tell("asn.received", shipped("S", on("1", "10")), hours=40, system="edi"),
            t.tell("asn.cancelled", shipped("S"), hours=41, system="edi"),
        ],
    )
    assert the(connection, "po_line", "1", "10")["shipped_qty"] is None
    assert the(connection, "po", "1")["shipped_at"] is None
    assert the(connection, "asn", "S")["status"] == "cancelled"


def test_an_asn_number_again_with_other_content_counts_once(connection: Connection) -> None:
    t = Teller()
    in_every_order(
        connection,
        [
            t.tell("po.released", released("1"), hours=0),
            t.tell("asn.received", shipped("S", on("1", "10", "4")), hours=40, system="edi"),
            t.tell("asn.received", shipped("S", on("1", "10", "6")), hours=50, system="edi"),
        ],
    )
    assert the(connection, "po_line", "1", "10")["shipped_qty"] == 4
    assert the(connection, "asn", "S")["state"]["duplicate_content"] == 2


def test_a_receipt_told_by_warehouse_and_erp_is_one_receipt(connection: Connection) -> None:
    t = Teller()
    in_every_order(
        connection,
        [
            t.tell("po.released", released("1"), hours=0),
            t.tell("receipt.posted", received("E9", on("1", "10", "10")), hours=60),
            t.tell("receipt.posted", received("W1", on("1", "10", "4")), hours=59, system="wms"),
        ],
    )
    row = the(connection, "po_line", "1", "10")
    assert row["received_qty"] == 4, "the warehouse owns the field"
    assert row["status"] == "part_received"
    assert row["reports"]["erp"]["received_qty"][0] == "10"
    assert row["reports"]["wms"]["received_qty"][0] == "4"


def test_a_receipt_without_an_order_is_kept_under_its_id(connection: Connection) -> None:
    """A receipt ties nothing but the orders it names; one number says little across messages."""
    t = Teller()
    in_every_order(
        connection,
        [
            t.tell("po.released", released("1"), hours=0),
            t.tell("po.released", released("2"), hours=0),
            t.tell(
                "receipt.posted",
                received("R1", on("1", "10"), on("2", "10")),
                hours=2,
                system="wms",
            ),
            t.tell("receipt.reversed", received("R1"), hours=3, system="wms", correlation="job-7"),
        ],
    )
    assert flow(connection, "job-7").n_events == 1
    assert heard(connection, "1") == heard(connection, "2") == set()


def test_the_network_says_whose_receipts_count(connection: Connection) -> None:
    t = Teller()
    items = [
        t.tell("po.released", released("1"), hours=0),
        t.tell("receipt.posted", received("E9", on("1", "10", "10")), hours=60),
        t.tell("receipt.posted", received("W1", on("1", "10", "4")), hours=59, system="wms"),
    ]
    net = network(source_of_truth={"received_qty": "erp"})
    store(connection, items, net=net, now=NOW)
    assert the(connection, "po_line", "1", "10")["received_qty"] == 10
    rebuild(connection, net=NET)
    assert the(connection, "po_line", "1", "10")["received_qty"] == 4


def test_a_reversed_receipt_takes_its_line_back(connection: Connection) -> None:
    t = Teller()
    lines = (on("1", "10", "4"), on("1", "10", "6"))
    in_every_order(
        connection,
        [
            t.tell("po.released", released("1"), hours=0),
            t.tell("receipt.posted", received("W1", *lines), hours=59, system="wms"),
            t.tell("receipt.reversed", received("W1", lines[0]), hours=70, system="wms"),
        ],
    )
    assert the(connection, "po_line", "1", "10")["received_qty"] == 6
    assert the(connection, "receipt", "W1")["status"] == "corrected"


def test_an_answer_to_an_order_nobody_sent_is_kept_and_unmatched(connection: Connection) -> None:
    t = Teller()
    answer = {**po("77"), "answer": "accepted", "lines": [line("10", date="2026-04-01")]}
    keep(connection, t.tell("po.acknowledged", answer, hours=5, system="portal"))
    order = the(connection, "po", "77")
    assert not order["known"]
    assert order["answer"] == "accepted"
    assert not flow(connection, "po:main:77").matched


def test_an_id_that_ties_too_many_orders_stops_identifying(connection: Connection) -> None:
    t = Teller()
    count = ROOTS_PER_ID + 2
    orders = [
        t.tell("po.transmitted", po(str(n)), hours=n, system="middleware", correlation="0")
        for n in range(count)
    ]
    own = t.tell(
        "message.failed",
        {"text": "lost"},
        hours=60,
        system="middleware",
        correlation="0",
        carries=("m-3",),
    )
    lost = t.tell(
        "message.failed", {"text": "lost"}, hours=61, system="middleware", correlation="0"
    )
    ours = t.tell("po.released", released("3"), hours=0, carries=("m-3",))
    items = [*orders, own, lost, ours]
    found = []
    for seed in range(6):
        mixed = items.copy()
        random.Random(seed).shuffle(mixed)
        inner = connection.begin_nested()
        for n in range(0, len(mixed), 5):
            keep(connection, *mixed[n : n + 5])
        keep(connection, again(orders[0]), *orders[:3])
        assert verify(connection) == []
        found.append(snapshot(connection))
        assert found[-1] == found[0]
        useless = flow(connection, "0")
        assert (useless.not_identifying, useless.matched) == (True, False)
        assert useless.n_events == 2
        assert heard(connection, "3") == {"message.failed"}, "another id of it still leads there"
        assert heard(connection, "4") == set()
        if seed < 5:
            inner.rollback()
    keep(
        connection,
        t.tell("po.transmitted", po("5"), hours=99, system="middleware", correlation="0"),
    )
    assert verify(connection) == []


def test_up_to_the_limit_an_id_brings_its_events_to_every_order(connection: Connection) -> None:
    t = Teller()
    for n in range(ROOTS_PER_ID):
        keep(connection, t.tell("po.released", released(str(n)), hours=n, correlation="run 7"))
    keep(
        connection,
        t.tell("message.failed", {}, hours=60, system="middleware", correlation="run 7"),
    )
    reached = connection.execute(
        text("SELECT count(*) FROM event_object WHERE linked")
    ).scalar_one()
    assert reached == ROOTS_PER_ID
    assert the(connection, "po", "4")["failed_at"] == at(60)


def test_ids_of_one_message_lead_on_to_its_order_and_never_through_it(
    connection: Connection,
) -> None:
    t = Teller()
    in_every_order(
        connection,
        [
            t.tell("po.released", released("1"), hours=0, carries=("set:1",)),
            t.tell(
                "message.sent",
                {},
                hours=1,
                system="middleware",
                correlation="gw:1",
                carries=("set:1",),
            ),
            t.tell(
                "message.delivered",
                {"receipt": "mdn"},
                hours=2,
                system="middleware",
                correlation="gw:1",
            ),
            t.tell("message.failed", {}, hours=3, system="middleware", correlation="gw:2"),
        ],
    )
    assert heard(connection, "1") == {"message.sent", "message.delivered"}
    order = the(connection, "po", "1")
    assert order["transport_acked_at"] == at(2)
    assert order["failed_at"] is None
    assert flow(connection, "gw:1").matched
    assert not flow(connection, "gw:2").matched


def test_an_id_between_two_orders_is_not_guessed(connection: Connection) -> None:
    t = Teller()
    in_every_order(
        connection,
        [
            t.tell("po.released", released("1"), hours=0, carries=("set:1",)),
            t.tell("po.released", released("2"), hours=0, carries=("set:2",)),
            t.tell("message.sent", {}, hours=1, correlation="gw", carries=("set:1",)),
            t.tell("message.sent", {}, hours=2, correlation="gw", carries=("set:2",)),
        ],
    )
    keep(connection, t.tell("message.failed", {}, hours=3, correlation="gw"))
    assert heard(connection, "1") == {"message.sent"}
    assert heard(connection, "2") == {"message.sent"}
    assert not flow(connection, "gw").matched


def test_a_failed_message_is_mended_by_its_delivery(connection: Connection) -> None:
    t = Teller()
    failed = t.tell("message.failed", {**po("1"), "message": "m"}, hours=3, system="middleware")
    keep(connection, t.tell("po.released", released("1"), hours=0), failed)
    assert the(connection, "po", "1")["failed_at"] == at(3)
    keep(
        connection,
        t.tell("message.delivered", {**po("1"), "message": "m"}, hours=4, system="middleware"),
    )
    assert the(connection, "po", "1")["failed_at"] is None


def test_a_repeated_key_is_a_sighting_and_other_bytes_are_told(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1"), hours=0)
    other = message(item.raw.key, "erp", [], at(3), b"something else")
    first = keep(connection, item)
    second = keep(connection, again(item, at(2)), other, again(item, at(2)))
    assert [one.outcome for one in first.items] == ["accepted"]
    assert [one.outcome for one in second.items] == ["repeated"] * 3
    assert second.events == 0
    seen = connection.execute(
        text("SELECT seen_at, name, same_bytes FROM sighting ORDER BY seen_at")
    ).all()
    assert [tuple(row) for row in seen] == [(at(2), "again", True), (at(3), "", False)]
    (findings,) = connection.execute(text("SELECT findings FROM interpretation")).scalars()
    assert [one["code"] for one in findings] == ["other_bytes"]


def test_an_event_told_by_two_messages_counts_once(connection: Connection) -> None:
    t = Teller()
    one = t.tell("po.released", released("1"), hours=0, own_id="e1")
    two = t.tell("po.released", released("1"), hours=0, own_id="e1")
    three = t.tell("po.released", released("1"), hours=0, own_id="e1")
    assert keep(connection, one, two).known_events == 1
    assert keep(connection, three).known_events == 1
    assert flow(connection, "po:main:1").n_events == 1
    assert verify(connection) == []


def test_pegs_follow_the_latest_word(connection: Connection) -> None:
    t = Teller()
    peg = {"erp": "main", "order": "SO1", "order_line": "1", "po": "1", "line": "10"}
    in_every_order(
        connection,
        [
            t.tell("peg.set", {"pegs": [{**peg, "qty": "5"}]}, hours=1),
            t.tell("peg.set", {"pegs": [{**peg, "qty": "7"}]}, hours=3),
            t.tell("peg.removed", {"pegs": [peg]}, hours=2),
        ],
    )
    assert connection.execute(text("SELECT qty FROM peg")).scalars().all() == [7]


def timers(conn: Connection) -> dict[str, Any]:
    return {
        row.key: row.due
        for row in conn.execute(text("SELECT key, due FROM timer WHERE kind = 'unit'"))
    }


def test_touched_units_are_due_when_they_heard_it(connection: Connection) -> None:
    t = Teller()
    keep(connection, t.tell("po.released", released("1"), hours=5, received=6))
    keep(connection, t.tell("po.transmitted", po("1"), hours=4, received=7))
    home = str(the(connection, "po", "1")["home_key"])
    assert timers(connection) == {home: at(6)}
    generation = connection.execute(
        text("SELECT generation FROM timer WHERE kind = 'unit'")
    ).scalar_one()
    assert generation == 2
    keep(connection, t.tell("asn.received", shipped("S", on("1", "10")), hours=8, system="edi"))
    assert set(timers(connection)) == {home, str(the(connection, "asn", "S")["home_key"])}


def test_a_changed_customer_order_wakes_the_supply_pegged_to_it(connection: Connection) -> None:
    t = Teller()
    peg = {"erp": "main", "order": "SO1", "order_line": "1", "po": "1", "line": "10", "qty": "5"}
    keep(
        connection,
        t.tell("po.released", released("1"), hours=0),
        t.tell("peg.set", {"pegs": [peg]}, hours=1),
    )
    connection.execute(text("DELETE FROM timer"))
    promise = {"order": "SO1", "erp": "main", "lines": [line("1", promise_date="2026-04-20")]}
    keep(connection, t.tell("order.promised", promise, hours=3, received=4, system="platform"))
    assert timers(connection) == {str(the(connection, "po", "1")["home_key"]): at(4)}
    connection.execute(text("DELETE FROM timer"))
    gone = {"order": "SO1", "erp": "main", "lines": [{"line": "1"}]}
    keep(connection, t.tell("order.cancelled", gone, hours=5, received=6, system="platform"))
    assert timers(connection) == {str(the(connection, "po", "1")["home_key"]): at(6)}


@pytest.mark.parametrize(
    "ugly", ["tab\there", "back\\slash", "\\N", "new\nline", "emoji 🚚 'q' \"Q\""]
)
def test_ugly_texts_come_back_as_they_were(connection: Connection, ugly: str) -> None:
    t = Teller()
    item = t.tell("po.released", {**released("1"), "buyer": ugly}, hours=0, correlation=ugly)
    keep(connection, message(ugly, "erp", item.reading.events, at(1)))
    stored = connection.execute(text("SELECT raw_key, correlation_id, data FROM event")).one()
    expected = item.reading.events[0].data["buyer"]
    assert (stored.raw_key, stored.correlation_id) == ("m1", ugly)
    assert stored.data["buyer"] == expected
    assert the(connection, "po", "1")["buyer"] == expected
    assert connection.execute(text("SELECT key FROM raw_message")).scalars().all() == [ugly]


def test_an_id_of_any_length_ties(connection: Connection) -> None:
    t = Teller()
    long = "x" * 9000
    other = "x" * 8999 + "y"
    keep(
        connection,
        t.tell("po.released", released("1"), hours=0, correlation=long),
        t.tell("message.failed", {}, hours=1, system="middleware", correlation=long),
        t.tell("message.failed", {}, hours=1, system="middleware", correlation=other),
    )
    assert the(connection, "po", "1")["failed_at"] == at(1)
    stored = connection.execute(text("SELECT correlation_id FROM event")).scalars()
    assert set(stored) == {long, other}
    assert verify(connection) == []


def test_texts_that_postgres_cannot_hold_are_mended(connection: Connection) -> None:
    t = Teller()
    item = t.tell("po.released", released("1"), hours=0)
    broken = message("zero\0and half \ud83d", "erp", item.reading.events, at(1))
    assert keep(connection, broken).events == 1
    assert keep(connection, broken).items[0].outcome == "repeated"
