"""The category of goods on the pages of leaders: chosen, in the address, and on its way."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from tests.app.conftest import Open
from tests.desk import Desk

PAGES = (None, "suppliers", "fulfilment", "purchase_orders", "orders_at_risk", "figures")


@pytest.fixture
def goods(database: Engine, now: datetime) -> Desk:
    """Six orders of bolts, all answered and filled; six of tools, none of them."""
    desk = Desk(now=now)
    for n in range(12):
        number, tools = f"45000001{n:02d}", n % 2
        at = desk.at(days=n + 3)
        desk.po(number, "acme", released=at)
        desk.line(
            number, "10", released=at, category="TOOLS" if tools else "BOLTS",
            requested_date=(now - timedelta(days=2)).date(), goods_received_at=desk.at(days=2),
            received_qty=0 if tools else 10, price=1,
            actual_receipt_date=(now - timedelta(days=2)).date(),
        )  # fmt: skip
        desk.clock(number, "breached" if tools else "met", desk.at(days=n + 1))
    case = desk.case("4500000101", severity="high", priority=9.0)
    desk.case("4500000100", severity="low")
    desk.impact("7001", "4500000101", case_id=case)
    desk.impact("7002", "4500000100", open_value=50)
    with database.begin() as conn:
        desk.write(conn)
    return desk


def test_without_goods_told_there_is_no_box(screens: Open, shop: Desk) -> None:
    for page in PAGES:
        assert "filter goods" not in {box.key for box in screens(page).selectbox}, page


def test_the_box_writes_the_address_and_the_address_narrows(screens: Open, goods: Desk) -> None:
    at = screens()
    assert {m.label: m.value for m in at.metric}["Ack on time"] == "50.0 %"
    at.selectbox(key="filter goods").set_value("TOOLS").run()
    assert not at.exception
    assert at.query_params["goods"] == "TOOLS"
    figures = {m.label: m.value for m in at.metric}
    assert (figures["Ack on time"], figures["OTIF"]) == ("0.0 %", "0.0 %")
    assert (figures["Orders at risk"], figures["Exceptions"]) == ("1", "1")
    at.selectbox(key="filter goods").set_value(None).run()
    assert "goods" not in at.query_params
    assert {m.label: m.value for m in at.metric}["Exceptions"] == "2"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_leaders_reads_it_from_the_address(
    screens: Open, goods: Desk, page: str | None
) -> None:
    at = screens(page, goods="BOLTS")
    assert not at.exception
    assert at.selectbox(key="filter goods").value == "BOLTS"
    strange = screens(page, goods="no such category")
    assert not strange.exception
    assert strange.selectbox(key="filter goods").value == "no such category"


def test_lists_show_what_is_of_these_goods(screens: Open, goods: Desk) -> None:
    orders = screens("purchase_orders", goods="TOOLS").dataframe[-1].value
    assert {int(name[-1]) % 2 for name in orders["Order"]} == {1}
    assert len(orders) == 6
    risks = screens("orders_at_risk", goods="BOLTS").dataframe[-1].value
    assert ["7002" in name for name in risks["Order"]] == [True]
    cases = screens("exceptions", goods="TOOLS")
    assert cases.selectbox(key="filter goods").value == "TOOLS"
    assert len(cases.dataframe[-1].value) == 1
    subjects = screens("figures", id="otif", goods="BOLTS").dataframe[-1].value
    assert set(subjects["Goods"]) == {"BOLTS"}


def test_fulfilment_is_told_apart_by_goods(screens: Open, goods: Desk) -> None:
    at = screens("fulfilment", by="category")
    assert not at.exception
    told = next(frame.value for frame in at.dataframe if "Category" in frame.value)
    assert list(told["Category"]) == ["TOOLS", "BOLTS"], "the lowest OTIF first"
    assert list(told["OTIF"]) == ["0.0 %", "100.0 %"]


def test_figures_of_cases_are_told_apart_by_what_they_are_about(screens: Open, goods: Desk) -> None:
    at = screens("figures", id="open_exceptions", topic="ACK_OVERDUE", goods="TOOLS")
    assert not at.exception
    assert len(at.dataframe[-1].value) == 1
    nothing = screens("figures", id="open_exceptions", topic="ASN_MISSING")
    assert {m.label: m.value for m in nothing.metric}["Exceptions"] == "0"
