"""What every interpreter must bear, and the samples that broken input is made from.

``test_fuzz.py`` plays a short while of it with every run of the tests; ``make fuzz`` plays it for
ten minutes, and lets atheris look for inputs that reach new code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml
from hypothesis import strategies as st

from collectors import cloudevents, otlp, registry
from tests.collectors.worlds import CSV_ANSWERS, REST_OF_NETWORK
from tower.network import Network, load_network
from tower.raw import Interpretation, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"

FEEDS: Mapping[str, Sequence[str]] = {
    "x12": ("",),
    "edifact": ("",),
    "mdn": ("",),
    "csv": ("answers", "csv_us", "csv_eu", "csv_pipe", "wms_west", "wms_receipts_csv"),
    "json": ("erp", "portal", "wms_east", "platform_orders"),
    "xml": ("ubl", "idoc", "cxml"),
    "log": ("middleware", "mulesoft", "json_log"),
    "otlp": ("",),
    "access_log": ("",),
    "queue": ("",),
    "cloudevents": ("",),
}
"""Format -> mappings under which it is tried."""

CLOUD_EVENT = json.dumps(
    {
        "specversion": "1.0", "type": "po.released", "source": "/erp", "id": "1",
        "time": "2026-03-02T13:00:00Z", "correlationid": "c", "datacontenttype": "application/json",
        "data": {"po": "4500001234", "supplier": "17300001", "currency": "USD",
                 "lines": [{"line": "10", "item": "B", "qty": "40", "uom": "EA", "price": "1.5",
                            "requested_date": "2026-04-01"}]},
    }
).encode()  # fmt: skip
OTLP_LOGS = json.dumps(
    {"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "mule"}}]},
        "scopeLogs": [{"scope": {"name": "flow"}, "logRecords": [{
            "timeUnixNano": "1774605600123456789", "severityNumber": 17, "eventName": "po.held",
            "traceId": "5b8efff798038103d269b633813fc60c", "body": {"stringValue": "no answer"},
            "attributes": [{"key": "po", "value": {"intValue": "4500001234"}},
                           {"key": "list", "value": {"arrayValue": {"values": [
                               {"doubleValue": 1.5}, {"boolValue": True}]}}},
                           {"key": "messaging.message.id", "value": {"stringValue": "m"}}]}]}],
    }]}
).encode()  # fmt: skip
ACCESS = (
    b'{"route": "orders", "path": "/v1/orders/1", "status": 500, "latency": 0.25, "time": '
    b'"2026-03-27T10:00:00Z", "partner": "ACME"}'
)
SOAP = (
    b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header><w:RelatesTo '
    b'xmlns:w="http://www.w3.org/2005/08/addressing">m</w:RelatesTo></e:Header><e:Body><e:Fault>'
    b"<faultcode>e:Server</faultcode><faultstring>no</faultstring></e:Fault></e:Body></e:Envelope>"
)
PLATFORM = (
    b'{"event": "order.placed", "id": "1", "occurredAt": "2026-03-27T10:00:00Z", "order": {"number"'
    b': "SO-1", "customer": {"id": "C"}, "lines": [{"line": "1", "sku": "B", "quantity": 4}]}}'
)
JSON_SAMPLES = (
    "erp_changes", "portal_activity", "wms_east_accepted", "wms_east_receipt", "wms_east_rejected",
)  # fmt: skip
DELIMITERS = (
    b"~", b"*", b"|", b"'", b"+", b":", b"?", b";", b",", b'"', b"\n", b"\r\n", b"\t", b"\0",
    b"<", b">", b"/", b"&", b"&amp;", b"]]>", b"<!--", b"<![CDATA[", b"<!DOCTYPE a [", b"{", b"}",
    b"[", b"]", b"\\u0000", b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85", b"null", b"NaN",
    b"1e999", b"-0", b"9" * 40, b"0000-00-00", b"99999999", b"ISA", b"UNA:+.? '", b"UNB+", b"GS*",
    b"ST*855*1~", b"SE*1*1~", b"UNH+1+ORDERS:D:96A:UN'", b"\x1c", b" ", b"", b"--b\r\n",
    b"\xd9\xa3",
)  # fmt: skip


VALUES = (
    b"", b"-5", b"0", b"-0", b"+1", b".5", b"1,5", b"1e5", b"1e999", b"NaN", b"Infinity", b"00",
    b" ", b"9" * 40, b"9" * 400, b"20260230", b"99991231", b"00010101", b"2026-02-30",
    b"0001-01-01", b"9999-12-31T23:59:59", b"2026-03-29T02:30:00", b"10000-01-01", b"-2026-01-01",
    b"240000", b"99:99", b"\xd9\xa3", b"\xc2\xb2", b"\xff", b"\xf0\x9f\x98\x80", b"\xe2\x80\xae",
    b"\0", b"null", b"true", b"{}", b"[]", b"x" * 600,
)  # fmt: skip
_WORD = re.compile(rb"[^\s,;|*+:'~<>\"=\[\]{}]+")


@cache
def net() -> Network:
    """One source for every format and mapping, named FORMAT or FORMAT_MAPPING; all parties of the
    samples are known, else nothing behind an envelope would be read.
    """
    described = yaml.safe_load(REST_OF_NETWORK)
    described["company"] |= {"isa": ["01:061728394", "ZZ:BUYER"], "unb": ["4098765000010:14"]}
    ids = described["partners"]["ACME"]["ids"]
    ids |= {"isa": [*ids["isa"], "01:123456789"], "unb": ["4012345000009:14"]}
    described["partners"]["BOLT"]["ids"]["unb"] = ["CARRIER:ZZ"]
    samples = yaml.safe_load((FIXTURES / "formats" / "network.yaml").read_text(encoding="utf-8"))
    described["mappings"] = samples["mappings"] | yaml.safe_load(CSV_ANSWERS)["mappings"]
    sources: dict[str, Any] = {}
    for format_, mappings in FEEDS.items():
        for mapping in mappings:
            source: dict[str, Any] = {"kind": "push", "format": format_, "system": "erp"}
            if format_ == "access_log":
                source |= {"kind": "access_log", "options": {"path": "a.log", "layout": "json"}}
            if format_ == "queue":
                source |= {"kind": "rabbitmq", "options": {"url": "http://broker.example:15672"}}
            if mapping:
                source["mapping"] = mapping
            if mapping == "answers" or mapping.startswith("csv_"):
                source["partner"] = "ACME"
            sources[feed(format_, mapping)] = source
    return load_network(yaml.safe_dump({**described, "sources": sources}), "network.yaml")


def feed(format_: str, mapping: str) -> str:
    return f"{format_}_{mapping}" if mapping else format_


@cache
def seeds(format_: str) -> tuple[bytes, ...]:
    """Whole messages of a format, from the fixtures and from above."""
    formats = FIXTURES / "formats"
    files: Mapping[str, Sequence[Path]] = {
        "x12": [*formats.glob("*.edi"), *(FIXTURES / "x12").glob("*.edi")],
        "edifact": [*(FIXTURES / "edifact").glob("*.edi")],
        "mdn": [*(FIXTURES / "as2").glob("*.mdn")],
        "csv": [*formats.glob("*.csv")],
        "json": [formats / f"{name}.json" for name in JSON_SAMPLES],
        "cloudevents": [*formats.glob("platform_*.json"), *formats.glob("supplier_api_*.json")],
        "xml": [*(FIXTURES / "xml").glob("*.xml")],
        "log": [*formats.glob("*.jsonl")],
    }
    made = {
        "otlp": (OTLP_LOGS,), "access_log": (ACCESS,), "queue": (ACCESS, CLOUD_EVENT),
        "cloudevents": (CLOUD_EVENT, b"[" + CLOUD_EVENT + b"]"), "xml": (SOAP,),
        "json": (PLATFORM,),
        "csv": (
            b"po;line;qty;price;day;status;answered\n4500000001;10;1,5;2;28.03.2026;OK;\n",
            b"receipt,warehouse,posted_at,supplier,shipment_notice,line,po,po_line,sku,quantity,"
            b"damaged,unit\nR1,W1,2026-03-27T10:00:00Z,17300001,A,1,1,10,B-1,4,0,EA\n",
        ),
    }  # fmt: skip
    found = [file.read_bytes() for file in sorted(files.get(format_, ()))]
    return (*found, *made.get(format_, ()))


def read(format_: str, mapping: str, body: bytes) -> Interpretation:
    """What one feed makes of a body."""
    raw = Raw(feed(format_, mapping), "k", body, NOW, _MEDIA.get(format_, ""))
    return registry.interpret(raw, net())


def bear(format_: str, body: bytes) -> None:
    """Interpret a body under every mapping of its format; raises AssertionError if the interpreter
    fails, tells two things of the same bytes, or leaves somebody without advice.
    """
    for mapping in FEEDS[format_]:
        reading = read(format_, mapping, body)
        _is_fit(reading, body)
        again = read(format_, mapping, body)
        assert (again.events, again.dead_letters, again.findings) == (
            reading.events, reading.dead_letters, reading.findings,
        )  # fmt: skip
    entry = _DOORS.get(format_)
    if entry is not None:
        entry(body)


def _is_fit(reading: Interpretation, body: bytes) -> None:
    for letter in reading.dead_letters:
        assert letter.code != "crash", letter.cause
        assert letter.cause
        assert letter.advice
        assert letter.offset is None or 0 <= letter.offset <= len(body), letter
    for finding in reading.findings:
        assert finding.code
        assert finding.message
    for origins in dict(reading.origins).values():
        for origin in origins:
            if origin.offset is not None:
                assert 0 <= origin.offset <= origin.offset + (origin.length or 0) <= len(body)
    for event in reading.events:
        orjson.dumps(event.data)  # refuses half characters, which cannot be stored
        assert not any("\0" in text for text in _texts(event.data)), event.data


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inside in value.items():
            yield name
            yield from _texts(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _texts(inside)


def _cloudevents(body: bytes) -> None:
    for kind in ("application/cloudevents+json", "application/cloudevents-batch+json", "text/csv"):
        cloudevents.unpack("cloudevents", body, {"content-type": kind, "ce-id": "1"}, NOW)


_DOORS: Mapping[str, Callable[[bytes], None]] = {"cloudevents": _cloudevents}
"""Format -> what takes such bodies apart before they are interpreted."""
_MEDIA = {"otlp": otlp.JSON_TYPE, "cloudevents": "application/cloudevents+json"}


@st.composite
def broken(draw: st.DrawFn, format_: str) -> bytes:
    """A message of a format with a few things cut out, doubled, moved, exchanged or put in; at
    times nothing but pieces.
    """
    samples = seeds(format_)
    if draw(st.integers(0, 19)) == 0:
        return b"".join(draw(st.lists(st.sampled_from(DELIMITERS) | st.binary(max_size=8))))
    sample = draw(st.sampled_from(samples))
    if draw(st.booleans()):
        # A message that is whole, with one to three values that nobody would expect.
        for _ in range(draw(st.integers(1, 3))):
            words = list(_WORD.finditer(sample))
            if words:
                word = draw(st.sampled_from(words))
                value = draw(st.sampled_from(VALUES))
                sample = sample[: word.start()] + value + sample[word.end() :]
        return sample
    body = bytearray(sample)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body)))
        end = min(len(body), at + draw(st.sampled_from((0, 1, 1, 2, 5, 20, 200, 5000))))
        match draw(st.integers(0, 4)):
            case 0:
                del body[at:end]
            case 1:
                body[at:at] = bytes(body[at:end]) * draw(st.sampled_from((1, 2, 50)))
            case 2:
                body[at:end] = draw(st.sampled_from(DELIMITERS))
            case 3:
                body[at:end] = draw(st.binary(max_size=6))
            case _:
                other = draw(st.sampled_from(samples))
                start = draw(st.integers(0, len(other)))
                body[at:at] = other[start : start + 300]
    return bytes(body)
