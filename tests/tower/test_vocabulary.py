"""Canonical data, the objects they touch and the ids of events."""

from __future__ import annotations

import pickle
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.canonical import FieldSpec, checked, decimal_text, in_form
from tower.errors import PayloadRejected
from tower.event import ObjectRef
from tower.identity import NAMESPACE, derived_event_id, own_event_id
from tower.vocabulary import EVENT_TYPES, canonical, make_event, objects_of

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
KINDS = ("text", "code", "qty", "money", "date", "when", "int", "flag", "list")
FIELDS = tuple(FieldSpec(kind, kind, False) for kind in KINDS)
IN_FORM: dict[str, Any] = {
    "text": "Größe 7",
    "code": "accepted",
    "qty": "12",
    "money": "-0.5",
    "date": "2026-03-27",
    "when": "2026-03-27T14:00:00+00:00",
    "int": 3,
    "flag": False,
    "list": [{"as": "it is"}],
}
LINE = {"line": "10", "qty": "4"}
PO = {"po": "1", "erp": "main", "supplier": "ACME"}

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(),
    st.text(max_size=8),
    st.text(st.sampled_from("0123456789.-+eE ²٣"), max_size=9),
    st.text(st.sampled_from(" aAßİ\x00\t\u2028\ud800"), max_size=4),
    st.sampled_from([*map(str, IN_FORM.values()), "20260327", "2026-W13-5", "2026-03-27T14:00Z"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)


# --- canonical form -------------------------------------------------------------------------------


@pytest.mark.long
@given(st.dictionaries(st.sampled_from((*KINDS, "other")), values))
def test_what_the_check_lets_pass_is_what_the_conversion_makes(record: dict[str, Any]) -> None:
    if checked(FIELDS)(record):
        made = in_form(FIELDS, record, "x", "")
        assert made == record
        assert {k: type(v) for k, v in made.items()} == {k: type(v) for k, v in record.items()}


@given(st.sampled_from(KINDS), values)
def test_the_form_of_a_form_is_itself(kind: str, value: Any) -> None:
    field = (FieldSpec("f", kind, False),)
    try:
        once = in_form(field, {"f": value}, "x", "")
    except PayloadRejected:
        return
    assert in_form(field, once, "x", "") == once


@pytest.mark.parametrize("kind", KINDS)
def test_the_check_knows_the_usual_form_of_each_kind(kind: str) -> None:
    required = checked((FieldSpec("f", kind, True),))
    optional = checked((FieldSpec("f", kind, False),))
    assert required({"f": IN_FORM[kind]})
    assert optional({"f": IN_FORM[kind]})
    assert not required({})
    assert optional({})
    for bad in (None, "", " ", {}, 1.5, "\x00", "A B\n"):
        assert not required({"f": bad})
        assert not optional({"f": bad})
    assert not required({"f": IN_FORM[kind], "other": 1})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", " a"), ("text", "a "), ("text", "a\tb"), ("text", "x" * 501), ("text", 7),
        ("code", "Accepted"), ("code", "on hold "),
        ("qty", "01"), ("qty", "1.0"), ("qty", "+1"), ("qty", "-0"), ("qty", "1e3"), ("qty", "²"),
        ("qty", ".5"), ("qty", "5."), ("qty", "٣"), ("qty", 4), ("qty", "1\n"),
        ("date", "20260327"), ("date", "2026-13-01"), ("date", "2026-W13-5"),
        ("date", "2026-03-27T10:00"), ("when", "2026-03-27T14:00:00Z"),
        ("when", "2026-03-27T14:00:00"), ("when", "2026-03-27T14:00:00+01:00"),
        ("int", "3"), ("int", True), ("int", 3.0), ("flag", 1), ("flag", "true"), ("list", ()),
    ],
)  # fmt: skip
def test_the_check_lets_nothing_pass_that_would_be_changed(kind: str, value: Any) -> None:
    assert not checked((FieldSpec("f", kind, False),))({"f": value})


@pytest.mark.parametrize(
    ("kind", "sent", "kept"),
    [
        ("text", "  a\tb ", "a b"), ("text", 7, "7"), ("text", "a" * 499 + " b", "a" * 499),
        ("code", " Accepted ", "accepted"), ("qty", "2.50", "2.5"), ("qty", 1e-3, "0.001"),
        ("money", ".5", "0.5"), ("date", "2026-03-27T23:59", "2026-03-27"),
        ("date", "20260327", "2026-03-27"),
        ("when", "2026-03-27T15:00:00+01:00", "2026-03-27T14:00:00+00:00"),
        ("int", "3.0", 3), ("flag", False, False), ("list", [], []),
    ],
)  # fmt: skip
def test_values_are_brought_into_form(kind: str, sent: Any, kept: Any) -> None:
    assert in_form((FieldSpec("f", kind, True),), {"f": sent}, "x", "") == {"f": kept}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("empty", [None, "", "  ", "\u2003"])
