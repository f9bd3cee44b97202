"""XML by mapping: paths, namespaces, records and lines, places of values, SOAP envelopes."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import Any

import pytest

from collectors.registry import interpret
from tests.collectors.worlds import network
from tower.errors import ConfigError
from tower.raw import Interpretation, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
RECEIPTS = """
format: xml
namespaces: {r: urn:receipts}
records: r:Receipts/r:Receipt
emit:
  - event: receipt.posted
    when: {"@state": [posted, final]}
    id: "{r:No}"
    time: r:At
    supplier: r:Party[@role='supplier']/r:Id
    fields: {warehouse: r:Site/@code, receipt: r:No, asn: "r:Refs/r:Ref[kind='asn']/value"}
    lines_from: r:Order/r:Line
    lines:
      receipt_line: "#"
      po: ../@number
      line: "@pos"
      item: r:Item | r:Sku
      qty: r:Qty[2] | r:Qty
      uom: r:Qty/@unit
"""
BODY = """<?xml version="1.0"?>
<x:Receipts xmlns:x="urn:receipts">
  <x:Receipt state="Posted">
    <x:No> R1 </x:No><x:At>2026-03-27T09:00:00+02:00</x:At>
    <x:Party role="carrier"><x:Id>99</x:Id></x:Party>
    <x:Party role="supplier"><x:Id>17300001</x:Id></x:Party>
    <x:Site code="east &amp; south"/>
    <x:Refs><x:Ref><kind>bol</kind><value>B1</value></x:Ref>
            <x:Ref><kind>asn</kind><value>A<!-- 1 -->7</value></x:Ref></x:Refs>
    <x:Order number="4500"><x:Line pos="10">
      <x:Item>B-100</x:Item><x:Qty unit="EA">12.5</x:Qty></x:Line></x:Order>
    <x:Order number='4501'><x:Line pos="20"><x:Item/><x:Sku>B-2</x:Sku>
      <x:Qty unit="EA">9</x:Qty><x:Qty>3</x:Qty></x:Line></x:Order>
  </x:Receipt>
  <x:Receipt state="draft"><x:No>R2</x:No></x:Receipt>
</x:Receipts>
"""


def read(mapping: str, body: str | bytes, **feed: str) -> Interpretation:
    more = "".join(f", {key}: {value}" for key, value in feed.items())
    net = network(
        f"sources:\n  feed: {{kind: push, format: xml, system: erp, mapping: m{more}}}",
        "mappings:\n  m:\n" + textwrap.indent(mapping.strip(), "    "),
    )
    data = body.encode() if isinstance(body, str) else body
    return interpret(Raw("feed", "k1", data, NOW), net)


def test_records_lines_conditions_and_attributes_are_found_at_their_paths() -> None:
    reading = read(RECEIPTS, BODY)
    assert (reading.dead_letters, reading.findings) == ((), ())
    (event,) = reading.events
    assert event.position == "item:0"
    assert event.occurred_at == datetime(2026, 3, 27, 7, 0, tzinfo=UTC)
    assert event.data == {
        "warehouse": "east & south",
        "receipt": "R1",
        "asn": "A7",
        "supplier": "ACME",
        "lines": [
            {"receipt_line": "1", "erp": "main", "po": "4500", "line": "10", "item": "B-100",
             "qty": "12.5", "uom": "EA"},
            {"receipt_line": "2", "erp": "main", "po": "4501", "line": "20", "item": "B-2",
             "qty": "3", "uom": "EA"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "windows-1252"])
def test_each_value_has_its_bytes(encoding: str) -> None:
    text = BODY.replace('"1.0"', f'"1.0" encoding="{encoding}"').replace("B-100", "Bé")
    body = text.encode(encoding)
    reading = read(RECEIPTS, body)
    places = {origin.field: origin for origin in reading.origins[0]}

    def bytes_of(field: str) -> str:
        origin = places[field]
        assert origin.offset is not None
        assert origin.length is not None
        return body[origin.offset : origin.offset + origin.length].decode(encoding)

    assert bytes_of("receipt") == "R1"
    assert places["receipt"].element == "/Receipts/Receipt/No"
    assert bytes_of("lines[0].item") == "Bé"
    assert bytes_of("lines[1].po") == "4501"
    assert places["lines[1].po"].element == "/Receipts/Receipt/Order[2]/@number"
    assert bytes_of("lines[1].qty") == "3"
    assert bytes_of("lines[0].uom") == "EA"
    # What is written in another way than it is read is not called a copy.
    assert (bytes_of("warehouse"), places["warehouse"].how) == ("east &amp; south", "converted")
    assert (bytes_of("asn"), places["asn"].how) == ("A<!-- 1 -->7", "converted")


def test_a_name_without_prefix_is_in_no_namespace_unless_one_is_declared() -> None:
    plain = """
format: xml
emit:
  - event: po.closed
    when: {local-name(): Closed}
    fields: {po: No}
"""
    assert len(read(plain, "<Closed><No>1</No></Closed>").events) == 1
    foreign = '<Closed xmlns="urn:x"><No>1</No></Closed>'
    assert [x.code for x in read(plain, foreign).dead_letters] == ["missing_key"]
    declared = plain.replace("emit:", 'namespaces: {"": "urn:x"}\nemit:', 1)
    assert len(read(declared, foreign).events) == 1
    any_name = plain.replace("fields: {po: No}", "fields: {po: '*'}")
    assert read(any_name, foreign).events[0].data["po"] == "1"


def test_values_of_many_elements_are_joined_into_a_list() -> None:
    mapping = """
