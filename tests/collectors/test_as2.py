"""AS2 receipts: read by hand, and how they reach the interchange they are about."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors import registry
from collectors.as2 import MAX_BYTES, as2_ids
from tower.event import TimeQuality
from tower.network import Company, Network, Partner, PartnerIds, Source, System
from tower.raw import Interpretation, Raw

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "as2"
PROCESSED = (FIXTURES / "processed.mdn").read_bytes()
REFUSED = (FIXTURES / "refused.mdn").read_bytes()
RECEIVED_AT = datetime(2026, 3, 2, 16, tzinfo=UTC)
NET = Network(
    company=Company(name="Northgate", isa=["ZZ:BUYER"]),
    systems={"edi": System(name="EDI gateway", kind="edi")},
    sources={
        "mdn": Source(kind="push", format="mdn", system="edi", partner="ACME", channel="edi"),
        "edi": Source(kind="push", format="x12", system="edi", channel="edi"),
        "log": Source(kind="push", format="log", system="edi", mapping="edi_gateway"),
    },
    partners={"ACME": Partner(name="Acme", ids=PartnerIds(isa=["01:123456789"]))},
)


def read(body: bytes, headers: dict[str, str] | None = None) -> Interpretation:
    return registry.interpret(Raw("mdn", "k", body, RECEIVED_AT, headers=headers or {}), NET)


def test_a_receipt_says_that_the_message_arrived() -> None:
    reading = read(PROCESSED)
    (event,) = reading.events
    assert event.type == "message.delivered"
    assert event.data == {
        "supplier": "ACME",
        "message": "<out-31@northgate.example>",
        "step": "as2 receipt",
        "receipt": "mdn",
        "text": "automatic-action/MDN-sent-automatically; processed",
    }
    assert event.answers == ("as2:out-31@northgate.example", "as2:<out-31@northgate.example>")
    assert (event.partner, event.occurred_at) == (
        "ACME",
        datetime(2026, 3, 2, 15, 5, 30, tzinfo=UTC),
    )
    assert (reading.findings, reading.dead_letters) == ((), ())


@pytest.mark.parametrize(
    ("said", "type_", "code"),
    [
        (
            "processed/error: integrity-check-failed",
            "message.failed",
            "error: integrity-check-failed",
        ),
        ("failed/Failure: unsupported format", "message.failed", "Failure: unsupported format"),
        ("failed", "message.failed", "failed"),
        ("denied", "message.failed", "denied"),
        ("processed/warning: duplicate-document", "message.delivered", None),
        ("displayed", "message.delivered", None),
        ("pondered", "message.received", None),
    ],
)
def test_the_disposition_decides(said: str, type_: str, code: str | None) -> None:
    reading = read(PROCESSED.replace(b"; processed", b"; " + said.encode()))
    (event,) = reading.events
    assert (event.type, event.data.get("code")) == (type_, code)
    assert [f.code for f in reading.findings] == (["unknown_code"] if "pondered" in said else [])


def test_the_fixture_of_a_refusal_fails() -> None:
    (event,) = read(REFUSED).events
    assert (event.type, event.data["error_class"]) == ("message.failed", "mdn")


def test_a_receipt_as_the_body_of_an_answer_has_its_headers_outside() -> None:
    head, _, body = PROCESSED.partition(b"\r\n\r\n")
    assert read(body).events[0].type == "message.delivered"
    declared = 'multipart/report; report-type=disposition-notification; boundary="----=_Part_77"'
    (event,) = read(body, {"content-type": declared}).events
    assert (event.type, event.occurred_at) == ("message.delivered", RECEIVED_AT)
    assert event.time_quality is TimeQuality.OBSERVED
    assert b"AS2-From" in head


def test_a_signed_receipt_is_read_inside_its_signature() -> None:
    _, _, body = PROCESSED.partition(b"\r\n\r\n")
    inner = b'Content-Type: multipart/report; boundary="----=_Part_77"\r\n\r\n' + body
    signed = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary="S"'
        b"\r\n\r\n--S\r\n" + inner + b"\r\n--S\r\nContent-Type: application/pkcs7-signature\r\n\r\n"
        b"MIIB\r\n--S--\r\n"
    )
    assert read(signed).events[0].answers[0] == "as2:out-31@northgate.example"


def test_each_field_is_in_the_bytes_or_has_a_rule() -> None:
    for body in (PROCESSED, REFUSED):
        reading = read(body)
        (event,) = reading.events
        told = {origin.field: origin for origin in reading.origins[0]}
        assert told.keys() == event.data.keys()
        for name, origin in told.items():
            if origin.how == "copied":
                assert origin.offset is not None
                assert origin.length is not None
                part = body[origin.offset : origin.offset + origin.length]
                assert part.decode() == event.data[name]
            else:
                assert origin.rule
        assert {name for name, origin in told.items() if origin.how == "copied"} == {
            "message",
            "text",
        }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"),
        (b"hello", "no_receipt"),
        (PROCESSED.replace(b"Original-Message-ID", b"X-Other"), "missing_key"),
        (PROCESSED.replace(b"\r\nDisposition", b"\r\nX-Other"), "missing_key"),
        (b"x" * (MAX_BYTES + 1), "too_large"),
        (b"\xff\xfe" + PROCESSED[:50], "no_receipt"),
    ],
)
def test_what_is_no_receipt_is_a_dead_letter(body: bytes, code: str) -> None:
    reading = read(body)
    assert reading.events == ()
    (letter,) = reading.dead_letters
    assert letter.code == code
    assert letter.advice


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_receipts_never_raise(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from([PROCESSED, REFUSED])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=6))
    reading = read(bytes(body))
    assert "crash" not in {letter.code for letter in reading.dead_letters}
    assert reading.events or reading.dead_letters


def test_ids_are_the_same_with_brackets_and_without() -> None:
    assert as2_ids("<a@b>") == as2_ids(" a@b ") == ("as2:a@b", "as2:<a@b>")
    assert as2_ids(" ") == as2_ids("<>") == ()


def test_an_interchange_pushed_with_its_message_id_carries_it() -> None:
    order = (FIXTURES.parent / "x12" / "order_850.edi").read_bytes()
    raw = Raw("edi", "k", order, RECEIVED_AT, headers={"message-id": "<out-31@northgate.example>"})
    event = registry.interpret(raw, NET).events[0]
    assert event.carries[-1] == "as2:out-31@northgate.example"
    assert event.carries[-1] in read(PROCESSED).events[0].answers


def test_the_log_of_a_gateway_knows_both_names() -> None:
    order = registry.interpret(
        Raw("edi", "k", (FIXTURES.parent / "x12" / "order_850.edi").read_bytes(), RECEIVED_AT), NET
    ).events[0]
    interchange = order.carries[2]
    pair, _, number = interchange.removeprefix("x12:interchange:").rpartition("/")
    sender, _, receiver = pair.partition("/")
    line = {
        "id": "1",
        "time": "2026-03-02T15:00:00Z",
        "isa_sender": sender,
        "isa_receiver": receiver,
        "isa13": number.zfill(9),
        "message_id": "<out-31@northgate.example>",
        "partner": "ACME",
        "protocol": "as2",
    }
    types = {}
    for event, status in (("sent", "ok"), ("mdn", "ok"), ("mdn", "failed"), ("error", "")):
        body = orjson.dumps({**line, "event": event, "status": status})
        (found,) = registry.interpret(Raw("log", event, body, RECEIVED_AT), NET).events
        assert found.carries == (interchange, "as2:<out-31@northgate.example>")
        assert found.data["supplier"] == "ACME"
        types[event, status] = (found.type, found.data.get("receipt"))
    assert types == {
        ("sent", "ok"): ("message.sent", None),
        ("mdn", "ok"): ("message.delivered", "mdn"),
        ("mdn", "failed"): ("message.failed", None),
        ("error", ""): ("message.failed", None),
    }
    assert set(read(PROCESSED).events[0].answers) & {"as2:<out-31@northgate.example>"}
