"""Customer orders at risk: the list, its groups, and the paths from cause to customer."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Connection, insert, select

from db.outward import rows
from db.outward.happenings import AT_RISK
from db.reads.filters import Filter, Period
from db.reads.orders_at_risk import (
    AtRiskPage,
    Only,
    causes,
    grouped,
    items,
    orders_at_risk,
    streams,
)
from db.tables import order_impact
from tests.desk import NOW, Desk
from tower.access import EVERYTHING, Scope

EVERYONE = Filter(Period.last(30, NOW))


def orders(page: AtRiskPage) -> list[str]:
    return [row.order for row in page.rows]


def test_the_greatest_open_value_comes_first_and_unpriced_lines_last(
    connection: Connection,
) -> None:
    desk = Desk()
    case = desk.case("1", severity="high")
    for order, value in (("70", 10), ("71", None), ("72", 500), ("73", 40)):
        desk.impact(order, "1", open_value=value, case_id=case if order == "72" else None)
    desk.write(connection)
    page = orders_at_risk(connection, EVERYTHING, EVERYONE)
    assert orders(page) == ["72", "73", "70", "71"]
    top = page.rows[0]
    assert (top.case_id, top.case_severity, top.case_owner) == (case, "high", "Supplier desk")
    assert (top.supplier_name, top.buyer_name) == ("Acme Ltd", "Ann Keller")
    assert (top.po_ref, top.order_ref) == ("po:main:1", "order:main:72")
    assert page.rows[1].case_id is None


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_paging_shows_every_line_once(connection: Connection, size: int) -> None:
    desk = Desk()
    for n in range(11):
        desk.impact(f"7{n:02d}", "1", open_value=None if n % 4 == 0 else Decimal(n // 3), line="2")
    desk.write(connection)
    whole = orders(orders_at_risk(connection, EVERYTHING, EVERYONE))
    seen: list[str] = []
    after = None
    for _ in range(12):
        page = orders_at_risk(connection, EVERYTHING, EVERYONE, after=after, limit=size)
        seen += orders(page)
        after = page.following
        if after is None:
            break
    assert seen == whole
    assert len(set(seen)) == 11


def test_a_place_that_means_nothing_is_the_beginning(connection: Connection) -> None:
    desk = Desk()
    desk.impact("70", "1")
    desk.write(connection)
    for word in ("x", "a~b~c~d~e~f", "1~2"):
        assert orders(orders_at_risk(connection, EVERYTHING, EVERYONE, after=word)) == ["70"]


def test_groups_count_an_order_line_once_however_many_orders_hit_it(
    connection: Connection,
) -> None:
    desk = Desk()
    desk.impact("70", "1", open_value=Decimal(100), days_late=2)
    desk.impact("70", "2", open_value=Decimal(100), days_late=9)
    desk.impact("71", "2", open_value=Decimal(30), promise_date=NOW.date() - timedelta(days=1))
    desk.impact("72", "3", customer="COLE", customer_name="Cole Retail", open_value=None)
    desk.write(connection)
    baker, cole = grouped(connection, EVERYTHING, EVERYONE, "customer")
    assert (baker.name, baker.orders, baker.lines, baker.purchase_orders) == (
        "Baker Stores",
        2,
        2,
        2,
    )
    assert (baker.open_value, baker.worst_days_late) == (Decimal(130), 9)
    assert baker.earliest_promise == NOW.date() - timedelta(days=1)
    assert (cole.name, cole.open_value) == ("Cole Retail", None)


def test_groups_by_cause_and_buyer_narrow_by_cause(connection: Connection) -> None:
    desk = Desk()
    desk.impact("70", "1", cause="ACK_OVERDUE", buyer="ann")
    desk.impact("71", "1", cause="ASN_INVALID", buyer="bob")
    desk.impact("72", "1", cause="ASN_INVALID", buyer="bob")
    desk.write(connection)
    by_cause = grouped(connection, EVERYTHING, EVERYONE, "cause")
    assert {row.key: row.orders for row in by_cause} == {"ACK_OVERDUE": 1, "ASN_INVALID": 2}
    by_buyer = grouped(connection, EVERYTHING, EVERYONE, "buyer", only=Only(cause="ACK_OVERDUE"))
    assert [(row.key, row.name) for row in by_buyer] == [("ann", "Ann Keller")]
    assert causes(connection, EVERYTHING, EVERYONE) == ("ACK_OVERDUE", "ASN_INVALID")


def test_streams_hold_every_line_and_gather_the_small_ones(connection: Connection) -> None:
    desk = Desk()
    for n in range(12):
        for order in range(12 - n):
            desk.impact(
                f"7{n:02d}{order:02d}", "1", customer=f"C{n}", customer_name=f"Customer {n:02d}"
            )
    desk.write(connection)
    paths = streams(connection, EVERYTHING, EVERYONE, most=3)
    assert sum(p.lines for p in paths) == 78
    assert {p.customer for p in paths} == {
        "Customer 00",
        "Customer 01",
        "Customer 02",
        "Other customers",
    }
    assert {p.supplier for p in paths} == {"Acme Ltd"}


def test_a_viewer_of_one_supplier_sees_no_line_of_another(connection: Connection) -> None:
    desk = Desk()
    desk.impact("70", "1")
    desk.write(connection)
    birch = Scope(frozenset({"birch"}))
    assert orders_at_risk(connection, birch, EVERYONE).rows == ()
    assert grouped(connection, birch, EVERYONE, "customer") == ()
    assert streams(connection, birch, EVERYONE) == ()
    assert causes(connection, birch, EVERYONE) == ()


def test_the_list_narrows_to_a_customer_and_to_whether_they_were_told(
    connection: Connection,
) -> None:
    desk = Desk()
    desk.impact("70", "1", told_at=NOW, told_date=NOW.date(), item="I-1")
    desk.impact("70", "2", matched_by="netting", proposed_date=NOW.date(), item="I-1")
    desk.impact("71", "", po_line="", matched_by="netting", customer="COLE", item="I-2",
                cause="NOT_ON_ORDER")  # fmt: skip
    desk.rows[order_impact][-1].update(supplier=None, partner_id=None)
    desk.write(connection)

    def found(only: Only) -> list[tuple[str, str]]:
        page = orders_at_risk(connection, EVERYTHING, EVERYONE, only=only)
        return [(row.order, row.po) for row in page.rows]

    assert found(Only(told=True)) == [("70", "1")]
    assert found(Only(told=False)) == [("70", "2"), ("71", "")]
    assert found(Only(customer="COLE")) == [("71", "")]
    rows = orders_at_risk(connection, EVERYTHING, EVERYONE).rows
    assert {row.proposed for row in rows} == {None}  # one of the two says nothing
    assert [row.po_ref for row in rows if not row.po] == ["order:main:71"]
    [baker, cole] = grouped(connection, EVERYTHING, EVERYONE, "customer")
    assert (baker.lines, baker.told, cole.purchase_orders) == (1, 1, 0)
    assert {(s.supplier, s.supplier_key) for s in streams(connection, EVERYTHING, EVERYONE)} == {
        ("Acme Ltd", "acme"),
        ("no supplier", None),
    }
    assert [(i.item, i.lines) for i in items(connection, EVERYTHING, EVERYONE)] == [
        ("I-1", 1),
        ("I-2", 1),
    ]


def test_a_line_short_by_its_peg_and_by_netting_is_two_rows_on_pages_of_files_too(
    connection: Connection,
) -> None:
    desk = Desk()
    desk.impact("70", "1")
    desk.impact("71", "1")
    desk.write(connection)
    pegged = connection.execute(select(order_impact)).mappings().all()
    connection.execute(insert(order_impact), [{**one, "matched_by": "netting"} for one in pegged])
    asked = rows.Question(AT_RISK, Period.last(3650, NOW), {})
    whole = [dict(one) for one in rows.page(connection, EVERYTHING, asked, limit=100).rows]
    paged: list[dict[str, object]] = []
    after = None
    while len(paged) <= len(whole):
        page = rows.page(connection, EVERYTHING, asked, after=after, limit=1)
        paged += [dict(one) for one in page.rows]
        after = page.following
        if after is None:
            break
    assert paged == whole
    assert sorted((one["order_number"], one["matched_by"]) for one in paged) == [
        ("70", "netting"), ("70", "peg"), ("71", "netting"), ("71", "peg"),
    ]  # fmt: skip
