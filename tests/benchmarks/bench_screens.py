"""P7: what the pages of leaders ask, over the documents of about ten million events.

What is built stands in tests/benchmarks/many_orders.py. Each page is asked for the last 30 days as
of a fixed instant, as its screen asks it on a first visit; each question ROUNDS times on one open
connection, all pages in turn. A page is told by the time of all its statements, from sending to
the last row received, p50 and p95 of the rounds; by its slowest statement, p95; and by what the
server's process and this one computed, which others on the machine hardly change. Questions are
named where one of their statements took more than 25 ms.

SCREEN_EVENTS says how many events' worth (default 10,000,000).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url

from db import engine as engines
from db.reads import (
    cases,
    connection,
    figures,
    fulfilment,
    kpis,
    orders_at_risk,
    overview,
    purchase_orders,
    scorecards,
    supplier_page,
)
from db.reads.filters import Filter, Period
from tests.benchmarks import many_orders
from tests.benchmarks.conftest import Record
from tests.benchmarks.many_orders import NOW
from tower.access import EVERYTHING

pytestmark = pytest.mark.benchmark

EVENTS = int(os.environ.get("SCREEN_EVENTS", "10000000"))
ROUNDS = 21
LONG_MS = 25
RULES = Path(__file__).resolve().parents[2] / "sla_rules.yaml"
HOUSE = Filter(Period.last(30, NOW))
ONE = Filter(Period.last(30, NOW), supplier="SUP040")

Question = Callable[[Connection], Any]


def _figures(*kpis: str, narrowed: Filter = HOUSE) -> Question:
    asked = [(kpi, figures.NO_SWITCHES) for kpi in kpis]
    return lambda conn: figures.several(conn, EVERYTHING, asked, narrowed, NOW)


def _by(by: str, *kpis: str, narrowed: Filter = HOUSE) -> Question:
    asked = [(kpi, figures.NO_SWITCHES) for kpi in kpis]
    return lambda conn: figures.several_by(conn, EVERYTHING, asked, by, narrowed, NOW)


PAGES: Mapping[str, Mapping[str, Question]] = {
    "Overview": {
        "cards": lambda c: kpis.leader_figures(c, EVERYTHING, HOUSE, NOW),
        "needs a decision": lambda c: overview.needs_decision(c, EVERYTHING, HOUSE),
        "opened and closed per day": lambda c: overview.case_flow(c, EVERYTHING, HOUSE),
        "open by age": lambda c: overview.open_ages(c, EVERYTHING, HOUSE, NOW),
        "answers by week": lambda c: kpis.ack_by_week(c, EVERYTHING, HOUSE, NOW),
        "what changed": lambda c: overview.changes(c, EVERYTHING, HOUSE, NOW),
    },
    "Suppliers": {
        "scorecards": lambda c: scorecards.scorecards(c, EVERYTHING, HOUSE, NOW, trend=4),
        "columns": _by(
            "supplier",
            *("ack_cycle_clock", "ack_cycle_business", "asn_accurate", "fill_line", "otif"),
        ),
    },
    "Supplier": {
        "page": lambda c: supplier_page.supplier_page(c, EVERYTHING, "SUP040", ONE, NOW),
        "cards": _figures(
            *("supplier_score", "ack_on_time", "ack_cycle_clock", "first_confirm"),
            *("commit_reliability", "asn_on_time", "otif", "lead_time"),
            narrowed=ONE,
        ),
        "parts of the score": lambda c: scorecards.scorecards(c, EVERYTHING, ONE, NOW),
        "figures by week": _by(
            "week",
            *("ack_on_time", "first_confirm", "commit_reliability", "asn_on_time", "asn_valid"),
            *("otif", "ack_cycle_clock", "lead_time"),
            narrowed=Filter(Period.weeks(13, NOW), supplier="SUP040"),
        ),
    },
    "Fulfilment": {
        "cards": _figures(
            *("otif", "fill_line", "fill_value", "perfect_order", "asn_accurate"),
            *("invoice_match", "lead_time", "unit_days_late"),
        ),
        "perfect parts": lambda c: fulfilment.perfect_parts(c, EVERYTHING, HOUSE, NOW),
        "told apart": _by(
            "supplier",
            *("otif", "fill_line", "fill_value", "perfect_order", "lead_time", "unit_days_late"),
        ),
        "discrepancies": lambda c: fulfilment.discrepancies(c, EVERYTHING, HOUSE),
        "discrepancy page": lambda c: fulfilment.discrepancy_page(c, EVERYTHING, HOUSE),
    },
    "Purchase orders": {
        "all": lambda c: purchase_orders.purchase_orders(c, EVERYTHING, HOUSE, "all", NOW),
    },
    "Orders at risk": {
        "streams": lambda c: orders_at_risk.streams(c, EVERYTHING, HOUSE),
        "causes": lambda c: orders_at_risk.causes(c, EVERYTHING, HOUSE),
        "numbers": _figures("orders_affected", "value_at_risk"),
        "lines": lambda c: orders_at_risk.orders_at_risk(c, EVERYTHING, HOUSE),
        "items": lambda c: orders_at_risk.items(c, EVERYTHING, HOUSE),
    },
    "Exceptions": {
        "numbers": lambda c: cases.counts(c, EVERYTHING, NOW),
        "groups": lambda c: cases.groups(c, EVERYTHING, cases.CaseFilter(), NOW),
        "queue": lambda c: cases.queue(c, EVERYTHING, cases.CaseFilter(), NOW),
    },
}


@pytest.fixture(scope="module")
def engine(databases: Any) -> Iterator[Engine]:
    name = databases.make(databases.template)
    owner = create_engine(databases.owner_url(name))
    many_orders.lay_down(owner, EVENTS, RULES.read_text())
    made = engines.create(databases.app_url(name), idle_s=None)
    yield made
    made.dispose()
    owner.dispose()
    databases.drop(make_url(databases.app_url(name)).database or "")


@dataclass
class Asked:
    """One question, by round.

    statements  milliseconds of each of its statements
    computed    of the server's process, and ``worked`` of this one
    """

    statements: list[list[float]] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)

    def slowest(self) -> float:
        """p95 of the rounds."""
        return p95([max(one, default=0.0) for one in self.statements])


def p95(rounds: list[float]) -> float:
    return quantiles(rounds, n=20)[-1]


def asked(engine: Engine, rounds: int) -> dict[str, dict[str, Asked]]:
    """Every question of every page."""
    found = {page: {name: Asked() for name in of} for page, of in PAGES.items()}
    times: list[float] = []
    begun: list[float] = []

    def before(*_: Any) -> None:
        begun.append(time.perf_counter())

    def after(*_: Any) -> None:
        times.append((time.perf_counter() - begun.pop()) * 1000)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    for turn in range(rounds + 1):
        for page, questions in PAGES.items():
            for name, question in questions.items():
                with connection.reading(engine) as conn:
                    pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
                    times.clear()
                    computed, worked = _computed(pid), time.process_time()
                    question(conn)
                    if turn:
                        one = found[page][name]
                        one.statements.append(list(times))
                        one.worked.append((time.process_time() - worked) * 1000)
                        one.computed.append(_computed(pid) - computed)
    event.remove(engine, "before_cursor_execute", before)
    event.remove(engine, "after_cursor_execute", after)
    return found


def _computed(pid: int) -> float:
    """Milliseconds that a process of this machine has computed so far."""
    told = Path(f"/proc/{pid}/schedstat")
    return int(told.read_text().split()[0]) / 1e6 if told.exists() else 0.0


def test_pages_of_leaders(engine: Engine, record: Record) -> None:
    """From what is counted ahead, as the worker keeps it; and how long counting it takes."""
    began = time.perf_counter()
    weeks = many_orders.count_ahead(engine)
    took = time.perf_counter() - began
    with engine.connect() as conn:
        size, read, orders = conn.execute(
            text(
                "SELECT pg_total_relation_size('figure_count') / 1e6, "
                "pg_total_relation_size('figure_span') / 1e6, "
                "(SELECT count(*) FROM document WHERE kind = 'po')"
            )
        ).one()
    record("P7", f"screens: purchase orders of {EVENTS:,} events", f"{orders:,}", "")
    told = f"{took / weeks:.1f} s, {(size + read) / weeks:.1f} MB"
    record("P7", "screens: counting a week ahead and adding up, what is kept", told, "")
    record("P7", "screens: of it what pages read", f"{read / weeks:.1f} MB", "")
    tell(asked(engine, ROUNDS), record)


def tell(found: Mapping[str, Mapping[str, Asked]], record: Record) -> None:
    """A row for all queries of a page, one for its slowest, one for each other that is long."""
    for page, questions in found.items():
        every = zip(*(q.statements for q in questions.values()), strict=True)
        rounds = [sum(sum(one) for one in of) for of in every]
        statements = sum(len(q.statements[0]) for q in questions.values())
        computed = sum(median(q.computed) for q in questions.values())
        worked = sum(median(q.worked) for q in questions.values())
        told = f"p50 {median(rounds):.0f} ms, p95 {p95(rounds):.0f} ms; {statements} statements"
        record("P7", f"{page}: all queries", told, "<= 80 ms")
        told = f"{computed:.0f} ms of the server, {worked:.0f} ms of the page's own process"
        record("P7", f"{page}: all queries: CPU", told, "")
        for place, name in enumerate(sorted(questions, key=lambda n: -questions[n].slowest())):
            long = questions[name].slowest()
            if place == 0:
                record("P7", f"{page}: the slowest query", f"p95 {long:.1f} ms, {name}", "<= 25 ms")
            elif long > LONG_MS:
                record("P7", f"{page}: long, too: {name}", f"p95 {long:.1f} ms", "<= 25 ms")
