"""How fast logs are read, and CSV rows and CloudEvents become events.

No goal names these; ingest as a whole has one (bench_ingest.py), and this tells its reading part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import orjson
import pytest

from collectors import registry
from collectors.cloudevents import BATCH, unpack
from tower.network import Network, load_network
from tower.raw import Budget, Raw

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
Record = Callable[[str, str, str, str], None]
ROUNDS = 3
LINES, ROWS, EVENTS = 50_000, 9_000, 5_000

NETWORK = """
version: 1
company: {name: Bench}
systems: {erp: {name: ERP, kind: erp}}
sources:
  log: {kind: log_file, format: log, system: erp, mapping: log, options: {path: "*.jsonl"}}
  csv: {kind: push, format: csv, system: erp, mapping: csv, partner: ACME}
  events: {kind: push, format: cloudevents, system: erp}
mappings:
  log:
    format: log
    emit: [{event: message.sent, when: {level: info}, time: ts, fields: {po: po, message: id}}]
  csv:
    format: csv
    group_by: [po]
    emit:
      - event: po.acknowledged
        fields: {po: po}
        lines: {line: line, qty: qty, date: day, answer: status}
        codes: {answer: {OK: accepted}}
partners: {ACME: {name: Acme}}
calendars: {hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}}
people: {desk: {name: Desk, mail: desk@bench.example}}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""


@pytest.fixture(scope="module")
def net() -> Network:
    return load_network(NETWORK, "network.yaml")


def rate(work: Callable[[], int]) -> float:
    """Things per second, the median of some rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        count = work()
        found.append(count / (time.perf_counter() - began))
    return median(found)


@pytest.mark.benchmark
def test_log_lines_are_read_and_interpreted(net: Network, tmp_path: Path, record: Record) -> None:
    line = {"ts": "2026-03-27T10:00:00Z", "level": "info", "po": "4500001234", "text": "x" * 150}
    with (tmp_path / "a.jsonl").open("wb") as file:
        for n in range(LINES):
            file.write(orjson.dumps({**line, "id": f"m{n}"}) + b"\n")
    reader = registry.reader_for("log", net.sources["log"], net, {}, base=tmp_path)
    budget = Budget(messages=LINES, bytes=10**9, seconds=600)

    def read() -> int:
        (batch,) = reader.read(None, budget, NOW)
        return len(batch.raws)

    record("–", "log lines read", f"{rate(read):,.0f} lines/s", "")
    (batch,) = reader.read(None, Budget(messages=10_000), NOW)
    some = batch.raws

    def interpret() -> int:
        return sum(len(registry.interpret(raw, net).events) for raw in some)

    record("–", "log lines to events", f"{rate(interpret):,.0f} events/s", "")


@pytest.mark.benchmark
def test_csv_rows_become_events(net: Network, record: Record) -> None:
    body = b"po,line,qty,day,status\n" + b"".join(
        b"45%08d,%d,10,2026-04-01,OK\n" % (n // 3, n % 3 + 1) for n in range(ROWS)
    )
    raw = Raw("csv", "k", body, NOW)

    def interpret() -> int:
        assert len(registry.interpret(raw, net).events) == ROWS // 3
        return ROWS

    record("–", "CSV rows to events of three lines", f"{rate(interpret):,.0f} rows/s", "")


@pytest.mark.benchmark
def test_a_batch_of_cloudevents_is_taken_apart_and_read(net: Network, record: Record) -> None:
    lines = [{"line": "10", "answer": "accepted", "qty": "10", "date": "2026-04-01"}] * 2
    events = [
        {"specversion": "1.0", "id": f"e{n}", "source": "/erp", "type": "po.acknowledged",
         "time": "2026-03-27T10:00:00Z",
         "data": {"po": f"45{n:08}", "supplier": "ACME", "lines": lines}}
        for n in range(EVENTS)
    ]  # fmt: skip
    body = orjson.dumps(events)
    headers = {"content-type": BATCH}
    raws = unpack("events", body, headers, NOW).raws

    def take_apart() -> int:
        return len(unpack("events", body, headers, NOW).raws)

    def interpret() -> int:
        return sum(len(registry.interpret(raw, net).events) for raw in raws)

    record("–", "CloudEvents taken out of a batch", f"{rate(take_apart):,.0f} events/s", "")
    record("–", "CloudEvents to events of two lines", f"{rate(interpret):,.0f} events/s", "")
