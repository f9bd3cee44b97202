from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tower.network import Network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]


def test_an_answer_tells_each_line(read: Read, network: Network) -> None:
    (event,) = read("answer_855.edi", network).events
    assert event.type == "po.acknowledged"
    assert event.data["answer"] == "part_accepted"
    assert event.data["code"] == "AC"
    lines = {line["line"]: line for line in event.data["lines"]}
    assert lines["20"] == {
        "line": "20",
        "item": "FST-00202",
        "answer": "accepted_with_changes",
        "code": "DR",
        "qty": "15",
        "uom": "EA",
        "date": "2026-04-20",
        "date_kind": "ship",
        "price": "0.8",
    }
    assert (lines["30"]["answer"], lines["30"]["code"]) == ("rejected", "R3")
    assert "qty" not in lines["30"]  # a refused quantity is not confirmed
    assert lines["40"] == {
        "line": "40",
        "item": "FST-00204",
        "answer": "accepted",
        "code": "IA",
        "qty": "8",
        "uom": "EA",
        "date": "2026-04-03",
        "date_kind": "delivery",
        "price": "1",
    }


def test_a_line_answered_in_parts_keeps_them_and_says_what_comes_by_when(
    read: Read, network: Network
) -> None:
    line = read("answer_855.edi", network).events[0].data["lines"][0]
    assert line["parts"] == [
        {
            "answer": "accepted",
            "code": "IA",
            "qty": "25",
            "uom": "BX",
            "date": "2026-04-01",
            "date_kind": "delivery",
        },
        {
            "answer": "backordered",
            "code": "IB",
            "qty": "15",
            "uom": "BX",
            "date": "2026-04-09",
            "date_kind": "delivery",
        },
    ]
    assert (line["answer"], line["qty"], line["uom"]) == ("backordered", "40", "BX")
    assert (line["date"], line["date_kind"]) == ("2026-04-09", "delivery")


def test_what_a_partner_sends_is_dated_in_its_zone(read: Read, network: Network) -> None:
    (event,) = read("answer_855.edi", network).events
    assert event.occurred_at == datetime(2026, 3, 2, 19, 30, 5, tzinfo=UTC)  # New York
    assert event.carries[0] == "x12:set:01:123456789/ZZ:BUYER/PR/21/1"


@pytest.mark.parametrize(
    ("header", "lines", "type_", "answer"),
    [
        ("AD", "", "po.acknowledged", "accepted"),
        ("AK", "", "po.acknowledged", "accepted"),
        ("AT", "PO1*1*5*EA~", "po.acknowledged", "accepted"),
        ("AC", "", "po.acknowledged", "accepted_with_changes"),
        ("AC", "PO1*1*5*EA~ACK*IA~", "po.acknowledged", "accepted"),
        ("AE", "", "po.acknowledged", "accepted"),
        ("AE", "PO1*1*5*EA~ACK*IR~", "po.acknowledged", "part_accepted"),
        ("AE", "PO1*1*5*EA~", "po.acknowledged", "accepted_with_changes"),
        ("AD", "PO1*1*5*EA~ACK*IR~", "po.acknowledged", "part_accepted"),
        ("AC", "PO1*1*5*EA~ACK*IR~", "po.rejected", "rejected"),
        ("RJ", "PO1*1*5*EA~ACK*IR~", "po.rejected", "rejected"),
        ("RD", "", "po.rejected", "rejected"),
        ("RF", "PO1*1*5*EA~ACK*IA~", "po.rejected", "rejected"),
        ("RJ", "PO1*1*5*EA~", "po.rejected", "rejected"),
        ("RO", "PO1*1*5*EA~ACK*IQ*3*EA~", "po.rejected", "rejected"),
        ("AH", "PO1*1*5*EA~ACK*IA~PO1*2*5*EA~ACK*IA~", "po.acknowledged", "accepted"),
        ("AH", "PO1*1*5*EA~ACK*IA~PO1*2*5*EA~ACK*IH~", "po.acknowledged", "part_accepted"),
        ("AH", "PO1*1*5*EA~ACK*IS~", "po.acknowledged", "accepted_with_changes"),
    ],
)
def test_the_header_speaks_where_the_lines_do_not(
    read: Read, wrap: Wrap, network: Network, header: str, lines: str, type_: str, answer: str
) -> None:
    (event,) = read(wrap(f"855 BAK*00*{header}*77~{lines}"), network).events
    assert (event.type, event.data["answer"]) == (type_, answer)


