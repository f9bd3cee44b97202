"""CSV files of partners: dialects, grouping, places, and everything that can be wrong with them."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import Any

import pytest

from collectors.registry import interpret
from tests.collectors.worlds import network
from tower.event import TimeQuality
from tower.network import Network
from tower.raw import Interpretation, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)

ANSWERS = """
format: csv
emit:
  - event: po.acknowledged
    when: {po: "*"}
    fields: {po: po}
    lines: {line: line, qty: qty, date: day, answer: status}
    codes: {answer: {OK: accepted, CHG: accepted_with_changes, NO: rejected}}
"""
GROUPED = ANSWERS.replace("format: csv", "format: csv\ngroup_by: [po]")


def net_with(mapping: str, source: str = "", partner: str = "ACME") -> Network:
    return network(
        "sources:\n  feed: {kind: push, format: csv, system: erp, mapping: m, channel: file, "
        f"partner: {partner}{source}}}",
        "mappings:\n  m:\n" + textwrap.indent(mapping.strip(), "    "),
    )


def read(mapping: str, body: str | bytes, source: str = "", **headers: str) -> Interpretation:
    data = body.encode() if isinstance(body, str) else body
    return interpret(Raw("feed", "k1", data, NOW, headers=headers), net_with(mapping, source))


def data_of(reading: Interpretation) -> list[dict[str, Any]]:
    assert not reading.dead_letters, reading.dead_letters
    return [dict(event.data) for event in reading.events]


def letters(reading: Interpretation) -> list[tuple[str, str]]:
    return [(letter.code, letter.position) for letter in reading.dead_letters]


def test_rows_with_the_same_order_are_one_answer_wherever_they_stand() -> None:
    reading = read(
        GROUPED,
        "po,line,qty,day,status\nA,1,5,2026-04-01,OK\nB,1,2,2026-04-02,NO\nA,2,3,2026-04-03,CHG\n",
    )
    assert [(e.type, e.position) for e in reading.events] == [
        ("po.acknowledged", "row:2"),
        ("po.rejected", "row:3"),
    ]
    first = data_of(reading)[0]
    assert first["supplier"] == "ACME"
    assert first["erp"] == "main"
    assert first["answer"] == "accepted_with_changes"
    assert [(line["line"], line["qty"], line["date"]) for line in first["lines"]] == [
        ("1", "5", "2026-04-01"),
        ("2", "3", "2026-04-03"),
    ]


def test_without_grouping_every_row_is_a_document() -> None:
    reading = read(ANSWERS, "po,line,qty,day,status\nA,1,5,2026-04-01,OK\nA,2,3,,OK\n")
    assert [e.position for e in reading.events] == ["row:2", "row:3"]
    assert [len(data["lines"]) for data in data_of(reading)] == [1, 1]


@pytest.mark.parametrize(
    ("decimal", "thousands", "sent", "value"),
    [
        (".", "", "12.50", "12.5"),
        (".", ",", "1,234.5", "1234.5"),
        (",", "", "12,50", "12.5"),
        (",", ".", "1.234,5", "1234.5"),
        (",", " ", "1 234,5", "1234.5"),
        (",", " ", "1\u00a0234,5", "1234.5"),
        (".", "", "12-", "-12"),
        (".", "", "+7", "7"),
        (".", "", "0.00", "0"),
        (".", "", "1E2", "100"),
    ],
)
def test_quantities_are_read_as_they_are_written(
    decimal: str, thousands: str, sent: str, value: str
) -> None:
    signs = f'decimal: "{decimal}"\nthousands: "{thousands}"'
    mapping = ANSWERS.replace("format: csv", f'format: csv\ndelimiter: ";"\n{signs}')
    reading = read(mapping, f"po;line;qty;day;status\nA;1;{sent};;OK\n")
    assert data_of(reading)[0]["lines"][0]["qty"] == value


@pytest.mark.parametrize(
    ("decimal", "sent"),
    [(".", "12,50"), (",", "12.50"), (".", "twelve"), (".", "1.2.3"), (".", "1e99"), (".", "0x1")],
)
def test_a_quantity_that_cannot_be_read_refuses_its_row_alone(decimal: str, sent: str) -> None:
    mapping = GROUPED.replace("format: csv", f'format: csv\ndelimiter: ";"\ndecimal: "{decimal}"')
    body = f"po;line;qty;day;status\nA;1;{sent};;OK\nA;2;3;;OK\nB;1;4;;OK\n"
    reading = read(mapping, body)
    assert letters(reading) == [("bad_value", "row:2")]
    assert reading.dead_letters[0].offset == body.index("A;1")
    assert sent in reading.dead_letters[0].cause
    assert [[line["line"] for line in e.data["lines"]] for e in reading.events] == [["2"], ["1"]]
    assert reading.events[0].position == "row:2"  # its id does not depend on what is wrong in it


def test_a_date_that_cannot_be_read_is_left_out_and_reported() -> None:
    reading = read(GROUPED, "po,line,qty,day,status\nA,1,5,31.02.2026,OK\nA,2,5,soon,OK\n")
    assert [set(line) for line in data_of(reading)[0]["lines"]] == [{"line", "answer", "qty"}] * 2
    assert [(f.code, f.position, f.got) for f in reading.findings] == [
        ("bad_date", "row:2", "31.02.2026"),
        ("bad_date", "row:3", "soon"),
    ]


def test_words_that_mean_nothing_are_missing() -> None:
    mapping = ANSWERS.replace("format: csv", 'format: csv\nnulls: ["N/A", "Date Not Captured"]')
    reading = read(mapping, "po,line,qty,day,status\nA,1,N/A,Date Not Captured,OK\nN/A,1,5,,OK\n")
    assert data_of(reading)[0]["lines"] == [{"line": "1", "answer": "accepted"}]
    assert len(reading.events) == 1
    assert not reading.findings


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ("%d.%m.%Y", "03.04.2026"),
        ("%m/%d/%Y", "04/03/2026"),
        ("%d-%b-%y", "3-Apr-26"),
        ("%Y%m%d", "20260403"),
        (None, "2026-04-03"),
        (None, "2026-04-03T23:30:00-05:00"),
    ],
)
def test_dates_stay_the_day_that_was_written(form: str | None, sent: str) -> None:
    extra = f'\ndate_format: "{form}"' if form else ""
    reading = read(
        ANSWERS.replace("format: csv", "format: csv" + extra),
        f"po,line,qty,day,status\nA,1,5,{sent},OK\n",
    )
    assert data_of(reading)[0]["lines"][0]["date"] == "2026-04-03"


@pytest.mark.parametrize(
    ("extra", "sent", "instant", "quality"),
    [
        ("", "2026-03-27T10:00:00Z", "2026-03-27T10:00:00+00:00", TimeQuality.EXACT),
        ("", "2026-03-27 10:00", "2026-03-27T14:00:00+00:00", TimeQuality.EXACT),
        ("", "2026-03-27", "2026-03-27T04:00:00+00:00", TimeQuality.DATE),
        ("zone: Europe/Berlin", "2026-03-27", "2026-03-26T23:00:00+00:00", TimeQuality.DATE),
        # 02:30 does not exist on that night: the clock jumps to 03:00.
        ("zone: Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:00:00+00:00", TimeQuality.EXACT),
        ("time_format: epoch_ms", "1774605600123", "2026-03-27T10:00:00.123000+00:00",
         TimeQuality.EXACT),
        ('time_format: "%d.%m.%y %H:%M"', "27.03.26 10:00", "2026-03-27T14:00:00+00:00",
         TimeQuality.EXACT),
        ('time_format: "%d.%m.%y"', "27.03.26", "2026-03-27T04:00:00+00:00", TimeQuality.DATE),
        ("", "", "2026-03-27T12:00:00+00:00", TimeQuality.OBSERVED),
        ("", "yesterday", "2026-03-27T12:00:00+00:00", TimeQuality.OBSERVED),
    ],
)  # fmt: skip
def test_a_time_takes_the_zone_of_mapping_or_partner_and_tells_how_well_it_is_known(
    extra: str, sent: str, instant: str, quality: TimeQuality
) -> None:
    mapping = ANSWERS.replace("format: csv", f"format: csv\n{extra}").replace(
        "    fields:", "    time: at\n    fields:"
    )
    reading = read(mapping, f"po,line,qty,day,status,at\nA,1,5,,OK,{sent}\n")
    event = reading.events[0]
    assert event.occurred_at.isoformat() == instant
    assert event.time_quality is quality
    assert bool(reading.findings) == (sent == "yesterday")


def test_a_feed_of_no_partner_takes_the_zone_of_its_source() -> None:
    net = network(
        "sources:\n  feed: {kind: push, format: csv, system: erp, mapping: m, zone: Asia/Tokyo}",
        "mappings:\n  m:\n    format: csv\n    emit: [{event: po.held, time: at, "
        "fields: {po: po}, supplier: who}]",
    )
    body = b"po,at,who\nA,2026-03-27 10:00,17300002\n"
    reading = interpret(Raw("feed", "k", body, NOW), net)
    assert reading.events[0].occurred_at == datetime(2026, 3, 27, 1, 0, tzinfo=UTC)
    assert reading.events[0].partner == reading.partner == "BOLT"


def test_a_file_without_header_reads_by_position_after_its_title_rows() -> None:
    mapping = ANSWERS.replace(
        "format: csv",
        "format: csv\nheader: false\nskip_rows: 2\ncolumns: [po, line, qty, day, status]",
    )
    reading = read(mapping, "Answers of Acme\nprinted 27.03.\nA,1,5,2026-04-01,OK\n")
    assert data_of(reading)[0]["po"] == "A"
    assert reading.events[0].position == "row:3"


def test_columns_are_found_whatever_their_capitals_and_blanks() -> None:
    reading = read(ANSWERS, "\ufeff PO ,LINE, Qty,Day,Status \r\nA,1,5,,ok\r\n")
    assert data_of(reading)[0]["lines"][0] == {"line": "1", "answer": "accepted", "qty": "5"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "iso-8859-1", "utf-16"])
def test_every_origin_is_where_its_value_stands(encoding: str) -> None:
    mapping = f"""
