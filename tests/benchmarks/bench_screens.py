"""P7: what the pages of leaders ask, over the documents of about ten million events.

What is built stands in tests/benchmarks/many_orders.py. Each page is asked for the last 30 days as
of a fixed instant, as its screen asks it on a first visit; each question ROUNDS times on one open
connection, all pages in turn. A question is told by its 95th percentile, a page by the sum of its
questions, median of the rounds. Nothing else runs.

TOWER_BENCH_SCREEN_EVENTS says how many events' worth (default 10,000,000).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url

from db import engine as engines
from db import rollups
from db.reads import (
    connection,
    figures,
    fulfilment,
    kpis,
    overview,
    scorecards,
    supplier_page,
)
from db.reads.filters import Filter, Period
from tests.benchmarks import many_orders
from tests.benchmarks.conftest import Record
from tests.benchmarks.many_orders import NOW
from tower.access import EVERYTHING

pytestmark = pytest.mark.benchmark

EVENTS = int(os.environ.get("TOWER_BENCH_SCREEN_EVENTS", "10000000"))
ROUNDS = 21
RULES = Path(__file__).resolve().parents[2] / "sla_rules.yaml"
HOUSE = Filter(Period.last(30, NOW))
ONE = Filter(Period.last(30, NOW), supplier="SUP040")

Question = Callable[[Connection], Any]


def _figure(kpi: str, narrowed: Filter = HOUSE) -> Question:
    return lambda conn: figures.figure(conn, EVERYTHING, kpi, narrowed, NOW)


def _by(kpi: str, by: str, narrowed: Filter = HOUSE) -> Question:
    return lambda conn: figures.figures_by(conn, EVERYTHING, kpi, by, narrowed, NOW)


PAGES: Mapping[str, Mapping[str, Question]] = {
    "Overview": {
        **{kpi: _figure(kpi) for kpi in kpis.CARDS},
        "needs a decision": lambda c: overview.needs_decision(c, EVERYTHING, HOUSE),
        "opened and closed per day": lambda c: overview.case_flow(c, EVERYTHING, HOUSE),
        "open by age": lambda c: overview.open_ages(c, EVERYTHING, HOUSE, NOW),
        "answers by week": lambda c: kpis.ack_by_week(c, EVERYTHING, HOUSE, NOW),
        "what changed": lambda c: overview.changes(c, EVERYTHING, HOUSE, NOW),
    },
    "Suppliers": {
        "scorecards": lambda c: scorecards.scorecards(c, EVERYTHING, HOUSE, NOW, trend=4),
        **{
            f"{kpi} by supplier": _by(kpi, "supplier")
            for kpi in (
                *("ack_cycle_clock", "ack_cycle_business", "asn_accurate", "fill_line", "otif"),
            )
        },
    },
    "Supplier": {
        "page": lambda c: supplier_page.supplier_page(c, EVERYTHING, "SUP040", ONE, NOW),
        **{
            kpi: _figure(kpi, ONE)
            for kpi in (
                *("supplier_score", "ack_on_time", "ack_cycle_clock", "first_confirm"),
                *("commit_reliability", "asn_on_time", "otif", "lead_time"),
            )
        },
    },
    "Fulfilment": {
        **{
            kpi: _figure(kpi)
            for kpi in (
                *("otif", "fill_line", "fill_value", "perfect_order", "asn_accurate"),
                *("invoice_match", "lead_time", "unit_days_late"),
            )
        },
        "perfect parts": lambda c: fulfilment.perfect_parts(c, EVERYTHING, HOUSE, NOW),
        **{
            f"{kpi} by supplier": _by(kpi, "supplier")
            for kpi in (
                *("otif", "fill_line", "fill_value", "perfect_order"),
                *("lead_time", "unit_days_late"),
            )
        },
        "discrepancies": lambda c: fulfilment.discrepancies(c, EVERYTHING, HOUSE),
        "discrepancy page": lambda c: fulfilment.discrepancy_page(c, EVERYTHING, HOUSE),
    },
}


@pytest.fixture(scope="module")
def engine(databases: Any) -> Iterator[Engine]:
    name = databases.make(databases.template)
    owner = create_engine(databases.owner_url(name))
    with owner.begin() as conn:
        many_orders.lay_down(conn, EVENTS, RULES.read_text())
    made = engines.create(databases.app_url(name), idle_s=None)
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("VACUUM ANALYZE")
    yield made
    made.dispose()
    owner.dispose()
    databases.drop(make_url(databases.app_url(name)).database or "")


def asked(engine: Engine, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of every question of every page, by round."""
    found: dict[str, dict[str, list[float]]] = {p: {q: [] for q in of} for p, of in PAGES.items()}
    for turn in range(rounds + 1):
        for page, questions in PAGES.items():
            for name, question in questions.items():
                with connection.reading(engine) as conn:
                    started = time.perf_counter()
                    question(conn)
                    taken = (time.perf_counter() - started) * 1000
                if turn:
                    found[page][name].append(taken)
    return found


def test_pages_of_leaders(engine: Engine, record: Record) -> None:
    """From what is counted ahead, as the worker keeps it; and how long counting it takes."""
    began = time.perf_counter()
    weeks = rollups.count_due(engine, NOW, least=0)
    took = time.perf_counter() - began
    with engine.connect() as conn:
        size, orders = conn.execute(
            text(
                "SELECT pg_total_relation_size('figure_count') / 1e6, "
                "(SELECT count(*) FROM document WHERE kind = 'po')"
            )
        ).one()
    record("P7", f"screens: purchase orders of {EVENTS:,} events", f"{orders:,}", "")
    told = f"{took / weeks:.2f} s, {size / weeks:.1f} MB"
    record("P7", "screens: counting one week ahead, and what it keeps", told, "")
    for page, questions in asked(engine, ROUNDS).items():
        rounds = zip(*questions.values(), strict=True)
        whole = median(sum(one) for one in rounds)
        record("P7", f"{page}: all questions of the page", f"{whole:.0f} ms", "<= 80 ms idle")
        for name, times in questions.items():
            p95 = quantiles(times, n=20)[-1]
            record("P7", f"{page}: {name}, p95", f"{p95:.1f} ms", "<= 25 ms")
