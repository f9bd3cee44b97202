"""One supplier's page and what of its orders came: rows in, figures by hand beside them."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Connection

from db.reads import fulfilment, supplier_pack, supplier_page
from db.reads.filters import Filter, Period
from tests.desk import NOW, Desk, network
from tower.access import EVERYTHING, Scope
from tower.bundle import checked

MONTH = Filter(Period.last(30, NOW))
ACME = Filter(Period.last(30, NOW), supplier="acme")


@pytest.fixture
def shop(connection: Connection) -> Connection:
    """Ten orders of acme, one of birch; answers after 1, 2, ... 8 hours, two of them missing."""
    desk = Desk(
        net=network(acme={"contacts": {"ack": "orders@acme.example"}}, birch={"sends_asn": False})
    )
    for n in range(10):
        sent = desk.at(days=20 - n)
        answered = sent + timedelta(hours=n + 1) if n < 8 else None
        desk.po(
            f"45{n:02d}",
            released=sent - timedelta(minutes=10),
            transmitted_at=sent,
            acknowledged_at=answered,
            applied_at=None if answered is None or n > 3 else answered + timedelta(minutes=30),
            agrees=None if n > 3 else n > 0,
        )
        verdict = "breached" if answered is None else "met" if n < 6 else "met_late"
        desk.clock(f"45{n:02d}", verdict, sent + timedelta(hours=6, minutes=30))
    desk.po("4599", "birch")
    desk.case("4508", severity="high", opened=desk.at(days=2))
    desk.case("4500", opened=desk.at(days=9), resolved_at=desk.at(days=8))
    desk.case("4599", "birch")
    desk.write(connection)
    return connection


def test_the_ladder_is_a_funnel_with_whose_clock(shop: Connection) -> None:
    steps = {s.name: s for s in supplier_page.funnel(shop, EVERYTHING, "acme", MONTH.period)}
    assert (steps["sent"].reached, steps["sent"].told, steps["sent"].of) == (10, 10, 10)
    # Nobody reported receipts; the eight answers prove them.
    assert (steps["functional"].reached, steps["functional"].told) == (8, 0)
    assert (steps["answer"].reached, steps["applied"].reached) == (8, 4)
    assert (steps["agrees"].reached, steps["agrees"].told) == (3, 4)
    assert steps["sent"].p50_s == 600
    assert steps["answer"].p50_s == 4.5 * 3600
    assert steps["applied"].p90_s == 1800
    assert [steps[name].whose for name in ("sent", "answer", "applied")] == [
        "ours", "partner", "erp"
    ]  # fmt: skip


def test_answer_times_stand_against_what_was_allowed(shop: Connection) -> None:
    found = supplier_page.answers(shop, EVERYTHING, "acme", MONTH.period)
    assert found.allowed_h == pytest.approx(6.5)
    counts = {b.name: (b.in_time, b.late) for b in found.bins}
    assert sum(a + b for a, b in counts.values()) == 10
    assert counts["no answer"] == (0, 2)
    assert counts["1-2 h"] == (1, 0)
    assert counts["4-8 h"] == (3, 1)
    assert counts["8-16 h"] == (0, 1)


def test_a_viewer_of_another_supplier_sees_nothing_of_it(shop: Connection) -> None:
    birch = Scope(frozenset({"birch"}))
    assert supplier_page.supplier_page(shop, birch, "acme", ACME, NOW) is None
    assert supplier_page.funnel(shop, birch, "acme", MONTH.period) == ()
    assert supplier_page.told(shop, birch, "acme", MONTH.period) == ()
    assert supplier_pack.supplier_pack(shop, birch, "acme", ACME, NOW, by="b", program="1") is None


def test_the_page_tells_what_is_open_and_who_to_call(shop: Connection) -> None:
    page = supplier_page.supplier_page(shop, EVERYTHING, "acme", ACME, NOW)
    assert page is not None
    assert page.card.contacts == {"ack": "orders@acme.example"}
    assert sum(a.orders for a in page.open_ages) == 10
    silent = [a for a in page.open_ages if a.stage == "not answered"]
    assert [(a.band, a.orders, a.value) for a in silent] == [("7-14 d", 2, Decimal(200))]
    (category,) = page.categories
    assert (category.opened, category.healed, category.open, category.severity) == (2, 1, 1, "high")
    assert supplier_page.supplier_page(shop, EVERYTHING, "nobody", ACME, NOW) is None


def test_the_evidence_pack_proves_itself(shop: Connection) -> None:
    body = supplier_pack.supplier_pack(shop, EVERYTHING, "acme", ACME, NOW, by="ann", program="1.0")
    assert body is not None
    told = checked(io.BytesIO(body))
    assert (told.problems, told.ref) == ((), "supplier:acme")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        answers = archive.read("subjects/ack_on_time.csv").decode("utf-8-sig")
        orders = archive.read("purchase_orders.csv").decode("utf-8-sig")
    assert answers.count('"hit"') == 6
    assert answers.count('"miss"') == 4
    assert "4599" not in orders
    assert orders.count("\r\n") == 11


# --- fulfilment -----------------------------------------------------------------------------------


def test_differences_at_receipt_the_costliest_first(connection: Connection) -> None:
    desk = Desk(net=network(acme={}, birch={"sends_asn": False}))
    came, ten = desk.at(days=3), Decimal(10)
    lines = {
        "as told": ("acme", {"shipped_qty": ten, "received_qty": ten}),
        "short": ("acme", {"shipped_qty": ten, "received_qty": Decimal(7)}),
        "over, refused": (
            "acme", {"shipped_qty": ten, "received_qty": Decimal(12), "rejected_qty": Decimal(3)}
        ),
        "no notice": ("acme", {"received_qty": ten, "shipped_at": None}),
        "never announces": ("birch", {"received_qty": ten, "shipped_at": None}),
        "not here": ("acme", {"shipped_qty": ten, "goods_received_at": None}),
    }  # fmt: skip
    for number, (supplier, columns) in lines.items():
        desk.po(number, supplier)
        known = {"goods_received_at": came, "shipped_at": desk.at(days=4), "price": Decimal(2)}
        desk.line(number, "10", supplier, **(known | columns))
    desk.write(connection)
    counts = {
        c.kind: (c.lines, c.of) for c in fulfilment.discrepancies(connection, EVERYTHING, MONTH)
    }
    assert counts == {"short": (1, 5), "over": (1, 5), "refused": (1, 5), "unannounced": (1, 5)}
    seen, after = [], None
    for _ in range(5):
        page = fulfilment.discrepancy_page(connection, EVERYTHING, MONTH, after=after, limit=1)
        seen += [(r.number, r.kinds, r.value) for r in page.rows]
        assert page.total.rows == 3
        after = page.following
        if after is None:
            break
    assert seen == [
        ("over, refused", ("over", "refused"), Decimal(10)),
        ("short", ("short",), Decimal(6)),
        ("no notice", ("unannounced",), Decimal(0)),
    ]
    for word in ("x", "NaN~1~", "1~99999999999999999999~"):
        again = fulfilment.discrepancy_page(connection, EVERYTHING, MONTH, after=word)
        assert len(again.rows) == 3
    birch = Scope(frozenset({"birch"}))
    assert fulfilment.discrepancy_page(connection, birch, MONTH).rows == ()
    east = Filter(MONTH.period, warehouse="WEST")
    assert fulfilment.discrepancy_page(connection, EVERYTHING, east).rows == ()


def test_weeks_of_orders_wait_until_their_time_has_passed(connection: Connection) -> None:
    desk = Desk()
    monday = NOW - timedelta(days=NOW.weekday(), weeks=4)
    for n, weeks in enumerate((0, 0, 1, 2, None)):
        done = {} if weeks is None else {
            "status": "received",
            "actual_receipt_date": (monday + timedelta(weeks=weeks, days=2)).date(),
        }  # fmt: skip
        desk.po(f"47{n:02d}", released=monday, acknowledged_at=monday, **done)
    desk.po("4710", released=monday, status="cancelled")
    desk.write(connection)
    (week,) = fulfilment.cohorts(connection, EVERYTHING, MONTH, NOW)
    assert (week.week, week.orders, week.answered, week.complete_now) == (
        monday.date(), 5, 5, 4
    )  # fmt: skip
    assert week.complete[:4] == (2, 3, 4, None)


def test_weeks_of_a_course_are_whole_but_for_the_one_that_goes_on() -> None:
    wednesday = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
    weeks = Period.weeks(3, wednesday)
    assert weeks == Period(datetime(2026, 2, 9, tzinfo=UTC), wednesday)
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    assert Period.weeks(3, monday) == Period(weeks.start, monday)