format: csv
encoding: {encoding}
delimiter: ";"
group_by: [Bestellung]
emit:
  - event: po.acknowledged
    fields: {{po: Bestellung, reason: Begründung}}
    lines: {{line: Pos, item: Artikel, qty: Menge}}
"""
    body = (
        "Bestellung;Pos;Artikel;Menge;Begründung\r\n"
        'Ä-1;10; Müller"s Öl ;5;"zwei; mit ""Rabatt"""\r\n'
        'Ä-1;20;"mehrere\r\nZeilen ß";6;\r\n'
    ).encode(encoding)
    reading = read(mapping, body)
    data = data_of(reading)[0]
    assert data["reason"] == 'zwei; mit "Rabatt"'
    assert data["lines"][0]["item"] == 'Müller"s Öl'
    assert data["lines"][1]["item"].split() == ["mehrere", "Zeilen", "ß"]
    compared = 0
    for origin in reading.origins[0]:
        if origin.offset is None:
            assert encoding == "utf-16" or origin.how == "default"
        elif origin.how == "copied":
            assert origin.length is not None
            text = body[origin.offset : origin.offset + origin.length].decode(encoding)
            path = origin.field.replace("lines[0].", "").replace("lines[1].", "")
            place = data["lines"][int(origin.field[6])] if "lines" in origin.field else data
            assert text == place[path]
            compared += 1
        else:  # doubled quotes and line ends inside are not the value itself
            assert origin.field in ("reason", "lines[1].item")
    assert compared == (0 if encoding == "utf-16" else 6)


