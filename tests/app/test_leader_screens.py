"""The leaders' screens as a person meets them: empty, filled, narrowed, broken."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from app import data
from app.links import OverviewLink
from app.parts.overview_pictures import cases_of
from tests.app.conftest import Open
from tests.desk import Desk

SCREENS = ("overview", "purchase_orders", "orders_at_risk")


def words(at: AppTest) -> str:
    found = [*at.title, *at.subheader, *at.markdown, *at.caption, *at.error]
    return "\n".join(str(element.value) for element in found)


@pytest.mark.parametrize("name", SCREENS)
def test_an_empty_tower_says_why_it_is_empty(screens: Open, name: str) -> None:
    at = screens(None if name == "overview" else name)
    assert not at.exception
    assert not at.error
    assert "no feed was read yet" in words(at)
    expected = {
        "overview": "No exception is open here.",
        "purchase_orders": "No purchase order was released in this period.",
        "orders_at_risk": "No customer order is at risk here.",
    }
    assert expected[name] in words(at)


def test_where_no_case_ever_was_the_overview_draws_no_axes(screens: Open, shop: Desk) -> None:
    """Axes of nothing run from -1 to 4, as if there were less than no cases."""
    drawn = {"case flow as table", "open ages as table"}
    assert drawn <= {toggle.key for toggle in screens().toggle}
    nothing = screens(goods="of which there are none")
    assert not drawn & {toggle.key for toggle in nothing.toggle}
    assert "No exception was opened or closed in this period." in words(nothing)


def test_the_overview_tells_figures_decisions_and_changes(screens: Open, shop: Desk) -> None:
    at = screens()
    assert not at.exception
    figures = {metric.label: metric.value for metric in at.metric}
    assert figures["Orders at risk"] == "1"
    assert figures["Value at risk"] == "EUR 1,000"
    assert figures["Ack on time"] == "75.0 %"
    assert figures["Exceptions"] == "1"
    assert figures["OTIF"] == "–"
    said = words(at)
    assert "as of" in said
    assert "PO not answered" in _links(at)
    assert "Acme Ltd" in _links(at)
    assert "1 customer order" in said
    assert "feed went silent: portal" in said.replace("\\", "")


class TestAtNoon:
    """What falls into a week hangs on the hour: here it is noon, all day long."""

    @pytest.fixture
    def now(self, monkeypatch: pytest.MonkeyPatch) -> datetime:
        instant = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        monkeypatch.setattr(data, "this_minute", lambda: instant)
        return instant

    def test_a_figure_without_enough_orders_says_no_data(self, screens: Open, shop: Desk) -> None:
        at = screens(period="7d", supplier="acme")
        (card,) = [m for m in at.metric if m.label == "Ack on time"]
        assert card.value == "–"
        # The week begins at midnight: the order that was due seven days and an hour ago lies in it.
        assert "No data (4 of 5)." in card.help


def test_a_day_of_the_picture_opens_the_cases_of_that_day(screens: Open, shop: Desk) -> None:
    """Plotly tells the point that was clicked; the address it leads to can be mailed."""
    day = shop.at(hours=30).date()
    link = cases_of({"curve_number": 0, "x": f"{day}"}, OverviewLink(supplier="acme"))
    assert link.to_query()["opened"] == day.isoformat()
    at = screens("exceptions", **link.to_query())
    assert not at.exception
    assert len(at.dataframe[0].value) == 1
    assert at.selectbox(key="filter opened").value == day.isoformat()
    closed = cases_of({"curve_number": 1, "x": f"{day}"}, OverviewLink())
    assert "opened" not in closed.to_query()
    assert "No case fits these choices." in words(screens("exceptions", **closed.to_query()))
    at.selectbox(key="filter opened").set_value(None).run()
    assert "opened" not in at.query_params


def _links(at: AppTest) -> str:
    return " ".join(str(link.proto.label) for link in at.get("page_link"))


def test_the_silent_feed_is_named_on_every_screen(screens: Open, shop: Desk) -> None:
    for name in (None, *SCREENS[1:]):
        at = screens(name)
        assert "1 feed silent" in _links(at), name


def test_purchase_orders_come_by_consequence_with_their_ladder(screens: Open, shop: Desk) -> None:
    at = screens("purchase_orders")
    table = at.dataframe[0].value
    assert list(table["Order"])[:2] == ["4500000007", "4500000000"]
    assert table["Exception"][0] == "▲ high: PO not answered"
    assert len(table["Ladder"][0].split()) == 6
    assert "▲" in table["Ladder"][0]
    assert table["Buyer"][0] == "Ann Keller"
    assert "showing 8 of 8" in words(at)


def test_a_view_and_a_filter_in_the_address_are_obeyed(screens: Open, shop: Desk) -> None:
    at = screens("purchase_orders", view="ack_missed", supplier="birch")
    assert list(at.dataframe[0].value["Order"]) == ["4500000006"]
    assert at.selectbox(key="filter supplier").value == "birch"
    narrowed = screens("purchase_orders", view="asn_failed")
    assert "No open purchase order has a failed shipment notice." in words(narrowed)


def test_choosing_a_supplier_writes_it_into_the_address(screens: Open, shop: Desk) -> None:
    at = screens("purchase_orders", after="rest~x~1")
    at.selectbox(key="filter supplier").select("acme").run()
    assert at.query_params["supplier"] == "acme"
    assert "after" not in at.query_params
    assert len(at.dataframe[0].value) == 4
    at.selectbox(key="filter supplier").set_value(None).run()
    assert "supplier" not in at.query_params
    assert len(at.dataframe[0].value) == 8


def test_a_supplier_that_is_gone_stays_what_the_address_said(screens: Open, shop: Desk) -> None:
    at = screens("purchase_orders", supplier="gone")
    assert not at.exception
    assert at.selectbox(key="filter supplier").value == "gone"
    assert "No purchase order was released in this period." in words(at)


def test_orders_at_risk_name_their_cause_and_case(screens: Open, shop: Desk) -> None:
    at = screens("orders_at_risk")
    row = at.dataframe[0].value.iloc[0]
    assert row["Order"] == "7001 / 1"
    assert row["Because"] == "PO not answered"
    assert row["PO line"] == "4500000007 / 10"
    assert row["Case"] == "▲ high, Supplier desk"
    assert row["Days late"] == 3
    assert "**1 customer order**" in words(at)


@pytest.mark.parametrize(
    ("group", "name"),
    [("customer", "Baker Stores"), ("cause", "PO not answered"), ("buyer", "Ann Keller")],
)
def test_orders_at_risk_can_be_grouped(screens: Open, shop: Desk, group: str, name: str) -> None:
    at = screens("orders_at_risk", group=group)
    assert not at.exception
    assert at.dataframe[0].value.iloc[0, 0] == name


def test_hostile_names_stay_text(screens: Open, shop: Desk, database: object) -> None:
    at = screens("purchase_orders", supplier="<script>alert(1)</script>", buyer="![x](http://x)")
    assert not at.exception
    assert "<script>" not in words(at)


def test_filters_travel_when_navigation_opens_another_page(screens: Open, shop: Desk) -> None:
    at = screens(period="7d", supplier="acme")
    at.query_params.clear()  # as the browser does on a click in the navigation
    at.switch_page("screens/purchase_orders.py").run()
    assert at.query_params["supplier"] == "acme"
    assert at.query_params["period"] == "7d"
