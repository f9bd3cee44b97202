"""Suppliers, one supplier, fulfilment and key figures as a leader meets them."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.app.conftest import Open
from tests.desk import Desk


def said(at: AppTest) -> str:
    found = [*at.title, *at.subheader, *at.markdown, *at.caption, *at.error]
    return "\n".join(str(element.value) for element in found)


def led(at: AppTest) -> str:
    return " ".join(str(link.proto.label) for link in at.get("page_link"))


def test_suppliers_come_with_score_and_sample(screens: Open, shop: Desk) -> None:
    at = screens("suppliers")
    assert not at.exception
    assert "2 suppliers; 0 with enough data for a score" in said(at)
    table = at.dataframe[0].value
    assert set(table["Supplier"]) == {"Acme Ltd", "Birch Ltd"}
    assert list(table["Standing"]) == ["no data", "no data"]
    assert set(table["n"]) == {"4 / 0"}


def test_two_suppliers_stand_beside_each_other_and_one_beside_its_past(
    screens: Open, shop: Desk
) -> None:
    at = screens("suppliers", show="compare")
    assert "Choose a supplier." in said(at)
    at = screens("suppliers", show="compare", one="acme", other="birch")
    assert not at.exception
    assert "Acme Ltd against Birch Ltd" in said(at)
    at.toggle(key="comparison as table").set_value(True).run()
    rows = at.dataframe[0].value
    assert list(rows["Figure"])[:2] == ["Score", "On-time acknowledgement"]
    assert list(rows["Acme Ltd"])[:2] == ["no data", "no data"]
    at = screens("suppliers", show="compare", one="acme")
    assert "Acme Ltd, last 30 days" in said(at)


def test_a_supplier_opens_with_ladder_answers_and_every_tab(screens: Open, shop: Desk) -> None:
    at = screens("supplier", id="acme")
    assert not at.exception
    assert "Acme Ltd" in said(at)
    assert "Acknowledgement ladder" in said(at)
    at.toggle(key="supplier ladder as table").set_value(True).run()
    assert next(iter(at.dataframe[0].value["Orders"])) == 4
    for tab, words in {
        "answers": "too few answers",
        "orders": "4 orders open now",
        "mails": "No mail of the period",
        "profile": "None stand in its profile",
    }.items():
        at = screens("supplier", id="acme", tab=tab)
        assert not at.exception, tab
        assert words in said(at), tab
    at = screens("supplier", id="acme", tab="exceptions")
    assert list(at.dataframe[0].value["Open now"]) == [1]


def test_a_supplier_that_nobody_knows_is_said_so(screens: Open, shop: Desk) -> None:
    assert "No supplier with this key" in said(screens("supplier", id="<nobody>"))
    assert "Choose a supplier." in said(screens("supplier"))


def test_fulfilment_tells_why_nothing_is_there(screens: Open, shop: Desk) -> None:
    at = screens("fulfilment")
    assert not at.exception
    assert "Nothing was received in this period." in said(at)
    assert "No invoice came in this period." in said(screens("fulfilment", view="invoices"))
    weeks = screens("fulfilment", view="cohorts", by="warehouse")
    assert not weeks.exception
    assert sum(weeks.dataframe[-1].value["Orders"]) == 8


def test_a_figure_opens_exactly_what_it_counted(screens: Open, shop: Desk) -> None:
    at = screens("figures", id="ack_on_time")
    assert not at.exception
    (card,) = [m for m in at.metric if m.label == "Ack on time"]
    assert card.value == "75.0 %"
    rows = at.dataframe[-1].value
    assert list(rows["Counted"]).count("✓ in, hit") == 6
    assert list(rows["Counted"]).count("✕ in, miss") == 2
    missed = screens("figures", id="ack_on_time", show="miss").dataframe[-1].value
    assert set(missed["Subject"]) == {"PO 4500000006", "PO 4500000007"}
    narrowed = screens("figures", id="ack_on_time", supplier="acme").dataframe[-1].value
    assert len(narrowed) == 4


def test_a_choice_of_the_definition_stands_in_the_address(screens: Open, shop: Desk) -> None:
    at = screens("figures", id="otif", switch="per:order,date:nonsense")
    assert not at.exception
    at.segmented_control(key="switch otif side").set_value("customer").run()
    assert not at.exception
    assert at.query_params["switch"] == "side:customer,date:first_promised,per:order"


def test_the_catalogue_says_what_each_figure_means(screens: Open) -> None:
    at = screens("figures")
    assert not at.exception
    assert "OTIF" in set(at.dataframe[0].value["Figure"])
