"""Search by payload text: what it takes to write the words down, and to find one among them.

TOWER_BENCH_MESSAGES says how many messages (default 200,000).
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from db import engine as engines
from db import partitions, staging
from db.driver import raw_cursor
from db.reads.search import find
from tests.benchmarks.conftest import Record
from tower.access import EVERYTHING
from tower.identity import item_key
from worker.payload_words import write_all

pytestmark = pytest.mark.benchmark

MESSAGES = int(os.environ.get("TOWER_BENCH_MESSAGES", "200000"))
NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
SPAN = timedelta(days=29)
ASKED = 60  # questions of each kind
COLUMNS = "item_key, source, key, received_at, media_type, encoding, size, body"


@pytest.fixture
def bench(new_database: Callable[[], str]) -> Iterator[Engine]:
    engine = engines.create(new_database(), idle_s=None)
    yield engine
    engine.dispose()


def body(n: int, chance: random.Random) -> bytes:
    """An order of three lines: ids of its own, items and towns that many share."""
    lines = "".join(
        f"PO1*{k}*{chance.randint(1, 900)}*EA*{chance.randint(1, 99999) / 100}**VP*"
        f"SKU-{chance.randint(0, 20000):05d}~"
        f"PID*F****{chance.choice(WORDS)} {chance.choice(WORDS)}~"
        for k in (10, 20, 30)
    )
    return (
        f"ST*850*{n:09d}~BEG*00*SA*45{n:08d}**20260301~REF*CO*SO-{n * 7 % 9999999:07d}~"
        f"REF*ZZ*{chance.getrandbits(64):016x}-{chance.getrandbits(32):08x}~"
        f"N1*ST*DEPOT {chance.choice(TOWNS)}*92*W{chance.randint(1, 40)}~{lines}SE*12*{n:09d}~"
    ).encode()


WORDS = [f"word{n}" for n in range(400)]
TOWNS = [f"TOWN{n}" for n in range(50)]


def fill(engine: Engine) -> None:
    chance = random.Random(7)
    with engine.begin() as conn, raw_cursor(conn) as cursor:
        for month in {partitions.month_of(NOW - SPAN), partitions.month_of(NOW)}:
            partitions.ensure(cursor, "raw_message", month)
        for first in range(0, MESSAGES, 10_000):
            rows = []
            for n in range(first, min(first + 10_000, MESSAGES)):
                key, content = f"k{n}", body(n, chance)
                at = NOW - SPAN + SPAN * (n / MESSAGES)
                rows.append(
                    f"{item_key('edi', key)}\tedi\t{key}\t{at}\tapplication/edi-x12\tplain\t"
                    f"{len(content)}\t\\\\x{content.hex()}"
                )
            staging.copy(cursor, "raw_message", COLUMNS, rows)


def timed(engine: Engine, texts: list[str]) -> tuple[float, float, int]:
    """(median, p95) in milliseconds, and how many messages were found in all."""
    took, hits = [], 0
    for wanted in texts:
        begin = time.perf_counter()
        with engine.connect() as conn:
            answer = find(conn, EVERYTHING, wanted, NOW)
        took.append((time.perf_counter() - begin) * 1000)
        hits += len(answer.hits or ())
    return statistics.median(took), statistics.quantiles(took, n=20)[-1], hits


def test_search(bench: Engine, record: Record) -> None:
    fill(bench)
    begin, cpu = time.perf_counter(), time.process_time()
    written = write_all(bench, NOW + timedelta(seconds=5))
    took = time.perf_counter() - begin
    assert written == MESSAGES
    record("–", f"words of {MESSAGES:,} messages written", f"{written / took:,.0f} messages/s", "")
    record("–", "the same: CPU of the worker", _us(time.process_time() - cpu, written), "")
    with bench.connect() as conn:
        size: Any = conn.exec_driver_sql("SELECT pg_total_relation_size('payload_text')").scalar()
    record("–", "the same: size of the index", f"{size / written:,.0f} bytes/message", "")
    chance = random.Random(11)
    some = [chance.randrange(MESSAGES) for _ in range(ASKED)]
    kinds = {
        "an id in the text": [f"45{n:08d}" for n in some],
        "the beginning of an id": [f"45{n:08d}"[:8] for n in some],
        "an item that 30 in a million name": [f"SKU-{n % 20000:05d}" for n in some],
        "two common words": [f"{WORDS[n % 400]} {WORDS[n % 399]}" for n in some],
        "a word of every message": ["DEPOT"] * ASKED,
        "a text that is nowhere": [f"nowhere{n}" for n in some],
    }
    for kind, texts in kinds.items():
        median, p95, hits = timed(bench, texts)
        goal = "p95 <= 300 ms at 1,000,000"
        what = f"search in {MESSAGES:,} messages: {kind}"
        record("–", what, f"{median:.0f} ms, p95 {p95:.0f} ms ({hits})", goal)


def _us(seconds: float, messages: int) -> str:
    return f"{seconds / messages * 1e6:,.0f} us/message"