@pytest.mark.parametrize(
    ("body", "code", "position", "said"),
    [
        ("", "empty", "", "empty"),
        ("\ufeff \n", "empty", "", "empty"),
        ("po;line;qty;day;status\nA;1;5;;OK\n", "wrong_delimiter", "", 'by ";", not by ","'),
        ("po\tline\tqty\tday\tstatus\nA\t1\n", "wrong_delimiter", "", "by a tab"),
        ("order,line,qty,day,status\nA,1,5,,OK\n", "missing_column", "", '"po"'),
        ("po,pos,qty,day,status\nA,1,5,,OK\n", "missing_column", "", '"line"'),
        ("po,line,qty,day,status\nA,1,5,,OK,9\n", "bad_row", "row:2", "6 columns, the file has 5"),
        ("po,line,qty,day,status\nA,1,5,2026-0", "truncated", "row:2", "in the middle"),
        ("po,line,qty,day,status\nA,1,5\nB,1,5,,OK\n", "bad_row", "row:2", "3 columns"),
        ("po,line,qty,day,status\nA;1;5;;OK\n", "bad_row", "row:2", "1 columns"),
        ('po,line,qty,day,status\nA,1,"5,,OK\n', "bad_row", "row:2", "never closed"),
        ("po,line,qty,day,status\nA,,5,,OK\n", "missing_key", "row:2", "no line"),
        ("po,line,qty,day,status\nA,1,5,,O\0K\n", "undecodable", "row:2", "NUL"),
    ],
)
def test_bad_files_and_rows_become_dead_letters_with_cause_and_place(
    body: str, code: str, position: str, said: str
) -> None:
    reading = read(ANSWERS, body)
    assert letters(reading) == [(code, position)]
    letter = reading.dead_letters[0]
    assert said in letter.cause
    assert letter.advice
    assert letter.partner == "ACME"
    assert {e.data["po"] for e in reading.events} <= {"B"}
    assert reading.outcome == ("interpreted" if "\nB" in body else "quarantined")


