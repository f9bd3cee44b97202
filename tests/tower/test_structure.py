"""Every value of a payload has its place, in whatever format."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tower.structure import structure

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def values(body: bytes) -> dict[str, str]:
    return {
        leaf.path: body[leaf.offset : leaf.offset + leaf.length].decode()
        for leaf in structure(body).leaves
    }


def test_elements_of_x12_have_their_names() -> None:
    body = (FIXTURES / "x12" / "order_850.edi").read_bytes()
    found = structure(body)
    assert found.format == "x12"
    tags = [tag for tag, _, _ in found.parts]
    assert tags[:3] == ["ISA", "GS", "ST"]
    for tag, offset, _ in found.parts:
        assert body[offset : offset + len(tag)].decode() == tag
    beg = next(leaf for leaf in found.leaves if leaf.name == "BEG03")
    assert body[beg.offset - 1 : beg.offset] == body[3:4]


def test_edifact_knows_its_release_sign_and_components() -> None:
    body = b"UNA:+.? 'UNB+UNOC:3+A?+B:14+C'UNH+1+ORDERS:D'FTX+AAI+++IT?'S 5?:30'"
    found = values(body)
    assert found["1 UNB UNB02-1"] == "A?+B"
    assert found["1 UNB UNB02-2"] == "14"
    assert found["3 FTX FTX04-1"] == "IT?'S 5?:30"


def test_json_xml_and_tables() -> None:
    assert values(b'{"po": "45", "lines": [{"qty": 5}, {"qty": "6", "x": {"y": true}}]}') == {
        "$.po": "45",
        "$.lines[0].qty": "5",
        "$.lines[1].qty": "6",
        "$.lines[1].x.y": "true",
    }
    xml = b'<O id="7"><L><Q>1</Q></L><L><Q> 2 </Q></L><!-- <Q>9</Q> --><e a="b"/></O>'
    assert values(xml) == {
        "/O/@id": "7",
        "/O/L/Q": "1",
        "/O/L[2]/Q": "2",
        "/O/e/@a": "b",
    }
    assert values(b'po;note\n45;"a;b"\n46;\n') == {
        "row 2 po": "45",
        "row 2 note": "a;b",
        "row 3 po": "46",
    }


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*")), ids=lambda p: p.name)
def test_places_never_leave_the_payload_nor_meet(path: Path) -> None:
    if path.is_dir():
        return
    body = path.read_bytes()
    end = 0
    for leaf in sorted(structure(body).leaves, key=lambda one: one.offset):
        assert end <= leaf.offset
        end = leaf.offset + leaf.length
        assert end <= len(body)


@given(st.binary(max_size=300), st.sampled_from([b"", b"ISA", b"UNB+", b"{", b"<a>", b"a;b\n"]))
def test_broken_input_is_no_error(body: bytes, start: bytes) -> None:
    for leaf in structure(start + body).leaves:
        assert 0 <= leaf.offset <= len(start + body)