def test_an_empty_value_of_any_kind_is_a_missing_one(kind: str, empty: Any) -> None:
    assert in_form((FieldSpec("f", kind, False),), {"f": empty}, "x", "") == {}
    with pytest.raises(PayloadRejected, match=r"x has no lines\[2\]\.f") as caught:
        in_form((FieldSpec("f", kind, True),), {"f": empty}, "x", "lines[2].")
    assert caught.value.code == "missing_key"


def test_a_number_of_control_characters_names_nothing() -> None:
    with pytest.raises(PayloadRejected, match=r"po\.released has no po"):
        canonical("po.released", {**PO, "po": "\x01\x02"})


@pytest.mark.parametrize(
    ("kind", "value"),
    [("qty", "inf"), ("qty", True), ("qty", "1e999"), ("int", "1e999999999"), ("int", "inf"),
     ("date", "soon"), ("when", "9999-12-31T23:59:59-23:00"), ("text", {"a": 1}), ("flag", 1)],
)  # fmt: skip
def test_what_no_field_can_hold_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(PayloadRejected, match=r"x: f .* is not a") as caught:
        in_form((FieldSpec("f", kind, False),), {"f": value}, "x", "")
    assert caught.value.code == "bad_value"


def test_data_in_form_are_taken_as_they_are() -> None:
    data = {**PO, "lines": [LINE, {"line": "20"}]}
    assert canonical("po.released", data) is data


def test_only_what_is_not_in_form_is_made_anew() -> None:
    data = {**PO, "lines": [LINE, {"line": " 20 "}], "unknown": 1}
    assert canonical("po.released", data) == {**PO, "lines": [LINE, {"line": "20"}]}
    assert canonical("po.released", {**PO, "po": 1, "lines": [LINE]}) == {**PO, "lines": [LINE]}
    assert canonical("po.released", PO) == {**PO, "lines": []}
    assert data == {**PO, "lines": [LINE, {"line": " 20 "}], "unknown": 1}


@pytest.mark.parametrize(
    ("type_", "data", "code", "said"),
    [
        ("po.lost", {}, "unsupported_type", '"po.lost" is not an event type'),
        ("po.released", {**PO, "lines": "x"}, "bad_value", "lines is not a list"),
        ("po.released", {**PO, "lines": {"a": 1}}, "bad_value", "lines is not a list"),
        ("po.released", {**PO, "lines": [LINE, 7]}, "bad_value", r"lines\[1\] is not an object"),
        ("po.released", {**PO, "lines": [LINE, {}]}, "missing_key", r"has no lines\[1\]\.line"),
        ("po.released", {**PO, "lines": [{**LINE, "qty": "x"}]}, "bad_value", r"lines\[0\]\.qty"),
        ("po.held", {"po": "1"}, "missing_key", "po.held has no erp"),
    ],
)
def test_a_refusal_names_the_field(type_: str, data: Any, code: str, said: str) -> None:
    with pytest.raises(PayloadRejected, match=said) as caught:
        canonical(type_, data)
    assert caught.value.code == code


@given(st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False)))
def test_a_decimal_text_is_its_own_form(number: Any) -> None:
    try:
        text = decimal_text(str(number))
    except ValueError:
        return
    assert decimal_text(text) == text


# --- objects --------------------------------------------------------------------------------------


def refs(type_: str, data: dict[str, Any]) -> list[str]:
    return [f"{ref} {ref.qualifier}" for ref in objects_of(type_, canonical(type_, data))]


def test_an_order_comes_before_its_lines_each_once() -> None:
    lines = [{"line": "10"}, {"line": "20"}, {"line": "10"}]
    assert refs("po.released", {**PO, "lines": lines}) == [
        "po:main:1 creates", "po_line:main:1:10 creates", "po_line:main:1:20 creates",
    ]  # fmt: skip
    order = {"order": "7", "erp": "main", "lines": [{"line": "1", "promise_date": "2026-05-04"}]}
    assert refs("order.promised", order) == [
        "order:main:7 promises",
        "order_line:main:7:1 promises",
    ]
    assert refs("po.held", PO) == ["po:main:1 changes"]