def test_a_row_with_another_separator_is_told_which() -> None:
    reading = read(ANSWERS, "po,line,qty,day,status\nA;1;5;;OK\n")
    assert 'separated by ";"' in reading.dead_letters[0].advice


def test_bytes_that_are_no_text_refuse_their_row_and_name_the_encoding() -> None:
    body = "po,line,qty,day,status\nA,1,5,,OK\nM\u00fc,1,5,,OK\n".encode("cp1252")
    reading = read(ANSWERS, body)
    assert letters(reading) == [("undecodable", "row:3")]
    assert reading.dead_letters[0].offset == body.index(b"\xfc")
    assert "0xfc" in reading.dead_letters[0].cause
    assert len(reading.events) == 1
    replaced = read(ANSWERS.replace("format: csv", "format: csv\nerrors: replace"), body)
    assert [e.data["po"] for e in replaced.events] == ["A", "M\ufffd"]


def test_a_missing_column_that_is_not_needed_is_only_reported() -> None:
    reading = read(ANSWERS, "po,line,status\nA,1,OK\n")
    assert len(reading.events) == 1
    assert sorted(f.message for f in reading.findings) == [
        'the file has no column "day"',
        'the file has no column "qty"',
    ]


def test_an_unknown_code_is_an_answer_that_is_none() -> None:
    reading = read(GROUPED, "po,line,qty,day,status\nA,1,5,,PERHAPS\nB,1,5,,OK\nB,2,5,,PERHAPS\n")
    assert [e.type for e in reading.events] == ["message.received", "po.acknowledged"]
    assert [line["answer"] for line in reading.events[1].data["lines"]] == ["accepted", "unknown"]
    assert {f.code for f in reading.findings} == {"unknown_code"}


def test_a_partner_may_give_a_code_another_meaning() -> None:
    net = net_with(ANSWERS)
    acme = net.partners["ACME"].model_copy(update={"codes": {"answer": {"ok": "backordered"}}})
    net = net.model_copy(update={"partners": {**net.partners, "ACME": acme}})
    reading = interpret(Raw("feed", "k", b"po,line,qty,day,status\nA,1,5,,OK\n", NOW), net)
    assert reading.events[0].data["lines"][0]["answer"] == "backordered"


def test_the_same_fact_in_two_files_is_one_event_if_it_has_an_id() -> None:
    mapping = ANSWERS.replace("    fields:", '    id: "{po}/{line}"\n    fields:')
    one = read(mapping, "po,line,qty,day,status\nA,1,5,,OK\n")
    net = net_with(mapping)
    again = interpret(
        Raw("feed", "k2", b"po,line,qty,day,status\nB,1,5,,OK\nA,1,5,,OK\n", NOW), net
    )
    assert one.events[0].id == again.events[1].id
    assert one.events[0].id != again.events[0].id


def test_an_id_that_tells_two_things_in_one_file_is_reported_and_the_first_counts() -> None:
    mapping = ANSWERS.replace("    fields:", '    id: "{po}"\n    fields:')
    reading = read(mapping, "po,line,qty,day,status\nA,1,5,,OK\nA,1,5,,OK\nA,1,6,,OK\n")
    assert [e.data["lines"][0]["qty"] for e in reading.events] == ["5"]
    assert [(f.code, f.position) for f in reading.findings] == [("doubled_id", "row:4")]


