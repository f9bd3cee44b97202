"""Whatever comes, reading never raises, loses no set silently and is the same each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.x12.draft import resolve
from collectors.x12.envelope import EnvelopeReader, TransactionSet
from collectors.x12.interpreter import X12Interpreter
from collectors.x12.tokens import text_of
from tower.network import Company, Network, Partner, PartnerIds, Source, System
from tower.raw import Interpretation, Raw

FIXTURES = [
    path.read_bytes()
    for path in sorted((Path(__file__).resolve().parents[2] / "fixtures" / "x12").glob("*.edi"))
]
NETWORK = Network(
    company=Company(name="Buyer", isa=["ZZ:BUYER"]),
    systems={"edi": System(name="EDI", kind="edi")},
    sources={"edi_in": Source(kind="drop_folder", format="x12", system="edi", partner="ACME")},
    partners={"ACME": Partner(name="Acme", ids=PartnerIds(isa=["01:123456789"]))},
)
QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)

pieces = st.sampled_from(
    b"ISA GS ST SE GE IEA TA1 BEG BAK BCA BCH BSN BIG PO1 POC ACK DTM SCH HL LIN SN1 PRF REF MAN "
    b"IT1 TDS TXI SAC AK1 AK2 AK3 AK4 AK5 AK9 N1 PID CTT 850 855 856 860 865 810 997 999 00 01 05 "
    b"AC AD IA IR 067 20260401 1 2 3 10 EA PO * * * * ~ ~ ~ : | ^".split()
)
oddities = st.sampled_from(
    [b"\n", b"\r\n", b"\xff", b"\0", b"", b" ", b"\xc3\x96", b"-", b".", b"9" * 40]
)
ENVELOPE = FIXTURES[0][:106]
soup = st.lists(st.one_of(pieces, oddities), max_size=120).map(b"".join)


def read(body: bytes) -> Interpretation:
    raw = Raw("edi_in", "key", body, datetime(2026, 3, 9, tzinfo=UTC))
    return X12Interpreter().interpret(raw, NETWORK)


def check(body: bytes) -> Interpretation:
    reading = read(body)
    assert reading == read(body)
    assert "crash" not in {letter.code for letter in reading.dead_letters}, reading.dead_letters
    assert reading.events or reading.findings or reading.dead_letters or body.count(b"ST") == 0
    for n, event in enumerate(reading.events):
        assert "\\u0000" not in json.dumps(dict(event.data))
        assert event.occurred_at.tzinfo is UTC
        for origin in reading.origins[n]:
            if origin.offset is None or origin.length is None:
                continue
            assert 0 <= origin.offset <= origin.offset + origin.length <= len(body)
            if origin.how == "copied":
                part = body[origin.offset : origin.offset + origin.length]
                assert text_of(part) == resolve(event.data, origin.field)
    for letter in reading.dead_letters:
        assert letter.cause
        assert letter.advice
        assert letter.offset is not None
        assert 0 <= letter.offset <= len(body)
    return reading


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    check(body)


@QUICK
@given(soup)
def test_anything_that_looks_like_x12_is_read_without_an_error(body: bytes) -> None:
    check(body)
    check(ENVELOPE + body)
    check(ENVELOPE + b"GS*PR*A*B*20260302*1430*1*X*004010~ST*855*1~" + body + b"~SE*1*1~")


@QUICK
@given(st.data())
def test_a_damaged_document_is_read_without_an_error(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from(FIXTURES)))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 30)))
        body[start:end] = data.draw(st.one_of(pieces, oddities, st.binary(max_size=6)))
    check(bytes(body))


@pytest.mark.parametrize("body", FIXTURES, ids=range(len(FIXTURES)))
def test_a_document_cut_anywhere_gives_its_whole_sets_and_says_that_it_was_cut(
    body: bytes,
) -> None:
    whole = read(body)
    ends = [body.index(b"~", one.segments[-1].offset) for one in EnvelopeReader(body, "x")
            if isinstance(one, TransactionSet)]  # fmt: skip
    last_trailer = body.index(b"IEA")
    for cut in range(1, last_trailer, 7):
        reading = read(body[:cut])
        complete = sum(end < cut for end in ends)
        given_sets = {e.position.split("/")[0] for e in reading.events if e.position[:3] == "set"}
        assert given_sets == {f"set:{n}" for n in range(1, complete + 1)}
        assert reading.dead_letters, cut
        data = {event.id: event.data for event in whole.events}
        assert all(data[event.id] == event.data for event in reading.events)


@QUICK
@given(
    st.sampled_from(FIXTURES), st.sampled_from([b"", b"\n", b"\r\n", b"\r\n\t  "]), st.booleans()
)
def test_line_ends_and_indentation_change_no_fact(body: bytes, end: bytes, mark: bool) -> None:
    plain = body.replace(b"~\n", b"~")
    other = (b"\xef\xbb\xbf" if mark else b"") + plain.replace(b"~", b"~" + end)
    assert [event.data for event in read(other).events] == [e.data for e in read(body).events]


@QUICK
@given(st.lists(st.sampled_from(FIXTURES), min_size=1, max_size=4))
def test_interchanges_in_one_file_give_what_they_give_alone(bodies: list[bytes]) -> None:
    together = read(b"".join(bodies))
    alone = [event.data for body in bodies for event in read(body).events]
    assert [event.data for event in together.events] == alone
    assert len({event.id for event in together.events}) == len(together.events)
