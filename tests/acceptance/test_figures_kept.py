"""The worker keeps what is counted ahead, without anybody asking."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from db import engine as engines
from db import rollups
from db.reads import figures
from db.reads.filters import Filter
from db.tables import figure_mark, figure_shift, figure_week
from tests.acceptance.installation import Installation
from tests.acceptance.made_up_month import NETWORK, NOW, PERIOD, RULES, made_up
from tests.acceptance.running import Running
from tower.access import EVERYTHING
from worker import run
from worker.run import Worker


@pytest.fixture
def large(
    monkeypatch: pytest.MonkeyPatch, new_database: Callable[[], str], tmp_path: Path
) -> Iterator[tuple[Engine, Running]]:
    """An installation whose figures are counted ahead, with half of its month."""
    monkeypatch.setattr(rollups, "KEPT_WEEKS", 36)
    address = new_database()
    installation = Installation.make(tmp_path, NETWORK, database_url=address)
    installation.rules.write_text(RULES)
    engine = engines.create(address)
    tower = Running.start(engine, installation, NOW - timedelta(days=60))
    _push(tower, 0)
    rollups.count_due(engine, NOW, least=0)
    yield engine, tower
    engine.dispose()


def _push(tower: Running, half: int) -> None:
    body = json.dumps(made_up(7)[1][half::2]).encode()
    tower.push("facts", body, NOW, "application/cloudevents-batch+json")
    tower.judge(NOW)


def _waiting(engine: Engine) -> bool:
    with engine.connect() as conn:
        rows = select(figure_mark.c.week).union(select(figure_shift.c.week))
        return conn.execute(rows).first() is not None


@contextmanager
def _counting(worker: Worker) -> Iterator[None]:
    """Its loop of figures, as ``Worker.run`` starts it."""
    loop = threading.Thread(target=worker._loop, args=(worker._count_figures, 0.02), daemon=True)
    loop.start()
    try:
        yield
    finally:
        worker.stop()
        loop.join(timeout=60)
        assert not loop.is_alive()


def test_what_changes_is_counted_anew_by_the_worker(
    large: tuple[Engine, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, tower = large
    monkeypatch.setattr(run, "FIGURES_SHARE", 1.0)
    asked = (EVERYTHING, "otif", Filter(PERIOD), NOW)
    with engine.connect() as conn:
        before = figures.figure(conn, *asked)
    _push(tower, 1)
    assert _waiting(engine)
    with _counting(Worker(engine, tower.settings, clock=lambda: NOW)):
        end = time.monotonic() + 120
        while _waiting(engine) and time.monotonic() < end:
            time.sleep(0.05)
    assert not _waiting(engine)
    with engine.begin() as conn:
        kept = figures.figure(conn, *asked)
        conn.execute(figure_week.delete())  # from here on the documents tell
        plain = figures.figure(conn, *asked)
        conn.rollback()
    assert (kept.n, kept.value) == (plain.n, plain.value)
    assert kept.n > before.n


def test_counting_leaves_the_machine_to_others(
    large: tuple[Engine, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, tower = large
    worker = Worker(engine, tower.settings, clock=lambda: NOW)
    _push(tower, 1)
    worker._count_figures()
    assert not _waiting(engine)
    with engine.connect() as conn:
        week = conn.execute(select(figure_week.c.week).order_by(figure_week.c.week)).scalars()
        first = list(week)[1]
    with engine.begin() as conn:
        conn.execute(figure_mark.insert().values(week=first))
    worker._count_figures()
    assert _waiting(engine), "the share of the time is used up"
    worker._counting_from = 0.0
    worker._count_figures()
    assert not _waiting(engine)


def test_who_is_told_to_stop_leaves_the_rest_for_the_next(large: tuple[Engine, Running]) -> None:
    engine, tower = large
    _push(tower, 1)
    left = iter([False, True])
    assert rollups.count_due(engine, NOW, stop=lambda: next(left)) == 1
    assert _waiting(engine)
    with engine.connect() as conn:
        as_of = figures.figure(conn, EVERYTHING, "otif", Filter(PERIOD), NOW).as_of
    assert rollups.count_due(engine, NOW + timedelta(minutes=1)) > 0
    assert not _waiting(engine)
    with engine.connect() as conn:
        told = figures.figure(conn, EVERYTHING, "otif", Filter(PERIOD), NOW).as_of
    assert as_of is not None
    assert told is not None
    assert as_of <= told
