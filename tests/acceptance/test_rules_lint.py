"""``tower rules lint`` on one rule book per mistake: place, what is wrong, what to write instead.

``tests/fixtures/rules/expected.txt`` holds what is said about each file, word for word: these
sentences are what a procurement person works with.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.installation import SHIPPED_RULES, Installation

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "rules"
BOOKS = sorted(FOLDER.glob("*.yaml"))
SAID = {
    block.partition(":")[0]: block + "\n"
    for block in (FOLDER / "expected.txt").read_text(encoding="utf-8").strip().split("\n\n")
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Files without any database: lint needs none."""
    return Installation.make(tmp_path_factory.mktemp("bare"))


def test_every_bad_book_is_expected_to_be_refused() -> None:
    assert [book.name for book in BOOKS] == sorted(SAID)


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_a_mistake_is_told_with_its_place_and_the_next_step(bare: Installation, book: Path) -> None:
    answer = bare.tower("rules", "lint", book)
    assert (answer.code, answer.out) == (5, SAID[book.name])
    lines = answer.out.splitlines()
    for told, advice in zip(lines[::2], lines[1::2], strict=True):
        assert re.match(rf"{book.name}:\d+:\d+  \S", told)
        assert advice.startswith("    next: ")


def test_the_places_are_those_of_the_words(bare: Installation) -> None:
    for book, word in (
        ("unknown_event", "po.acknowleged"),
        ("unknown_severity", "urgent"),
        ("unknown_person", "purchasing_dsk"),
        ("wordy_duration", "4 hours"),
        ("misspelt_field", "calender"),
        ("tag", "!!str"),
    ):
        answer = bare.tower("rules", "lint", FOLDER / f"{book}.yaml", "--json")
        problem = answer.json["problems"][0]
        line = (FOLDER / f"{book}.yaml").read_text().splitlines()[problem["line"] - 1]
        assert line[problem["col"] - 1 :].startswith(word)


def test_all_mistakes_of_both_files_are_told_at_once(bare: Installation, tmp_path: Path) -> None:
    here = Installation.make(tmp_path)
    here.network.write_text(
        here.network.read_text()
        .replace("system: gateway", "system: gatway")
        .replace("calendar: hq\n    ids: {isa", "calendar: hk\n    ids: {isa")
    )
    here.rules.write_text(here.rules.read_text().replace("otherwise: 2bd", "otherwise: 2d"))
    answer = here.tower("rules", "lint")
    assert answer.code == 5
    told = [line.split(":")[0] for line in answer.out.splitlines() if not line.startswith(" ")]
    assert told == ["network.yaml", "network.yaml", "sla_rules.yaml"]
    assert answer.out.count("    next: ") == 3


def test_json_has_the_same_problems_as_fields(bare: Installation) -> None:
    answer = bare.tower("rules", "lint", FOLDER / "equal_ids.yaml", "--json")
    assert answer.code == 5
    assert answer.json == {
        "rules": 0,
        "problems": [
            {
                "file": "equal_ids.yaml",
                "line": 16,
                "col": 9,
                "path": "rules[po.unacknowledged].id",
                "message": "rule 1 has this id too",
                "next_step": "choose another id",
            }
        ],
        "warnings": [],
    }


def test_the_shipped_files_have_no_mistakes(bare: Installation) -> None:
    root = SHIPPED_RULES.parent
    answer = bare.tower(
        "rules", "lint", TOWER_NETWORK=str(root / "network.yaml"), TOWER_RULES=str(SHIPPED_RULES)
    )
    assert (answer.code, answer.out) == (0, "12 rules, no mistakes.\n")


def test_a_warning_is_told_and_refuses_nothing(bare: Installation, tmp_path: Path) -> None:
    odd = tmp_path / "odd.yaml"
    book = SHIPPED_RULES.read_text().replace("    evidence: erp               #", "    #")
    odd.write_text(book)
    answer = bare.tower("rules", "lint", odd)
    assert answer.code == 0
    assert re.match(r"warning: odd\.yaml:\d+:\d+  rules\[po\.answer_not_applied\]: ", answer.out)
    assert "12 rules, no mistakes." in answer.out


def test_a_file_that_is_not_there_is_told_with_the_setting_that_names_it(
    bare: Installation, tmp_path: Path
) -> None:
    answer = bare.tower("rules", "lint", tmp_path / "none.yaml")
    assert answer.code == 5
    assert "none.yaml  the file does not exist" in answer.out
    assert "TOWER_RULES" in answer.out
