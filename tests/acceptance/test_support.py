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


def test_lineage_leads_from_bytes_to_mails(filled: Installation) -> None:
    answer = filled.tower("lineage", NUMBER, "--json").json
    assert shapes.faults(answer, PROMISED["lineage"]) == []
    assert shapes.empty_lists(answer, PROMISED["lineage"]) in ([], ["links"])
    steps = {node["step"] for node in answer["nodes"]}
    assert steps >= {"raw", "reading", "event", "origin", "field", "clock", "case", "mail"}
    case = next(node["id"] for node in answer["nodes"] if node["step"] == "case")
    near = filled.tower("lineage", NUMBER, "--node", case, "--depth", "1", "--json").json
    assert {node["step"] for node in near["nodes"]} <= {"clock", "case", "mail"}
    assert filled.tower("lineage", NUMBER).code == 0
    assert filled.tower("lineage", "4711471147").code == 3


def test_two_messages_are_compared(filled: Installation) -> None:
    hops = filled.tower("lineage", "4500007002", "--json").json["hops"]
    one, other = (f"{hop['source']}/{hop['key']}" for hop in hops[:2])
    answer = filled.tower("compare", "4500007002", one, other, "--json").json
    assert shapes.faults(answer, PROMISED["compare"]) == []
    assert answer["agreement"]
    classes = {field["change"] for field in answer["comparison"]["fields"]}
    assert classes <= {"same", "reformatted", "changed", "lost", "added"}
    assert filled.tower("compare", "4500007002", one, other).code == 0
    agreement = filled.tower("compare", "4500007002")
    assert "Ordered, answered" in agreement.out
    assert filled.tower("compare", "4500007002", one, "edi/nothing").code == 3


def test_integrations_tell_what_fails(filled: Installation) -> None:
    answer = filled.tower("integrations", "--json").json
    assert shapes.faults(answer, PROMISED["integrations"]) == []
    assert shapes.empty_lists(answer, PROMISED["integrations"]) == []
    assert sum(hop["dead_letters"] for hop in answer["hops"]) >= 1
    assert filled.tower("integrations").code == 0
