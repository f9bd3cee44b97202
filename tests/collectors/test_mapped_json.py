"""JSON bodies and log lines: paths, lists of lines, what is wrong with them."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from collectors.records import walk
from collectors.registry import interpret
from tests.collectors.worlds import network
from tower.errors import ConfigError
from tower.event import TimeQuality
from tower.network import Network
from tower.raw import Interpretation, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
ERP_SAMPLE = (
    Path(__file__).resolve().parents[3] / "shared/data/erp_json/dynamics365-bc/purchaseOrder.json"
)

RECEIPTS = """
format: json
records: data.receipts
emit:
  - event: receipt.posted
    when: {state: [posted, final]}
    id: "{no}"
    time: at
    supplier: vendor
    fields: {warehouse: site.code, receipt: no}
    lines_from: content.lines
    lines: {receipt_line: n, po: order, line: pos, qty: received, rejected_qty: damaged}
"""


def net_with(mapping: str, format_: str = "json") -> Network:
    return network(
        f"sources:\n  feed: {{kind: push, format: {format_}, system: erp, mapping: m}}",
        "mappings:\n  m:\n" + textwrap.indent(mapping.strip(), "    "),
    )


def read(
    mapping: str, body: Any, headers: dict[str, str] | None = None, format_: str = "json"
) -> Interpretation:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    raw = Raw("feed", "k1", data, NOW, headers=headers or {})
    return interpret(raw, net_with(mapping, format_))


def receipt(no: str = "R1", **changes: Any) -> dict[str, Any]:
    return {
        "no": no,
        "state": "Posted",
        "at": "2026-03-27T09:00:00+02:00",
        "vendor": 17300001,
        "site": {"code": "east"},
        "content": {
            "lines": [{"n": 1, "order": "4500", "pos": 10, "received": 12.5, "damaged": 0}]
        },
        **changes,
    }


def test_records_and_lines_are_found_at_their_paths() -> None:
    reading = read(RECEIPTS, {"data": {"receipts": [receipt("R1"), receipt("R2", state="draft")]}})
    assert [e.position for e in reading.events] == ["item:0"]
    event = reading.events[0]
    assert event.occurred_at == datetime(2026, 3, 27, 7, 0, tzinfo=UTC)
    assert event.time_quality is TimeQuality.EXACT
    assert event.data == {
        "warehouse": "east",
        "receipt": "R1",
        "supplier": "ACME",
        "lines": [
            {
                "receipt_line": "1",
                "erp": "main",
                "po": "4500",
                "line": "10",
                "qty": "12.5",
                "rejected_qty": "0",
            }
        ],
    }
    places = {origin.field: origin.element for origin in reading.origins[0]}
    assert places["lines[0].qty"] == "$.data.receipts[0].content.lines[0].received"
    assert places["warehouse"] == "$.data.receipts[0].site.code"


def test_a_record_that_a_reader_cut_out_is_the_whole_body() -> None:
    reading = read(RECEIPTS, receipt(), {"rendered": "json"})
    assert len(reading.events) == 1
    whole = read(RECEIPTS, {"data": {"receipts": [receipt()]}})
    assert reading.events[0].id == whole.events[0].id  # by its own id


def test_one_object_where_a_list_is_expected_is_one_record() -> None:
    assert len(read(RECEIPTS, {"data": {"receipts": receipt()}}).events) == 1
    flat = RECEIPTS.replace("records: data.receipts", "")
    assert len(read(flat, receipt()).events) == 1
    assert len(read(flat, [receipt("A"), receipt("B")]).events) == 2


def test_a_bad_line_is_a_dead_letter_and_the_others_count() -> None:
    lines = [
        {"n": 1, "order": "4500", "pos": 10, "received": "many"},
        {"n": 2, "order": "4500", "pos": 20, "received": 3},
        {"order": "4500", "pos": 30, "received": 3},
    ]
    reading = read(RECEIPTS, {"data": {"receipts": [receipt(content={"lines": lines})]}})
    assert [(x.code, x.position) for x in reading.dead_letters] == [
        ("bad_value", "item:0/line:0"),
        ("missing_key", "item:0/line:2"),
    ]
    assert [line["line"] for line in reading.events[0].data["lines"]] == ["20"]


def test_a_document_whose_lines_are_all_bad_is_no_event() -> None:
    lines = [{"n": 1, "order": "4500", "pos": 10, "received": "many"}]
    reading = read(RECEIPTS, {"data": {"receipts": [receipt(content={"lines": lines})]}})
    assert not reading.events
    assert reading.outcome == "quarantined"


@pytest.mark.parametrize(
    ("body", "code", "position"),
    [
        (b"", "empty", ""),
        (b"{", "truncated", ""),
        (b"{'a': 1}", "invalid_json", ""),
        (b'{"data": NaN}', "invalid_json", ""),
        (b"\xff\xfe", "undecodable", ""),
        (b'{"other": 1}', "missing_key", ""),
        (b'{"data": {"receipts": ["x"]}}', "bad_row", "item:0"),
        (b'{"data":' * 100 + b"1" + b"}" * 100, "too_deep", ""),
    ],
)
def test_bad_bodies_become_dead_letters(body: bytes, code: str, position: str) -> None:
    reading = read(RECEIPTS, body)
    assert [(x.code, x.position) for x in reading.dead_letters] == [(code, position)]
    assert reading.outcome == "quarantined"


def test_a_number_too_long_to_be_exact_is_no_order_number() -> None:
    body = b'{"data": {"receipts": [{"no": 123456789012345678901, "state": "posted"}]}}'
    reading = read(RECEIPTS, body)
    assert reading.dead_letters[0].code == "bad_value"
    assert "send it in quotes" in reading.dead_letters[0].cause


@pytest.mark.parametrize("value", [[], {}, ["x"], True, None, "", "\x00", "a\x00b"])
def test_odd_values_never_break_the_reading(value: Any) -> None:
    for field in ("no", "at", "vendor", "site", "content", "state"):
        reading = read(RECEIPTS, {"data": {"receipts": [receipt(**{field: value})]}})
        assert all(letter.code != "crash" for letter in reading.dead_letters), field


def test_two_events_of_one_type_from_one_record_have_two_ids() -> None:
    mapping = """
