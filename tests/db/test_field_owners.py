"""Whose word counts, field by field; what the others say is kept, listed and never added."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection

from db.ingest import store
from db.reads import disagreements
from db.rebuild import rebuild
from tests.db.stories import Teller, line, network, po, received, released
from tests.db.test_ingest_stories import NOW, on, the
from tower.access import EVERYTHING, Scope


def answered(t: Teller, hours: float, system: str, **more: Any) -> Any:
    given = {**po("1"), "answer": "accepted_with_changes", "lines": [line("10", **more)]}
    return t.tell("po.acknowledged", given, hours=hours, system=system)


CHOSEN = {"po_line": {"confirmed_date": ("portal",), "ordered_qty": ("platform", "erp")}}


def test_each_field_follows_its_own_system(connection: Connection) -> None:
    t = Teller()
    items = [
        t.tell("po.released", released("1"), hours=0),
        answered(t, 5, "portal", qty="9", date="2026-04-03"),
        answered(t, 6, "edi", qty="8", date="2026-04-09"),
    ]
    random.Random(3).shuffle(items)
    net = network(
        source_of_truth={
            "po_line": {
                "answer": ("edi",),
                "confirmed_qty": ("edi",),
                "confirmed_price": ("edi",),
                "confirmed_date": ("portal",),
            }
        }
    )
    store(connection, items, net=net, now=NOW)
    row = the(connection, "po_line", "1", "10")
    assert row["confirmed_qty"] == 8
    assert str(row["last_confirmed_date"]) == "2026-04-03"
    assert row["reports"]["edi"]["confirmed_date"][0] == "2026-04-09", "kept, not taken"
    assert row["reports"]["portal"]["confirmed_qty"][0] == "9"
    rebuild(connection, net=network())
    row = the(connection, "po_line", "1", "10")
    assert str(row["last_confirmed_date"]) == "2026-04-09", "without a choice the latest answer"


def test_a_system_before_another_feeds_a_field_only_while_it_reports(
    connection: Connection,
) -> None:
    t = Teller()
    net = network(source_of_truth=CHOSEN)
    store(connection, [t.tell("po.released", released("1"), hours=0)], net=net, now=NOW)
    assert the(connection, "po_line", "1", "10")["ordered_qty"] == 10, "the next in order reports"
    told = released("1", line("10", "12", price="9", requested_date="2026-05-01"))
    store(
        connection,
        [t.tell("po.released", told, hours=1, system="platform")],
        net=net,
        now=NOW,
    )
    row = the(connection, "po_line", "1", "10")
    assert row["ordered_qty"] == 12
    assert str(row["price"]) in ("2.5", "2.50"), "price stays with the ERP"
    assert str(row["requested_date"]) == "2026-04-01"


def test_a_name_of_a_system_may_stand_for_its_kind(connection: Connection) -> None:
    t = Teller()
    items = [
        t.tell("po.released", released("1"), hours=0),
        t.tell("receipt.posted", received("E9", on("1", "10", "10")), hours=60),
        t.tell("receipt.posted", received("W1", on("1", "10", "4")), hours=59, system="wms"),
        t.tell("receipt.posted", received("P1", on("1", "10", "7")), hours=59, system="platform"),
    ]
    net = network(source_of_truth={"received_qty": ("platform", "erp")})
    store(connection, items, net=net, now=NOW)
    assert the(connection, "po_line", "1", "10")["received_qty"] == 7


def test_what_systems_tell_differently_is_listed_with_its_owner(connection: Connection) -> None:
    t = Teller()
    items = [
        t.tell("po.released", released("1"), hours=0),
        t.tell("po.released", released("2"), hours=0),
        t.tell("receipt.posted", received("E9", on("1", "10", "6")), hours=60),
        t.tell("receipt.posted", received("W1", on("1", "10", "4.0")), hours=59, system="wms"),
        t.tell("receipt.posted", received("E8", on("2", "10", "5")), hours=60),
        t.tell("receipt.posted", received("W2", on("2", "10", "5.0")), hours=61, system="wms"),
    ]
    store(connection, items, net=network(), now=NOW)
    found, more = disagreements.disagreements(connection, EVERYTHING, network(), NOW)
    assert not more
    [one] = found
    assert (one.number, one.line, one.field, one.kind) == ("1", "10", "received_qty", "po_line")
    assert one.counts == ("wms",)
    assert one.values["wms"].value == "4"
    assert one.values["erp"].value == "6"
    assert one.gap == "2"
    assert one.since is not None
    own = disagreements.disagreements(connection, Scope(frozenset({"BOLT"})), network(), NOW)
    assert own == ([], False), "another supplier's lines are not shown"


@pytest.mark.parametrize("field", ["confirmed_date", "received_qty"])
def test_the_list_narrows_to_a_field(connection: Connection, field: str) -> None:
    t = Teller()
    items = [
        t.tell("po.released", released("1"), hours=0),
        answered(t, 5, "portal", qty="10", date="2026-04-03"),
        t.tell("po.answer_applied", {**po("1"), "lines": [line("10", date="2026-04-09")]}, hours=8),
        t.tell("receipt.posted", received("E9", on("1", "10", "6")), hours=60),
        t.tell("receipt.posted", received("W1", on("1", "10", "4")), hours=59, system="wms"),
    ]
    store(connection, items, net=network(), now=NOW)
    found, _ = disagreements.disagreements(connection, EVERYTHING, network(), NOW, field=field)
    assert [one.field for one in found] == [field]
