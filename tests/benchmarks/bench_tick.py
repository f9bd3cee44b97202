"""P5: a round of judging costs what is due, not what is open."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from db import engine as engines
from db import sources
from db.ingest import store_retrying
from tower.identity import document_home
from tower.network import Network, load_network
from tower.raw import Interpretation, Interpreted, Raw
from tower.rulebook import load_rulebook
from tower.vocabulary import make_event
from worker.judge import tick
from worker.judging import Judging

pytestmark = pytest.mark.benchmark

RULES = Path(__file__).resolve().parents[2] / "sla_rules.yaml"
RELEASED = datetime(2026, 3, 30, 6, tzinfo=UTC)
WARN = datetime(2026, 3, 30, 9, tzinfo=UTC)  # three of four open hours
NETWORK = """
version: 1
company: {name: Bench, erp: main, zone: Europe/Berlin, calendar: hq, currency: EUR}
systems: {sap: {name: ERP, kind: erp}}
sources: {erp: {kind: push, format: cloudevents, system: sap, silent_after: 500h}}
calendars: {hq: {zone: Europe/Berlin, open: {mon-fri: ["08:00-12:00", "13:00-17:00"]}}}
partners: {ACME: {name: ACME, tier: A, feeds: [erp]}}
people:
  it_integration: {name: IT, mail: it@example.org}
  purchasing_desk: {name: Desk, mail: desk@example.org}
  purchasing_lead: {name: Lead, mail: lead@example.org}
owners: {B: purchasing_desk, D: purchasing_desk, S: purchasing_desk, I: it_integration,
         W: purchasing_desk, P: purchasing_desk, C: purchasing_desk, T: it_integration}
"""

# One judged order copied many times: its rows, its clocks, its timer.
COPIES = """
CREATE TEMPORARY TABLE copies AS
SELECT n FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n;
INSERT INTO event_object (home_key, event_id, linked, kind, scope, number, type, system,
       occurred_at, arrived_at, event_home, words, applied_at)
SELECT n, event_id, linked, kind, scope, 'C' || n, type, system, occurred_at, arrived_at, n, words,
       applied_at
  FROM event_object CROSS JOIN copies WHERE home_key = :home;
INSERT INTO clock (home_key, rule, kind, scope, number, line, cycle, partner_id, verdict, open,
       paused, started_at, due_at, breached_at, ended_at, next_at, held_by, rule_hash,
       calendar_hash, profile_hash, state)
SELECT n, rule, kind, scope, 'C' || n, line, cycle, partner_id, verdict, open, paused, started_at,
       due_at, breached_at, ended_at, next_at, held_by, rule_hash, calendar_hash, profile_hash,
       state
  FROM clock CROSS JOIN copies WHERE home_key = :home;
INSERT INTO judged_unit (home_key, instant)
SELECT n, instant FROM judged_unit CROSS JOIN copies
 WHERE home_key = :home;
INSERT INTO timer (kind, key, due)
SELECT 'unit', n::text, CAST(:due AS timestamptz) + n * interval '1 microsecond'
  FROM copies;
DROP TABLE copies
"""


@pytest.fixture
def bench(new_database: Callable[[], str]) -> Any:
    engine = engines.create(new_database(), idle_s=None)
    yield engine
    engine.dispose()


def _seed(engine: Engine, network: Network, config: Judging) -> int:
    event = make_event(
        "po.released",
        {
            "po": "1", "erp": "main", "supplier": "ACME",
            "lines": [{"line": "10", "qty": "1", "price": "1", "requested_date": "2026-06-30"}],
        },
        source="bench", raw_key="1", position="", occurred_at=RELEASED, system="sap",
    )  # fmt: skip
    item = Interpreted(
        Raw("bench", "1", b"{}", RELEASED), Interpretation("bench", 1, (event,))
    )
    store_retrying(engine, [item], net=network, now=RELEASED)
    with engine.begin() as conn:
        sources.register(conn, network.sources)
        conn.execute(
            text("UPDATE checkpoint SET complete_to = :at, last_good_at = :at"),
            {"at": WARN + timedelta(hours=1)},
        )
    tick(engine, config, RELEASED)
    return document_home("po", "main", "1")


def _copy(conn: Connection, home: int, first: int, last: int, due: datetime) -> None:
    given = {"home": home, "first": first, "last": last, "due": due}
    for statement in COPIES.split(";\n"):
        conn.execute(text(statement), given)


def _round_ms(engine: Engine, config: Judging, now: datetime, limit: int = 1000) -> float:
    began = time.perf_counter()
    tick(engine, config, now, limit)
    return (time.perf_counter() - began) * 1000


def test_a_round_costs_what_is_due(
    bench: Engine, record: Callable[[str, str, str, str], None]
) -> None:
    network = load_network(NETWORK, "network.yaml")
    config = Judging(network, load_rulebook(RULES.read_text(encoding="utf-8")))
    home = _seed(bench, network, config)
    measured: dict[int, dict[int, float]] = {}
    first = 1
    for open_units in (5_000, 50_000):  # two open clocks each
        with bench.begin() as conn:
            _copy(conn, home, first, open_units, WARN + timedelta(days=30))
            first = open_units + 1
        with bench.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("ANALYZE"))
        measured[open_units] = {}
        now = WARN
        for due in (0, 100, 1000):
            times = []
            for _ in range(5):
                now += timedelta(seconds=1)
                with bench.begin() as conn:
                    conn.execute(
                        text(
                            "UPDATE timer SET due = :now WHERE kind = 'unit' AND key IN ("
                            "SELECT key FROM timer WHERE kind = 'unit' AND due > :now "
                            "ORDER BY due DESC LIMIT :n)"
                        ),
                        {"now": now, "n": due},
                    )
                times.append(_round_ms(bench, config, now))
            measured[open_units][due] = statistics.median(times)
    goals = {0: "<= 2 ms", 100: "<= 15 ms", 1000: "<= 60 ms"}
    for due, goal in goals.items():
        small, large = measured[5_000][due], measured[50_000][due]
        record("P5", f"tick at 100,000 open clocks, {due:,} due", f"{large:.1f} ms", goal)
        record("P5", f"the same / tick at 10,000, {due:,} due", f"{large / small:.2f}", "<= 2.5")
        assert large > 0
