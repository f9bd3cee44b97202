"""One table of what was measured: printed at the end of ``make bench`` and kept in
docs/benchmarks.md with date, machine and command. Nothing here asserts a time."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
COMMAND = "make bench"


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure: its number in the list of goals, what it is, how much, and the goal."""

    goal_id: str
    what: str
    value: str
    goal: str


_measured = pytest.StashKey[list[Measured]]()

Record = Callable[[str, str, str, str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_measured] = []


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """``record("P1", "share of raw COPY", "13.2 %", ">= 12 %")`` puts a row into the table."""

    def add(goal_id: str, what: str, value: str, goal: str) -> None:
        request.config.stash[_measured].append(Measured(goal_id, what, value, goal))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = terminalreporter.config.stash.get(_measured, [])
    if not rows:
        return
    rows = sorted(rows, key=lambda row: (int(row.goal_id.lstrip("P–") or 99), row.what))
    terminalreporter.section("benchmarks")
    for row in rows:
        terminalreporter.write_line(
            f"{row.goal_id:>4}  {row.what:<64} {row.value:>24}   {row.goal}"
        )
    if os.environ.get("KEEP_BENCHMARKS") == "1":
        PAGE.write_text(_page(rows), encoding="utf-8")
        terminalreporter.write_line(f"written to {PAGE.relative_to(PAGE.parents[1])}")


def _page(rows: list[Measured]) -> str:
    memory = psutil.virtual_memory().total / 2**30
    lines = [
        "# Benchmarks",
        "",
        "Ratios are taken side by side in one run on one machine; absolute times drift with the",
        "machine. No test asserts a time.",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `{COMMAND}` on {os.cpu_count()} cores "
        f"({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}, embedded "
        "Postgres.",
        "",
        "| goal | what | measured | goal value |",
        "|---|---|---|---|",
    ]
    lines += [f"| {r.goal_id} | {r.what} | {r.value} | {r.goal} |" for r in rows]
    return "\n".join(lines) + "\n"