format: xml
emit:
  - event: asn.received
    supplier: "=ACME"
    fields: {asn: No, packs: join(Pack/SSCC)}
"""
    body = "<A><No>1</No><Pack><SSCC>00340</SSCC></Pack><Pack><SSCC>00341</SSCC></Pack></A>"
    assert read(mapping, body).events[0].data["packs"] == ["00340", "00341"]


def test_a_bad_line_and_a_missing_record_are_dead_letters_of_their_own() -> None:
    bad = BODY.replace(">12.5<", ">many<")
    reading = read(RECEIPTS, bad)
    assert [(x.code, x.position) for x in reading.dead_letters] == [("bad_value", "item:0/line:0")]
    assert [line["line"] for line in reading.events[0].data["lines"]] == ["20"]
    other = read(RECEIPTS, "<Other/>")
    assert [x.code for x in other.dead_letters] == ["missing_key"]
    broken = read(RECEIPTS, BODY[:-20])
    assert [x.code for x in broken.dead_letters] == ["truncated"]
    assert "Line 15, column" in broken.dead_letters[0].cause


def test_many_lines_are_read_in_one_pass_each() -> None:
    line = '<x:Line pos="{n}"><x:Item>B</x:Item><x:Qty>1</x:Qty></x:Line>'
    lines = "".join(line.replace("{n}", str(n)) for n in range(5000))
    body = BODY.replace("<x:Refs>", f'<x:Order number="1">{lines}</x:Order><x:Refs>')
    assert len(read(RECEIPTS, body).events[0].data["lines"]) == 5002


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("q:No", 'prefix "q", which namespaces does not declare'),
        ("No[", "is no condition"),
        ("No[a=", "is no condition"),
        ("@a/b", "goes on behind an attribute"),
        ("a//b", "where the name of an element should be"),
        ("a/text()", "is no condition"),
    ],
)
def test_a_path_that_cannot_be_read_is_found_when_the_file_is_loaded(path: str, said: str) -> None:
    mapping = f"format: xml\nemit:\n  - event: po.closed\n    fields: {{po: '{path}'}}\n"
    with pytest.raises(ConfigError) as caught:
        read(mapping, "<a/>")
    assert said in str(caught.value)
    assert "network.yaml:" in str(caught.value)


# --- SOAP -----------------------------------------------------------------------------------------

SOAP_11, SOAP_12 = (
    "http://schemas.xmlsoap.org/soap/envelope/",
    "http://www.w3.org/2003/05/soap-envelope",
)
WSA = 'xmlns:wsa="http://www.w3.org/2005/08/addressing"'


def envelope(inside: str, header: str = "", uri: str = SOAP_11) -> str:
    head = f"<e:Header {WSA}>{header}</e:Header>" if header else ""
    return f'<e:Envelope xmlns:e="{uri}">{head}<e:Body>{inside}</e:Body></e:Envelope>'


@pytest.mark.parametrize("uri", [SOAP_11, SOAP_12])
def test_what_an_envelope_holds_is_read_as_if_it_had_come_alone(uri: str) -> None:
    alone = BODY.partition("?>\n")[2]
    reading = read(RECEIPTS, envelope(alone, uri=uri))
    bare = read(RECEIPTS, BODY)
    assert reading.events == bare.events
    places = {origin.field: origin.element for origin in reading.origins[0]}
    assert places["receipt"] == "/Envelope/Body/Receipts/Receipt/No"


FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    (
        SOAP_11,
        "<e:Fault><faultcode>e:Server</faultcode><faultstring>no stock account</faultstring>"
        "<faultactor>http://erp.example</faultactor><detail><x>1</x></detail></e:Fault>",
        {"code": "e:Server", "text": "no stock account", "hop": "http://erp.example"},
    ),
    (
        SOAP_12,
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>m:Locked</e:Value>"
        "</e:Subcode></e:Code><e:Reason><e:Text xml:lang='en'>order is locked</e:Text></e:Reason>"
        "</e:Fault>",
        {"code": "m:Locked", "text": "order is locked"},
    ),
]


@pytest.mark.parametrize(("uri", "fault", "told"), FAULTS)
def test_a_fault_is_a_failed_message(uri: str, fault: str, told: dict[str, Any]) -> None:
    header = "<wsa:MessageID>m-2</wsa:MessageID><wsa:RelatesTo>m-1</wsa:RelatesTo>"
    reading = read(RECEIPTS, envelope(fault, header, uri), partner="ACME")
    assert (reading.dead_letters, reading.findings) == ((), ())
    (event,) = reading.events
    assert event.type == "message.failed"
    assert event.data == {
        "supplier": "ACME", "step": "soap", "error_class": "fault", "message": "m-1", **told
    }  # fmt: skip
    assert event.answers == ("m-1",)
    assert {o.field: o.how for o in reading.origins[0]}["text"] == "copied"
    alone = read(RECEIPTS, envelope(fault, uri=uri))
    assert "message" not in alone.events[0].data


def test_an_empty_envelope_is_a_dead_letter() -> None:
    assert [x.code for x in read(RECEIPTS, envelope("")).dead_letters] == ["empty"]
