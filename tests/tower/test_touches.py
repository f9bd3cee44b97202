"""What events say about the documents they name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tower.event import Event
from tower.touches import told, touches
from tower.vocabulary import EVENT_TYPES, make_event

PO = {"po": "1", "erp": "main", "supplier": "ACME"}
ON = {"erp": "main", "po": "1", "line": "10", "qty": "4", "uom": "EA"}
ASN = {"asn": "S", "supplier": "ACME"}


def event(type_: str, data: dict[str, Any], **more: Any) -> Event:
    return make_event(
        type_,
        data,
        source="s",
        raw_key="k",
        position="item:0",
        occurred_at=datetime(2026, 3, 2, tzinfo=UTC),
        **more,
    )


def said(type_: str, data: dict[str, Any], **more: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Facts by (kind, line)."""
    return {(t.kind, t.line): t.facts for t in touches(event(type_, data, **more))}


def test_a_released_order_speaks_of_header_and_lines() -> None:
    lines = [{"line": "10", "item": "A", "qty": "4", "price": "2.5"}, {"line": "20", "qty": "1"}]
    found = said("po.released", {**PO, "type": "rush", "lines": lines}, channel="edi")
    assert found[("po", "")] == {
        "type": "rush",
        "supplier": "ACME",
        "channel": "edi",
        "lines": ["10", "20"],
        "n_lines": 2,
    }
    assert found[("po_line", "10")] == {"item": "A", "qty": "4", "price": "2.5"}


def test_the_value_of_an_order_is_told_when_all_of_it_is_known() -> None:
    lines = [{"line": "10", "qty": "4", "price": "2.5"}, {"line": "20", "qty": "1", "price": "1"}]
    assert said("po.released", {**PO, "lines": lines})[("po", "")]["value"] == "11"


def test_the_header_speaks_before_its_lines() -> None:
    kinds = [t.kind for t in touches(event("po.released", {**PO, "lines": [{"line": "1"}]}))]
    assert kinds == ["po", "po_line"]


@pytest.mark.parametrize("type_", ["po.cancelled", "po.closed"])
def test_ending_some_lines_says_nothing_about_the_order(type_: str) -> None:
    assert set(said(type_, PO)) == {("po", "")}
    assert set(said(type_, {**PO, "lines": [{"line": "10"}]})) == {("po_line", "10")}


@pytest.mark.parametrize(
    ("kind", "key"),
    [("delivery", "confirmed_date"), (None, "confirmed_date"), ("ship", "ship_date")],
)
def test_an_answers_date_keeps_its_kind(kind: str | None, key: str) -> None:
    line = {"line": "10", "date": "2026-04-01"} | ({"date_kind": kind} if kind else {})
    found = said("po.acknowledged", {**PO, "lines": [line]})[("po_line", "10")]
    assert found[key] == "2026-04-01"
    assert len({"confirmed_date", "ship_date"} & set(found)) == 1


def test_an_answer_without_a_word_accepts_only_if_it_names_no_line() -> None:
    assert said("po.acknowledged", PO)[("po", "")]["answer"] == "accepted"
    assert "answer" not in said("po.acknowledged", {**PO, "lines": [{"line": "1"}]})[("po", "")]
    assert said("po.rejected", PO)[("po", "")]["answer"] == "rejected"


def test_a_line_told_twice_adds_up_and_keeps_the_later_date() -> None:
    lines = [
        {"line": "10", "qty": "4", "uom": "EA", "date": "2026-04-01", "answer": "accepted"},
        {"line": "10", "qty": "6", "uom": "EA", "date": "2026-04-09", "answer": "accepted"},
    ]
    found = said("po.acknowledged", {**PO, "lines": lines})[("po_line", "10")]
    assert (found["confirmed_qty"], found["confirmed_date"]) == ("10", "2026-04-09")


@pytest.mark.parametrize(
    ("parts", "word", "qty"),
    [
        ([("6", "accepted"), ("4", "rejected")], "accepted_with_changes", "6"),
        ([("4", "rejected"), ("6", "accepted")], "accepted_with_changes", "6"),
        ([("6", "accepted"), ("4", "backordered")], "backordered", "10"),
        ([("6", "accepted"), ("4", None)], "accepted", "10"),
        ([("6", None), ("4", None)], None, "10"),
        ([("6", "accepted"), ("4", "on_hold")], "accepted_with_changes", "6"),
        ([("6", "rejected"), ("4", "rejected")], "rejected", "10"),
    ],
)
def test_of_an_answer_told_twice_only_what_comes_adds_up(
    parts: list[tuple[str, str | None]], word: str | None, qty: str
) -> None:
    lines = [
        {"line": "10", "qty": qty, "uom": "EA"} | ({"answer": word} if word else {})
        for qty, word in parts
    ]
    found = said("po.acknowledged", {**PO, "lines": lines})[("po_line", "10")]
    assert (found.get("answer"), found["confirmed_qty"], found["uom"]) == (word, qty, "EA")


