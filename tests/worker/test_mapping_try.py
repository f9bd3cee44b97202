"""``tower mapping try``: what a file would become, with places, and nothing stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance import shapes
from worker.command import main

ROOT = Path(__file__).resolve().parents[2]
GOOD = "po;line;qty;confirmed;status\n4500001234;10;40;04/01/2026;OK\n"


class Desk:
    """A folder without a database, in which somebody writes a mapping."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.folder = folder
        self.network = folder / "network.yaml"
        self.network.write_text((ROOT / "network.yaml").read_text(encoding="utf-8"))
        self._capsys = capsys
        monkeypatch.setenv("TOWER_NETWORK", str(self.network))
        monkeypatch.setenv("TOWER_HOME", str(folder / "home"))
        monkeypatch.chdir(folder)

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def tower(self, *words: str | Path) -> tuple[int, str, str]:
        code = main(["mapping", "try", *map(str, words)])
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Desk:
    return Desk(tmp_path, monkeypatch, capsys)


def test_a_good_file_is_shown_with_its_events_and_stored_nowhere(desk: Desk) -> None:
    file = desk.file("answer.csv", GOOD)
    before = sorted(desk.folder.rglob("*"))
    code, out, err = desk.tower(file, "--source", "supplier_files", "--partner", "ORCHARD")
    assert (code, err) == (0, "")
    out = " ".join(out.split())  # a long path wraps the line
    assert "by supplier_answers: 1 events, 0 findings, 0 dead letters. Nothing was stored." in out
    for words in ("po.acknowledged", "4500001234", "ORCHARD", "accepted", "2026-04-01"):
        assert words in out
    assert sorted(desk.folder.rglob("*")) == before


def test_the_answer_as_json_has_the_shape_of_the_page(desk: Desk) -> None:
    file = desk.file("a.csv", GOOD + "4500001234;20;many;04/01/2026;MAYBE\n")
    code, out, _ = desk.tower(file, "--source", "supplier_files", "--partner", "ORCHARD", "--json")
    assert code == 1
    answer = json.loads(out)
    assert shapes.faults(answer, shapes.promised()["mapping try"]) == []
    (letter,) = answer["dead_letters"]
    assert (letter["code"], letter["line"], letter["col"]) == ("bad_value", 3, 1)
    origins = {o["field"]: o for o in answer["events"][0]["origins"]}
    assert (origins["lines[0].qty"]["line"], origins["lines[0].qty"]["col"]) == (2, 15)


@pytest.mark.parametrize(
    ("name", "source", "text", "code", "line", "col"),
    [
        ("a.json", "warehouse", '{\n  "ü": "é", x\n}', "invalid_json", 2, 13),
        ("a.xml", "ubl", "<Order>\n  <é></ID>\n</Order>", "invalid_xml", 2, 8),
        ("a.csv", "supplier_files", GOOD + "1;2\n", "bad_row", 3, 1),
    ],
)
def test_each_fault_is_told_with_line_and_column(
    desk: Desk, name: str, source: str, text: str, code: str, line: int, col: int
) -> None:
    described = yaml.safe_load(desk.network.read_text())
    described["sources"]["ubl"] = {
        "kind": "push", "format": "xml", "system": "edi", "mapping": "ubl"
    }  # fmt: skip
    desk.network.write_text(yaml.safe_dump(described))
    told, out, _ = desk.tower(desk.file(name, text), "--source", source, "--json")
    assert told == 1
    letters = json.loads(out)["dead_letters"]
    assert (code, line, col) in [(one["code"], one["line"], one["col"]) for one in letters]
    shown = desk.tower(desk.folder / name, "--source", source)[1]
    assert code in shown


def test_a_mistake_in_the_mapping_is_told_with_its_place_in_the_network(desk: Desk) -> None:
    text = desk.network.read_text().replace("lines: {line: line,", "lines: {lien: line,")
    desk.network.write_text(text)
    at = text[: text.index("lien")].count("\n") + 1
    code, out, err = desk.tower(desk.file("a.csv", GOOD), "--source", "supplier_files")
    assert (code, out) == (5, "")
    assert f"network.yaml:{at}:" in err
    assert "write line" in err


def test_what_is_not_there_is_told(desk: Desk) -> None:
    file = desk.file("a.csv", GOOD)
    assert desk.tower(desk.folder / "none.csv", "--source", "supplier_files")[0] == 3
    code, _, err = desk.tower(file, "--source", "nothing")
    assert code == 5
    assert "supplier_files" in err
    code, _, err = desk.tower(file, "--source", "supplier_files", "--partner", "NOBODY")
    assert code == 5
    assert "ORCHARD" in err
    assert desk.tower(file)[0] == 2