format: json
emit:
  - {event: po.held, fields: {po: a}}
  - {event: po.held, fields: {po: b}}
"""
    reading = read(mapping, {"a": "1", "b": "2"})
    assert [(e.data["po"], e.position) for e in reading.events] == [
        ("1", "item:0"),
        ("2", "item:0/2"),
    ]
    assert reading.events[0].id != reading.events[1].id


@pytest.mark.skipif(not ERP_SAMPLE.exists(), reason="the public samples are not here")
def test_a_real_purchase_order_of_a_cloud_erp_is_read() -> None:
    mapping = """
format: json
nulls: ["", "00000000-0000-0000-0000-000000000000"]
emit:
  - event: po.released
    id: "{id}"
    time: orderDate
    recorded: lastModifiedDateTime
    supplier: vendorNumber
    fields: {po: number, currency: currencyCode, buyer: purchaser}
"""
    net = net_with(mapping)
    bolt = net.partners["BOLT"]
    ids = bolt.ids.model_copy(update={"erp_vendor": {"main": "20000"}})
    net = net.model_copy(update={"partners": {"BOLT": bolt.model_copy(update={"ids": ids})}})
    reading = interpret(Raw("feed", "k", ERP_SAMPLE.read_bytes(), NOW), net)
    assert not reading.dead_letters
    event = reading.events[0]
    assert (event.data["po"], event.partner, event.data["currency"]) == ("108001", "BOLT", "USD")
    assert event.time_quality is TimeQuality.DATE
    assert event.occurred_at == datetime(2021, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [1, {"c": 2}]}),
        ("a.b.1.c", 2),
        ("a.b.0", 1),
        ("a.b.7", None),
        ("a.b.x", None),
        ("a.b.²", None),
        ("x.y", 3),
        ("x.y.z", None),
        ("@odata.nextLink", "n"),
        ("p.q.r", 4),
        ("", None),
        ("a.", None),
    ],
)
def test_paths_lead_through_objects_lists_and_keys_with_dots(path: str, found: Any) -> None:
    value = {"a": {"b": [1, {"c": 2}]}, "x.y": 3, "@odata.nextLink": "n", "p": {"q.r": 4}}
    assert walk(value, path) == found


LOG = """
format: log
emit:
  - event: message.failed
    when: {level: error, order: "*"}
    time: ts
    fields: {po: order, message: msg, error_class: error.type}
    correlation: "{trace}"
    carries: ["{msg}"]