def test_what_is_declined_dates_and_prices_nothing() -> None:
    lines = [
        {"line": "10", "answer": "rejected", "qty": "4", "date": "2026-05-01", "price": "9"},
        {"line": "10", "answer": "accepted", "qty": "6", "date": "2026-04-01", "price": "2",
         "date_kind": "ship"},
    ]  # fmt: skip
    found = said("po.acknowledged", {**PO, "lines": lines})[("po_line", "10")]
    assert (found["ship_date"], found["confirmed_price"]) == ("2026-04-01", "2")


def test_quantities_in_unlike_units_make_none() -> None:
    lines = [{"line": "10", "qty": "10", "uom": "EA"}, {"line": "10", "qty": "1", "uom": "CS"}]
    found = said("po.acknowledged", {**PO, "lines": lines})[("po_line", "10")]
    assert "confirmed_qty" not in found
    assert found["confirmed_parts"] == [["10", "EA"], ["1", "CS"]]
    assert "qty" not in said("po.released", {**PO, "lines": lines})[("po_line", "10")]
    goods = [{**ON, **line} for line in lines]
    (header,) = (
        t.facts
        for t in touches(event("asn.received", {**ASN, "lines": [*goods, goods[0]]}))
        if t.kind == "po"
    )
    assert header["ships"] == {"10": ["20", "EA", "1", "CS"]}


def test_a_shipment_tells_each_order_its_own_part() -> None:
    lines = [ON, {**ON, "qty": "6"}, {**ON, "po": "2"}]
    spoken = touches(event("asn.received", {**ASN, "lines": lines}))
    headers = {t.number: t.facts["ships"] for t in spoken if t.kind == "po"}
    assert headers == {"1": {"10": ["10", "EA"]}, "2": {"10": ["4", "EA"]}}
    (asn,) = (t.facts for t in spoken if t.kind == "asn")
    assert (asn["pos"], asn["qty"]) == ([["main", "1"], ["main", "2"]], "14")


def test_the_order_of_lines_does_not_make_another_content() -> None:
    other = {**ON, "line": "20"}
    one = said("asn.received", {**ASN, "lines": [ON, other]})[("asn", "")]["digest"]
    two = said("asn.received", {**ASN, "lines": [other, ON]})[("asn", "")]["digest"]
    assert one == two != said("asn.received", {**ASN, "lines": [ON]})[("asn", "")]["digest"]


def test_receipts_and_invoices_keep_their_business_keys() -> None:
    data = {"warehouse": "east", "receipt": "R", "lines": [{"receipt_line": "1", **ON}]}
    found = said("receipt.posted", data)[("po_line", "10")]
    assert found["entries"] == {"east:R:1": ["4", None, "EA"]}
    assert found["received_qty"] == "4"
    bill = {"supplier": "ACME", "invoice": "I", "lines": [ON]}
    assert list(said("invoice.received", bill)[("po_line", "10")]["entries"]) == ["ACME:I:1"]


def test_a_peg_speaks_to_supply_and_demand() -> None:
    peg = {"erp": "main", "order": "SO", "order_line": "1", "po": "1", "line": "10", "qty": "5"}
    found = said("peg.set", {"pegs": [peg]})
    assert found[("po_line", "10")] == {"pegs": [["SO", "1", "5"]]}
    assert found[("order_line", "1")] == {"pegs": [["1", "10", "5"]]}


def test_failure_and_delivery_of_a_message_meet_by_its_strongest_id() -> None:
    failed = said("message.failed", PO, correlation_id="c")[("po", "")]
    assert failed["message"] == "c"
    assert (
        said("message.failed", {**PO, "message": "m"}, correlation_id="c")[("po", "")]["message"]
        == "m"
    )


def test_what_reaches_an_order_tells_the_verdict() -> None:
    verdict = event("fa.received", {"answered": "set", "verdict": "rejected", "set_type": "850"})
    assert touches(verdict) == ()
    assert told(verdict) == {"answered": "set", "verdict": "rejected", "set_type": "850"}
    refused = event("asn.rejected", {**ASN, "reason": "no such line"})
    assert told(refused) == {"asn": "S", "supplier": "ACME", "reason": "no such line"}


@pytest.mark.parametrize("type_", sorted(EVENT_TYPES))
def test_every_event_with_its_keys_alone_can_be_told(type_: str) -> None:
    spec = EVENT_TYPES[type_]
    kinds = {"qty": "1", "money": "1", "date": "2026-04-01", "when": "2026-04-01T00:00:00Z"}
    data: dict[str, Any] = {f.name: kinds.get(f.kind, "x") for f in spec.header if f.required}
    if spec.list_name:
        data[spec.list_name] = [{f.name: kinds.get(f.kind, "x") for f in spec.lines if f.required}]
    one = event(type_, data)
    for touch in touches(one):
        assert touch.kind in {ref.kind for ref in one.objects}
        json.dumps(touch.facts)
    json.dumps(told(one))
