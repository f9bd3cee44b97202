"""Search by payload text: what it takes to write the words down, and to find one among them.

What is built: orders as X12 of about 550 bytes and 40 words, received over 29 days, every twentieth
with an id of its transport in a header. All but the last tenth are laid down at once with
their words and indexed afterwards, as a restored installation is; the words of that tenth are
written by the worker's own loop, whose rate is told. Each kind of question is asked 60 times, each
time for another text, over all messages that are kept and as the page asks (ids first, then text).

SEARCH_MESSAGES says how many messages (default 1,000,000).
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from db import engine as engines
from db import partitions, staging
from db.driver import raw_cursor
from db.reads.search import find
from db.tables import checkpoint, text_mark
from tests.benchmarks.conftest import Record
from tower.access import EVERYTHING
from tower.identity import item_key, source_key
from tower.search_words import words_of
from worker.payload_words import write_all

pytestmark = pytest.mark.benchmark

MESSAGES = int(os.environ.get("SEARCH_MESSAGES", "1000000"))
NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
SPAN = timedelta(days=29)
ASKED = 60  # questions of each kind
AT_ONCE = 10_000
COLUMNS = "item_key, source, key, received_at, media_type, name, headers, encoding, size, body"
LEDGER = "item_key, source, key, sha256, received_at, outcome, interpreter, version, read_at"
INDEX = "ix_payload_text_words"


@pytest.fixture
def bench(new_database: Callable[[], str], databases: Any) -> Iterator[tuple[Engine, Engine]]:
    """The program's engine and the owner's, who may drop an index and make it again."""
    address = new_database()
    engine = engines.create(address, idle_s=None)
    owner = create_engine(databases.owner_url(make_url(address).database))
    yield engine, owner
    engine.dispose()
    owner.dispose()


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


def header(n: int) -> str:
    return f"AS2-{n:09d}@edi.example"


def fill(engine: Engine, owner: Engine) -> None:
    """All messages and their ledger; the words of all but the last tenth."""
    chance = random.Random(7)
    with engine.begin() as conn, raw_cursor(conn) as cursor:
        for month in {partitions.month_of(NOW - SPAN), partitions.month_of(NOW)}:
            partitions.ensure(cursor, "raw_message", month)
    with owner.begin() as conn:
        conn.exec_driver_sql(f"DROP INDEX {INDEX}")
    known = MESSAGES - MESSAGES // 10
    for first in range(0, MESSAGES, AT_ONCE):
        rows, ledger, texts = [], [], []
        for n in range(first, min(first + AT_ONCE, MESSAGES)):
            key, content, item = f"k{n}", body(n, chance), item_key("edi", f"k{n}")
            at = NOW - SPAN + SPAN * (n / MESSAGES)
            headers = {"message-id": header(n)} if n % 20 == 0 else {}
            name = f"ORD{n:09d}.edi"
            rows.append(
                f"{item}\tedi\t{key}\t{at}\tapplication/edi-x12\t{name}\t"
                f"{staging.json(headers)}\tplain\t{len(content)}\t\\\\x{content.hex()}"
            )
            ledger.append(f"{item}\tedi\t{key}\t\\\\x00\t{at}\tinterpreted\tx12\t1\t{at}")
            if n < known:
                told = [name, *(f"{k} {v}" for k, v in headers.items()), content.decode()]
                words, _ = words_of(told)
                texts.append(f"{item}\tedi\t{key}\t{at}\t{' '.join(words)}")
        with engine.begin() as conn, raw_cursor(conn) as cursor:
            staging.copy(cursor, "raw_message", COLUMNS, rows)
            staging.copy(cursor, "ingest_ledger", LEDGER, ledger)
            staging.copy(cursor, "payload_text", "item_key, source, key, received_at, words", texts)
    with owner.begin() as conn:
        conn.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
        conn.exec_driver_sql(f"CREATE INDEX {INDEX} ON payload_text USING gin (words)")
    mark = NOW - SPAN + SPAN * (known / MESSAGES)
    with engine.begin() as conn:
        conn.execute(text_mark.insert().values(name="payload", upto=mark, swept_at=NOW))
        conn.execute(checkpoint.insert().values(source_key=source_key("edi"), source="edi"))
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("VACUUM ANALYZE")


@dataclass(frozen=True)
class Timed:
    """Milliseconds from asking to the answer, those of CPU time (ours and the server's, which a
    busy machine does not stretch), and how many things were found in all."""

    median: float
    p95: float
    cpu_median: float
    cpu_p95: float
    hits: int

    def __str__(self) -> str:
        return (
            f"p50 {self.median:.0f} ms, p95 {self.p95:.0f} ms; CPU p50 {self.cpu_median:.0f} ms, "
            f"p95 {self.cpu_p95:.0f} ms ({self.hits} hits)"
        )


def timed(engine: Engine, texts: list[str]) -> Timed:
    took, worked, hits = [], [], 0
    for wanted in texts:
        with engine.connect() as conn:
            backend: Any = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            cpu, begin = _cpu(backend), time.perf_counter()
            answer = find(conn, EVERYTHING, wanted, NOW, window=None)
            took.append((time.perf_counter() - begin) * 1000)
            worked.append((_cpu(backend) - cpu) * 1000)
        hits += len(answer.hits or ()) + len(answer.found)
    middle, last = statistics.median, lambda found: statistics.quantiles(found, n=20)[-1]
    return Timed(middle(took), last(took), middle(worked), last(worked), hits)


def _cpu(backend: int) -> float:
    """CPU seconds of this process and of one of the server's."""
    server = psutil.Process(backend).cpu_times()
    return time.process_time() + server.user + server.system


