"""P1: the share of raw COPY that full ingest reaches, on the embedded server.

Full ingest: decode and check each CloudEvent, keep its bytes, ledger, interpretation and origins,
assign its flow and links, keep the event and what it says of each document, fold the documents,
mark the clocks, commit durably. Batches of 5,000. The stream is many purchase orders side by side,
in the order in which their events happen; bodies are about 548 bytes with 2.4 order lines each.

What is measured is what a worker does with a backlog: one stream, stored by as many lanes as the
machine has cores (worker/lanes.py); beside it the same without lanes. The share that counts is that
of COPY into a table with the columns of the envelope and the body as jsonb: the same rows as ingest
keeps of each event, without anything made of them. COPY is done by one connection, and beside it by
as many as there are lanes, so that nobody takes two cores for one.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import Connection, Engine

from collectors.cloudevents import STRUCTURED
from db.engine import create
from tests.conftest import Databases
from tower.network import Company, Network, Partner, Source, System
from tower.raw import Raw
from worker import pipeline
from worker.lanes import Lanes, usual

EVENTS = 100_000
BATCH = 5_000
ROUNDS = 5
START = datetime(2026, 3, 2, tzinfo=UTC)
Record = Callable[[str, str, str, str], None]

SUPPLIERS = [f"SUP{n:03}" for n in range(300)]
NETWORK = Network(
    company=Company(name="Bench"),
    systems={"erp": System(name="ERP", kind="erp")},
    sources={"bench": Source(kind="push", format="cloudevents", system="erp")},
    partners={key: Partner(name=key) for key in SUPPLIERS},
)

_HOURS = {
    "po.released": 0.0,
    "po.transmitted": 0.2,
    "po.acknowledged": 5.0,
    "po.answer_applied": 5.4,
    "asn.received": 200.0,
    "receipt.posted": 250.0,
    "invoice.received": 260.0,
}


def stream(events: int, seed: int = 1, prefix: int = 0) -> list[tuple[datetime, bytes]]:
    """(time, body) of so many CloudEvents, by time; seven of each purchase order.

    ``prefix`` keeps the numbers of two streams apart.
    """
    chance = random.Random(seed)
    found: list[tuple[datetime, bytes]] = []
    for k in range(events // len(_HOURS) + 1):
        n = k + prefix * 10_000_000
        start = START + timedelta(hours=chance.uniform(0, 90 * 24))
        for type_, hours, data in _journey(chance, n):
            moment = start + timedelta(hours=hours + chance.uniform(0, 0.1))
            envelope = {
                "specversion": "1.0",
                "id": f"{type_}-{n:07}",
                "source": "/erp/main",
                "type": type_,
                "subject": f"po:main:45{n:08}",
                "time": moment.isoformat(),
                "datacontenttype": "application/json",
                "correlationid": f"journey-{n:08}",
                "data": data,
            }
            found.append((moment, orjson.dumps(envelope)))
    found.sort(key=lambda one: one[0])
    return found[:events]


def _journey(chance: random.Random, n: int) -> Iterator[tuple[str, float, dict[str, Any]]]:
    supplier = chance.choice(SUPPLIERS)
    number = f"45{n:08}"
    po = {"po": number, "erp": "main", "supplier": supplier}
    names = [str(10 * (k + 1)) for k in range(chance.choice((1, 2, 3, 3, 5)))]
    quantities = [str(chance.randint(1, 99)) for _ in names]
    lines = [{"line": k, "qty": q, "uom": "EA"} for k, q in zip(names, quantities, strict=True)]
    ordered = [
        {**one, "item": f"ITEM-{one['line']}", "price": "12.5", "requested_date": "2026-05-04"}
        for one in lines
    ]
    named = [{"erp": "main", "po": number, **one} for one in lines]
    told: dict[str, dict[str, Any]] = {
        "po.released": {**po, "buyer": "kim", "currency": "EUR", "lines": ordered},
        "po.transmitted": {**po, "channel": "edi", "message": f"out-{n:08}"},
        "po.acknowledged": {
            **po,
            "answer": "accepted",
            "lines": [{**one, "answer": "accepted", "date": "2026-05-04"} for one in lines],
        },
        "po.answer_applied": {**po, "lines": [{**one, "date": "2026-05-04"} for one in lines]},
        "asn.received": {"asn": f"S{n:08}", "supplier": supplier, "lines": named},
        "receipt.posted": {
            "warehouse": "east",
            "receipt": f"R{n:08}",
            "supplier": supplier,
            "lines": [{"receipt_line": one["line"], **one} for one in named],
        },
        "invoice.received": {
            "invoice": f"I{n:08}",
            "supplier": supplier,
            "lines": [{"invoice_line": one["line"], "price": "12.5", **one} for one in named],
        },
    }
    for type_, hours in _HOURS.items():
        yield type_, hours, told[type_]


def ingest(
    engine: Engine, events: Sequence[tuple[datetime, bytes]], lanes: Lanes | None = None
) -> float:
    """Seconds to interpret and store the stream in batches, as a worker does.

    Without ``lanes`` in this process alone.
    """
    headers = {"content-type": STRUCTURED}
    now = START + timedelta(days=100)
    started = time.perf_counter()
    for first in range(0, len(events), BATCH):
        raws = [
            Raw("bench", f"k{first + n}", body, moment, STRUCTURED, headers)
            for n, (moment, body) in enumerate(events[first : first + BATCH])
        ]
        outcome = pipeline.ingest_raws(engine, NETWORK, raws, now=now, lanes=lanes)
        assert outcome.accepted == len(raws)
    return time.perf_counter() - started


ENVELOPE = "id text, type text, source text, subject text, at timestamptz, correlation_id text"
COPIES = {
    "bytea": "body bytea",
    "jsonb": "body jsonb",
    "jsonb with envelope": f"{ENVELOPE}, body jsonb",
}
"""The raw tables, by what they are called here: without index, unlogged."""


def _row(kind: str, body: bytes) -> tuple[object, ...]:
    if kind == "bytea":
        return (body,)
    if kind == "jsonb":
        return (body.decode(),)
    told = orjson.loads(body)
    names = ("id", "type", "source", "subject", "time", "correlationid")
    return (*(told[name] for name in names), body.decode())


Events = Sequence[tuple[datetime, bytes]]
_MAKE, _DROP = "CREATE UNLOGGED TABLE raw_bench ({})", "DROP TABLE raw_bench"


def _driver(conn: Connection) -> psycopg.Connection[Any]:
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def raw_copy(engine: Engine, events: Events, kind: str) -> float:
    """Seconds to COPY the same bodies, row by row, into one of COPIES.

    With the envelope beside it, the body must be decoded once before it can be copied.
    """
    with engine.begin() as conn:
        conn.exec_driver_sql(_MAKE.format(COPIES[kind]))
    started = time.perf_counter()
    _copy(engine, events, kind)
    taken = time.perf_counter() - started
    with engine.begin() as conn:
        conn.exec_driver_sql(_DROP)
    return taken


def _copy(engine: Engine, events: Events, kind: str) -> None:
    with engine.connect() as conn:
        driver = _driver(conn)
        for first in range(0, len(events), BATCH):
            with driver.cursor() as cursor, cursor.copy("COPY raw_bench FROM STDIN") as target:
                for _, body in events[first : first + BATCH]:
                    target.write_row(_row(kind, body))
            driver.commit()


def copy_together(owner: Engine, events: int, kind: str, connections: int) -> float:
    """The same by several processes, each with a connection and a part of the stream."""
    with owner.begin() as conn:
        conn.exec_driver_sql(_MAKE.format(COPIES[kind]))
    spawn = multiprocessing.get_context("spawn")
    ready, go, done = spawn.Semaphore(0), spawn.Event(), spawn.Semaphore(0)
    url = owner.url.render_as_string(hide_password=False)
    running = [
        spawn.Process(target=_copy_part, args=(url, events, kind, n, connections, ready, go, done))
        for n in range(connections)
    ]
    for process in running:
        process.start()
    for _ in running:
        ready.acquire()
    started = time.perf_counter()
    go.set()
    for _ in running:
        assert done.acquire(timeout=600)
    taken = time.perf_counter() - started
    for process in running:
        process.join()
    with owner.begin() as conn:
        conn.exec_driver_sql(_DROP)
    return taken


def _copy_part(
    url: str, events: int, kind: str, part: int, parts: int, ready: Any, go: Any, done: Any
) -> None:
    told = stream(events)[part::parts]
    engine = create(url)
    with engine.connect():
        ready.release()
    go.wait()
    _copy(engine, told, kind)
    done.release()


WRITTEN = (
    *("ingest_ledger", "raw_message", "interpretation", "origin", "event", "event_object"),
    *("flow", "flow_link", "document", "timer"),
)


def _all_of(name: str) -> str:
    return f"COPY (SELECT * FROM {name}) TO STDOUT"  # noqa: S608  # names of WRITTEN


def copy_of_all(owner: Engine) -> float:
    """Seconds to COPY every row that ingest left into unlogged tables without index.

    Less than ingest wrote: rows that it changed are copied once.
    """
    taken = 0.0
    with owner.connect() as conn:
        driver = _driver(conn)
        for name in WRITTEN:
            with driver.cursor() as cursor, cursor.copy(_all_of(name)) as out:
                rows = [bytes(row) for row in out]
            driver.execute(f"CREATE UNLOGGED TABLE all_bench (LIKE {name})")
            driver.commit()
            started = time.perf_counter()
            with driver.cursor() as cursor, cursor.copy("COPY all_bench FROM STDIN") as target:
                target.write(b"".join(rows))
            driver.commit()
            taken += time.perf_counter() - started
            driver.execute("DROP TABLE all_bench")
            driver.commit()
    return taken


def touched(bodies: Sequence[tuple[datetime, bytes]]) -> float:
    return sum(len(orjson.loads(body)["data"].get("lines", ())) for _, body in bodies) / len(bodies)


COUNTS = "jsonb with envelope"
"""The COPY of which the goal wants a share."""


@pytest.mark.benchmark
def test_share_of_raw_copy(databases: Databases, record: Record) -> None:
    """Each round fills empty databases, so that rounds are alike; COPY and ingest take turns."""
    events = stream(EVENTS)
    size = sum(len(body) for _, body in events) / len(events)
    count = usual()
    alone: list[float] = []
    laned: list[float] = []
    client: list[float] = []
    whole: list[float] = []
    together: list[float] = []
    copies: dict[str, list[float]] = {kind: [] for kind in COPIES}
    for _ in range(ROUNDS):
        names = [databases.make(databases.template) for _ in range(2)]
        owner, engine = create(databases.owner_url(names[0])), create(databases.app_url(names[0]))
        for kind, taken in copies.items():
            taken.append(raw_copy(owner, events, kind))
        together.append(copy_together(owner, EVENTS, COUNTS, count))
        before = time.process_time()
        alone.append(ingest(engine, events))
        client.append(time.process_time() - before)
        whole.append(copy_of_all(owner))
        beside = create(databases.app_url(names[1]))
        with Lanes(beside, count) as lanes:
            lanes.start(60.0)  # a worker that runs has them
            laned.append(ingest(beside, events, lanes))
        for made in (owner, engine, beside):
            made.dispose()
        for name in names:
            databases.drop(name)
    shape = f"{size:.0f}, {touched(events):.1f}"
    record("P1", "stream: bytes and order lines per event", shape, "")
    for kind, times in copies.items():
        record("P1", f"raw COPY into {kind}", f"{EVENTS / median(times):,.0f} rows/s", "")
    rate = f"{EVENTS / median(together):,.0f} rows/s"
    record("P1", f"raw COPY into {COUNTS}, {count} connections", rate, "")
    ways = ((f"{count} lanes", laned), ("one process", alone))
    for name, taken in ways:
        for kind, times in copies.items():
            reached = f"{median(times) / median(taken):.1%}"
            gate = "12 %" if kind == COUNTS and taken is laned else ""
            record("P1", f"full ingest, {name}: share of COPY into {kind}", reached, gate)
    reached = f"{median(together) / median(laned):.1%}"
    what = f"full ingest, {count} lanes: share of COPY into {COUNTS}, {count} connections"
    record("P1", what, reached, "")
    reached = f"{median(whole) / median(alone):.1%}"
    record("P1", "full ingest, one process: share of COPY of all rows it leaves", reached, "")
    for name, taken in ways:
        seconds = median(taken)
        told = f"{EVENTS / seconds:,.0f} events/s, {seconds / EVENTS * 1e6:.0f} us each"
        record("P1", f"full ingest, {name}", told, "")
    told = f"{median(client) / EVENTS * 1e6:.0f} us/event"
    record("P1", "full ingest, one process: CPU of the process", told, "")
