"""What a supplier said by phone, written down by the command."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.acceptance import shapes
from tests.acceptance.installation import Installation
from tests.collectors import recipes

PROMISED = shapes.promised()
ORDER = {
    "specversion": "1.0",
    "id": "1",
    "source": "/erp",
    "type": "po.released",
    "time": "2026-03-27T10:00:00Z",
    "data": {
        "po": "4500001234",
        "supplier": "17300003",
        "lines": [{"line": "10", "qty": 40, "price": "2"}, {"line": "20", "qty": 5, "price": "1"}],
    },
}


@pytest.fixture
def ordered(installed: Installation) -> Installation:
    example = (recipes.ROOT / "network.yaml").read_text(encoding="utf-8")
    installed.network.write_text(example, encoding="utf-8")
    file = installed.folder / "order.json"
    file.write_text(json.dumps(ORDER))
    # A typed source takes no files, so it is clear which one this belongs to.
    assert installed.tower("ingest", str(file)).code == 0
    return installed


def test_the_commands_of_the_page_are_written_down(ordered: Installation) -> None:
    (script,) = recipes.blocks("manual-answers", "sh")
    said = []
    for line in script.strip().splitlines():
        told = ordered.tower(*shlex.split(line)[1:], "--recorded-by", "kim", "--json")
        assert told.code == 0, told.err
        assert shapes.faults(told.json, PROMISED["answer"]) == []
        said.append((told.json["answer"], told.json["outcome"], told.json["supplier"]))
    assert said == [
        ("accepted", "accepted", "ORCHARD"),
        ("accepted_with_changes", "accepted", "ORCHARD"),
        ("rejected", "accepted", "ORCHARD"),
    ]
    story = ordered.tower("show", "4500001234", "--json").json["story"]
    answers = [e for e in story["events"] if e["source"] == "manual"]
    assert {e["type"] for e in answers} == {"po.acknowledged", "po.rejected"}
    assert all(e["data"]["recorded_by"] == "kim" for e in answers)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("4500009999", "--heard-from", "x"), 3, "not known"),
        (("4500001234",), 2, "--heard-from"),
        (("4500001234", "--heard-from", "x", "--answer", "yes"), 1, "is none of"),
        (("4500001234", "--heard-from", "x", "--line", "10 colour=blue"), 1, "not understood"),
        (("4500001234", "--heard-from", "x", "--heard-at", "noon"), 5, "no time"),
        (("4500001234", "--heard-from", "x", "--supplier", "NOBODY"), 1, "no partner"),
    ],
)
def test_what_cannot_be_written_down_says_why(
    ordered: Installation, words: tuple[str, ...], code: int, said: str
) -> None:
    told = ordered.tower("answer", *words)
    assert told.code == code
    assert said in told.out + told.err


def test_the_same_answer_twice_is_known_before(ordered: Installation) -> None:
    words = ("answer", "4500001234", "--heard-from", "Ng", "--heard-at", "2026-03-30T14:10")
    assert ordered.tower(*words).code == 0
    again = ordered.tower(*words, "--recorded-by", "robin", "--json").json
    assert again["outcome"] == "repeated"


def test_what_is_said_of_a_line_holds_for_that_line_alone(ordered: Installation) -> None:
    words = ("answer", "4500001234", "--heard-from", "Ng", "--line", "10 qty=0 answer=rejected")
    told = ordered.tower(*words)
    assert told.code == 0
    assert "line 10 rejected for 4500001234, heard from Ng: stored" in " ".join(told.out.split())
    assert ordered.tower(*words, "--json").json["answer"] is None
    story = ordered.tower("show", "4500001234", "--json").json["story"]
    ten, twenty = story["lines"]
    assert (ten["answer"], twenty["answer"]) == ("rejected", None)
    assert story["document"]["answer"] == "part_accepted"
