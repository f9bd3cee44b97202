"""What needs a decision, how exceptions move, what changed, and how fresh all of it is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import Connection

from db import configuration
from db.reads import cases, freshness, lookup, overview
from db.reads.filters import Filter, Period
from db.tables import source_spell
from tests.desk import NOW, Desk
from tower.access import EVERYTHING, Scope
from tower.briefing import CategoryCount

EVERYONE = Filter(Period.last(30, NOW))
BIRCH_ONLY = Scope(frozenset({"birch"}))


def test_cases_of_one_cause_are_one_decision_and_the_costliest_comes_first(
    connection: Connection,
) -> None:
    desk = Desk()
    for number in ("1", "2", "3"):
        desk.po(number)
    desk.po("4", "birch")
    low = desk.case("1", priority=10.0, opened=desk.at(days=3))
    top = desk.case("2", priority=30.0, severity="high", advice="Call Acme.")
    desk.case("3", priority=5.0, category="ASN_INVALID")
    desk.case("4", "birch", priority=100.0)
    desk.write(connection)
    causes = overview.needs_decision(connection, EVERYTHING, EVERYONE)
    assert [(c.category, c.supplier_name, c.cases) for c in causes] == [
        ("ACK_OVERDUE", "Birch Ltd", 1),
        ("ACK_OVERDUE", "Acme Ltd", 2),
        ("ASN_INVALID", "Acme Ltd", 1),
    ]
    acme = causes[1]
    assert acme.top_case == top != low
    assert acme.severity == "high"
    assert acme.since == NOW - timedelta(days=3)
    assert acme.purchase_orders == 2
    assert acme.next_step == "Call Acme."
    assert acme.owner_name == "Supplier desk"
    assert acme.consequence == 40.0


def test_a_customer_order_hit_by_two_cases_counts_once(connection: Connection) -> None:
    desk = Desk()
    desk.po("1")
    desk.po("2")
    first, second = desk.case("1"), desk.case("2")
    desk.impact("70", "1", case_id=first, open_value=Decimal(100))
    desk.impact("70", "2", case_id=second, open_value=Decimal(100))
    desk.impact("71", "2", case_id=second, open_value=Decimal(50))
    desk.write(connection)
    (cause,) = overview.needs_decision(connection, EVERYTHING, EVERYONE)
    assert (cause.customer_orders, cause.value_at_risk) == (2, Decimal(150))


def test_a_silent_feed_is_a_decision_of_its_own(connection: Connection) -> None:
    desk = Desk()
    desk.case("portal", None, "SOURCE_SILENT", kind="source", owner="ops", severity="critical")
    desk.write(connection)
    (cause,) = overview.needs_decision(connection, EVERYTHING, EVERYONE)
    assert (cause.feed, cause.supplier, cause.owner_name) == ("portal", None, "Tower operator")
    assert cause.purchase_orders == 0


def test_resolved_cases_need_no_decision(connection: Connection) -> None:
    desk = Desk()
    desk.case("1", resolved_at=desk.at(minutes=5))
    desk.write(connection)
    assert overview.needs_decision(connection, EVERYTHING, EVERYONE) == ()


def test_cases_opened_and_closed_are_counted_on_their_days(connection: Connection) -> None:
    desk = Desk()
    desk.case("1", opened=desk.at(days=2))
    desk.case("2", opened=desk.at(days=2), resolved_at=desk.at(hours=1))
    desk.case("3", opened=desk.at(days=400))
    desk.write(connection)
    days = overview.case_flow(connection, EVERYTHING, Filter(Period.last(7, NOW)))
    assert len(days) == 8
    moved = {d.day: (d.opened, d.closed) for d in days if d.opened or d.closed}
    assert moved == {(NOW - timedelta(days=2)).date(): (2, 0), NOW.date(): (0, 1)}


def test_the_queue_of_a_day_holds_what_the_picture_counts(connection: Connection) -> None:
    desk = Desk()
    desk.po("1", buyer="ann")
    desk.po("2", buyer="bob")
    midnight = NOW.replace(hour=0) - timedelta(days=2)
    desk.case("1", opened=midnight)
    desk.case("2", opened=midnight - timedelta(seconds=1), resolved_at=midnight)
    desk.case("1", opened=midnight + timedelta(hours=23, minutes=59), resolved_at=desk.at(hours=1))
    desk.case("2", "birch", opened=midnight + timedelta(days=1))
    desk.write(connection)
    seen = 0
    for asked in (Filter(EVERYONE.period), Filter(EVERYONE.period, supplier="acme", buyer="ann")):
        for moved in overview.case_flow(connection, EVERYTHING, asked):
            every = cases.CaseFilter(
                state="all", view="all", supplier=asked.supplier, buyer=asked.buyer
            )
            for count, wanted in (
                (moved.opened, replace(every, opened=moved.day)),
                (moved.closed, replace(every, closed=moved.day)),
            ):
                assert cases.queue(connection, EVERYTHING, wanted, NOW).total == count
                seen += count
    assert seen == 4 + 2 + 2 + 1


def test_open_cases_fall_into_age_bands(connection: Connection) -> None:
    desk = Desk()
    for hours in (1, 5, 30, 100, 500):
        desk.case(str(hours), opened=desk.at(hours=hours), severity="high")
    desk.case("old", opened=desk.at(days=90), resolved_at=desk.at(days=1))
    desk.write(connection)
    bands = overview.open_ages(connection, EVERYTHING, EVERYONE, NOW)
    assert [b.cases for b in bands if b.severity == "high"] == [1, 1, 1, 1, 1]
    assert not any(b.cases for b in bands if b.severity != "high")


def test_what_changed_since_yesterday_is_counted(connection: Connection) -> None:
    desk = Desk()
    desk.po("1", released=desk.at(hours=3))
    desk.po("2", released=desk.at(days=2), acknowledged_at=desk.at(hours=2))
    desk.case("1", opened=desk.at(hours=2))
    desk.case("2", opened=desk.at(days=3), resolved_at=desk.at(hours=4))
    desk.impact("70", "1", since=desk.at(hours=2), open_value=Decimal(500))
    desk.impact("71", "2", since=desk.at(days=2))
    desk.feed("portal", desk.at(hours=4), silent=True)
    desk.write(connection)
    moved = overview.changes(connection, EVERYTHING, EVERYONE, NOW)
    assert moved.opened == (CategoryCount("ACK_OVERDUE", 1, 1),)
    assert moved.closed == {"healed": 1}
    assert (moved.orders_hit, moved.value_hit, moved.currency) == (1, Decimal(500), "EUR")
    assert (moved.released, moved.answered) == (1, 1)
    assert (moved.worst_supplier, moved.worst_opened) == ("Acme Ltd", 1)
    assert (moved.feeds_silent, moved.feeds_back) == (("portal",), ())


def test_a_buyer_sees_the_cases_of_their_own_orders(connection: Connection) -> None:
    desk = Desk()
    desk.po("1", buyer="ann")
    desk.po("2", buyer="bob")
    desk.case("1")
    desk.case("2")
    desk.write(connection)
    (cause,) = overview.needs_decision(connection, EVERYTHING, replace(EVERYONE, buyer="bob"))
    assert (cause.cases, cause.title) == (1, "ACK_OVERDUE of 2")


def test_a_viewer_of_one_supplier_sees_nothing_of_another(connection: Connection) -> None:
    desk = Desk()
    desk.po("1")
    case = desk.case("1")
    desk.case("portal", None, "SOURCE_SILENT", kind="source")
    desk.impact("70", "1", case_id=case, since=desk.at(hours=1))
    desk.feed("portal", desk.at(hours=9), silent=True)
    desk.write(connection)
    assert overview.needs_decision(connection, BIRCH_ONLY, EVERYONE) == ()
    assert not any(d.opened for d in overview.case_flow(connection, BIRCH_ONLY, EVERYONE))
    assert not any(b.cases for b in overview.open_ages(connection, BIRCH_ONLY, EVERYONE, NOW))
    moved = overview.changes(connection, BIRCH_ONLY, EVERYONE, NOW)
    assert (moved.opened, moved.orders_hit, moved.released) == ((), 0, 0)
    assert moved.feeds_silent == ()
    offered = lookup.choices(connection, BIRCH_ONLY, NOW)
    assert offered.suppliers == (("birch", "Birch Ltd"),)
    assert offered.buyers == ()
    fresh = freshness.freshness(connection, BIRCH_ONLY, NOW)
    assert [feed.source for feed in fresh.silent] == ["a feed"]


def test_freshness_names_the_newest_read_and_the_silent_feeds(connection: Connection) -> None:
    desk = Desk()
    desk.feed("edi", desk.at(minutes=2))
    desk.feed("portal", desk.at(hours=4), silent=True)
    desk.case("wms", None, "SOURCE_SILENT", kind="source")
    desk.write(connection)
    fresh = freshness.freshness(connection, EVERYTHING, NOW)
    assert fresh.as_of == NOW - timedelta(minutes=2)
    assert fresh.n_feeds == 2
    assert [(f.source, f.complete_to) for f in fresh.silent] == [
        ("portal", NOW - timedelta(hours=4)),
        ("wms", None),
    ]


def test_a_feed_by_which_nobody_has_to_speak_is_not_silent_before_it_spoke(
    connection: Connection,
) -> None:
    desk = Desk()
    rhythms = {"form": "87600h", "calls": "1h"}
    for name in rhythms:  # nothing was ever read of them
        since = desk.at(hours=2)
        desk.add(source_spell, {"source": name, "from_at": since, "known_at": since})
    desk.write(connection)
    push = {"kind": "push", "format": "cloudevents", "system": "erp"}
    net = {
        **desk.net.model_dump(mode="json", exclude_unset=True),
        "sources": {name: push | {"silent_after": after} for name, after in rhythms.items()},
    }
    configuration.activate(connection, configuration.NETWORK, json.dumps(net), NOW)
    fresh = freshness.freshness(connection, EVERYTHING, NOW)
    assert [feed.source for feed in fresh.silent] == ["calls"]


def test_the_version_changes_with_reads_and_with_cases(connection: Connection) -> None:
    def version() -> str:
        return freshness.freshness(connection, EVERYTHING, NOW).version

    seen = [version()]
    desk = Desk()
    desk.feed("edi", desk.at(minutes=2))
    desk.write(connection)
    seen.append(version())
    desk.case("1")
    desk.write(connection)
    seen.append(version())
    assert len(set(seen)) == 3
    assert version() == seen[-1]


def test_the_filter_row_offers_names_of_recent_orders(connection: Connection) -> None:
    desk = Desk()
    desk.po("1", buyer="ann", warehouse="EAST")
    desk.po("2", buyer="zed", warehouse="NORTH")
    desk.po("3", buyer="gone", released=desk.at(days=300))
    desk.write(connection)
    offered = lookup.choices(connection, EVERYTHING, NOW)
    assert offered.buyers == (("ann", "Ann Keller"), ("zed", "zed"))
    assert offered.warehouses == (("EAST", "East"), ("NORTH", "NORTH"))
