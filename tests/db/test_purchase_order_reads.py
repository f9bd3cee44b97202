"""Lists of purchase orders: what each view holds, in which order, and paging without gaps."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Connection

from db.reads.filters import Filter, Period
from db.reads.purchase_orders import PoPage, View, purchase_orders
from tests.desk import NOW, Desk
from tower.access import EVERYTHING, Scope

EVERYONE = Filter(Period.last(30, NOW))


def ask(
    conn: Connection,
    view: View = "all",
    narrowed: Filter = EVERYONE,
    scope: Scope = EVERYTHING,
    after: str | None = None,
    limit: int = 100,
) -> PoPage:
    return purchase_orders(conn, scope, narrowed, view, NOW, after=after, limit=limit)


def numbers(page: PoPage) -> list[str]:
    return [row.number for row in page.rows]


@pytest.fixture
def shop(connection: Connection) -> Connection:
    """One order for each thing that can be stuck, named by it."""
    desk = Desk()
    today = NOW.date()
    answered = desk.at(days=2)
    far = today + timedelta(days=20)
    desk.po("silent", requested_date=far)
    desk.po("silent and old", released=desk.at(days=80), requested_date=far)
    desk.po("not in erp", acknowledged_at=answered, answer="accepted", last_confirmed_date=far)
    desk.po(
        "fine",
        acknowledged_at=answered,
        applied_at=answered,
        answer="accepted",
        last_confirmed_date=far,
    )
    desk.po(
        "asn failed",
        acknowledged_at=answered,
        applied_at=answered,
        shipped_at=desk.at(days=1),
        asn_status="invalid",
        requested_date=far,
    )
    desk.po(
        "due soon",
        acknowledged_at=answered,
        applied_at=answered,
        requested_date=far,
        last_confirmed_date=today + timedelta(days=3),
    )
    desk.po("closed", closed=True, status="closed", requested_date=today)
    desk.po("rumour", known=False, released_at=None, first_seen_at=desk.at(days=1))
    old = {"released": desk.at(days=60), "closed": True, "asn_status": "valid"}
    late = desk.po("asn late", shipped_at=desk.at(days=9), **old)
    desk.tie(desk.asn("A1", shipped_at=desk.at(days=2, hours=2)), late)
    mended = desk.po("asn mended", shipped_at=desk.at(days=9), **old)
    desk.tie(desk.asn("A2"), mended)
    desk.clock("A2", "met_late", None, rule="asn.failed", kind="asn")
    desk.tie(desk.asn("A3"), desk.po("asn fine", shipped_at=desk.at(days=9), **old))
    desk.po("unannounced", goods_received_at=desk.at(days=3), **old)
    desk.clock("silent", "breached", desk.at(days=1))
    desk.clock("fine", "met", desk.at(days=1))
    desk.clock("silent and old", "met_late", desk.at(days=70))
    desk.line("fine", "10", requested_date=today - timedelta(days=2))
    desk.line(
        "due soon",
        "10",
        requested_date=today - timedelta(days=2),
        received_qty=Decimal(10),
        actual_receipt_date=today - timedelta(days=2),
    )
    desk.write(connection)
    return connection


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("all", {"silent", "not in erp", "fine", "asn failed", "due soon", "closed"}),
        ("awaiting_ack", {"silent", "silent and old"}),
        ("answered_not_in_erp", {"not in erp"}),
        ("asn_failed", {"asn failed"}),
        ("no_asn_due_soon", {"due soon"}),
        ("ack_missed", {"silent"}),
        ("asn_late", {"asn late", "unannounced"}),
        ("asn_refused", {"asn mended"}),
        ("otif_missed", {"fine"}),
    ],
)
def test_a_view_holds_what_its_name_says(shop: Connection, view: View, expected: set[str]) -> None:
    page = ask(shop, view)
    assert set(numbers(page)) == expected
    assert page.total.rows == len(expected)
    assert page.following is None


def test_orders_with_open_exceptions_come_first_the_costliest_ahead(
    connection: Connection,
) -> None:
    desk = Desk()
    for n, number in enumerate(("new", "middle", "old", "cheap", "dear", "healed")):
        desk.po(number, released=desk.at(days=n + 1))
    desk.case("cheap", priority=1.0)
    desk.case("dear", priority=50.0, severity="high", category="ACK_REJECTED")
    desk.case("dear", priority=2.0, severity="critical")
    desk.case("healed", priority=99.0, resolved_at=desk.at(hours=1))
    desk.write(connection)
    page = ask(connection)
    assert numbers(page) == ["dear", "cheap", "new", "middle", "old", "healed"]
    dear = page.rows[0]
    assert (dear.open_cases, dear.severity, dear.category) == (2, "critical", "ACK_REJECTED")
    assert page.rows[2].severity is None
    assert page.rows[2].open_cases == 0


def test_views_of_answers_look_at_standing_lines_only(connection: Connection) -> None:
    desk = Desk()
    asked = NOW.date() + timedelta(days=9)
    five, ten = Decimal(5), Decimal(10)
    lines: dict[str, dict[str, object]] = {
        "refused": {"answer": "rejected", "confirmed_qty": Decimal(0)},
        "refused, cancelled": {"answer": "rejected", "cancelled_at": desk.at(days=1)},
        "short": {"answer": "accepted_with_changes", "confirmed_qty": five},
        "short, sent in full": {"confirmed_qty": five, "shipped_qty": ten},
        "later": {"requested_date": asked, "last_confirmed_date": asked + timedelta(days=1)},
        "later, here": {
            "requested_date": asked,
            "last_confirmed_date": asked + timedelta(days=1),
            "received_qty": ten,
        },
        "as asked": {
            "answer": "accepted",
            "confirmed_qty": ten,
            "requested_date": asked,
            "last_confirmed_date": asked,
        },
    }
    for number, columns in lines.items():
        desk.po(number)
        desk.line(number, "10", **columns)
    desk.po("closed", closed=True)
    desk.line("closed", "10", **lines["refused"])
    desk.write(connection)
    assert numbers(ask(connection, "rejected_lines")) == ["refused"]
    assert numbers(ask(connection, "short_confirmed")) == ["short"]
    assert numbers(ask(connection, "date_moved")) == ["later"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_paging_shows_every_order_once_and_in_the_same_order(
    connection: Connection, size: int
) -> None:
    desk = Desk()
    for n in range(17):
        # Ties on purpose: three at a time were released at the same instant.
        desk.po(f"48{n:02d}", released=desk.at(days=1 + n // 3))
    for n in (2, 5, 8, 11, 14):
        desk.case(f"48{n:02d}", priority=float(n % 2), detected_at=NOW)
    desk.write(connection)
    whole = numbers(ask(connection))
    assert len(whole) == 17
    seen: list[str] = []
    after = None
    for _ in range(20):
        page = ask(connection, after=after, limit=size)
        seen += numbers(page)
        assert page.total.rows == 17
        after = page.following
        if after is None:
            break
    assert seen == whole


@pytest.mark.parametrize("word", ["", "x", "hot~~", "rest~yesterday~4", "hot~1~a", "a~b~c~d"])
def test_a_place_that_means_nothing_is_the_beginning(shop: Connection, word: str) -> None:
    assert numbers(ask(shop, after=word)) == numbers(ask(shop))


def test_filters_narrow_by_supplier_buyer_and_warehouse(connection: Connection) -> None:
    desk = Desk()
    desk.po("a", "acme", buyer="ann", warehouse="EAST")
    desk.po("b", "birch", buyer="ann", warehouse="WEST")
    desk.po("c", "birch", buyer="bob", warehouse="EAST")
    desk.write(connection)
    period = EVERYONE.period
    assert set(numbers(ask(connection, narrowed=Filter(period, supplier="birch")))) == {"b", "c"}
    assert set(numbers(ask(connection, narrowed=Filter(period, buyer="ann")))) == {"a", "b"}
    assert numbers(ask(connection, narrowed=Filter(period, "birch", "bob", "EAST"))) == ["c"]


def test_a_viewer_of_one_supplier_sees_no_order_of_another(shop: Connection) -> None:
    for view in ("all", "awaiting_ack", "ack_missed", "otif_missed"):
        page = ask(shop, view, scope=Scope(frozenset({"birch"})))
        assert (page.rows, page.total.rows) == ((), 0)


def test_rows_carry_names_and_the_ladder(shop: Connection) -> None:
    (row,) = ask(shop, "answered_not_in_erp").rows
    assert (row.supplier_name, row.buyer_name) == ("Acme Ltd", "Ann Keller")
    assert row.ref == "po:main:not in erp"
    states = {rung.name: rung.state for rung in row.ladder}
    assert states["answer"] == "done"
    assert states["applied"] == "waiting"
    (late,) = [r for r in ask(shop, "awaiting_ack").rows if r.number == "silent"]
    assert {rung.name: rung.state for rung in late.ladder}["answer"] == "late"
