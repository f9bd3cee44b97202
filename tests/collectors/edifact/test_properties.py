"""Whatever comes, reading never raises, loses no message silently and is the same each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.edifact.draft import resolve
from collectors.edifact.envelope import EnvelopeReader
from collectors.edifact.interpreter import EdifactInterpreter
from tests.collectors.edifact.conftest import build_network
from tower.raw import Interpretation, Raw

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "edifact"
FIXTURES = [path.read_bytes() for path in sorted(FOLDER.glob("*.edi"))]
NETWORK = build_network(feed_partner="ACME")
QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)

pieces = st.sampled_from(
    b"UNA UNB UNZ UNG UNE UNH UNT UNS BGM DTM RFF NAD CTA CUX LIN PIA IMD QTY PRI MOA TAX CPS PAC "
    b"GIN TDT DOC CNI STS LOC UCI UCM UCF UCS UCD ERC FTX CNT QVR SCC ORDERS ORDCHG ORDRSP DESADV "
    b"RECADV INVOIC REMADV CONTRL APERAK IFTSTA :D:96A:UN ON DQ AAK LI 220 231 351 380 4 5 7 9 27 "
    b"29 21:40:EA 2:20260401:102 137:202603020900:203 1 2 10 BJ ST DP SU AAA:12.5 "
    b"+ + + + : : ' ' ' ? ?? ?'".split()
)
oddities = st.sampled_from(
    [b"\n", b"\r\n", b"\xff", b"\0", b"", b" ", b"\xc3\x96", b"-", b",", b".", b"9" * 40]
)
ENVELOPE = b"UNB+UNOC:3+4012345000009:14+4098765000010:14+260302:1430+880'"
soup = st.lists(st.one_of(pieces, oddities), max_size=120).map(b"".join)


def read(body: bytes) -> Interpretation:
    raw = Raw("edi_in", "key", body, datetime(2026, 3, 9, tzinfo=UTC))
    return EdifactInterpreter().interpret(raw, NETWORK)


def check(body: bytes) -> Interpretation:
    reading = read(body)
    assert reading == read(body)
    assert "crash" not in {letter.code for letter in reading.dead_letters}, reading.dead_letters
    assert reading.events or reading.findings or reading.dead_letters or body.count(b"UNH") == 0
    assert len(reading.origins) == len(reading.events)
    for n, event in enumerate(reading.events):
        assert "\\u0000" not in json.dumps(dict(event.data))
        assert event.occurred_at.tzinfo is UTC
        for origin in reading.origins[n]:
            if origin.offset is None or origin.length is None:
                continue
            assert 0 <= origin.offset <= origin.offset + origin.length <= len(body)
            if origin.how == "copied":
                part = body[origin.offset : origin.offset + origin.length]
                value = resolve(event.data, origin.field)
                assert value in (part.decode("utf-8", "replace"), part.decode("latin-1"))
    for letter in reading.dead_letters:
        assert letter.cause
        assert letter.advice
        assert letter.offset is not None
        assert 0 <= letter.offset <= len(body)
    for finding in reading.findings:
        assert finding.offset is not None
        assert 0 <= finding.offset <= len(body)
    return reading


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    check(body)


@QUICK
@given(soup, st.sampled_from(["ORDERS", "ORDRSP", "DESADV", "RECADV", "INVOIC", "CONTRL", "APERAK",
                              "IFTSTA", "REMADV", "ORDCHG"]))  # fmt: skip
def test_anything_that_looks_like_edifact_is_read_without_an_error(body: bytes, kind: str) -> None:
    check(body)
    check(ENVELOPE + body)
    check(ENVELOPE + b"UNH+1+" + kind.encode() + b":D:96A:UN'" + body + b"'UNT+1+1'")


@pytest.mark.long
@settings(QUICK, max_examples=600)
@given(st.data())
def test_a_damaged_document_is_read_without_an_error(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from(FIXTURES)))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 30)))
        body[start:end] = data.draw(st.one_of(pieces, oddities, st.binary(max_size=6)))
    check(bytes(body))


@pytest.mark.parametrize("body", FIXTURES, ids=range(len(FIXTURES)))
def test_a_document_cut_anywhere_gives_its_whole_messages_and_says_that_it_was_cut(
    body: bytes,
) -> None:
    whole = read(body)
    data = {event.id: event.data for event in whole.events}
    ends = []
    for message in EnvelopeReader(body, "x"):
        *_, last = message.segments
        ends.append(last.end)
    last_trailer = body.index(b"UNZ")
    for cut in range(1, last_trailer, 7):
        reading = read(body[:cut])
        # A trailer whose reference came is whole, with or without its terminator.
        complete = sum(end < cut for end in ends)
        given_messages = {int(e.position.split("/")[0].split(":")[1]) for e in reading.events}
        assert given_messages <= set(range(1, complete + 2))
        assert set(range(1, complete + 1)) <= given_messages
        assert reading.dead_letters, cut
        assert all(data[event.id] == event.data for event in reading.events)


@QUICK
@given(
    st.sampled_from(FIXTURES), st.sampled_from([b"", b"\n", b"\r\n", b"\r\n\t  "]), st.booleans()
)
def test_line_ends_and_indentation_change_no_fact(body: bytes, end: bytes, mark: bool) -> None:
    plain = body.replace(b"'\n", b"'")
    other = (b"\xef\xbb\xbf" if mark else b"") + plain.replace(b"'", b"'" + end)
    assert [event.data for event in read(other).events] == [e.data for e in read(body).events]


@QUICK
@given(st.sampled_from(FIXTURES), st.integers(20, 200))
def test_lines_wrapped_at_any_length_change_no_fact(body: bytes, width: int) -> None:
    plain = body.replace(b"'\n", b"'")
    wrapped = b"\r\n".join(plain[n : n + width] for n in range(0, len(plain), width))
    assert [event.data for event in check(wrapped).events] == [e.data for e in read(body).events]


@QUICK
@given(st.lists(st.sampled_from(FIXTURES), min_size=1, max_size=4))
def test_interchanges_in_one_file_give_what_they_give_alone(bodies: list[bytes]) -> None:
    together = read(b"".join(bodies))
    alone = [event.data for body in bodies for event in read(body).events]
    assert [event.data for event in together.events] == alone
    assert len({event.id for event in together.events}) == len(together.events)
