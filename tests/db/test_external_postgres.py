"""A server of one's own instead of the embedded one: the same commands, the same result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from db import engine, migrate
from tower.settings import load

pytestmark = pytest.mark.postgres


@pytest.fixture
def empty_database(databases: Any, external_url: str) -> Iterator[str]:
    """Name of a database without tables on the external server."""
    assert make_url(external_url).host
    name = databases.make(None)
    yield name
    databases.drop(name)


def test_owner_and_program_may_be_two_accounts(
    databases: Any, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWER_DATABASE_URL", databases.app_url(empty_database))
    monkeypatch.setenv("TOWER_OWNER_URL", databases.owner_url(empty_database))
    settings = load()
    assert migrate.migrate(settings) == migrate.Migrated(None, migrate.head())
    made = engine.connect(settings)
    with engine.begin(made) as connection:
        migrate.check(connection)
        connection.execute(text("SELECT add_month_partition('raw_message', '2026-02-01')"))
        connection.execute(text("INSERT INTO timer (kind, key, due) VALUES ('unit', '1', now())"))
        assert connection.scalar(text("SELECT count(*) FROM timer")) == 1
    made.dispose()


def test_owner_and_program_may_be_one_account(
    databases: Any, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWER_DATABASE_URL", databases.owner_url(empty_database))
    settings = load()
    migrate.migrate(settings)
    made = engine.connect(settings)
    with engine.begin(made) as connection:
        migrate.check(connection)
        connection.execute(text("SELECT add_month_partition('queue_sample', '2026-02-01')"))
    made.dispose()
