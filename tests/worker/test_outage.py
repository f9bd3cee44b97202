"""A database that is away is told once, not by every step with a stack trace."""

from __future__ import annotations

import logging

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from db import engine as engines
from tower.settings import Settings
from worker.outage import Outage, is_away
from worker.run import Worker


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.__dict__["action"] for record in caplog.records if "action" in record.__dict__]


def test_steps_wait_for_a_database_that_is_away_and_go_on(
    database: Engine, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker = Worker(database, Settings())
    worker.stop()  # a step that failed waits no longer
    pids: list[int] = []

    def step() -> bool:
        with engines.begin(database) as conn:
            pids.append(conn.scalar(text("SELECT pg_backend_pid()")))
        return True

    steps = [worker._guarded(step) for _ in range(3)]
    assert all(one() for one in steps)
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                      "WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
    assert steps[0]() is False
    assert said(caplog) == ["database.away"]
    assert all(one() for one in steps)
    assert said(caplog) == ["database.away", "database.back"]
    assert all(one() for one in steps)
    assert said(caplog) == ["database.away", "database.back"]


def test_a_mistake_of_ours_is_told_with_its_place(
    database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(database, Settings())
    worker.stop()

    def count_sheep() -> None:
        with engines.begin(database) as conn:
            conn.execute(text("SELECT 1 / 0"))

    assert worker._guarded(count_sheep)() is False
    [record] = [one for one in caplog.records if one.__dict__.get("action")]
    assert record.__dict__["action"] == "worker.step_failed"
    assert record.__dict__["step"] == "count_sheep"
    assert record.exc_info is not None


def failure(engine: Engine, query: str) -> DBAPIError:
    with pytest.raises(DBAPIError) as caught, engines.begin(engine) as conn:
        conn.execute(text(query))
    return caught.value


def test_only_a_database_that_does_not_answer_is_away(database: Engine, database_url: str) -> None:
    assert not is_away(failure(database, "SELECT 1 / 0"))
    impatient = engines.create(database_url, timeout_s=0.05)
    assert not is_away(failure(impatient, "SELECT pg_sleep(5)"))
    impatient.dispose()
    assert not is_away(ValueError("7"))
    nobody = create_engine("postgresql+psycopg://x@127.0.0.1:1/x")
    assert is_away(failure(nobody, "SELECT 1"))
    nobody.dispose()


def test_a_long_outage_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = [100.0]
    outage = Outage(lambda: now[0])
    error = OSError("connection refused\nis it running?")
    assert [outage.begins(error) for _ in range(5)] == [1.0] * 5
    now[0] += 59.0
    assert outage.begins(error) == 5.0
    assert said(caplog) == ["database.away"]
    now[0] += 1.0
    outage.begins(error)
    assert said(caplog) == ["database.away"] * 2
    assert [r.__dict__["seconds"] for r in caplog.records] == [0, 60]
    assert caplog.records[0].__dict__["cause"] == "connection refused"
    outage.ends()
    outage.ends()
    assert said(caplog)[2:] == ["database.back"]
