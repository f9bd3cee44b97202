"""How quick EDIFACT is read, beside pydifact where that is installed (it gives segments only).

All ratios are of one run on one machine, the median of several rounds; no time is asserted.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from statistics import median

import pytest

from collectors.edifact.envelope import EnvelopeReader
from collectors.edifact.interpreter import EdifactInterpreter
from tower.network import Company, Network, Partner, PartnerIds, Source, System
from tower.raw import Raw

ROUNDS = 5
PEER = "pydifact parser"
Record = Callable[[str, str, str, str], None]
NETWORK = Network(
    company=Company(name="Buyer", unb=["4098765000010:14"]),
    systems={"edi": System(name="EDI", kind="edi")},
    sources={"edi_out": Source(kind="drop_folder", format="edifact", system="edi")},
    partners={"ACME": Partner(name="Acme", ids=PartnerIds(unb=["4012345000009:14"]))},
)


def orders(messages: int, lines: int = 6, kind: str = "ORDERS") -> bytes:
    """One interchange of purchase orders."""
    out = [
        "UNA:+.? '",
        "UNB+UNOC:3+4098765000010:14+4012345000009:14+260302:0900+700001'",
    ]
    for n in range(1, messages + 1):
        segments = [
            f"UNH+{n}+{kind}:D:96A:UN:EAN008'",
            f"BGM+220+45{n:08}+9'",
            "DTM+137:20260301:102'",
            "NAD+BY+4098765000010::9'",
            "NAD+DP+4098765000027::9++East?'s warehouse'",
            "CUX+2:USD:9'",
        ]
        for line in range(1, lines + 1):
            segments += [
                f"LIN+{line}++0401234500{line:04}:EN'",
                f"PIA+1+ITEM{line:05}:IN'",
                f"IMD+F++:::Widget number {line}'",
                f"QTY+21:{line * 10}:PCE'",
                "PRI+AAA:9.25'",
                "DTM+2:20260401:102'",
            ]
        segments += ["UNS+S'", f"CNT+2:{lines}'"]
        segments.append(f"UNT+{len(segments) + 1}+{n}'")
        out += segments
    out.append(f"UNZ+{messages}+700001'")
    return "\n".join(out).encode()


def seconds(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU time of each, in turns: what else the machine does then matters least."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            gc.collect()
            gc.disable()
            try:
                start = time.process_time()
                work()
                taken[name].append(time.process_time() - start)
            finally:
                gc.enable()
    return {name: median(times) for name, times in taken.items()}


def count_segments(body: bytes) -> int:
    return sum(sum(1 for _ in message.segments) for message in EnvelopeReader(body, "bench"))


def interpret(body: bytes, *, origins: bool = False) -> int:
    raw = Raw("edi_out", "bench", body, datetime(2026, 3, 9, tzinfo=UTC))
    reading = EdifactInterpreter().interpret(raw, NETWORK)
    return len(dict(reading.origins)) if origins else len(reading.events)


@pytest.mark.benchmark
def test_edifact_is_read_beside_pydifact(record: Record) -> None:
    body = orders(500)
    segments = body.count(b"'") - body.count(b"?'") - 1  # without the UNA
    assert count_segments(body) == segments - 2
    assert interpret(body) == 500
    works: dict[str, Callable[[], object]] = {
        "envelopes and segments": lambda: count_segments(body),
        "canonical events": lambda: interpret(body),
        "canonical events and origins of all fields": lambda: interpret(body, origins=True),
    }
    if find_spec("pydifact") is not None:
        parser = import_module("pydifact.parser").Parser
        text = body.decode()
        works[PEER] = lambda: sum(1 for _ in parser().parse(text))
    with warnings.catch_warnings(action="ignore"):  # it warns of directories it does not know
        taken = seconds(works)
    for name, time_s in taken.items():
        value = f"{segments / time_s:,.0f} segments/s"
        if PEER in taken and name != PEER:
            value += f", {taken[PEER] / time_s:.1f} x pydifact"
        goal = ">= 5 x pydifact" if name == "canonical events" else ""
        record("P10", f"EDIFACT: {name}", value, goal)
    if PEER not in taken:
        record("P10", f"EDIFACT: {PEER}", "not installed", "")
        pytest.skip("pydifact is not installed: pip install -e '.[peers]' gives the comparison")


@pytest.mark.benchmark
def test_reading_messages_needs_little_memory_at_any_size(record: Record) -> None:
    """Many messages, one large message, and messages that are not read: no pieces are kept."""
    shapes: dict[str, tuple[Callable[[bytes], int], bytes, int]] = {
        "200 messages": (count_segments, orders(200), 200 * 45),
        "4,000 messages": (count_segments, orders(4000), 4000 * 45),
        "one message of 60,000 segments": (count_segments, orders(1, 10_000), 60_009),
        "one message of 60,000 segments that is not read": (
            interpret,
            orders(1, 10_000, kind="PRICAT"),
            0,
        ),
    }
    for name, (work, body, expected) in shapes.items():
        tracemalloc.start()
        found = work(body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found == expected, name
        what = f"EDIFACT: memory beside the {len(body) / 1e6:.1f} MB of {name}"
        record("P10", what, f"{peak / 1e6:.2f} MB", "<= 20 MB")
