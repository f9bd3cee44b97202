"""The commands of support over a filled installation."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.fixture
def evidence(filled: Installation, tmp_path: Path) -> Path:
    file = tmp_path / "evidence.zip"
    answer = filled.tower("bundle", NUMBER, file, "--why", "claim 7", "--json")
    assert answer.code == 0, answer
    assert shapes.faults(answer.json, PROMISED["bundle"]) == []
    return file


def test_a_bundle_holds_the_whole_story_and_asks_nobody(
    filled: Installation, evidence: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(evidence) as bundle:
        names = set(bundle.namelist())
        manifest = json.loads(bundle.read("manifest.json"))
        events = json.loads(bundle.read("events.ocel.json"))
        page = bundle.read("timeline.html").decode()
        clocks = json.loads(bundle.read("clocks.json"))
    assert names == {"manifest.json", *manifest["files"]}
    assert (manifest["why"], manifest["masks"]) == ("claim 7", [])
    assert any(name.startswith("mails/") for name in names)
    assert {event["type"] for event in events["events"]} >= {"po.released"}
    assert set(events) == {"objectTypes", "eventTypes", "objects", "events"}
    assert any(clock["receipt"] for clock in clocks)
    assert "po.released" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert filled.tower("bundle", NUMBER, evidence).code == 2
    assert filled.tower("bundle", "4711471147", tmp_path / "x.zip").code == 3
    assert not (tmp_path / "x.zip").exists()


def test_a_bundle_verifies_without_a_database(evidence: Path, tmp_path: Path) -> None:
    alone = Installation(tmp_path, {"TOWER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    answer = alone.tower("verify-bundle", evidence, "--json")
    assert answer.code == 0
    assert shapes.faults(answer.json, PROMISED["verify-bundle"]) == []
    assert answer.json["problems"] == []
    assert "Whole" in alone.tower("verify-bundle", evidence).out
    assert alone.tower("verify-bundle", tmp_path / "none.zip").code == 3


def _rewrite(file: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> None:
    """Pack a bundle anew with files altered, dropped or added."""
    old = file.with_suffix(".old")
    shutil.move(file, old)
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            body = change(name, source.read(name))
            if body is not None:
                target.writestr(name, body)
        for name, body in more.items():
            target.writestr(name, body)


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (lambda n, b: b + b" " if n.startswith("messages/") else b, {}, "was altered"),
        (lambda n, b: None if n == "clocks.json" else b, {}, "clocks.json is missing"),
        (lambda _, b: b, {"extra": b"x"}, "does not name it"),
        (lambda n, b: None if n == "manifest.json" else b, {}, "no manifest.json"),
        (lambda n, b: b"{" if n == "manifest.json" else b, {}, "cannot be read"),
    ],
)
def test_whatever_is_altered_is_found(
    filled: Installation,
    evidence: Path,
    change: Callable[[str, bytes], bytes | None],
    more: dict[str, bytes],
    said: str,
) -> None:
    _rewrite(evidence, change, **more)
    answer = filled.tower("verify-bundle", evidence)
    assert answer.code == 1
    assert said in answer.out


def test_a_message_swapped_together_with_its_manifest_is_found(
    filled: Installation, evidence: Path
) -> None:
    with zipfile.ZipFile(evidence) as bundle:
        name = next(n for n in bundle.namelist() if n.startswith("messages/"))
        manifest = json.loads(bundle.read("manifest.json"))
    manifest["files"][name]["sha256"] = hashlib.sha256(b"other").hexdigest()

    def change(one: str, body: bytes) -> bytes:
        if one == name:
            return b"other"
        return json.dumps(manifest).encode() if one == "manifest.json" else body

    _rewrite(evidence, change)
    assert "is not what was received" in filled.tower("verify-bundle", evidence).out


def test_a_masked_bundle_shows_no_price(filled: Installation, tmp_path: Path) -> None:
    file = tmp_path / "masked.zip"
    assert filled.tower("bundle", NUMBER, file, "--masked").code == 0
    with zipfile.ZipFile(file) as bundle:
        held = {name: bundle.read(name) for name in bundle.namelist()}
        manifest = json.loads(bundle.read("manifest.json"))
    assert "price" in manifest["masks"]
    plain = tmp_path / "plain.zip"
    assert filled.tower("bundle", NUMBER, plain).code == 0
    with zipfile.ZipFile(plain) as bundle:
        events = json.loads(bundle.read("events.ocel.json"))["events"]
    price = next(
        a["value"] for e in events for a in e["attributes"] if a["name"] == "lines[0].price"
    )
    # As a number of its own: 12.5 also stands inside of longer ones.
    shown = re.compile(rb"(?<![\d.:])" + re.escape(price.encode()) + rb"0*(?![\d.])")
    assert [name for name, body in held.items() if shown.search(body)] == []
    assert filled.tower("verify-bundle", file).code == 0
