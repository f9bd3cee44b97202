"""``tower supplier`` and ``tower fulfilment`` on an installation in which something happened."""

from __future__ import annotations

from tests.acceptance import shapes
from tests.acceptance.installation import Installation

PROMISED = shapes.promised()


def test_a_supplier_is_told_as_the_page_promises(filled: Installation) -> None:
    order = filled.tower("orders", "--json").json["orders"][0]
    answer = filled.tower("supplier", order["supplier"], "--days", "90", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert shapes.faults(answer.json, PROMISED["supplier"]) == []
    assert answer.json["supplier"]["key"] == order["supplier"]
    assert answer.json["ladder"][0]["of"] >= 1
    figures = {f["id"]: f for f in answer.json["kpis"]}
    told = filled.tower("kpi", "ack_on_time", "--json").json
    assert told
    assert figures["ack_on_time"]["n"] >= 1
    shown = filled.tower("supplier", order["supplier"])
    assert (shown.code, shown.err) == (0, "")
    assert order["supplier"] in shown.out
    missing = filled.tower("supplier", "NOBODY")
    assert (missing.code, missing.out) == (3, "")
    assert "tower partner list" in missing.err


def test_fulfilment_is_told_as_the_page_promises(filled: Installation) -> None:
    answer = filled.tower("fulfilment", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert shapes.faults(answer.json, PROMISED["fulfilment"]) == []
    assert next(f["id"] for f in answer.json["kpis"]) == "otif"
    shown = filled.tower("fulfilment")
    assert (shown.code, shown.err) == (0, "")


def test_an_empty_installation_has_no_data_instead_of_zero(installed: Installation) -> None:
    answer = installed.tower("fulfilment", "--json").json
    assert {f["value"] for f in answer["kpis"] if f["id"] != "unit_days_late"} == {None}
    assert answer["weeks"] == []