def test_findings_of_one_kind_are_counted_after_the_first_twenty() -> None:
    rows = "".join(f"A{n},1,5,soon,OK\n" for n in range(50))
    reading = read(ANSWERS, "po,line,qty,day,status\n" + rows)
    assert len(reading.findings) == 21
    assert "30 more" in reading.findings[-1].message


def test_one_file_may_hold_documents_of_several_kinds() -> None:
    mapping = """
format: csv
group_by: [kind, no]
emit:
  - event: po.acknowledged
    when: {kind: A}
    fields: {po: no, answer: "=accepted"}
    lines: {line: pos, qty: qty}
  - event: asn.received
    when: {kind: S}
    fields: {asn: no}
    lines: {po: ref, line: pos, qty: qty}
    lines_when: {qty: "!0"}
"""
    body = "kind,no,pos,ref,qty\nA,4500,1,,5\nS,D1,1,4500,3\nS,D1,2,4500,0\nX,9,,,\n"
    reading = read(mapping, body)
    assert [e.type for e in reading.events] == ["po.acknowledged", "asn.received"]
    assert reading.events[1].data["lines"] == [
        {"erp": "main", "po": "4500", "line": "1", "qty": "3"}
    ]


def test_a_file_no_rule_applies_to_is_reported() -> None:
    reading = read(ANSWERS, "po,line,qty,day,status\n,1,5,,OK\n")
    assert [f.code for f in reading.findings] == ["no_rule"]


def test_alternatives_templates_constants_and_the_number_of_the_line() -> None:
    mapping = """
format: csv
group_by: [po]
emit:
  - event: po.acknowledged
    when: {po: "*"}
    time: "{d} {t}"
    fields: {po: "{po}", reason: "{a}-{b}", revision: =3}
    lines: {line: "#", qty: confirmed | ordered, item: ^po}
    correlation: "c-{po}"
    carries: ["set/{ctl:control}", "{none}"]
"""
    reading = read(
        mapping,
        "po,d,t,a,b,confirmed,ordered,ctl,none\n"
        "A,2026-03-27,10:00,x,,,7,000123,\nA,2026-03-27,10:00,x,,2,7,000123,\n",
    )
    data = data_of(reading)[0]
    assert "reason" not in data  # one part of the template is missing
    assert data["revision"] == "3"
    assert data["lines"] == [
        {"line": "1", "item": "A", "qty": "7"},
        {"line": "2", "item": "A", "qty": "2"},
    ]
    event = reading.events[0]
    assert event.occurred_at == datetime(2026, 3, 27, 14, 0, tzinfo=UTC)
    assert event.correlation_id == "c-A"
    assert event.carries == ("set/123",)


@pytest.mark.parametrize(
    ("header", "who", "code"),
    [
        ("", "17300001", None),
        ("", "Nobody Ltd", "unknown_partner"),
        ("ACME", "17300002", "wrong_partner"),
        ("ACME", "", None),
        ("GHOST", "", "unknown_partner"),
    ],
)
def test_suppliers_are_looked_up_and_a_feed_speaks_only_for_its_own(
    header: str, who: str, code: str | None
) -> None:
    net = network(
        "sources:\n  feed: {kind: push, format: csv, system: erp, mapping: m}",
        "mappings:\n  m:\n    format: csv\n    emit: [{event: po.held, fields: {po: po, "
        "supplier: who}}]",
    )
    raw = Raw("feed", "k", f"po,who\nA,{who}\n".encode(), NOW, headers={"partner": header})
    reading = interpret(raw, net)
    if code is None:
        assert reading.events[0].data["supplier"] == reading.events[0].partner == "ACME"
    else:
        assert [letter.code for letter in reading.dead_letters] == [code]
        assert not reading.events


def test_a_very_wide_row_is_refused_without_being_taken_apart() -> None:
    reading = read(ANSWERS, b"po,line,qty,day,status\n" + b"," * 3_000_000 + b"\nA,1,5,,OK\n")
    assert letters(reading) == [("bad_row", "row:2")]
    assert len(reading.events) == 1
