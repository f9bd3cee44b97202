"""How quick X12 is read, beside pyx12's X12Reader where that is installed (it gives segments only).

All ratios are of one run on one machine, the median of several rounds; no time is asserted.
"""

from __future__ import annotations

import gc
import io
import os
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from statistics import median

import pytest

from collectors.x12.envelope import EnvelopeReader, TransactionSet
from collectors.x12.interpreter import X12Interpreter
from tower.network import Company, Network, Partner, PartnerIds, Source, System
from tower.raw import Raw

ROUNDS = 5
Record = Callable[[str, str, str, str], None]
NETWORK = Network(
    company=Company(name="Buyer", isa=["ZZ:BUYER"]),
    systems={"edi": System(name="EDI", kind="edi")},
    sources={"edi_out": Source(kind="drop_folder", format="x12", system="edi")},
    partners={"ACME": Partner(name="Acme", ids=PartnerIds(isa=["01:123456789"]))},
)


def orders(sets: int, lines: int = 6) -> bytes:
    """One interchange of purchase orders."""
    out = [
        f"ISA*00*{'':10}*00*{'':10}*ZZ*{'BUYER':15}*01*{'123456789':15}"
        "*260302*0900*^*00501*000000001*0*P*:~",
        "GS*PO*BUYER*ACME*20260302*0900*1*X*005010~",
    ]
    for n in range(1, sets + 1):
        segments = [
            f"ST*850*{n:04}~",
            f"BEG*00*SA*45{n:08}**20260301~",
            "CUR*BY*USD~",
            "N1*ST*East*92*EAST~",
        ]
        for line in range(1, lines + 1):
            segments += [
                f"PO1*{line}*{line * 10}*EA*9.25**BP*ITEM{line:05}*VP*V{line}~",
                f"PID*F****Widget number {line}~",
                "DTM*002*20260401~",
            ]
        segments.append(f"CTT*{lines}~")
        segments.append(f"SE*{len(segments) + 1}*{n:04}~")
        out += segments
    out += [f"GE*{sets}*1~", "IEA*1*000000001~"]
    return "".join(out).encode()


def seconds(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median time of each; they take turns, so that a busy machine is busy for all of them."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            gc.collect()
            gc.disable()
            try:
                start = time.perf_counter()
                work()
                taken[name].append(time.perf_counter() - start)
            finally:
                gc.enable()
    return {name: median(times) for name, times in taken.items()}


def count_segments(body: bytes) -> int:
    reader = EnvelopeReader(body, "bench")
    return sum(len(one.segments) for one in reader if isinstance(one, TransactionSet))


@pytest.mark.benchmark
def test_x12_is_read_beside_pyx12(record: Record) -> None:
    body = orders(2000)
    segments = body.count(b"~")
    raw = Raw("edi_out", "bench", body, datetime(2026, 3, 9, tzinfo=UTC))
    reading = X12Interpreter().interpret(raw, NETWORK)
    works: dict[str, Callable[[], object]] = {
        "envelopes and segments": lambda: count_segments(body),
        "canonical events": lambda: X12Interpreter().interpret(raw, NETWORK),
        "origins of all fields": lambda: dict(reading.origins),
    }
    text = body.decode()
    if find_spec("pyx12") is not None:
        peer = import_module("pyx12.x12file").X12Reader
        works["pyx12 X12Reader"] = lambda: sum(1 for _ in peer(io.StringIO(text)))
    taken = seconds(works)
    for name, time_s in taken.items():
        ratio = taken.get("pyx12 X12Reader", 0) / time_s
        beside = f", {ratio:.1f} x pyx12" if ratio else " (pyx12 is not installed)"
        record("P9", f"X12: {name}", f"{segments / time_s:,.0f} segments/s{beside}", ">= 2 x pyx12")
    assert len(reading.events) == 2000


@pytest.mark.benchmark
def test_interpreting_keeps_events_and_no_segments(record: Record) -> None:
    """What is needed besides bytes and events does not grow with them. X12_SETS=260000 takes a
    file of 147 MB and a quarter of an hour.
    """
    for sets in (2_600, int(os.environ.get("X12_SETS", "26000"))):
        body = orders(sets, lines=6)
        raw = Raw("edi_out", "bench", body, datetime(2026, 3, 9, tzinfo=UTC))
        # As a feed that is not ours to read: every set is walked through and nothing is told.
        strange = Raw("edi_out", "bench", body.replace(b"*850*", b"*830*"), raw.received_at)
        for what, one in (("sets without events", strange), ("orders with events", raw)):
            gc.collect()
            tracemalloc.start()
            reading = X12Interpreter().interpret(one, NETWORK)
            kept, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            record(
                "P9",
                f"X12: memory of interpreting {len(body) / 1e6:.0f} MB, {what}",
                f"{kept / 1e6:.1f} MB kept, {(peak - kept) / 1e6:.2f} MB more at the highest",
                "",
            )
            del reading


@pytest.mark.benchmark
def test_reading_sets_needs_little_memory_at_any_size(record: Record) -> None:
    peaks = []
    for sets in (1000, 10000):
        body = orders(sets)
        tracemalloc.start()
        found = count_segments(body)
        peaks.append((len(body), tracemalloc.get_traced_memory()[1]))
        tracemalloc.stop()
        assert found == body.count(b"~") - 4
    for size, peak in peaks:
        what = f"X12: memory beside the bytes, {size / 1e6:.1f} MB of sets"
        record("P9", what, f"{peak / 1e6:.2f} MB", "<= 20 MB")
