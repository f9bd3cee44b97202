"""Each field says which bytes it is: over the fixtures and every shared sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.x12 import interpreter
from tower.network import Network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
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


def test_origins_of_a_large_payload_are_found_by_reading_its_sets_again(
    read: Read, network: Network, fixture_body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered = read(fixture_body, network)
    monkeypatch.setattr(interpreter, "NOTES_KEPT_BELOW", 0)
    forgotten = read(fixture_body, network)
    assert forgotten.origins == remembered.origins
    check(fixture_body, forgotten)
    # No note is left, and so no segment.
    assert {len(sheet) for sheet in forgotten.origins._sheets} == {2}  # type: ignore[attr-defined]


def test_origins_are_named_as_an_x12_person_would(read: Read, network: Network) -> None:
    reading = read("order_850.edi", network)
    named = {origin.field: origin for origin in reading.origins[0]}
    assert named["po"].element == "set 1 BEG[1] BEG03"
    assert named["supplier"].element == "ISA ISA08"
    assert named["supplier"].how == "looked_up"
    assert named["lines[1].qty"].element == "set 1 PO1[2] PO102"
    assert named["lines[1].qty"].how == "converted"  # "015.0" is 15
    assert named["lines[1].requested_date"].element == "set 1 DTM[4] DTM02"
    assert named["erp"].how == "default"


def test_a_component_of_an_element_has_bytes_of_its_own(read: Read, network: Network) -> None:
    reading = read("ack_997.edi", network)
    named = {origin.field: origin for origin in reading.origins[2]}
    assert named["errors[1].component"].element == "set 1 AK4[1] AK401-2"
    assert named["errors[1].component"].length == 1


def test_a_sum_names_every_element_that_adds_to_it(read: Read, network: Network) -> None:
    reading = read("shipment_856.edi", network)
    parts = [o.element for o in reading.origins[0] if o.field == "lines[0].qty"]
    assert parts == ["set 1 SN1[1] SN102", "set 1 SN1[2] SN102"]


def _samples() -> list[str]:
    listing = SHARED / "expected_x12.json"
    if not listing.exists():
        return []
    return [entry["file"] for entry in json.loads(listing.read_text())]


@pytest.mark.skipif(not _samples(), reason="the shared samples (../shared/data) are not here")
def test_the_bytes_of_every_shared_sample_are_the_fields(read: Read) -> None:
    copied = 0
    for name in _samples():
        body = (SHARED / name).read_bytes()
        copied += check(body, read(body))
    assert copied > 300
