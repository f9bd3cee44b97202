"""P4: from an event to its exception case, seen by a listener, idle and under full ingest.

Time is told twice: from the event's commit, where P3 (received to committed) ends, and from its
receipt, which is both together. The judge runs in a process of its own, as a worker does, and looks
again after half a millisecond; in a running worker up to 20 ms of pause come first, 100 ms if
nothing was due for a minute. Its clock is that of the events, one of which happens each second.
The listener is told by the server when the case is committed (LISTEN): asking for it in a circle
would take the time of a core from those that are measured.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import Engine

from db import engine as engines
from tests.benchmarks.bench_ingest import BATCH, NETWORK, START, SUPPLIERS, stream
from tests.benchmarks.bench_replay import network_text
from tests.conftest import Databases
from tower.network import load_network
from tower.raw import Raw
from tower.rulebook import load_rulebook
from worker import pipeline
from worker.judge import tick
from worker.judging import Judging

pytestmark = pytest.mark.benchmark

SAMPLES = 60
STREAM = 60_000  # events that another process stores meanwhile
WAIT_S = 30.0
# The judge's now, a day before what is stored meanwhile: it waits for its time, so that what is
# measured is the way of one event beside the writers, not the verdicts on 60,000 old ones.
NOW = START - timedelta(days=1)
RULES = Path(__file__).resolve().parents[2] / "sla_rules.yaml"
TYPE = "application/cloudevents+json"
Record = Callable[[str, str, str, str], None]


TELL = """
    CREATE FUNCTION bench_tell() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('bench_case', NEW.number); RETURN NULL; END $$;
    CREATE TRIGGER bench_tell AFTER INSERT ON exception_case
    FOR EACH ROW WHEN (NEW.kind = 'po') EXECUTE FUNCTION bench_tell()
"""


@pytest.fixture
def house(databases: Databases) -> Iterator[tuple[Engine, Judging, str]]:
    name = databases.make(databases.template)
    owner = engines.create(databases.owner_url(name))
    with engines.begin(owner) as conn:
        conn.exec_driver_sql(TELL)
    owner.dispose()
    url = databases.app_url(name)
    engine = engines.create(url, idle_s=None)
    yield engine, judging(), url
    engine.dispose()
    databases.drop(name)


def judging() -> Judging:
    return Judging(
        load_network(network_text(), "network.yaml"),
        load_rulebook(RULES.read_text(encoding="utf-8")),
    )


def refusal(n: int, now: datetime) -> Raw:
    """A supplier refuses an order: a case at once."""
    body = {
        "specversion": "1.0",
        "id": f"refusal-{n}",
        "source": "/erp/main",
        "type": "po.rejected",
        "time": now.isoformat(),
        "data": {"po": f"99{n:08}", "erp": "main", "supplier": SUPPLIERS[n % len(SUPPLIERS)]},
    }
    return Raw("bench", f"r{n}", orjson.dumps(body), now, TYPE, {"content-type": TYPE})


def keep_storing(url: str, events: int, ready: Any, go: Any) -> None:
    """The stream of the ingest benchmark, batch after batch; runs in a process of its own."""
    told = stream(events)
    engine = engines.create(url)
    ready.release()
    go.wait()
    headers = {"content-type": TYPE}
    for first in range(0, len(told), BATCH):
        raws = [
            Raw("bench", f"s{first + n}", body, at, TYPE, headers)
            for n, (at, body) in enumerate(told[first : first + BATCH])
        ]
        pipeline.ingest_raws(engine, NETWORK, raws, now=START + timedelta(days=100))


def keep_judging(url: str, clock: Any, ready: Any, stop: Any) -> None:
    """Round after round; runs in a process of its own. ``clock``: seconds since NOW."""
    engine, config = engines.create(url, idle_s=None, prepared=True), judging()
    tick(engine, config, NOW)
    ready.release()
    while not stop.is_set():
        if not tick(engine, config, NOW + timedelta(seconds=clock.value)).more:
            time.sleep(0.0005)
    engine.dispose()


def seen_after_ms(
    engine: Engine, listener: psycopg.Connection[Any], config: Judging, clock: Any, first: int
) -> tuple[list[float], list[float]]:
    """Milliseconds until a listener sees the case of each refusal: since its commit, and since its
    receipt."""
    stored, received = [], []
    for n in range(first, first + SAMPLES):
        clock.value = float(n)
        now = NOW + timedelta(seconds=n)
        raw = refusal(n, now)
        began = time.perf_counter()
        pipeline.ingest_raws(engine, config.network, [raw], now=now)
        kept = time.perf_counter()
        told = next(listener.notifies(timeout=WAIT_S, stop_after=1)).payload
        seen = time.perf_counter()
        assert told == f"99{n:08}"
        stored.append((seen - kept) * 1000)
        received.append((seen - began) * 1000)
    return stored, received


def test_an_event_is_a_case_at_once(house: tuple[Engine, Judging, str], record: Record) -> None:
    engine, config, url = house
    spawn = multiprocessing.get_context("spawn")
    ready, go, stop = spawn.Semaphore(0), spawn.Event(), spawn.Event()
    clock = spawn.Value("d", 0.0)
    judge = spawn.Process(target=keep_judging, args=(url, clock, ready, stop), daemon=True)
    other = spawn.Process(target=keep_storing, args=(url, STREAM, ready, go), daemon=True)
    address = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    listener = psycopg.connect(address, autocommit=True)
    listener.execute("LISTEN bench_case")
    judge.start()
    ready.acquire()
    try:
        seen_after_ms(engine, listener, config, clock, 0)  # warms up what is compiled on first use
        idle = seen_after_ms(engine, listener, config, clock, SAMPLES)
        other.start()
        ready.acquire()
        go.set()
        busy = seen_after_ms(engine, listener, config, clock, 2 * SAMPLES)
    finally:
        stop.set()
        listener.close()
        if other.is_alive():
            other.terminate()
            other.join()
        judge.join()
    for what, taken, goal in (("idle", idle, ""), ("under full ingest", busy, "5 / 20 ms")):
        for since, one, wanted in zip(("stored", "received"), taken, (goal, ""), strict=True):
            cuts = quantiles(one, n=20)
            value = f"{cuts[9]:.1f} / {cuts[18]:.1f} ms"
            record("P4", f"event {since} to case, {what}: p50 / p95", value, wanted)