"""


def test_log_lines_become_events_where_a_rule_applies_and_nothing_where_none_does() -> None:
    line = {"ts": "2026-03-27T10:00:00Z", "level": "ERROR", "order": "4500", "msg": "m1",
            "error.type": "Timeout", "trace": "t1"}  # fmt: skip
    reading = read(LOG, line, format_="log")
    event = reading.events[0]
    assert (event.correlation_id, event.carries, event.position) == ("t1", ("m1",), "line:1")
    assert event.data["error_class"] == "Timeout"
    quiet = read(LOG, {**line, "level": "info"}, format_="log")
    assert (quiet.events, quiet.findings, quiet.dead_letters) == ((), (), ())


def test_several_lines_in_one_body_are_read_one_by_one() -> None:
    line = orjson.dumps({"ts": "2026-03-27T10:00:00Z", "level": "error", "order": "4500"})
    reading = read(LOG, line + b"\r\n\nno json\n[1]\n" + line + b"\n", format_="log")
    assert [e.position for e in reading.events] == ["line:1", "line:5"]
    assert [(x.code, x.position) for x in reading.dead_letters] == [
        ("invalid_json", "line:3"),
        ("invalid_json", "line:4"),
    ]
    lenient = LOG.replace("format: log", "format: log\nother_lines: ignore")
    assert not read(lenient, line + b"\nno json\n", format_="log").dead_letters


PRICES = """
format: json
emit:
  - event: po.released
    fields: {po: no, supplier: =ACME}
    lines_from: lines
    lines: {line: n, qty: qty, price: price // per}
"""


@pytest.mark.parametrize(
    ("price", "per", "one"),
    [
        ("1250.00", "100", "12.5"),
        ("10", 3, "3.333333333"),
        ("12.50", "1", "12.5"),
        ("12.50", None, "12.5"),
        ("0.00", "100", "0"),
        ("5000", "0.1", "50000"),
    ],
)
def test_a_price_for_so_many_is_told_for_one(price: str, per: Any, one: str) -> None:
    line = {"n": 1, "qty": 2, "price": price, "per": per}
    (event,) = read(PRICES, {"no": "P1", "lines": [line]}).events
    assert event.data["lines"][0]["price"] == one


def test_a_price_for_none_refuses_its_row() -> None:
    reading = read(PRICES, {"no": "P1", "lines": [{"n": 1, "qty": 2, "price": "3", "per": "0"}]})
    assert not reading.events
    assert "is for 0 pieces" in reading.dead_letters[0].cause


@pytest.mark.parametrize(
    ("line", "one"),
    [
        ({"price": "30", "per": 1, "of_that": 5, "of_ours": 2}, "75"),
        ({"price": "3000.00", "per": "100", "of_that": "5", "of_ours": "2"}, "75"),
        ({"price": "10", "per": "3", "of_that": "3", "of_ours": "1"}, "10"),  # rounded once
        ({"price": "12.50", "per": 1, "of_that": 1, "of_ours": 1}, "12.5"),
        ({"price": "12.50", "of_that": 4}, "50"),
    ],
)
def test_a_price_of_another_unit_is_told_of_the_unit_of_the_order(
    line: dict[str, Any], one: str
) -> None:
    mapping = PRICES.replace("price // per", "price * of_that // per // of_ours")
    (event,) = read(mapping, {"no": "P1", "lines": [{"n": 1, "qty": 2, **line}]}).events
    assert event.data["lines"][0]["price"] == one


@pytest.mark.parametrize(("name", "said"), [("per", "is for 0 pieces"), ("of_that", "counts 0")])
def test_a_price_that_is_scaled_by_nothing_refuses_its_row(name: str, said: str) -> None:
    mapping = PRICES.replace("price // per", "price * of_that // per")
    reading = read(mapping, {"no": "P1", "lines": [{"n": 1, "qty": 2, "price": "3", name: "0"}]})
    assert not reading.events
    assert said in reading.dead_letters[0].cause


def test_a_price_beyond_all_orders_refuses_its_row() -> None:
    mapping = PRICES.replace("price // per", "price * of_that")
    line = {"n": 1, "qty": 2, "price": "9" * 15, "of_that": "9" * 15}
    assert "no" in read(mapping, {"no": "P1", "lines": [line]}).dead_letters[0].cause


def test_only_numbers_are_divided() -> None:
    with pytest.raises(ConfigError, match=r"fields\.po is no number"):
        net_with(PRICES.replace("po: no", "po: no // per"))