@pytest.mark.parametrize(
    ("header", "lines", "others"),
    [
        ("AD", "", None),
        ("AD", "PO1*1*5*EA~ACK*IA~", None),
        ("AT", "PO1*1*5*EA~ACK*IR~", "accepted"),
        ("AE", "PO1*1*5*EA~ACK*IR~", "accepted"),
        ("AE", "PO1*1*5*EA~", "accepted"),
        ("AC", "PO1*1*5*EA~ACK*IA~", "none"),
        ("AC", "PO1*1*5*EA~ACK*IR~", "none"),
        ("AH", "PO1*1*5*EA~ACK*IA~", "none"),
        ("RD", "PO1*1*5*EA~ACK*IR~", None),
        ("RD", "PO1*1*5*EA~ACK*IA~", "none"),
        ("RO", "PO1*1*5*EA~ACK*IQ*3*EA~", None),
    ],
)
def test_only_the_header_speaks_for_lines_that_are_not_named(
    read: Read, wrap: Wrap, network: Network, header: str, lines: str, others: str | None
) -> None:
    (event,) = read(wrap(f"855 BAK*00*{header}*77~{lines}"), network).events
    assert event.data.get("others") == others


def test_a_refused_change_is_no_refusal_of_the_order(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("865 BCA*05*AC*77**1~POC*1*CA*6**EA~ACK*IR~")
    (event,) = read(body, network).events
    assert (event.type, event.data["answer"]) == ("po.change_answered", "rejected")
    assert event.data["others"] == "none"


def test_a_counter_offer_is_a_refusal_with_an_offer(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("855 BAK*00*RO*77~MTX*GEN*Only in boxes~PO1*1*5*EA~ACK*IQ*3*BX~")
    (event,) = read(body, network).events
    assert event.data["counter_offer"] is True
    assert event.data["reason"] == "Only in boxes"
    assert event.data["lines"][0]["qty"] == "3"


def test_lines_outrank_a_header_that_rejects_what_they_accept(
    read: Read, wrap: Wrap, network: Network
) -> None:
    reading = read(wrap("855 BAK*00*RD*77~PO1*1*5*EA~ACK*IA~PO1*2*5*EA~ACK*IR~"), network)
    assert reading.events[0].type == "po.acknowledged"
    assert reading.events[0].data["answer"] == "part_accepted"
    assert [f.code for f in reading.findings] == ["answer_contradicts"]


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        ("BAK*00*AH*77~", "hold_only"),
        ("BAK*00*AD*77~PO1*1*5*EA~ACK*IH*5*EA~PO1*2*1*EA~ACK*IW~", "hold_only"),
        ("BAK*00*NA*77~", "no_answer"),
        ("BAK*00**77~", "no_answer"),
        ("BAK*00*Q9*77~", "unknown_code"),
        ("BAK*00*AC*77~PO1*1*5*EA~ACK*Q9*5*EA~", "unknown_code"),
    ],
)
def test_holds_and_unknown_codes_are_shown_and_answer_nothing(
    read: Read, wrap: Wrap, network: Network, content: str, finding: str
) -> None:
    reading = read(wrap(f"855 {content}"), network)
    (event,) = reading.events
    assert event.type == "message.received"
    assert (event.data["po"], event.data["step"]) == ("77", "answer")
    assert [str(ref) for ref in event.objects] == ["po:main:77"]
    assert [f.code for f in reading.findings] == [finding]


