"""Each field says which bytes it is: over the fixtures and every shared sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.edifact.conftest import build_network
from tower.network import Network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{n}]")
    else:
        yield path, value


def decoded(part: bytes) -> str:
    try:
        return part.decode()
    except UnicodeDecodeError:
        return part.decode("latin-1")


def check(body: bytes, reading: Interpretation) -> int:
    """How many fields were copied; every field of every event has an origin that is true."""
    copied = 0
    assert len(reading.origins) == len(reading.events)
    for n, event in enumerate(reading.events):
        values = dict(leaves(dict(event.data)))
        told = {origin.field for origin in reading.origins[n]}
        # Which level an error is on is said by the segment it stands in, not by an element.
        assert {path for path in values if not path.endswith(".level")} == told
        for origin in reading.origins[n]:
            if origin.how == "default":
                assert origin.offset is None
                assert origin.rule
                continue
            assert origin.offset is not None
            assert origin.length is not None
            assert origin.element
            part = body[origin.offset : origin.offset + origin.length]
            assert len(part) == origin.length
            if origin.how == "copied":
                assert decoded(part) == values[origin.field]
                copied += 1
            elif origin.how == "looked_up":
                assert origin.rule
            else:
                assert origin.how == "converted"
                assert part
    return copied


def test_the_bytes_of_every_fixture_are_the_fields(
    read: Read, network: Network, fixture_body: bytes
) -> None:
    reading = read(fixture_body, network)
    assert reading.events
    check(fixture_body, reading)


def test_origins_are_named_as_people_name_elements(read: Read, network: Network) -> None:
    reading = read("orders.edi", network)
    named = {origin.field: origin for origin in reading.origins[0]}
    assert named["po"].element == "message 1 BGM[1] BGM02"
    assert named["supplier"].element == "UNB UNB03-1"
    assert named["supplier"].how == "looked_up"
    assert named["lines[1].qty"].element == "message 1 QTY[2] QTY01-2"
    assert named["lines[1].qty"].how == "converted"  # "015.0" is 15
    assert named["lines[1].price"].rule == "price per 100"
    assert named["lines[0].description"].how == "converted"  # it has released signs
    assert named["lines[1].requested_date"].element == "message 1 DTM[5] DTM01-2"
    assert named["erp"].how == "default"


def test_a_sum_names_every_component_that_adds_to_it(read: Read, network: Network) -> None:
    reading = read("desadv.edi", network)
    parts = [o.element for o in reading.origins[0] if o.field == "lines[0].qty"]
    assert parts == ["message 1 QTY[1] QTY01-2", "message 1 QTY[2] QTY01-2"]


def test_origins_in_a_wrapped_message_are_the_bytes_as_sent(
    read: Read, wrap: Wrap, network: Network
) -> None:
    plain = wrap("ORDERS BGM+220+4500001234+9'LIN+10++B-100:IN'QTY+21:40:EA'", from_us=True)
    wrapped = b"\r\n".join(plain[n : n + 11] for n in range(0, len(plain), 11))
    reading = read(wrapped, network)
    assert [e.data for e in reading.events] == [e.data for e in read(plain, network).events]
    check(wrapped, reading)


def _samples() -> list[str]:
    listing = SHARED / "expected_edifact.json"
    if not listing.exists():
        return []
    return [entry["file"] for entry in json.loads(listing.read_text())]


@pytest.mark.skipif(not _samples(), reason="the shared samples (../shared/data) are not here")
def test_the_bytes_of_every_shared_sample_are_the_fields(read: Read) -> None:
    copied = 0
    network = build_network(us=[], them=[], feed_partner="ACME")
    for name in _samples():
        body = (SHARED / name).read_bytes()
        copied += check(body, read(body, network))
    assert copied > 50
