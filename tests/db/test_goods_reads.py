"""Questions narrowed to a category of goods: lines by their own, orders by each of their lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from db.reads import (
    cases,
    figures,
    fulfilment,
    kpis,
    lookup,
    orders_at_risk,
    overview,
    purchase_orders,
    scorecards,
    subjects,
)
from db.reads.filters import Filter, Period
from tests.desk import NOW, Desk, network
from tower.access import EVERYTHING, Scope

MONTH = Filter(Period.last(30, NOW))
BOLTS, TOOLS = Filter(MONTH.period, category="BOLTS"), Filter(MONTH.period, category="TOOLS")
GOODS = {"mixed": ("BOLTS", "TOOLS"), "bolts": ("BOLTS", "BOLTS"), "none": (None,)}
"""Number of a purchase order and what its lines are of."""


@pytest.fixture
def desk() -> Desk:
    found = Desk(net=network(acme={}, birch={}))
    for number, lines in GOODS.items():
        supplier = "birch" if number == "none" else "acme"
        told = None if number == "bolts" else found.at(days=6)  # one order came unannounced
        home = found.po(
            number, supplier, found.at(days=9), shipped_at=told, goods_received_at=found.at(days=5)
        )
        for n, category in enumerate(lines):
            found.line(
                number, str(n + 1), supplier, category=category, item=f"I-{category}",
                released=found.at(days=9), shipped_at=found.at(days=6),
                goods_received_at=found.at(days=5),
                shipped_qty=10, received_qty=9 if category == "TOOLS" else 10,
                requested_date=(NOW - timedelta(days=5)).date(),
                actual_receipt_date=(NOW - timedelta(days=5)).date(), price=2,
            )  # fmt: skip
        if told is not None:
            found.tie(found.asn(f"S-{number}", supplier, told=told), home)
        found.clock(number, "breached" if number == "mixed" else "met", found.at(days=3), supplier)
    return found


def counted(conn: Connection, kpi: str, narrowed: Filter) -> tuple[int | None, int]:
    one = figures.figure(conn, EVERYTHING, kpi, narrowed, NOW)
    return one.numerator, one.n


def by(conn: Connection, kpi: str) -> dict[str, int]:
    told = figures.figures_by(conn, EVERYTHING, kpi, "category", MONTH, NOW)
    return {one.key: one.figure.n for one in told}


def test_an_order_counts_whole_under_each_category_of_its_lines(
    connection: Connection, desk: Desk
) -> None:
    desk.write(connection)
    assert counted(connection, "ack_on_time", MONTH) == (2, 3)
    assert counted(connection, "ack_on_time", BOLTS) == (1, 2)
    assert counted(connection, "ack_on_time", TOOLS) == (0, 1)
    assert by(connection, "ack_on_time") == {"BOLTS": 2, "TOOLS": 1, "": 1}
    assert by(connection, "coverage") == {"BOLTS": 2, "TOOLS": 1, "": 1}
    assert by(connection, "asn_on_time") == {"BOLTS": 2, "TOOLS": 1, "": 1}
    assert counted(connection, "asn_on_time", BOLTS) == (1, 2)
    assert by(connection, "asn_valid") == {"BOLTS": 1, "TOOLS": 1, "": 1}
    assert counted(connection, "asn_valid", TOOLS) == (1, 1)
    page = subjects.subjects(connection, EVERYTHING, "asn_on_time", MONTH, NOW)
    assert {one.number: one.category for one in page.rows} == {
        "S-mixed": "BOLTS, TOOLS", "bolts": "BOLTS", "S-none": None,
    }  # fmt: skip


def test_a_line_counts_under_its_own(connection: Connection, desk: Desk) -> None:
    desk.write(connection)
    for kpi in ("asn_accurate", "otif", "fill_line", "fill_value"):
        assert by(connection, kpi) == {"BOLTS": 3, "TOOLS": 1, "": 1}, kpi
    assert counted(connection, "otif", BOLTS) == (3, 3)
    assert counted(connection, "otif", TOOLS) == (0, 1)
    bolts = fulfilment.discrepancies(connection, EVERYTHING, BOLTS)
    tools = fulfilment.discrepancies(connection, EVERYTHING, TOOLS)
    told = [(one.lines, one.of) for one in (*bolts, *tools) if one.kind == "short"]
    assert told == [(0, 3), (1, 1)]


def test_a_viewer_sees_the_goods_of_their_partners_alone(
    connection: Connection, desk: Desk
) -> None:
    desk.write(connection)
    birch = Scope(frozenset({"birch"}))
    assert figures.figure(connection, birch, "otif", BOLTS, NOW).n == 0
    told = figures.figures_by(connection, birch, "ack_on_time", "category", MONTH, NOW)
    assert [(one.key, one.figure.n) for one in told] == [("", 1)]
    assert lookup.choices(connection, birch, NOW).categories == ()
    offered = lookup.choices(connection, EVERYTHING, NOW).categories
    assert offered == (("BOLTS", "BOLTS"), ("TOOLS", "TOOLS"))


def test_codes_of_goods_go_by_the_names_that_the_network_gives_them(
    connection: Connection, desk: Desk
) -> None:
    desk.net = desk.net.model_copy(update={"goods": {"TOOLS": "Hand tools", "L9": "Nobody's"}})
    desk.write(connection)
    told = figures.figures_by(connection, EVERYTHING, "otif", "category", MONTH, NOW)
    assert {one.key: one.name for one in told} == {
        "BOLTS": "BOLTS", "TOOLS": "Hand tools", "": "none told",
    }  # fmt: skip
    offered = lookup.choices(connection, EVERYTHING, NOW).categories
    assert offered == (("BOLTS", "BOLTS"), ("TOOLS", "Hand tools"))


def test_a_case_about_a_line_is_of_that_line_and_one_about_an_order_of_all(
    connection: Connection, desk: Desk
) -> None:
    desk.case("mixed", category="ACK_OVERDUE")
    desk.case("mixed", category="LINE_REJECTED", kind="po_line", line="2")
    desk.case("bolts", category="ASN_MISSING", kind="po_line", line="1")
    desk.case("EDI", None, category="SOURCE_SILENT", kind="source")
    desk.write(connection)
    assert by(connection, "open_exceptions") == {"BOLTS": 2, "TOOLS": 2, "": 1}
    for narrowed, number in ((MONTH, 4), (BOLTS, 2), (TOOLS, 2)):
        told = figures.figure(connection, EVERYTHING, "open_exceptions", narrowed, NOW)
        assert told.value == number
        wanted = cases.CaseFilter(view="all", goods=narrowed.category)
        assert cases.queue(connection, EVERYTHING, wanted, NOW).total == number
    waiting = overview.needs_decision(connection, EVERYTHING, TOOLS)
    assert {one.category for one in waiting} == {"ACK_OVERDUE", "LINE_REJECTED"}


def test_a_customer_line_at_risk_is_of_its_goods_else_of_those_it_waits_for(
    connection: Connection, desk: Desk
) -> None:
    desk.impact("SO-1", "mixed", po_line="2", open_value=100)
    desk.impact("SO-2", "mixed", po_line="1", open_value=200)
    desk.impact("SO-3", "bolts", po_line="1", open_value=400)
    # The feed of this customer order tells itself what it is of.
    for line in ("", "1"):
        desk._document(
            {"kind": "order_line" if line else "order", "scope": "main", "number": "SO-3",
             "line": line, "status": "open", "category": "KITS" if line else None},
            desk.at(days=3), {},
        )  # fmt: skip
    desk.write(connection)
    assert by(connection, "orders_affected") == {"BOLTS": 1, "TOOLS": 1, "KITS": 1}
    told = figures.figures_by(connection, EVERYTHING, "value_at_risk", "category", MONTH, NOW)
    assert {one.key: one.figure.value for one in told} == {"BOLTS": 200, "TOOLS": 100, "KITS": 400}
    for category, order in (("BOLTS", "SO-2"), ("TOOLS", "SO-1"), ("KITS", "SO-3")):
        narrowed = Filter(MONTH.period, category=category)
        page = orders_at_risk.orders_at_risk(connection, EVERYTHING, narrowed)
        assert [one.order for one in page.rows] == [order]
        assert kpis.orders_affected(connection, EVERYTHING, narrowed, NOW).value == 1
    page_ = subjects.subjects(connection, EVERYTHING, "value_at_risk", MONTH, NOW)
    assert {one.number: one.category for one in page_.rows} == {
        "SO-1": "TOOLS", "SO-2": "BOLTS", "SO-3": "KITS",
    }  # fmt: skip


def test_lists_and_cards_of_leaders_are_narrowed_too(connection: Connection, desk: Desk) -> None:
    desk.write(connection)
    page = purchase_orders.purchase_orders(connection, EVERYTHING, TOOLS, "all", NOW)
    assert [row.number for row in page.rows] == ["mixed"]
    weeks = fulfilment.cohorts(connection, EVERYTHING, TOOLS, NOW)
    assert sum(week.orders for week in weeks) == 1
    heat = kpis.ack_by_week(connection, EVERYTHING, TOOLS, NOW)
    assert sum(cell.n for cell in heat if cell.week == max(c.week for c in heat)) == 1
    cards = {c.supplier: c for c in scorecards.scorecards(connection, EVERYTHING, TOOLS, NOW)}
    assert cards["acme"].drift.n == 0, "an order is complete when all its lines are"
    assert set(cards) == {"acme"}, "nobody else brings any"
    [bolts] = scorecards.scorecards(connection, EVERYTHING, BOLTS, NOW)
    assert (bolts.supplier, bolts.drift.n) == ("acme", 1)
    asked = replace(BOLTS, supplier="birch")
    [birch] = scorecards.scorecards(connection, EVERYTHING, asked, NOW)
    assert birch.score.value is None
