"""docs/security.md names, for each threat and each requirement, tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def rows_below(heading: str) -> list[str]:
    """Rows of the table under a heading of the page, without its own heading."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(found) > 10
    return found


def test_every_threat_names_a_test_that_exists() -> None:
    for row in rows_below("Threats, controls, tests"):
        named = re.findall(r"`(tests/[\w/]+\.py)`", row)
        assert named, row
        assert [name for name in named if not (ROOT / name).is_file()] == [], row


def test_every_requirement_of_asvs_names_tests_that_exist() -> None:
    """By file and function, so that a test which is renamed or goes away takes its row along."""
    seen: list[str] = []
    for row in rows_below("ASVS 5"):
        requirements, _, told = (cell.strip() for cell in row.strip("| ").split("|"))
        for one in requirements.split(", "):
            assert re.fullmatch(r"([1-9]|1[0-7])\.\d+\.\d+", one), row
            seen.append(one)
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", told)
        assert len(named) == told.count("`") // 2 > 0, row
        for file, name in named:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            tests = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
            assert name in tests, f"{file}::{name}"
    assert len(seen) == len(set(seen)), "a requirement has one row"
