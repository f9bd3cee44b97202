"""Installations for acceptance tests: one on an embedded server, fresh ones on clones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db import engine as engines
from tests.acceptance.filling import fill
from tests.acceptance.installation import Installation
from tests.acceptance.running import Running, listening
from tests.conftest import Databases


@pytest.fixture
def install(tmp_path: Path, new_database: Callable[[], str]) -> Callable[..., Installation]:
    """Makes an installation over a migrated, empty database of this test's own."""

    def make(**settings: str) -> Installation:
        return Installation.make(tmp_path, **({"database_url": new_database()} | settings))

    return make


@pytest.fixture
def installed(install: Callable[..., Installation]) -> Installation:
    """An installation over a migrated, empty database."""
    return install()


@pytest.fixture(scope="session")
def filled(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation in which something of everything has happened in the last three weeks.

    Tests only ask it. Purchase order 4500007001 was never answered and hurts customer order SO-1;
    4500007002 was; an answer to 4500009999 reached no order; a cut file is a dead letter.
    """
    name = databases.make(databases.template)
    folder = tmp_path_factory.mktemp("filled")
    installation = Installation.make(
        folder, database_url=databases.app_url(name), base_url="https://tower.buyer.example"
    )
    engine = engines.create(databases.app_url(name))
    now = datetime.now(UTC)
    begin = now - timedelta(days=21)
    try:
        with listening() as (_, port):
            tower = Running.start(
                engine,
                installation,
                begin,
                base_url="https://tower.buyer.example",
                smtp_host="127.0.0.1",
                smtp_port=port,
                smtp_starttls=False,
            )
            fill(tower, begin, now)
        yield installation
    finally:
        engine.dispose()
        databases.drop(name)
