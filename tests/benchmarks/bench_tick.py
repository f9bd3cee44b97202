"""P5: a round of judging costs what is due, not what is open.

Two kinds of rounds: warnings, which time alone brings, and breaches, each of which opens a case and
is put into a mail's group. Beside the time that passed stands the CPU time of this process and of
the database session, which other work on the machine moves less.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

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
MISSED = datetime(2026, 3, 30, 11, 30, tzinfo=UTC)  # an hour and more after due
FEW, MANY = 10_000, 500_000  # units, with two open clocks each
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
    engine = engines.create(new_database(), idle_s=None, prepared=True)
    yield engine
    engine.dispose()


def _seed(engine: Engine, network: Network, config: Judging) -> int:
    told = make_event(
        "po.released",
        {
            "po": "1", "erp": "main", "supplier": "ACME",
            "lines": [{"line": "10", "qty": "1", "price": "1", "requested_date": "2026-06-30"}],
        },
        source="bench", raw_key="1", position="", occurred_at=RELEASED, system="sap",
    )  # fmt: skip
    item = Interpreted(Raw("bench", "1", b"{}", RELEASED), Interpretation("bench", 1, (told,)))
    store_retrying(engine, [item], net=network, now=RELEASED)
    with engine.begin() as conn:
        sources.register(conn, network.sources)
        conn.execute(
            text("UPDATE checkpoint SET complete_to = :at, last_good_at = :at"),
            {"at": MISSED + timedelta(hours=1)},
        )
    tick(engine, config, RELEASED)
    home = document_home("po", "main", "1")
    with engine.begin() as conn:  # it stays as it is: what is copied has not warned yet
        conn.execute(text("DELETE FROM timer WHERE kind = 'unit'"))
    return home


def _copy(conn: Connection, home: int, first: int, last: int, due: datetime) -> None:
    given = {"home": home, "first": first, "last": last, "due": due}
    for statement in COPIES.split(";\n"):
        conn.execute(text(statement), given)


class _Meter:
    """Time of a round, and CPU time of client and database sessions, in ms."""

    def __init__(self, engine: Engine) -> None:
        self._sessions: set[int] = set()

        @event.listens_for(engine, "connect")
        def note(driver: Any, _record: Any) -> None:
            self._sessions.add(driver.info.backend_pid)

    def _cpu(self) -> float:
        spent = time.process_time() * 1000
        for session in self._sessions:
            told = Path(f"/proc/{session}/schedstat").read_text(encoding="ascii")
            spent += int(told.split()[0]) / 1e6
        return spent

    def round_ms(
        self, engine: Engine, config: Judging, now: datetime, due: int
    ) -> tuple[float, float]:
        cpu, began = self._cpu(), time.perf_counter()
        done = tick(engine, config, now, 1000)
        wall, spent = (time.perf_counter() - began) * 1000, self._cpu() - cpu
        assert done.transitions == due  # each of them did what was to be done
        return wall, spent


def _have_due(engine: Engine, now: datetime, wanted: int, verdict: str) -> None:
    """Have so many units due now, of those whose clock stands so; all others wait."""
    with engine.begin() as conn:
        conn.execute(
            text("UPDATE timer SET due = :later WHERE kind = 'unit' AND due <= :later"),
            {"later": now + timedelta(days=1)},
        )
        conn.execute(
            text(
                "UPDATE timer SET due = :now WHERE kind = 'unit' AND key IN ("
                "SELECT home_key::text FROM clock WHERE rule = 'po.unacknowledged' "
                "AND verdict = :verdict ORDER BY home_key DESC LIMIT :n)"
            ),
            {"now": now, "n": wanted, "verdict": verdict},
        )


def test_a_round_costs_what_is_due(
    bench: Engine, record: Callable[[str, str, str, str], None]
) -> None:
    network = load_network(NETWORK, "network.yaml")
    config = Judging(network, load_rulebook(RULES.read_text(encoding="utf-8")))
    home = _seed(bench, network, config)
    bench.dispose()  # sessions that begin from here on are measured
    meter = _Meter(bench)
    warned: dict[int, dict[int, tuple[float, float]]] = {}
    missed: dict[int, tuple[float, float]] = {}
    first = 1
    for open_units in (FEW, MANY):
        with bench.begin() as conn:
            _copy(conn, home, first, open_units, WARN + timedelta(days=30))
            first = open_units + 1
        with bench.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("ANALYZE"))
        now, warned[open_units] = WARN, {}
        for due in (0, 100, 1000):
            times = []
            for _ in range(5):
                now += timedelta(seconds=1)
                _have_due(bench, now, due, "pending")
                times.append(meter.round_ms(bench, config, now, due))
            warned[open_units][due] = _middle(times)
    now = MISSED
    for due in (100, 1000):
        times = []
        for _ in range(3):
            now += timedelta(seconds=1)
            _have_due(bench, now, due, "at_risk")
            times.append(meter.round_ms(bench, config, now, due))
        missed[due] = _middle(times)
    goals = {0: "<= 2 ms", 100: "<= 15 ms", 1000: "<= 60 ms"}
    for due, goal in goals.items():
        (small, _), (large, cpu) = warned[FEW][due], warned[MANY][due]
        record("P5", f"tick at {2 * MANY:,} open clocks, {due:,} due", f"{large:.1f} ms", goal)
        record("P5", f"tick at {2 * MANY:,} open clocks, {due:,} due: CPU", f"{cpu:.1f} ms", "")
        record(
            "P5", f"the same / tick at {2 * FEW:,}, {due:,} due", f"{large / small:.2f}", "<= 2.5"
        )
        assert large > 0
    for due, (wall, cpu) in missed.items():
        record("P5", f"{due:,} breaches, each a case", f"{wall:.0f} ms, {cpu:.0f} ms CPU", "")


def _middle(times: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)
