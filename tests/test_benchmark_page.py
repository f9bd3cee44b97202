"""docs/benchmarks.md is kept by parts: what did not run again stays with its own date."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tests.benchmarks.measured import Measured, page

MONDAY, TUESDAY = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)
TICK = Measured("bench_tick.py", "P5", "100 due", "14 ms", "<= 15 ms")
X12 = Measured("bench_x12.py", "P9", "events", "2.2 x", ">= 2 x")


def test_a_run_of_one_file_replaces_its_part_alone() -> None:
    first = page("", [TICK, X12], MONDAY)
    assert first.count("Measured 2026-03-02") == 2
    second = page(first, [Measured("bench_tick.py", "P5", "1,000 due", "50 ms", "")], TUESDAY)
    tick, x12 = second.split("## ")[1:]
    assert tick.startswith("bench_tick.py\n\nMeasured 2026-03-03")
    assert "1,000 due" in tick
    assert "100 due |" not in tick
    assert x12.startswith("bench_x12.py\n\nMeasured 2026-03-02")
    assert "| P9 | events | 2.2 x | >= 2 x |" in x12
    assert second.count("# Benchmarks\n") == 1


def test_the_same_run_leaves_the_same_page() -> None:
    once = page("", [X12, TICK], MONDAY)
    assert _unhurried(page(once, [TICK, X12], MONDAY)) == _unhurried(once)


def _unhurried(text: str) -> str:
    return re.sub(r"load [0-9.]+", "load", text)
