"""What each message gives: the fixtures, read by hand, and the cases around them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.collectors.edifact.conftest import build_network
from tower.event import Event, TimeQuality
from tower.network import Partner, PartnerIds
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]


def only(reading: Interpretation) -> Event:
    (event,) = reading.events
    return event


def lines(event: Event, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(line.get(field) for field in fields) for line in event.data["lines"]]


# --- ORDERS, ORDCHG -------------------------------------------------------------------------------


def test_an_order_of_ours(read: Read) -> None:
    reading = read("orders.edi")
    order, cancelled = reading.events
    assert (order.type, order.partner, order.channel) == ("po.released", "ACME", "edi")
    assert order.occurred_at == datetime(2026, 3, 2, 8, tzinfo=UTC)  # 09:00 in Berlin
    assert order.carries == (
        "edifact:message:4098765000010/4012345000009/700001/1",
        "edifact:interchange:4098765000010/4012345000009/700001",
    )
    assert {k: v for k, v in order.data.items() if k != "lines"} == {
        "po": "4500001234",
        "erp": "main",
        "supplier": "ACME",
        "buyer": "Kim Aldous",
        "type": "standard",
        "currency": "USD",
        "warehouse": "EAST",
        "ship_by": "2026-03-28",
        "cancel_after": "2026-04-30",
    }
    assert lines(order, "line", "item", "qty", "uom", "price", "requested_date") == [
        ("10", "B-100", "40", "EA", "12.5", "2026-04-01"),
        ("20", "B-200", "15", "EA", "0.8", "2026-04-03"),
    ]
    assert order.data["lines"][0]["description"] == "Widget, 10 mm: zinc+"
    assert (cancelled.type, cancelled.data["po"]) == ("po.cancelled", "4500001235")
    assert reading.findings == ()
    assert reading.dead_letters == ()


def test_an_order_may_replace_or_change_another(read: Read, wrap: Wrap) -> None:
    for function, type_ in (("5", "po.released"), ("4", "po.revised")):
        body = wrap(f"ORDERS BGM+220+77+{function}'LIN+1++A:IN'QTY+21:4'", from_us=True)
        event = only(read(body))
        assert (event.type, event.data["revision"]) == (type_, "1")
    body = wrap("ORDERS BGM+220+77+5'RFF+PP:R2'LIN+1'QTY+21:4'", from_us=True)
    assert only(read(body)).data["revision"] == "R2"


def test_the_buyers_group_of_products_is_the_category_of_a_line(read: Read, wrap: Wrap) -> None:
    body = wrap(
        "ORDERS BGM+220+77+9'LIN+1++A:IN'PIA+1+N9:GN+FAST:GB'QTY+21:4'"
        "LIN+2++B:IN'PIA+5+A-2:SA'PIA+1+N9:GN'QTY+21:4'LIN+3++C:IN'QTY+21:4'",
        from_us=True,
    )
    assert lines(only(read(body)), "item", "category") == [
        ("A", "FAST"), ("B", "N9"), ("C", None),
    ]  # fmt: skip


def test_the_last_delivery_of_a_schedule_completes_the_line(read: Read, wrap: Wrap) -> None:
    schedule = "SCC+1'QTY+21:6'DTM+2:20260401:102'SCC+1'QTY+21:4'DTM+2:20260408:102'"
    event = only(read(wrap(f"ORDERS BGM+220+77+9'LIN+1'QTY+21:10'{schedule}", from_us=True)))
    assert lines(event, "qty", "requested_date") == [("10", "2026-04-08")]


def test_a_wrong_count_of_lines_is_a_finding(read: Read, wrap: Wrap) -> None:
    body = wrap("ORDERS BGM+220+77+9'LIN+1'QTY+21:4'UNS+S'CNT+2:3'", from_us=True)
    (finding,) = read(body).findings
    assert (finding.code, finding.expected, finding.got) == ("cnt_lines", "1", "3")


def test_a_change_of_ours(read: Read) -> None:
    change, cancelled = read("ordchg.edi").events
    assert (change.type, change.data["po"], change.data["revision"]) == (
        "po.revised",
        "4500001234",
        "C-77",
    )
    assert lines(change, "line", "action", "qty", "price", "requested_date") == [
        ("10", "change", "50", None, "2026-04-05"),
        ("20", "delete", None, None, None),
        ("30", "add", "5", "1.25", None),  # a comma is a decimal mark, too
    ]
    assert (cancelled.type, cancelled.data["po"]) == ("po.cancelled", "4500001235")


# --- ORDRSP ---------------------------------------------------------------------------------------


def test_an_answer_line_by_line(read: Read) -> None:
    reading = read("ordrsp.edi")
    answer, refused, received, changed = reading.events
    assert (answer.type, answer.data["answer"], answer.data["code"]) == (
        "po.acknowledged",
        "part_accepted",
        "4",
    )
    assert answer.occurred_at == datetime(2026, 3, 2, 19, 30, tzinfo=UTC)  # 14:30 in New York
    assert lines(answer, "line", "answer", "qty", "date", "date_kind") == [
        ("10", "accepted", "40", "2026-04-01", "delivery"),
        ("20", "backordered", "15", "2026-04-10", "delivery"),
        ("30", "rejected", None, None, None),
    ]
    assert answer.data["lines"][1]["parts"] == [
        {"answer": "accepted", "qty": "10", "uom": "EA"},
        {"answer": "backordered", "qty": "5", "uom": "EA"},
    ]
    assert (refused.type, refused.data["reason"]) == ("po.rejected", "Not made any more")
    assert (received.type, received.data["step"]) == ("message.received", "answer")
    assert (changed.type, changed.data["revision"]) == ("po.change_answered", "C-77")
    assert [f.code for f in reading.findings] == ["no_answer"]


@pytest.mark.parametrize(
    ("head", "line", "answer"),
    [
        ("29", "", "accepted"),
        ("4", "LIN+1+5'QTY+21:1'", "accepted"),
        ("9", "LIN+1+5'", "accepted"),
        ("9", "LIN+1+3'", "accepted_with_changes"),
        ("9", "LIN+1+5'LIN+2+7'", "part_accepted"),
        ("9", "LIN+1+5'PIA+3+NEW:IN'", "accepted_with_changes"),  # substituted
        ("9+AP", "", "accepted"),
        ("+AC", "", "accepted_with_changes"),
        ("29", "LIN+1'", "accepted"),
    ],
)
def test_lines_outrank_the_head(read: Read, wrap: Wrap, head: str, line: str, answer: str) -> None:
    event = only(read(wrap(f"ORDRSP BGM+231+1+{head}'RFF+ON:7'{line}")))
    assert (event.type, event.data["answer"]) == ("po.acknowledged", answer)


@pytest.mark.parametrize(
    ("head", "line", "type_", "answer", "others"),
    [
        ("29", "", "po.acknowledged", "accepted", None),
        ("29", "LIN+1+7'", "po.acknowledged", "part_accepted", "accepted"),
        ("29", "LIN+1+5'", "po.acknowledged", "accepted", None),
        ("4", "LIN+1+5'", "po.acknowledged", "accepted", "none"),
        ("4", "LIN+1+7'", "po.rejected", "rejected", "none"),
        ("9", "LIN+1+7'", "po.rejected", "rejected", "none"),
        ("27", "LIN+1+7'", "po.rejected", "rejected", None),
        ("27", "LIN+1+5'", "po.acknowledged", "accepted", "none"),
    ],
)
def test_only_the_head_speaks_for_lines_that_are_not_named(
    read: Read, wrap: Wrap, head: str, line: str, type_: str, answer: str, others: str | None
) -> None:
    event = only(read(wrap(f"ORDRSP BGM+231+1+{head}'RFF+ON:7'{line}")))
    assert (event.type, event.data["answer"], event.data.get("others")) == (type_, answer, others)


@pytest.mark.parametrize(
    ("head", "line", "finding"),
    [
        ("12", "", "no_answer"),
        ("12+AP", "", "no_answer"),  # received is received, whatever else is said
        ("9", "", "no_answer"),
        ("9+AJ", "", "hold_only"),
        ("9", "LIN+1+11'", "no_answer"),
        ("XX", "", "unknown_code"),
        ("9", "LIN+1+99'", "unknown_code"),
    ],
)
def test_what_is_no_answer_is_shown_and_leaves_the_order_open(
    read: Read, wrap: Wrap, head: str, line: str, finding: str
) -> None:
    reading = read(wrap(f"ORDRSP BGM+231+1+{head}'RFF+ON:7'{line}"))
    event = only(reading)
    assert (event.type, event.data["po"]) == ("message.received", "7")
    assert finding in [f.code for f in reading.findings]


def test_a_partner_may_mean_something_else_by_a_code(read: Read, wrap: Wrap) -> None:
    body = wrap("ORDRSP BGM+231+1+9'RFF+ON:7'LIN+1+99'")
    event = only(read(body, codes={"ack_line": {"99": "accepted"}}))
    assert event.type == "po.acknowledged"


def test_an_answer_that_refuses_what_its_lines_accept_is_told(read: Read, wrap: Wrap) -> None:
    reading = read(wrap("ORDRSP BGM+231+1+27'RFF+ON:7'LIN+1+5'"))
    assert only(reading).type == "po.acknowledged"
    assert [f.code for f in reading.findings] == ["answer_contradicts"]


def test_a_promise_counts_before_the_wish_it_repeats(read: Read, wrap: Wrap) -> None:
    dates = "DTM+2:20260401:102'DTM+79:20260328:102'"
    event = only(read(wrap(f"ORDRSP BGM+231+1+29'RFF+ON:7'LIN+1+5'QTY+21:1'{dates}")))
    assert lines(event, "date", "date_kind") == [("2026-03-28", "ship")]


# --- DESADV, RECADV, IFTSTA -----------------------------------------------------------------------


def test_a_shipment_with_its_packages(read: Read) -> None:
    reading = read("desadv.edi")
    asn = only(reading)
    assert (asn.type, asn.data["asn"], asn.data["supplier"]) == (
        "asn.received",
        "ASN-9001",
        "ACME",
    )
    assert {k: asn.data[k] for k in ("ship_date", "eta", "carrier", "bol", "warehouse")} == {
        "ship_date": "2026-03-27",
        "eta": "2026-04-01",
        "carrier": "FRTS",
        "bol": "BOL-55",
        "warehouse": "EAST",
    }
    assert asn.data["shipped_at"] == "2026-03-27T18:30:00+00:00"
    assert lines(asn, "po", "line", "item", "qty", "uom") == [
        ("4500001234", "10", "B-100", "40", "EA"),  # 25 and 15, in two cartons
        ("4500001234", "20", "B-200", "15", "EA"),
    ]
    pallet = "340123450000000014"
    assert asn.data["packs"] == [
        {"sscc": pallet, "kind": "tare"},
        {"sscc": "340123450000000021", "kind": "pack", "on": pallet},
        {"sscc": "340123450000000038", "kind": "pack", "on": pallet},
    ]
    assert len(asn.carries) == 3
    assert reading.findings == ()


@pytest.mark.parametrize(
    ("function", "type_"), [("5", "asn.replaced"), ("1", "asn.cancelled"), ("", "asn.received")]
)
def test_a_shipment_may_be_replaced_or_withdrawn(
    read: Read, wrap: Wrap, function: str, type_: str
) -> None:
    assert only(read(wrap(f"DESADV BGM+351+A1+{function}'"))).type == type_


def test_an_item_without_an_order_is_told_not_guessed(read: Read, wrap: Wrap) -> None:
    head = "RFF+ON:1'RFF+ON:2'CPS+1'CPS+3+9'"
    body = wrap(f"DESADV BGM+351+A1+9'{head}LIN+1'QTY+12:5'LIN+2'QTY+12:5'RFF+ON:2'")
    reading = read(body)
    assert lines(only(reading), "po", "line") == [("2", "2")]
    assert [f.code for f in reading.findings] == ["cps_parent", "line_without_po"]


def test_a_receipt_that_names_only_the_despatch_note(read: Read) -> None:
    reading = read("recadv.edi")
    receipt, odd = reading.events
    assert (receipt.type, receipt.data["warehouse"], receipt.data["asn"]) == (
        "receipt.posted",
        "EAST",
        "ASN-9001",
    )
    assert (receipt.occurred_at, receipt.time_quality) == (
        datetime(2026, 3, 31, 22, tzinfo=UTC),  # the first of April in Berlin
        TimeQuality.DATE,
    )
    assert lines(receipt, "receipt_line", "item", "qty", "rejected_qty", "po") == [
        ("1", "B-100", "38", None, None),
        ("2", "B-200", "15", "3", None),
    ]
    assert odd.type == "receipt.discrepancy"
    assert lines(odd, "receipt_line", "kind", "qty") == [
        ("1", "short", "2"),
        ("2", "damaged", "3"),
    ]
    assert {str(ref) for ref in receipt.objects} == {"receipt:EAST:R-7001", "asn:ACME:ASN-9001"}


def test_a_receipt_of_a_warehouse_that_is_no_partner(read: Read) -> None:
    body = (
        b"UNB+UNOC:3+WAREHOUSE:ZZ+4098765000010:14+260402:0800+1'UNH+1+RECADV:D:96A:UN'"
        b"BGM+632+R1+9'RFF+ON:77'NAD+SU+4012345000009::9'NAD+DP+PLANT7::92'"
        b"LIN+10'QTY+195:2:EA'UNT+7+1'UNZ+1+1'"
    )
    receipt = only(read(body))
    assert receipt.data["supplier"] == "ACME"
    assert receipt.data["warehouse"] == "PLANT7"
    assert lines(receipt, "po", "line", "qty", "rejected_qty") == [("77", "10", "0", "2")]


def test_where_shipments_are(read: Read) -> None:
    first, second, third = read("iftsta.edi").events
    assert {e.type for e in (first, second, third)} == {"shipment.status"}
    assert dict(first.data) == {
        "supplier": "ACME",
        "asn": "ASN-9001",
        "bol": "BOL-55",
        "shipment": "SHIP-1",
        "code": "21",
        "place": "New York",
        "eta": "2026-04-01",
    }
    assert first.occurred_at == datetime(2026, 3, 28, 15, 30, tzinfo=UTC)
    assert (third.data["shipment"], third.data["code"]) == ("SHIP-2", "31")
    assert len({e.id for e in (first, second, third)}) == 3


# --- INVOIC, REMADV -------------------------------------------------------------------------------


def test_an_invoice_and_a_credit(read: Read) -> None:
    invoice, credit = read("invoic.edi").events
    assert invoice.type == "invoice.received"
    assert {k: invoice.data[k] for k in ("invoice", "currency", "net", "tax", "total")} == {
        "invoice": "INV-1",
        "currency": "USD",
        "net": "512",
        "tax": "97.28",
        "total": "609.28",
    }
    assert lines(invoice, "invoice_line", "po", "line", "qty", "price") == [
        ("10", "4500001234", "10", "40", "12.5"),
        ("20", "4500001235", "21", "15", "0.8"),
    ]
    assert (credit.type, credit.data["invoice"]) == ("credit.received", "CR-1")


def test_a_pro_forma_invoice_is_kept_and_not_booked(read: Read, wrap: Wrap) -> None:
    reading = read(wrap("INVOIC BGM+325+P1+9'LIN+1'QTY+47:1'"))
    assert reading.events == ()
    assert [f.code for f in reading.findings] == ["unsupported"]


def test_what_we_pay(read: Read) -> None:
    event = only(read("remadv.edi"))
    assert event.type == "payment.advised"
    assert dict(event.data) == {
        "payment": "PAY-1",
        "supplier": "ACME",
        "currency": "USD",
        "total": "584.59",
        "invoices": [
            {"invoice": "INV-1", "paid": "597.09", "discount": "12.19"},
            {"invoice": "CR-1", "paid": "-12.5"},
        ],
    }
    assert [str(ref) for ref in event.objects] == ["invoice:ACME:INV-1", "invoice:ACME:CR-1"]


# --- CONTRL, APERAK -------------------------------------------------------------------------------


def test_verdicts_on_what_we_sent(read: Read) -> None:
    whole, message, received, refused = read("contrl.edi").events
    sent = read("orders.edi").events
    assert (whole.type, whole.data["verdict"], whole.data["answered"]) == (
        "fa.received",
        "accepted",
        "interchange",
    )
    assert whole.answers[0] in sent[0].carries
    assert (message.data["verdict"], message.data["set"]) == ("rejected", "2")
    assert message.answers[0] in sent[1].carries
    assert message.answers[0] not in sent[0].carries
    assert message.data["errors"] == [
        {"level": "set", "code": "13", "text": "mandatory part missing"},
        {"level": "segment", "code": "15", "text": "not supported here", "place": "4"},
        {
            "level": "element",
            "code": "12",
            "text": "value not valid",
            "place": "4",
            "element": "3",
            "component": "2",
        },
    ]
    # Received is no verdict. That UCI left out the qualifiers does not matter.
    assert received.type == "message.received"
    assert received.answers[0] in read("ordchg.edi").events[0].carries
    assert (refused.data["verdict"], refused.data["answered"]) == ("rejected", "interchange")


def test_a_verdict_without_parties_is_on_what_went_the_other_way(read: Read, wrap: Wrap) -> None:
    event = only(read(wrap("CONTRL UCI+700001+++7'")))
    assert event.answers[0] in read("orders.edi").events[0].carries


def test_what_we_acknowledge_is_no_verdict_on_us(read: Read) -> None:
    event = only(read("our_contrl.edi"))
    assert event.type == "message.sent"
    assert event.answers[0] in read("ordrsp.edi").events[0].carries


def test_groups_have_verdicts_too(read: Read, wrap: Wrap) -> None:
    ucf = "UCF+5+4098765000010:14+4012345000009:14+4+30'"
    body = wrap(f"CONTRL UCI+9+4098765000010:14+4012345000009:14+7'{ucf}")
    _, group = read(body).events
    assert (group.data["answered"], group.data["group"], group.data["verdict"]) == (
        "group",
        "5",
        "rejected",
    )
    assert group.answers == ("edifact:group:4098765000010/4012345000009/9/5",)


def test_advices_on_content(read: Read) -> None:
    reading = read("aperak.edi")
    refused, shipment, unclear = reading.events
    assert (refused.type, refused.data["verdict"], refused.data["po"]) == (
        "advice.received",
        "rejected",
        "4500001234",
    )
    assert refused.data["errors"] == [
        {"level": "document", "code": "12", "text": "Article unknown"}
    ]
    assert [str(ref) for ref in refused.objects] == ["po:main:4500001234"]
    assert (shipment.type, shipment.data["asn"]) == ("asn.accepted", "ASN-9001")
    assert unclear.data["verdict"] == "unknown"
    assert [f.code for f in reading.findings] == ["unknown_code"]
    agreed = read("aperak.edi", codes={"advice": {"77": "accepted"}})
    assert agreed.events[2].data["verdict"] == "accepted"
    assert agreed.findings == ()


def test_times_come_from_the_envelope_or_else_from_the_document(read: Read) -> None:
    body = (
        b"UNB+UNOC:3+4012345000009:14+4098765000010:14++1'UNH+1+ORDRSP:D:96A:UN'"
        b"BGM+231+1+29'DTM+137:20260302:102'RFF+ON:7'UNT+5+1'UNZ+1+1'"
    )
    event = only(read(body))
    assert (event.occurred_at, event.time_quality) == (
        datetime(2026, 3, 2, 5, tzinfo=UTC),
        TimeQuality.DATE,
    )
    event = only(read(body.replace(b"DTM+137:20260302:102'", b"")))
    assert event.time_quality is TimeQuality.OBSERVED


@pytest.mark.parametrize(
    ("dtm", "day"),
    [
        ("20260402:102", "2026-04-02"),
        ("260402:101", "2026-04-02"),
        ("202604021530:203", "2026-04-02"),
        ("20260402", "2026-04-02"),
        ("020426:2", "2026-04-02"),
        ("02042026:4", "2026-04-02"),
        ("20260330-20260402:718", "2026-04-02"),
        ("2026033020260402:718", "2026-04-02"),
        ("202604021530-05:303", "2026-04-02"),
        ("202614:616", None),
        ("202604:610", None),
        ("20261302:102", None),
        ("soon:102", None),
    ],
)
def test_days_in_the_forms_that_2379_names(
    read: Read, wrap: Wrap, dtm: str, day: str | None
) -> None:
    body = wrap(f"ORDRSP BGM+231+1+29'RFF+ON:7'LIN+1+5'QTY+21:1'DTM+69:{dtm}'")
    reading = read(body)
    assert lines(only(reading), "date") == [(day,)]
    assert [f.code for f in reading.findings] == ([] if day else ["bad_date"])


def test_the_character_set_reaches_the_fields(read: Read, wrap: Wrap) -> None:
    body = wrap("ORDRSP BGM+231+1+27'RFF+ON:7'FTX+AAI+++Größe fehlt'")
    assert only(read(body)).data["reason"] == "Größe fehlt"


def test_a_partner_may_be_known_by_its_gln_alone(read: Read, wrap: Wrap) -> None:
    event = only(read(wrap("ORDRSP BGM+231+1+29'RFF+ON:7'"), build_network(them=[])))
    assert event.partner == "ACME"


def test_what_one_envelope_says_is_not_taken_for_the_next(read: Read, wrap: Wrap) -> None:
    """Parties, time and ids are worked out once for the messages of an interchange."""
    network = build_network()
    network.partners["BETA"] = Partner(
        name="Beta", zone="America/Los_Angeles", ids=PartnerIds(unb=["4099999000001:14"])
    )
    answers = "ORDRSP BGM+231+1+29'RFF+ON:1'", "ORDRSP BGM+231+2+29'RFF+ON:2'"
    acme = wrap(*answers)
    beta = wrap(*answers, when="260303:0700").replace(b"4012345000009:14", b"4099999000001:14")
    events = read(acme + beta + acme, network).events
    assert [event.partner for event in events] == ["ACME"] * 2 + ["BETA"] * 2 + ["ACME"] * 2
    for event, alone in zip(
        events, [e for body in (acme, beta, acme) for e in read(body, network).events], strict=True
    ):
        assert (event.occurred_at, event.carries) == (alone.occurred_at, alone.carries)


def test_parties_inside_a_message_are_those_of_that_message_alone(read: Read) -> None:
    """Without a known envelope NAD+SU names the supplier, in each message another one."""
    network = build_network(them=[])
    network.partners["BETA"] = Partner(
        name="Beta", zone="Europe/Berlin", ids=PartnerIds(gln="4099999000001")
    )
    text = "UNB+UNOC:3+X:14+4098765000010:14+260302:1430+77'"
    for n, gln in enumerate(("4012345000009", "4099999000001", "4012345000009"), 1):
        text += f"UNH+{n}+ORDRSP:D:96A:UN'BGM+231+{n}+29'RFF+ON:{n}'NAD+SU+{gln}::9'UNT+5+{n}'"
    events = read((text + "UNZ+3+77'").encode(), network).events
    assert [event.partner for event in events] == ["ACME", "BETA", "ACME"]


def test_a_price_is_in_canonical_form_however_it_was_sent(read: Read, wrap: Wrap) -> None:
    sent = {"12.50": "12.5", "0.00": "0", "010.10": "10.1", "7,25": "7.25", ".5": "0.5", "3.": "3"}
    content = "".join(f"LIN+{n}++I{n}:IN'PRI+AAA:{one}'" for n, one in enumerate(sent, 1))
    order = only(read(wrap(f"ORDERS BGM+220+1+9'{content}UNS+S'", from_us=True)))
    assert [line["price"] for line in order.data["lines"]] == list(sent.values())
