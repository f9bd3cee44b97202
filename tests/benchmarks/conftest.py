"""One table of what was measured: printed at the end of ``make bench`` and kept in
docs/benchmarks.md. Nothing here asserts a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.benchmarks.measured import Measured, page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


_measured = pytest.StashKey[list[Measured]]()

Record = Callable[[str, str, str, str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_measured] = []


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """``record("P1", "share of raw COPY", "13.2 %", ">= 12 %")`` puts a row into the table."""

    def add(goal_id: str, what: str, value: str, goal: str) -> None:
        file = request.node.path.name
        request.config.stash[_measured].append(Measured(file, goal_id, what, value, goal))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    measured = terminalreporter.config.stash.get(_measured, [])
    if not measured:
        return
    rows = sorted(measured, key=lambda row: (int(row.goal_id.lstrip("P–") or 99), row.what))
    terminalreporter.section("benchmarks")
    for row in rows:
        terminalreporter.write_line(
            f"{row.goal_id:>4}  {row.what:<64} {row.value:>24}   {row.goal}"
        )
    if os.environ.get("KEEP_BENCHMARKS") == "1":
        before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        PAGE.write_text(page(before, rows, datetime.now(UTC)), encoding="utf-8")
        terminalreporter.write_line(f"written to {PAGE.relative_to(PAGE.parents[1])}")