def questions() -> dict[str, list[str]]:
    chance = random.Random(11)
    some = [chance.randrange(MESSAGES) for _ in range(ASKED)]
    return {
        "exact id (key of a message)": [f"k{n}" for n in some],
        "header": [header(n - n % 20) for n in some],
        "file name": [f"ORD{n:09d}.edi" for n in some],
        "rare word (order number in the text)": [f"45{n:08d}" for n in some],
        "number (control number)": [f"{n:09d}" for n in some],
        "prefix of a rare word": [f"45{n:08d}"[:8] for n in some],
        "prefix of frequent words": [f"{WORDS[n % 400]}"[:5] for n in some],
        "item that 150 in a million name": [f"SKU-{n % 20000:05d}" for n in some],
        "word of 1.5 % of messages": [WORDS[n % 400] for n in some],
        "two frequent words, side by side": [f"{WORDS[n % 400]} {WORDS[n % 399]}" for n in some],
        "two frequent words, never side by side": [f"{WORDS[n % 400]} DEPOT" for n in some],
        "frequent word and a rare one": [f"45{n:08d}*20260301~REF*CO" for n in some],
        "word of every message": ["DEPOT"] * ASKED,
        "text that is nowhere": [f"nowhere{n}" for n in some],
    }


def test_search(bench: tuple[Engine, Engine], record: Record) -> None:
    engine, owner = bench
    fill(engine, owner)
    begin, cpu = time.perf_counter(), time.process_time()
    written = write_all(engine, NOW + timedelta(seconds=5))
    took = time.perf_counter() - begin
    assert written == MESSAGES // 10
    what = f"words of the last {written:,} of {MESSAGES:,} messages"
    record("–", f"{what} written", f"{written / took:,.0f} messages/s", "")
    record("–", f"{what}: CPU of the worker", _us(time.process_time() - cpu, written), "")
    with engine.connect() as conn:
        size: Any = conn.exec_driver_sql("SELECT pg_total_relation_size('payload_text')").scalar()
    record("–", "words and their index", f"{size / MESSAGES:,.0f} bytes/message", "")
    for kind, texts in questions().items():
        what = f"search in {MESSAGES:,} messages: {kind}"
        record("–", what, str(timed(engine, texts)), "p95 <= 300 ms")


def _us(seconds: float, messages: int) -> str:
    return f"{seconds / messages * 1e6:,.0f} us/message"
