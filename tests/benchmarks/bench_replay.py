"""P6 and P13: how fast the clock engine judges, and how long the stored past takes.

Purchase orders of seven events each, through the real ingest, judged by the shipped rule book. The
engine is measured on what was read before, by CPU time of one core; the backtest reads too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db import clocks, configuration
from db import engine as engines
from db.driver import no_garbage
from db.reads import hindsight as past
from tests.benchmarks.bench_ingest import BATCH, START, SUPPLIERS, stream
from tower.court import Code
from tower.network import load_network
from tower.raw import Raw
from tower.rulebook import load_rulebook
from worker import pipeline
from worker.backtest import judge_in_parts
from worker.code import code_for
from worker.commands.rule_changes import books_of
from worker.hindsight import Hindsight
from worker.judging import Judging

pytestmark = pytest.mark.benchmark

EVENTS = 100_000
IN_MEMORY = 3_000  # purchase orders for the engine alone
ROUNDS = 5
RULES = Path(__file__).resolve().parents[2] / "sla_rules.yaml"
END = START + timedelta(days=300)
Record = Callable[[str, str, str, str], None]

NETWORK = """
version: 1
company: {name: Bench, erp: main, zone: Europe/Berlin, calendar: hq, currency: EUR}
systems: {erp: {name: ERP, kind: erp}}
sources: {bench: {kind: push, format: cloudevents, system: erp, silent_after: 500h}}
calendars:
  hq: {zone: Europe/Berlin, open: {mon-fri: ["08:00-12:00", "13:00-17:00"]}}
  ny: {zone: America/New_York, open: {mon-fri: ["09:00-17:00"]}}
warehouses: {east: {name: East, zone: Europe/Berlin}}
people:
  it_integration: {name: IT, mail: it@example.org}
  purchasing_desk: {name: Desk, mail: desk@example.org}
  purchasing_lead: {name: Lead, mail: lead@example.org}
owners: {B: purchasing_desk, D: purchasing_desk, S: purchasing_desk, I: it_integration,
         W: purchasing_desk, P: purchasing_desk, C: purchasing_desk, T: it_integration}
partners:
"""


def network_text() -> str:
    """300 suppliers of three tiers, in two zones."""
    lines = (
        f"  {key}: {{name: {key}, tier: {'ABC'[n % 3]}, feeds: [bench], expects_fa: true, "
        f"calendar: {'ny' if n % 2 else 'hq'}}}\n"
        for n, key in enumerate(SUPPLIERS)
    )
    return NETWORK + "".join(lines)


@pytest.fixture
def filled(new_database: Callable[[], str]) -> Any:
    """A database with the stream in it, and what judges there."""
    engine = engines.create(new_database(), idle_s=None)
    net = load_network(network_text(), "network.yaml")
    told = stream(EVENTS)
    headers = {"content-type": "application/cloudevents+json"}
    for first in range(0, len(told), BATCH):
        raws = [
            Raw("bench", f"k{first + n}", body, at, headers["content-type"], headers)
            for n, (at, body) in enumerate(told[first : first + BATCH])
        ]
        pipeline.ingest_raws(engine, net, raws, now=END)
    with engine.begin() as conn:
        conn.execute(
            text("UPDATE checkpoint SET complete_to = :at, last_good_at = :at"), {"at": END}
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("ANALYZE"))
    rules = RULES.read_text(encoding="utf-8")
    with engine.begin() as conn:
        configuration.activate(conn, configuration.NETWORK, network_text(), START)
        configuration.activate(conn, configuration.RULES, rules, START)
    config = Judging(net, load_rulebook(rules))
    yield engine, config, code_for(engine, config, START - timedelta(days=1))
    engine.dispose()


def test_engine_and_backtest(
    filled: tuple[Engine, Judging, Code], record: Record
) -> None:
    engine, config, code = filled
    url = engine.url.render_as_string(hide_password=False)
    with engine.connect() as conn:
        homes = past.homes(conn, {"po"}, END, None, IN_MEMORY)
        units = list(clocks.load(conn, homes, code.unheard).values())
        feeds = clocks.feeds(conn, code.network.sources, None)
        taken = []
        for _ in range(ROUNDS):
            seen = Hindsight(config, code, START, END, "arrival")
            began = time.process_time()
            with no_garbage():
                for rows in units:
                    seen.take(rows, feeds)
            taken.append(time.process_time() - began)
        heard = {s.event_id.int for rows in units for its in rows.signs.values() for s in its}
        pace = len(heard) / median(taken)
        record("P6", "clock engine in replay, one core", f"{pace:,.0f} events/s", ">= 10,000")

        steps: list[int] = []
        make = partial(books_of, rules=None, begin=START, end=END, by="arrival")
        began, spent = time.perf_counter(), _cpu_s()
        _, documents, _ = judge_in_parts(
            conn, url, make, END, lambda done, _all: steps.append(done)
        )
        wall, spent = time.perf_counter() - began, _cpu_s() - spent
    assert steps[-1] == documents  # progress was told
    million = 1_000_000 / EVENTS
    record("P13", f"backtest of {EVENTS:,} events, two processes", f"{wall:.1f} s", "")
    record("P13", "1,000,000 events at this pace", f"{wall * million:.0f} s", "<= 120 s")
    record("P13", "the same: CPU time of each process", f"{spent / 2 * million:.0f} s", "")


def _cpu_s() -> float:
    """CPU time of this process and of those it started that have ended."""
    told = os.times()
    return told.user + told.system + told.children_user + told.children_system
