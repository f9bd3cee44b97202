"""What benchmarks measured, and the page that keeps it: a part for each of their files."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import datetime

import psutil


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure: the file that measures it, its number in the list of goals, what it is, how much,
    and the goal."""

    file: str
    goal_id: str
    what: str
    value: str
    goal: str


HEAD = """# Benchmarks

Ratios are taken side by side in one run on one machine; absolute times drift with the machine. No
test asserts a time. `make bench` measures all, `make bench BENCH=tests/benchmarks/bench_x12.py`
what one file measures; each part says when that was done last, on what, and how busy the machine
was at the end (1 is a core).
"""


def page(before: str, rows: list[Measured], now: datetime) -> str:
    """The page with a part for each file of benchmarks; what did not run stays as it was."""
    parts = {text.partition("\n")[0]: text for text in before.split("\n## ")[1:]}
    memory = psutil.virtual_memory().total / 2**30
    machine = (
        f"Measured {now:%Y-%m-%d} on {os.cpu_count()} cores ({platform.machine()}), "
        f"{memory:.0f} GiB, Python {platform.python_version()}, embedded Postgres; "
        f"load {os.getloadavg()[0]:.1f}."
    )
    for name in {row.file for row in rows}:
        lines = [
            name,
            "",
            machine,
            "",
            "| goal | what | measured | goal value |",
            "|---|---|---|---|",
            *(f"| {r.goal_id} | {r.what} | {r.value} | {r.goal} |" for r in rows if r.file == name),
        ]
        parts[name] = "\n".join(lines)
    return "\n## ".join([HEAD, *(parts[name].rstrip() + "\n" for name in sorted(parts))])
