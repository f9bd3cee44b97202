"""The commands of support over a filled installation."""

from __future__ import annotations

from tests.acceptance import shapes
from tests.acceptance.installation import Installation

PROMISED = shapes.promised()
NUMBER = "4500007001"


def test_find_tells_documents_and_the_place_in_the_bytes(filled: Installation) -> None:
    answer = filled.tower("find", NUMBER, "--json").json
    assert shapes.faults(answer, PROMISED["find"]) == []
    assert [one["ref"] for one in answer["found"]] == [f"po:main:{NUMBER}"]
    order = next(hit for hit in answer["hits"] if hit["name"] == f"{NUMBER}.edi")
    assert order["documents"] == [f"po:main:{NUMBER}"]
    assert order["where"] in ("name", "payload")
    assert answer["not_searched"]
    shown = filled.tower("find", "FST-00201")
    assert shown.code == 0
    assert "not searched:" in shown.out
    nothing = filled.tower("find", "zebra-stripes-99")
    assert nothing.code == 3


def test_reinterpret_foretells_that_nothing_changes(filled: Installation) -> None:
    answer = filled.tower("reinterpret", NUMBER, "--plan", "--json").json
    assert shapes.faults(answer, PROMISED["reinterpret"]) == []
    assert answer["planned"]
    assert {one["outcome"] for one in answer["messages"]} == {"unchanged"}
    assert filled.tower("reinterpret", "nobody-knows-this").code == 3
