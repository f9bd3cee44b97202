"""The page of promises names tests that exist; and rates count what was measured alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tower.cycles import Verdict
from tower.kpis import clock_tally

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_a_promise_names_a_test_that_exists(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_promise_names_a_test() -> None:
    heads = ("| promise |", "| complaint |")
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(heads)]
    assert len(rows) > 40
    assert [row for row in rows if "`tests/" not in row] == []


def test_what_is_unknown_or_not_measured_touches_no_rate() -> None:
    measured = {"met": 7, "met_late": 2, "breached": 1}
    others = {v.value: 100 for v in Verdict if v.value not in measured}
    assert {"unknown", "not_measured"} <= others.keys()
    alone, beside = clock_tally(measured), clock_tally({**measured, **others})
    assert (beside.hits, beside.n) == (alone.hits, alone.n) == (7, 10)
    assert sum(beside.outside.values()) == sum(others.values())