def test_other_documents_name_the_orders_of_their_lines() -> None:
    on = [{"erp": "main", "po": "1", "line": "10"}, {"erp": "main", "po": "1"}]
    asn = {"asn": "S1", "supplier": "ACME"}
    named = ["po:main:1", "po_line:main:1:10"]
    assert refs("asn.received", {**asn, "lines": on}) == [
        "asn:ACME:S1 ships", *(f"{one} ships" for one in named)
    ]  # fmt: skip
    assert refs("asn.cancelled", {**asn, "lines": on})[1] == "po:main:1 cancels"
    assert refs("asn.accepted", {**asn, "erp": "main", "po": "2"}) == [
        "asn:ACME:S1 ships", "po:main:2 ships",
    ]  # fmt: skip
    receipt = {"warehouse": "east", "receipt": "R1"}
    posted = [{**one, "receipt_line": "1", "qty": "1"} for one in on]
    posted.append({"receipt_line": "2", "qty": "1"})
    assert refs("receipt.posted", {**receipt, **asn, "lines": posted}) == [
        "receipt:east:R1 creates", "asn:ACME:S1 receives", *(f"{one} receives" for one in named)
    ]  # fmt: skip
    assert refs("receipt.posted", receipt) == ["receipt:east:R1 creates"]
    for type_ in ("invoice.received", "credit.received"):
        assert refs(type_, {"supplier": "ACME", "invoice": "I1", "lines": on}) == [
            "invoice:ACME:I1 creates", *(f"{one} invoices" for one in named)
        ]  # fmt: skip


def test_a_shipment_of_several_orders_names_each_once() -> None:
    on = [{"erp": "main", "po": po, "line": line} for po, line in ("1a", "2a", "2b", "1b", "2a")]
    found = refs("asn.received", {"asn": "S1", "supplier": "ACME", "lines": on})
    assert [one.removesuffix(" ships") for one in found] == [
        "asn:ACME:S1",
        *("po:main:1", "po_line:main:1:a"),
        *("po:main:2", "po_line:main:2:a", "po_line:main:2:b"),
        "po_line:main:1:b",
    ]


def test_events_without_lines_name_what_they_know() -> None:
    assert refs("shipment.status", {"supplier": "ACME", "asn": "S1"}) == ["asn:ACME:S1 ships"]
    assert refs("shipment.status", {"asn": "S1"}) == []
    assert refs("message.sent", {"erp": "main", "po": "1", "supplier": "ACME", "asn": "S1"}) == [
        "po:main:1 carries", "asn:ACME:S1 carries",
    ]  # fmt: skip
    assert refs("message.sent", {"po": "1"}) == []
    assert refs("source.gap", {"source": "edi"}) == ["source::edi changes"]
    assert refs("fa.received", {"answered": "PO", "verdict": "accepted"}) == []
    peg = {"erp": "main", "order": "7", "order_line": "1", "po": "1", "line": "10", "qty": "4"}
    assert refs("peg.set", {"pegs": [peg, peg]}) == [
        "po_line:main:1:10 pegs", "order_line:main:7:1 pegs",
    ]  # fmt: skip


@pytest.mark.parametrize("type_", sorted(EVENT_TYPES))
def test_every_type_finds_its_objects_in_the_least_it_may_hold(type_: str) -> None:
    spec = EVENT_TYPES[type_]
    least: dict[str, Any] = {field.name: "1" for field in spec.header if field.required}
    dates = {field.name: "2026-03-27" for field in spec.lines if field.kind == "date"}
    if spec.list_name:
        line = {field.name: "1" for field in spec.lines if field.required}
        least[spec.list_name] = [{k: dates.get(k, v) for k, v in line.items()}]
    event = make_event(type_, least, source="feed", raw_key="k", position="item:0", occurred_at=NOW)
    assert all(isinstance(ref, ObjectRef) for ref in event.objects)
    assert all(isinstance(part, str) for ref in event.objects for part in ref)


# --- ids ------------------------------------------------------------------------------------------


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=9), st.text(max_size=9))
def test_ids_are_name_based_uuids(source: str, key: str, position: str, type_: str) -> None:
    def named(*parts: str) -> uuid.UUID:
        return uuid.uuid5(NAMESPACE, "".join(f"{len(part)}:{part}" for part in parts))

    assert own_event_id(source, key) == named("own", source, key)
    derived = derived_event_id(source, key, position, type_)
    assert derived == named("derived", source, key, position, type_)
    assert (derived.version, derived.variant) == (5, uuid.RFC_4122)
    assert pickle.loads(pickle.dumps(derived)) == derived  # noqa: S301  # a whole UUID
    assert derived.is_safe is uuid.SafeUUID.unknown


def test_ids_never_change() -> None:
    own = own_event_id("bench", "/erp/main po.released-1\x1fpo.released")
    assert str(own) == "75d7ce8b-d061-592c-9dec-f13bb9491843"
    assert (
        str(derived_event_id("edi", "k", "set:1", "po.released"))
        == "b8df370d-e105-57e4-bb71-ae77d51e0632"
    )