def test_a_profile_may_say_what_a_code_means(read: Read, wrap: Wrap) -> None:
    body = wrap("855 BAK*00*ZZ*77~PO1*1*5*EA~ACK*ZZ*5*EA~")
    codes = {"ack_header": {"ZZ": "accepted"}, "ack_line": {"ZZ": "substituted"}}
    reading = read(body, codes=codes)
    assert reading.events[0].type == "po.acknowledged"
    assert reading.events[0].data["lines"][0]["answer"] == "substituted"
    assert reading.findings == ()


@pytest.mark.parametrize(
    ("behind", "date", "kind"),
    [
        ("ACK*IA*5*EA*067*20260401~", "2026-04-01", "delivery"),
        ("ACK*IA*5*EA*068*20260401~", "2026-04-01", "ship"),
        ("ACK*IA*5*EA*068*20260401~DTM*017*20260404~", "2026-04-01", "ship"),
        ("ACK*IA*5*EA~DTM*003*20260101~DTM*017*20260404~", "2026-04-04", "delivery"),
        ("ACK*IA*5*EA~SCH*5*EA***010*20260402~", "2026-04-02", "ship"),
        ("DTM*069*20260403~ACK*IA*5*EA~", "2026-04-03", "delivery"),
        ("ACK*IA*5*EA~", "2026-05-01", "delivery"),  # what the header says for all lines
        ("", "2026-05-01", "delivery"),
    ],
)
def test_the_kind_of_a_confirmed_date_is_kept(
    read: Read, wrap: Wrap, network: Network, behind: str, date: str, kind: str
) -> None:
    body = wrap(f"855 BAK*00*AD*77~DTM*067*20260501~PO1*1*5*EA~{behind}CTT*1~")
    (event,) = read(body, network).events
    line = event.data["lines"][0]
    assert (line["date"], line["date_kind"]) == (date, kind)


def test_a_date_of_unknown_kind_is_kept_and_found(read: Read, wrap: Wrap, network: Network) -> None:
    reading = read(wrap("855 BAK*00*AD*77~PO1*1*5*EA~ACK*IA*5*EA*999*20260401~"), network)
    line = reading.events[0].data["lines"][0]
    assert (line["date"], line["date_kind"]) == ("2026-04-01", "unknown")
    assert [f.code for f in reading.findings] == ["unknown_code"]


def test_parts_in_several_units_are_not_added(read: Read, wrap: Wrap, network: Network) -> None:
    body = wrap("855 BAK*00*AC*77~PO1*1*5*BX~ACK*IA*3*BX~ACK*IB*24*EA~")
    reading = read(body, network)
    line = reading.events[0].data["lines"][0]
    assert "qty" not in line
    assert [part["uom"] for part in line["parts"]] == ["BX", "EA"]
    assert [f.code for f in reading.findings] == ["mixed_units"]


def test_a_change_of_ours_is_answered(read: Read, network: Network) -> None:
    event = read("change_answer_865.edi", network).events[0]
    assert event.type == "po.change_answered"
    assert (event.data["answer"], event.data["revision"]) == ("accepted", "1")
    assert event.data["lines"][0]["qty"] == "44"


def test_a_supplier_proposes_a_change_of_his_own(read: Read, network: Network) -> None:
    event = read("change_answer_865.edi", network).events[1]
    assert event.type == "po.change_proposed"
    assert event.data["lines"] == [
        {
            "line": "20",
            "item": "FST-00202",
            "code": "QD",
            "qty": "10",
            "uom": "EA",
            "date": "2026-04-22",
            "date_kind": "delivery",
            "price": "0.85",
        }
    ]


@pytest.mark.parametrize(
    ("beginning", "type_"),
    [
        ("BCA*00*AT*77**1", "po.change_answered"),
        ("BCA*04*AT*77**1", "po.change_answered"),
        ("BCA*04*AC*77", "po.change_proposed"),
        ("BCA*00**77", "po.change_proposed"),
        ("BCA*00*RJ*77**1", "po.change_answered"),
        ("BCA*00*AH*77**1", "message.received"),
    ],
)
def test_an_865_answers_or_proposes(
    read: Read, wrap: Wrap, network: Network, beginning: str, type_: str
) -> None:
    (event,) = read(wrap(f"865 {beginning}~"), network).events
    assert event.type == type_
